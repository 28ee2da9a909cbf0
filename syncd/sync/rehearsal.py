"""A tree that is read for real and changed only in the imagination: what `--dry-run` and `plan` run on.

The whole engine works on a copy of the index over rehearsal trees, so what they print is what a real run
then does. Nothing is written, not even a marker.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from itertools import count

import msgspec

from syncd.core.action import (
    Action,
    Delete,
    Done,
    MakeDirectory,
    Move,
    Put,
    RemoveDirectory,
    Result,
    SetMode,
    TrashRef,
)
from syncd.core.entry import Entry, StatHint
from syncd.tree.port import (
    Batch,
    Content,
    Digested,
    Kept,
    Listing,
    Look,
    RootIdentity,
    RootProblem,
    Tree,
)

_FIRST_INODE = 1 << 60
"""Imagined inodes never meet real ones."""


class Rehearsal:
    """Wraps a tree; `done` collects every action in the order in which it would happen."""

    def __init__(self, tree: Tree, done: list[Action]) -> None:
        self._tree = tree
        self._done = done
        self._inodes = count(_FIRST_INODE)
        self._origins: dict[bytes, bytes] = {}
        self.side = tree.side
        self.capabilities = tree.capabilities

    async def open(self, *, known: RootIdentity | None, adopt: bool) -> RootIdentity:
        del known, adopt
        identity = await self._tree.open(known=None, adopt=False)
        self.capabilities = self._tree.capabilities
        return identity

    async def check_root(self) -> RootProblem | None:
        return await self._tree.check_root()

    def scan(
        self, paths: Sequence[bytes], *, recursive: bool, prune: Callable[[bytes], bool]
    ) -> AsyncIterator[Sequence[Listing]]:
        return self._tree.scan(paths, recursive=recursive, prune=prune)

    async def look(self, paths: Sequence[bytes]) -> Sequence[Look]:
        return await self._tree.look(paths)

    async def digest(self, paths: Sequence[bytes]) -> Sequence[Digested]:
        """Files that were moved in the imagination are read where they really are."""
        real = [self._real(path) for path in paths]
        read = await self._tree.digest(real)
        return [msgspec.structs.replace(item, path=path) for item, path in zip(read, paths, strict=True)]

    def _real(self, path: bytes) -> bytes:
        """Follow imagined moves of the path, or of a directory above it, back to where it is."""
        for moved, origin in reversed(list(self._origins.items())):
            if path == moved:
                path = origin
            elif path.startswith(moved + b"/"):
                path = origin + path[len(moved) :]
        return path

    async def read_file(self, path: bytes, limit: int) -> bytes | None:
        return await self._tree.read_file(self._real(path), limit)

    async def sample(self, paths: Sequence[bytes], size: int) -> Sequence[bytes]:
        return await self._tree.sample([self._real(path) for path in paths], size)

    def content(self, path: bytes, entry: Entry, hint: StatHint | None) -> Content:
        return self._tree.content(path, entry, hint)

    async def prepare(self, source: Tree) -> None:
        """Nothing will be put."""

    async def apply(self, batch: Batch) -> Sequence[Result]:
        """Every step succeeds, in the imagination."""
        results: list[Result] = []
        for step in batch.steps:
            self._done.append(step.action)
            results.append(self._imagine(step.action, step.hint))
        return results

    def _imagine(self, action: Action, hint: StatHint | None) -> Done:
        match action:
            case Put(entry=entry) | MakeDirectory(entry=entry):
                return Done(action, entry, self._hint(entry))
            case Move(path=path, to=to, expect=expect):
                self._origins[to] = path
                return Done(action, expect, hint or self._hint(expect))
            case SetMode(mode=mode, expect=expect):
                return Done(action, msgspec.structs.replace(expect, mode=mode), hint or self._hint(expect))
            case Delete() | RemoveDirectory():
                return Done(action, None, None)

    def _hint(self, entry: Entry) -> StatHint:
        return StatHint(next(self._inodes), entry.size, entry.mtime_ns, 0)

    async def persist(self, batch_id: str | None = None) -> None:
        """Nothing was done."""
        del batch_id

    async def restore(self, ref: TrashRef, path: bytes) -> None:
        """Nothing is restored in a rehearsal."""
        del ref, path

    def trash_location(self, ref: TrashRef) -> bytes | None:
        return self._tree.trash_location(ref)

    async def unaccounted(self, batches: Sequence[str] | None = None) -> Sequence[Kept]:
        """Nothing is displaced in a rehearsal."""
        del batches
        return ()

    async def digest_kept(self, ref: TrashRef) -> bytes | None:
        return await self._tree.digest_kept(ref)

    async def trash_bytes(self) -> int:
        """There is always room in the imagination."""
        return 0

    async def expire_trash(self, keep_s: float, max_bytes: int | None, pinned: frozenset[str]) -> int:
        """Nothing expires in a rehearsal."""
        del keep_s, max_bytes, pinned
        return 0

    async def release(self) -> None:
        await self._tree.release()

    async def close(self) -> None:
        await self._tree.close()
