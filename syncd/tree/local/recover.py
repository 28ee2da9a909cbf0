"""After a crash: what a killed batch left in `.syncd` is put back, kept, or thrown away if it is ours.

Idempotent, and safe to be killed in turn: every step is one rename or unlink, and the in-flight mark goes
last. User data is never unlinked: what is not surely our own staged copy stays as a trash entry.
"""

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from syncd.tree.local import manifest
from syncd.tree.local import syscalls as sc
from syncd.tree.local.beneath import open_directory, split
from syncd.tree.local.displace import beside, evacuate
from syncd.tree.local.names import rename_free
from syncd.tree.local.root import Control
from syncd.tree.local.trash import Trash, TrashEntry
from syncd.tree.parked import Rename, to_undo


def recover(root: int, control: Control, trash: Trash, has_exchange: bool) -> tuple[TrashEntry, ...]:
    """Clean up after a killed run. Returns what it displaced and did not account for."""
    for name in sc.listdir(control.stage):
        with contextlib.suppress(OSError):
            sc.unlink(name, dir_fd=control.stage)
    kept: list[TrashEntry] = []
    for batch in sorted(sc.listdir(control.in_flight)):
        with contextlib.suppress(FileNotFoundError):
            _recover_batch(root, control, batch, has_exchange)
            kept.extend(trash.entries(batch))
        with contextlib.suppress(FileNotFoundError):
            sc.unlink(batch, dir_fd=control.in_flight)
    return tuple(kept)


def _recover_batch(root: int, control: Control, batch: str, has_exchange: bool) -> None:
    folder = sc.open(batch, sc.READ_DIRECTORY, dir_fd=control.trash)
    try:
        records = manifest.read(folder)
        for record in records:
            if isinstance(record, manifest.MoveRecord) and record.is_weak:
                _finish_move(root, record)
        for record in records:
            if isinstance(record, manifest.ModeRecord):
                _restore_mode(root, record)
            elif isinstance(record, manifest.SlotRecord):
                with contextlib.suppress(OSError):
                    _recover_slot(root, folder, records, record, batch, has_exchange)
        if set(sc.listdir(folder)) <= {manifest.NAME.decode()}:
            with contextlib.suppress(FileNotFoundError):
                sc.unlink(manifest.NAME, dir_fd=folder)
            sc.rmdir(batch, dir_fd=control.trash)
    finally:
        sc.close(folder)


def _recover_slot(
    root: int,
    folder: int,
    records: Sequence[manifest.Record],
    record: manifest.SlotRecord,
    batch: str,
    has_exchange: bool,
) -> None:
    _fetch_from_abroad(root, folder, record, batch)
    found = sc.stat(record.slot, dir_fd=folder, follow_symlinks=False)
    if _is_ours(found, record.ours):
        sc.unlink(record.slot, dir_fd=folder)
    elif record.op == "park":
        # A swap may have given its old name away; then it goes on to the new one.
        names = (record.path, record.to)
        if not any(_put_at(root, folder, record, name, has_exchange) for name in names):
            _undo_circle(root, folder, records, record.path, has_exchange)
            _put_at(root, folder, record, record.path, has_exchange)
    elif record.op == "put" and record.is_weak:
        _put_at(root, folder, record, record.path, has_exchange)


def _fetch_from_abroad(root: int, folder: int, record: manifest.SlotRecord, batch: str) -> None:
    """What was left beside a target on another file system: our own goes, anything else to its slot, or
    back to its name where it was only parked."""
    with contextlib.suppress(OSError):
        parent, name = split(record.path)
        directory = open_directory(root, parent, may_cross=True)
        try:
            held = beside(batch, record.slot)
            found = sc.stat(held, dir_fd=directory, follow_symlinks=False)
            if _is_ours(found, record.ours):
                sc.unlink(held, dir_fd=directory)
            elif record.op != "park" or not _unpark(root, directory, held, name, record.to):
                with contextlib.suppress(FileNotFoundError):
                    # A copy that the crash cut short.
                    sc.unlink(record.slot, dir_fd=folder)
                evacuate(directory, held, folder, record.slot.encode())
        finally:
            sc.close(directory)


def _unpark(root: int, directory: int, held: bytes, name: bytes, to: bytes) -> bool:
    try:
        rename_free(directory, held, directory, name, has_flags=False)
    except OSError:
        try:
            to_parent, to_name = split(to)
            to_directory = open_directory(root, to_parent, may_cross=True)
            try:
                rename_free(directory, held, to_directory, to_name, has_flags=False)
            finally:
                sc.close(to_directory)
        except OSError:
            return False
    return True


