"""LocalTree: a local directory behind the port of a tree. Blocking work runs in worker threads.

Each tree has a few threads of its own, so that a hung mount stops no other pair. A batch is awaited to its
end even when the waiting task is cancelled: a thread that changes names is never left unobserved.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import anyio
import msgspec
from anyio import CapacityLimiter, to_thread

from syncd.core.action import Result, TrashRef, displaced_bytes
from syncd.core.entry import Entry, Side, StatHint
from syncd.core.error import NeedsUser, PathProblem, TransientError
from syncd.core.path import escape
from syncd.core.reason import Reason
from syncd.tree.local import apply, identity, kept, probe, recover, trash
from syncd.tree.local import syscalls as sc
from syncd.tree.local.apply import Site
from syncd.tree.local.claim import Claim
from syncd.tree.local.errors import judge, text
from syncd.tree.local.hands import Hands
from syncd.tree.local.metadata import Owner
from syncd.tree.local.occupancy import wait_until_free
from syncd.tree.local.reader import LocalContent, Reader
from syncd.tree.local.root import Root
from syncd.tree.local.scan import Walk
from syncd.tree.local.slots import finish
from syncd.tree.local.walker import Scan
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

T = TypeVar("T")
_THREADS = 16
_RELEASE_S = 2.0


class Offload(Protocol):
    """Runs a blocking function somewhere else than in the event loop."""

    async def __call__(self, function: Callable[[], T], /) -> T: ...


class LocalTree:
    """One local directory. See `Tree` of the port.

    `owner` is the rule for new files; `cross_mounts` enters other file systems below the root; `offload`
    replaces the worker threads (simulation, tests).
    """

    def __init__(
        self,
        root: Path | bytes,
        side: Side,
        *,
        pair_key: str | Claim,
        is_written: bool,
        owner: str = "parent",
        cross_mounts: bool = False,
        offload: Offload | None = None,
    ) -> None:
        self.side = side
        self.capabilities = Capabilities(is_writable=is_written)
        self.recovered: tuple[trash.TrashEntry, ...] = ()
        """What a killed run left, kept as trash: filled by `open`."""
        self._root = Root(os.fsencode(root), is_written=is_written)
        self._claim = pair_key if isinstance(pair_key, Claim) else Claim(pair_key)
        self._is_written = is_written
        self._owner_rule = owner
        self._owner = Owner(owner)
        self._may_cross = cross_mounts
        self._offload = offload
        self._limiter: CapacityLimiter | None = None
        self._trash_bytes: int | None = None
        self._reader = Reader(self._root, may_cross=cross_mounts)
        self.hands = Hands()

    async def open(self, *, known: RootIdentity | None, adopt: bool) -> RootIdentity:
        return await self._run(lambda: self._open(known, adopt))

    async def check_root(self) -> RootProblem | None:
        return await self._run(self._root.check)

    async def scan(
        self, paths: Sequence[bytes], *, recursive: bool, prune: Callable[[bytes], bool]
    ) -> AsyncIterator[Sequence[Listing]]:
        if self.hands.children and recursive and b"" in paths:
            # Whoever looks at all of it puts nothing meanwhile.
            await self._run(self.hands.let_go)
        with contextlib.ExitStack() as held:
            root = await self._run(lambda: held.enter_context(self._root.use()))
            walk = Walk(
                root,
                paths,
                recursive=recursive,
                prune=prune,
                may_cross=self._may_cross,
                racy_after_ns=self._racy_after_ns,
            )
            # An injected offload is a simulation's: it must not meet real processes.
            pages = Scan(walk, root, may_hand_over=self._offload is None)
            held.callback(pages.close)
            while page := await self._run(pages.next_page):
                yield page

    async def look(self, paths: Sequence[bytes]) -> Sequence[Look]:
        return await self._run(lambda: self._look(paths))

    async def digest(self, paths: Sequence[bytes]) -> Sequence[Digested]:
        return await self._run(lambda: self._reader.digest(paths))

    async def read_file(self, path: bytes, limit: int) -> bytes | None:
        return await self._run(lambda: self._reader.read_small(path, limit))

    async def sample(self, paths: Sequence[bytes], size: int) -> Sequence[bytes]:
        return await self._run(lambda: [self._reader.read_beginning(path, size) for path in paths])

    def content(self, path: bytes, entry: Entry, hint: StatHint | None) -> LocalContent:
        return LocalContent(self._reader, path, entry, hint)

    async def prepare(self, source: Tree) -> None:
        if self._is_written and self._offload is None and isinstance(source, LocalTree):
            with contextlib.suppress(OSError):
                reader = source._reader
                await self._run(lambda: self.hands.prepare(self._site(), reader, self._owner_rule))

    async def apply(self, batch: Batch) -> Sequence[Result]:
        if not self._is_written:
            raise NeedsUser(Reason.NOT_PERMITTED, "the mode of the pair never writes to this tree")
        results = await self._to_the_end(lambda: self._apply(batch))
        if self._trash_bytes is not None:
            self._trash_bytes += sum(displaced_bytes(result) for result in results)
        return results

    async def persist(self, batch_id: str | None = None) -> None:
        await self._to_the_end(lambda: self._persist(batch_id))

    async def unaccounted(self, batches: Sequence[str] | None = None) -> Sequence[Kept]:
        if not self._is_written:
            return ()
        return await self._run(lambda: kept.unaccounted(self._trash(), self.recovered, batches))

    async def digest_kept(self, ref: TrashRef) -> bytes | None:
        return await self._run(lambda: kept.digest(self._trash(), ref))

    async def trash_bytes(self) -> int:
        if not self._is_written:
            return 0
        if self._trash_bytes is None:
            self._trash_bytes = await self._run(self._trash().weight)
        return self._trash_bytes

    async def restore(self, ref: TrashRef, path: bytes) -> None:
        self._trash_bytes = None
        await self._to_the_end(lambda: self._restore(ref, path))

    def trash_location(self, ref: TrashRef) -> bytes | None:
        return self._trash().location(ref)

    async def expire_trash(self, keep_s: float, max_bytes: int | None, pinned: frozenset[str]) -> int:
        if not self._is_written:
            return 0
        freed = await self._to_the_end(lambda: self._trash().expire(keep_s, max_bytes, pinned))
        self._trash_bytes = None if freed else self._trash_bytes
        return freed

    async def trash_entries(self, batch_id: str | None = None) -> Sequence[trash.TrashEntry]:
        """What lies in the trash, of one batch or all, oldest first."""
        return await self._run(lambda: self._trash().entries(batch_id))

    async def release(self) -> None:
        """Bounded: a mount that hangs may keep a thread, never the loop."""
        with anyio.move_on_after(_RELEASE_S, shield=True):
            await to_thread.run_sync(self._release, abandon_on_cancel=True)

    async def close(self) -> None:
        await self.release()

    async def _run(self, function: Callable[[], T]) -> T:
        if self._offload is not None:
            return await self._offload(function)
        if self._limiter is None:
            self._limiter = CapacityLimiter(_THREADS)
        return await to_thread.run_sync(function, limiter=self._limiter)

    async def _to_the_end(self, function: Callable[[], T]) -> T:
        result: list[T] = []
        with anyio.CancelScope(shield=True):
            result.append(await self._run(function))
        return result[0]

    def _open(self, known: RootIdentity | None, adopt: bool) -> RootIdentity:
        self._reader.release()
        self._root.forget()
        with self._root.use() as root:
            found = identity.read_identity(root)
            if not adopt:
                identity.check_known(found, known, is_written=self._is_written)
            if self._is_written:
                found = self._open_written(root, adopt)
            else:
                self.capabilities = probe.read_only_capabilities(identity.mount_of(root))
            self._root.trust(found.device, found.inode, has_marker=self._is_written)
        self._reader = Reader(
            self._root,
            may_cross=self._may_cross,
            is_case_sensitive=self.capabilities.is_case_sensitive,
        )
        return found

    def _open_written(self, root: int, adopt: bool) -> RootIdentity:
        marker = identity.read_marker(root)
        if marker is not None and not adopt and marker.claim.excludes(self._claim):
            where = f" of the state in {marker.state_dir}" if marker.state_dir else ""
            raise NeedsUser(Reason.FOREIGN_MARKER, f"the marker names the pair {marker.pair!r}{where}")
        control = self._root.control
        if marker is None or marker.claim != self._claim:
            identity.write_marker(root, control.fd, self._claim)
        try:
            self.capabilities = probe.probe(control.stage, identity.mount_of(root))
        except OSError as error:
            raise identity.not_writable(error) from error
        wait_until_free(control.stage)
        self.recovered += recover.recover(root, control, self._trash(), self.capabilities.has_exchange)
        had_marker = marker is not None and marker.pair == self._claim.pair
        return msgspec.structs.replace(identity.read_identity(root), had_marker=had_marker)

    def _apply(self, batch: Batch) -> Sequence[Result]:
        if self._offload is not None:
            return apply.run(self._site(), batch)
        return self.hands.apply(self._site(), batch, self._owner_rule)

    def _persist(self, batch_id: str | None) -> None:
        try:
            with self._root.use() as root:
                if sc.has_syncfs() and not self._may_cross:
                    sc.syncfs(root)
                else:
                    os.sync()
                if batch_id is not None:
                    finish(self._root.control, batch_id)
        except OSError as error:
            raise TransientError(judge(error).reason or Reason.IO_ERROR, text(error)) from error

    def _site(self) -> Site:
        return Site(
            root=self._root,
            side=self.side,
            owner=self._owner,
            capabilities=self.capabilities,
            slack_ns=probe.racy_slack_ns(self.capabilities),
            may_cross=self._may_cross,
        )

    def _trash(self) -> trash.Trash:
        return trash.Trash(self._root, self.side)

    def _release(self) -> None:
        self.hands.let_go()
        self._reader.release()
        self._root.release()

    def _restore(self, ref: TrashRef, path: bytes) -> None:
        try:
            self._trash().restore(ref, path)
        except OSError as error:
            verdict = judge(error)
            raise PathProblem(verdict.reason or Reason.BLOCKED, f"{escape(path)}: {text(error)}") from error

    def _look(self, paths: Sequence[bytes]) -> list[Look]:
        with self._root.use():
            return self._reader.look(paths, self._racy_after_ns())

    def _racy_after_ns(self) -> int:
        return self._root.now_ns() - probe.racy_slack_ns(self.capabilities)
