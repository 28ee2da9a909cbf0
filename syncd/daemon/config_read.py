"""From raw TOML tables to checked values: types, unknown keys, defaults, where each value came from.

Every problem is collected, none stops the reading. No file is opened here.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from syncd.daemon.config_keys import DAEMON_KEYS, NAME_PATTERN, PAIR_KEYS, PAIR_TABLES, Key
from syncd.daemon.config_model import ConfigProblem
from syncd.daemon.config_text import KeyPath

_NAME = re.compile(NAME_PATTERN)
_TOP = ("daemon", "defaults", "pair")


class Source(msgspec.Struct, frozen=True):
    """One parsed file. Only the main file may hold `daemon` and `defaults`."""

    name: str
    tables: dict[str, Any]
    lines: Mapping[KeyPath, int]
    is_main: bool = True

    def line(self, path: KeyPath) -> int:
        """The line of a key, or of the nearest table around it that has one."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)

    def problem(self, path: KeyPath, message: str, hint: str = "") -> ConfigProblem:
        return ConfigProblem(self.name, self.line(path), ".".join(path), message, hint)


class Value(msgspec.Struct, frozen=True):
    """A read value and where it stands."""

    value: Any
    source: Source
    path: KeyPath

    @property
    def origin(self) -> str:
        return f"{self.source.name}:{self.source.line(self.path)}"


class RawPair(msgspec.Struct, frozen=True):
    """The keys that one pair's own table gives."""

    name: str
    values: dict[str, Value]
    source: Source

    def problem(self, key: str, message: str, hint: str = "") -> ConfigProblem:
        """A problem at the line that gave `key` (which may be a line of the defaults)."""
        value = self.values.get(key)
        if value is not None:
            return value.source.problem(value.path, message, hint)
        return self.source.problem(("pair", self.name, *key.split(".")), message, hint)


def nearest(word: str, valid: Iterable[str]) -> str:
    """The hint after an unknown key: the likely one, else all of them."""
    words = sorted(valid)
    likely = closest(word, words)
    return f"did you mean {likely!r}?" if likely else f"valid here: {', '.join(words)}"


def closest(word: str, valid: Iterable[str]) -> str | None:
    """The valid word that was probably meant."""
    return next(iter(difflib.get_close_matches(word, sorted(valid), n=1, cutoff=0.6)), None)


def unknown_tables(source: Source) -> Iterator[ConfigProblem]:
    """Top-level keys that a file may not have."""
    for key in source.tables:
        if key not in _TOP:
            yield source.problem((key,), "unknown key", nearest(key, _TOP))
        elif not source.is_main and key != "pair":
            yield source.problem(
                (key,), "only the main file may hold this table", "files of pairs.d hold [pair.NAME]"
            )


def read_daemon(source: Source, problems: list[ConfigProblem]) -> dict[str, Value]:
    return _read_table(source, ("daemon",), source.tables.get("daemon", {}), DAEMON_KEYS, (), problems)


def read_defaults(source: Source, problems: list[ConfigProblem]) -> dict[str, Value]:
    values = _read_table(
        source, ("defaults",), source.tables.get("defaults", {}), PAIR_KEYS, PAIR_TABLES, problems
    )
    problems.extend(
        source.problem(("defaults", key), "a root cannot have a default")
        for key in ("source", "destination")
        if key in values
    )
    return values


def read_pairs(source: Source, problems: list[ConfigProblem]) -> list[RawPair]:
    """The pairs of one file. A pair with a name that cannot be one is left out."""
    table = source.tables.get("pair", {})
    if not isinstance(table, dict):
        problems.append(source.problem(("pair",), "expected a table", "write [pair.NAME]"))
        return []
    pairs = []
    for name, content in table.items():
        path = ("pair", name)
        if not isinstance(content, dict):
            problems.append(source.problem(path, "expected a table", "write [pair.NAME]"))
            continue
        if not _NAME.match(name):
            problems.append(
                source.problem(
                    path, f"{name!r} cannot name a pair", "use letters, digits, '.', '_' and '-', at most 64"
                )
            )
        pairs.append(
            RawPair(name, _read_table(source, path, content, PAIR_KEYS, PAIR_TABLES, problems), source)
        )
    return pairs


def _read_table(
    source: Source,
    path: KeyPath,
    table: object,
    keys: Mapping[str, Key],
    inner: Iterable[str],
    problems: list[ConfigProblem],
    prefix: str = "",
) -> dict[str, Value]:
    """Read one table; the tables named by `inner` are read into dotted keys."""
    if not isinstance(table, dict):
        problems.append(source.problem(path, "expected a table"))
        return {}
    values: dict[str, Value] = {}
    for word, raw in table.items():
        here = (*path, word)
        if word in inner:
            values.update(_read_table(source, here, raw, keys, (), problems, prefix=f"{word}."))
            continue
        key = keys.get(prefix + word)
        if key is None or (not prefix and "." in word):
            valid = {name.removeprefix(prefix).partition(".")[0] for name in keys if name.startswith(prefix)}
            problems.append(source.problem(here, "unknown key", nearest(word, valid)))
            continue
        try:
            values[key.name] = Value(key.read(raw), source, here)
        except ValueError as error:
            problems.append(source.problem(here, str(error)))
    return values
