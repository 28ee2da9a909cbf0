"""Staging: the other side's version of a file or link, complete and verified, before its name is touched.

Staged files lie in `.syncd/stage` and are ours alone: whatever is found there at start may be removed.
"""

import contextlib
import errno
import itertools
import os
import resource
import stat
from collections.abc import Callable

from syncd.core.action import Put
from syncd.core.entry import Entry, Kind
from syncd.core.error import PathProblem, StaleError
from syncd.core.listing import clamp_ns
from syncd.core.reason import Reason
from syncd.tree.local import metadata
from syncd.tree.local import syscalls as sc
from syncd.tree.local.beneath import Directories, split
from syncd.tree.local.copying import SMALL, copy_large, copy_small
from syncd.tree.local.errors import SourceError
from syncd.tree.local.manifest import Ours
from syncd.tree.local.names import Nameless, link_nameless, rename_free
from syncd.tree.local.sources import Sources
from syncd.tree.port import Content, Step

_FREE_RESERVE = 1 << 20
_MOST_NAMELESS = 1024
"""Each is an open file until it has its name, and two batches may be staged at once."""
_FILE = Kind.FILE
_IS_BEYOND = contextlib.suppress(OverflowError)
"""A stamp that the system cannot hold: the file keeps the one that it has, and that is told."""
_names = itertools.count(1)


class Staged:
    """A staged file or link: where it is (a descriptor, or a name in the staging directory), and what it
    is when it has arrived."""

    __slots__ = ("_fd", "_name", "_stage", "digest", "found")

    def __init__(self, stage: int, name: bytes, fd: int, found: os.stat_result, digest: bytes | None) -> None:
        self._stage = stage
        self._name = name
        self._fd = fd
        self.found = found
        self.digest = digest

    def publish(self, directory: int, name: bytes, has_flags: bool) -> os.stat_result | None:
        """Give it its name, which must be free (EEXIST). What it is then, where that is known by the way."""
        if self._fd >= 0:
            link_nameless(self._fd, directory, name)
            now = sc.fstat(self._fd)
            sc.close(self._fd)
            self._fd = -1
            return now
        try:
            rename_free(self._stage, self._name, directory, name, has_flags)
        except OSError as error:
            if error.errno != errno.EXDEV or not stat.S_ISLNK(self.found.st_mode):
                raise
            self._make_link_abroad(directory, name)
        else:
            self._name = b""
        return None

    def _make_link_abroad(self, directory: int, name: bytes) -> None:
        """A link on another file system: made there, which is as atomic as a rename."""
        sc.symlink(sc.readlink(self._name, dir_fd=self._stage), name, dir_fd=directory)
        stamp = self.found.st_mtime_ns
        sc.utime(name, ns=(stamp, stamp), dir_fd=directory, follow_symlinks=False)
        self.found = sc.stat(name, dir_fd=directory, follow_symlinks=False)

    def discard(self) -> None:
        """Throw it away, unless it has been published."""
        with contextlib.suppress(OSError):
            if self._fd >= 0:
                sc.close(self._fd)
            elif self._name:
                sc.unlink(self._name, dir_fd=self._stage)

    @property
    def ours(self) -> Ours:
        return Ours(self.found.st_ino, self.found.st_size, self.found.st_mtime_ns)

    def entry(self, wanted: Entry) -> Entry:
        """What the target holds now: the wanted entry, but for what the file system could not keep."""
        mode, stamp = self.found.st_mode & 0o777, clamp_ns(self.found.st_mtime_ns)
        if wanted.kind is Kind.SYMLINK:
            return wanted
        if (wanted.digest, wanted.mode, wanted.mtime_ns) == (self.digest, mode, stamp):
            return wanted
        return Entry(Kind.FILE, mode, self.found.st_size, stamp, self.digest)