def _is_ours(found: os.stat_result, ours: manifest.Ours | None) -> bool:
    return ours is not None and (found.st_ino, found.st_size, found.st_mtime_ns) == (
        ours.inode,
        ours.size,
        ours.mtime_ns,
    )


def _finish_move(root: int, record: manifest.MoveRecord) -> None:
    """One file at both names of a move: the old name goes."""
    (parent, name), (to_parent, to) = split(record.path), split(record.to)
    with (
        contextlib.suppress(OSError),
        _opened(root, parent) as directory,
        _opened(root, to_parent) as to_directory,
    ):
        old = sc.stat(name, dir_fd=directory, follow_symlinks=False)
        new = sc.stat(to, dir_fd=to_directory, follow_symlinks=False)
        if (old.st_dev, old.st_ino) == (new.st_dev, new.st_ino):
            sc.unlink(name, dir_fd=directory)


def _put_at(root: int, folder: int, record: manifest.SlotRecord, path: bytes, has_exchange: bool) -> bool:
    """Give a slot's content a name in the tree, if that is free."""
    try:
        parent, name = split(path)
        with _opened(root, parent) as directory:
            take = partial(_take, folder, record.slot.encode(), directory, name, has_exchange)
            _with_write(folder, {parent: directory}, take)
            sc.sync_file(directory)
    except OSError:
        return False
    return True


def _undo_circle(
    root: int, folder: int, records: Sequence[manifest.Record], parked: bytes, has_exchange: bool
) -> None:
    """A circle of names was cut open in its middle: what had moved up goes back."""
    moves = [record for record in records if isinstance(record, manifest.MoveRecord)]
    renames = [Rename(move.path, move.to, move.inode) for move in moves]
    for rename in to_undo(parked, renames, lambda path: _inode_at(root, path)):
        (parent, name), (to_parent, to) = split(rename.path), split(rename.to)
        with _opened(root, parent) as directory, _opened(root, to_parent) as to_directory:
            back = partial(rename_free, to_directory, to, directory, name, has_exchange)
            _with_write(folder, {parent: directory, to_parent: to_directory}, back)
            sc.sync_file(directory)
            sc.sync_file(to_directory)


def _with_write(folder: int, directories: Mapping[bytes, int], act: Callable[[], None]) -> None:
    """Do it; where a directory of ours is read-only, it is made writable for that moment."""
    try:
        act()
        return
    except PermissionError:
        loosened = {
            path: stat.S_IMODE(found.st_mode)
            for path, directory in directories.items()
            if (found := sc.fstat(directory)).st_uid == os.geteuid() and found.st_mode & 0o300 != 0o300
        }
        if not loosened:
            raise
    note = manifest.open_for_append(folder)
    try:
        manifest.write(note, [manifest.ModeRecord(path, mode) for path, mode in loosened.items()])
        for path, mode in loosened.items():
            sc.fchmod(directories[path], mode | 0o300)
        act()
    finally:
        sc.close(note)
        for path, mode in loosened.items():
            sc.fchmod(directories[path], mode)


def _inode_at(root: int, path: bytes) -> int | None:
    parent, name = split(path)
    try:
        with _opened(root, parent) as directory:
            return sc.stat(name, dir_fd=directory, follow_symlinks=False).st_ino
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _opened(root: int, path: bytes) -> Iterator[int]:
    """A directory, for as long as it is needed. Raises OSError."""
    directory = open_directory(root, path)
    try:
        yield directory
    finally:
        sc.close(directory)


def _take(folder: int, slot: bytes, directory: int, name: bytes, has_exchange: bool) -> None:
    try:
        rename_free(folder, slot, directory, name, has_exchange)
    except FileExistsError:
        # Killed between link and unlink, where that is how names are taken: both are one file.
        here = sc.stat(name, dir_fd=directory, follow_symlinks=False)
        kept = sc.stat(slot, dir_fd=folder, follow_symlinks=False)
        if (here.st_dev, here.st_ino) != (kept.st_dev, kept.st_ino):
            raise
        sc.unlink(slot, dir_fd=folder)


def _restore_mode(root: int, record: manifest.ModeRecord) -> None:
    """Take back the write permission that a step had lent to a directory."""
    with contextlib.suppress(OSError), _opened(root, record.path) as directory:
        if stat.S_IMODE(sc.fstat(directory).st_mode) == record.mode | 0o300:
            sc.fchmod(directory, record.mode)
