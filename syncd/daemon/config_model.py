"""What a configuration is once it has been read: frozen values with real units, and what can be wrong.

No reading and no checking here; `config.py` does that and re-exports these names.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from syncd.core.entry import Side
from syncd.core.error import SyncdError
from syncd.core.mode import Mode
from syncd.core.reason import Reason
from syncd.core.rules import Initial, Policy


class MaxDelete(msgspec.Struct, frozen=True):
    """The brake: `files` together with `percent` (of the files) or `bytes_percent`, or `absolute` alone."""

    files: int = 20
    percent: float = 25.0
    absolute: int | None = None
    bytes_percent: float = 50.0


class TrashConfig(msgspec.Struct, frozen=True):
    """How long, and up to how many bytes (None: no limit), displaced content is kept on each side."""

    keep_s: float = 30 * 86400.0
    max_bytes: int | None = 10 * 1024**3


class Hooks(msgspec.Struct, frozen=True):
    """Commands as argument vectors; empty: none."""

    on_conflict: tuple[str, ...] = ()
    on_held: tuple[str, ...] = ()
    post_batch: tuple[str, ...] = ()


class PairConfig(msgspec.Struct, frozen=True):
    """One pair with its effective settings.

    `source` and `destination` are absolute paths as they were written (not resolved). `rescan_s` is None
    for "never"; `initial` is None when nobody chose. `key` names the state directory: the pair's name, or
    a digest of the canonical roots for a pair without a configuration file. `origins` tells per dotted key
    where its value came from: "FILE:LINE", "command line" or "default".
    """

    name: str
    source: str
    destination: str
    key: str
    mode: Mode = Mode.TWO_WAY
    conflict: Policy = Policy.NEWEST_WINS
    initial: Initial | None = None
    ignore: tuple[str, ...] = ()
    settle_s: float = 0.3
    rescan_s: float | None = 900.0
    poll_s: float = 300.0
    max_delete: MaxDelete = MaxDelete()
    owner: str = "parent"
    cross_mounts: bool = False
    initial_compare: str = "auto"
    trash: TrashConfig = TrashConfig()
    hooks: Hooks = Hooks()
    paused: bool = False
    pull_destination_changes: bool = False
    origins: Mapping[str, str] = {}

    def writes(self, side: Side) -> bool:
        """May syncd put anything at `side`?"""
        return self.mode.may_write(side) or (self.pull_destination_changes and side is Side.SOURCE)

    def is_same(self, other: "PairConfig") -> bool:
        """Equal settings, wherever they were written: such a pair is left alone by a reload."""
        return msgspec.structs.replace(self, origins={}) == msgspec.structs.replace(other, origins={})


class DaemonConfig(msgspec.Struct, frozen=True):
    """The daemon's own settings, flags and environment applied."""

    socket: Path
    state_dir: Path
    log_level: str = "info"
    log_format: str = "auto"
    metrics: str = "off"
    origins: Mapping[str, str] = {}


class ConfigFile(msgspec.Struct, frozen=True):
    """One file as it was read."""

    path: Path
    content: bytes


class Config(msgspec.Struct, frozen=True):
    """A whole configuration that passed every check. Pairs are sorted by name."""

    daemon: DaemonConfig
    pairs: tuple[PairConfig, ...]
    path: Path
    """The main file, whether it exists or not; `pairs.d` lies beside it."""
    files: tuple[ConfigFile, ...] = ()

    def pair(self, name: str) -> PairConfig | None:
        return next((pair for pair in self.pairs if pair.name == name), None)


class ConfigProblem(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong. `line` is 0 where a file as a whole is meant."""

    file: str
    line: int
    key: str
    message: str
    hint: str = ""

    def render(self) -> str:
        """`FILE:LINE: key: message (hint)` in one line."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        parts = [part for part in (place, self.key, self.message) if part]
        return ": ".join(parts) + (f" ({self.hint})" if self.hint else "")


class ConfigInvalid(SyncdError):
    """Everything that is wrong with a configuration, at once. Nothing of it was applied."""

    def __init__(self, problems: tuple[ConfigProblem, ...]) -> None:
        super().__init__(Reason.CONFIG_INVALID, "\n".join(problem.render() for problem in problems))
        self.problems = problems
