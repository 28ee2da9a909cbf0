"""Polling, for where events are not to be had: how often, of what, and the watcher that only polls."""

import os
import stat
from typing import Final

import anyio
import anyio.lowlevel
from anyio.abc import TaskStatus

from syncd.core.reason import Reason
from syncd.watch.port import Deliver, Rescan
from syncd.watch.root import identify

LONGEST_S: Final = 60.0
DUTY: Final = 50
"""A poll may cost one part in so many of the time."""

Row = tuple[str, bool, int, int, int, int]
"""Name, is it a directory, inode, size, mtime and ctime."""
Signature = tuple[Row, ...]


class Spacing:
    """The time between two polls: `DUTY` times what one costs, while nobody tells it a growing one."""

    def __init__(self, shortest_s: float) -> None:
        self._shortest_s = min(shortest_s, LONGEST_S)
        self._is_told = False
        self.interval_s = self._shortest_s

    def note(self, cost_s: float) -> None:
        self._is_told = True
        self.interval_s = min(LONGEST_S, max(self._shortest_s, cost_s * DUTY))

    def advance(self) -> None:
        """A poll was asked for; without a known cost the next one waits longer."""
        if not self._is_told:
            self.interval_s = min(LONGEST_S, self.interval_s * 1.5)


async def poll_root(
    root: bytes, deliver: Deliver, reason: Reason, spacing: Spacing, *, is_root_there: bool = True
) -> None:
    """Ask for a scan of the whole tree again and again; say once when the root is gone."""
    while True:
        await anyio.sleep(spacing.interval_s)
        found = await identify(root)
        if found is not None:
            deliver((Rescan(b"", reason),))
            spacing.advance()
        elif is_root_there:
            deliver((Rescan(b"", Reason.ROOT_MISSING),))
        is_root_there = found is not None


def signature_blocking(directory: bytes) -> Signature:
    """What tells whether anything directly in `directory` changed. Empty when it cannot be read."""
    rows = []
    try:
        with os.scandir(os.fsdecode(directory)) as entries:
            for entry in entries:
                found = entry.stat(follow_symlinks=False)
                is_directory = stat.S_ISDIR(found.st_mode)
                what = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
                rows.append((entry.name, is_directory, *what))
    except OSError:
        return ()
    rows.sort()
    return tuple(rows)


def directories_of(signature: Signature) -> set[tuple[str, int]]:
    """Names and inodes of the directories. One that was made anew under its name is another one."""
    return {(name, inode) for name, is_directory, inode, *_ in signature if is_directory}


class PollWatcher:
    """Watches nothing and asks for scans, for file systems that report no events."""

    kind = "poll"

    def __init__(self, root: bytes, *, poll_s: float) -> None:
        self.is_alive = False
        self.watched = 0
        self.problem: Reason | None = Reason.WATCH_UNSUPPORTED
        self.detail = Reason.WATCH_UNSUPPORTED.explanation
        self.delay_s = 0.0
        self._root = root
        self._spacing = Spacing(poll_s)

    async def run(
        self, deliver: Deliver, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        self.is_alive = True
        task_status.started()
        try:
            await poll_root(self._root, deliver, Reason.WATCH_UNSUPPORTED, self._spacing)
        finally:
            self.is_alive = False

    async def cookie(self, timeout_s: float) -> bool:  # noqa: ARG002
        await anyio.lowlevel.checkpoint()
        return False

    def scanned(self, cost_s: float) -> None:
        self._spacing.note(cost_s)
