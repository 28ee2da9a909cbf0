"""One pair's task: watchers, timers and requests come in, cycles go out.

Everything that changes the pair's index or its roots happens in `run`, one turn after the other. What comes
from outside (events, `syncctl`) only marks what the next turn has to do and wakes the task. No control or
configuration types here: the supervisor translates.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from typing import TypeVar, cast

import anyio
import anyio.abc
import msgspec

from syncd.core.entry import Side
from syncd.core.error import NeedsUser, StaleError, SyncdError, TransientError
from syncd.core.lifecycle import Event as LifecycleEvent
from syncd.core.lifecycle import PairState, next_state
from syncd.core.reason import Reason
from syncd.core.settle import Due
from syncd.daemon.attention import Attention, Demand, Errand, Ticket
from syncd.daemon.intake import Intake
from syncd.daemon.overview import Overview, WaitOutcome, overview
from syncd.daemon.schedule import Pulse, Schedule
from syncd.sync.cycle import Cycle, Report
from syncd.sync.observe import Observation
from syncd.sync.settings import BOTH, World
from syncd.watch.port import Watcher

AGAIN_NS = 10**9
"""The pause before another turn when something changes faster than it can be dealt with."""

T = TypeVar("T")


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
        make_watchers: Callable[[], Mapping[Side, Watcher]],
        timing: Timing,
        world: World,
        scan_slot: Callable[[], AbstractAsyncContextManager[object]],
        *,
        review: Callable[[], Awaitable[str]] | None = None,
        is_paused: bool = False,
        adopts: bool = False,
    ) -> None:
        self.name = cycle.settings.name
        self.cycle = cycle
        self.state = PairState.STARTING
        self.trouble: NeedsUser | TransientError | None = None
        self.last_synced_ns: int | None = None
        self.next_attempt_ns: int | None = None
        self.overview = Overview()
        self._is_busy = False
        self._pulse = Pulse()
        self._review = review
        self._tasks: anyio.abc.TaskGroup | None = None
        self._schedule = Schedule(world.clock, timing.rescan_s, timing.jitter)
        self._world = world
        self._scan_slot = scan_slot
        self._attention = Attention()
        self._intake = Intake(make_watchers, timing.settle_s, world, self._attention.wake)
        self._is_paused = is_paused
        self._is_stopping = False
        self._is_open = False
        self._adopts = adopts
        self._has_scanned = False

    # What others may call.

    def request_stop(self) -> None:
        """Finish the step at hand and end; the supervisor cancels what takes too long."""
        self._is_stopping = True
        self._attention.wake()

    def pause(self) -> None:
        self._is_paused = True
        self._attention.wake()

    async def paused_now(self) -> None:
        """Return once the pair rests (the step at hand is finished), or was resumed meanwhile."""
        while self._is_paused and self.state is not PairState.PAUSED and not self._is_stopping:
            await anyio.sleep(0.02)

    def resume(self) -> None:
        self._is_paused = False
        self._schedule.forgive()
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
        for side in await self._intake.catch_up():
            self._attention.add(side, scans=(b"",))
        ticket = self._attention.ask()
        await ticket.done.wait()
        if self._attention.is_closed:
            return WaitOutcome.DEGRADED
        return self.overview.outcome(self.state)

    async def errand(self, job: Callable[[Cycle], Awaitable[T]]) -> T:
        """Run `job` in the pair's own task, between turns: the only way to change anything from outside."""
        errand = Errand(job)
        self._attention.run_errand(errand)
        await errand.done.wait()
        if errand.error is not None:
            raise errand.error
        return cast(T, errand.answer)

    @property
    def watchers(self) -> Mapping[Side, Watcher]:
        """Empty until the roots have been opened."""
        return self._intake.watchers

    @property
    def settling(self) -> int:
        """Paths that wait in the debounce queues."""
        return len(self._intake)

    def is_settling(self, path: bytes) -> bool:
        """Does an event for this path, or for a directory above it, wait to settle?"""
        return self._intake.holds(path)

    def oldest_change_ns(self) -> int | None:
        """Wall time of the oldest change that is known and not yet dealt with."""
        return self._intake.began_ns if self._is_busy or self.settling else None

    def is_responsive(self, now_ns: int) -> bool:
        """Idle, or getting on."""
        progress = self.cycle.progress
        signs = (self._is_busy, self.state, progress.phase, progress.done, progress.bytes_done)
        return self._pulse.is_felt(signs, now_ns, is_busy=self._is_busy)

    # The task.

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Until stopped or cancelled. Raises what only the supervisor can judge (bugs, damaged state)."""
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                task_status.started()
                self._attention.scan_all()
                while not self._is_stopping:
                    await self._turn()
                tasks.cancel_scope.cancel()
        finally:
            self._attention.close()

    async def _open(self) -> None:
        """Open the roots, then watch them: what changes from now on is seen by the scan or by a watcher."""
        await self.cycle.open(adopts=self._adopts)
        self._is_open, self._adopts = True, False
        if self._tasks is not None:
            await self._intake.watch_anew(self._tasks)

    async def _turn(self) -> None:
        """One step of the life of a pair: wait for work, do it, judge what went wrong."""
        if self._is_paused:
            await self._rest_paused()
            return
        await self._sleep()
        if await self._attention.run_errands(self.cycle) or self._is_stopping or self._is_paused:
            return
        if not self._has_work():
            return
        self._is_busy = True
        self._intake.began_ns = self._intake.began_ns or self._world.clock.now_ns()
        try:
            await self._work()
        except StaleError:
            self._attention.scan_all()
        except (NeedsUser, TransientError) as error:
            await self._endure(error)
        finally:
            self._is_busy = False
            self._schedule.plan_release()
            self._intake.began_ns = self._world.clock.now_ns() if self.settling else None

    async def _sleep(self) -> None:
        """Until there is something to do. After a while the roots are let go: they can be unmounted."""
        deadline, release_at = self._next_deadline(), self._schedule.release_at_ns
        if release_at is not None and (deadline is None or release_at < deadline):
            await self._attention.sleep_until(release_at)
            if self._world.clock.monotonic_ns() < release_at:
                return
            self._schedule.release_at_ns = None
            await self._let_go()
        await self._attention.sleep_until(self._next_deadline())

    async def _let_go(self) -> None:
        """Close what is open of the roots; it is opened again when it is needed."""
        for side in BOTH:
            await self.cycle.trees[side].release()

    async def _rest_paused(self) -> None:
        self._enter(LifecycleEvent.PAUSE)
        self._attention.give_up()
        await self._refresh()
        await self._let_go()
        while self._is_paused and not self._is_stopping:
            await self._attention.sleep_until(None)
            await self._attention.run_errands(self.cycle)
        if not self._is_stopping:
            self._enter(LifecycleEvent.RESUME)
            self._attention.scan_all()

    def _next_deadline(self) -> int | None:
        """Monotonic ns of the next thing to do without being woken; now, if there is something already."""
        if self._attention.is_urgent and self.trouble is None:
            return 0
        if self.trouble is not None:
            return self._schedule.retry_at_ns
        deadlines = (
            self._intake.next_deadline(),
            self._schedule.rescan_at_ns,
            self._attention.later_ns,
            self._schedule.attempt_at_ns,
        )
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def _has_work(self) -> bool:
        deadline = self._next_deadline()
        return deadline is not None and deadline <= self._world.clock.monotonic_ns()

    async def _work(self) -> None:
        """Observe what is due, synchronise, answer those who asked."""
        now = self._world.clock.monotonic_ns()
        demand = self._attention.take(now, self._intake.holds_at)
        try:
            if not self._is_open:
                await self._open()
                demand.scans_all = True
            if self._schedule.is_rescan_due(now):
                demand.scans_all = True
            await self._observe(demand, now)
            await self._warn()
            self._enter(LifecycleEvent.WORK_FOUND)
            report = await self.cycle.synchronise(self._should_stop, retries_all=demand.retries_all)
        except BaseException:
            self._attention.put_back(demand)
            raise
        await self._conclude(report)
        if report.is_stopped or (demand.flushes and self.settling):
            self._attention.put_back(demand)
        elif not report.is_complete:
            self._attention.put_off(demand, self._world.clock.monotonic_ns() + AGAIN_NS)
        else:
            demand.finish()

    async def _warn(self) -> None:
        """Once, between the first observation and the first change: is one side far larger?"""
        warning = "" if self._review is None else await self._review()
        self._review = None
        if warning:
            self._world.publish("pair.risk_found", None, detail=warning)

    async def _observe(self, demand: Demand, now: int) -> None:
        """Everything that is due: a whole scan, or what events and requests named."""
        dues = self._intake.due(now, flush=demand.flushes)
        try:
            if demand.scans_all or any(b"" in due.subtrees for due in dues.values()):
                await self._observe_all()
                return
            for side, due in dues.items():
                await self._observe_side(side, due, demand.looks[side], demand.scans[side])
        except BaseException:
            self._attention.scan_all()
            raise

    async def _observe_all(self) -> None:
        self._enter(LifecycleEvent.SCAN_BEGUN)
        async with self._scan_slot():
            began = self._world.clock.monotonic_ns()
            seen = await self.cycle.observe_all()
            cost_s = (self._world.clock.monotonic_ns() - began) / 1e9
        self._intake.scanned(cost_s)
        self._enter(LifecycleEvent.SCAN_DONE)
        self._schedule.plan_rescan()
        for side, one in seen.items():
            # The watcher is older than the first scan: only a later one can meet half-made directories.
            self._follow_up(
                side, one if self._has_scanned else msgspec.structs.replace(one, new_directories=()), ()
            )
        self._has_scanned = True
        await self.cycle.expire_trash()

    async def _observe_side(self, side: Side, due: Due, looks: set[bytes], scans: set[bytes]) -> None:
        """Directories in which much happened are listed, subtrees are walked, single paths looked at."""
        if due.directories:
            self._follow_up(side, await self.cycle.observe(side, (), due.directories, recursive=False), ())
        subtrees = {*due.subtrees, *scans}
        single = {*due.paths, *looks, *subtrees} - {b""}
        if single or subtrees:
            self._follow_up(side, await self.cycle.observe(side, single, subtrees), tuple(subtrees))

    def _follow_up(self, side: Side, seen: Observation, scanned: tuple[bytes, ...]) -> None:
        """Scan again what may have gone on growing; look at racy paths once more."""
        self._intake.follow_up(side, seen, scanned)
        if seen.racy:
            now = self._world.clock.monotonic_ns()
            granularity = self.cycle.trees[side].capabilities.time_granularity_ns
            self._attention.add_later(side, seen.racy, now + 2 * max(granularity, 10_000_000))

    async def _conclude(self, report: Report) -> None:
        """A turn went through: nothing is wrong with the pair as a whole."""
        if self.trouble is not None:
            self._world.publish("pair.recovered", None, reason=self.trouble.reason.value)
        self.trouble = None
        self._schedule.forgive()
        await self._refresh()
        if report.hold is not None:
            self._enter(LifecycleEvent.HOLD)
        elif not report.is_stopped:
            if self.state is PairState.HELD:
                self._enter(LifecycleEvent.HOLD_RELEASED)
            self._enter(LifecycleEvent.WORK_DONE)
            if not self.overview.waiting:
                self.last_synced_ns = self._world.clock.now_ns()

    async def _refresh(self) -> None:
        """Count what status shows, from the index."""
        self.overview = await overview(self.cycle)
        self.next_attempt_ns = self.overview.next_attempt_ns
        self._schedule.plan_attempt(self.next_attempt_ns)

    async def _endure(self, error: NeedsUser | TransientError) -> None:
        """Held until the cause is gone (roots are polled), or waiting with growing pauses."""
        is_new = self.trouble is None or self.trouble.reason is not error.reason
        self.trouble = error
        self._schedule.plan_retry(is_polled=isinstance(error, NeedsUser))
        if isinstance(error, NeedsUser):
            self._is_open = False
            is_root = error.reason in (Reason.ROOT_MISSING, Reason.ROOT_CHANGED)
            self._enter(LifecycleEvent.ROOT_LOST if is_root else LifecycleEvent.HOLD)
        else:
            self._enter(LifecycleEvent.ERROR)
        self._attention.scan_all()
        self._attention.give_up()
        if is_new:
            self._world.publish("pair.troubled", None, reason=error.reason.value, detail=error.detail)
        self.cycle.progress.phase = ""
        with suppress(SyncdError):  # the index itself may be the trouble
            await self._refresh()
        await self._let_go()

    def _should_stop(self) -> bool:
        """Polled from worker threads between steps."""
        return self._is_paused or self._is_stopping

    def _enter(self, event: LifecycleEvent) -> None:
        state = next_state(self.state, event)
        if state is not self.state:
            self.state = state
            self._world.publish("pair.state", None, state=state.value)
