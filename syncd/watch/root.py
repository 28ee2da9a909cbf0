"""Which directory is watched, and whether it is still the one behind the root's name."""

import os
import stat

import anyio.to_thread
import msgspec

CHECK_S = 2.0
"""How often the root's name is compared with the directory that is watched."""


class WatchedRoot(msgspec.Struct, frozen=True):
    """The directory behind a root's name: its real path, and what tells it from another one."""

    real: bytes
    device: int
    inode: int


def identify_blocking(root: bytes) -> WatchedRoot | None:
    """Resolve `root` (a symlinked root is followed); None when no directory is there."""
    try:
        real = os.path.realpath(root)
        found = os.stat(real)
    except OSError:
        return None
    if not stat.S_ISDIR(found.st_mode):
        return None
    return WatchedRoot(real=real, device=found.st_dev, inode=found.st_ino)


async def identify(root: bytes) -> WatchedRoot | None:
    """`identify_blocking` in a thread; a file system that hangs does not hold up a cancellation."""
    return await anyio.to_thread.run_sync(identify_blocking, root, abandon_on_cancel=True)
