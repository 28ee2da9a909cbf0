"""Files of equal size and stamp are taken for equal unread in a first sync only."""

from syncd.core.entry import Side
from syncd.index.database import Database
from syncd.index.driver import InlineDriver
from syncd.sync.cycle import Cycle
from syncd.sync.settings import BOTH, PairSettings, World
from syncd.tree.memory import MemoryTree
from syncd.tree.memory_disk import Disk
from syncd.tree.memory_user import User
from tests.sync.lab import START_NS, Clock

TICK_NS = START_NS - 1_234_567_891


class StillClock:
    def now_ns(self) -> int:
        return START_NS

    def monotonic_ns(self) -> int:
        return 0


async def test_two_edits_within_one_tick_are_a_conflict() -> None:
    """Both users add a name in the same tick of the file system's clock, with as many bytes."""
    disks = {side: Disk(Clock()) for side in BOTH}
    users = {side: User(disks[side]) for side in BOTH}
    ids = iter(range(100, 200))
    world = World(StillClock(), lambda: f"id-{next(ids)}", lambda *_, **__: None)
    database = await Database.open(None, driver=InlineDriver)
    try:
        cycle = Cycle(
            PairSettings("pair"), database, {side: MemoryTree(disks[side], side) for side in BOTH}, world
        )
        await cycle.open()
        users[Side.SOURCE].write(b"before", b"in sync")
        for side in BOTH:
            users[side].write(b"same", b"from %d" % side, mtime_ns=TICK_NS)
        await cycle.observe_all()
        await cycle.synchronise(lambda: False)
        assert users[Side.SOURCE].read(b"same") != users[Side.DESTINATION].read(b"same")
        for side in BOTH:
            users[side].write(b"name", b"from %d" % side, mtime_ns=TICK_NS)
        await cycle.observe_all()
        await cycle.synchronise(lambda: False)
    finally:
        await database.close()
    for side in BOTH:
        kept = {users[side].read(path) for path, _ in disks[side].walk() if path.startswith(b"name")}
        assert kept == {b"from 1", b"from 2"}
