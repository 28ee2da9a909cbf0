"""Read, check and write the configuration: `load_config`, `adhoc_pair`, `store_pair`, `config_schema`.

Files are the only desired state. Loading parses everything and reports all problems at once; it has no
side effects. Blocking: call it from a worker thread inside the daemon.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from syncd.core.entry import Side
from syncd.core.mode import Mode
from syncd.core.rules import Initial, Policy
from syncd.daemon.config_files import LAST_GOOD, offer_last_good, parse_file, read_files
from syncd.daemon.config_keys import DAEMON_KEYS, PAIR_KEYS, config_schema
from syncd.daemon.config_model import (
    Config,
    ConfigFile,
    ConfigInvalid,
    ConfigProblem,
    DaemonConfig,
    Hooks,
    MaxDelete,
    PairConfig,
    TrashConfig,
)
from syncd.daemon.config_read import (
    RawPair,
    Source,
    Value,
    closest,
    read_daemon,
    read_defaults,
    read_pairs,
    unknown_tables,
)
from syncd.daemon.config_roots import check_roots, local_path
from syncd.daemon.paths import DefaultPaths, default_paths, roots_key

__all__ = [
    "Config",
    "ConfigFile",
    "ConfigInvalid",
    "ConfigProblem",
    "DaemonConfig",
    "Hooks",
    "MaxDelete",
    "PairConfig",
    "TrashConfig",
    "adhoc_pair",
    "config_schema",
    "load_config",
    "read_files",
    "warnings",
]


def load_config(
    path: Path | None,
    *,
    is_system: bool,
    env: Mapping[str, str],
    socket: Path | None = None,
    state_dir: Path | None = None,
    overlay: Mapping[Path, bytes | None] | None = None,
) -> Config:
    """Read the main file (`path`, or the default one) and `pairs.d/*.toml` beside it.

    `socket` and `state_dir` are flags and win over the files, which win over the environment. Without a
    `path` a missing main file is no error: there may be no pairs yet. `overlay` replaces (or with None
    hides) files, to check a change before it is written. Raises ConfigInvalid with everything wrong.
    """
    places = default_paths(is_system=is_system, env=env)
    main = path if path is not None else places.config
    problems: list[ConfigProblem] = []
    files = read_files(main, is_required=path is not None, overlay=overlay or {}, problems=problems)
    parsed = [parse_file(file, main, problems) for file in files]
    sources = [source for source in parsed if source is not None]
    for source in sources:
        problems.extend(unknown_tables(source))
    daemon = _daemon(sources, places, env, socket, state_dir, problems)
    pairs = _pairs(sources, env, problems)
    _check_root_problems(pairs, daemon.state_dir, problems)
    if problems:
        kept = daemon.state_dir / LAST_GOOD
        raise ConfigInvalid(tuple(sorted({offer_last_good(problem, main, kept) for problem in problems})))
    return Config(daemon, tuple(sorted((pair for pair, _ in pairs), key=_name)), main, tuple(files))


def _daemon(
    sources: Sequence[Source],
    places: DefaultPaths,
    env: Mapping[str, str],
    socket: Path | None,
    state_dir: Path | None,
    problems: list[ConfigProblem],
) -> DaemonConfig:
    """The daemon's settings: flag, then file, then environment, then default."""
    values: dict[str, Value] = {}
    for source in sources:
        if source.is_main:
            values = read_daemon(source, problems)
    origins = {key: values[key].origin if key in values else "default" for key in DAEMON_KEYS}
    found: dict[str, Path] = {"socket": places.socket, "state_dir": places.state_dir}
    if env.get("SYNCD_SOCKET"):
        found["socket"], origins["socket"] = Path(env["SYNCD_SOCKET"]), "environment"
    for key in found:
        if key in values:
            value = values[key]
            try:
                found[key], origins[key] = Path(local_path(value.value, env)), value.origin
            except ValueError as error:
                problems.append(value.source.problem(value.path, str(error)))
    for key, flag in (("socket", socket), ("state_dir", state_dir)):
        if flag is not None:
            found[key], origins[key] = flag.absolute(), "command line"
    rest = {key: values[key].value for key in ("log_level", "log_format", "metrics") if key in values}
    return DaemonConfig(found["socket"], found["state_dir"], **rest, origins=origins)


def _pairs(
    sources: Sequence[Source], env: Mapping[str, str], problems: list[ConfigProblem]
) -> list[tuple[PairConfig, RawPair]]:
    defaults: dict[str, Value] = {}
    for source in sources:
        if source.is_main:
            defaults = read_defaults(source, problems)
    first: dict[str, RawPair] = {}
    pairs = []
    for raw in (raw for source in sources for raw in read_pairs(source, problems)):
        earlier = first.setdefault(raw.name, raw)
        if earlier is not raw:
            place = f"{earlier.source.name}:{earlier.source.line(('pair', raw.name))}"
            problems.append(
                raw.source.problem(
                    ("pair", raw.name), f"a pair {raw.name!r} is already at {place}", "rename one"
                )
            )
            continue
        pair = _pair(raw, defaults, env, problems)
        if pair is not None:
            pairs.append((pair, raw))
    return pairs


