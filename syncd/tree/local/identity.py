"""Which root this is: file system and inode, and the marker that a written tree holds.

The marker is `.syncd/marker` beneath the root, written whole and synced. An empty mount point has none, so
it is never taken for a tree whose files were all deleted.
"""

import contextlib
import errno
import os
import stat

import msgspec

from syncd.core.error import NeedsUser
from syncd.core.path import CONTROL_NAME, escape
from syncd.core.reason import Reason
from syncd.tree.local import syscalls as sc
from syncd.tree.local.claim import Claim
from syncd.tree.local.errors import judge, text
from syncd.tree.port import RootIdentity

_MARKER = b"marker"
_MARKER_DRAFT = b"marker.new"
_MARKER_LIMIT = 4096
_BOOT = "/proc/sys/kernel/random/boot_id"
_BLOCK = "/sys/dev/block"
_VERSION = 1

_MAGIC = {
    0xEF53: "ext4",
    0x58465342: "xfs",
    0x9123683E: "btrfs",
    0x01021994: "tmpfs",
    0x6969: "nfs",
    0x517B: "smb",
    0xFF534D42: "cifs",
    0xFE534D42: "smb3",
    0x65735546: "fuse",
    0x01021997: "9p",
    0x794C7630: "overlay",
    0x2FC12FC1: "zfs",
    0xF2F52010: "f2fs",
    0x4D44: "vfat",
    0x2011BAB0: "exfat",
    0x7366746E: "ntfs3",
    0x00C36400: "ceph",
    0xCA451A4E: "bcachefs",
}
_HAS_STABLE_FSID = frozenset({"ext2", "ext3", "ext4", "btrfs", "f2fs", "zfs"})
"""File systems whose statfs id comes from their UUID, not from a device number of this boot."""


class Marker(msgspec.Struct, frozen=True):
    """The content of the marker file."""

    pair: str
    tree: str
    version: int = _VERSION
    state_dir: str = ""
    machine: str = ""

    @property
    def claim(self) -> Claim:
        return Claim(self.pair, self.state_dir, self.machine)


class Mount(msgspec.Struct, frozen=True):
    """The mount that a descriptor lies on, as far as the system tells."""

    filesystem: str
    source: str


def open_root(path: bytes) -> int:
    """Open the root directory itself, which must not be a link. Raises NeedsUser."""
    try:
        return sc.open(path, sc.READ_DIRECTORY)
    except OSError as error:
        problem = root_problem(error)
        raise NeedsUser(problem.reason, f"{escape(path)}: {problem.detail}") from error


def root_problem(error: OSError) -> NeedsUser:
    """What it means that the root cannot be reached."""
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return NeedsUser(Reason.ROOT_CHANGED, "the root is not a directory any more")
    if error.errno in (errno.EACCES, errno.EPERM):
        return NeedsUser(Reason.UNREADABLE, f"the root cannot be entered: {text(error)}")
    return NeedsUser(Reason.ROOT_MISSING, text(error))


def mount_of(descriptor: int) -> Mount:
    """File system type and source, by the mount table; by the statfs magic where there is none."""
    magic = _MAGIC.get(sc.filesystem_magic(descriptor), "")
    try:
        with open(f"/proc/self/fdinfo/{descriptor}", "rb") as info:
            mount_id = next(line.split()[1] for line in info if line.startswith(b"mnt_id:"))
        with open("/proc/self/mountinfo", "rb") as table:
            fields = next(line.split() for line in table if line.split(b" ", 1)[0] == mount_id)
        kind, source = fields[fields.index(b"-") + 1 :][:2]
    except (OSError, StopIteration, ValueError):
        return Mount(magic, "")
    return Mount(os.fsdecode(kind), os.fsdecode(source))


def filesystem_id(descriptor: int, mount: Mount) -> str:
    """What names the file system over reboots, as well as can be known without privileges."""
    if mount.filesystem in _HAS_STABLE_FSID or not mount.source.startswith(("/", "//")):
        number = sc.fstatvfs(descriptor).f_fsid
        if number and mount.filesystem not in ("nfs", "nfs4"):
            return f"{mount.filesystem}:{number:x}"
    return f"{mount.filesystem}:{_uuid(descriptor) or mount.source}"


