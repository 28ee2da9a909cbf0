"""Carry out a plan: level by level, in batches, each made durable by its tree before its results are stored.

The executor decides nothing. Every action carries what it expects; what turns out otherwise comes back as
stale paths, which the cycle observes again. May import core, index and the tree port only.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import groupby

import anyio
import msgspec

from syncd.core import path as paths
from syncd.core.action import (
    Action,
    Delete,
    Done,
    Failed,
    Level,
    MakeDirectory,
    Move,
    Put,
    RemoveDirectory,
    Result,
    SetMode,
    Stale,
    TrashRef,
)
from syncd.core.conflict import SETTLED, ConflictRecord, record_id
from syncd.core.entry import Kind, Side, StatHint
from syncd.core.plan import Plan
from syncd.core.reason import Reason
from syncd.index import conflicts, pending, records, results
from syncd.index.database import Database
from syncd.index.pending import OF_THE_SIDE
from syncd.sync import intents
from syncd.sync.settings import SYNCING, Extent, PairSettings, Progress, World
from syncd.sync.together import task_group
from syncd.tree.port import Batch, Step, Tree

MAX_STEPS = 256
MAX_PUTS = 768
"""Files of one batch, where they go quickly: a sync of the file system is paid by all of them."""
MAX_BATCH_BYTES = 16 << 20
_BESIDE_PUTS = (Level.DIRECTORY, Level.PUT)
"""What the puts of another plan of the same walk cannot disturb."""
TARGET_BATCH_S = 0.6
"""Batches shrink and grow towards this, so that pause and stop are obeyed within a second."""


class Tally(msgspec.Struct):
    """What became of a plan. `stale` paths must be observed again, `moved` ones reconciled beneath."""

    done: int = 0
    failed: int = 0
    stale: dict[Side, set[bytes]] = msgspec.field(
        default_factory=lambda: {Side.SOURCE: set(), Side.DESTINATION: set()}
    )
    filled: dict[Side, set[bytes]] = msgspec.field(
        default_factory=lambda: {Side.SOURCE: set(), Side.DESTINATION: set()}
    )
    """Directories that could not be removed: to be listed, not only looked at."""
    moved: list[bytes] = msgspec.field(default_factory=list)
    half_done: list[bytes] = msgspec.field(default_factory=list)
    """Judged again by the next round: what got its mode bits, perhaps first and alone, and what was done in a
    directory that the index does not know yet."""
    may_change_rules: bool = False
    """An ignore file, or a directory that may hold one, has changed its content or its name."""
    displaced: list[TrashRef] = msgspec.field(default_factory=list)
    is_stopped: bool = False
    halted: dict[Side, Failed] = msgspec.field(default_factory=dict)
    """Why actions of a side were not tried: its disk is full, or read-only."""

    @property
    def asks_for_more(self) -> bool:
        """Is there anything that must be looked at before the next plan is made?"""
        return bool(
            self.is_stopped
            or self.halted
            or self.may_change_rules
            or self.moved
            or self.half_done
            or any(self.stale.values())
        )


class Executor:
    """Applies plans of one pair. Only the cycle task uses it."""

    def __init__(
        self,
        database: Database,
        trees: Mapping[Side, Tree],
        world: World,
        settings: PairSettings,
        progress: Progress,
    ) -> None:
        self._database = database
        self._trees = trees
        self._world = world
        self._progress = progress
        self._workers = max(1, settings.workers)
        self._tasks: anyio.abc.TaskGroup
        self._limiter: anyio.CapacityLimiter
        self._idle = anyio.Event()
        self._tally = Tally()
        self._failure: Exception | None = None
        self._planned = Extent(0, 0)
        self._steps = 128
        self._drafts: dict[bytes, ConflictRecord] = {}
        self._reports: dict[bytes, Reason] = {}

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """`run` works within; at the end nothing is under way any more."""
        self._tally, self._failure = Tally(), None
        self._limiter = anyio.CapacityLimiter(self._workers)
        async with task_group() as tasks:
            self._tasks = tasks
            yield
        self._raise_failure()

    async def run(self, plan: Plan, stop: Callable[[], bool], *, to_come: Extent | None = None) -> Tally:
        """Apply `plan`; `stop` is polled between steps. Raises SyncdError when the state is not written.

        Where another plan follows that only adds (`to_come`: what is missing until its end), it need not
        wait for the last puts of this one: they are told with its own results, unless somebody must look at
        what has come so far.
        """
        self._drafts = {record.path: record for record in plan.conflicts}
        self._reports = dict(plan.reports)
        self._expect(plan, to_come)
        for level, group in groupby(plan.actions, key=lambda item: item[0]):
            if level not in _BESIDE_PUTS:
                await self._until_idle()
            if stop():
                self._tally.is_stopped = True
                break
            actions = [action for _, action in group]
            if level is Level.PUT:
                await self._begin_puts(actions, stop)
            else:
                for batch in self._in_order(actions):
                    await self._carry_out(batch, stop)
        if to_come is None or self._failure is not None or self._tally.asks_for_more:
            await self._until_idle()
        tally, self._tally = self._tally, Tally()
        return tally

    def _expect(self, plan: Plan, to_come: Extent | None) -> None:
        """Progress counts on through all plans of one walk."""
        progress = self._progress
        if progress.phase != SYNCING:
            progress.phase = SYNCING
            progress.done = progress.bytes_done = 0
            self._planned = Extent(0, 0)
        size = sum(size_of(action) for _, action in plan.actions)
        planned = self._planned = Extent(self._planned.files + len(plan.actions), self._planned.bytes + size)
        progress.total, progress.bytes_total = planned.files, planned.bytes
        if to_come is not None:
            progress.total = max(planned.files, progress.done + to_come.files)
            progress.bytes_total = max(planned.bytes, progress.bytes_done + to_come.bytes)

    async def _begin_puts(self, actions: list[Action], stop: Callable[[], bool]) -> None:
        """Small files first, a bounded number of batches at once. The last ones are under way afterwards."""
        puts = [action for action in actions if isinstance(action, Put)]
        small = [put for put in puts if put.entry.size <= MAX_BATCH_BYTES]
        large = sorted(
            (put for put in puts if put.entry.size > MAX_BATCH_BYTES), key=lambda put: put.entry.size
        )
        for batch in self._by_size(small):
            await self._begin(batch, stop)
        for put in large:
            await self._begin([put], stop)

    async def _begin(self, batch: Sequence[Action], stop: Callable[[], bool]) -> None:
        """Begin a batch as soon as there is room for it."""

        async def run() -> None:
            try:
                await self._carry_out(batch, stop)
            except Exception as error:
                # Raised where the plan is carried out: its round must not go on as if all were done.
                self._failure = self._failure or error
            finally:
                self._limiter.release_on_behalf_of(token)
                if not self._limiter.borrowed_tokens:
                    self._idle.set()

        token = object()
        await self._limiter.acquire_on_behalf_of(token)
        if self._failure is not None:
            self._limiter.release_on_behalf_of(token)
            self._raise_failure()
        if stop():
            self._tally.is_stopped = True
            self._limiter.release_on_behalf_of(token)
            return
        self._tasks.start_soon(run)

    async def _until_idle(self) -> None:
        while self._limiter.borrowed_tokens:
            self._idle = anyio.Event()
            await self._idle.wait()
        self._raise_failure()

    def _raise_failure(self) -> None:
        """Raise what a batch beside this one failed with."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _in_order(self, actions: list[Action]) -> Iterator[list[Action]]:
        """Consecutive actions of one side, in the plan's order. Of a cycle of names one leaves first and
        arrives last: all in one batch."""
        for _, group in groupby(actions, key=lambda action: action.side):
            run = list(group)
            has_cycle = any(type(action) is Move and action.parked for action in run)
            steps = len(run) if has_cycle else MAX_STEPS
            for start in range(0, len(run), steps):
                yield run[start : start + steps]

    def _by_size(self, puts: list[Put]) -> Iterator[list[Action]]:
        """Batches of one side, bounded in files and bytes; the bound in files follows the measured pace."""
        for side in (Side.DESTINATION, Side.SOURCE):
            batch: list[Action] = []
            size = 0
            for put in puts:
                if put.side is not side:
                    continue
                if batch and (len(batch) >= self._steps or size + put.entry.size > MAX_BATCH_BYTES):
                    yield batch
                    batch, size = [], 0
                batch.append(put)
                size += put.entry.size
            if batch:
                yield batch

    async def _carry_out(self, actions: Sequence[Action], stop: Callable[[], bool]) -> None:
        """One batch. Where a full disk broke it off, what is smaller may still fit: the rest is tried once
        more, small files first."""
        outcome = await self._apply(actions, stop)
        fatal = [
            one for one in outcome if isinstance(one, Failed) and one.is_fatal and one.reason in OF_THE_SIDE
        ]
        if len(outcome) == len(actions):
            if len(fatal) > 1:  # not one that is too large: the tree could do nothing with any of them
                self._tally.halted[fatal[0].action.side] = fatal[0]
            return
        if not fatal or stop():
            self._tally.is_stopped = True
            return
        if fatal[0].reason is Reason.DISK_FULL:
            tried = {one.action.path for one in outcome}
            rest = sorted((action for action in actions if action.path not in tried), key=size_of)
            if len(await self._apply(rest, stop)) == len(rest):
                return
        self._tally.halted[fatal[0].action.side] = fatal[0]

    async def _apply(self, actions: Sequence[Action], stop: Callable[[], bool]) -> Sequence[Result]:
        """One batch: hints in, steps done and durable, results stored; shielded once results exist. Fewer
        results than actions: it was broken off."""
        side = actions[0].side
        batch_id = self._world.new_id()
        hints = await self._database.read(records.hints, wanted_hints(actions))
        steps = tuple(self._step(action, hints) for action in actions)
        began = self._world.clock.monotonic_ns()
        to_come = max(0, self._progress.total - self._progress.done - len(steps))
        batch = Batch(batch_id=batch_id, steps=steps, stop=stop, progress=self._copied, to_come=to_come)
        with anyio.CancelScope(shield=True):
            await self._database.write(intents.note, batch_id, steps)
            outcome = await self._trees[side].apply(batch)
            outcome = await intents.resolve(self._trees[side], batch_id, steps, outcome)
            homeless = await self._database.write(self._store, batch_id, outcome)
        self._pace(len(steps), self._world.clock.monotonic_ns() - began)
        self._count(outcome)
        self._tally.half_done += homeless
        return outcome

    def _step(self, action: Action, hints: Mapping[tuple[Side, bytes], StatHint]) -> Step:
        if not isinstance(action, Put):
            return Step(action, hints.get((action.side, action.path)))
        other = action.side.other
        content = self._trees[other].content(action.origin, action.entry, hints.get((other, action.origin)))
        return Step(action, hints.get((action.side, action.path)), content)

    def _copied(self, count: int) -> None:
        """Called in the tree's worker thread: plain addition on one attribute, read by status only."""
        self._progress.bytes_done += count

    def _pace(self, steps: int, took_ns: int) -> None:
        if steps < self._steps // 2:
            return
        per_step_s = took_ns / 1e9 / steps
        self._steps = max(16, min(MAX_PUTS, int(TARGET_BATCH_S / max(per_step_s, 1e-6))))

    def _store(self, db: sqlite3.Connection, batch_id: str, outcome: Sequence[Result]) -> list[bytes]:
        """Index, base, history, issues and conflict records of a batch, in one transaction. Returns what had
        no place in the index."""
        now_ns = self._world.clock.now_ns()
        intents.forget(db, batch_id, outcome)
        homeless = results.record(db, batch_id, now_ns, outcome)
        if pending.count(db):
            pending.done(db, [result.action.path for result in outcome if isinstance(result, Done)])
        for result in outcome:
            action = result.action
            if isinstance(result, Failed):
                for path in (action.path, action.to) if isinstance(action, Move) else (action.path,):
                    pending.put(db, path, action.side, result.reason, result.detail, now_ns)
            elif isinstance(result, Stale) and result.kept is not None:
                conflicts.put(db, raced(result, self._world.new_id(), now_ns))
            elif isinstance(result, Done) and (record := self._record_of(action, result, now_ns)) is not None:
                conflicts.put(db, record)
        return homeless

    def _record_of(self, action: Action, done: Done, now_ns: int) -> ConflictRecord | None:
        """The conflict that this action settled (the rename or the put at the conflict's own path), or the
        report of an edit that beat a deletion."""
        if not (self._drafts or self._reports) or not isinstance(action, Put | Move):
            return None
        draft = self._drafts.get(action.path)
        if draft is None and action.path in self._reports and isinstance(action, Put):
            return reported(action, self._reports[action.path], done.trash, now_ns)
        if draft is None or (draft.loser_copy is not None and not isinstance(action, Move)):
            return None
        return msgspec.structs.replace(draft, trash=done.trash)

    def _count(self, outcome: Sequence[Result]) -> None:
        tally = self._tally
        publish = self._world.publish
        for result in outcome:
            action = result.action
            self._progress.done += 1
            if isinstance(result, Done):
                tally.done += 1
                if result.trash is not None:
                    tally.displaced.append(result.trash)
                tally.may_change_rules |= concerns_rules(action)
                if isinstance(action, Move):
                    tally.moved += [action.path, action.to]
                elif isinstance(action, SetMode):
                    tally.half_done.append(action.path)
                publish(event_of(action), action.path, side=action.side.word)
                record = self._record_of(action, result, 0)
                if record is not None:
                    kind = "path.reported" if record.kind is Reason.EDIT_BEATS_DELETE else "conflict.recorded"
                    publish(kind, record.path, id=record.id, reason=record.kind.value)
                continue
            if isinstance(result, Failed):
                tally.failed += 1
                publish("path.failed", action.path, reason=result.reason.value, detail=result.detail)
                continue
            tally.stale[action.side].add(action.path)
            if isinstance(action, RemoveDirectory):
                tally.filled[action.side].add(action.path)
            if isinstance(action, Move):
                tally.stale[action.side].add(action.to)
            tally.stale[Side.SOURCE].update(result.source_paths)
            tally.stale[Side.DESTINATION].update(result.destination_paths)


