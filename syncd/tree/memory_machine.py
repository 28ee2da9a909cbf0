"""What every part of MemoryTree stands on: the disk, the await points, the faults, content to copy from.

May import the core, the port and `memory_disk` only.
"""

import errno
import os
from collections.abc import Awaitable, Callable

from syncd.core.entry import Entry, Kind, Side, StatHint
from syncd.core.error import StaleError
from syncd.core.listing import Child
from syncd.core.reason import Reason
from syncd.tree.memory_disk import Disk, Node
from syncd.tree.port import Capabilities

Fault = Callable[[str, bytes], int | None]
"""(operation, path) → errno or None. Operations: scan, look, read, stage, put, mkdir, move, delete, rmdir,
chmod, sync."""

_REASONS = {
    errno.EIO: Reason.IO_ERROR,
    errno.ENOSPC: Reason.DISK_FULL,
    errno.EDQUOT: Reason.DISK_FULL,
    errno.EROFS: Reason.READ_ONLY,
    errno.ENAMETOOLONG: Reason.PATH_TOO_LONG,
    errno.EILSEQ: Reason.NAME_NOT_POSSIBLE,
    errno.EINVAL: Reason.NAME_NOT_POSSIBLE,
}

ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""The path does not lead to anything beneath the root (links are not followed)."""


class PowerCutError(BaseException):
    """The machine is gone: nothing that the old run still does may reach the disk."""


async def no_pause() -> None:
    """The default: never yield."""


def no_fault(_operation: str, _path: bytes) -> int | None:
    """The default: nothing fails."""
    return None


def reason_of(error: OSError, otherwise: Reason) -> Reason:
    """The reason code of an operating-system error."""
    return _REASONS.get(error.errno or 0, otherwise)


def child_of(node: Node, name: bytes) -> Child:
    """A directory record's row for `node`."""
    mode = 0 if node.kind is Kind.SYMLINK else node.mode
    return Child(name=name, kind=node.kind, mode=mode, hint=node.hint)


class Machine:
    """One run's access to a disk: whatever the run does, it does through `step` and `check`."""

    def __init__(
        self,
        disk: Disk,
        side: Side,
        *,
        capabilities: Capabilities | None = None,
        pause: Callable[[], Awaitable[None]] = no_pause,
        fault: Fault = no_fault,
    ) -> None:
        self.disk = disk
        self.side = side
        self.capabilities = capabilities or Capabilities(
            time_granularity_ns=disk.granularity_ns, filesystem="memory"
        )
        self.fault = fault
        self.is_dead = False
        self._pause = pause

    async def step(self) -> None:
        """An await point. A killed run gets no further."""
        await self._pause()
        if self.is_dead:
            raise PowerCutError

    def check(self, operation: str, path: bytes) -> None:
        """Raise what is to go wrong here."""
        if self.is_dead:
            raise PowerCutError
        if not self.disk.is_mounted:
            raise OSError(errno.ENOENT, "the root is gone")
        code = self.fault(operation, path)
        if code is not None:
            raise OSError(code, os.strerror(code))

    def kill(self) -> None:
        """End this run's access to the disk (a crash)."""
        self.is_dead = True


class MemoryContent:
    """One file's content. The two halves of a read may come from two versions, as in a real read; the
    check after it finds that out."""

    def __init__(self, machine: Machine, path: bytes, entry: Entry, hint: StatHint | None) -> None:
        self._machine = machine
        self._path = path
        self._entry = entry
        self._hint = hint
        self._node: Node | None = None
        self._opened: StatHint | None = None
        self._racy_after_ns = 0

    def open_node(self) -> Node:
        """The inode, if it may be what was expected. Raises StaleError, or OSError when it cannot be read."""
        self._machine.check("read", self._path)
        node = self._machine.disk.at(self._path)
        if node is None or node.kind is not self._entry.kind or node.size != self._entry.size:
            raise StaleError(Reason.CHANGING, "not the file that was planned")
        if self._entry.digest is None and self._hint not in (None, node.hint):
            raise StaleError(Reason.CHANGING, "not the file that was planned")
        self._node, self._opened = node, node.hint
        self._racy_after_ns = self._machine.disk.now_ns()
        return node

    def check_node(self) -> None:
        """Raise StaleError when the content may have changed since it was opened."""
        node = self._node
        if node is None or node.hint != self._opened or self._machine.disk.at(self._path) is not node:
            raise StaleError(Reason.CHANGING, "changed while it was read")
        if self._entry.digest is None and node.mtime_ns >= self._racy_after_ns:
            raise StaleError(Reason.CHANGING, "too fresh to tell")

    def open_blocking(self) -> int:
        node = self.open_node()
        fd = os.memfd_create("syncd", os.MFD_CLOEXEC)
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(node.data)
        os.lseek(fd, 0, os.SEEK_SET)
        return fd

    def check_blocking(self, fd: int) -> None:  # noqa: ARG002
        self.check_node()

    def read_target_blocking(self) -> bytes:
        return self.open_node().target
