"""Putting in place: one method a kind of action, each safe against whoever else writes in the tree.

A new name is taken only when it is free. A replacement is an exchange with the trash slot, so that the
displaced file is never without a name, and is looked at there; was it not the planned one, the exchange is
undone at once. Where the rename flags are missing, a target leaves first and the new one is linked.
"""

import errno
import os
import stat
from collections.abc import Callable
from typing import TypeVar

import msgspec

from syncd.core.action import Delete, Done, MakeDirectory, Move, Put, RemoveDirectory, SetMode
from syncd.core.entry import Entry, Kind, StatHint
from syncd.core.listing import clamp_ns, kind_of
from syncd.tree.local import metadata
from syncd.tree.local import syscalls as sc
from syncd.tree.local.beneath import Directories, split
from syncd.tree.local.displace import Berth, Displacer
from syncd.tree.local.errors import Mismatch
from syncd.tree.local.expect import Proof, confirm, prove
from syncd.tree.local.manifest import ModeRecord, slot_record
from syncd.tree.local.names import rename_free
from syncd.tree.local.reader import hint_of
from syncd.tree.local.slots import Slots
from syncd.tree.local.stage import Staged

T = TypeVar("T")


class Parked(msgspec.Struct, frozen=True):
    """What has left its name and has not arrived yet."""

    proof: Proof
    berth: Berth


