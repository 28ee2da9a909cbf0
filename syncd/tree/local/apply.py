"""One batch on one local tree: stage, write down, sync, put in place, sync.

Runs in a worker thread (`run`), or step by step on a conveyor. Never raises for one step's fate: every step
that was begun has a result, and a step that failed leaves nothing behind. Nothing is displaced before the
manifest of the trash folder is on the device, and nothing is answered as done before the new names are.
"""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import msgspec

from syncd.core.action import (
    Action,
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
from syncd.core.entry import Entry, Kind, Side
from syncd.core.error import SyncdError
from syncd.core.path import is_reserved
from syncd.core.reason import Reason
from syncd.tree.local import syscalls as sc
from syncd.tree.local.beneath import Directories, split
from syncd.tree.local.copying import SMALL, Stopped
from syncd.tree.local.errors import Mismatch, SourceError, content_failed, doubtful, failed, stale_target
from syncd.tree.local.manifest import MoveRecord, Record, slot_record
from syncd.tree.local.metadata import Owner
from syncd.tree.local.place import Parked, Placer
from syncd.tree.local.root import Root
from syncd.tree.local.slots import Slots
from syncd.tree.local.sources import Sources
from syncd.tree.local.stage import Staged, Stager
from syncd.tree.port import Batch, Capabilities, Content, Step

FEW = 6
"""Up to so many files each is synced by itself; beyond, one syncfs costs less."""


class Site(msgspec.Struct, frozen=True):
    """What a batch needs to know of its tree."""

    root: Root
    side: Side
    owner: Owner
    capabilities: Capabilities
    slack_ns: int
    may_cross: bool


def run(site: Site, batch: Batch) -> list[Result]:
    """Apply one batch. Raises NeedsUser only when the root itself cannot be used."""
    with site.root.use() as root:
        work = Work(site, batch, root)
        try:
            work.stage()
            work.place(synced(root) if work.is_unsynced else None)
            work.settle(synced(root) if work.is_unsynced else None)
            return work.results()
        finally:
            work.end()


def synced(root: int) -> OSError | None:
    """Bring the file system to the device; what went wrong."""
    try:
        sc.syncfs(root)
    except OSError as error:
        return error
    return None


def small_contents(steps: Sequence[Step]) -> Iterator[Content]:
    """What is read at once. Of large files the system reads ahead by itself."""
    for step in steps:
        action = step.action
        if type(action) is Put and step.content is not None:
            entry = action.entry
            if entry.kind is Kind.FILE and entry.size <= SMALL and not is_reserved(action.path):
                yield step.content


class Work:
    """One batch under way: `stage`, `place`, `settle`, with a sync of the file system before each of the
    last two where `is_unsynced` asks for it; `end` in any case."""

    def __init__(self, site: Site, batch: Batch, root: int) -> None:
        self.batch = batch
        self.is_unsynced = False
        """Something must reach the device before this goes on."""
        self._site = site
        self._root = root
        self._results: dict[int, Result] = {}
        self._staged: dict[int, Staged] = {}
        self._slot_of: dict[int, str] = {}
        self._parked: list[tuple[int, Move, Parked]] = []
        self._is_halted = False
        self._ends_with_staged = False
        """A put found the disk full: what was staged before it is put in place, the rest is not tried."""
        puts = sum(isinstance(step.action, Put) for step in batch.steps)
        # What goes to other mounts is not brought to the device by a sync of this one.
        self._has_syncfs = sc.has_syncfs() and not site.may_cross
        self._is_each_synced = puts <= FEW or not self._has_syncfs
        self._directories = Directories(root, may_cross=site.may_cross)
        self._slots = Slots(site.root.control, site.side, batch.batch_id, site.root.now_ns)
        self._sources = Sources(small_contents(batch.steps))
        self._stager = Stager(
            site.root.control.stage,
            self._directories,
            site.owner,
            self._sources,
            stop=batch.stop,
            progress=batch.progress,
            has_reflink=site.capabilities.has_reflink,
            is_synced=self._is_each_synced,
        )
        self._placer = Placer(
            self._directories,
            self._slots,
            site.owner,
            mask=site.capabilities.mode_mask,
            slack_ns=site.slack_ns,
            has_exchange=site.capabilities.has_exchange,
            may_cross=site.may_cross,
            device=site.root.device,
        )

    def results(self) -> list[Result]:
        return [self._results[index] for index in sorted(self._results)]

    def stage(self) -> None:
        """Make all files, and the record of what will be displaced."""
        for index, step in enumerate(self.batch.steps):
            if self._is_halted or self.batch.stop():
                break
            action = step.action
            if type(action) is not Put:
                continue
            if is_reserved(action.path):
                self._results[index] = Failed(action, Reason.RESERVED_NAME, "syncd's own name")
                continue
            try:
                self._staged[index] = self._stager.put(step)
            except Stopped:
                break
            except (SyncdError, SourceError) as error:
                self._record(index, content_failed(action, error))
            except OSError as error:
                self._record(index, failed(action, error))
        self._ends_with_staged, self._is_halted = self._is_halted, False
        self._write_down()

    def place(self, error: OSError | None) -> None:
        """Put in place what is staged and do the other steps, in order. `error`: the sync before failed."""
        if error is not None and self.is_unsynced:
            self._give_up(error)
        steps = self.batch.steps
        leaving = {
            index: step
            for index, step in enumerate(steps)
            if type(step.action) is Move and step.action.parked
        }
        for index, step in leaving.items():
            if not (self._is_over() or self._ends_with_staged):
                self._guarded(index, step, self._leave)
        for index, step in enumerate(steps):
            if self._is_over():
                break
            if self._ends_with_staged and index not in self._staged:
                continue
            if index not in self._results and index not in leaving:
                self._guarded(index, step, self._do)
        for index, action, parked in self._parked:
            arrive = partial(self._arrive, action, parked)
            self._guarded(index, self.batch.steps[index], arrive)
        self.is_unsynced = self._has_syncfs and len(self._placer.changed) > FEW

    def settle(self, error: OSError | None) -> None:
        """The names are on the device, or are brought there. `error`: the sync before failed."""
        try:
            if not self.is_unsynced:
                self._sync_names()
            elif error is not None:
                raise error
            self._slots.finish()
        except OSError as failure:
            self._undone(failure)

    def end(self) -> None:
        """Throw away what was staged and not put in place, and close what is open."""
        self._sources.close()
        for staged in self._staged.values():
            staged.discard()
        self._slots.close()
        self._directories.close()

    def _is_over(self) -> bool:
        return self._is_halted or self.batch.stop()

    def _record(self, index: int, result: Result) -> None:
        self._results[index] = result
        if isinstance(result, Failed) and result.is_fatal:
            self._is_halted = True

    def _write_down(self) -> None:
        try:
            records = self._slot_records()
            if records:
                self._slots.prepare(records, is_synced=self._is_each_synced)
        except OSError as error:
            self._give_up(error)
        else:
            self.is_unsynced = not self._is_each_synced and bool(self._staged or records)

    def _give_up(self, error: OSError) -> None:
        """Nothing is displaced without its record: the whole batch stops here."""
        for index, step in enumerate(self.batch.steps):
            self._results.setdefault(index, failed(step.action, error))
        self._is_halted = True

    def _slot_records(self) -> list[Record]:
        """A slot for whatever this batch may displace."""
        records: list[Record] = []
        is_weak = not self._site.capabilities.has_exchange
        has_circle = any(type(step.action) is Move and step.action.parked for step in self.batch.steps)
        for index, step in enumerate(self.batch.steps):
            action = step.action
            if type(action) is Put and action.expect is None:
                continue
            if index in self._results:
                continue
            if isinstance(action, Put) and action.expect is not None and index in self._staged:
                letter, op, expect, ours = "r", "put", action.expect, self._staged[index].ours
            elif isinstance(action, Delete):
                letter, op, expect, ours = "d", "delete", action.expect, None
            elif isinstance(action, Move) and action.parked:
                letter, op, expect, ours = "p", "park", action.expect, None
            else:
                if isinstance(action, Move) and (is_weak or has_circle):
                    self._slots.open()
                    inode = step.hint.inode if step.hint else 0
                    records.append(MoveRecord(action.path, action.to, inode, is_weak))
                continue
            slot = self._slot_of[index] = self._slots.new_slot(letter)
            to = action.to if isinstance(action, Move) else b""
            records.append(
                slot_record(slot, op, action.path, expect, step.hint, ours, is_weak=is_weak, to=to)
            )
        return records

    def _guarded(self, index: int, step: Step, act: Callable[[int, Step], Result | None]) -> None:
        try:
            result = act(index, step)
        except Mismatch as mismatch:
            kept = self._slots.ref(mismatch.kept) if mismatch.kept else None
            result = self._stale(step.action, kept)
        except FileExistsError as error:
            result = self._collision(step.action) or failed(step.action, error)
        except OSError as error:
            result = failed(step.action, error)
        if result is not None:
            self._record(index, result)

    def _stale(self, action: Action, kept: TrashRef | None) -> Result:
        return stale_target(action, kept)

    def _collision(self, action: Action) -> Result | None:
        """A taken name that nothing is listed under: the file system folds another spelling into it."""
        found = self._site.capabilities
        if found.is_case_sensitive and found.is_normalisation_preserving:
            return None
        with contextlib.suppress(OSError):
            parent, name = split(action.to if isinstance(action, Move) else action.path)
            if os.fsdecode(name) not in sc.listdir(self._directories.get(parent)):
                return Failed(action, Reason.NAME_COLLISION, "another spelling of the name is there")
        return None

    def _leave(self, index: int, step: Step) -> None:
        action = step.action
        if isinstance(action, Move):
            parked = self._placer.leave(action, step.hint, self._slot_of[index])
            self._parked.append((index, action, parked))

    def _arrive(self, action: Move, parked: Parked, _: int, __: Step) -> Result:
        return self._placer.arrive(action, parked)

    def _do(self, index: int, step: Step) -> Result | None:
        action, placer = step.action, self._placer
        if isinstance(action, Put):
            return self._put(index, step, action)
        if is_reserved(action.to if isinstance(action, Move) else action.path):
            return Failed(action, Reason.RESERVED_NAME, "syncd's own name")
        match action:
            case Delete():
                return placer.delete(action, step.hint, self._slot_of[index])
            case Move():
                return placer.move(action, step.hint)
            case MakeDirectory():
                return placer.make_directory(action)
            case RemoveDirectory():
                return placer.remove_directory(action, step.hint)
            case SetMode():
                return placer.set_mode(action, step.hint)

    def _put(self, index: int, step: Step, action: Put) -> Result | None:
        staged = self._staged.get(index)
        if staged is None:
            return None
        if action.expect is None:
            return self._placer.new(action, staged)
        if action.expect.kind in (Kind.DIRECTORY, Kind.SPECIAL):
            raise Mismatch
        expect: Entry = action.expect
        return self._placer.replace(action, staged, expect, step.hint, self._slot_of[index])

    def _sync_names(self) -> None:
        changed = self._placer.changed
        if not changed:
            return
        for path in sorted(changed):
            # Gone again (removed by a later step, or by someone): its parent is synced instead.
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                self._sync_directory(self._directories.get(path))
        if self._slots.is_open:
            sc.sync_file(self._slots.fd)

    def _sync_directory(self, descriptor: int) -> None:
        try:
            sc.sync_file(descriptor)
        except OSError as error:
            if error.errno != errno.EBADF or not sc.has_syncfs():
                raise
            sc.syncfs(self._root)

    def _undone(self, error: OSError) -> None:
        """What was done may not survive a crash: it is not answered as done."""
        for index, result in self._results.items():
            if isinstance(result, Done):
                self._results[index] = doubtful(result, error)