def _uuid(descriptor: int) -> str:
    """The UUID of the block device below, by the links that udev keeps."""
    device = sc.fstat(descriptor).st_dev
    with contextlib.suppress(OSError), os.scandir("/dev/disk/by-uuid") as links:
        for entry in links:
            with contextlib.suppress(OSError):
                if entry.stat().st_rdev == device:
                    return entry.name
    return ""


def read_identity(root: int) -> RootIdentity:
    """The identity of an open root, with the pair key of its marker."""
    found = sc.fstat(root)
    marker = read_marker(root)
    return RootIdentity(
        device=found.st_dev,
        inode=found.st_ino,
        filesystem_id=filesystem_id(root, mount_of(root)),
        marker=marker.pair if marker else None,
        attachment=attachment(found.st_dev),
    )


def attachment(device: int) -> str:
    """Which boot, and which attachment of the block device, if the file system has one of its own.

    A unit that hides `/proc/sys` passes the boot id on in `SYNCD_BOOT_ID`.
    """
    boot = (_text(_BOOT) or os.environ.get("SYNCD_BOOT_ID", "")).replace("-", "")
    block = f"{_BLOCK}/{os.major(device)}:{os.minor(device)}"
    sequence = _text(f"{block}/diskseq") or _text(f"{block}/../diskseq")
    return f"{boot}:{sequence}" if boot else ""


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except (OSError, ValueError):
        return ""


def check_known(now: RootIdentity, known: RootIdentity | None, *, is_written: bool) -> None:
    """Is it the root of an earlier run? Raises NeedsUser(ROOT_CHANGED).

    A marker is the better witness (a tree restored from a backup is still the tree); without one, file
    system and inode must be the same.
    """
    if known is None:
        return
    if is_written and known.marker is not None:
        if now.marker is None:
            raise NeedsUser(Reason.ROOT_CHANGED, "its marker is gone (an empty mount point, or another disk)")
        return
    if (now.filesystem_id, now.inode) != (known.filesystem_id, known.inode):
        raise NeedsUser(Reason.ROOT_CHANGED, "another directory or another file system is in its place")


def read_marker(root: int) -> Marker | None:
    """The marker of a root, None where there is none. A damaged one counts as a foreign one."""
    try:
        control = sc.open(CONTROL_NAME, sc.READ_DIRECTORY, dir_fd=root)
    except OSError:
        return None
    try:
        descriptor = sc.open(_MARKER, sc.READ_FILE, dir_fd=control)
    except OSError:
        return None
    finally:
        sc.close(control)
    try:
        if not stat.S_ISREG(sc.fstat(descriptor).st_mode):
            return None
        return msgspec.json.decode(sc.read(descriptor, _MARKER_LIMIT), type=Marker)
    except (OSError, msgspec.MsgspecError):
        return Marker(pair="", tree="")
    finally:
        sc.close(descriptor)


def write_marker(root: int, control: int, claim: Claim) -> None:
    """Write the marker whole: draft, sync, rename, sync both directories. Raises NeedsUser."""
    marker = Marker(claim.pair, os.urandom(8).hex(), state_dir=claim.state_dir, machine=claim.machine)
    try:
        with contextlib.suppress(FileNotFoundError):
            sc.unlink(_MARKER_DRAFT, dir_fd=control)
        descriptor = sc.open(_MARKER_DRAFT, sc.NEW_FILE, 0o600, dir_fd=control)
        try:
            sc.write(descriptor, msgspec.json.encode(marker) + b"\n")
            sc.sync_file(descriptor)
        finally:
            sc.close(descriptor)
        sc.rename(_MARKER_DRAFT, _MARKER, src_dir_fd=control, dst_dir_fd=control)
        sc.sync_file(control)
        sc.sync_file(root)
    except OSError as error:
        raise not_writable(error) from error


def not_writable(error: OSError) -> NeedsUser:
    """What it means that `.syncd` cannot be made or written."""
    verdict = judge(error)
    if verdict.reason is Reason.DISK_FULL:
        return NeedsUser(Reason.DISK_FULL, text(error))
    return NeedsUser(Reason.ROOT_NOT_WRITABLE, f"the control directory cannot be written: {text(error)}")
