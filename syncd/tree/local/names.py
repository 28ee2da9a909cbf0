"""Taking a free name: the one way in which something of ours gets a name that users see.

Nothing here ever replaces what is at the name already.
"""

import errno
import os

from syncd.tree.local import syscalls as sc
from syncd.tree.local.errors import FLAGS_MISSING

_NO_LINKS = FLAGS_MISSING | {errno.EPERM, errno.EMLINK, errno.EISDIR}


def rename_free(from_directory: int, name: bytes, to_directory: int, to: bytes, has_flags: bool) -> None:
    """Rename to a name that must be free (EEXIST). Without the flag: link and unlink, which refuses a
    taken name too; where there are no links (and for directories), look and rename: `weak-replace`."""
    if has_flags:
        sc.rename_noreplace(from_directory, name, to_directory, to)
        return
    try:
        sc.link(name, to, src_dir_fd=from_directory, dst_dir_fd=to_directory, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    else:
        sc.unlink(name, dir_fd=from_directory)
        return
    try:
        sc.stat(to, dir_fd=to_directory, follow_symlinks=False)
    except FileNotFoundError:
        sc.rename(name, to, src_dir_fd=from_directory, dst_dir_fd=to_directory)
        return
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


class Nameless:
    """Files without a name (O_TMPFILE): made where they will stay, gone with the process if it dies.

    Each costs a descriptor until it is linked, so at most `budget` at a time. Where the file system or the
    system has no such files, `create` says so by None, and staging takes names.
    """

    def __init__(self, budget: int) -> None:
        self._left = budget if sc.O_TMPFILE else 0

    @property
    def is_possible(self) -> bool:
        return self._left > 0

    def create(self, directory: int, mode: int) -> int | None:
        try:
            found = sc.open(b".", sc.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, mode, dir_fd=directory)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.EMFILE):
                self._left = 0
                return None
            if error.errno in (errno.EACCES, errno.ENOENT):
                return None
            raise
        self._left -= 1
        return found


def link_nameless(descriptor: int, directory: int, name: bytes) -> None:
    """Give a nameless file a name that must be free (EEXIST)."""
    try:
        sc.link_descriptor(descriptor, directory, name, by_proc=_is_unprivileged)
    except FileNotFoundError:
        # Not permitted is told as ENOENT, and so is a directory that is gone.
        sc.link_descriptor(descriptor, directory, name, by_proc=True)


_is_unprivileged = os.geteuid() != 0
