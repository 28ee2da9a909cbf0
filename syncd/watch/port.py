"""The port of a watcher: what a pair asks of whatever notices changes of one local tree.

A watcher only says where to look; it is never believed about what happened. It may miss events, so every
loss that it knows of becomes a `Rescan`, and the scheduled rescan of the pair finds the others. Neither the
index nor a tree implementation may be imported here.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import anyio
import msgspec
from anyio.abc import TaskStatus

from syncd.core.reason import Reason


class Dirty(msgspec.Struct, frozen=True, gc=False, tag="dirty"):
    """Something happened at `path` (relative to the root). `is_gone`: the last event was a removal."""

    path: bytes
    is_gone: bool


class Rescan(msgspec.Struct, frozen=True, gc=False, tag="rescan"):
    """The subtree at `path` must be scanned, and scanned again until a pass finds nothing new.

    `reason` is ADDED for a directory that appeared, ROOT_MISSING when the root went away (or is another
    directory than before), WATCH_LOST after any loss of events, WATCH_LIMIT or WATCH_UNSUPPORTED when a
    poll is due.
    """

    path: bytes
    reason: Reason


Event = Dirty | Rescan
Deliver = Callable[[Sequence[Event]], None]


class HasEvents(Protocol):
    """The one capability of a tree that picks the kind of watcher (`tree.port.Capabilities` fits)."""

    @property
    def has_events(self) -> bool: ...


class Watcher(Protocol):
    """Watches one tree. The attributes are for `status` and may be read at any time.

    `kind` is "inotify", "fsevents", "poll" or "fake", and changes with the fallback. `watched` counts the
    directories last known to be watched (0 when polling). `problem` and `detail` say why events are not
    to be had, with the exact line that mends it. `delay_s` is how old an event usually is when it is
    delivered: it has been quiet for as long already.
    """

    kind: str
    is_alive: bool
    watched: int
    problem: Reason | None
    detail: str
    delay_s: float

    async def run(
        self, deliver: Deliver, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Watch until cancelled. `started()` once the watches are in place. `deliver` is called in the
        event loop and must not block. Never raises for trouble with watching: it degrades to polling."""

    async def cookie(self, timeout_s: float) -> bool:
        """Send a marker through the watcher: True once it came back, so that all that happened before the
        call has been delivered. False when it did not within `timeout_s`, or when the tree is not written
        by syncd or is polled."""

    def scanned(self, cost_s: float) -> None:
        """Tell how long a scan of the whole tree took. A polling watcher spaces its polls by it; the others
        note it for the case that they fall back to polling."""
