"""What a file system can hold, found by trying with files of our own; read-only trees are only asked."""

import contextlib
import errno
import os
import unicodedata

from syncd.tree.local import syscalls as sc
from syncd.tree.local.identity import Mount
from syncd.tree.port import Capabilities

_HAS_NO_EVENTS = frozenset(
    {"nfs", "nfs4", "cifs", "smb", "smb3", "smbfs", "9p", "fuse", "afs", "ceph", "vboxsf", "virtiofs"}
)
_GRANULARITY_NS = {"vfat": 2_000_000_000, "msdos": 2_000_000_000, "exfat": 10_000_000, "hfsplus": 10**9}
_PROBE_STAMP_NS = 1_600_000_001_123_456_789
_KERNEL_TICK_NS = 10_000_000
"""Stamps are taken from a clock that moves with the tick (4 or 10 ms), whatever the file system keeps."""

_SERVER_SKEW_NS = 3_000_000_000
"""A file server stamps with a clock of its own."""


def racy_slack_ns(capabilities: Capabilities) -> int:
    """How much older than now an mtime must be to be trusted (racy-git rule)."""
    slack = _KERNEL_TICK_NS if capabilities.has_events else _SERVER_SKEW_NS
    return max(capabilities.time_granularity_ns, slack)


def read_only_capabilities(mount: Mount) -> Capabilities:
    """What the type of the file system tells, for a tree that is never written."""
    return Capabilities(
        is_writable=False,
        mode_mask=0 if mount.filesystem in ("vfat", "msdos", "exfat") else 0o777,
        time_granularity_ns=_GRANULARITY_NS.get(mount.filesystem, 1),
        has_events=_has_events(mount),
        filesystem=mount.filesystem,
    )


def probe(stage: int, mount: Mount) -> Capabilities:
    """Try everything in the staging directory. Raises OSError when not even a file can be made."""
    prefix = b"probe" + os.urandom(4).hex().encode()
    upper, lower = prefix + b"A", prefix + b"a"
    composed = prefix + "é".encode()
    made = [upper, lower, composed]
    try:
        descriptor = sc.open(upper, sc.NEW_FILE, 0o600, dir_fd=stage)
        try:
            mask, granularity = _probe_mode(descriptor), _probe_stamp(descriptor, upper, stage)
        finally:
            sc.close(descriptor)
        sc.close(sc.open(composed, sc.NEW_FILE, 0o600, dir_fd=stage))
        return Capabilities(
            is_writable=True,
            mode_mask=mask,
            is_case_sensitive=not _exists(stage, lower),
            is_normalisation_preserving=_keeps_normal_form(stage, composed),
            time_granularity_ns=granularity,
            has_symlinks=_has_symlinks(stage, prefix + b"l"),
            has_exchange=_has_exchange(stage, upper, composed),
            has_reflink=_has_reflink(stage, upper, prefix + b"r"),
            has_events=_has_events(mount),
            filesystem=mount.filesystem,
        )
    finally:
        for name in made:
            with contextlib.suppress(OSError):
                sc.unlink(name, dir_fd=stage)


def _has_events(mount: Mount) -> bool:
    kind = mount.filesystem
    return not (kind in _HAS_NO_EVENTS or (kind.startswith("fuse.") and kind != "fuse.ntfs-3g"))


def _probe_mode(descriptor: int) -> int:
    """The bits that can be both set and cleared."""
    kept = 0o777
    for wanted in (0o777, 0o400, 0o600):
        with contextlib.suppress(OSError):
            sc.fchmod(descriptor, wanted)
        kept &= ~(sc.fstat(descriptor).st_mode ^ wanted)
    if kept == 0o777:
        return kept
    return 0o100 if kept & 0o100 else 0


def _probe_stamp(descriptor: int, name: bytes, stage: int) -> int:
    try:
        sc.utime(descriptor, ns=(_PROBE_STAMP_NS, _PROBE_STAMP_NS))
    except OSError:
        return 2_000_000_000
    kept = sc.stat(name, dir_fd=stage, follow_symlinks=False).st_mtime_ns
    for granularity in (1, 100, 1_000, 1_000_000, 10_000_000, 1_000_000_000):
        if kept == _PROBE_STAMP_NS // granularity * granularity:
            return granularity
    return 2_000_000_000


def _exists(stage: int, name: bytes) -> bool:
    try:
        sc.stat(name, dir_fd=stage, follow_symlinks=False)
    except OSError:
        return False
    return True


def _keeps_normal_form(stage: int, composed: bytes) -> bool:
    decomposed = unicodedata.normalize("NFD", composed.decode()).encode()
    return not _exists(stage, decomposed) and os.fsdecode(composed) in sc.listdir(stage)


def _has_symlinks(stage: int, name: bytes) -> bool:
    try:
        sc.symlink(b"probe", name, dir_fd=stage)
    except OSError:
        return False
    sc.unlink(name, dir_fd=stage)
    return True


def _has_exchange(stage: int, a: bytes, b: bytes) -> bool:
    """Both flags, tried on two files that exist: NOREPLACE must refuse, EXCHANGE must swap."""
    try:
        sc.rename_noreplace(stage, a, stage, b)
    except OSError as error:
        if error.errno != errno.EEXIST:
            return False
    else:
        return False
    try:
        before = sc.stat(a, dir_fd=stage, follow_symlinks=False).st_ino
        sc.rename_exchange(stage, a, stage, b)
        return sc.stat(b, dir_fd=stage, follow_symlinks=False).st_ino == before
    except OSError:
        return False


def _has_reflink(stage: int, name: bytes, copy: bytes) -> bool:
    source = target = -1
    try:
        source = sc.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=stage)
        sc.write(source, b"x" * 4096)
        target = sc.open(copy, sc.NEW_FILE, 0o600, dir_fd=stage)
        sc.clone(source, target)
    except OSError:
        return False
    else:
        return True
    finally:
        for descriptor in (source, target):
            if descriptor >= 0:
                sc.close(descriptor)
        with contextlib.suppress(OSError):
            sc.unlink(copy, dir_fd=stage)
