"""What a pair keeps of the past: room in the trash, its expiry, the journal and approvals that go with it."""

import math
import sqlite3
from collections.abc import Mapping

from syncd.core.action import Delete, Put
from syncd.core.entry import Side
from syncd.core.error import TransientError
from syncd.core.plan import Plan
from syncd.core.reason import Reason
from syncd.index import approvals, conflicts, history
from syncd.index.database import Database
from syncd.sync.leftovers import Leftovers
from syncd.sync.settings import BOTH, PairSettings, World
from syncd.tree.port import Tree

SHORTEST_S = 86400.0
"""Not even with a trash that keeps nothing: the brake counts what was deleted lately."""


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
        self._ahead_ns = self._wall_ahead_ns()
        self._doubted_until_ns = 0

    async def expire(self) -> int:
        """Drop what was kept long enough; returns the bytes freed."""
        pinned = await self._database.read(conflicts.pinned_batches)
        freed = 0
        for side in BOTH:
            if self._settings.writes(side):
                freed += await self._expire(side, self._settings.trash_max_bytes, pinned)
        keep_s = self._keep_s()
        if keep_s < math.inf:
            before_ns = self._world.clock.now_ns() - int(max(SHORTEST_S, keep_s) * 1e9)
            await self._database.write(forget_before, before_ns, pinned)
        return freed

    async def make_room(self, plan: Plan) -> None:
        """See to it that what `plan` displaces finds room. Raises TransientError (TRASH_FULL): nothing that
        is younger than a day makes room, so the pair waits."""
        most = self._settings.trash_max_bytes
        if most is None:
            return
        for side, coming in displaced_by(plan).items():
            held = await self._trees[side].trash_bytes()
            if held + coming > most:
                pinned = await self._database.read(conflicts.pinned_batches)
                await self._expire(side, max(0, most - coming), pinned)
                held = await self._trees[side].trash_bytes()
            if held + coming > most:
                detail = f"{side.word}: {held} of {most} bytes are taken and {coming} more would be"
                raise TransientError(Reason.TRASH_FULL, detail)

    async def _expire(self, side: Side, most: int | None, pinned: frozenset[str]) -> int:
        return await self._trees[side].expire_trash(self._keep_s(), most, pinned)

    def _keep_s(self) -> float:
        """How long things are kept: for ever, during a day after the wall clock leapt ahead. File systems
        stamp by that clock, so all that they hold has grown old at once; it may be set right meanwhile. (The
        clock of a machine that was suspended has leapt as well: it keeps a day longer.)"""
        keep_s = self._settings.trash_keep_s
        now_ns, ahead_ns = self._world.clock.monotonic_ns(), self._wall_ahead_ns()
        if ahead_ns - self._ahead_ns > max(SHORTEST_S, keep_s / 2) * 1e9:
            self._doubted_until_ns = now_ns + int(SHORTEST_S * 1e9)
        self._ahead_ns = ahead_ns
        return math.inf if now_ns < self._doubted_until_ns else keep_s

    def _wall_ahead_ns(self) -> int:
        return self._world.clock.now_ns() - self._world.clock.monotonic_ns()


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
