"""The debounce queue: dirty paths wait here until they are quiet, and few enough to be looked at.

Pure: the caller hands in a monotonic clock in nanoseconds, the same one in every call. May import only
`syncd.core`. Rules (limits after Syncthing's aggregator, "One change, end to end" of the architecture):

- a path is due once nothing was said about it for `settle`, at the latest six times that after the first;
- more than 128 names in one directory become that directory, more than 512 anywhere beneath a directory
  become its subtree, so the queue stays small whatever happens;
- disappearances come last, and wait (within the same bound) for appearances that are not due yet: a
  rename is an unpaired pair of both, and seen in one observation it is a move.
"""

from collections.abc import Iterator

import msgspec

from syncd.core.path import ancestors, is_beneath, is_within, parent

MAX_PATIENCE = 6
"""Times settle: no path waits longer, however busy it is."""
MAX_NAMES = 128
MAX_BENEATH = 512


class Due(msgspec.Struct, frozen=True):
    """What to look at now, in this order: single paths (disappeared ones last), directories to list,
    subtrees to scan. The names in such a directory, and all beneath such a subtree, are left out."""

    paths: tuple[bytes, ...] = ()
    directories: tuple[bytes, ...] = ()
    subtrees: tuple[bytes, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.paths or self.directories or self.subtrees)


class _Wait:
    """Since when, and since when quietly, something waits."""

    __slots__ = ("first_ns", "has_disappeared", "last_ns")

    def __init__(self, now_ns: int) -> None:
        self.first_ns = now_ns
        self.last_ns = now_ns
        self.has_disappeared = False

    def touch(self, now_ns: int, disappeared: bool = False) -> None:
        self.last_ns = max(self.last_ns, now_ns)
        self.has_disappeared = disappeared


class _Directory:
    """The waiting names of one directory; past the limit `listed` waits in their stead. The names stay, to
    be counted."""

    __slots__ = ("listed", "names")

    def __init__(self) -> None:
        self.names: dict[bytes, _Wait] = {}
        self.listed: _Wait | None = None

    def list_instead(self, now_ns: int) -> None:
        self.listed = self.listed or _Wait(now_ns)
        for wait in self.names.values():
            self.listed.first_ns = min(self.listed.first_ns, wait.first_ns)


