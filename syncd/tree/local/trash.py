"""The trash of one tree: what was replaced or deleted, by batch and slot; reading, restoring, expiring.

Ages are told by the file system's own clock and are never negative: a clock that jumps expires nothing.
"""

import contextlib
import os
import stat

import msgspec

from syncd.core.action import TrashRef
from syncd.core.entry import Entry, Kind, Side
from syncd.core.listing import kind_of
from syncd.core.path import CONTROL_NAME
from syncd.tree.local import manifest
from syncd.tree.local import syscalls as sc
from syncd.tree.local.beneath import open_directory, split
from syncd.tree.local.errors import FLAGS_MISSING
from syncd.tree.local.names import rename_free
from syncd.tree.local.root import TRASH, Root

_MANIFEST = os.fsdecode(manifest.NAME)
_MIN_AGE_S = 24 * 3600.0


class TrashEntry(msgspec.Struct, frozen=True):
    """One kept file. `path` is the name it had (empty when no record tells), `entry` what was expected
    there; `size` what it is now."""

    ref: TrashRef
    path: bytes
    entry: Entry | None
    size: int
    at_ns: int
    op: str = ""
    is_edited: bool = False
    """Somebody wrote to it after it had left its name."""
    kind: Kind = Kind.FILE
    mode: int = 0
    mtime_ns: int = 0
    """As `size`: what it is now."""


class _Folder(msgspec.Struct, frozen=True):
    name: str
    at_ns: int
    size: int


class Trash:
    """The trash directory of one written tree. Blocking; call from a worker thread."""

    def __init__(self, root: Root, side: Side) -> None:
        self._root = root
        self._side = side

    def entries(self, batch_id: str | None = None) -> list[TrashEntry]:
        """Everything kept, oldest batch first."""
        with self._root.use():
            trash = self._root.control.trash
            names = sc.listdir(trash) if batch_id is None else [batch_id]
            found: list[TrashEntry] = []
            for name in names:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    found.extend(self._entries_of(trash, name))
        return sorted(found, key=lambda entry: (entry.at_ns, entry.ref.batch, entry.ref.slot))

    def late_edits(self, batch_id: str | None = None) -> list[TrashEntry]:
        """What was written to after it was displaced: by a program that still had the file open."""
        return [entry for entry in self.entries(batch_id) if entry.is_edited]

    def weight(self) -> int:
        """The bytes that finished batches take up."""
        with self._root.use():
            return sum(folder.size for folder in self._folders(self._root.control.trash))

    def target(self, ref: TrashRef) -> bytes:
        """What a kept link points to. Raises OSError."""
        with self._root.use():
            folder = sc.open(_component(ref.batch), sc.READ_DIRECTORY, dir_fd=self._root.control.trash)
            try:
                return os.fsencode(os.readlink(_component(ref.slot), dir_fd=folder))
            finally:
                sc.close(folder)

    def location(self, ref: TrashRef) -> bytes | None:
        """The file name of kept bytes, for people; None when they are not there."""
        path = b"/".join((self._root.path, CONTROL_NAME, TRASH, ref.batch.encode(), ref.slot.encode()))
        return path if os.path.lexists(path) else None

    def open(self, ref: TrashRef) -> int:
        """A descriptor of a kept file, to read it. Raises OSError."""
        with self._root.use():
            folder = sc.open(_component(ref.batch), sc.READ_DIRECTORY, dir_fd=self._root.control.trash)
            try:
                return sc.open(_component(ref.slot), sc.READ_FILE, dir_fd=folder)
            finally:
                sc.close(folder)

    def restore(self, ref: TrashRef, path: bytes) -> None:
        """Move a kept file to a free name beneath the root. FileExistsError when it is taken."""
        with self._root.use() as root:
            parent, name = split(path)
            folder = sc.open(_component(ref.batch), sc.READ_DIRECTORY, dir_fd=self._root.control.trash)
            try:
                directory = open_directory(root, parent)
                try:
                    _restore(folder, _component(ref.slot).encode(), directory, name)
                    sc.sync_file(directory)
                finally:
                    sc.close(directory)
            finally:
                sc.close(folder)

    def expire(self, keep_s: float, max_bytes: int | None, pinned: frozenset[str]) -> int:
        """Drop folders older than `keep_s`, then the oldest past a day until `max_bytes` is kept."""
        with self._root.use():
            trash = self._root.control.trash
            now_ns = self._root.now_ns()
            folders = sorted(self._folders(trash), key=lambda folder: folder.at_ns)
            kept = sum(folder.size for folder in folders)
            freed = 0
            for folder in folders:
                age_s = max(0.0, (now_ns - folder.at_ns) / 1e9)
                is_over = max_bytes is not None and kept - freed > max_bytes and age_s >= _MIN_AGE_S
                if folder.name not in pinned and (age_s > keep_s or is_over):
                    freed += _drop(trash, folder.name)
            return freed

    def _entries_of(self, trash: int, batch: str) -> list[TrashEntry]:
        folder = sc.open(_component(batch), sc.READ_DIRECTORY, dir_fd=trash)
        try:
            at_ns, slots = _read(folder)
            found = []
            for slot in sc.listdir(folder):
                if slot == _MANIFEST:
                    continue
                now = sc.stat(slot, dir_fd=folder, follow_symlinks=False)
                found.append(_entry(TrashRef(self._side, batch, slot), slots.get(slot), now, at_ns))
            return found
        finally:
            sc.close(folder)

    def _folders(self, trash: int) -> list[_Folder]:
        """Finished batches with their age and size; never one that is in flight."""
        in_flight = set(sc.listdir(self._root.control.in_flight))
        folders: list[_Folder] = []
        for name in sc.listdir(trash):
            if name in in_flight:
                continue
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                folder = sc.open(name, sc.READ_DIRECTORY, dir_fd=trash)
                try:
                    folders.append(_weigh(name, folder))
                finally:
                    sc.close(folder)
        return folders


