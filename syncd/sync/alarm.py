"""The encryption signal: many files whose content becomes dense, within the brake's window (semantics,
"Deletion safety" 3).

Only overwrites are looked at, and of these a sample: the beginning of both versions. Where encryption gives
files a new suffix as well, the old names are gone, and the brake counts deletions.
"""

import sqlite3
from collections.abc import Mapping, Sequence

import msgspec

from syncd.core.action import Put
from syncd.core.entropy import SAMPLE, jumps
from syncd.core.entry import Kind, Side
from syncd.core.error import SyncdError
from syncd.core.guard import Brake, Hold, SideTotals
from syncd.core.plan import Destructive, Plan, digest_of, plan_id
from syncd.core.reason import Reason
from syncd.index import meta
from syncd.index.database import Database
from syncd.sync.settings import BOTH
from syncd.tree.port import Tree

SAMPLED = 16
"""Files of one plan and side that are looked into."""
_KEY = "alarm.dense"
_Recent = dict[int, list[tuple[int, int]]]
"""By side: when, and how many files became dense."""


class Alarm:
    """Watches the overwrites of one pair. Only the gate asks it."""

    def __init__(self, database: Database, trees: Mapping[Side, Tree]) -> None:
        self._database = database
        self._trees = trees

    async def review(
        self,
        plan: Plan,
        totals: Mapping[Side, SideTotals],
        brake: Brake,
        approved: frozenset[str],
        *,
        now_ns: int,
        since_ns: int,
    ) -> Hold | None:
        """The hold of the overwrites of one side, None where there is nothing to fear."""
        for side in BOTH:
            waiting = [item for item in overwrites(plan, side) if digest_of(item) not in approved]
            if not waiting:
                continue
            share = await self._dense_share(waiting, side)
            fresh = round(len(waiting) * share)
            if not fresh:
                continue
            before = await self._database.read(recent, side, since_ns)
            here, files = totals[side], before + fresh
            if share >= 0.75 and files >= brake.files and files * 100 >= brake.percent * here.window_files:
                detail = f"{files} of {here.window_files} files of the {side.word} would become unreadable"
                return Hold(Reason.MASS_CHANGE, detail, plan_id(waiting), tuple(waiting))
            await self._database.write(remember, side, fresh, now_ns, since_ns)
        return None

    async def _dense_share(self, waiting: Sequence[Destructive], side: Side) -> float:
        """The share of a sample whose content is dense now and was not."""
        step = max(1, len(waiting) // SAMPLED)
        paths = [item.path for item in waiting[::step]][:SAMPLED]
        try:
            old = await self._trees[side].sample(paths, SAMPLE)
            new = await self._trees[side.other].sample(paths, SAMPLE)
        except SyncdError:
            return 0.0
        return sum(map(jumps, old, new)) / len(paths)


def overwrites(plan: Plan, side: Side) -> list[Destructive]:
    """Files that would be replaced by other content, sorted by path."""
    found = [
        Destructive(side, action.path, action.expect, is_overwrite=True)
        for _, action in plan.actions
        if isinstance(action, Put)
        and action.side is side
        and action.expect is not None
        and action.origin == action.path
        and action.expect.kind is action.entry.kind is Kind.FILE
    ]
    return sorted(found, key=lambda item: item.path)


def _load(db: sqlite3.Connection) -> _Recent:
    packed = meta.get(db, _KEY)
    return {} if packed is None else msgspec.msgpack.decode(packed, type=_Recent)


def recent(db: sqlite3.Connection, side: Side, since_ns: int) -> int:
    """Files of a side that became dense since then."""
    return sum(count for at_ns, count in _load(db).get(int(side), ()) if at_ns >= since_ns)


def remember(db: sqlite3.Connection, side: Side, count: int, now_ns: int, since_ns: int) -> None:
    """These went on; they count for what follows."""
    known = _load(db)
    kept = [one for one in known.get(int(side), ()) if one[0] >= since_ns]
    known[int(side)] = [*kept, (now_ns, count)]
    meta.put(db, _KEY, msgspec.msgpack.encode(known))


def forget(db: sqlite3.Connection) -> None:
    """A person approved: the window begins anew."""
    meta.clear(db, _KEY)
