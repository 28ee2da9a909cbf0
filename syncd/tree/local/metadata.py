"""Owner, permission bits, ACLs and extended attributes of what is put in place.

A replacement keeps those of the file it replaces; a new file gets its owner by the pair's rule. Never
setuid, setgid, sticky or file capabilities.
"""

import contextlib
import os
import stat

from syncd.tree.local import syscalls as sc

_NEVER_COPIED = frozenset({"security.capability", "security.ima", "security.evm"})


class Owner:
    """The rule for new files: `parent`, `copy` or `UID:GID`. Only root can give files away."""

    def __init__(self, rule: str) -> None:
        self.is_active = hasattr(os, "geteuid") and os.geteuid() == 0
        self.is_copied = rule == "copy"
        self._fixed: tuple[int, int] | None = None
        if rule not in ("parent", "copy"):
            uid, separator, gid = rule.partition(":")
            if not (separator and uid.isdecimal() and gid.isdecimal()):
                raise ValueError(f"owner must be parent, copy or UID:GID, not {rule!r}")
            self._fixed = int(uid), int(gid)

    def wanted(self, parent: os.stat_result, source: os.stat_result | None) -> tuple[int, int]:
        """uid and gid of a new child of `parent` made from `source` (None: it tells no owner)."""
        if self._fixed is not None:
            return self._fixed
        if self.is_copied and source is not None:
            return source.st_uid, source.st_gid
        return parent.st_uid, parent.st_gid


def give(descriptor: int, now: os.stat_result, owner: tuple[int, int]) -> None:
    if (now.st_uid, now.st_gid) != owner:
        sc.fchown(descriptor, *owner)


def set_mode(descriptor: int, now: int, wanted: int) -> None:
    """Set permission bits where they differ; file systems that hold none may refuse."""
    if (now ^ wanted) & 0o7777:
        try:
            sc.fchmod(descriptor, wanted)
        except PermissionError:
            if sc.fstat(descriptor).st_uid == os.geteuid():
                return
            raise


def inherit(directory: int, name: bytes, target: int) -> None:
    """Give the open staged file owner, ACL and attributes of the file that it is to replace."""
    try:
        source = sc.open(name, sc.READ_FILE, dir_fd=directory)
    except OSError:
        # Unreadable to us, or gone: the owner at least can be told by lstat.
        with contextlib.suppress(OSError):
            _inherit_owner(sc.stat(name, dir_fd=directory, follow_symlinks=False), target)
        return
    try:
        found = sc.fstat(source)
        if stat.S_ISREG(found.st_mode):
            _inherit_owner(found, target)
            _inherit_attributes(source, target)
    finally:
        sc.close(source)


def _inherit_owner(found: os.stat_result, target: int) -> None:
    now = sc.fstat(target)
    if (now.st_uid, now.st_gid) == (found.st_uid, found.st_gid):
        return
    try:
        sc.fchown(target, found.st_uid, found.st_gid)
    except PermissionError:
        # Not root: the group may still be one of ours.
        with contextlib.suppress(PermissionError):
            sc.fchown(target, -1, found.st_gid)


def _inherit_attributes(source: int, target: int) -> None:
    if not hasattr(os, "listxattr"):
        return
    try:
        names = os.listxattr(source)
    except OSError:
        return
    for name in names:
        if name not in _NEVER_COPIED:
            with contextlib.suppress(OSError):
                os.setxattr(target, name, os.getxattr(source, name))
