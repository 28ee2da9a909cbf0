"""Bytes in a trash that nobody told of become conflict records, unless they are a version that is known.

A killed run leaves what it had displaced; a program that still had a displaced file open goes on writing to
it. Both are looked for after every whole scan, late edits also in the cycle after their displacement.
"""

import hashlib
import sqlite3
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from syncd.core.action import TrashRef
from syncd.core.conflict import SETTLED, ConflictRecord
from syncd.core.entry import Entry, Kind, Same, Side, same_content
from syncd.core.reason import Reason
from syncd.core.state import PathState
from syncd.index import conflicts, history, triples
from syncd.index.database import Database
from syncd.sync.settings import BOTH, World
from syncd.tree.port import Kept, Tree

RECENT = 64
"""Batches of each side that are looked at again in the next cycle."""


class Leftovers:
    """Accounts for what lies in the trash of both trees. Only the cycle task uses it."""

    def __init__(self, database: Database, trees: Mapping[Side, Tree], world: World) -> None:
        self._database = database
        self._trees = trees
        self._world = world
        self._seen: set[tuple[TrashRef, int, int]] = set()
        self._recent: dict[Side, deque[str]] = {side: deque(maxlen=RECENT) for side in BOTH}

    def displaced(self, refs: Iterable[TrashRef]) -> None:
        """Remember what to look at once more."""
        for side, batch in dict.fromkeys((ref.side, ref.batch) for ref in refs):
            self._recent[side].append(batch)

    async def look_at_recent(self) -> None:
        """Has anybody written to what the last cycle displaced?"""
        for side, batches in self._recent.items():
            if batches:
                await self._account(side, await self._trees[side].unaccounted(tuple(batches)))
                batches.clear()

    async def look_at_known(self) -> None:
        """Before the index is brought up to date: what is a version that it knows still is none to tell of.
        The rest is judged after the scan."""
        for side in BOTH:
            for kept in await self._trees[side].unaccounted():
                if await self._is_known(side, kept):
                    self._seen.add(version_of(kept))

    async def look_at_all(self) -> None:
        for side in BOTH:
            await self._account(side, await self._trees[side].unaccounted())

    async def _account(self, side: Side, found: Sequence[Kept]) -> None:
        for kept in found:
            version = version_of(kept)
            if version in self._seen:
                continue
            if not await self._is_known(side, kept):
                record = record_of(kept, self._world.clock.now_ns())
                if await self._database.write(conflicts.put, record):
                    kind = record.kind.value
                    self._world.publish("conflict.recorded", record.path, id=record.id, reason=kind)
            self._seen.add(version)

    async def _is_known(self, side: Side, kept: Kept) -> bool:
        """Is it told of by a record, or what was to be displaced, or a version that the index holds?"""
        records, state, is_journaled = await self._database.read(read_facts, kept)
        if is_journaled and kept.expected is None:
            # It was stored as done: a power cut brought the mark of the unfinished batch back.
            return True
        mine = record_of(kept, 0)
        if any(record.id != mine.id or at_side(record, side) == kept.entry for record in records):
            return True
        versions = [kept.expected, state.base, state.source, state.destination]
        same = [same_content(kept.entry, one) for one in versions if one is not None]
        if Same.EQUAL in same:
            return True
        if Same.UNKNOWN not in same:
            return False
        digest = await self._trees[side].digest_kept(kept.ref)
        return digest is None or digest in await self._digests(kept, state)

    async def _digests(self, kept: Kept, state: PathState) -> set[bytes]:
        """Of all versions of that size; what a side holds and nobody has read is read now."""
        found = {one.digest for one in (kept.expected, state.base) if one is not None}
        for side in BOTH:
            entry = state.at(side)
            if entry is None or entry.kind is not Kind.FILE or entry.size != kept.entry.size:
                continue
            if entry.digest is None:
                found.update(read.digest for read in await self._trees[side].digest([kept.path]))
            found.add(entry.digest)
        return {digest for digest in found if digest is not None}


def version_of(kept: Kept) -> tuple[TrashRef, int, int]:
    """Another one means that somebody wrote there."""
    return kept.ref, kept.entry.size, kept.entry.mtime_ns


def read_facts(db: sqlite3.Connection, kept: Kept) -> tuple[list[ConflictRecord], PathState, bool]:
    """Records that point at these bytes, what the three trees say of their path, whether the journal tells
    of their displacement."""
    records = [record for record in conflicts.list_at(db, kept.path) if record.trash == kept.ref]
    is_journaled = any(action.trash == kept.ref for action in history.actions(db, kept.ref.batch))
    return records, triples.load(db, [kept.path])[0], is_journaled


def at_side(record: ConflictRecord, side: Side) -> Entry | None:
    return record.source if side is Side.SOURCE else record.destination


def record_of(kept: Kept, now_ns: int) -> ConflictRecord:
    """One record for each place in the trash, however often somebody writes there."""
    side = kept.ref.side
    told = msgspec.json.encode(["kept", int(side), kept.ref.batch, kept.ref.slot])
    return ConflictRecord(
        id=hashlib.sha256(told).hexdigest()[:16],
        path=kept.path,
        kind=Reason.CONFLICT_MODIFIED,
        source=kept.entry if side is Side.SOURCE else None,
        destination=kept.entry if side is Side.DESTINATION else None,
        at_ns=now_ns,
        winner=side.other,
        trash=kept.ref,
        state=SETTLED,
    )
