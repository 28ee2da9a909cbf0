"""The counts that status shows of a pair, read from its index after every turn."""

import enum
import sqlite3

import msgspec

from syncd.core.entry import Side
from syncd.core.lifecycle import PairState
from syncd.index import conflicts, nodes, pending
from syncd.sync.cycle import Cycle
from syncd.sync.settings import BOTH


class WaitOutcome(enum.StrEnum):
    """How a pair stands when a wait is over."""

    SYNCED = "synced"
    DEGRADED = "degraded"
    HELD = "held"
    TIMEOUT = "timeout"


class Overview(msgspec.Struct, frozen=True):
    """`waiting` counts paths that are not in sync yet (issues, holds, manual conflicts)."""

    files: dict[Side, int] = {}
    bytes: dict[Side, int] = {}
    issues: int = 0
    waiting: int = 0
    open_conflicts: int = 0
    manual_conflicts: int = 0
    oldest_ns: int | None = None
    next_attempt_ns: int | None = None

    def outcome(self, state: PairState) -> WaitOutcome:
        if state is PairState.HELD:
            return WaitOutcome.HELD
        if state in (PairState.PAUSED, PairState.FAILED, PairState.WAITING):
            return WaitOutcome.DEGRADED
        return WaitOutcome.DEGRADED if self.issues or self.manual_conflicts else WaitOutcome.SYNCED


async def overview(cycle: Cycle) -> Overview:
    """Read the counts; cheap enough for every turn."""
    return await cycle.database.read(read_overview)


def read_overview(db: sqlite3.Connection) -> Overview:
    totals = {side: nodes.totals(db, side) for side in BOTH}
    summary = pending.summary(db)
    records = conflicts.counts(db)
    return Overview(
        files={side: files for side, (files, _) in totals.items()},
        bytes={side: size for side, (_, size) in totals.items()},
        issues=summary.issues,
        waiting=summary.issues + summary.held + records.manual,
        open_conflicts=records.open,
        manual_conflicts=records.manual,
        oldest_ns=summary.oldest_ns,
        next_attempt_ns=summary.next_attempt_ns,
    )
