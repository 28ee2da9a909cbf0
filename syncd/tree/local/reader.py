"""Looking at single paths, and reading files: look, digest, content for the other tree, small files.

Files are opened beneath the root without following links and without waiting for a pipe's other end, and
are looked at before and after they are read.
"""

import contextlib
import os
import stat
import threading
from collections.abc import Iterator, Sequence

import msgspec
from blake3 import blake3

from syncd.core.entry import Entry, Kind, StatHint
from syncd.core.error import PathProblem, StaleError
from syncd.core.listing import Child, clamp_ns, kind_of
from syncd.core.path import escape
from syncd.core.reason import Reason
from syncd.tree.local import syscalls as sc
from syncd.tree.local.beneath import Directories, split
from syncd.tree.local.errors import judge, raise_read_error, text
from syncd.tree.local.root import Place, Root
from syncd.tree.port import Digested, Look

_BLOCK = 1 << 20


def hint_of(found: os.stat_result) -> StatHint:
    return StatHint(found.st_ino, found.st_size, clamp_ns(found.st_mtime_ns), clamp_ns(found.st_ctime_ns))


def same_file(a: os.stat_result, b: os.stat_result) -> bool:
    """Are two stats of one file, unchanged in between?"""
    return (
        a.st_ino == b.st_ino
        and a.st_size == b.st_size
        and a.st_mtime_ns == b.st_mtime_ns
        and a.st_ctime_ns == b.st_ctime_ns
    )


def digest_descriptor(descriptor: int) -> bytes:
    """BLAKE3 of what is left to read."""
    hasher = blake3()
    block = bytearray(_BLOCK)
    view = memoryview(block)
    while count := sc.readv(descriptor, [block]):
        hasher.update(view[:count])
    return hasher.digest()


class Reader:
    """Reads one tree from any thread.

    A directory that was opened before may be another one by now. So paths are resolved anew by every call,
    but for content whose reader verifies what it got: there directories are shared, under a lock.
    """

    def __init__(self, root: Root, *, may_cross: bool, is_case_sensitive: bool = True) -> None:
        self._root = root
        self._may_cross = may_cross
        self._is_case_sensitive = is_case_sensitive
        self._lock = threading.Lock()
        self._directories: Directories | None = None
        self._generation = 0

    @property
    def place(self) -> Place | None:
        """The root as another process finds it again."""
        place = self._root.place
        return msgspec.structs.replace(place, may_cross=self._may_cross) if place.inode else None

    def release(self) -> None:
        with self._lock:
            self._drop()

    def open_file(self, path: bytes) -> int:
        """A descriptor of a file (or whatever is there, but a link). Raises OSError."""
        with self._fresh() as directories:
            return _open_in(directories, path)

    def open_known(self, path: bytes) -> int:
        """As `open_file`, but perhaps of a directory that has moved meanwhile. `release` when it is wrong."""
        parent, name = split(path)
        with self._lock:
            try:
                return sc.open(name, sc.READ_FILE, dir_fd=self._directory(parent))
            except (FileNotFoundError, NotADirectoryError):
                self._drop()
                return sc.open(name, sc.READ_FILE, dir_fd=self._directory(parent))

    def read_link(self, path: bytes) -> bytes:
        parent, name = split(path)
        with self._fresh() as directories:
            return sc.readlink(name, dir_fd=directories.get(parent))

    @contextlib.contextmanager
    def _fresh(self) -> Iterator[Directories]:
        """Directories as they are now."""
        with self._root.use() as root:
            directories = Directories(root, may_cross=self._may_cross)
            try:
                yield directories
            finally:
                directories.close()

    def look(self, paths: Sequence[bytes], racy_after_ns: int) -> list[Look]:
        with self._root.use() as root, self._fresh() as directories:
            return [self._look(directories, root, path, racy_after_ns) for path in paths]

    def digest(self, paths: Sequence[bytes]) -> list[Digested]:
        with self._fresh() as directories:
            return [_digest(directories, path) for path in paths]

    def read_small(self, path: bytes, limit: int) -> bytes | None:
        """A whole file of at most `limit` bytes; None when there is no such file."""
        try:
            descriptor = self.open_file(path)
        except OSError as error:
            if judge(error).reason is None:
                return None
            raise_read_error(error, path)
        try:
            if not stat.S_ISREG(sc.fstat(descriptor).st_mode):
                return None
            data = bytearray()
            while len(data) <= limit and (block := sc.read(descriptor, limit + 1 - len(data))):
                data += block
        except OSError as error:
            raise_read_error(error, path)
        finally:
            sc.close(descriptor)
        if len(data) > limit:
            raise PathProblem(Reason.BAD_REQUEST, f"{escape(path)} is larger than {limit} bytes")
        return bytes(data)

    def read_beginning(self, path: bytes, size: int) -> bytes:
        """The first bytes of a file; nothing where it cannot be read."""
        try:
            descriptor = self.open_file(path)
        except OSError:
            return b""
        try:
            is_file = stat.S_ISREG(sc.fstat(descriptor).st_mode)
            return sc.read(descriptor, size) if is_file else b""
        except OSError:
            return b""
        finally:
            sc.close(descriptor)

    def _directory(self, path: bytes) -> int:
        """A shared descriptor, valid under the lock."""
        if self._directories is not None and self._generation == self._root.generation:
            held = self._directories.peek(path)
            if held is not None:
                return held
        with self._root.use() as root:
            if self._directories is None or self._generation != self._root.generation:
                self._drop()
                self._directories = Directories(root, may_cross=self._may_cross, size=32)
                self._generation = self._root.generation
            return self._directories.get(path)

    def _drop(self) -> None:
        if self._directories is not None:
            self._directories.close()
            self._directories = None

    def _look(self, directories: Directories, root: int, path: bytes, racy_after_ns: int) -> Look:
        try:
            if not path:
                found, name = sc.fstat(root), b""
            else:
                parent, name = split(path)
                directory = directories.get(parent)
                found = sc.stat(name, dir_fd=directory, follow_symlinks=False)
                if not self._is_case_sensitive and os.fsdecode(name) not in sc.listdir(directory):
                    return Look(path, None)
        except OSError as error:
            reason = judge(error, is_read=True).reason
            return Look(path, None) if reason is None else Look(path, None, reason, text(error))
        kind = kind_of(found.st_mode)
        child = Child(name, kind, found.st_mode & 0o777, hint_of(found))
        return Look(path, child, racy_after_ns=racy_after_ns)


