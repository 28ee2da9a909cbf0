"""A tree in memory, an index and an observer: what the observation tests stand on."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Self

from syncd.core.entry import Side
from syncd.core.filter import Filter
from syncd.index import meta, nodes
from syncd.index.database import Database
from syncd.index.driver import InlineDriver
from syncd.sync.observe import Observation, Observer
from syncd.tree.memory import MemoryTree
from syncd.tree.memory_disk import Disk
from syncd.tree.memory_user import User

HERE = Side.SOURCE
START_NS = 1_700_000_000_000_000_000
OLD_NS = START_NS - 10**12


class Clock:
    """Each look moves it by a microsecond."""

    def __init__(self) -> None:
        self.now = START_NS

    def __call__(self) -> int:
        self.now += 1000
        return self.now


class CountingTree(MemoryTree):
    """Counts what the observer reads."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk, HERE, fault=lambda operation, path: self.faults.get((operation, path)))
        self.faults: dict[tuple[str, bytes], int] = {}
        self.digested: list[bytes] = []

    async def digest(self, paths: Sequence[bytes]):  # type: ignore[no-untyped-def]
        self.digested += paths
        return await super().digest(paths)


class Lab:
    """`user` works in the tree, `scan` and `look` observe it, `tree()` is what the index then says."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.disk = Disk(Clock())
        self.user = User(self.disk)
        self.fs = CountingTree(self.disk)
        self.observer = Observer(database, self.fs, HERE)
        self.rules = Filter.build((), {})

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Self]:
        database = await Database.open(None, driver=InlineDriver)
        try:
            yield cls(database)
        finally:
            await database.close()

    def files(self, **named: bytes) -> None:
        for name, data in named.items():
            self.user.write(name.replace("_", "/").encode(), data, mtime_ns=OLD_NS)

    async def scan(self, *paths: bytes, recursive: bool = True) -> Observation:
        return await self.observer.scan(self.rules, paths or (b"",), recursive=recursive)

    async def look(self, *paths: bytes) -> Observation:
        return await self.observer.look(self.rules, paths)

    async def digest_all(self) -> None:
        """Let every file's digest be known, as a finished sync does."""
        for path, node in list(self.disk.walk()):
            known = await self.node(path)
            if known is not None and node.data and known.entry.digest is None:
                await self.database.write(nodes.learn_digest, known.node_id, node.digest())

    async def node(self, path: bytes) -> nodes.Node | None:
        return await self.database.read(nodes.find, HERE, path)

    async def node_id(self, path: bytes) -> int:
        found = await self.node(path)
        assert found is not None, path
        return found.node_id

    async def tree(self) -> dict[bytes, nodes.Node]:
        found: dict[bytes, nodes.Node] = {}

        def keep(path: bytes, node: nodes.Node) -> None:
            found[path] = node

        await self.database.read(nodes.walk, HERE, b"", keep)
        return found

    async def head(self) -> int:
        from syncd.index import feed

        return await self.database.read(feed.head)

    async def assert_agrees(self) -> None:
        """The index says what the tree holds; whatever digest it claims is right."""
        seen = await self.tree()
        real = {path: node for path, node in self.disk.walk() if not self._is_invisible(path, node)}
        assert sorted(seen) == sorted(real)
        for path, node in seen.items():
            there = real[path]
            assert node.entry.kind is there.kind, path
            if there.data or node.entry.digest:
                assert node.entry.size == there.size, path
                assert node.entry.digest in (None, there.digest()), path
            if there.target:
                assert node.entry.target == there.target, path

    def _is_invisible(self, path: bytes, node: object) -> bool:
        from syncd.core.entry import Kind

        return self.rules.is_ignored(path, getattr(node, "kind", None) is Kind.DIRECTORY)

    async def set_rules(self, *patterns: str) -> None:
        self.rules = Filter.build(patterns, await self.database.read(meta.ignore_files))


async def settled(lab: Lab) -> None:
    """Scanned twice, digests known: nothing is racy any more."""
    await lab.scan()
    await lab.digest_all()
    await lab.scan()
    lab.fs.digested.clear()
