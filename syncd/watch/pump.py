"""One watchfiles watcher and the thread that empties it. Nothing is decided here.

The thread polls at `step`; watchfiles has no other way to wait. A step is the price of idling and, about
one and a half times, the latency of an event, so a pump may step faster for a second after an event.
"""

import threading
import time
from collections.abc import Callable, Sequence

import anyio
import anyio.from_thread
import anyio.to_thread
import msgspec
from anyio.abc import TaskStatus
from watchfiles._rust_notify import RustNotify

from syncd.watch.translate import CONTROL, LOST, Batch, translate_blocking

BUSY_S = 1.0
LOOK_S = 1.0
"""The thread looks at the clock at least so often."""
STALLED_S = 3.0
"""It did not for so long: the process was stopped or starved. The kernel's queue may have overflowed, which
watchfiles does not tell."""


class Pace(msgspec.Struct, frozen=True):
    """Steps in ms: while nothing happens, and just after something did. A batch is closed after one quiet
    step, at the latest after `gather_ms`."""

    idle_ms: int
    busy_ms: int
    gather_ms: int

    @property
    def delay_s(self) -> float:
        """How old an event is when it is handed on: half a step until it is met, one quiet step after."""
        return 1.5 * self.busy_ms / 1000


def pace_for(settle_s: float) -> Pace:
    """Who does not wait for quiet wants speed; who does cannot tell 5 ms from 50 (15 times the idle CPU)."""
    if settle_s <= 0:
        return Pace(idle_ms=5, busy_ms=1, gather_ms=10)
    step = max(5, min(50, int(settle_s * 1000 / 6)))
    return Pace(idle_ms=step, busy_ms=step, gather_ms=max(step, 50))


class Pump:
    """Watches `paths` and hands each translated batch to `receive`, in the event loop.

    `failure` is why it ended by itself, or never began: an OSError or RuntimeError of watchfiles, whose text
    is all that tells the cause. `was_watching`: it got as far as having its watches in place.
    """

    def __init__(
        self, root: bytes, paths: Sequence[str], *, recursive: bool, pace: Pace, control: bytes = CONTROL
    ) -> None:
        self.paths = tuple(paths)
        self.recursive = recursive
        self.failure: Exception | None = None
        self.was_watching = False
        self._root = root
        self._pace = pace
        self._control = control
        self._stop = threading.Event()
        self._ready = anyio.Event()
        self._ended = anyio.Event()

    def stop(self) -> None:
        """Let `run` end within a step, after a last look."""
        self._stop.set()

    async def run(
        self,
        receive: Callable[["Pump", Batch], None],
        *,
        is_lenient: bool = False,
        task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Pump until cancelled, stopped or failed; `started()` when the watches are in place, or failed.

        `is_lenient` skips directories that cannot be watched.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._stop_when_cancelled)
            tasks.start_soon(self._run_thread, receive, is_lenient)
            await self._ready.wait()
            task_status.started()
            await self._ended.wait()
            tasks.cancel_scope.cancel()

    async def _stop_when_cancelled(self) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            self._stop.set()

    async def _run_thread(self, receive: Callable[["Pump", Batch], None], is_lenient: bool) -> None:
        try:
            self.failure = await anyio.to_thread.run_sync(
                self._work_blocking, receive, is_lenient, limiter=anyio.CapacityLimiter(1)
            )
        finally:
            self._ready.set()
            self._ended.set()

    def _work_blocking(self, receive: Callable[["Pump", Batch], None], is_lenient: bool) -> Exception | None:
        try:
            notify = RustNotify(list(self.paths), False, False, 0, self.recursive, is_lenient)
        except (OSError, RuntimeError) as error:
            return error
        try:
            self.was_watching = True
            anyio.from_thread.run_sync(self._ready.set)
            return self._empty_blocking(notify, receive)
        finally:
            notify.close()

    def _empty_blocking(
        self, notify: RustNotify, receive: Callable[["Pump", Batch], None]
    ) -> Exception | None:
        busy_until = 0.0
        is_last = False
        while not is_last:
            is_last = self._stop.is_set()
            is_busy = time.monotonic() < busy_until
            step = self._pace.busy_ms if is_busy or is_last else self._pace.idle_ms
            # A busy step must be left again, and the last look is short.
            limit = 2 * step if is_last else int((BUSY_S if is_busy else LOOK_S) * 1000)
            began = time.monotonic()
            try:
                raw = notify.watch(self._pace.gather_ms, step, limit, None if is_last else self._stop)
            except (OSError, RuntimeError) as error:
                return error
            if time.monotonic() - began > STALLED_S:
                anyio.from_thread.run_sync(receive, self, Batch(tuple(LOST), (), is_control_new=False))
            if isinstance(raw, set):
                anyio.from_thread.run_sync(receive, self, translate_blocking(self._root, raw, self._control))
                busy_until = time.monotonic() + BUSY_S
        return None