class Placer:
    """Changes names beneath one root for one batch. `changed` collects the directories to sync."""

    def __init__(
        self,
        directories: Directories,
        slots: Slots,
        owner: metadata.Owner,
        *,
        mask: int,
        slack_ns: int,
        has_exchange: bool,
        may_cross: bool,
        device: int,
    ) -> None:
        self._displacer = Displacer(slots, has_exchange=has_exchange, may_cross=may_cross, device=device)
        self._directories = directories
        self._slots = slots
        self._owner = owner
        self._mask = mask
        self._slack_ns = slack_ns
        self._has_exchange = has_exchange
        self.changed: set[bytes] = set()

    def new(self, action: Put, staged: Staged) -> Done:
        parent, name = split(action.path)
        directory = self._directories.get(parent)
        try:
            now = staged.publish(directory, name, self._has_exchange)
        except PermissionError:
            now = self._with_write([parent], lambda: staged.publish(directory, name, self._has_exchange))
        self.changed.add(parent)
        return Done(action, staged.entry(action.entry), self._arrived(directory, name, staged.found, now))

    def replace(self, action: Put, staged: Staged, expect: Entry, hint: StatHint | None, slot: str) -> Done:
        parent, name = split(action.path)
        directory = self._directories.get(parent)
        proof = self._prove(directory, name, expect, hint)
        if proof.found.st_mode & 0o170000 == 0o040000:
            raise Mismatch
        self.changed.add(parent)
        displacer = self._displacer
        if self._has_exchange:
            displacer.exchange(
                directory, name, staged, proof, slot, lambda swap: self._with_write([parent], swap)
            )
        else:
            self._with_write([parent], lambda: displacer.leave_and_link(directory, name, staged, proof, slot))
        hint = self._arrived(directory, name, staged.found)
        return Done(action, staged.entry(action.entry), hint, self._slots.ref(slot))

    def delete(self, action: Delete, hint: StatHint | None, slot: str) -> Done:
        parent, name = split(action.path)
        directory = self._directories.get(parent)
        proof = self._prove(directory, name, action.expect, hint)
        if kind_of(proof.found.st_mode) is Kind.DIRECTORY:
            raise Mismatch
        self.changed.add(parent)
        self._with_write([parent], lambda: self._displacer.displace(directory, name, proof, slot))
        return Done(action, None, None, self._slots.ref(slot))

    def move(self, action: Move, hint: StatHint | None) -> Done:
        (parent, name), (to_parent, to) = split(action.path), split(action.to)
        directory, to_directory = self._directories.get(parent), self._directories.get(to_parent)
        proof = self._prove(directory, name, action.expect, hint)
        self.changed.update((parent, to_parent))
        self._with_write(
            [parent, to_parent, action.path],
            lambda: self._rename(action, directory, name, to_directory, to, proof),
        )
        if not confirm(to_directory, to, proof):
            rename_free(to_directory, to, directory, name, self._has_exchange)
            raise Mismatch
        return Done(action, action.expect, self._arrived(to_directory, to, proof.found))

    def leave(self, action: Move, hint: StatHint | None, slot: str) -> "Parked":
        """The first half of a parked move."""
        parent, name = split(action.path)
        directory = self._directories.get(parent)
        proof = self._prove(directory, name, action.expect, hint)
        self.changed.add(parent)
        return Parked(
            proof,
            self._with_write(
                [parent, action.path], lambda: self._displacer.leave(directory, name, proof, slot)
            ),
        )

    def arrive(self, action: Move, parked: "Parked") -> Done:
        """The second half: to its new name, else back to the old one, else it stays in its slot."""
        berth, flags = self._berth_of(parked.berth, action.path), self._has_exchange
        try:
            parent, name = split(action.to)
            directory = self._directories.get(parent)
            self._with_write(
                [parent], lambda: rename_free(berth.directory, berth.name, directory, name, flags)
            )
        except OSError:
            parent, name = split(action.path)
            self._displacer.put_back(berth, self._directories.get(parent), name)
            raise
        self.changed.add(parent)
        return Done(action, action.expect, self._arrived(directory, name, parked.proof.found))

    def make_directory(self, action: MakeDirectory) -> Done:
        parent, name = split(action.path)
        directory = self._directories.get(parent)
        wanted = (action.entry.mode & 0o777) | 0o700
        self._with_write([parent], lambda: sc.mkdir(name, wanted, dir_fd=directory))
        self.changed.add(parent)
        made = sc.open(name, sc.READ_DIRECTORY, dir_fd=directory)
        try:
            if self._owner.is_active:
                metadata.give(made, sc.fstat(made), self._owner.wanted(sc.fstat(directory), None))
            # An inherited setgid bit of the parent is the directory's own business.
            inherited = sc.fstat(made).st_mode & 0o7777
            metadata.set_mode(made, inherited, wanted | inherited & 0o7000)
            found = sc.fstat(made)
        finally:
            sc.close(made)
        return Done(action, Entry(Kind.DIRECTORY, found.st_mode & 0o777), hint_of(found))

    def remove_directory(self, action: RemoveDirectory, hint: StatHint | None) -> Done:
        parent, name = split(action.path)
        directory = self._directories.get(parent)
        found = sc.stat(name, dir_fd=directory, follow_symlinks=False)
        if kind_of(found.st_mode) is not Kind.DIRECTORY or (hint and hint.inode != found.st_ino):
            raise Mismatch
        self._with_write([parent], lambda: sc.rmdir(name, dir_fd=directory))
        self.changed.add(parent)
        return Done(action, None, None)

    def set_mode(self, action: SetMode, hint: StatHint | None) -> Done:
        parent, name = split(action.path)
        directory = self._directories.get(parent)
        found = self._prove(directory, name, action.expect, hint).found
        wanted = action.mode & 0o777 | found.st_mode & 0o7000 * (action.expect.kind is Kind.DIRECTORY)
        descriptor = _open_for_mode(directory, name)
        try:
            if sc.fstat(descriptor).st_ino != found.st_ino:
                raise Mismatch
            _change_mode(descriptor, wanted)
            now = sc.fstat(descriptor)
        finally:
            sc.close(descriptor)
        self.changed.add(parent)
        old = action.expect
        entry = Entry(old.kind, now.st_mode & 0o777, old.size, old.mtime_ns, old.digest, old.target)
        is_same = (now.st_size, now.st_mtime_ns) == (found.st_size, found.st_mtime_ns)
        return Done(action, entry, hint_of(now) if is_same else _smudged(found))

    def _prove(self, directory: int, name: bytes, expect: Entry, hint: StatHint | None) -> Proof:
        return prove(directory, name, expect, hint, mask=self._mask, slack_ns=self._slack_ns)

    def _arrived(
        self, directory: int, name: bytes, expected: os.stat_result, now: os.stat_result | None = None
    ) -> StatHint:
        """The hint of what was put in place. Someone else's newer file there must not pass for it, nor a
        change in the running tick: then the hint equals no stat, and the next observation looks. `now`: what
        was put in place, looked at after it got its name."""
        try:
            now = now or sc.stat(name, dir_fd=directory, follow_symlinks=False)
        except OSError:
            return _smudged(expected)
        is_it = now.st_ino == expected.st_ino and now.st_nlink > 0
        if is_it and _is_directory(now):
            return hint_of(now)
        stamp = now.st_mtime_ns
        is_it = is_it and now.st_size == expected.st_size and stamp == expected.st_mtime_ns
        if is_it and stamp < sc.coarse_now_ns() - self._slack_ns:
            return hint_of(now)
        return _smudged(expected)

    def _rename(
        self, action: Move, directory: int, name: bytes, to_directory: int, to: bytes, proof: Proof
    ) -> None:
        try:
            rename_free(directory, name, to_directory, to, self._has_exchange)
        except FileExistsError:
            # Another spelling of the same name, where the file system folds them.
            taken = sc.stat(to, dir_fd=to_directory, follow_symlinks=False)
            if taken.st_ino != proof.found.st_ino or (taken.st_nlink > 1 and not _is_directory(taken)):
                raise
            slot = self._slots.new_slot("p")
            self._slots.note(slot_record(slot, "park", action.path, action.expect, None, to=action.to))
            berth = self._displacer.leave(directory, name, proof, slot)
            rename_free(berth.directory, berth.name, to_directory, to, self._has_exchange)

    def _berth_of(self, berth: Berth, path: bytes) -> Berth:
        """A berth abroad by a descriptor that is open now."""
        if not berth.is_abroad:
            return berth
        return msgspec.structs.replace(berth, directory=self._directories.get(split(path)[0]))

    def _with_write(self, paths: list[bytes], act: Callable[[], T]) -> T:
        """Do it; when a directory of ours is read-only, make it writable for that moment."""
        try:
            return act()
        except PermissionError as error:
            loosened = self._loosen(paths) if error.errno == errno.EACCES else []
            if not loosened:
                raise
        try:
            return act()
        finally:
            for descriptor, mode in reversed(loosened):
                sc.fchmod(descriptor, mode)
                sc.close(descriptor)

    def _loosen(self, paths: list[bytes]) -> list[tuple[int, int]]:
        loosened: list[tuple[int, int]] = []
        for path in paths:
            parent = self._directories.get(path.rpartition(b"/")[0])
            name = path.rpartition(b"/")[2] or b"."
            try:
                descriptor = sc.open(name, sc.READ_DIRECTORY, dir_fd=parent)
            except NotADirectoryError:
                continue
            found = sc.fstat(descriptor)
            mode = found.st_mode & 0o7777
            if found.st_uid == os.geteuid() and mode & 0o300 != 0o300:
                self._slots.note(ModeRecord(path, mode))
                sc.fchmod(descriptor, mode | 0o300)
                loosened.append((descriptor, mode))
            else:
                sc.close(descriptor)
        return loosened


def _is_directory(found: os.stat_result) -> bool:
    return stat.S_ISDIR(found.st_mode)


def _smudged(found: os.stat_result) -> StatHint:
    return StatHint(found.st_ino, found.st_size, clamp_ns(found.st_mtime_ns), 0)


def _open_for_mode(directory: int, name: bytes) -> int:
    try:
        return sc.open(name, sc.READ_FILE, dir_fd=directory)
    except PermissionError:
        if not sc.O_PATH:
            raise
        return sc.open(name, sc.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)


def _change_mode(descriptor: int, mode: int) -> None:
    try:
        sc.fchmod(descriptor, mode)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
        os.chmod(f"/proc/self/fd/{descriptor}", mode)
