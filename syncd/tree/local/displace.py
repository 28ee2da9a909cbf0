"""Displacing: how a file leaves its name for the trash, so that it is never without one and is looked at.

A berth is where it goes first: the batch's slot. On another file system than the trash's (`cross_mounts`) a
rename cannot reach the slot, so the berth is a hidden name beside the target, and its content is copied to
the slot afterwards.
"""

import errno
import os
from collections.abc import Callable

import msgspec

from syncd.core.entry import Kind
from syncd.core.listing import kind_of
from syncd.tree.local import syscalls as sc
from syncd.tree.local.errors import Mismatch
from syncd.tree.local.expect import Proof, confirm
from syncd.tree.local.names import rename_free
from syncd.tree.local.slots import Slots
from syncd.tree.local.stage import Staged

_BLOCK = 1 << 20


class Berth(msgspec.Struct, frozen=True):
    """A place for what leaves a name. `slot` is where it is kept in the end."""

    directory: int
    name: bytes
    slot: str
    is_abroad: bool = False


class Displacer:
    """Takes files away from their names for one batch. Errors: OSError, Mismatch."""

    def __init__(self, slots: Slots, *, has_exchange: bool, may_cross: bool, device: int) -> None:
        self._slots = slots
        self._has_exchange = has_exchange
        self._may_cross = may_cross
        self._device = device

    def berth(self, directory: int, slot: str) -> Berth:
        if self._may_cross and sc.fstat(directory).st_dev != self._device:
            return Berth(directory, beside(self._slots.batch_id, slot), slot, is_abroad=True)
        return Berth(self._slots.fd, slot.encode(), slot)

    def exchange(
        self,
        directory: int,
        name: bytes,
        staged: Staged,
        proof: Proof,
        slot: str,
        with_write: Callable[[Callable[[], None]], None],
    ) -> None:
        """Swap the staged file with the target in one step, then look at what was displaced."""
        berth = self.berth(directory, slot)
        at, held = berth.directory, berth.name
        staged.publish(at, held, has_flags=True)
        try:
            with_write(lambda: sc.rename_exchange(at, held, directory, name))
        except OSError:
            sc.unlink(held, dir_fd=at)
            raise
        if _confirm(berth, proof):
            self._keep(berth)
            return
        # RACE: another file was at the name. It goes back at once; worst case, a third one is there by
        # now, which then stays in the slot as a conflict.
        try:
            sc.rename_exchange(at, held, directory, name)
        except FileNotFoundError:
            self.put_back(berth, directory, name)
            raise Mismatch from None
        except OSError as error:
            raise self._kept(berth) from error
        if not _is_ours(berth, staged):
            raise self._kept(berth)
        sc.unlink(held, dir_fd=at)
        raise Mismatch

    def leave_and_link(self, directory: int, name: bytes, staged: Staged, proof: Proof, slot: str) -> None:
        """Without the flags: the target leaves for the slot (the manifest is the in-flight record)."""
        berth = self.leave(directory, name, proof, slot)
        try:
            staged.publish(directory, name, has_flags=False)
        except FileExistsError:
            raise self._kept(berth, is_expected=True) from None
        except OSError:
            self.put_back(berth, directory, name)
            raise
        self._keep(berth)

    def displace(self, directory: int, name: bytes, proof: Proof, slot: str) -> None:
        """Into the slot, looked at there, and back if it was something else."""
        self._keep(self.leave(directory, name, proof, slot))

    def leave(self, directory: int, name: bytes, proof: Proof, slot: str) -> Berth:
        """Into the berth only, for a while."""
        berth = self.berth(directory, slot)
        # The berth's name is ours and free: a plain rename replaces nothing.
        sc.rename(name, berth.name, src_dir_fd=directory, dst_dir_fd=berth.directory)
        if not _confirm(berth, proof):
            self.put_back(berth, directory, name)
            raise Mismatch
        return berth

    def put_back(self, berth: Berth, directory: int, name: bytes) -> None:
        """To a name that is free, else it is kept."""
        try:
            rename_free(berth.directory, berth.name, directory, name, self._has_exchange)
        except OSError as error:
            raise self._kept(berth) from error

    def _kept(self, berth: Berth, *, is_expected: bool = False) -> Mismatch:
        self._keep(berth)
        return Mismatch() if is_expected else Mismatch(kept=berth.slot)

    def _keep(self, berth: Berth) -> None:
        if berth.is_abroad:
            evacuate(berth.directory, berth.name, self._slots.fd, berth.slot.encode())


def beside(batch_id: str, slot: str) -> bytes:
    """The hidden name beside a target that is abroad."""
    return f".syncd-{batch_id}-{slot}".encode()


def evacuate(directory: int, name: bytes, folder: int, slot: bytes) -> None:
    """Copy a displaced file from abroad into its slot, durably, and then only remove it there."""
    found = sc.stat(name, dir_fd=directory, follow_symlinks=False)
    kind = kind_of(found.st_mode)
    if kind is Kind.SYMLINK:
        sc.symlink(sc.readlink(name, dir_fd=directory), slot, dir_fd=folder)
    elif kind is Kind.FILE:
        _copy(directory, name, folder, slot, found)
    else:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    sc.sync_file(folder)
    sc.unlink(name, dir_fd=directory)


def _copy(directory: int, name: bytes, folder: int, slot: bytes, found: os.stat_result) -> None:
    source = sc.open(name, sc.READ_FILE, dir_fd=directory)
    try:
        target = sc.open(slot, sc.NEW_FILE, 0o600, dir_fd=folder)
        try:
            while block := sc.read(source, _BLOCK):
                data = memoryview(block)
                while data:
                    data = data[sc.write(target, data) :]
            sc.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
            sc.sync_file(target)
        except BaseException:
            sc.unlink(slot, dir_fd=folder)
            raise
        finally:
            sc.close(target)
    finally:
        sc.close(source)


def _confirm(berth: Berth, proof: Proof) -> bool:
    try:
        return confirm(berth.directory, berth.name, proof)
    except OSError:
        return False


def _is_ours(berth: Berth, staged: Staged) -> bool:
    now, ours = sc.stat(berth.name, dir_fd=berth.directory, follow_symlinks=False), staged.found
    return (now.st_ino, now.st_size, now.st_mtime_ns) == (ours.st_ino, ours.st_size, ours.st_mtime_ns)
