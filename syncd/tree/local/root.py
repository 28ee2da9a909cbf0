"""The open root of a local tree: its descriptors, the control directory, and letting go of both.

Descriptors are closed while a pair is idle (else the file system could not be unmounted) and opened again
on demand, when the root must be the very directory that was opened first.
"""

import contextlib
import os
import threading
from collections.abc import Iterator

import msgspec

from syncd.core.error import NeedsUser
from syncd.core.path import CONTROL_NAME
from syncd.core.reason import Reason
from syncd.tree.local import identity
from syncd.tree.local import syscalls as sc
from syncd.tree.port import RootProblem

STAGE, TRASH, IN_FLIGHT, COOKIES = b"stage", b"trash", b"in-flight", b"cookies"
_CLOCK = b"clock"


class Control:
    """The descriptors of `.syncd` and of the directories in it."""

    __slots__ = ("cookies", "fd", "in_flight", "stage", "trash")

    def __init__(self, root: int) -> None:
        self.fd = _make_directory(root, CONTROL_NAME)
        self.stage = _make_directory(self.fd, STAGE)
        self.trash = _make_directory(self.fd, TRASH)
        self.in_flight = _make_directory(self.fd, IN_FLIGHT)
        self.cookies = _make_directory(self.fd, COOKIES)

    def close(self) -> None:
        for descriptor in self._all():
            sc.close(descriptor)

    def is_removed(self) -> bool:
        """Has a user removed one of them?"""
        return any(sc.fstat(descriptor).st_nlink == 0 for descriptor in self._all())

    def _all(self) -> tuple[int, ...]:
        return self.cookies, self.in_flight, self.trash, self.stage, self.fd


class Place(msgspec.Struct, frozen=True):
    """A root as another process finds it again."""

    path: bytes
    device: int
    inode: int
    may_cross: bool = False


class Root:
    """Reference-counted descriptors of one root. `use()` from any thread; `release()` when idle."""

    def __init__(self, path: bytes, *, is_written: bool) -> None:
        self.path = path
        self.is_written = is_written
        self._lock = threading.Lock()
        self._users = 0
        self._is_releasing = False
        self._fd = -1
        self._control: Control | None = None
        self._expected: tuple[int, int] | None = None
        self._has_marker = False
        self.generation = 0
        """Counts openings: a descriptor derived from an earlier one must not be used."""

    @property
    def fd(self) -> int:
        return self._fd

    @property
    def control(self) -> Control:
        """The control directory, made when it is missing. Only within `use()`."""
        with self._lock:
            if self._control is None:
                self._control = self._open_control()
            return self._control

    @classmethod
    def at(cls, place: Place, *, is_written: bool) -> "Root":
        """The same root, in another process."""
        root = cls(place.path, is_written=is_written)
        root.trust(place.device, place.inode, has_marker=is_written)
        return root

    @property
    def place(self) -> Place:
        device, inode = self._expected or (0, 0)
        return Place(self.path, device, inode)

    @property
    def device(self) -> int:
        return self._expected[0] if self._expected else 0

    def trust(self, device: int, inode: int, *, has_marker: bool) -> None:
        """From now on only this directory is the root."""
        self._expected = (device, inode)
        self._has_marker = has_marker

    def forget(self) -> None:
        """Accept whatever is at the path when it is opened next (before `open` judges it)."""
        self.release()
        self._expected = None
        self._has_marker = False

    @contextlib.contextmanager
    def use(self) -> Iterator[int]:
        """The root's descriptor for a while. Raises NeedsUser when the root is gone or another one."""
        with self._lock:
            if self._fd < 0:
                self._open()
            self._users += 1
            descriptor = self._fd
        try:
            yield descriptor
        finally:
            with self._lock:
                self._users -= 1
                if self._is_releasing and not self._users:
                    self._close()

    def release(self) -> None:
        """Close all descriptors, at once or when the last user is done."""
        with self._lock:
            if self._users:
                self._is_releasing = True
            else:
                self._close()

    def check(self) -> RootProblem | None:
        """Is the path still the root, and the marker in it?"""
        try:
            descriptor = identity.open_root(self.path)
        except NeedsUser as problem:
            return RootProblem(problem.reason, problem.detail)
        try:
            if not self._is_expected(descriptor):
                return RootProblem(Reason.ROOT_CHANGED, "another directory is in its place")
            if self._has_marker and identity.read_marker(descriptor) is None:
                return RootProblem(Reason.ROOT_CHANGED, "its marker is gone")
        finally:
            sc.close(descriptor)
        with self._lock:
            is_removed = self._control is not None and self._control.is_removed()
        if is_removed:
            self.release()
        return None

    def now_ns(self) -> int:
        """The file system's own time: the stamp that it gives to a file touched now."""
        if not self.is_written:
            return sc.coarse_now_ns()
        flags = sc.NEW_FILE & ~os.O_EXCL
        descriptor = sc.open(_CLOCK, flags, 0o600, dir_fd=self.control.fd)
        try:
            sc.utime(descriptor)
            return sc.fstat(descriptor).st_mtime_ns
        finally:
            sc.close(descriptor)

    def _open(self) -> None:
        descriptor = identity.open_root(self.path)
        if not self._is_expected(descriptor):
            sc.close(descriptor)
            raise NeedsUser(Reason.ROOT_CHANGED, "another directory is in its place")
        self._fd = descriptor
        self.generation += 1

    def _is_expected(self, descriptor: int) -> bool:
        found = sc.fstat(descriptor)
        return self._expected in (None, (found.st_dev, found.st_ino))

    def _open_control(self) -> Control:
        try:
            return Control(self._fd)
        except OSError as error:
            raise identity.not_writable(error) from error

    def _close(self) -> None:
        self._is_releasing = False
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._fd >= 0:
            sc.close(self._fd)
            self._fd = -1


def _make_directory(parent: int, name: bytes) -> int:
    """Open a directory of ours, made if it is missing, closed to others."""
    with contextlib.suppress(FileExistsError):
        sc.mkdir(name, 0o700, dir_fd=parent)
    descriptor = sc.open(name, sc.READ_DIRECTORY, dir_fd=parent)
    if sc.fstat(descriptor).st_mode & 0o777 != 0o700:
        with contextlib.suppress(OSError):
            sc.fchmod(descriptor, 0o700)
    return descriptor
