"""What a person decides about held plans and conflicts, carried out in the pair's own task.

A decision about bytes is made like an edit by a user: one tree is changed, looked at again, and the next
cycle carries it over. So it is journaled, trashed, checked and undone like any other change.
"""

from collections.abc import Callable, Sequence

import msgspec

from syncd.core import path as paths
from syncd.core.action import Action, Delete, Done, MakeDirectory, Move, Put
from syncd.core.conflict import OPEN, ConflictRecord, conflict_name
from syncd.core.entry import Entry, Kind, Side
from syncd.core.error import SyncdError
from syncd.core.guard import Hold
from syncd.core.plan import digest_of
from syncd.core.reason import Reason
from syncd.core.rules import Policy
from syncd.index import approvals, choices, conflicts, nodes, records, triples
from syncd.sync.cycle import Cycle
from syncd.sync.executor import wanted_hints
from syncd.sync.settings import BOTH, World
from syncd.tree.port import Batch, Step

KEEPS = {
    "source": Policy.SOURCE_WINS,
    "destination": Policy.DESTINATION_WINS,
    "both": Policy.KEEP_BOTH,
    "newest": Policy.NEWEST_WINS,
}


class Decider:
    """Decisions for one pair. Every method runs between the turns of the pair's task."""

    def __init__(self, cycle: Cycle, world: World) -> None:
        self._cycle = cycle
        self._world = world

    # Held plans.

    async def approve(self, plan_id: str) -> Hold:
        """Let the held plan, and any later one that destroys no more, be done."""
        hold = self._held(plan_id)
        digests = [digest_of(item) for item in hold.destructive]
        await self._cycle.database.write(approvals.approve, digests, self._world.clock.now_ns())
        return hold

    def reject(self, plan_id: str) -> Hold:
        """Keep it held, and say no more about it until it changes."""
        hold = self._held(plan_id)
        self._cycle.rejected_plan = hold.plan_id
        return hold

    async def revert(self, plan_id: str) -> Hold:
        """Put what was deleted or overwritten back from the other side, instead of doing the same there."""
        hold = self._held(plan_id)
        await self._cycle.check_roots()
        for side in BOTH:
            items = [item for item in hold.destructive if item.side is side and not item.is_overwrite]
            states = await self._cycle.database.read(triples.load, [item.path for item in items])
            lost = [state.path for state in states if state.at(side.other) is None]
            await self._put_back(side.other, sorted(lost))
            changed = [item.path for item in hold.destructive if item.side is side and item.is_overwrite]
            await self._put_back(side.other, sorted(changed))
        return hold

    async def _put_back(self, side: Side, lost: Sequence[bytes]) -> None:
        """Copy `lost` from the other side, directories first."""
        for start in range(0, len(lost), 256):
            chunk = lost[start : start + 256]
            states = await self._cycle.database.read(triples.load, chunk)
            actions: list[Action] = []
            for state in states:
                entry = state.at(side.other)
                if entry is None or entry.kind is Kind.SPECIAL:
                    continue
                if entry.kind is Kind.DIRECTORY:
                    actions.append(MakeDirectory(side, state.path, entry))
                else:
                    actions.append(Put(side, state.path, entry, state.at(side), state.path))
            await self._edit(side, actions, chunk)

    def _held(self, plan_id: str) -> Hold:
        hold = self._cycle.hold
        if hold is None or not plan_id or not hold.plan_id.startswith(plan_id):
            waiting = "nothing is held" if hold is None else f"the held plan is {hold.plan_id}"
            raise SyncdError(Reason.NO_SUCH_ID, f"no held plan {plan_id}: {waiting}")
        return hold

    # Conflicts.

    async def resolve(self, record_id: str, keep: str) -> ConflictRecord:
        """Settle a conflict in favour of `keep` (source, destination, both, newest)."""
        record = await self._record(record_id)
        if record.state == OPEN and record.loser_copy is None:
            await self._resolve_waiting(record, KEEPS[keep])
        elif record.winner is not None:
            await self._resolve_decided(record, record.winner, kept_side(record, keep))
        return await self._record(record_id)

    async def _resolve_waiting(self, record: ConflictRecord, policy: Policy) -> None:
        """Nothing was overwritten: from now on the path is reconciled by the choice."""
        await self._cycle.database.write(choices.choose, record.path, policy)
        self._cycle.look_again(record.path)

    async def _resolve_decided(self, record: ConflictRecord, winner: Side, kept: Side | None) -> None:
        """One version has the name, the other lies beside it or in the trash."""
        if kept is winner:
            if record.loser_copy is not None:
                await self._remove(record.loser_copy)
        elif kept is None:
            if record.loser_copy is None:
                await self.restore(record.id)
        else:
            await self._replace_by_loser(record)
        await self._cycle.database.write(conflicts.settle, record.id)

    async def _replace_by_loser(self, record: ConflictRecord) -> None:
        """The losing version takes the name; the winner's bytes go to the trash."""
        if record.loser_copy is not None:
            side = record.winner or Side.SOURCE
            await self._remove_at(side, record.path)
            entry = await self._entry(side, record.loser_copy)
            move = Move(side, record.loser_copy, record.path, entry)
            await self._edit(side, [move], [record.loser_copy, record.path])
            return
        trash = record.trash
        if trash is None:
            raise SyncdError(
                Reason.NO_SUCH_ID, f"conflict {record.id}: the losing version is not kept any more"
            )
        await self._remove_at(trash.side, record.path)
        await self._cycle.trees[trash.side].restore(trash, record.path)
        await self._cycle.observe(trash.side, [record.path], ())

    async def restore(self, record_id: str) -> bytes:
        """Put the losing version back beside the winner; answers its path."""
        record = await self._record(record_id)
        if record.loser_copy is not None:
            return record.loser_copy
        if record.trash is None:
            raise SyncdError(
                Reason.NO_SUCH_ID, f"conflict {record.id}: the losing version is not kept any more"
            )
        side = record.trash.side
        loser = record.source if side is Side.SOURCE else record.destination
        taken = await self._names_beside(record.path)
        name = conflict_name(
            paths.name(record.path),
            loser.mtime_ns if loser is not None else record.at_ns,
            self._cycle.settings.host,
            taken,
        )
        copy = paths.join(paths.parent(record.path), name)
        await self._cycle.trees[side].restore(record.trash, copy)
        await self._cycle.observe(side, [copy], ())
        kept = msgspec.structs.replace(record, loser_copy=copy)
        await self._cycle.database.write(conflicts.put, kept)
        return copy

    async def _names_beside(self, path: bytes) -> Callable[[bytes], bool]:
        """Is a name in use in the directory of `path`, on either side?"""
        used: set[bytes] = set()
        for side in BOTH:
            directory = await self._cycle.database.read(nodes.find, side, paths.parent(path))
            if directory is not None:
                found = await self._cycle.database.read(nodes.children, directory.node_id)
                used.update(node.name for node in found)
        return used.__contains__

    async def _record(self, record_id: str) -> ConflictRecord:
        record = await self._cycle.database.read(conflicts.get, record_id)
        if record is None:
            raise SyncdError(Reason.NO_SUCH_ID, f"no conflict {record_id}")
        return record

    # Edits.

    async def _entry(self, side: Side, path: bytes) -> Entry:
        node = await self._cycle.database.read(nodes.find, side, path)
        if node is None:
            raise SyncdError(Reason.NO_SUCH_PATH, f"{paths.escape(path)} is not at the {side.word}")
        return node.entry

    async def _remove(self, path: bytes) -> None:
        """Delete `path` at one side; the cycle deletes it at the other."""
        for side in BOTH:
            if await self._cycle.database.read(nodes.find, side, path) is not None:
                await self._remove_at(side, path)
                return

    async def _remove_at(self, side: Side, path: bytes) -> None:
        if await self._cycle.database.read(nodes.find, side, path) is not None:
            await self._edit(side, [Delete(side, path, await self._entry(side, path))], [path])

    async def _edit(self, side: Side, actions: Sequence[Action], touched: Sequence[bytes]) -> None:
        """Change one tree as a user would, and look at it. Raises SyncdError when a step was not done."""
        if not actions:
            return
        cycle = self._cycle
        hints = await cycle.database.read(records.hints, wanted_hints(actions))
        steps = []
        for action in actions:
            content = None
            if isinstance(action, Put):
                other = side.other
                content = cycle.trees[other].content(
                    action.origin, action.entry, hints.get((other, action.origin))
                )
            steps.append(Step(action, hints.get((side, action.path)), content))
        batch = Batch(batch_id=self._world.new_id(), steps=tuple(steps), stop=lambda: False)
        outcome = await cycle.trees[side].apply(batch)
        await cycle.observe(side, touched, ())
        missed = [result.action.path for result in outcome if not isinstance(result, Done)]
        if missed:
            names = ", ".join(map(paths.escape, missed[:3]))
            raise SyncdError(Reason.CHANGING, f"changed at the same time, try again: {names}")


def kept_side(record: ConflictRecord, keep: str) -> Side | None:
    """The side whose version is kept; None for both."""
    if keep == "both":
        return None
    if keep == "source":
        return Side.SOURCE
    if keep == "destination":
        return Side.DESTINATION
    source, destination = record.source, record.destination
    if source is None or destination is None:
        return record.winner
    return Side.SOURCE if source.mtime_ns >= destination.mtime_ns else Side.DESTINATION
