"""Descriptors of directories beneath a root: every operation of a local tree starts from one.

No path is handed to the system after a check. openat2 resolves beneath the root and follows no link; where
it is missing, each component is opened with O_NOFOLLOW. Paths of any length work: they are walked in pieces
below PATH_MAX.
"""

import errno
import os
from collections import OrderedDict

from syncd.tree.local import syscalls as sc

_PIECE = 4000  # below PATH_MAX (4096, with the final NUL)
_ATTEMPTS = 32  # openat2 answers EAGAIN while something is renamed beside it
_has_openat2: bool | None = None


def open_directory(root: int, path: bytes, flags: int = sc.READ_DIRECTORY, *, may_cross: bool = False) -> int:
    """Open the directory `path` beneath `root`. ELOOP, ENOTDIR, EXDEV: not a place beneath it."""
    global _has_openat2
    if _has_openat2 is None:
        _has_openat2 = sc.has_openat2()
    walk = _resolve if _has_openat2 else _walk
    if len(path) <= _PIECE:
        return walk(root, path or b".", flags, may_cross)
    at = root
    try:
        while len(path) > _PIECE:
            cut = path.rindex(b"/", 0, _PIECE)
            below = walk(at, path[:cut], sc.PASS_DIRECTORY, may_cross)
            at = _swap(at, below, root)
            path = path[cut + 1 :]
        return walk(at, path, flags, may_cross)
    finally:
        if at != root:
            sc.close(at)


def split(path: bytes) -> tuple[bytes, bytes]:
    """Parent and name; refuses what is no name at all, whatever a plan says."""
    parent, _, name = path.rpartition(b"/")
    if name in (b"", b".", b"..") or b"\0" in name:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return parent, name


def _resolve(root: int, path: bytes, flags: int, may_cross: bool) -> int:
    for _ in range(_ATTEMPTS):
        try:
            return sc.openat2(root, path, flags, may_cross=may_cross)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
    return _walk(root, path, flags, may_cross)


def _walk(root: int, path: bytes, flags: int, may_cross: bool) -> int:
    """Component by component, each without following a link."""
    parts = path.split(b"/")
    at = root
    try:
        for part in parts[:-1]:
            at = _swap(at, sc.open(part, sc.PASS_DIRECTORY, dir_fd=at), root)
        found = sc.open(parts[-1], flags, dir_fd=at)
    finally:
        if at != root:
            sc.close(at)
    if not may_cross and sc.fstat(found).st_dev != sc.fstat(root).st_dev:
        sc.close(found)
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    return found


def _swap(old: int, new: int, root: int) -> int:
    if old != root:
        sc.close(old)
    return new


class Directories:
    """The directories that one thread works in, opened once and not trusted for long.

    A directory that is moved away keeps its descriptor; so one is resolved anew after `trust` further
    look-ups of any directory. Not thread-safe.
    """

    def __init__(self, root: int, *, may_cross: bool, size: int = 16, trust: int = 48) -> None:
        self._root = root
        self._may_cross = may_cross
        self._size = size
        self._trust = trust
        self._uses = 0
        self._open: OrderedDict[bytes, tuple[int, int]] = OrderedDict()

    def peek(self, path: bytes) -> int | None:
        """The descriptor of a directory that is open and still trusted."""
        held = self._open.get(path)
        self._uses += 1
        if held is None or held[1] <= self._uses:
            return None
        self._open.move_to_end(path)
        return held[0]

    def get(self, path: bytes) -> int:
        """A descriptor that stays open for at least the next `size` - 1 other directories."""
        found = self.peek(path)
        if found is not None:
            return found
        held = self._open.pop(path, None)
        if held is not None:
            sc.close(held[0])
        try:
            descriptor = open_directory(self._root, path, may_cross=self._may_cross)
        except PermissionError:
            # Entered but not listed (0311): good enough for all calls but fsync.
            descriptor = open_directory(self._root, path, sc.PASS_DIRECTORY, may_cross=self._may_cross)
        self._open[path] = (descriptor, self._uses + self._trust)
        if len(self._open) > self._size:
            sc.close(self._open.popitem(last=False)[1][0])
        return descriptor

    def close(self) -> None:
        while self._open:
            sc.close(self._open.popitem()[1][0])
