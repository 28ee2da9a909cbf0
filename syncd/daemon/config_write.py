"""Write `pairs.d/NAME.toml` for `syncctl pair add|edit|remove`, and keep the last good configuration.

A change is checked as part of the whole configuration before a byte is written, and lands atomically and
durably. The main file is never written.
"""

import contextlib
import json
import os
import re
import secrets
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from syncd.daemon.config import load_config
from syncd.daemon.config_files import LAST_GOOD, PAIRS_FOLDER
from syncd.daemon.config_keys import NAME_PATTERN, PAIR_KEYS, PAIR_TABLES
from syncd.daemon.config_model import Config, ConfigInvalid, ConfigProblem, PairConfig


def store_pair(
    config: Config,
    name: str,
    settings: Mapping[str, object],
    *,
    is_system: bool,
    env: Mapping[str, str],
    may_set_hooks: bool = False,
) -> Config:
    """Add the pair, or replace it when it already has a file of its own; returns the new configuration.

    `settings` has the keys of a `[pair.NAME]` table, nested tables as mappings or dotted keys. Hooks are
    commands: they are refused unless the caller is not reached over a socket. Raises ConfigInvalid.
    """
    path = _own_file(config, name)
    table = _nest(name, settings, path)
    if not may_set_hooks:
        _refuse_hooks(name, table, path)
    return _store(config, name, table, path, is_system, env)


def edit_pair(
    config: Config,
    name: str,
    settings: Mapping[str, object],
    unset: Sequence[str] = (),
    *,
    is_system: bool,
    env: Mapping[str, str],
) -> Config:
    """Change keys of the pair's own file and remove `unset` ones (dotted); the other keys stay.

    Hooks that the file has stay as well, and cannot be set here. Raises ConfigInvalid.
    """
    path = _own_file(config, name)
    held = next((file.content for file in config.files if file.path == path), None)
    if config.pair(name) is None or held is None:
        raise _refusal(path, f"pair.{name}", "there is no such pair", "see 'syncctl list'")
    table = tomllib.loads(held.decode())["pair"][name]
    changes = _nest(name, settings, path)
    _refuse_hooks(name, changes, path)
    for key, value in changes.items():
        old = table.get(key)
        table[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, Mapping) else value
    for key in unset:
        outer, _, inner = key.partition(".")
        if inner and isinstance(table.get(outer), dict):
            table[outer].pop(inner, None)
        else:
            table.pop(key, None)
    return _store(config, name, table, path, is_system, env)


def remove_pair(config: Config, name: str, *, is_system: bool, env: Mapping[str, str]) -> Config:
    """Remove the pair's own file; nothing in its trees is touched. Raises ConfigInvalid."""
    path = _own_file(config, name)
    if config.pair(name) is None:
        raise _refusal(path, f"pair.{name}", "there is no such pair", "see 'syncctl list'")
    checked = _check(config, {path: None}, is_system, env)
    path.unlink(missing_ok=True)
    sync_directory(path.parent)
    return checked


def render_pair(name: str, table: Mapping[str, object]) -> str:
    """The TOML text of one pair; its inner tables are written inline."""
    lines = [
        "# Written by 'syncctl pair'; edit it freely, then run 'syncctl reload'.",
        f"[pair.{_key(name)}]",
    ]
    lines += [f"{_key(key)} = {_value(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def keep_last_good(config: Config) -> None:
    """Copy the files of a configuration that was applied into the state directory."""
    folder = config.daemon.state_dir / LAST_GOOD
    copies = {folder / file.path.relative_to(config.path.parent): file.content for file in config.files}
    for copy, content in copies.items():
        if not copy.exists() or copy.read_bytes() != content:
            _write_durably(copy, content)
    for old in (folder / PAIRS_FOLDER).glob("*.toml"):
        if old not in copies:
            old.unlink()


def _store(
    config: Config,
    name: str,
    table: Mapping[str, object],
    path: Path,
    is_system: bool,
    env: Mapping[str, str],
) -> Config:
    text = render_pair(name, table).encode()
    checked = _check(config, {path: text}, is_system, env)
    _write_durably(path, text)
    return checked


def _refuse_hooks(name: str, table: Mapping[str, object], path: Path) -> None:
    if "hooks" in table:
        raise _refusal(path, f"pair.{name}.hooks", "commands are taken from files only", "edit the file")


def _own_file(config: Config, name: str) -> Path:
    """The file that holds this pair and nothing else."""
    path = config.path.parent / PAIRS_FOLDER / f"{name}.toml"
    if not re.match(NAME_PATTERN, name):
        message = f"{name!r} cannot name a pair"
        raise _refusal(config.path, "pair", message, "use letters, digits, '.', '_' and '-', at most 64")
    pair = config.pair(name)
    home = _home(pair) if pair else str(path)
    is_shared = any(other.name != name and _home(other) == str(path) for other in config.pairs)
    if home != str(path) or is_shared:
        hint = "edit it there, then 'syncctl reload'"
        raise _refusal(Path(home), f"pair.{name}", "the pair is written by hand in this file", hint)
    return path


def _home(pair: PairConfig) -> str:
    """The file that a pair stands in."""
    return pair.origins["source"].rpartition(":")[0]


def _nest(name: str, settings: Mapping[str, object], path: Path) -> dict[str, object]:
    """Dotted keys into tables, in the order of the documentation; unknown keys stay for the checker."""
    table: dict[str, object] = {}
    for key in sorted(settings, key=lambda key: list(PAIR_KEYS).index(key) if key in PAIR_KEYS else -1):
        outer, dot, inner = key.partition(".")
        if dot and outer in PAIR_TABLES:
            held = table.setdefault(outer, {})
            if not isinstance(held, dict):
                raise _refusal(path, f"pair.{name}.{key}", f"{outer} is given twice", "")
            held[inner] = settings[key]
        else:
            table[key] = settings[key]
    return table


def _check(
    config: Config, overlay: Mapping[Path, bytes | None], is_system: bool, env: Mapping[str, str]
) -> Config:
    return load_config(
        config.path if config.path.exists() else None,
        is_system=is_system,
        env=env,
        socket=config.daemon.socket,
        state_dir=config.daemon.state_dir,
        overlay=overlay,
    )


def _refusal(file: Path, key: str, message: str, hint: str) -> ConfigInvalid:
    return ConfigInvalid((ConfigProblem(str(file), 0, key, message, hint),))


def _key(word: str) -> str:
    return word if re.fullmatch(r"[A-Za-z0-9_-]+", word) else _value(word)


def _value(value: object) -> str:
    """TOML of a plain value. JSON's escapes are TOML's, but for DEL, which TOML wants escaped."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(str(key))} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, Sequence):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    raise TypeError(f"no TOML for {type(value).__name__}")


def _write_durably(path: Path, content: bytes) -> None:
    """Write a private temporary file, sync it, rename it into place, sync the directory. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Bring the names in a directory to the device. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