class Stager:
    """Stages the puts of one batch, one after the other."""

    def __init__(
        self,
        stage: int,
        directories: Directories,
        owner: metadata.Owner,
        sources: Sources,
        *,
        stop: Callable[[], bool],
        progress: Callable[[int], None],
        has_reflink: bool,
        is_synced: bool,
    ) -> None:
        self._stage = stage
        self._directories = directories
        self._owner = owner
        self._sources = sources
        self._stop = stop
        self._progress = progress
        self._has_reflink = has_reflink
        self._is_synced = is_synced
        self._nameless = Nameless(min(resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 3, _MOST_NAMELESS))
        self._parent: tuple[bytes, os.stat_result] | None = None
        self._own = os.geteuid(), os.getegid()

    def put(self, step: Step) -> Staged:
        """Stage one put. Raises SyncdError or SourceError (its content), OSError (this tree), Stopped."""
        action, content = step.action, step.content
        if type(action) is not Put or content is None:
            raise StaleError(Reason.CHANGING, "there is no content any more")
        kind = action.entry.kind
        if kind is not _FILE:
            if kind is Kind.SYMLINK:
                return self._put_link(action, content)
            raise PathProblem(Reason.BUG, "only files and links are put")
        is_small = action.entry.size <= SMALL
        source = self._sources.take(content) if is_small else content.open_blocking()
        try:
            return self._put_file(action, content, source)
        finally:
            sc.close(source)

    def _put_file(self, action: Put, content: Content, source: int) -> Staged:
        entry = action.entry
        if entry.size > SMALL:
            self._check_space(entry.size)
        name, target = self._create(action.path, entry.mode & 0o777)
        try:
            digest = self._copy(source, target, entry)
            content.check_blocking(source)
            if entry.digest is not None and entry.digest != digest:
                raise StaleError(Reason.CHANGING, "the content is not the planned one")
            found = self._finish(action, source, target)
            if self._is_synced:
                sc.sync_file(target)
        except BaseException:
            sc.close(target)
            if name:
                with contextlib.suppress(OSError):
                    sc.unlink(name, dir_fd=self._stage)
            raise
        if name:
            sc.close(target)
            target = -1
        return Staged(self._stage, name, target, found, digest)

    def _copy(self, source: int, target: int, entry: Entry) -> bytes:
        if entry.size <= SMALL:
            digest = copy_small(source, target, entry.size)
            self._progress(entry.size)
            return digest
        return copy_large(source, target, entry.size, self._stop, self._progress, clone=self._has_reflink)

    def _finish(self, action: Put, source: int, target: int) -> os.stat_result:
        """Owner, attributes, stamp, mode: in this order, as each may undo the ones after it."""
        entry = action.entry
        if action.expect is not None:
            parent, name = split(action.path)
            metadata.inherit(self._directories.get(parent), name, target)
        elif self._owner.is_active:
            self._give(action.path, source, target)
        with _IS_BEYOND:
            sc.utime(target, ns=(entry.mtime_ns, entry.mtime_ns))
        found = sc.fstat(target)
        if (found.st_mode ^ entry.mode) & 0o777:
            metadata.set_mode(target, found.st_mode & 0o777, entry.mode & 0o777)
            found = sc.fstat(target)
        return found

    def _give(self, path: bytes, source: int, target: int) -> None:
        parent = self._stat_parent(path)
        try:
            origin = sc.fstat(source) if self._owner.is_copied else None
        except OSError as error:
            raise SourceError(error) from error
        wanted = self._owner.wanted(parent, origin)
        if wanted != self._own:
            metadata.give(target, sc.fstat(target), wanted)

    def _stat_parent(self, path: bytes) -> os.stat_result:
        parent = path.rpartition(b"/")[0]
        if self._parent is None or self._parent[0] != parent:
            self._parent = parent, self._stat_nearest(parent)
        return self._parent[1]

    def _stat_nearest(self, path: bytes) -> os.stat_result:
        """The directory, or the nearest one above that exists: the missing ones take its owner too."""
        while True:
            try:
                return sc.fstat(self._directories.get(path))
            except FileNotFoundError:
                if not path:
                    raise
                path = path.rpartition(b"/")[0]

    def _put_link(self, action: Put, content: Content) -> Staged:
        read = content.read_target_blocking()
        if action.entry.target not in (None, read):
            raise StaleError(Reason.CHANGING, "the link points elsewhere now")
        name = self._name()
        sc.symlink(read, name, dir_fd=self._stage)
        try:
            stamp = action.entry.mtime_ns
            with contextlib.suppress(OverflowError, NotImplementedError):
                sc.utime(name, ns=(stamp, stamp), dir_fd=self._stage, follow_symlinks=False)
            found = sc.stat(name, dir_fd=self._stage, follow_symlinks=False)
            if self._owner.is_active:
                wanted = self._owner.wanted(self._stat_parent(action.path), None)
                if wanted != (found.st_uid, found.st_gid):
                    sc.chown(name, *wanted, dir_fd=self._stage, follow_symlinks=False)
        except BaseException:
            with contextlib.suppress(OSError):
                sc.unlink(name, dir_fd=self._stage)
            raise
        return Staged(self._stage, name, -1, found, None)

    def _create(self, path: bytes, mode: int) -> tuple[bytes, int]:
        """A file to write, without a name where that can be, else with one (never empty)."""
        if self._nameless.is_possible:
            try:
                target = self._nameless.create(self._directories.get(path.rpartition(b"/")[0]), mode)
            except FileNotFoundError:
                target = None
            if target is not None:
                return b"", target
        while True:
            name = self._name()
            try:
                return name, sc.open(name, sc.NEW_FILE, mode, dir_fd=self._stage)
            except FileExistsError:
                continue

    def _name(self) -> bytes:
        return b"n%d.%d" % (os.getpid(), next(_names))

    def _check_space(self, size: int) -> None:
        """Refuse a large file before it fills the disk."""
        space = sc.fstatvfs(self._stage)
        if space.f_blocks and space.f_bavail * space.f_frsize < size + _FREE_RESERVE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
