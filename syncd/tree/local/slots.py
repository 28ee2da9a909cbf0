"""The trash folder of one batch while it is worked on: slots, manifest, and the in-flight mark.

Nothing is made until something will be displaced. From `prepare` on, `.syncd/in-flight/<batch>` says that
slots may still hold our own staged files; `finish` takes it away and drops a folder that holds nothing.
"""

import contextlib
import os
import re
from collections.abc import Callable, Sequence

from syncd.core.action import TrashRef
from syncd.core.entry import Side
from syncd.tree.local import manifest
from syncd.tree.local import syscalls as sc
from syncd.tree.local.root import Control

_BATCH_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,120}")
_SLOT = re.compile(r"[a-z](\d+)")


class Slots:
    """Slots of one batch. Single-threaded; `close` always."""

    def __init__(self, control: Control, side: Side, batch_id: str, now: Callable[[], int]) -> None:
        if not _BATCH_ID.fullmatch(batch_id):
            raise ValueError(f"not a batch id: {batch_id!r}")
        self._control = control
        self._side = side
        self._batch_id = batch_id
        self._name = batch_id.encode()
        self._now = now
        self._fd = -1
        self._manifest = -1
        self._next = 0

    @property
    def batch_id(self) -> str:
        return self._batch_id

    @property
    def fd(self) -> int:
        return self._fd

    @property
    def is_open(self) -> bool:
        return self._fd >= 0

    def ref(self, slot: str) -> TrashRef:
        return TrashRef(self._side, self._batch_id, slot)

    def new_slot(self, letter: str) -> str:
        """The next slot name of this folder."""
        self.open()
        self._next += 1
        return f"{letter}{self._next}"

    def prepare(self, records: Sequence[manifest.Record], *, is_synced: bool) -> None:
        """Write down what the slots are for. With `is_synced` one by one to the device; else the caller's
        syncfs does it. Nothing may be displaced before."""
        manifest.write(self._manifest, records)
        if not is_synced:
            return
        for descriptor in (self._manifest, self._fd, self._control.trash, self._control.in_flight):
            sc.sync_file(descriptor)

    def note(self, record: manifest.Record) -> None:
        """Add a record that needs no sync of its own."""
        self.open()
        manifest.write(self._manifest, [record])

    def finish(self) -> None:
        """The batch is done and durable: no slot is ours any more."""
        if self._fd >= 0:
            _finish(self._control, self._name, self._fd)

    def close(self) -> None:
        for descriptor in (self._manifest, self._fd):
            if descriptor >= 0:
                sc.close(descriptor)
        self._manifest = self._fd = -1

    def open(self) -> None:
        """Make or open the folder, marked as in flight."""
        if self._fd >= 0:
            return
        mark = sc.open(self._name, sc.NEW_FILE & ~os.O_EXCL, 0o600, dir_fd=self._control.in_flight)
        sc.close(mark)
        try:
            sc.mkdir(self._name, 0o700, dir_fd=self._control.trash)
            is_new = True
        except FileExistsError:
            is_new = False
        self._fd = sc.open(self._name, sc.READ_DIRECTORY, dir_fd=self._control.trash)
        self._manifest = manifest.open_for_append(self._fd)
        if is_new:
            manifest.write(self._manifest, [manifest.BatchRecord(self._batch_id, self._now())])
        else:
            self._next = max((_number(name) for name in sc.listdir(self._fd)), default=0)


def finish(control: Control, batch_id: str) -> None:
    """As `Slots.finish`, for a batch that could not be made durable at its own end."""
    with contextlib.suppress(FileNotFoundError):
        folder = sc.open(batch_id.encode(), sc.READ_DIRECTORY, dir_fd=control.trash)
        try:
            _finish(control, batch_id.encode(), folder)
        finally:
            sc.close(folder)


def _finish(control: Control, name: bytes, folder: int) -> None:
    """The mark goes last: an empty folder without one would stay for ever."""
    if all(one == os.fsdecode(manifest.NAME) for one in sc.listdir(folder)):
        sc.unlink(manifest.NAME, dir_fd=folder)
        sc.rmdir(name, dir_fd=control.trash)
    with contextlib.suppress(FileNotFoundError):
        sc.unlink(name, dir_fd=control.in_flight)


def _number(name: str) -> int:
    found = _SLOT.fullmatch(name)
    return int(found[1]) if found else 0
