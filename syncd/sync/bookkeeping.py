"""What a round reads and writes in one piece of the index: planning against it, verdicts into it.

Plain functions over a connection, run by `Database.read` and `Database.write`; no awaiting, no tree.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence

from syncd.core import path as paths
from syncd.core.action import Level
from syncd.core.conflict import OPEN, ConflictRecord
from syncd.core.entry import Kind, Side
from syncd.core.filter import Filter
from syncd.core.guard import Hold
from syncd.core.listing import unpack
from syncd.core.move import upgrade
from syncd.core.plan import Destructive, Plan, make, plan_round
from syncd.core.reason import Reason
from syncd.core.reconcile import Outcome
from syncd.core.rules import Rules
from syncd.index import base, choices, conflicts, feed, meta, nodes, pending, records, results, triples
from syncd.index.dirty import DirtyPath, merge
from syncd.sync.observe import Observation
from syncd.sync.settings import BOTH, Extent

READER = "cycle"
"""The name under which the cycle acknowledges the feed."""

TOLD = frozenset({Reason.SPECIAL_FILE, Reason.KEPT_FOR_IGNORED, Reason.NOT_EMPTY}) | pending.SUSPECT
"""Why a path is left alone, where that is worth a note or an issue."""

MAX_VERDICTS = 10_000
"""Unsynchronised names that are judged before a directory is rather moved child by child."""


class Reconciled:
    """The paths of a round, to ask whether one was among them."""

    def __init__(self, scope: Sequence[DirtyPath]) -> None:
        self._single = {item.path for item in scope}
        self._deep = {item.path for item in scope if item.is_deep}

    def __contains__(self, path: bytes) -> bool:
        return path in self._single or any(above in self._deep for above in paths.ancestors(path))


def store_verdicts(
    db: sqlite3.Connection,
    plan: Plan,
    scope: Sequence[DirtyPath],
    unsettled: set[bytes],
    hold: Hold | None,
    now_ns: int,
) -> list[ConflictRecord]:
    """Everything of a round that needs no action: adoptions, open conflicts, holds, issues that are gone.

    Returns the conflict records that are new.
    """
    results.adopt(db, plan.adopt)
    results.forget(db, plan.forget)
    fresh = [record for record in open_drafts(plan) if conflicts.put(db, record)]
    held = {item.path for item in hold.destructive} if hold is not None else set()
    seen = Reconciled(scope)
    unsettled = unsettled - settled_by(plan)
    clear_settled(db, seen, unsettled, held)
    if hold is not None:
        pending.put_held(db, [(item.path, item.side) for item in hold.destructive], hold.reason, now_ns)
    store_notes(db, plan.left, now_ns)
    settle_conflicts(db, seen, unsettled)
    return fresh


def settled_by(plan: Plan) -> set[bytes]:
    """Paths that are fine as soon as the plan is written down: no action will say so later."""
    return {
        *({path for path, _, _ in plan.adopt} - set(plan.followed)),
        *plan.forget,
        *(path for path, reason in plan.left if reason is Reason.LEFT_ALONE),
    }


def store_notes(db: sqlite3.Connection, left: Sequence[tuple[bytes, Reason]], now_ns: int) -> None:
    """What stays as it is and is worth telling."""
    for path, reason in left:
        if reason not in TOLD:
            continue
        row = pending.get(db, path)
        if row is None or row.reason is not reason:
            pending.put(db, path, None, reason, "", now_ns)


def with_held(db: sqlite3.Connection, named: Sequence[DirtyPath]) -> list[DirtyPath]:
    """`named` and every path that a held plan waits for."""
    held = [DirtyPath(path, is_deep=False) for path in pending.held_paths(db)]
    return merge([*named, *held]) if held else list(named)


def hold_late(db: sqlite3.Connection, items: Sequence[Destructive], reason: Reason, now_ns: int) -> None:
    """What came to light in the middle of a held cycle waits with the rest."""
    pending.put_held(db, [(item.path, item.side) for item in items], reason, now_ns)


def open_drafts(plan: Plan) -> list[ConflictRecord]:
    """The conflicts that nothing is done about: they wait for a person."""
    return [record for record in plan.conflicts if record.state == OPEN and record.loser_copy is None]


def clear_settled(db: sqlite3.Connection, seen: Reconciled, unsettled: set[bytes], held: set[bytes]) -> None:
    """Drop issues of paths that were looked at and are fine, and holds that no plan has any more."""
    gone = []
    for row in pending.list_all(db):
        if row.reason in pending.HELD:
            is_over = row.path not in held
        else:
            is_over = row.path not in unsettled and not row.is_observed
        if is_over and row.path in seen:
            gone.append(row.path)
    pending.clear(db, gone)


def plan_moves(
    db: sqlite3.Connection, outcomes: Sequence[Outcome], rules: Rules, ignore: Filter
) -> Plan | None:
    """Only the renames of directories among `outcomes`; None when there is none."""
    found = upgrade(outcomes, rules, exists_in(db), movable_in(db, ignore))
    moves = [move for move in found.moves if move.expect.kind is Kind.DIRECTORY]
    if not moves:
        return None
    plan = make((), moves, rules, taken=taken_in(db))
    return plan if any(level is Level.MOVE for level, _ in plan.actions) else None


def plan_all(db: sqlite3.Connection, outcomes: Sequence[Outcome], rules: Rules, ignore: Filter) -> Plan:
    """The plan of a round: renames recognised, names in use avoided."""
    return plan_round(
        outcomes,
        rules,
        exists=exists_in(db),
        may_move_directory=movable_in(db, ignore),
        taken=taken_in(db),
    )


def to_come(db: sqlite3.Connection) -> Extent:
    """What the fuller tree holds beyond the base: what a first copy has left, more or less."""
    source, destination, shared = (
        Extent(*row) for row in db.execute("SELECT files, bytes FROM totals ORDER BY tree")
    )
    return Extent(
        max(source.files, destination.files, shared.files) - shared.files,
        max(source.bytes, destination.bytes, shared.bytes) - shared.bytes,
    )


def exists_in(db: sqlite3.Connection) -> Callable[[Side, bytes], bool]:
    """Does a side hold a synchronised path?"""
    return lambda side, path: nodes.find(db, side, path) is not None


def taken_in(db: sqlite3.Connection) -> Callable[[Side, bytes], bool]:
    """Is a name in use on a side, ignored ones included?"""

    def is_taken(side: Side, path: bytes) -> bool:
        directory = nodes.find(db, side, paths.parent(path))
        return directory is not None and records.child(db, directory.node_id, paths.name(path)) is not None

    return is_taken


def movable_in(db: sqlite3.Connection, ignore: Filter) -> Callable[[Side, bytes, bytes], bool]:
    """May a directory be renamed as one? Only if every unsynchronised name in it gets the same verdict."""

    def is_movable(side: Side, old: bytes, new: bytes) -> bool:
        root = nodes.find(db, side, old)
        return ignore.is_empty or root is None or has_same_verdicts(db, root, old, new, ignore)

    return is_movable


def has_same_verdicts(
    db: sqlite3.Connection, root: nodes.Node, old: bytes, new: bytes, ignore: Filter
) -> bool:
    """Would every name beneath `old`, seen or ignored, be judged the same beneath `new`?"""
    judged = 0
    stack = [(root.node_id, b"")]
    while stack:
        node_id, beneath = stack.pop()
        record = records.get(db, node_id)
        for child in unpack(record) if record else ():
            judged += 1
            path = paths.join(beneath, child.name)
            is_directory = child.kind is Kind.DIRECTORY
            before = ignore.is_ignored(paths.join(old, path), is_directory)
            if judged > MAX_VERDICTS or before != ignore.is_ignored(paths.join(new, path), is_directory):
                return False
            node = nodes.child(db, node_id, child.name) if is_directory and not before else None
            if node is not None:
                stack.append((node.node_id, path))
    return True


def settle_conflicts(db: sqlite3.Connection, seen: Reconciled, unsettled: set[bytes]) -> None:
    """A manual conflict is over when its path is in sync, a kept copy when the copy is gone."""
    for record in conflicts.list_open(db):
        if record.loser_copy is not None:
            is_over = all(nodes.find(db, side, record.loser_copy) is None for side in BOTH)
            is_over = is_over and record.loser_copy in seen
        else:
            is_over = record.path not in unsettled and record.path in seen
        if is_over:
            conflicts.settle(db, record.id)
            choices.forget(db, record.path)


def open_conflicts_at(db: sqlite3.Connection, touched: set[bytes]) -> list[bytes]:
    """Paths of open conflicts among `touched`: what was done there may have settled them."""
    if not conflicts.counts(db).open:
        return []
    named = [path for record in conflicts.list_open(db) for path in (record.path, record.loser_copy)]
    return sorted(touched.intersection(path for path in named if path is not None))


def store_problems(
    db: sqlite3.Connection, side: Side, seen: Observation, scanned: Sequence[bytes], now_ns: int
) -> list[bytes]:
    """Issues that an observation found. Those beneath `scanned` that it did not find are gone; their paths
    are returned, to be reconciled: what could not be seen may have kept something else from being done.
    They stay due until that has happened, whatever becomes of this process."""
    found = {path for path, _, _ in seen.problems}
    for path, reason, detail in seen.problems:
        pending.put(db, path, side, reason, detail, now_ns, is_observed=True)
    gone = [
        row.path
        for row in pending.observed(db, side)
        if row.path not in found and any(paths.is_within(row.path, above) for above in scanned)
    ]
    pending.make_due(db, gone)
    return gone


def store_unlisted(db: sqlite3.Connection, unknown: Iterable[bytes], now_ns: int) -> None:
    """Nobody knows what a side holds at these paths: their directories there are to be listed.

    No feed row tells that a directory has been listed at last; this issue does, when it goes.
    """
    wanted: dict[bytes, Side] = {}
    for path in unknown:
        for side in BOTH:
            for above in paths.ancestors(path):
                node = nodes.find(db, side, above)
                if node is not None and not node.is_listed:
                    wanted[above] = side
    for path, side in wanted.items():
        if pending.get(db, path) is None:
            pending.put(db, path, side, Reason.PENDING, "not listed yet", now_ns, is_observed=True)


def store_not_empty(
    db: sqlite3.Connection, side: Side, directories: Sequence[bytes], now_ns: int
) -> set[bytes]:
    """Directories that should go and hold something that the index does not know; those are returned. What
    lives for ignored content only is judged again instead."""
    found = set()
    for path in directories:
        node = nodes.find(db, side, path)
        if node is not None and not triples.holds_only_ignored(db, node.node_id):
            pending.put(db, path, side, Reason.NOT_EMPTY, "", now_ns)
            found.add(path)
    return found


def due_observations(db: sqlite3.Connection, now_ns: int, everything: bool) -> list[tuple[Side, bytes]]:
    """What could not be observed, or was kept for what it holds, and is to be tried again."""
    return [
        (side, row.path)
        for row in (*pending.observed(db), *pending.by_reason(db, Reason.NOT_EMPTY))
        if everything or row.is_due(now_ns)
        for side in (BOTH if row.side is None else (row.side,))
    ]


def not_empty(db: sqlite3.Connection) -> list[bytes]:
    """Directories that wait for someone to take out what is not synchronised."""
    return [row.path for row in pending.by_reason(db, Reason.NOT_EMPTY)]


def forget_unequal(db: sqlite3.Connection, is_ignored: Callable[[bytes, bool], bool], stamp: str) -> None:
    """Mode, filter or root changed: unequal base rows go, and what they are judged by is stored with them."""
    base.drop_unequal(db, is_ignored)
    meta.set_rules(db, stamp)


def acknowledge(db: sqlite3.Connection, seq: int, is_first_sync_done: bool, stamp: str, now_ns: int) -> None:
    """Everything up to `seq` was reconciled to the end."""
    feed.ack(db, READER, seq)
    feed.compact(db, now_ns)
    meta.set_rules(db, stamp)
    if is_first_sync_done:
        meta.set_first_sync_done(db)