def _open_in(directories: Directories, path: bytes) -> int:
    parent, name = split(path)
    return sc.open(name, sc.READ_FILE, dir_fd=directories.get(parent))


def _digest(directories: Directories, path: bytes) -> Digested:
    try:
        descriptor = _open_in(directories, path)
    except OSError as error:
        reason = judge(error, is_read=True).reason or Reason.CHANGING
        return Digested(path, None, None, reason, text(error))
    try:
        before = sc.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            return Digested(path, None, None, Reason.SPECIAL_FILE, "not a regular file")
        digest = digest_descriptor(descriptor)
        if not same_file(before, sc.fstat(descriptor)):
            return Digested(path, None, None, Reason.CHANGING, "changed while it was read")
    except OSError as error:
        reason = judge(error, is_read=True).reason or Reason.CHANGING
        return Digested(path, None, None, reason, text(error))
    finally:
        sc.close(descriptor)
    return Digested(path, digest, hint_of(before))


class LocalContent:
    """The content of one file of this tree, for the other one. See `Content` of the port."""

    __slots__ = ("_before", "_entry", "_path", "hint", "reader")

    def __init__(self, reader: Reader, path: bytes, entry: Entry, hint: StatHint | None) -> None:
        self.reader = reader
        self._path = path
        self._entry = entry
        self.hint = hint
        self._before: os.stat_result | None = None

    def is_of(self, path: bytes, entry: Entry) -> bool:
        """Is it the content of `path` as `entry` tells?"""
        return self._path == path and (self._entry is entry or self._entry == entry)

    def open_blocking(self) -> int:
        try:
            descriptor = self.reader.open_known(self._path)
        except OSError as error:
            raise_read_error(error, self._path)
        try:
            self._before = sc.fstat(descriptor)
            self._check_expected(self._before)
        except BaseException:
            sc.close(descriptor)
            self.reader.release()
            raise
        return descriptor

    def check_blocking(self, fd: int) -> None:
        before = self._before
        if before is None or not same_file(before, sc.fstat(fd)):
            raise self._stale("changed while it was read")

    def read_target_blocking(self) -> bytes:
        if self._entry.kind is not Kind.SYMLINK:
            raise self._stale("is no link")
        try:
            target = self.reader.read_link(self._path)
        except OSError as error:
            raise self._stale(text(error)) from error
        if self._entry.target not in (None, target):
            raise self._stale("the link points elsewhere now")
        return target

    def _check_expected(self, found: os.stat_result) -> None:
        """The size must be right. Without a digest to verify by, the stat is the only witness."""
        entry, hint = self._entry, self.hint
        if not stat.S_ISREG(found.st_mode) or found.st_size != entry.size:
            raise self._stale("is not what it was")
        if entry.digest is not None:
            return
        if hint is None:
            is_same = clamp_ns(found.st_mtime_ns) == entry.mtime_ns
        else:
            is_same = (found.st_ino, clamp_ns(found.st_mtime_ns)) == (hint.inode, hint.mtime_ns)
        if not is_same:
            raise self._stale("is not what it was")

    def _stale(self, why: str) -> StaleError:
        return StaleError(Reason.CHANGING, f"{escape(self._path)} {why}")
