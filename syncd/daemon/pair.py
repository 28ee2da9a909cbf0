"""One pair's task: watchers, timers and requests come in, cycles go out.

Everything that changes the pair's index or its roots happens in `run`, one turn after the other. What comes
from outside (events, `syncctl`) only marks what the next turn has to do and wakes the task. No control or
configuration types here: the supervisor translates.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

import anyio
import msgspec
import structlog

from syncd.core.entry import Side
from syncd.core.error import NeedsUser, StaleError, TransientError
from syncd.core.lifecycle import Event as LifecycleEvent
from syncd.core.lifecycle import PairState, next_state
from syncd.core.reason import Reason
from syncd.core.settle import SettleQueue
from syncd.daemon.attention import Attention, Ticket
from syncd.daemon.overview import Overview, WaitOutcome, overview
from syncd.sync.cycle import Cycle, Report
from syncd.sync.observe import Observation
from syncd.sync.settings import BOTH, World
from syncd.watch.port import Dirty, Event, Rescan, Watcher

ROOT_POLL_S = 2.0
RETRY_FIRST_S = 5.0
RETRY_MOST_S = 600.0
COOKIE_TIMEOUT_S = 5.0
STUCK_S = 600
"""A call to a file system that takes longer is taken for one that never returns."""

log = structlog.get_logger("syncd.pair")


class Timing(msgspec.Struct, frozen=True):
    """A pair's intervals in seconds; `rescan_s` None: never. `jitter` draws from [0, 1)."""

    settle_s: float = 0.3
    rescan_s: float | None = 900.0
    jitter: Callable[[], float] = lambda: 0.5


