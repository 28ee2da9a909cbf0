"""What the engine needs to know of a pair and of the world around it.

The daemon builds these from its configuration; the engine never reads one. May import core and tree only.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from syncd.core.entry import Side
from syncd.core.guard import Brake
from syncd.core.mode import Mode
from syncd.core.rules import Initial, Policy


class PairSettings(msgspec.Struct, frozen=True):
    """One pair as the engine sees it. Sizes in bytes, durations in seconds."""

    name: str
    mode: Mode = Mode.TWO_WAY
    policy: Policy = Policy.NEWEST_WINS
    initial: Initial | None = None
    """None: the user gave no preference, so the risk of a first run is reviewed."""
    ignore: tuple[str, ...] = ()
    brake: Brake = Brake()
    compares_content: bool = False
    pulls_destination_changes: bool = False
    trash_keep_s: float = 30 * 86400
    trash_max_bytes: int | None = None
    approves_holds: bool = False
    """`--yes`: the brake and a first run go ahead. Never a missing, changed or foreign root."""
    host: str = "host"
    workers: int = 14
    """Batches of file content that are under way at once."""

    def writes(self, side: Side) -> bool:
        """May anything be put at `side`?"""
        return self.mode.may_write(side) or (self.pulls_destination_changes and side is Side.SOURCE)


class Clock(Protocol):
    """Wall time in ns for records and conflict rules, monotonic time in ns for deadlines."""

    def now_ns(self) -> int: ...
    def monotonic_ns(self) -> int: ...


class Publish(Protocol):
    """Tell whoever follows: `kind` is `noun.verb_past`."""

    def __call__(self, kind: str, path: bytes | None = None, /, **data: object) -> None: ...


class World(msgspec.Struct, frozen=True):
    """The ports that the composition root hands in: time, names, listeners."""

    clock: Clock
    new_id: Callable[[], str]
    """A fresh name for a batch or a record: sortable by time, unguessable."""
    publish: Publish


class Extent(NamedTuple):
    """How much: files and their bytes."""

    files: int
    bytes: int


SCANNING, SYNCING = "scanning", "syncing"


class Progress(msgspec.Struct):
    """How far the current phase is; read by status, written by the engine."""

    phase: str = ""
    done: int = 0
    total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    current: bytes = b""


BOTH = (Side.SOURCE, Side.DESTINATION)
