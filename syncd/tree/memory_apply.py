"""How MemoryTree changes its disk: stage, sync, check, exchange, look, sync.

The order is the law of the architecture, with an await point between any two steps. A trash slot is a name
in `control/BATCH/`; beside it a note `SLOT.json` says whose bytes it holds. Notes are durable before the
first name changes, so that a cut leaves nothing that cannot be told.
"""

import errno
import os
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from blake3 import blake3

from syncd.core.action import (
    Delete,
    Done,
    Failed,
    MakeDirectory,
    Move,
    Put,
    RemoveDirectory,
    Result,
    SetMode,
    TrashRef,
)
from syncd.core.entry import Entry, Kind, StatHint
from syncd.core.error import StaleError
from syncd.core.reason import Reason
from syncd.tree.memory_disk import Node
from syncd.tree.memory_expect import Expectations, OtherError, smudged, stale, stale_content
from syncd.tree.memory_machine import ABSENT, Machine, MemoryContent, reason_of
from syncd.tree.memory_trash import Note
from syncd.tree.port import Batch, Step

FATAL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
CHUNK_BYTES = 1 << 16


Work = Callable[[int], Awaitable[Result | None]]
"""A piece of the work on the step of this index; None means: go on."""


class Staged(msgspec.Struct, frozen=True):
    """A file that waits in its slot: `entry` says what was written (digest known), `hint` its stat."""

    entry: Entry
    node: Node