def _entry(ref: TrashRef, record: manifest.SlotRecord | None, now: os.stat_result, at_ns: int) -> TrashEntry:
    return TrashEntry(
        ref,
        b"" if record is None else record.path,
        None if record is None else record.old,
        now.st_size,
        at_ns,
        op="" if record is None else record.op,
        is_edited=record is not None and _is_edited(record, now),
        kind=kind_of(now.st_mode),
        mode=now.st_mode & 0o777,
        mtime_ns=now.st_mtime_ns,
    )


def _component(name: str) -> str:
    if not name or "/" in name or name in (".", ".."):
        raise FileNotFoundError(name)
    return name


def _read(folder: int) -> tuple[int, dict[str, manifest.SlotRecord]]:
    """When the batch was made, and its slots."""
    at_ns = 0
    slots: dict[str, manifest.SlotRecord] = {}
    for record in manifest.read(folder):
        if isinstance(record, manifest.BatchRecord):
            at_ns = at_ns or record.at_ns
        elif isinstance(record, manifest.SlotRecord):
            slots[record.slot] = record
    return at_ns or sc.fstat(folder).st_mtime_ns, slots


def _is_edited(record: manifest.SlotRecord, now: os.stat_result) -> bool:
    if record.old.kind is not Kind.FILE:
        return False
    seen = record.hint or record.old
    return (now.st_size, now.st_mtime_ns) != (seen.size, seen.mtime_ns)


def _weigh(name: str, folder: int) -> _Folder:
    """Size and age of a folder. A late edit makes it younger: its bytes are new."""
    at_ns, slots = _read(folder)
    size = 0
    for slot in sc.listdir(folder):
        now = sc.stat(slot, dir_fd=folder, follow_symlinks=False)
        size += now.st_blocks * 512
        record = slots.get(slot)
        if record is not None and _is_edited(record, now):
            at_ns = max(at_ns, now.st_mtime_ns)
    return _Folder(name, at_ns, size)


def _restore(folder: int, slot: bytes, directory: int, name: bytes) -> None:
    try:
        rename_free(folder, slot, directory, name, has_flags=True)
    except OSError as error:
        if error.errno not in FLAGS_MISSING:
            raise
        rename_free(folder, slot, directory, name, has_flags=False)


def _drop(trash: int, name: str) -> int:
    """Remove a folder of the trash, the manifest last. Returns the bytes freed."""
    folder = sc.open(name, sc.READ_DIRECTORY, dir_fd=trash)
    freed = 0
    try:
        for slot in sorted(sc.listdir(folder), key=lambda slot: slot == _MANIFEST):
            found = sc.stat(slot, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                continue
            sc.unlink(slot, dir_fd=folder)
            freed += found.st_blocks * 512 if found.st_nlink == 1 else 0
    finally:
        sc.close(folder)
    with contextlib.suppress(OSError):
        sc.rmdir(name, dir_fd=trash)
    return freed
