"""The gate before a plan: what must be held, what a person approved, and what goes on meanwhile.

The rules are `core.guard`'s; here are the numbers that they need and the memory of approvals.
"""

import sqlite3
from collections.abc import Mapping

from syncd.core.entry import Side
from syncd.core.guard import Hold, SideTotals, check, without_destructive
from syncd.core.plan import Plan
from syncd.index import approvals, base, history, nodes
from syncd.index.database import Database
from syncd.sync.settings import BOTH, PairSettings, World

WINDOW_NS = 600 * 10**9
"""The rolling window of the brake (semantics, deletion safety 3)."""


class Gate:
    """Reviews the plans of one pair."""

    def __init__(self, settings: PairSettings, database: Database, world: World) -> None:
        self._settings = settings
        self._database = database
        self._world = world

    async def review(
        self, plan: Plan, *, is_first_sync: bool, is_state_lost: bool
    ) -> tuple[Plan, Hold | None]:
        """The part of `plan` that may go on, and the hold that keeps the rest."""
        if self._settings.approves_holds:
            return plan, None
        since_ns = self._world.clock.now_ns() - WINDOW_NS
        totals, approved = await self._database.read(read_guard_facts, since_ns)
        hold = check(
            plan,
            totals,
            self._settings.brake,
            mode=self._settings.mode,
            is_first_sync=is_first_sync,
            is_state_lost=is_state_lost,
            approved=approved,
        )
        return (plan, None) if hold is None else (without_destructive(plan, hold), hold)


def read_guard_facts(
    db: sqlite3.Connection, since_ns: int
) -> tuple[Mapping[Side, SideTotals], frozenset[str]]:
    """What each side holds now, held when the window began, and the approved actions."""
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
    return totals, approvals.approved(db)