class Pair:
    """A running pair. `run` is the task; every other method only marks work and wakes it."""

    def __init__(
        self,
        cycle: Cycle,
        watchers: Mapping[Side, Watcher],
        timing: Timing,
        world: World,
        scan_slot: Callable[[], AbstractAsyncContextManager[object]],
        *,
        is_paused: bool = False,
        adopts: bool = False,
    ) -> None:
        self.name = cycle.settings.name
        self.cycle = cycle
        self.watchers = watchers
        self.state = PairState.STARTING
        self.trouble: NeedsUser | TransientError | None = None
        self.last_synced_ns: int | None = None
        self.next_attempt_ns: int | None = None
        self.overview = Overview()
        self._is_busy = False
        self._pulse: tuple[object, ...] = ()
        self._pulse_at_ns = 0
        self._timing = timing
        self._world = world
        self._scan_slot = scan_slot
        self._queues = {side: SettleQueue(int(timing.settle_s * 1e9)) for side in BOTH}
        self._attention = Attention()
        self._is_paused = is_paused
        self._is_stopping = False
        self._is_open = False
        self._adopts = adopts
        self._attempt = 0
        self._rescan_at_ns: int | None = None

    # What others may call.

    def request_stop(self) -> None:
        """Finish the step at hand and end; the supervisor cancels what takes too long."""
        self._is_stopping = True
        self._attention.wake()

    def pause(self) -> None:
        self._is_paused = True
        self._attention.wake()

    def resume(self) -> None:
        self._is_paused = False
        self._attempt = 0
        self._attention.wake()

    @property
    def is_paused(self) -> bool:
        return self._is_paused

    def adopt(self) -> None:
        """Accept the roots as they are now."""
        self._adopts = True
        self._is_open = False
        self._attention.scan_all()

    def sync(self) -> Ticket:
        """A cycle now, retrying what has failed; the ticket is done when that cycle is."""
        return self._attention.ask(retries_all=True)

    def rescan(self, path: bytes | None = None) -> Ticket:
        """Scan both trees, or what is at and beneath `path`, now."""
        if path is None:
            self._attention.scan_all()
        else:
            for side in BOTH:
                self._attention.add(side, looks=(path,), scans=(path,))
        return self._attention.ask()

    def notify(self, *paths: bytes) -> None:
        """Someone tells that these paths changed."""
        for side in BOTH:
            self._attention.add(side, looks=paths, scans=paths)
        self._attention.ask()

    async def wait(self) -> WaitOutcome:
        """Return once every change made before the call was dealt with (interfaces, `wait`)."""
        if self._is_paused or self.state is PairState.FAILED:
            return WaitOutcome.DEGRADED
        missed = []

        async def ask(side: Side) -> None:
            watcher = self.watchers[side]
            if not watcher.is_alive or not await watcher.cookie(COOKIE_TIMEOUT_S):
                missed.append(side)

        async with anyio.create_task_group() as tasks:
            for side in BOTH:
                tasks.start_soon(ask, side)
        for side in missed:
            self._attention.add(side, scans=(b"",))
        ticket = self._attention.ask()
        await ticket.done.wait()
        return self.overview.outcome(self.state)

    def deliver(self, side: Side) -> Callable[[Sequence[Event]], None]:
        """The entrance for a watcher's events."""

        def take(events: Sequence[Event]) -> None:
            now = self._world.clock.monotonic_ns()
            for event in events:
                self._take(side, event, now)
            self._attention.wake()

        return take

    def _take(self, side: Side, event: Event, now: int) -> None:
        if isinstance(event, Dirty):
            self._queues[side].push(event.path, now, disappeared=event.is_gone)
        elif isinstance(event, Rescan):
            self._queues[side].push(event.path, now, is_subtree=True)
            if event.reason not in (Reason.ADDED, Reason.WATCH_UNSUPPORTED, Reason.WATCH_LIMIT):
                self._world.publish("watch.lost", event.path, side=side.word, reason=event.reason.value)

    def is_responsive(self, now_ns: int) -> bool:
        """Idle, or getting on: something was done since STUCK_S. Asked from time to time by the watchdog."""
        progress = self.cycle.progress
        pulse = (self._is_busy, self.state, progress.phase, progress.done, progress.bytes_done)
        if pulse != self._pulse or not self._is_busy:
            self._pulse, self._pulse_at_ns = pulse, now_ns
        return now_ns - self._pulse_at_ns < STUCK_S * 10**9

    # The task.

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Until stopped or cancelled. Raises what only the supervisor can judge (bugs, damaged state)."""
        async with anyio.create_task_group() as tasks:
            for side in BOTH:
                await tasks.start(self.watchers[side].run, self.deliver(side))
            task_status.started()
            self._attention.scan_all()
            while not self._is_stopping:
                await self._turn()
            tasks.cancel_scope.cancel()

    async def _turn(self) -> None:
        """One step of the life of a pair: wait for work, do it, judge what went wrong."""
        self._is_busy = False
        if self._is_paused:
            await self._rest_paused()
            return
        await self._attention.sleep_until(self._next_deadline())
        if self._is_stopping or self._is_paused or not self._has_work():
            return
        self._is_busy = True
        try:
            await self._work()
        except StaleError:
            self._attention.scan_all()
        except (NeedsUser, TransientError) as error:
            await self._endure(error)

    async def _rest_paused(self) -> None:
        self._enter(LifecycleEvent.PAUSE)
        self._attention.give_up()
        await self._refresh()
        while self._is_paused and not self._is_stopping:
            await self._attention.sleep_until(None)
        if not self._is_stopping:
            self._enter(LifecycleEvent.RESUME)
            self._attention.scan_all()

    def _next_deadline(self) -> int | None:
        """Monotonic ns of the next thing to do without being woken; now, if there is something already."""
        if self._attention.is_urgent and self.trouble is None:
            return 0
        if self.trouble is not None:
            return self._retry_at_ns
        deadlines = [queue.next_deadline() for queue in self._queues.values()]
        deadlines += [self._rescan_at_ns, self._attention.later_ns, self._retry_deadline()]
        known = [deadline for deadline in deadlines if deadline is not None]
        return min(known) if known else None

    def _retry_deadline(self) -> int | None:
        """Paths that failed are due by wall time; deadlines here are monotonic."""
        if self.next_attempt_ns is None:
            return None
        clock = self._world.clock
        return clock.monotonic_ns() + max(0, self.next_attempt_ns - clock.now_ns())

    def _has_work(self) -> bool:
        deadline = self._next_deadline()
        return deadline is not None and deadline <= self._world.clock.monotonic_ns()

    async def _work(self) -> None:
        """Observe what is due, synchronise, answer those who asked."""
        now = self._world.clock.monotonic_ns()
        demand = self._attention.take(now)
        if not self._is_open:
            await self.cycle.open(adopts=self._adopts)
            self._is_open, self._adopts = True, False
            demand.scans_all = True
        if self._rescan_at_ns is not None and now >= self._rescan_at_ns:
            demand.scans_all = True
        try:
            await self._observe(demand.scans_all, demand.looks, demand.scans, now, flush=demand.flushes)
            self._enter(LifecycleEvent.WORK_FOUND)
            report = await self.cycle.synchronise(self._should_stop, retries_all=demand.retries_all)
        except BaseException:
            self._attention.put_back(demand)
            raise
        await self._conclude(report)
        if demand.flushes and any(queue.pending for queue in self._queues.values()):
            self._attention.put_back(demand)
        elif report.is_stopped:
            self._attention.put_back(demand)
        else:
            demand.finish()

    async def _observe(
        self,
        scans_all: bool,
        looks: Mapping[Side, set[bytes]],
        scans: Mapping[Side, set[bytes]],
        now: int,
        *,
        flush: bool,
    ) -> None:
        dues = {side: queue.flush() if flush else queue.due(now) for side, queue in self._queues.items()}
        if scans_all:
            self._enter(LifecycleEvent.SCAN_BEGUN)
            async with self._scan_slot():
                seen = await self.cycle.observe_all()
            self._schedule_rescan()
            for side, one in zip(BOTH, seen[:2], strict=True):
                self._follow_up(side, one, ())
            return
        for side, due in dues.items():
            subtrees = {*due.subtrees, *scans[side]}
            single = {*due.paths, *looks[side]}
            if due.directories:
                await self._look_around(side, due.directories)
            if not single and not subtrees:
                continue
            for one in await self.cycle.observe(side, single, subtrees):
                self._follow_up(side, one, tuple(subtrees))

    async def _look_around(self, side: Side, directories: Sequence[bytes]) -> None:
        """Directories in which much happened are listed, not walked."""
        for one in await self.cycle.observe(side, (), directories, recursive=False):
            self._follow_up(side, one, ())

    def _follow_up(self, side: Side, seen: Observation, scanned: tuple[bytes, ...]) -> None:
        """A new directory is scanned until a pass finds nothing new; racy paths are looked at once more."""
        now = self._world.clock.monotonic_ns()
        queue = self._queues[side]
        for path in seen.new_directories:
            queue.push(path, now, is_subtree=True)
        if seen.changed and self.watchers[side].is_alive:
            for path in scanned:
                if path:
                    queue.push(path, now, is_subtree=True)
        if seen.racy:
            granularity = self.cycle.trees[side].capabilities.time_granularity_ns
            self._attention.add_later(side, seen.racy, now + 2 * max(granularity, 10_000_000))

    def _schedule_rescan(self) -> None:
        interval = self._timing.rescan_s
        if interval is None or math.isinf(interval):
            self._rescan_at_ns = None
            return
        spread = 0.9 + 0.2 * self._timing.jitter()
        self._rescan_at_ns = self._world.clock.monotonic_ns() + int(interval * spread * 1e9)

    async def _conclude(self, report: Report) -> None:
        """A turn went through: nothing is wrong with the pair as a whole."""
        self.trouble = None
        self._attempt = 0
        await self._refresh()
        if report.hold is not None:
            self._enter(LifecycleEvent.HOLD)
        elif not report.is_stopped:
            self._enter(LifecycleEvent.WORK_DONE)
            if not self.overview.waiting:
                self.last_synced_ns = self._world.clock.now_ns()
        if not report.is_complete:
            self._attention.ask_later(self._world.clock.monotonic_ns() + 10**9)

    async def _refresh(self) -> None:
        """Count what status shows, from the index."""
        self.overview = await overview(self.cycle)
        self.next_attempt_ns = self.overview.next_attempt_ns

    async def _endure(self, error: NeedsUser | TransientError) -> None:
        """Held until the cause is gone (roots are polled), or waiting with growing pauses."""
        is_new = self.trouble is None or self.trouble.reason is not error.reason
        self.trouble = error
        now = self._world.clock.monotonic_ns()
        self._attempt += 1
        if isinstance(error, NeedsUser):
            self._is_open = False
            self._retry_at_ns = now + int(ROOT_POLL_S * 1e9)
            self._enter(LifecycleEvent.HOLD)
        else:
            pause = min(RETRY_MOST_S, RETRY_FIRST_S * 2 ** min(self._attempt - 1, 10))
            self._retry_at_ns = now + int(pause * 1e9)
            self._enter(LifecycleEvent.ERROR)
        self._attention.scan_all()
        self._attention.answer_held()
        if is_new:
            self._world.publish("pair.troubled", None, reason=error.reason.value, detail=error.detail)
            log.warning("pair.troubled", pair=self.name, reason=error.reason.value, detail=error.detail)
        for side in BOTH:
            await self.cycle.trees[side].release()

    def _should_stop(self) -> bool:
        """Polled from worker threads between steps."""
        return self._is_paused or self._is_stopping

    def _enter(self, event: LifecycleEvent) -> None:
        state = next_state(self.state, event)
        if state is not self.state:
            self.state = state
            self._world.publish("pair.state", None, state=state.value)

