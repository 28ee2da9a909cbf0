"""A pair's task over trees in memory, in virtual time: minutes of waiting take no time, and never vary."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from itertools import count

import anyio

from syncd.core.entry import Kind, Side
from syncd.core.lifecycle import PairState
from syncd.core.reason import Reason
from syncd.daemon.overview import WaitOutcome
from syncd.daemon.pair import Pair, Timing
from syncd.index.database import Database
from syncd.index.driver import InlineDriver
from syncd.sync.cycle import Cycle
from syncd.sync.settings import PairSettings
from syncd.sync.settings import World as Ports
from syncd.tree.memory import MemoryTree
from syncd.tree.memory_disk import Disk
from syncd.tree.memory_user import User
from syncd.watch.fake import FakeWatcher
from syncd.watch.port import Dirty, Event, Rescan
from tests.sim.loop import SeededLoop, run
from tests.sim.world import SimClock

S, D = Side.SOURCE, Side.DESTINATION
BOTH = (S, D)
SETTLE_S = 0.3


class Room:
    """Two disks with a user each, watchers that say what the test says. `told` is what was published."""

    def __init__(self, loop: SeededLoop, granularity_ns: int = 1) -> None:
        self.clock = SimClock(loop)
        self.disks = {side: Disk(self.clock.now_ns, granularity_ns=granularity_ns) for side in BOTH}
        self.users = {side: User(disk) for side, disk in self.disks.items()}
        self.trees = {side: MemoryTree(disk, side, pause=self.pause) for side, disk in self.disks.items()}
        self.watchers: list[dict[Side, FakeWatcher]] = []
        self.told: list[tuple[str, dict[str, object]]] = []
        self.stuck: anyio.Event | None = None

    async def pause(self) -> None:
        """An await point of a tree; `stuck` is a file system that does not answer."""
        if self.stuck is not None:
            await self.stuck.wait()
        await anyio.lowlevel.checkpoint()

    @asynccontextmanager
    async def running(
        self,
        *,
        rescan_s: float | None = None,
        is_paused: bool = False,
        review: Callable[[], Awaitable[str]] | None = None,
        **settings: object,
    ) -> AsyncIterator[Pair]:
        """A pair whose task runs until the block ends."""
        database = await Database.open(None, driver=InlineDriver)
        names = count()
        ports = Ports(clock=self.clock, new_id=lambda: f"{next(names):06d}", publish=self._hear)
        cycle = Cycle(PairSettings(name="p", **settings), database, dict(self.trees), ports)  # type: ignore[arg-type]
        timing = Timing(settle_s=SETTLE_S, rescan_s=rescan_s)
        pair = Pair(cycle, self._watch, timing, ports, nullcontext, review=review, is_paused=is_paused)
        try:
            async with anyio.create_task_group() as tasks:
                await tasks.start(pair.run)
                yield pair
                pair.request_stop()
        finally:
            await database.close()

    def _hear(self, kind: str, path: bytes | None = None, /, **data: object) -> None:
        self.told.append((kind, data))

    def heard(self, kind: str) -> list[dict[str, object]]:
        return [data for one, data in self.told if one == kind]

    def _watch(self) -> dict[Side, FakeWatcher]:
        self.watchers.append({side: FakeWatcher() for side in BOTH})
        return self.watchers[-1]

    def emit(self, side: Side, *events: Event) -> bool:
        return self.watchers[-1][side].emit(events)

    def write(self, side: Side, path: bytes, data: bytes, *, is_seen: bool = True) -> None:
        """A user writes, and the watcher tells."""
        self.users[side].write(path, data)
        if is_seen:
            self.emit(side, Dirty(path, False))

    def make(self, side: Side, path: bytes) -> None:
        self.users[side].mkdir(path)
        self.emit(side, Rescan(path, Reason.ADDED))

    def files(self, side: Side) -> dict[bytes, bytes]:
        return {path: node.data for path, node in self.disks[side].walk() if node.kind is Kind.FILE}


def act(story: Callable[[Room], Awaitable[None]], *, granularity_ns: int = 1) -> None:
    """Play a story on a loop of its own."""

    async def work(loop: SeededLoop) -> None:
        await story(Room(loop, granularity_ns))

    run(1, work)


def state_of(pair: Pair) -> PairState:
    return pair.state


def trouble_of(pair: Pair) -> Reason | None:
    return None if pair.trouble is None else pair.trouble.reason


async def ready(pair: Pair) -> None:
    """The first scan is over."""
    assert await pair.wait() is WaitOutcome.SYNCED
