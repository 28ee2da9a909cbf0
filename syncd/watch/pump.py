"""One pump: a set of watches from its order to its end, wherever the blocking work is done."""

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

import anyio
import anyio.from_thread
import anyio.to_thread
from anyio.abc import TaskStatus

from syncd.watch.notify import Order, Pace, pump_blocking
from syncd.watch.translate import CONTROL, Batch


class Host(Protocol):
    """Where pumps do their blocking work."""

    async def pump(
        self, order: Order, stop: anyio.Event, began: Callable[[], None], receive: Callable[[Batch], None]
    ) -> Exception | None:
        """`pump_blocking`, elsewhere: `began` and `receive` are called in the event loop."""

    def give_up(self) -> None:
        """What was sent through the watches did not come back: do not trust this host's work any more."""


class WatchingEnded(RuntimeError):
    """The host of a pump is gone. Another one can be had."""


class Threads:
    """A thread of this process for each pump."""

    def give_up(self) -> None:
        """See `Host.give_up`: a thread cannot be ended from outside."""

    async def pump(
        self, order: Order, stop: anyio.Event, began: Callable[[], None], receive: Callable[[Batch], None]
    ) -> Exception | None:
        """See `Host.pump`."""
        flag = threading.Event()

        def work_blocking() -> Exception | None:
            return pump_blocking(
                order,
                flag,
                lambda: anyio.from_thread.run_sync(began),
                lambda batch: anyio.from_thread.run_sync(receive, batch),
            )

        async def relay() -> None:
            try:
                await stop.wait()
            finally:
                flag.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(relay)
            failure = await anyio.to_thread.run_sync(work_blocking, limiter=anyio.CapacityLimiter(1))
            tasks.cancel_scope.cancel()
        return failure


class Pump:
    """Watches `paths` and hands each translated batch to `receive`, in the event loop.

    `failure` is why it ended by itself, or never began: an OSError or RuntimeError of watchfiles, whose text
    is all that tells the cause, or WatchingEnded. `was_watching`: it got as far as having its watches in
    place.
    """

    def __init__(
        self,
        root: bytes,
        paths: Sequence[str],
        *,
        recursive: bool,
        pace: Pace,
        host: Host,
        control: bytes = CONTROL,
    ) -> None:
        self.paths = tuple(paths)
        self.recursive = recursive
        self.failure: Exception | None = None
        self.was_watching = False
        self._root = root
        self._pace = pace
        self._host = host
        self._control = control
        self._stop = anyio.Event()
        self._ready = anyio.Event()

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
        order = Order(self._root, self.paths, self.recursive, is_lenient, self._pace, self._control)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._work, order, receive)
            await self._ready.wait()
            task_status.started()

    async def _work(self, order: Order, receive: Callable[["Pump", Batch], None]) -> None:
        try:
            self.failure = await self._host.pump(
                order, self._stop, self._began, lambda batch: receive(self, batch)
            )
        finally:
            self._ready.set()

    def _began(self) -> None:
        self.was_watching = True
        self._ready.set()
