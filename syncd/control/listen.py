"""Make the control socket, safely, or take the one that systemd hands over.

The rules (reliability CTL-07, CTL-08, S-L1, S-L3): nothing is unlinked but a socket of our own that nobody
answers at; a link, a file, a directory in its place refuses; so does a directory that others may write.
The mode is set by umask before bind, there is no moment at which it is open. The caller holds the lock of
the state directory. No anyio here.
"""

import contextlib
import os
import socket
import stat
import sys
from collections.abc import Iterator, MutableMapping

import msgspec

from syncd.core.error import SyncdError
from syncd.core.path import escape
from syncd.core.reason import Reason

BACKLOG = 512
_SUN_PATH = 103 if sys.platform == "darwin" else 107
_LISTEN_FDS_START = 3


class Listener(msgspec.Struct):
    """A listening, non-blocking socket. `close` removes its name only if it is still ours."""

    sock: socket.socket
    path: bytes | None = None
    """None: adopted from the service manager, which owns the name."""
    identity: tuple[int, int] = (0, 0)

    def close(self) -> None:
        self.sock.close()
        if self.path is None:
            return
        with contextlib.suppress(OSError):
            found = os.lstat(self.path)
            if (found.st_dev, found.st_ino) == self.identity:
                os.unlink(self.path)


def listen(path: bytes, *, group: int | None = None) -> Listener:
    """Bind `path`: mode 0600, or 0660 and `group`. Raises SyncdError(SOCKET_UNUSABLE | STATE_BUSY)."""
    if not os.path.isabs(path):
        raise _unusable(path, "the socket's path is not absolute")
    try:
        with _directory(path) as directory:
            _make_room(path, directory)
            return _bind(path, directory, group)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error


def adopt(environment: MutableMapping[str, str]) -> Listener | None:
    """The stream socket that systemd passed (LISTEN_FDS), None without one. Clears the variables."""
    pid, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "")
    environment.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isascii() or not count.isdigit():
        return None
    for fd in range(_LISTEN_FDS_START, _LISTEN_FDS_START + min(int(count), 64)):
        with contextlib.suppress(OSError):
            sock = socket.socket(fileno=fd)
            if sock.family == socket.AF_UNIX and sock.type == socket.SOCK_STREAM:
                sock.set_inheritable(False)
                sock.setblocking(False)
                return Listener(sock)
            sock.detach()
    return None


def connect_address(path: bytes, directory: int) -> bytes:
    """An address for connect and bind: the path, or one through a directory descriptor if it is long."""
    if len(path) <= _SUN_PATH:
        return path
    name = os.path.basename(path)
    short = f"/proc/self/fd/{directory}/".encode() + name
    if not os.path.isdir("/proc/self/fd") or len(short) > _SUN_PATH:
        raise _unusable(path, f"the path is longer than {_SUN_PATH} bytes")
    return short


@contextlib.contextmanager
def _directory(path: bytes) -> Iterator[int]:
    parent = os.path.dirname(path)
    os.makedirs(parent, 0o700, exist_ok=True)
    directory = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = os.fstat(directory)
        if found.st_mode & stat.S_IWOTH:
            raise _unusable(path, "everybody may write to its directory")
        if found.st_uid not in (0, os.geteuid()):
            raise _unusable(path, "its directory belongs to another user")
        yield directory
    finally:
        os.close(directory)


def _make_room(path: bytes, directory: int) -> None:
    name = os.path.basename(path)
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise _unusable(path, "something that is not a socket is in its place")
    if found.st_uid != os.geteuid():
        raise _unusable(path, "a socket of another user is in its place")
    if _is_answered(connect_address(path, directory)):
        raise SyncdError(Reason.STATE_BUSY, f"another daemon listens at {escape(path)}")
    os.unlink(name, dir_fd=directory)


def _is_answered(address: bytes) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(address)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except (TimeoutError, BlockingIOError):
            return True
    return True


def _bind(path: bytes, directory: int, group: int | None) -> Listener:
    name = os.path.basename(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        before = os.umask(0o177)
        try:
            sock.bind(connect_address(path, directory))
        finally:
            os.umask(before)
        if group is not None:
            os.chown(name, -1, group, dir_fd=directory, follow_symlinks=False)
            os.chmod(name, 0o660, dir_fd=directory)
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return Listener(sock, path, (found.st_dev, found.st_ino))


def _unusable(path: bytes, why: str) -> SyncdError:
    return SyncdError(Reason.SOCKET_UNUSABLE, f"{escape(path)}: {why}")
