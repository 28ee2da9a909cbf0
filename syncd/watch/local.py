"""The watcher of a local directory: generations of watches, and polling between them where need be.

The policy of loss lives here: what each end of a generation means for the pair, and what follows it.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

import anyio
import anyio.to_thread
from anyio.abc import TaskStatus

from syncd.core.reason import Reason
from syncd.watch.cookie import prepare_blocking
from syncd.watch.cover import Cover, is_nameable, survey_blocking
from syncd.watch.generation import End, Generation, suspect_directory
from syncd.watch.notify import pace_for
from syncd.watch.poll import Spacing, poll_root
from syncd.watch.port import Deliver, Event, Rescan
from syncd.watch.pump import Host, Threads
from syncd.watch.root import WatchedRoot, identify

EVENTS_KIND: Final = "fsevents" if sys.platform == "darwin" else "inotify"
RETRY_S: Final = 600.0
"""After falling back to polling, real watches are tried again this often."""
MISSING_S: Final = 1.0
STABLE_S: Final = 30.0
BACKOFF_S: Final = 0.25
BACKOFF_LONGEST_S: Final = 60.0
LENIENT_AFTER: Final = 3
"""So many restarts in a row, and directories that cannot be watched are skipped: they churn too fast."""
SUSPECTS_MOST: Final = 1024
VERIFY_S: Final = 900.0


def _drop(_events: Sequence[Event]) -> None:
    """Nobody listens yet."""


def _nothing() -> None:
    """Nobody waits for the start yet."""


class LocalWatcher:
    """See `Watcher`. File systems mounted beneath the root are entered only with `cross_mounts`. Without a
    `host` the watches are kept by threads of this process."""

    def __init__(
        self,
        root: bytes,
        *,
        settle_s: float,
        is_written: bool,
        control: bytes,
        poll_s: float,
        cross_mounts: bool = False,
        host: Host | None = None,
        verify_s: float = VERIFY_S,
        retry_s: float = RETRY_S,
    ) -> None:
        self.kind = EVENTS_KIND
        self.is_alive = False
        self.watched = 0
        self.problem: Reason | None = None
        self.detail = ""
        self._root = root
        self._pace = pace_for(settle_s)
        self.delay_s = self._pace.delay_s
        self._is_written = is_written
        self._control = control
        self._cross_mounts = cross_mounts
        self._host = host or Threads()
        self._verify_s = verify_s
        self._retry_s = retry_s
        self._spacing = Spacing(poll_s)
        self._generation: Generation | None = None
        self._suspects: set[bytes] = set()
        self._failures = 0
        self._has_begun = False
        self._deliver: Deliver = _drop
        self._begin: Callable[[], None] = _nothing

    async def run(
        self, deliver: Deliver, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """See `Watcher.run`."""
        self._deliver = deliver
        self._begin = task_status.started
        self._has_begun = False
        try:
            while True:
                root = await self._find_root()
                began = time.monotonic()
                end = await self._watch(root)
                if time.monotonic() - began > STABLE_S:
                    self._failures = 0
                await self._follow(end)
        finally:
            self.is_alive = False
            self.watched = 0

    async def cookie(self, timeout_s: float) -> bool:
        """See `Watcher.cookie`."""
        generation = self._generation
        if generation is None or not self._is_written:
            return False
        return bool(await generation.send_cookie(timeout_s))

    def scanned(self, cost_s: float) -> None:
        """See `Watcher.scanned`."""
        self._spacing.note(cost_s)

    def _started(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._begin()

    async def _find_root(self) -> WatchedRoot:
        """Wait for the root to be there. Its absence is told once."""
        while True:
            root = await identify(self._root)
            if root is not None:
                return root
            if self.problem is not Reason.ROOT_MISSING:
                self._tell_root_missing()
            self._started()
            await anyio.sleep(MISSING_S)

    def _tell_root_missing(self) -> None:
        self.problem, self.detail = Reason.ROOT_MISSING, Reason.ROOT_MISSING.explanation
        self._deliver((Rescan(b"", Reason.ROOT_MISSING),))

    async def _watch(self, root: WatchedRoot) -> End:
        """Run one generation to its end."""
        if not is_nameable(os.fsdecode(root.real)):
            self.detail = "the root's own path is not UTF-8"
            return End.UNSUPPORTED
        device = None if self._cross_mounts else root.device
        suspects = frozenset(self._suspects)
        cover = await anyio.to_thread.run_sync(survey_blocking, root.real, device, suspects)
        has_cookies = self._is_written and await anyio.to_thread.run_sync(
            prepare_blocking, root, self._control
        )
        self._generation = Generation(
            root,
            self._root,
            cover,
            device=device,
            pace=self._pace,
            host=self._host,
            deliver=self._deliver,
            control=self._control,
            has_cookies=has_cookies,
            is_lenient=self._failures > LENIENT_AFTER,
        )
        try:
            return await self._attend(self._generation, cover)
        finally:
            self._generation = None
            self.is_alive = False
            self.watched = 0

    async def _attend(self, generation: Generation, cover: Cover) -> End:
        ends: list[End] = []

        async def keep(*, task_status: TaskStatus[bool]) -> None:
            ends.append(await generation.run(task_status=task_status))
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            if await tasks.start(keep):
                self._show_alive(cover)
                if self._has_begun:
                    self._deliver((Rescan(b"", Reason.WATCH_LOST),))
                self._started()
                if self._is_written:
                    tasks.start_soon(generation.verify, self._verify_s)
        self._note_failure(generation.failure, ends[0], cover.directories)
        return ends[0]

    def _show_alive(self, cover: Cover) -> None:
        self.kind = EVENTS_KIND
        self.is_alive = True
        self.problem = None
        self.detail = ""
        self.watched = cover.directories - len(cover.polled) - len(cover.unreadable)
        if cover.polled:
            self.detail = f"{len(cover.polled)} directories with names that are not UTF-8 are polled"

    def _note_failure(self, failure: Exception | None, end: End, directories: int) -> None:
        if failure is None:
            self.detail = end.value
            return
        suspect = suspect_directory(failure)
        if suspect is not None and len(self._suspects) < SUSPECTS_MOST:
            self._suspects.add(suspect)
        self.detail = limit_fix(end, directories) or f"{end.value}: {failure}"

    async def _follow(self, end: End) -> None:
        """What comes after a generation."""
        if end is End.ROOT_LOST:
            self._tell_root_missing()
        elif end in (End.WATCHES, End.INSTANCES, End.UNSUPPORTED):
            await self._poll(Reason.WATCH_UNSUPPORTED if end is End.UNSUPPORTED else Reason.WATCH_LIMIT)
        else:
            self.problem = Reason.WATCH_LOST
            delay_s = backoff_s(self._failures)
            self._failures += 1
            await anyio.sleep(delay_s)

    async def _poll(self, reason: Reason) -> None:
        self.kind = "poll"
        self.is_alive = True
        self.problem = reason
        if self._has_begun:
            self._deliver((Rescan(b"", reason),))
        self._started()
        with anyio.move_on_after(self._retry_s):
            await poll_root(self._root, self._deliver, reason, self._spacing)
        self.is_alive = False


def backoff_s(failures: int) -> float:
    """The pause after so many short-lived generations in a row: none after the first."""
    return min(BACKOFF_LONGEST_S, BACKOFF_S * 2 ** min(failures, 16)) if failures else 0.0


def limit_fix(end: End, directories: int) -> str:
    """The line that mends a limit, with this machine's figures. Empty for other ends."""
    if end is End.WATCHES:
        have = _limit("max_user_watches")  # 0: /proc/sys is hidden by the sandbox
        need = 1 << max(20, (have + 2 * directories).bit_length())
        return (
            f"{directories} directories to watch, {have or 'too few'} watches allowed to this user in all: "
            f"sysctl fs.inotify.max_user_watches={need}"
        )
    if end is End.INSTANCES:
        have = _limit("max_user_instances")
        return (
            f"{have or 'too few'} inotify instances allowed to this user: "
            f"sysctl fs.inotify.max_user_instances={max(1024, 2 * have)} (or raise LimitNOFILE)"
        )
    return ""


def _limit(name: str) -> int:
    try:
        with open(f"/proc/sys/fs/inotify/{name}", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0
