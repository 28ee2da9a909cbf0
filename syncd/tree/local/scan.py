"""The walk: directories listed and packed, depth first, sorted by name, in pages.

Runs in one thread, asks for the next page when the last one is dealt with, and holds a bounded number of
descriptors however deep the tree is. A directory that cannot be listed is told as such, never as empty.
"""

import os
import stat
from collections.abc import Callable, Generator, Iterator, Sequence

import msgspec

from syncd.core.listing import StatRow, clamp_ns, pack_stats
from syncd.core.path import CONTROL_NAME, join
from syncd.core.reason import Reason
from syncd.tree.local import syscalls as sc
from syncd.tree.local.beneath import open_directory
from syncd.tree.local.errors import judge, text
from syncd.tree.port import Listing

PAGE_DIRECTORIES = 200
PAGE_ENTRIES = 20_000
_OPEN_LEVELS = 48
_CONTROL = os.fsdecode(CONTROL_NAME)


class _Level:
    """A directory on the way down: its children that are still to be visited, last first."""

    __slots__ = ("fd", "path", "todo")

    def __init__(self, path: bytes, fd: int, todo: list[tuple[bytes, int]]) -> None:
        self.path = path
        self.fd = fd
        self.todo = todo


class Rest(msgspec.Struct, frozen=True):
    """What is left of a walk: whole subtrees that no page has told of yet."""

    paths: tuple[bytes, ...]
    recursive: bool
    prune: Callable[[bytes], bool]
    may_cross: bool
    racy_after_ns: int


class Walk:
    """One walk of some directories beneath an open root. Not thread-safe; `close` when done.

    `racy_after_ns` is asked once a page, before its first directory is listed.
    """

    def __init__(
        self,
        root: int,
        paths: Sequence[bytes],
        *,
        recursive: bool,
        prune: Callable[[bytes], bool],
        may_cross: bool,
        racy_after_ns: Callable[[], int],
    ) -> None:
        self._root = root
        self._device = sc.fstat(root).st_dev
        self._recursive = recursive
        self._prune = prune
        self._may_cross = may_cross
        self._racy_after_ns = racy_after_ns
        self._racy = 0
        self.listed = 0
        """Children told of so far."""
        self._page_end = 0
        self._paths = sorted(set(paths), key=lambda path: path.split(b"/"), reverse=True)
        self._levels: list[_Level] = []
        self._listings = self._run()

    def next_page(self) -> Sequence[Listing]:
        """The next listings; none at the end."""
        self._racy = self._racy_after_ns()
        self._page_end = self.listed + PAGE_ENTRIES
        page: list[Listing] = []
        for listing in self._listings:
            page.append(listing)
            if len(page) >= PAGE_DIRECTORIES or self.listed >= self._page_end:
                break
        return page

    def close(self) -> None:
        self._listings.close()
        while self._levels:
            self._leave()

    def rest(self) -> Rest:
        """What the next pages would tell, for another walk to go on with."""
        below = [
            join(level.path, name) for level in reversed(self._levels) for name, _ in reversed(level.todo)
        ]
        paths = (*(path for path in below if not self._prune(path)), *reversed(self._paths))
        return Rest(paths, self._recursive, self._prune, self._may_cross, self._racy)

    @classmethod
    def of_rest(cls, root: int, rest: Rest) -> "Walk":
        """Go on where another walk stopped."""
        return cls(
            root,
            rest.paths,
            recursive=rest.recursive,
            prune=rest.prune,
            may_cross=rest.may_cross,
            racy_after_ns=lambda: rest.racy_after_ns,
        )

    def _run(self) -> Generator[Listing]:
        last: bytes | None = None
        while self._paths:
            path = self._paths.pop()
            if self._recursive and last is not None and (not last or path.startswith(last + b"/")):
                continue
            last = path
            yield from self._start(path)
            while self._levels:
                level = self._levels[-1]
                if not level.todo:
                    self._leave()
                    continue
                name, device = level.todo.pop()
                yield from self._visit(level, name, device)

    def _start(self, path: bytes) -> Iterator[Listing]:
        try:
            fd = open_directory(self._root, path, may_cross=self._may_cross)
        except OSError as error:
            yield self._failure(path, 0, error)
            return
        yield from self._list(path, fd)

    def _visit(self, level: _Level, name: bytes, device: int) -> Iterator[Listing]:
        path = join(level.path, name)
        if self._prune(path):
            return
        if device != self._device and not self._may_cross:
            yield Listing(path, 0, b"", Reason.OTHER_FILESYSTEM, "another file system is mounted here")
            return
        try:
            if level.fd < 0:
                fd = open_directory(self._root, path, may_cross=self._may_cross)
            else:
                fd = sc.open(name, sc.READ_DIRECTORY, dir_fd=level.fd)
        except OSError as error:
            yield self._failure(path, 0, error)
            return
        yield from self._list(path, fd)

    def _list(self, path: bytes, fd: int) -> Iterator[Listing]:
        try:
            found = sc.fstat(fd)
            rows, below = _read(fd, is_top=not path)
        except OSError as error:
            sc.close(fd)
            yield self._failure(path, 0, error)
            return
        self.listed += len(rows)
        if self._recursive and below:
            below.reverse()
            self._enter(_Level(path, fd, below))
        else:
            sc.close(fd)
        changed_ns = clamp_ns(found.st_ctime_ns)
        yield Listing(path, found.st_ino, pack_stats(rows), racy_after_ns=self._racy, changed_ns=changed_ns)

    def _enter(self, level: _Level) -> None:
        self._levels.append(level)
        if len(self._levels) > _OPEN_LEVELS:
            shallow = self._levels[-_OPEN_LEVELS - 1]
            if shallow.fd >= 0:
                sc.close(shallow.fd)
                shallow.fd = -1

    def _leave(self) -> None:
        fd = self._levels.pop().fd
        if fd >= 0:
            sc.close(fd)

    def _failure(self, path: bytes, inode: int, error: OSError) -> Listing:
        reason = judge(error, is_read=True).reason or Reason.CHANGING
        return Listing(path, inode, b"", reason, text(error))


def _read(fd: int, *, is_top: bool) -> tuple[list[StatRow], list[tuple[bytes, int]]]:
    """The children of an open directory, sorted, and which of them are directories (with device)."""
    rows: list[StatRow] = []
    below: list[tuple[bytes, int]] = []
    append, encode, is_directory = rows.append, os.fsencode, stat.S_ISDIR
    with sc.scandir(fd) as entries:
        for entry in entries:
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            name = encode(entry.name)
            mode = found.st_mode
            if is_directory(mode):
                if is_top and entry.name == _CONTROL:
                    continue
                below.append((name, found.st_dev))
            append((name, mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino))
    rows.sort()
    below.sort()
    return rows, below