class Applier:
    """One batch on one tree."""

    def __init__(self, machine: Machine, batch: Batch) -> None:
        self._machine = machine
        self._disk = machine.disk
        self._expect = Expectations(machine.disk, machine.capabilities.mode_mask)
        self._batch = batch
        self._folder = self._open_folder(batch.batch_id.encode())
        self._staged: dict[int, Staged] = {}
        self._parked: set[int] = set()
        self._first_slot = len(self._folder.children)

    async def run(self) -> Sequence[Result]:
        results: dict[int, Result] = {}
        name = self._batch.batch_id.encode()
        self._disk.in_flight.add(name)
        begun = await self._stage_all(results)
        await self._sync(results, range(begun))
        for index in results:
            self._drop_stage(index)
        ready = [index for index in range(begun) if index not in results]
        parked = [index for index in ready if self._is_parked(index)]
        for index in parked:
            if (result := await self._attempt(index, self._leave)) is not None:
                results[index] = result
        for index in ready:
            if index not in parked:
                results[index] = await self._place(index)
        for index in parked:
            if index not in results:
                results[index] = await self._arrive(index)
        self._drop_idle_notes()
        done = [index for index in ready if isinstance(results[index], Done)]
        await self._sync(results, done)
        self._disk.in_flight.discard(name)
        return [results[index] for index in sorted(results)]

    async def _sync(self, results: dict[int, Result], indexes: Sequence[int]) -> None:
        """Make all of it durable; where that fails, nothing of it counts as done."""
        await self._machine.step()
        try:
            self._machine.check("sync", b"")
        except OSError as error:
            reason = reason_of(error, Reason.IO_ERROR)
            for index in indexes:
                action = self._batch.steps[index].action
                text, before = error.strerror or "", results.get(index)
                was_done = isinstance(before, Done)
                trash = before.trash if isinstance(before, Done) else None
                results[index] = Failed(action, reason, text, True, is_in_doubt=was_done, trash=trash)
        else:
            self._disk.sync()

    # Staging.

    async def _stage_all(self, results: dict[int, Result]) -> int:
        """Stage until `stop`; a fatal failure ends the batch there. Returns how many steps were begun."""
        for index, step in enumerate(self._batch.steps):
            if self._batch.stop():
                return index
            await self._machine.step()
            failed = await self._attempt(index, self._stage)
            if failed is not None:
                results[index] = failed
                if isinstance(failed, Failed) and failed.is_fatal:
                    return index + 1
            elif not isinstance(step.action, Put | MakeDirectory | SetMode):
                self._write_note(index, step.action.expect)
        return len(self._batch.steps)

    async def _stage(self, index: int) -> Result | None:
        step = self._batch.steps[index]
        action = step.action
        if not isinstance(action, Put):
            return None
        self._machine.check("stage", action.path)
        try:
            node = await self._write_stage(action, step)
        except StaleError:
            return stale_content(action)
        except OSError as error:
            if error.errno in ABSENT:
                return stale_content(action)
            raise
        entry = msgspec.structs.replace(action.entry, mode=node.mode, mtime_ns=node.mtime_ns)
        if node.kind is Kind.FILE:
            entry = msgspec.structs.replace(entry, digest=node.digest())
        self._disk.link_new(self._folder, self._slot(index), node)
        self._write_note(index, action.expect, (node.number, node.size, node.mtime_ns))
        self._staged[index] = Staged(entry, node)
        self._batch.progress(node.size)
        return None

    async def _write_stage(self, action: Put, step: Step) -> Node:
        """A new inode with the content, verified against the plan; it has no name yet."""
        content = step.content
        if content is None:
            raise StaleError(Reason.CHANGING, "no content")
        mode = action.entry.mode & self._machine.capabilities.mode_mask
        if action.entry.kind is Kind.SYMLINK:
            target = content.read_target_blocking()
            if target != action.entry.target:
                raise StaleError(Reason.CHANGING, "another link target")
            node = self._disk.new_node(Kind.SYMLINK, 0o777)
            node.target = target
            return node
        data = await self._read(step)
        if len(data) != action.entry.size:
            raise StaleError(Reason.CHANGING, "another size")
        if action.entry.digest not in (None, blake3(data).digest()):
            raise StaleError(Reason.CHANGING, "another digest")
        node = self._disk.new_node(Kind.FILE, mode)
        self._disk.set_data(node, data)
        self._disk.set_mtime(node, action.entry.mtime_ns)
        return node

    async def _read(self, step: Step) -> bytes:
        content = step.content
        if isinstance(content, MemoryContent):
            node = content.open_node()
            half = node.size // 2
            data = node.data[:half]
            await self._machine.step()
            data += node.data[half:]
            await self._machine.step()
            content.check_node()
            return data
        if content is None:
            return b""
        fd = content.open_blocking()
        try:
            chunks = []
            while chunk := os.read(fd, CHUNK_BYTES):
                chunks.append(chunk)
            content.check_blocking(fd)
        finally:
            os.close(fd)
        return b"".join(chunks)

    # Putting in place.

    async def _place(self, index: int) -> Result:
        result = await self._attempt(index, self._perform)
        if result is None:
            return Failed(self._batch.steps[index].action, Reason.BUG, "no result")
        if not isinstance(result, Done):
            self._drop_stage(index)
        return result

    async def _attempt(self, index: int, work: Work) -> Result | None:
        """Run one piece of work; map what the operating system or the precondition says."""
        action = self._batch.steps[index].action
        try:
            return await work(index)
        except OtherError:
            return stale(action)
        except OSError as error:
            if error.errno in (*ABSENT, errno.EEXIST, errno.ENOTEMPTY) and self._disk.is_mounted:
                return stale(action)
            reason = reason_of(error, Reason.NOT_PERMITTED)
            return Failed(action, reason, error.strerror or "", is_fatal=error.errno in FATAL)

    async def _perform(self, index: int) -> Result:
        step = self._batch.steps[index]
        action = step.action
        if isinstance(action, Put):
            return await self._put(index, action, step.hint)
        if isinstance(action, Delete):
            return await self._delete(index, action, step.hint)
        if isinstance(action, Move):
            return await self._move(action, step.hint)
        if isinstance(action, MakeDirectory):
            return await self._make_directory(action)
        if isinstance(action, RemoveDirectory):
            return await self._remove_directory(action)
        return await self._set_mode(action, step.hint)

    async def _put(self, index: int, action: Put, hint: StatHint | None) -> Result:
        self._machine.check("put", action.path)
        staged = self._staged[index]
        directory, name = self._disk.parent_of(action.path)
        slot = self._slot(index)
        await self._machine.step()
        if action.expect is None:
            self._disk.rename(self._folder, slot, directory, name)
            await self._machine.step()
            return Done(action, staged.entry, self._hint_of(staged))
        before = self._file_checked(directory.children.get(name), action.expect, hint)
        await self._machine.step()
        self._disk.exchange(directory, name, self._folder, slot)
        await self._machine.step()
        displaced = self._folder.children[slot]
        if self._expect.is_same(displaced, action.expect, before):
            return Done(action, staged.entry, self._hint_of(staged), self._ref(slot))
        return await self._put_back(action, staged, directory, name, slot)

    def _file_checked(self, node: Node | None, expect: Entry, hint: StatHint | None) -> StatHint:
        """As `checked`; directories are never exchanged nor trashed whole."""
        if expect.kind is Kind.DIRECTORY:
            raise OtherError
        return self._expect.checked(node, expect, hint)

    async def _put_back(
        self, action: Put, staged: Staged, directory: Node, name: bytes, slot: bytes
    ) -> Result:
        """The exchange displaced an edit: swap again. Whatever comes into the slot then is looked at, too."""
        try:
            self._disk.exchange(directory, name, self._folder, slot)
        except FileNotFoundError:
            self._disk.rename(self._folder, slot, directory, name)
            return stale(action)
        await self._machine.step()
        came = self._folder.children[slot]
        is_ours = came is staged.node and self._is_unchanged(staged)
        return stale(action) if is_ours else stale(action, self._ref(slot))

    async def _delete(self, index: int, action: Delete, hint: StatHint | None) -> Result:
        self._machine.check("delete", action.path)
        directory, name = self._disk.parent_of(action.path)
        slot = self._slot(index)
        before = self._file_checked(directory.children.get(name), action.expect, hint)
        await self._machine.step()
        self._disk.rename(directory, name, self._folder, slot)
        await self._machine.step()
        if self._expect.is_same(self._folder.children[slot], action.expect, before):
            return Done(action, None, None, self._ref(slot))
        try:
            self._disk.rename(self._folder, slot, directory, name)
        except OSError:
            return stale(action, self._ref(slot))
        return stale(action)

    async def _move(self, action: Move, hint: StatHint | None) -> Result:
        self._machine.check("move", action.path)
        source, name = self._disk.parent_of(action.path)
        target, to = self._disk.parent_of(action.to)
        before = self._expect.checked(source.children.get(name), action.expect, hint)
        await self._machine.step()
        self._disk.rename(source, name, target, to)
        await self._machine.step()
        moved = target.children.get(to)
        if moved is not None and self._expect.is_same(moved, action.expect, before):
            return Done(action, self._entry_of(moved, action.expect), self._expect.fresh_hint(moved))
        if moved is not None:
            self._disk.rename(target, to, source, name)
        return stale(action)

    async def _leave(self, index: int) -> Result | None:
        """The first half of a parked move: into the slot."""
        step = self._batch.steps[index]
        action = step.action
        if not isinstance(action, Move):
            return None
        self._machine.check("move", action.path)
        directory, name = self._disk.parent_of(action.path)
        self._expect.checked(directory.children.get(name), action.expect, step.hint)
        await self._machine.step()
        self._disk.rename(directory, name, self._folder, self._slot(index))
        self._parked.add(index)
        return None

    async def _arrive(self, index: int) -> Result:
        """The second half; a taken name sends it home, a taken home leaves it in the trash."""
        step = self._batch.steps[index]
        action = step.action
        slot = self._slot(index)
        node = self._folder.children[slot]
        if not isinstance(action, Move):
            return stale(action)
        await self._machine.step()
        is_same = self._expect.is_same(node, action.expect, step.hint or node.hint)
        for path in (action.to, action.path) if is_same else (action.path,):
            try:
                directory, name = self._disk.parent_of(path)
                self._disk.rename(self._folder, slot, directory, name)
            except OSError:
                continue
            if path == action.to:
                return Done(action, self._entry_of(node, action.expect), self._expect.fresh_hint(node))
            return stale(action)
        return stale(action, self._ref(slot))

    async def _make_directory(self, action: MakeDirectory) -> Result:
        self._machine.check("mkdir", action.path)
        directory, name = self._disk.parent_of(action.path)
        await self._machine.step()
        mode = action.entry.mode & self._machine.capabilities.mode_mask
        node = self._disk.new_node(Kind.DIRECTORY, mode)
        try:
            self._disk.link_new(directory, name, node)
        except OSError:
            self._disk.release(node)
            raise
        return Done(action, node.entry(), node.hint)

    async def _remove_directory(self, action: RemoveDirectory) -> Result:
        self._machine.check("rmdir", action.path)
        directory, name = self._disk.parent_of(action.path)
        node = directory.children.get(name)
        if node is None or node.kind is not Kind.DIRECTORY:
            raise OtherError
        await self._machine.step()
        if directory.children.get(name) is not node:
            raise OtherError
        self._disk.unlink(directory, name)
        return Done(action, None, None)

    async def _set_mode(self, action: SetMode, hint: StatHint | None) -> Result:
        self._machine.check("chmod", action.path)
        node = self._disk.find(action.path)
        before = self._expect.checked(node, action.expect, hint)
        await self._machine.step()
        if self._disk.at(action.path) is not node:
            raise OtherError
        self._disk.set_mode(node, action.mode & self._machine.capabilities.mode_mask)
        entry = msgspec.structs.replace(action.expect, mode=node.mode)
        is_same = (node.size, node.mtime_ns) == (before.size, before.mtime_ns)
        return Done(action, entry, self._expect.fresh_hint(node) if is_same else smudged(before))

    # What is there now.

    def _is_unchanged(self, staged: Staged) -> bool:
        """Does the staged inode still hold what was written to it?"""
        node, entry = staged.node, staged.entry
        if (node.size, node.mtime_ns) != (entry.size, entry.mtime_ns):
            return False
        return entry.digest is None or not self._expect.is_racy(node) or node.digest() == entry.digest

    def _hint_of(self, staged: Staged) -> StatHint:
        """The stat of what was put, smudged if somebody wrote to it since."""
        if self._is_unchanged(staged):
            return self._expect.fresh_hint(staged.node)
        entry = staged.entry
        return StatHint(staged.node.number, entry.size, entry.mtime_ns, 0)

    def _entry_of(self, node: Node, expect: Entry) -> Entry:
        if node.kind is not Kind.FILE:
            return node.entry()
        return msgspec.structs.replace(expect, mtime_ns=node.mtime_ns)

    # Slots.

    def _open_folder(self, name: bytes) -> Node:
        folder = self._disk.control.children.get(name)
        if folder is None:
            folder = self._disk.new_node(Kind.DIRECTORY, 0o700)
            self._disk.link_new(self._disk.control, name, folder)
        return folder

    def _slot(self, index: int) -> bytes:
        return b"%06d" % (self._first_slot + index)

    def _ref(self, slot: bytes) -> TrashRef:
        return TrashRef(self._machine.side, self._batch.batch_id, slot.decode())

    def _is_parked(self, index: int) -> bool:
        action = self._batch.steps[index].action
        return isinstance(action, Move) and action.parked

    def _write_note(self, index: int, entry: Entry | None, ours: tuple[int, int, int] | None = None) -> None:
        step = self._batch.steps[index]
        action = step.action
        to = action.to if isinstance(action, Move) else b""
        inode = step.hint.inode if step.hint else 0
        note = Note(action.path, self._batch.batch_id, entry, self._is_parked(index), to, inode, ours)
        node = self._disk.new_node(Kind.FILE, 0o600)
        node.data = msgspec.json.encode(note)
        self._disk.link_new(self._folder, self._slot(index) + b".json", node)

    def _drop_stage(self, index: int) -> None:
        """Unlink a staged file that never had a name in the tree."""
        staged, slot = self._staged.get(index), self._slot(index)
        if staged is None or self._folder.children.get(slot) is not staged.node:
            return
        if self._is_unchanged(staged) and staged.node.opened == 0:
            self._disk.unlink(self._folder, slot)

    def _drop_idle_notes(self) -> None:
        for name in sorted(self._folder.children):
            if name.endswith(b".json") and name.removesuffix(b".json") not in self._folder.children:
                self._disk.unlink(self._folder, name)