def size_of(action: Action) -> int:
    """Bytes that an action brings."""
    return action.entry.size if isinstance(action, Put) else 0


def concerns_rules(action: Action) -> bool:
    """May an ignore file have come, gone or changed by it?"""
    if isinstance(action, Move):
        is_rules = paths.IGNORE_FILE in (paths.name(action.path), paths.name(action.to))
        return is_rules or action.expect.kind is Kind.DIRECTORY
    return action.path.endswith(paths.IGNORE_FILE) and isinstance(action, Put | Delete)


def wanted_hints(actions: Sequence[Action]) -> list[tuple[Side, bytes]]:
    """Every (side, path) whose stat hint an action or its content needs."""
    wanted = []
    for action in actions:
        if type(action) is Put:
            wanted.append((action.side.other, action.origin))
            if action.expect is None:
                continue
        wanted.append((action.side, action.path))
    return wanted


def raced(stale: Stale, record_id: str, now_ns: int) -> ConflictRecord:
    """The record of bytes that an edit left in the trash by racing twice with an exchange."""
    action = stale.action
    return ConflictRecord(
        id=record_id,
        path=action.path,
        kind=Reason.CONFLICT_MODIFIED,
        at_ns=now_ns,
        winner=action.side.other,
        trash=stale.kept,
        state=SETTLED,
    )


def reported(put: Put, reason: Reason, trash: TrashRef | None, now_ns: int) -> ConflictRecord:
    """The record of what was put for a reason that a person should know: an edit that beat a deletion, the
    version that a power cut had torn. Nothing was lost."""
    side = put.side.other
    source, destination = (put.entry, put.expect) if side is Side.SOURCE else (put.expect, put.entry)
    return ConflictRecord(
        id=record_id(put.path, reason, source, destination),
        path=put.path,
        kind=reason,
        source=source,
        destination=destination,
        at_ns=now_ns,
        winner=side,
        trash=trash,
        state=SETTLED,
    )


def event_of(action: Action) -> str:
    """What followers hear: what it is about, and what was done to it."""
    if isinstance(action, Put):
        return "link.put" if action.entry.kind is Kind.SYMLINK else "file.put"
    expect = getattr(action, "expect", None)
    is_directory = expect is None or expect.kind is Kind.DIRECTORY
    return f"{'directory' if is_directory else 'file'}.{_VERBS[type(action)]}"


_VERBS: dict[type, str] = {
    MakeDirectory: "made",
    Move: "moved",
    Delete: "deleted",
    RemoveDirectory: "removed",
    SetMode: "mode_set",
}
