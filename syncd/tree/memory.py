"""MemoryTree: a file system in memory behind the Tree port, for tests and the simulation.

It keeps the laws that `tree/local` keeps (exchange and look, no-replace, trash first, sync twice) on a `Disk`
with recycled inodes and two images. Each await point calls the injected `pause`, so that a scheduler may let
somebody edit between any two steps; `fault` may answer an errno for an operation on a path. May import the
core, the port and its own parts (`memory_*`); no threads, no real files (but for descriptors that other
trees read from).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from syncd.core import listing
from syncd.core.action import Result, TrashRef
from syncd.core.entry import Entry, Kind, Side, StatHint
from syncd.core.error import NeedsUser, PathProblem, TransientError
from syncd.core.reason import Reason
from syncd.tree.memory_apply import Applier
from syncd.tree.memory_disk import Disk
from syncd.tree.memory_machine import (
    ABSENT,
    Fault,
    Machine,
    MemoryContent,
    child_of,
    no_fault,
    no_pause,
    reason_of,
)
from syncd.tree.memory_trash import expire, kept_node, recover, restore, slots, unaccounted
from syncd.tree.port import (
    Batch,
    Capabilities,
    Digested,
    Kept,
    Listing,
    Look,
    RootIdentity,
    RootProblem,
    Tree,
)

PAGE_DIRECTORIES = 8


class MemoryTree(Machine):
    """One side of a pair, on a `Disk`. Several trees may be opened on one disk, one after the other."""

    def __init__(
        self,
        disk: Disk,
        side: Side,
        *,
        pair_key: str = "pair",
        capabilities: Capabilities | None = None,
        pause: Callable[[], Awaitable[None]] = no_pause,
        fault: Fault = no_fault,
    ) -> None:
        super().__init__(disk, side, capabilities=capabilities, pause=pause, fault=fault)
        self._pair_key = pair_key
        self._left: frozenset[bytes] = frozenset()
        """Batches that an earlier run did not finish."""

    # The root.

    async def open(self, *, known: RootIdentity | None, adopt: bool) -> RootIdentity:
        await self.step()
        if not self.disk.is_mounted:
            raise NeedsUser(Reason.ROOT_MISSING, "the root is gone")
        marker = self.disk.marker
        if marker not in (None, self._pair_key) and not adopt:
            raise NeedsUser(Reason.FOREIGN_MARKER, str(marker))
        is_same = known is None or known.inode == self.disk.root.number
        if not is_same and marker != self._pair_key and not adopt:
            raise NeedsUser(Reason.ROOT_CHANGED, "another directory is at the root")
        self.disk.marker = self._pair_key
        self._left |= self.disk.in_flight
        await recover(self)
        self.disk.in_flight.clear()
        return RootIdentity(
            device=1,
            inode=self.disk.root.number,
            filesystem_id="memory",
            marker=self._pair_key,
            had_marker=marker == self._pair_key,
            attachment=str(self.disk.attachments),
        )

    async def check_root(self) -> RootProblem | None:
        await self.step()
        if not self.disk.is_mounted:
            return RootProblem(Reason.ROOT_MISSING, "the root is gone")
        if self.disk.marker not in (None, self._pair_key):
            return RootProblem(Reason.FOREIGN_MARKER, str(self.disk.marker))
        return None

    async def release(self) -> None:
        await self.step()

    async def close(self) -> None:
        """Nothing is held."""

    # Observing.

    async def scan(
        self, paths: Sequence[bytes], *, recursive: bool, prune: Callable[[bytes], bool]
    ) -> AsyncIterator[Sequence[Listing]]:
        page: list[Listing] = []
        stack = sorted(set(paths), reverse=True)
        while stack:
            path = stack.pop()
            found, directories = await self._list(path)
            if found is None:
                continue
            page.append(found)
            if recursive:
                below = [path + b"/" + name if path else name for name in directories]
                stack += [child for child in reversed(below) if not prune(child)]
            if len(page) >= PAGE_DIRECTORIES:
                yield page
                page = []
        if page:
            yield page

    async def _list(self, path: bytes) -> tuple[Listing | None, list[bytes]]:
        """Names first, then an lstat of each: what moves in between is missed, as with readdir."""
        await self.step()
        racy_after_ns = self.disk.now_ns()
        try:
            self.check("scan", path)
            node = self.disk.find(path)
        except OSError as error:
            if error.errno in ABSENT and path and self.disk.is_mounted:
                return None, []
            reason = reason_of(error, Reason.UNREADABLE)
            return Listing(path, 0, b"", reason, error.strerror or "", racy_after_ns), []
        if node.kind is not Kind.DIRECTORY:
            return None, []
        names = sorted(node.children)
        await self.step()
        children = [child_of(node.children[name], name) for name in names if name in node.children]
        directories = [child.name for child in children if child.kind is Kind.DIRECTORY]
        record = listing.pack(children)
        return Listing(
            path, node.number, record, racy_after_ns=racy_after_ns, changed_ns=node.ctime_ns
        ), directories

    async def look(self, paths: Sequence[bytes]) -> Sequence[Look]:
        looks = []
        for path in paths:
            await self.step()
            racy_after_ns = self.disk.now_ns()
            try:
                self.check("look", path)
                child = child_of(self.disk.find(path), path.rpartition(b"/")[2])
            except OSError as error:
                if error.errno in ABSENT and self.disk.is_mounted:
                    looks.append(Look(path, None, racy_after_ns=racy_after_ns))
                else:
                    reason = reason_of(error, Reason.UNREADABLE)
                    looks.append(Look(path, None, reason, error.strerror or "", racy_after_ns))
            else:
                looks.append(Look(path, child, racy_after_ns=racy_after_ns))
        return looks

    async def digest(self, paths: Sequence[bytes]) -> Sequence[Digested]:
        return [await self._digest(path) for path in paths]

    async def _digest(self, path: bytes) -> Digested:
        await self.step()
        try:
            self.check("read", path)
            node = self.disk.find(path)
        except OSError as error:
            reason = Reason.CHANGING if error.errno in ABSENT else reason_of(error, Reason.UNREADABLE)
            return Digested(path, None, None, reason, error.strerror or "")
        if node.kind is not Kind.FILE:
            return Digested(path, None, None, Reason.CHANGING, "not a file")
        before = node.hint
        digest = node.digest()
        await self.step()
        if node.hint != before:
            return Digested(path, None, None, Reason.CHANGING, "changed while it was read")
        return Digested(path, digest, before)

    async def read_file(self, path: bytes, limit: int) -> bytes | None:
        await self.step()
        try:
            self.check("read", path)
            node = self.disk.find(path)
        except OSError as error:
            if error.errno in ABSENT and self.disk.is_mounted:
                return None
            raise PathProblem(reason_of(error, Reason.UNREADABLE), error.strerror or "") from error
        if node.kind is not Kind.FILE:
            return None
        if node.size > limit:
            raise PathProblem(Reason.UNREADABLE, f"larger than {limit} bytes")
        return node.data

    async def sample(self, paths: Sequence[bytes], size: int) -> Sequence[bytes]:
        await self.step()
        return [self._beginning(path, size) for path in paths]

    def _beginning(self, path: bytes, size: int) -> bytes:
        try:
            self.check("read", path)
            node = self.disk.find(path)
        except OSError:
            return b""
        return node.data[:size] if node.kind is Kind.FILE else b""

    # Content and changes.

    def content(self, path: bytes, entry: Entry, hint: StatHint | None) -> MemoryContent:
        return MemoryContent(self, path, entry, hint)

    async def prepare(self, source: Tree) -> None:
        """Nothing here takes time."""

    async def apply(self, batch: Batch) -> Sequence[Result]:
        return await Applier(self, batch).run()

    async def persist(self, batch_id: str | None = None) -> None:
        await self.step()
        try:
            self.check("sync", b"")
        except OSError as error:
            raise TransientError(reason_of(error, Reason.IO_ERROR), error.strerror or "") from error
        self.disk.sync()
        if batch_id is not None:
            self.disk.in_flight.discard(batch_id.encode())

    async def restore(self, ref: TrashRef, path: bytes) -> None:
        await self.step()
        try:
            self.check("restore", path)
            restore(self.disk, ref, path)
        except OSError as error:
            raise PathProblem(reason_of(error, Reason.NOT_PERMITTED), error.strerror or "") from error

    def trash_location(self, ref: TrashRef) -> bytes | None:  # noqa: ARG002
        """Nothing in memory has a name on this machine."""
        return None

    async def unaccounted(self, batches: Sequence[str] | None = None) -> Sequence[Kept]:
        await self.step()
        return unaccounted(self, self._left, batches)

    async def digest_kept(self, ref: TrashRef) -> bytes | None:
        await self.step()
        node = kept_node(self.disk, ref)
        return None if node is None or node.kind is not Kind.FILE else node.digest()

    async def trash_bytes(self) -> int:
        return sum(node.size for _, _, node, _ in slots(self.disk))

    async def expire_trash(self, keep_s: float, max_bytes: int | None, pinned: frozenset[str]) -> int:
        await self.step()
        return expire(self, keep_s, max_bytes, pinned)
