"""The system calls of a local tree, and nothing else: the one place where tests make a call fail.

Python has no openat2, renameat2, syncfs and linkat(AT_EMPTY_PATH), so these go through ctypes; the others
are the functions of `os`, named here so that a fault can be injected for this room alone. Every call works
on a descriptor, or on a name beneath one; none takes a path of the user's. Errors are OSError.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import sys
import time
from typing import Any

open = os.open  # noqa: A001 - the names are those of the calls
close = os.close
read = os.read
readv = os.readv
write = os.write
lseek = os.lseek
stat = os.stat
fstat = os.fstat
fstatvfs = os.fstatvfs
utime = os.utime
fchmod = os.fchmod
fchown = os.fchown
chown = os.chown
ftruncate = os.ftruncate
fsync = os.fsync
mkdir = os.mkdir
rmdir = os.rmdir
unlink = os.unlink
rename = os.rename
link = os.link
symlink = os.symlink
readlink = os.readlink
listdir = os.listdir
scandir = os.scandir

IS_LINUX = sys.platform.startswith("linux")
O_PATH: int = getattr(os, "O_PATH", 0)
O_TMPFILE: int = getattr(os, "O_TMPFILE", 0)

READ_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
PASS_DIRECTORY = (O_PATH or os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
READ_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_SYS_OPENAT2 = 437  # the same number on every architecture
_RESOLVE_NO_XDEV = 0x01
_RESOLVE_BENEATH = 0x08 | 0x04 | 0x02  # with NO_SYMLINKS and NO_MAGICLINKS
_AT_EMPTY_PATH = 0x1000
_AT_SYMLINK_FOLLOW = 0x400
_FICLONE = 0x40049409
_CLOCK_REALTIME_COARSE = 5

_libc = ctypes.CDLL(None, use_errno=True)


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def _function(name: str, *arguments: Any) -> Any:
    found = getattr(_libc, name, None)
    if found is not None:
        found.argtypes = arguments
        found.restype = ctypes.c_long if name == "syscall" else ctypes.c_int
    return found


_AT = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p)
_syscall = _function(
    "syscall", ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t
)
_rename_flags = _function("renameat2" if IS_LINUX else "renameatx_np", *_AT, ctypes.c_uint)
_linkat = _function("linkat", *_AT, ctypes.c_int)
_syncfs = _function("syncfs", ctypes.c_int)
_fstatfs = _function("fstatfs", ctypes.c_int, ctypes.c_void_p)
_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)
_advise = getattr(os, "posix_fadvise", None)
_NOREPLACE, _EXCHANGE = (1, 2) if IS_LINUX else (4, 2)  # macOS: RENAME_EXCL, RENAME_SWAP
_hows: dict[tuple[int, int], tuple[_How, Any]] = {}


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def has_openat2() -> bool:
    """Does the kernel answer openat2 (Linux 5.6; sandboxes may refuse it)?"""
    if not IS_LINUX:
        return False
    try:
        descriptor = open("/", PASS_DIRECTORY)
    except OSError:
        return False
    try:
        close(openat2(descriptor, b".", PASS_DIRECTORY, may_cross=True))
    except OSError:
        return False
    finally:
        close(descriptor)
    return True


def openat2(directory: int, path: bytes, flags: int, *, may_cross: bool) -> int:
    """Open beneath `directory`, following no link at all; other mounts only where `may_cross`."""
    resolve = _RESOLVE_BENEATH if may_cross else _RESOLVE_BENEATH | _RESOLVE_NO_XDEV
    how = _hows.get((flags, resolve))
    if how is None:
        value = _How(flags, 0, resolve)
        how = _hows[flags, resolve] = (value, ctypes.byref(value))
    while True:
        found = _syscall(_SYS_OPENAT2, directory, path, how[1], 24)
        if found >= 0:
            return int(found)
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))


def rename_noreplace(from_directory: int, name: bytes, to_directory: int, to: bytes) -> None:
    """Rename to a free name. EEXIST: it is taken. EINVAL, ENOSYS: no such flag here."""
    if _rename_flags is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if _rename_flags(from_directory, name, to_directory, to, _NOREPLACE):
        _check(-1)


def rename_exchange(a_directory: int, a: bytes, b_directory: int, b: bytes) -> None:
    """Swap two names that both exist, in one step."""
    if _rename_flags is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if _rename_flags(a_directory, a, b_directory, b, _EXCHANGE):
        _check(-1)


def link_descriptor(descriptor: int, directory: int, name: bytes, *, by_proc: bool) -> None:
    """Give an O_TMPFILE file a name. `by_proc` needs no privilege, only /proc. EEXIST: it is taken."""
    if by_proc:
        source, at, flag = b"/proc/self/fd/%d" % descriptor, -100, _AT_SYMLINK_FOLLOW
    else:
        source, at, flag = b"", descriptor, _AT_EMPTY_PATH
    if _linkat(at, source, directory, name, flag):
        _check(-1)


def will_read(descriptor: int) -> None:
    """The whole file is about to be read: begin to bring it in. Only advice, where there is such advice."""
    if _advise is not None:
        with contextlib.suppress(OSError):
            _advise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)


def is_cached(descriptor: int) -> bool:
    """Is the beginning of the file in memory? False where the system does not say."""
    if not _NOWAIT:
        return False
    try:
        os.preadv(descriptor, [bytearray(1)], 0, _NOWAIT)
    except OSError:
        return False
    return True


def has_syncfs() -> bool:
    return _syncfs is not None


def syncfs(descriptor: int) -> None:
    """Bring everything of this file system to the device, and learn of write errors."""
    if _syncfs(descriptor):
        _check(-1)


def sync_file(descriptor: int) -> None:
    """fsync; on macOS with the flag that reaches the device."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is None:
        fsync(descriptor)
    else:
        fcntl.fcntl(descriptor, full)


def clone(source: int, target: int) -> None:
    """Share the blocks of `source` with `target` (FICLONE). EOPNOTSUPP, EXDEV, EINVAL: not here."""
    if not IS_LINUX:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    fcntl.ioctl(target, _FICLONE, source)


def filesystem_magic(descriptor: int) -> int:
    """The `f_type` of statfs, 0 where there is none."""
    if not IS_LINUX:
        return 0
    buffer = (ctypes.c_long * 32)()
    if _fstatfs(descriptor, ctypes.byref(buffer)):
        return 0
    return int(buffer[0]) & 0xFFFFFFFF


def coarse_now_ns() -> int:
    """The clock that local file systems stamp with: never ahead of a stamp that they give later."""
    return time.clock_gettime_ns(_CLOCK_REALTIME_COARSE) if IS_LINUX else time.time_ns()
