"""The gate before a plan: what must be held, what a person approved, and what goes on meanwhile.

The rules are `core.guard`'s; here are the numbers that they need and the memory of approvals.
"""

import sqlite3
from collections.abc import Mapping

from syncd.core.entry import Side
from syncd.core.guard import Hold, SideTotals, check, without_destructive
from syncd.core.plan import Plan, destructive, digest_of
from syncd.index import approvals, base, history, meta, nodes
from syncd.index.database import Database
from syncd.sync import alarm
from syncd.sync.alarm import Alarm
from syncd.sync.settings import BOTH, PairSettings, World
from syncd.tree.port import Tree

WINDOW_NS = 600 * 10**9
"""The rolling window of the brake (semantics, deletion safety 3)."""
_WINDOW_BEGINS = "brake.window_begins_ns"


class Gate:
    """Reviews the plans of one pair."""

    def __init__(
        self, settings: PairSettings, database: Database, trees: Mapping[Side, Tree], world: World
    ) -> None:
        self._alarm = Alarm(database, trees)
        self._settings = settings
        self._database = database
        self._world = world
        self._was_approved = False

    async def review(
        self, plan: Plan, *, is_first_sync: bool, is_state_lost: bool
    ) -> tuple[Plan, Hold | None]:
        """The part of `plan` that may go on, and the hold that keeps the rest."""
        doomed = destructive(plan)
        if self._settings.approves_holds:
            self._was_approved |= bool(doomed)
            return plan, None
        now_ns = self._world.clock.now_ns()
        totals, approved, since_ns = await self._database.read(read_guard_facts, now_ns)
        self._was_approved |= bool(approved) and any(digest_of(item) in approved for item in doomed)
        hold = check(
            plan,
            totals,
            self._settings.brake,
            mode=self._settings.mode,
            is_first_sync=is_first_sync,
            is_state_lost=is_state_lost,
            approved=approved,
        )
        if hold is None and not is_first_sync:
            hold = await self._alarm.review(
                plan, totals, self._settings.brake, approved, now_ns=now_ns, since_ns=since_ns
            )
        return (plan, None) if hold is None else (without_destructive(plan, hold.destructive), hold)

    async def conclude(self, hold: Hold | None) -> None:
        """A cycle is over: what was approved and done counts no more, and approves nothing else."""
        if self._was_approved and hold is None:
            await self._database.write(forget_approved, self._world.clock.now_ns())
            self._was_approved = False


def forget_approved(db: sqlite3.Connection, now_ns: int) -> None:
    """The rolling window of the brake begins anew after an approved deletion."""
    approvals.clear(db)
    alarm.forget(db)
    meta.put_int(db, _WINDOW_BEGINS, now_ns)


def read_guard_facts(
    db: sqlite3.Connection, now_ns: int
) -> tuple[Mapping[Side, SideTotals], frozenset[str], int]:
    """What each side holds now, held when the window began, the approved actions, and that beginning."""
    since_ns = max(now_ns - WINDOW_NS, min(now_ns, meta.get_int(db, _WINDOW_BEGINS)))
    base_files = base.count_files(db)
    totals = {}
    for side in BOTH:
        files, size = nodes.totals(db, side)
        deleted_files, deleted_bytes = history.deleted_since(db, side, since_ns)
        totals[side] = SideTotals(
            files=files,
            bytes=size,
            window_files=files + deleted_files,
            window_bytes=size + deleted_bytes,
            recent_deleted_files=deleted_files,
            recent_deleted_bytes=deleted_bytes,
            base_files=base_files,
        )
    return totals, approvals.approved(db), since_ns