def _pair(
    raw: RawPair, defaults: Mapping[str, Value], env: Mapping[str, str], problems: list[ConfigProblem]
) -> PairConfig | None:
    """The effective pair, or None when a root is missing or wrong."""
    roots: dict[str, str] = {}
    for side in Side:
        value = raw.values.get(side.word)
        given = raw.source.tables["pair"][raw.name]
        if value is None:
            if side.word not in given and not _is_misspelt(side.word, given):
                problems.append(
                    raw.problem(side.word, f"the pair has no {side.word}", f'add {side.word} = "/PATH"')
                )
            continue
        try:
            roots[side.word] = local_path(value.value, env)
        except ValueError as error:
            problems.append(raw.problem(side.word, str(error)))
    if len(roots) < 2:
        return None
    values = {**defaults, **raw.values}
    origins = {key: values[key].origin if key in values else "default" for key in PAIR_KEYS}
    settings = {key: value.value for key, value in values.items() if key not in roots}
    pair = build_pair(raw.name, roots["source"], roots["destination"], raw.name, settings, origins)
    if (
        "pull_destination_changes" in raw.values
        and pair.pull_destination_changes
        and not _may_pull(pair.mode)
    ):
        problems.append(
            raw.problem(
                "pull_destination_changes",
                f"mode {pair.mode.value} has no such choice",
                "only source-backup has",
            )
        )
    return pair


def _is_misspelt(word: str, given: Iterable[str]) -> bool:
    """An unknown key that was meant to be `word` has been told already."""
    return any(closest(key, PAIR_KEYS) == word for key in given if key not in PAIR_KEYS)


def _may_pull(mode: Mode) -> bool:
    return mode.is_backup and mode.authority is Side.SOURCE


def build_pair(
    name: str,
    source: str,
    destination: str,
    key: str,
    settings: Mapping[str, Any],
    origins: Mapping[str, str],
) -> PairConfig:
    """Put read values (dotted keys of PAIR_KEYS) over the built-in defaults."""
    of = {row.name: settings.get(row.name, row.default) for row in PAIR_KEYS.values()}
    return PairConfig(
        name=name,
        source=source,
        destination=destination,
        key=key,
        mode=of["mode"],
        conflict=of["conflict"],
        initial=of["initial"],
        ignore=of["ignore"],
        settle_s=of["settle"],
        rescan_s=of["rescan"],
        poll_s=of["poll"],
        max_delete=MaxDelete(
            of["max_delete.files"],
            of["max_delete.percent"],
            of["max_delete.absolute"],
            of["max_delete.bytes_percent"],
        ),
        owner=of["owner"],
        cross_mounts=of["cross_mounts"],
        initial_compare=of["initial_compare"],
        trash=TrashConfig(of["trash.keep"], of["trash.max_size"]),
        hooks=Hooks(of["hooks.on_conflict"], of["hooks.on_held"], of["hooks.post_batch"]),
        paused=of["paused"],
        pull_destination_changes=of["pull_destination_changes"],
        origins=origins,
    )


def _name(pair: PairConfig) -> str:
    return pair.name


def _check_root_problems(
    pairs: Sequence[tuple[PairConfig, RawPair]], state_dir: Path, problems: list[ConfigProblem]
) -> None:
    raws = {pair.name: raw for pair, raw in pairs}
    problems.extend(
        raws[found.pair.name].problem(found.side.word, found.message, found.hint)
        for found in check_roots([pair for pair, _ in pairs], state_dir)
    )


def adhoc_pair(
    source: str,
    destination: str,
    *,
    env: Mapping[str, str],
    state_dir: Path,
    mode: Mode | None = None,
    conflict: Policy | None = None,
    initial: Initial | None = None,
    ignore: Sequence[str] = (),
    settle_s: float | None = None,
) -> PairConfig:
    """The pair of `syncd sync SOURCE DESTINATION`: relative paths count from the working directory.

    Its state key is a digest of the canonical roots. Raises ConfigInvalid.
    """
    problems: list[ConfigProblem] = []
    roots = []
    for word, text in (("SOURCE", source), ("DESTINATION", destination)):
        try:
            is_place = "://" in text or text.startswith("~")
            roots.append(local_path(text if is_place else str(Path(text).absolute()), env))
        except ValueError as error:
            problems.append(ConfigProblem("command line", 0, word, str(error)))
    if problems:
        raise ConfigInvalid(tuple(problems))
    given = {"mode": mode, "conflict": conflict, "initial": initial, "settle": settle_s}
    settings: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if ignore:
        settings["ignore"] = tuple(ignore)
    origins = {key: "command line" if key in settings else "default" for key in PAIR_KEYS}
    origins["source"] = origins["destination"] = "command line"
    pair = build_pair("sync", roots[0], roots[1], roots_key(*roots), settings, origins)
    problems = [
        ConfigProblem("command line", 0, found.side.word.upper(), found.message, found.hint)
        for found in check_roots([pair], state_dir)
    ]
    if problems:
        raise ConfigInvalid(tuple(problems))
    return pair


def warnings(config: Config) -> tuple[ConfigProblem, ...]:
    """What `check-config` mentions though the daemon starts: roots that are not there, loose files."""
    found = []
    for pair in config.pairs:
        for side in Side:
            root = getattr(pair, side.word)
            if not Path(root).is_dir():
                message = f"{root} is not there; the pair waits (root-missing) until it is"
                found.append(_remark(pair, side.word, message))
        if pair.initial is not None and not pair.mode.is_bidirectional:
            message = f"has no effect: mode {pair.mode.value} follows its own table at the first sync"
            found.append(_remark(pair, "initial", message))
    for read in config.files:
        try:
            is_loose = read.path.stat().st_mode & 0o002
        except OSError:
            continue
        if is_loose:
            message = "every user may change this file, and with it the commands of hooks"
            found.append(ConfigProblem(str(read.path), 0, "", message, f"chmod o-w {read.path}"))
    return tuple(found)


def _remark(pair: PairConfig, key: str, message: str) -> ConfigProblem:
    """At the line where `key` was written."""
    file, _, line = pair.origins.get(key, "").rpartition(":")
    return ConfigProblem(file, int(line) if line.isdecimal() else 0, f"pair.{pair.name}.{key}", message)