class SettleQueue:
    """Bounded: at most 512 names and subtrees wait beneath any directory, so at most that many in all."""

    def __init__(self, settle_ns: int) -> None:
        if settle_ns < 0:
            raise ValueError(f"settle cannot be {settle_ns} ns")
        self._settle_ns = settle_ns
        self._directories: dict[bytes, _Directory] = {}
        self._subtrees: dict[bytes, _Wait] = {}
        self._beneath: dict[bytes, int] = {}
        """How many names and subtrees wait beneath each directory."""

    def __len__(self) -> int:
        """How many paths, directories and subtrees wait."""
        named = sum(1 if d.listed else len(d.names) for d in self._directories.values())
        return named + len(self._subtrees)

    def holds(self, path: bytes) -> bool:
        """Does anything that concerns `path` wait: its name, its directory's listing, a subtree above it?"""
        if any(above in self._subtrees for above in (path, *ancestors(path))):
            return True
        directory = self._directories.get(parent(path))
        return directory is not None and (directory.listed is not None or path in directory.names)

    @property
    def pending(self) -> int:
        return len(self)

    def push(self, path: bytes, now_ns: int, *, disappeared: bool = False, is_subtree: bool = False) -> None:
        """Something was said about `path`: it is dirty, it has disappeared, or all beneath it is dirty.

        The root itself stands for the listing of the root. A subtree is looked at as a path as well.
        """
        if is_subtree:
            self._add_subtree(path, now_ns)
        above = next((self._subtrees[a] for a in ancestors(path) if a in self._subtrees), None)
        if above is not None:
            above.touch(now_ns)
        elif path:
            self._add_name(path, now_ns, disappeared and not is_subtree)
        elif not is_subtree:
            self._directory(path).list_instead(now_ns)
            self._touch_listed(path, now_ns)

    def due(self, now_ns: int) -> Due:
        """Take out what has settled."""
        subtrees = [path for path, wait in self._subtrees.items() if self._deadline(wait) <= now_ns]
        directories = [path for path, wait in self._listed() if self._deadline(wait) <= now_ns]
        named = list(self._named())
        # The directory of a subtree is looked at with it, and before it is scanned.
        ready = {path for path, wait in named if self._deadline(wait) <= now_ns or path in subtrees}
        appeared = [path for path, wait in named if path in ready and not wait.has_disappeared]
        is_quiet = self._appearing() == len(subtrees) + len(directories) + len(appeared)
        gone = [
            path
            for path, wait in named
            if path in ready
            and wait.has_disappeared
            and (is_quiet or self._latest(wait) <= now_ns or path in subtrees)
        ]
        return self._take([*appeared, *gone], directories, subtrees)

    def next_deadline(self) -> int | None:
        """When to ask `due` again; None while nothing waits. Nothing is due before it, something is at it."""
        named = [wait for _, wait in self._named()]
        gone = [wait for wait in named if wait.has_disappeared]
        appearing = [self._deadline(wait) for wait in named if not wait.has_disappeared]
        appearing += [self._deadline(wait) for _, wait in self._listed()]
        appearing += map(self._deadline, self._subtrees.values())
        quiet_ns = max(appearing, default=0)
        leaving = [min(self._latest(wait), max(self._deadline(wait), quiet_ns)) for wait in gone]
        return min((*appearing, *leaving), default=None)

    def flush(self) -> Due:
        """Take out everything, settled or not."""
        named = sorted(self._named(), key=lambda one: one[1].has_disappeared)
        return self._take([p for p, _ in named], [p for p, _ in self._listed()], list(self._subtrees))

    def _deadline(self, wait: _Wait) -> int:
        return min(wait.last_ns + self._settle_ns, self._latest(wait))

    def _latest(self, wait: _Wait) -> int:
        return wait.first_ns + MAX_PATIENCE * self._settle_ns

    def _named(self) -> Iterator[tuple[bytes, _Wait]]:
        for directory in self._directories.values():
            if directory.listed is None:
                yield from directory.names.items()

    def _listed(self) -> Iterator[tuple[bytes, _Wait]]:
        for path, directory in self._directories.items():
            if directory.listed is not None:
                yield path, directory.listed

    def _appearing(self) -> int:
        """How much waits that is no disappearance."""
        return len(self) - sum(wait.has_disappeared for _, wait in self._named())

    def _directory(self, path: bytes) -> _Directory:
        return self._directories.setdefault(path, _Directory())

    def _touch_listed(self, path: bytes, now_ns: int) -> None:
        listed = self._directories[path].listed
        if listed is not None:
            listed.touch(now_ns)

    def _add_name(self, path: bytes, now_ns: int, disappeared: bool) -> None:
        directory = self._directory(parent(path))
        wait = directory.names.get(path)
        if wait is None:
            wait = directory.names[path] = _Wait(now_ns)
            self._count(path, 1)
        wait.touch(now_ns, disappeared)
        if len(directory.names) > MAX_NAMES:
            directory.list_instead(now_ns)
        self._touch_listed(parent(path), now_ns)
        self._bound(path, now_ns)

    def _add_subtree(self, path: bytes, now_ns: int) -> None:
        """Put one wait in the place of everything beneath `path`."""
        wait = self._subtrees.get(path)
        if wait is None:
            if any(above in self._subtrees for above in ancestors(path)):
                return
            wait = self._swallow(path, now_ns)
            self._subtrees[path] = wait
            self._count(path, 1)
        wait.touch(now_ns)
        self._bound(path, now_ns)

    def _swallow(self, path: bytes, now_ns: int) -> _Wait:
        """Take out what waits beneath `path`; the wait that remains is as old as the oldest of it."""
        wait = _Wait(now_ns)
        for inner in [inner for inner in self._subtrees if is_beneath(inner, path)]:
            wait.first_ns = min(wait.first_ns, self._subtrees.pop(inner).first_ns)
            self._count(inner, -1)
        for inner in [inner for inner in self._directories if is_within(inner, path)]:
            directory = self._directories.pop(inner)
            directory.list_instead(now_ns)
            if directory.listed is not None:
                wait.first_ns = min(wait.first_ns, directory.listed.first_ns)
            for name in directory.names:
                self._count(name, -1)
        return wait

    def _bound(self, path: bytes, now_ns: int) -> None:
        """Collapse the deepest directory above `path` that has too much beneath it. One is enough: those
        above it lose as much."""
        for above in reversed(ancestors(path)):
            if self._beneath.get(above, 0) > MAX_BENEATH:
                self._add_subtree(above, now_ns)
                return

    def _count(self, path: bytes, step: int) -> None:
        for above in ancestors(path):
            count = self._beneath.get(above, 0) + step
            if count:
                self._beneath[above] = count
            else:
                del self._beneath[above]

    def _take(self, paths: list[bytes], directories: list[bytes], subtrees: list[bytes]) -> Due:
        for path in paths:
            holder = self._directories[parent(path)]
            del holder.names[path]
            self._count(path, -1)
            if not holder.names:
                del self._directories[parent(path)]
        for path in directories:
            for name in self._directories.pop(path).names:
                self._count(name, -1)
        for path in subtrees:
            del self._subtrees[path]
            self._count(path, -1)
        return Due(tuple(paths), tuple(sorted(directories)), tuple(sorted(subtrees)))
