"""A pair of trees in memory, its index and its cycle: what tests of the whole engine stand on."""

from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Self

from syncd.core.action import TrashRef
from syncd.core.conflict import ConflictRecord
from syncd.core.entry import Kind, Side
from syncd.index import conflicts, history
from syncd.index.database import Database
from syncd.index.driver import InlineDriver
from syncd.sync.cycle import Cycle, Report
from syncd.sync.settings import PairSettings, World
from syncd.tree.memory import MemoryTree
from syncd.tree.memory_disk import Disk
from syncd.tree.memory_user import User
from tests.sync.lab import OLD_NS, START_NS, Clock

S, D = Side.SOURCE, Side.DESTINATION


class Desk:
    """A pair of trees in memory and its cycle; `told` is what was published."""

    def __init__(self, database: Database, **settings: object) -> None:
        self.database = database
        self.told: list[str] = []
        self.now = START_NS
        self.clocks = {side: Clock() for side in (S, D)}
        self.disks = {side: Disk(clock) for side, clock in self.clocks.items()}
        self.users = {side: User(disk) for side, disk in self.disks.items()}
        self.trees = {side: MemoryTree(disk, side) for side, disk in self.disks.items()}
        names = count()
        self._world = World(clock=self, new_id=lambda: f"batch-{next(names):04}", publish=self._hear)
        self._settings = PairSettings(name="p", **{"approves_holds": True, **settings})  # type: ignore[arg-type]
        self.cycle = self.restart()

    @classmethod
    @asynccontextmanager
    async def open(cls, **settings: object) -> AsyncIterator[Self]:
        database = await Database.open(None, driver=InlineDriver)
        try:
            yield cls(database, **settings)
        finally:
            await database.close()

    def now_ns(self) -> int:
        return self.now

    def monotonic_ns(self) -> int:
        return self.now

    def _hear(self, kind: str, path: bytes | None = None, /, **data: object) -> None:
        self.told.append(kind)

    def restart(self, make: Callable[[Disk, Side], MemoryTree] = MemoryTree) -> Cycle:
        """Another life of the daemon, over the same index and disks."""
        self.trees = {side: make(disk, side) for side, disk in self.disks.items()}
        self.cycle = Cycle(self._settings, self.database, self.trees, self._world)
        return self.cycle

    async def sync(self) -> Report:
        await self.cycle.open()
        await self.cycle.observe_all()
        return await self.cycle.synchronise(lambda: False)

    async def unfinish(self) -> None:
        """As after a power cut: the results of the first batch are stored, its mark is still there."""
        action = (await self.database.read(history.since, 0))[0]
        assert action.trash is not None
        self.disks[D].in_flight.add(action.trash.batch.encode())
        self.restart()

    async def look(self, path: bytes, side: Side = S) -> None:
        """A cycle after a change that was told: nothing is scanned."""
        await self.cycle.observe(side, [path], ())
        await self.cycle.synchronise(lambda: False)

    async def records(self) -> list[ConflictRecord]:
        return await self.database.read(conflicts.list_all)

    def leave(self, path: bytes, data: bytes, side: Side = D) -> TrashRef:
        """As a run that was killed: bytes in a slot of a batch that was not finished."""
        disk, user = self.disks[side], self.users[side]
        user.write(b"elsewhere", data, mtime_ns=OLD_NS)
        name, folder = b"killed", disk.new_node(Kind.DIRECTORY, 0o700)
        disk.link_new(disk.control, name, folder)
        directory, old = disk.parent_of(b"elsewhere")
        disk.rename(directory, old, folder, b"r1")
        note = disk.new_node(Kind.FILE, 0o600)
        disk.set_data(note, b'{"path":"%s","batch":"killed","entry":null}' % b64encode(path))
        disk.link_new(folder, b"r1.json", note)
        disk.in_flight.add(name)
        return TrashRef(side, "killed", "r1")


def files(desk: Desk, side: Side) -> dict[bytes, bytes]:
    """Contents by path."""
    return {path: node.data for path, node in desk.disks[side].walk() if node.kind is Kind.FILE}


def fill(desk: Desk, *names: bytes, side: Side = S) -> None:
    """Old files with contents of their own."""
    user = desk.users[side]
    for name in names:
        above = name.rpartition(b"/")[0]
        if above and desk.disks[side].at(above) is None:
            user.mkdir(above)
        user.write(name, b"content of " + name, mtime_ns=OLD_NS)
