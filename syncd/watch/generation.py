"""One set of watches over one root, from the survey until something ends it.

A generation never mends itself: whatever it cannot follow ends it with a word, and the watcher begins the
next one and asks for a scan. Only new directories beside trouble are taken in while it runs.
"""

import enum
import os
import re
import time

import anyio
import anyio.to_thread
from anyio.abc import TaskStatus
from watchfiles._rust_notify import RustNotify

from syncd.core.reason import Reason
from syncd.watch.cookie import Cookies, send_blocking
from syncd.watch.cover import Cover, survey_blocking, unknown_blocking
from syncd.watch.notify import Pace
from syncd.watch.poll import DUTY, Signature, directories_of, signature_blocking
from syncd.watch.port import Deliver, Event, Rescan
from syncd.watch.pump import Host, Pump, WatchingEnded
from syncd.watch.root import CHECK_S, WatchedRoot, identify
from syncd.watch.translate import Batch

RESEND_S = 1.0
VERIFY_TIMEOUT_S = 10.0
VERIFY_MISSES = 3
NAMES_SHORTEST_S = 1.0
NAMES_LONGEST_S = 30.0
FRESH_NS = 50_000_000
"""A change this young may be followed by another with the same time stamp."""


class End(enum.Enum):
    """Why a generation ended."""

    ROOT_LOST = "the root is gone, or another directory"
    EVENTS_LOST = "events were lost"
    NAME = "a name that is not UTF-8 stopped the watcher"
    VANISHED = "a directory could not be watched any more"
    REFRESH = "the tree is to be watched differently"
    WATCHES = "no more watches"
    INSTANCES = "no more instances"
    UNSUPPORTED = "no events to be had"


def classify(failure: Exception, *, was_watching: bool) -> End:
    """watchfiles tells causes by text only; these were collected from 1.3 on Linux."""
    if isinstance(failure, WatchingEnded):
        return End.EVENTS_LOST
    text = str(failure)
    if "watch limit" in text or "os error 28" in text:
        return End.WATCHES
    if "os error 24" in text or "os error 23" in text:
        return End.INSTANCES
    if "decode path" in text:
        return End.NAME
    if was_watching:
        return End.EVENTS_LOST
    if isinstance(failure, FileNotFoundError | PermissionError | NotADirectoryError):
        return End.VANISHED
    return End.UNSUPPORTED


def suspect_directory(failure: Exception) -> bytes | None:
    """The directory of the name that could not be decoded, if the message tells it unescaped."""
    found = re.search(r'decode path "(/[^"\\]*)/', str(failure))
    return os.fsencode(found.group(1)) if found else None


