"""The port of a tree: what the engine asks of a local directory, a hub workspace or any remote.

Methods are coroutines; an implementation does its blocking work in threads or processes of its own.
Errors are those of `syncd.core.error`; nothing else leaves a tree.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

import msgspec

from syncd.core.action import Action, Result, TrashRef
from syncd.core.entry import Entry, Side, StatHint
from syncd.core.identity import RootIdentity as RootIdentity
from syncd.core.listing import Child
from syncd.core.reason import Reason


class Capabilities(msgspec.Struct, frozen=True):
    """What the tree can hold, found by probing, not by platform name."""

    is_writable: bool = True
    mode_mask: int = 0o777
    """Permission bits that are kept: 0o777, 0o100 or 0."""
    is_case_sensitive: bool = True
    is_normalisation_preserving: bool = True
    time_granularity_ns: int = 1
    has_symlinks: bool = True
    has_exchange: bool = True
    """RENAME_EXCHANGE and RENAME_NOREPLACE work; without them replacing is `weak-replace`."""
    has_reflink: bool = False
    has_events: bool = True
    """Changes by anyone are reported by the kernel (not so on NFS, FUSE, SMB …)."""
    filesystem: str = ""


class Listing(msgspec.Struct, frozen=True, gc=False):
    """One directory as it was read: `record` is `core.listing.pack` of all its children, sorted by name.

    With a `problem` the record is empty and says nothing: a failed listing is never "empty".
    `racy_after_ns`: an mtime at or after this file-system time may still change unseen (racy-git rule).
    `changed_ns`: the directory's own ctime, 0 where there is none.
    """

    path: bytes
    inode: int
    record: bytes
    problem: Reason | None = None
    detail: str = ""
    racy_after_ns: int = 2**63 - 1
    changed_ns: int = 0


class Look(msgspec.Struct, frozen=True, gc=False):
    """One path as it was looked at. No child and no problem: it is absent."""

    path: bytes
    child: Child | None
    problem: Reason | None = None
    detail: str = ""
    racy_after_ns: int = 2**63 - 1


class Digested(msgspec.Struct, frozen=True, gc=False):
    """A file's digest with the stat that held before and after reading, or why there is none."""

    path: bytes
    digest: bytes | None
    hint: StatHint | None
    problem: Reason | None = None
    detail: str = ""


class Content(Protocol):
    """The content of one file of the other tree, opened beneath its root, checked before and after.

    `open_blocking` returns a descriptor (caller closes) and is called in a worker thread; it raises
    StaleError when the file is not the `expected` one. `check_blocking(fd)` raises StaleError when the
    file changed while it was read. `read_target_blocking` is for links.
    """

    def open_blocking(self) -> int: ...
    def check_blocking(self, fd: int) -> None: ...
    def read_target_blocking(self) -> bytes: ...


class Step(msgspec.Struct, frozen=True, gc=False):
    """One action, with the hint at its target (to check the expectation) and the content to put."""

    action: Action
    hint: StatHint | None = None
    content: Content | None = None


class Batch(msgspec.Struct, frozen=True):
    """Steps of one level on one side, applied in order, made durable together.

    `batch_id` names the trash folder. `stop` is polled between steps from the worker thread: once true,
    the steps that have not begun are left out of the results (pause, shutdown). `to_come` is about how many
    steps of the plan come after this batch, for trees that prepare for many.
    """

    batch_id: str
    steps: tuple[Step, ...]
    stop: Callable[[], bool]
    progress: Callable[[int], None] = lambda _: None
    to_come: int = 0


class RootProblem(msgspec.Struct, frozen=True):
    """Why a root must not be trusted now (`root-missing`, `root-changed`, `foreign-marker` …)."""

    reason: Reason
    detail: str


class Kept(msgspec.Struct, frozen=True):
    """Bytes in the trash that no result has told of. `entry` is what lies there now, a file's digest unknown;
    `expected` what a plan displaced and somebody wrote to since, None for what a killed run left."""

    ref: TrashRef
    path: bytes
    entry: Entry
    expected: Entry | None = None


class Tree(Protocol):
    """One side of a pair. `scan` yields pages of listings in sorted depth-first order."""

    side: Side
    capabilities: Capabilities

    async def open(self, *, known: RootIdentity | None, adopt: bool) -> RootIdentity:
        """Check the root, write or verify the marker (written trees only), recover what a killed run
        left. Raises NeedsUser. `known` is what an earlier run stored; `adopt` takes a foreign marker
        over."""

    async def check_root(self) -> RootProblem | None:
        """Is it still the root that was opened? Asked before every scan and destructive batch."""

    def scan(
        self, paths: Sequence[bytes], *, recursive: bool, prune: Callable[[bytes], bool]
    ) -> AsyncIterator[Sequence[Listing]]:
        """List the directories `paths` (and below). `prune(path)` says which directories to leave out; it
        is called in the walking thread and must be pure."""

    async def look(self, paths: Sequence[bytes]) -> Sequence[Look]:
        """lstat single paths."""

    async def digest(self, paths: Sequence[bytes]) -> Sequence[Digested]:
        """BLAKE3 of files, fstat before and after agreeing."""

    async def read_file(self, path: bytes, limit: int) -> bytes | None:
        """A small file whole (ignore rules), None when absent. Raises PathProblem past `limit`."""

    async def sample(self, paths: Sequence[bytes], size: int) -> Sequence[bytes]:
        """The first `size` bytes of each file; nothing of what cannot be read."""

    def content(self, path: bytes, entry: Entry, hint: StatHint | None) -> Content:
        """The content of `path`, to be put at the other tree."""

    async def prepare(self, source: "Tree") -> None:
        """Much is about to be put here from `source`: make ready what takes time. A hint; never raises."""

    async def apply(self, batch: Batch) -> Sequence[Result]:
        """Stage, verify, sync, put in place, sync. Never raises for one step's fate."""

    async def persist(self, batch_id: str | None = None) -> None:
        """Bring to the device whatever was done before, and end a batch whose own sync had failed. Raises
        TransientError when that fails again."""

    async def restore(self, ref: TrashRef, path: bytes) -> None:
        """Move kept bytes from the trash to a free name. Raises PathProblem (gone, or the name is taken)."""

    def trash_location(self, ref: TrashRef) -> bytes | None:
        """The absolute file name of kept bytes on this machine, None where there is none."""

    async def unaccounted(self, batches: Sequence[str] | None = None) -> Sequence[Kept]:
        """What a program wrote to after it was displaced, in `batches` only or anywhere; and (anywhere) what
        a killed run had left when the tree was opened. The same answer until the bytes are gone."""

    async def digest_kept(self, ref: TrashRef) -> bytes | None:
        """BLAKE3 of a kept file, None when it is gone or cannot be read."""

    async def trash_bytes(self) -> int:
        """How much the trash holds, about; counted once, then kept up to date."""

    async def expire_trash(self, keep_s: float, max_bytes: int | None, pinned: frozenset[str]) -> int:
        """Drop trash batches older than `keep_s` (file-system time; at least 24 h for space); never those
        in `pinned` (open conflict records). Returns the bytes freed."""

    async def release(self) -> None:
        """Close root descriptors while idle, so that the file system can be unmounted."""

    async def close(self) -> None: ...
