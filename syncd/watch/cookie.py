"""Markers that are sent through the watchers, to know that everything before them has come out.

A marker is a file created in the root's control directory, and removed at once: its event is what counts.
The control directory is never made here, so a root that is not mounted gets nothing.
"""

import contextlib
import os
import secrets
from collections.abc import Collection, Iterable, Iterator

import anyio

from syncd.watch.root import WatchedRoot

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def _cookie_directory(root: WatchedRoot, control: bytes) -> Iterator[int]:
    """A descriptor of the cookie directory, made if need be, reached without following a link."""
    with contextlib.ExitStack() as stack:
        here = os.open(root.real, _DIRECTORY)
        stack.callback(os.close, here)
        found = os.fstat(here)
        if (found.st_dev, found.st_ino) != (root.device, root.inode):
            raise FileNotFoundError(root.real)
        here = os.open(control, _DIRECTORY, dir_fd=here)
        stack.callback(os.close, here)
        with contextlib.suppress(FileExistsError):
            os.mkdir(b"cookies", 0o700, dir_fd=here)
        here = os.open(b"cookies", _DIRECTORY, dir_fd=here)
        stack.callback(os.close, here)
        yield here


def prepare_blocking(root: WatchedRoot, control: bytes) -> bool:
    """Make the cookie directory, so that it is watched from the start. False: no control directory."""
    try:
        with _cookie_directory(root, control):
            return True
    except OSError:
        return False


def send_blocking(root: WatchedRoot, control: bytes, name: str) -> bool:
    """Create and remove the marker `name`. False when it cannot be made (read-only, full, no root)."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with _cookie_directory(root, control) as directory:
            os.close(os.open(name, flags, 0o600, dir_fd=directory))
            os.unlink(name, dir_fd=directory)
    except OSError:
        return False
    return True


class Waiter:
    """One marker under way: `came` is set once every pump in `missing` has seen it."""

    def __init__(self, pumps: Iterable[int]) -> None:
        self.name = secrets.token_hex(8)
        self.missing = set(pumps)
        self.came = anyio.Event()


class Cookies:
    """The markers under way."""

    def __init__(self) -> None:
        self._waiting: dict[str, Waiter] = {}

    @contextlib.contextmanager
    def expect(self, pumps: Iterable[int]) -> Iterator[Waiter]:
        waiter = Waiter(pumps)
        self._waiting[waiter.name] = waiter
        try:
            yield waiter
        finally:
            del self._waiting[waiter.name]

    def seen(self, names: Collection[str], pump: int) -> None:
        for name in names:
            waiter = self._waiting.get(name)
            if waiter is None:
                continue
            waiter.missing.discard(pump)
            if not waiter.missing:
                waiter.came.set()