class Generation:
    """Pumps over `cover`. `failure` holds what watchfiles said at the end."""

    def __init__(
        self,
        root: WatchedRoot,
        name: bytes,
        cover: Cover,
        *,
        device: int | None,
        pace: Pace,
        host: Host,
        deliver: Deliver,
        control: bytes,
        has_cookies: bool,
        is_lenient: bool,
    ) -> None:
        self.failure: Exception | None = None
        self._root = root
        self._name = name
        self._cover = cover
        self._device = device
        self._pace = pace
        self._host = host
        self._deliver = deliver
        self._control = control
        self._has_cookies = has_cookies
        self._is_lenient = is_lenient
        self._cookies = Cookies()
        self._pumps: dict[int, Pump] = {}
        self._beside: set[bytes] = {os.fsencode(path) for path in cover.single} | set(cover.polled)
        self._unreadable = frozenset(cover.unreadable)
        self._extra: Pump | None = None
        self._grown: set[bytes] = set()
        self._growing = anyio.Event()
        self._settled = anyio.Event()
        self._settled.set()
        self._doubt = anyio.Event()
        # A lenient start may have skipped directories for want of watches: probe at once.
        self._has_new_directories = is_lenient
        self._has_storm = False
        self._last: dict[bytes, Signature] = {}
        self._doubtful: set[bytes] = set()
        self._ended: set[bytes] = set()
        self._comparing = anyio.Lock()
        self._end: End | None = None
        self._over = anyio.Event()

    async def run(self, *, task_status: TaskStatus[bool] = anyio.TASK_STATUS_IGNORED) -> End:
        """Watch until the end; `started(True)` once all is in place, False when it never was."""
        async with anyio.create_task_group() as self._tasks:
            tasks = self._tasks
            is_in_place = True
            for paths, recursive in ((self._cover.recursive, True), (self._cover.single, False)):
                if paths and is_in_place:
                    pump = self._new_pump(paths, recursive=recursive)
                    await tasks.start(self._pump, pump)
                    is_in_place = pump.failure is None
            # Before the word that all is in place: what changes after it must differ from this.
            for path in self._cover.polled:
                await self._sign(path)
            if self._beside:
                # Directories that came between the survey and the watches are in neither.
                self._has_storm = True
                self._grow()
            task_status.started(is_in_place)
            tasks.start_soon(self._check)
            tasks.start_soon(self._extend)
            tasks.start_soon(self._poll_names)
            await self._over.wait()
            tasks.cancel_scope.cancel()
        return self._end or End.EVENTS_LOST

    def finish(self, end: End) -> None:
        if self._end is None:
            self._end = end
        self._settled.set()
        self._over.set()

    async def send_cookie(self, timeout_s: float) -> bool | None:
        """True when it came through, new directories beside trouble have their watches, and polled ones have
        told what changed in them; None when none can be sent. Sent again each second: a cookie directory
        that was just made may not be watched yet."""
        with anyio.move_on_after(timeout_s):
            while True:
                if not (self._has_cookies or len(self._pumps) == 1) or not self._pumps:
                    return None
                with self._cookies.expect(self._pumps) as waiter:
                    if not await anyio.to_thread.run_sync(
                        send_blocking, self._root, self._control, waiter.name
                    ):
                        return None
                    with anyio.move_on_after(RESEND_S):
                        await waiter.came.wait()
                    if waiter.came.is_set():
                        await self._settled.wait()
                        if self._end is not None:
                            return None
                        await self._compare_names()
                        return True
        return False

    async def verify(self, every_s: float) -> None:
        """Send a cookie now and then; a watcher that lets three in a row vanish is dead."""
        misses = 0
        while misses < VERIFY_MISSES:
            if not misses:
                await anyio.sleep(every_s)
            misses = misses + 1 if await self.send_cookie(VERIFY_TIMEOUT_S) is False else 0
        self._host.give_up()
        self.finish(End.EVENTS_LOST)

    def _new_pump(self, paths: tuple[str, ...], *, recursive: bool) -> Pump:
        """A pump; it also watches the cookies, unless it does already: each pump must see each of them."""
        root, control = os.fsdecode(self._root.real), os.fsdecode(self._control)
        above = [root, os.path.join(root, control), os.path.join(root, control, "cookies")]
        if self._has_cookies and not (recursive and not set(above).isdisjoint(paths)):
            paths = (*paths, above[-1])
        return Pump(
            self._root.real,
            paths,
            recursive=recursive,
            pace=self._pace,
            host=self._host,
            control=self._control,
        )

    async def _pump(self, pump: Pump, *, task_status: TaskStatus[None]) -> None:
        self._pumps[id(pump)] = pump
        try:
            await pump.run(self._receive, is_lenient=self._is_lenient, task_status=task_status)
        finally:
            del self._pumps[id(pump)]
        if pump.failure is not None:
            self.failure = pump.failure
            self.finish(classify(pump.failure, was_watching=pump.was_watching))

    def _receive(self, pump: Pump, batch: Batch) -> None:
        if self._end is not None:
            return
        if batch.events:
            self._deliver(batch.events)
        for event in batch.events:
            self._follow(event)
        self._cookies.seen(batch.cookies, id(pump))
        if batch.is_control_new and not self._has_cookies and len(self._pumps) > 1:
            self.finish(End.REFRESH)

    def _follow(self, event: Event) -> None:
        """Keep the watches in step with what was just reported."""
        if event.path == b"":
            self._doubt.set()
        if isinstance(event, Rescan):
            self._has_new_directories = True
            absolute = os.path.join(self._root.real, event.path)
            if event.reason is not Reason.ADDED and self._beside:
                # Too many names to tell: new directories beside trouble may be among them.
                self._has_storm = True
                self._grow()
            elif os.path.dirname(absolute) in self._beside:
                self._grown.add(absolute)
                self._grow()
            return
        absolute = os.path.join(self._root.real, event.path)
        if os.path.dirname(absolute) in self._last:
            # Only a directory's own watch tells of it there, as a rule for the last time.
            self._ended.add(absolute)
        if not event.is_gone and absolute in self._unreadable:
            self.finish(End.REFRESH)

    def _grow(self) -> None:
        """There are new directories to take in."""
        self._growing.set()
        if self._settled.is_set():
            self._settled = anyio.Event()

    async def _extend(self) -> None:
        """Take in new directories beside trouble, which no recursive watch covers. The old extra pump ends
        after the new one has begun, so nothing falls between them."""
        while True:
            await self._growing.wait()
            self._growing = anyio.Event()
            grown, self._grown = self._grown, set()
            if self._has_storm:
                self._has_storm = False
                known = self._known_directories()
                grown |= await anyio.to_thread.run_sync(unknown_blocking, self._beside, known, self._device)
            paths = {path for path in (self._extra.paths if self._extra else ()) if os.path.isdir(path)}
            for top in sorted(grown):
                cover = await anyio.to_thread.run_sync(survey_blocking, top, self._device)
                if not cover.is_clean:
                    self.finish(End.REFRESH)
                    return
                paths.update(cover.recursive)
            if grown and paths:
                await self._replace_extra(tuple(sorted(paths)))
                # What came between the first word of them and the watch is found by a second look.
                self._deliver([Rescan(self._relative(top), Reason.ADDED) for top in sorted(grown)])
            if not self._growing.is_set():
                self._settled.set()

    async def _replace_extra(self, paths: tuple[str, ...]) -> None:
        pump = self._new_pump(paths, recursive=True)
        await self._tasks.start(self._pump, pump)
        if self._extra is not None:
            self._extra.stop()
        self._extra = pump

    def _known_directories(self) -> set[bytes]:
        """The directories beside trouble that have a watch, or are known to have none."""
        extra = self._extra.paths if self._extra else ()
        watched = {os.fsencode(path) for path in (*self._cover.recursive, *extra)}
        return watched | self._beside | self._unreadable

    async def _check(self) -> None:
        """Is the root still the one that is watched, and did the last new directories get their watches?"""
        while True:
            with anyio.move_on_after(CHECK_S):
                await self._doubt.wait()
            self._doubt = anyio.Event()
            if await identify(self._name) != self._root:
                self.finish(End.ROOT_LOST)
                return
            if self._has_new_directories:
                self._has_new_directories = False
                await self._probe_limit()

    async def _probe_limit(self) -> None:
        """watchfiles does not say that a new directory got no watch; one more of our own will be refused."""

        def try_blocking() -> Exception | None:
            try:
                RustNotify([os.fsdecode(self._root.real)], False, False, 0, False, False).close()
            except (OSError, RuntimeError) as error:
                return error
            return None

        failure = await anyio.to_thread.run_sync(try_blocking)
        if failure is not None and classify(failure, was_watching=False) is End.WATCHES:
            self.failure = failure
            self.finish(End.WATCHES)

    async def _poll_names(self) -> None:
        """Directories that hold names watchfiles cannot speak are compared with themselves now and then."""
        interval_s = NAMES_SHORTEST_S
        while self._last:
            await anyio.sleep(interval_s)
            began = time.monotonic()
            await self._compare_names()
            cost_s = time.monotonic() - began
            interval_s = min(NAMES_LONGEST_S, max(NAMES_SHORTEST_S, cost_s * DUTY))

    async def _sign(self, path: bytes) -> Signature:
        """Take down what `path` holds now, and whether more may come that looks the same."""
        self._doubtful.discard(path)
        taken = self._last[path] = await anyio.to_thread.run_sync(signature_blocking, path)
        if is_fresh(taken):
            self._doubtful.add(path)
        return taken

    async def _compare_names(self) -> None:
        async with self._comparing:
            for path, before in list(self._last.items()):
                is_doubtful = path in self._doubtful
                now = await self._sign(path)
                there = directories_of(now)
                # A watch ends with its directory; another one of that name may have the same inode.
                is_anew = any(os.path.join(path, os.fsencode(name)) in self._ended for name, _ in there)
                if now == before and not is_doubtful and not is_anew:
                    continue
                self._deliver((Rescan(self._relative(path), Reason.WATCH_UNSUPPORTED),))
                if is_anew or there - directories_of(before):
                    self.finish(End.REFRESH)

    def _relative(self, absolute: bytes) -> bytes:
        return os.path.relpath(absolute, self._root.real) if absolute != self._root.real else b""


def is_fresh(signature: Signature) -> bool:
    """May more have been written since, within one tick of the file system's clock?"""
    horizon = time.time_ns() - FRESH_NS
    return any(ctime_ns > horizon for *_, ctime_ns in signature)
