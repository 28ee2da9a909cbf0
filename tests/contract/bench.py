"""What the contract tests need of a kind of tree: a way to make one, and somebody who works in it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec
from blake3 import blake3

from syncd.core.action import Action, Put, Result
from syncd.core.entry import Entry, Kind, Side, StatHint
from syncd.core.listing import Child, unpack
from syncd.tree.local.tree import LocalTree
from syncd.tree.memory import MemoryTree
from syncd.tree.memory_disk import Disk
from syncd.tree.memory_trash import slots
from syncd.tree.memory_user import User
from syncd.tree.port import Batch, Step, Tree

OLD_NS = 1_600_000_000_123_456_789
PAIR_KEY = "pair-key"


class Hands(Protocol):
    """Somebody who edits a tree without asking."""

    def write(self, path: bytes, data: bytes, *, mtime_ns: int = OLD_NS, mode: int = 0o644) -> None: ...
    def read(self, path: bytes) -> bytes: ...
    def mkdir(self, path: bytes, mode: int = 0o755) -> None: ...
    def symlink(self, path: bytes, target: bytes) -> None: ...
    def mkfifo(self, path: bytes) -> None: ...
    def chmod(self, path: bytes, mode: int) -> None: ...
    def rename(self, path: bytes, to: bytes) -> None: ...
    def delete(self, path: bytes) -> None: ...
    def names(self, path: bytes = b"") -> list[bytes]: ...
    def mode(self, path: bytes) -> int: ...
    def readlink(self, path: bytes) -> bytes: ...
    def trash(self) -> list[bytes]:
        """The contents of all files in the trash, sorted; notes beside them may be among them."""
        ...


class MemoryHands(User):
    """The user of a disk in memory."""

    def write(self, path: bytes, data: bytes, *, mtime_ns: int | None = OLD_NS, mode: int = 0o644) -> None:
        super().write(path, data, mtime_ns=mtime_ns, mode=mode)

    def names(self, path: bytes = b"") -> list[bytes]:
        return sorted(self.disk.find(path).children)

    def mode(self, path: bytes) -> int:
        return self.disk.find(path).mode

    def readlink(self, path: bytes) -> bytes:
        return self.disk.find(path).target

    def trash(self) -> list[bytes]:
        return sorted(node.data for _, _, node, _ in slots(self.disk))


class LocalHands:
    def __init__(self, root: Path) -> None:
        self._root = os.fsencode(root)

    def _at(self, path: bytes) -> bytes:
        return os.path.join(self._root, path)

    def write(self, path: bytes, data: bytes, *, mtime_ns: int = OLD_NS, mode: int = 0o644) -> None:
        is_new = not os.path.lexists(self._at(path))
        with open(self._at(path), "wb") as file:
            file.write(data)
        if is_new:
            os.chmod(self._at(path), mode)
        os.utime(self._at(path), ns=(mtime_ns, mtime_ns))

    def read(self, path: bytes) -> bytes:
        with open(self._at(path), "rb") as file:
            return file.read()

    def mkdir(self, path: bytes, mode: int = 0o755) -> None:
        os.mkdir(self._at(path))
        os.chmod(self._at(path), mode)

    def symlink(self, path: bytes, target: bytes) -> None:
        os.symlink(target, self._at(path))

    def mkfifo(self, path: bytes) -> None:
        os.mkfifo(self._at(path))

    def chmod(self, path: bytes, mode: int) -> None:
        os.chmod(self._at(path), mode)

    def rename(self, path: bytes, to: bytes) -> None:
        os.rename(self._at(path), self._at(to))

    def delete(self, path: bytes) -> None:
        full = self._at(path)
        if os.path.isdir(full) and not os.path.islink(full):
            shutil.rmtree(full)
        else:
            os.unlink(full)

    def names(self, path: bytes = b"") -> list[bytes]:
        return sorted(set(os.listdir(self._at(path))) - {b".syncd"})

    def mode(self, path: bytes) -> int:
        return os.lstat(self._at(path)).st_mode & 0o777

    def readlink(self, path: bytes) -> bytes:
        return os.readlink(self._at(path))

    def trash(self) -> list[bytes]:
        found = []
        for folder, _, names in os.walk(self._at(b".syncd")):
            for name in names:
                full = os.path.join(folder, name)
                if os.path.isfile(full) and not os.path.islink(full):
                    with open(full, "rb") as file:
                        found.append(file.read())
        return sorted(found)


class Bench:
    """One tree, its user, and short words for what the tests do with it."""

    def __init__(self, tree: Tree, hands: Hands) -> None:
        self.tree = tree
        self.hands = hands
        self._batches = 0

    async def child(self, path: bytes) -> Child | None:
        (look,) = await self.tree.look([path])
        assert look.problem is None, look
        return look.child

    async def hint(self, path: bytes) -> StatHint | None:
        child = await self.child(path)
        return child.hint if child else None

    async def entry(self, path: bytes, *, with_digest: bool = True) -> Entry:
        child = await self.child(path)
        assert child is not None
        if child.kind is Kind.SYMLINK:
            return link(self.hands.readlink(path))
        if child.kind is not Kind.FILE:
            return Entry(child.kind, child.mode)
        digest = blake3(self.hands.read(path)).digest() if with_digest else None
        return Entry(Kind.FILE, child.mode, child.hint.size, child.hint.mtime_ns, digest)

    async def step(self, action: Action, other: "Bench | None" = None) -> Step:
        """A step as the executor makes it: with the hint at the target and the content to put."""
        content = None
        if isinstance(action, Put) and other is not None:
            content = other.tree.content(action.origin, action.entry, await other.hint(action.origin))
        return Step(action, await self.hint(action.path), content)

    async def run(self, *steps: Step, stop: Callable[[], bool] = lambda: False) -> list[Result]:
        self._batches += 1
        batch = Batch(batch_id=f"20260101T000000-{self._batches:04d}", steps=steps, stop=stop)
        return list(await self.tree.apply(batch))

    async def do(self, action: Action, other: "Bench | None" = None) -> Result:
        (result,) = await self.run(await self.step(action, other))
        return result

    async def scan(
        self, *paths: bytes, recursive: bool = True, prune: Callable[[bytes], bool] = lambda path: False
    ) -> dict[bytes, list[Child]]:
        """Children by directory, in the order of the scan; the control directory left out."""
        found: dict[bytes, list[Child]] = {}

        def is_left_out(path: bytes) -> bool:
            return path.split(b"/")[0] == b".syncd" or prune(path)

        async for page in self.tree.scan(list(paths) or [b""], recursive=recursive, prune=is_left_out):
            for one in page:
                assert one.problem is None, one
                found[one.path] = [child for child in unpack(one.record) if child.name != b".syncd"]
        return found


def link(target: bytes) -> Entry:
    return Entry(Kind.SYMLINK, size=len(target), target=target)


def file_entry(data: bytes, *, mode: int = 0o644, mtime_ns: int = OLD_NS) -> Entry:
    return Entry(Kind.FILE, mode, len(data), mtime_ns, blake3(data).digest())


def without_digest(entry: Entry) -> Entry:
    return msgspec.structs.replace(entry, digest=None)


class Ticking:
    """A clock that moves by a microsecond whenever it is asked."""

    def __init__(self) -> None:
        self._now_ns = 1_800_000_000_000_000_000

    def __call__(self) -> int:
        self._now_ns += 1000
        return self._now_ns


def memory_bench(_: Path, side: Side) -> Bench:
    disk = Disk(Ticking())
    return Bench(MemoryTree(disk, side, pair_key=PAIR_KEY), MemoryHands(disk))


def local_bench(folder: Path, side: Side) -> Bench:
    root = folder / side.word
    root.mkdir(exist_ok=True)
    return Bench(LocalTree(root, side, pair_key=PAIR_KEY, is_written=True), LocalHands(root))
