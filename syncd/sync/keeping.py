"""What a pair keeps of the past: room in the trash, its expiry, the journal and approvals that go with it."""

import sqlite3
from collections.abc import Mapping

from syncd.core.action import Delete, Put
from syncd.core.entry import Side
from syncd.core.error import TransientError
from syncd.core.plan import Plan
from syncd.core.reason import Reason
from syncd.index import approvals, conflicts, history, meta
from syncd.index.database import Database
from syncd.sync.leftovers import Leftovers
from syncd.sync.settings import BOTH, PairSettings, World
from syncd.tree.port import Tree

SHORTEST_S = 86400.0
"""Not even with a trash that keeps nothing: the brake counts what was deleted lately."""
_DAY_NS = 86_400 * 10**9


class Keeper:
    """Looks after both trashes of a pair. Only the cycle task uses it."""

    def __init__(
        self, settings: PairSettings, database: Database, trees: Mapping[Side, Tree], world: World
    ) -> None:
        self.leftovers = Leftovers(database, trees, world)
        self._settings = settings
        self._database = database
        self._trees = trees
        self._world = world

    async def expire(self) -> int:
        """Drop what was kept long enough; returns the bytes freed."""
        if await self._is_doubtful():
            return 0
        pinned = await self._database.read(conflicts.pinned_batches)
        freed = 0
        for side in BOTH:
            if self._settings.writes(side):
                freed += await self._expire(side, self._settings.trash_max_bytes, pinned)
        keep_ns = int(max(SHORTEST_S, self._settings.trash_keep_s) * 1e9)
        await self._database.write(forget_before, self._world.clock.now_ns() - keep_ns, pinned)
        return freed

    async def make_room(self, plan: Plan) -> None:
        """See to it that what `plan` displaces finds room. Raises TransientError (TRASH_FULL): nothing that
        is younger than a day makes room, so the pair waits."""
        most = self._settings.trash_max_bytes
        if most is None:
            return
        for side, coming in displaced_by(plan).items():
            held = await self._trees[side].trash_bytes()
            if held + coming > most and not await self._is_doubtful():
                pinned = await self._database.read(conflicts.pinned_batches)
                await self._expire(side, max(0, most - coming), pinned)
                held = await self._trees[side].trash_bytes()
            if held + coming > most:
                detail = f"{side.word}: {held} of {most} bytes are taken and {coming} more would be"
                raise TransientError(Reason.TRASH_FULL, detail)

    async def _expire(self, side: Side, most: int | None, pinned: frozenset[str]) -> int:
        return await self._trees[side].expire_trash(self._settings.trash_keep_s, most, pinned)

    async def _is_doubtful(self) -> bool:
        leap_s = max(SHORTEST_S, self._settings.trash_keep_s / 2)
        return await self._database.write(doubts, self._world.clock.now_ns(), leap_s)


_ASKED_AT, _DOUBTED_UNTIL = "keeping.asked_at_ns", "keeping.doubted_until_ns"


def doubts(db: sqlite3.Connection, now_ns: int, leap_s: float) -> bool:
    """Nobody knows how old anything is during a day after the wall clock leapt ahead since this was asked
    the last time: file systems stamp by that clock, and it may be set right meanwhile. (A machine that was
    off for so long keeps everything a day longer, too.)"""
    until_ns = meta.get_int(db, _DOUBTED_UNTIL)
    if now_ns - meta.get_int(db, _ASKED_AT, now_ns) > leap_s * 1e9:
        until_ns = now_ns + _DAY_NS
        meta.put_int(db, _DOUBTED_UNTIL, until_ns)
    meta.put_int(db, _ASKED_AT, now_ns)
    return 0 < until_ns - now_ns <= _DAY_NS


def displaced_by(plan: Plan) -> dict[Side, int]:
    """The bytes that a plan puts into the trash of each side, where it puts any."""
    found: dict[Side, int] = {}
    for _, action in plan.actions:
        if isinstance(action, Put | Delete) and action.expect is not None and action.expect.size:
            found[action.side] = found.get(action.side, 0) + action.expect.size
    return found


def forget_before(db: sqlite3.Connection, before_ns: int, pinned: frozenset[str]) -> None:
    """The journal tells no longer than the trash keeps, and an approval lasts no longer either."""
    history.prune(db, before_ns, pinned)
    approvals.expire(db, before_ns)
