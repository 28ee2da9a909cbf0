"""One task per pair, each on its own: what breaks in one is caught, judged and restarted here.

Restart intensity is five in ten minutes, then the pair is `failed` until a person resumes it; the others
never notice. Only cancellation passes through.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import msgspec
import structlog

from syncd.core.error import NeedsUser, SyncdError, TransientError, first_cause, first_known
from syncd.core.lifecycle import PairState
from syncd.core.reason import Reason
from syncd.daemon.config import PairConfig
from syncd.daemon.pair import Pair

RESTARTS = 5
RESTART_WINDOW_NS = 600 * 10**9
RESTART_PAUSE_S = 1.0
STATE_RETRY_S = 10.0
STOP_S = 8.0
"""How long a pair may take to finish the step at hand before it is cancelled."""

log = structlog.get_logger("syncd.supervisor")

Build = Callable[[PairConfig], AbstractAsyncContextManager[Pair]]


class Changes(msgspec.Struct, frozen=True):
    """What a reload did, by pair name."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class Supervised:
    """One pair under supervision, whether it runs or not."""

    def __init__(self, config: PairConfig) -> None:
        self.config = config
        self.pair: Pair | None = None
        self.trouble: SyncdError | None = None
        self.is_failed = False
        self.is_removed = False
        self.resumed = anyio.Event()
        self.ended = anyio.Event()
        self.scope = anyio.CancelScope()
        self.restarts: deque[int] = deque(maxlen=RESTARTS + 1)

    @property
    def state(self) -> PairState:
        """What status shows."""
        if self.is_failed:
            return PairState.FAILED
        if self.pair is not None:
            return self.pair.state
        return (
            PairState.HELD
            if isinstance(self.trouble, NeedsUser)
            else (PairState.WAITING if self.trouble is not None else PairState.STARTING)
        )


class ScanSlots:
    """One scan at a time per device: whole scans queue up behind each other."""

    def __init__(self) -> None:
        self._locks: dict[int, anyio.Lock] = {}

    def slot(self, devices: Callable[[], Sequence[int]]) -> Callable[[], AbstractAsyncContextManager[object]]:
        """A context to scan in, for roots on these devices."""

        @asynccontextmanager
        async def hold() -> AsyncIterator[None]:
            locks = [self._locks.setdefault(device, anyio.Lock()) for device in sorted(set(devices()))]
            for lock in locks:
                await lock.acquire()
            try:
                yield
            finally:
                for lock in reversed(locks):
                    lock.release()

        return hold


class Supervisor:
    """Starts, stops and restarts pairs. `run` is its task; `apply` takes a new configuration."""

    def __init__(self, build: Build, now_ns: Callable[[], int]) -> None:
        self.pairs: dict[str, Supervised] = {}
        self._build = build
        self._now_ns = now_ns
        self._tasks: anyio.abc.TaskGroup | None = None

    async def run(
        self,
        pairs: Sequence[PairConfig],
        *,
        task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Until cancelled; then every pair is stopped."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            for config in pairs:
                self._start(config)
            task_status.started()
            await anyio.sleep_forever()

    async def apply(self, pairs: Sequence[PairConfig]) -> Changes:
        """Start, restart and stop exactly those pairs whose configuration changed."""
        wanted: Mapping[str, PairConfig] = {config.name: config for config in pairs}
        removed = [name for name in self.pairs if name not in wanted]
        changed = [
            name
            for name, one in self.pairs.items()
            if name in wanted and not one.config.is_same(wanted[name])
        ]
        added = [name for name in wanted if name not in self.pairs]
        async with anyio.create_task_group() as tasks:
            for name in [*removed, *changed]:
                tasks.start_soon(self._stop, self.pairs[name])
        for name in removed:
            del self.pairs[name]
        for name in [*changed, *added]:
            self._start(wanted[name])
        return Changes(tuple(added), tuple(changed), tuple(removed))

    async def stop_all(self) -> None:
        """Ask every pair to finish its step, wait, then cancel what is left."""
        async with anyio.create_task_group() as tasks:
            for one in self.pairs.values():
                tasks.start_soon(self._stop, one)

    def is_responsive(self) -> bool:
        """Does every pair's task answer? The service manager's watchdog is fed by it."""
        now = self._now_ns()
        return all(one.pair.is_responsive(now) for one in self.pairs.values() if one.pair is not None)

    def _start(self, config: PairConfig) -> None:
        if self._tasks is None:
            raise SyncdError(Reason.BUG, "the supervisor is not running")
        one = Supervised(config)
        self.pairs[config.name] = one
        self._tasks.start_soon(self._supervise, one, name=f"pair {config.name}")

    async def _stop(self, one: Supervised) -> None:
        one.is_removed = True
        if one.pair is not None:
            one.pair.request_stop()
        one.resumed.set()
        with anyio.move_on_after(STOP_S):
            await one.ended.wait()
        one.scope.cancel()
        await one.ended.wait()

    async def _supervise(self, one: Supervised) -> None:
        """Run the pair, again and again, until it is removed."""
        try:
            with one.scope:
                while not one.is_removed:
                    pause_s = await self._live(one)
                    if one.is_removed:
                        break
                    # Who resumed it while it ran did not mean this.
                    one.resumed = anyio.Event()
                    if one.is_failed:
                        await one.resumed.wait()
                        one.is_failed = False
                        one.restarts.clear()
                    else:
                        with anyio.move_on_after(pause_s):
                            await one.resumed.wait()
        finally:
            one.pair = None
            one.ended.set()

    async def _live(self, one: Supervised) -> float:
        """One life of a pair; the answer is the pause before the next."""
        try:
            async with self._build(one.config) as pair:
                one.pair, one.trouble = pair, None
                if one.is_removed:
                    pair.request_stop()
                await pair.run()
                return 0.0
        except (NeedsUser, TransientError) as error:
            self._note(one, error)
            return STATE_RETRY_S
        except Exception as error:
            return self._judge(one, error)
        finally:
            one.pair = None

    def _note(self, one: Supervised, error: SyncdError) -> None:
        if one.trouble is None or one.trouble.reason is not error.reason:
            log.warning("pair.not_started", pair=one.config.name, reason=error.reason, detail=error.detail)
        one.trouble = error

    def _judge(self, one: Supervised, error: Exception) -> float:
        """A bug, or damage: restart within the budget, else the pair has failed."""
        known, cause = first_known(error), first_cause(error)
        one.trouble = known or SyncdError(Reason.BUG, f"{type(cause).__name__}: {cause}")
        log.error("pair.crashed", pair=one.config.name, reason=one.trouble.reason.value, exc_info=error)
        now = self._now_ns()
        one.restarts.append(now)
        recent = [at for at in one.restarts if now - at < RESTART_WINDOW_NS]
        one.is_failed = len(recent) > RESTARTS
        return RESTART_PAUSE_S * float(2 ** min(len(recent) - 1, 5))
