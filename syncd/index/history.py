"""The journal: what was done, batch by batch, and how much of each side was deleted lately."""

import sqlite3
from collections.abc import Sequence

import msgspec

from syncd.core.action import Delete, Done, MakeDirectory, Move, Put, RemoveDirectory, SetMode, TrashRef
from syncd.core.entry import Entry, Side
from syncd.index import bulk
from syncd.index.rows import Row

VERBS = ("", "mkdir", "put", "move", "delete", "rmdir", "chmod")
_PUT, _DELETE = 2, 4
_NOTHING_GONE = (None, None, None)
"""Old mode, trash batch and slot of what took a free name."""


class HistoryBatch(msgspec.Struct, frozen=True):
    """One batch. `ended_ns` None: it was interrupted, or goes on."""

    name: str
    started_ns: int
    ended_ns: int | None
    actions: int


class HistoryAction(msgspec.Struct, frozen=True, gc=False):
    """One action that was done. `other_path`: where a put read from, where a move went. `trash`: where the
    bytes lie that it replaced or removed. `size` is that of the new file, or of the deleted one."""

    batch: str
    at_ns: int
    verb: str
    side: Side
    path: bytes
    other_path: bytes | None
    size: int
    old_mode: int | None
    trash: TrashRef | None


def batch_id(db: sqlite3.Connection, name: str, now_ns: int) -> int:
    """The number of a batch, which begins with its first result."""
    row = db.execute("SELECT batch_id FROM batches WHERE name = ?", (name,)).fetchone()
    if row is not None:
        return int(row[0])
    inserted = db.execute("INSERT INTO batches (name, started_ns) VALUES (?, ?)", (name, now_ns))
    return int(inserted.lastrowid or 0)


def add(db: sqlite3.Connection, batch: str, now_ns: int, done: Sequence[Done]) -> None:
    """Journal what was done in one batch; the batch ends with its latest result."""
    if not done:
        return
    number = batch_id(db, batch, now_ns)
    bulk.execute(
        db,
        "INSERT OR FAIL INTO actions"
        " (batch_id, at_ns, verb, side, path, other_path, size, old_mode, trash_batch, trash_slot)",
        [_row(number, now_ns, one, batch) for one in done],
    )
    db.execute("UPDATE batches SET ended_ns = ? WHERE batch_id = ?", (now_ns, number))


def _row(number: int, now_ns: int, done: Done, batch: str) -> Row:
    action, trash = done.action, done.trash
    if type(action) is Put and action.expect is None and action.origin == action.path and trash is None:
        # The many of a first copy.
        return number, now_ns, _PUT, int(action.side), action.path, None, action.entry.size, *_NOTHING_GONE
    verb, other, size, expect = _facts(action)
    return (
        number,
        now_ns,
        verb,
        int(action.side),
        action.path,
        other,
        size,
        None if expect is None else expect.mode,
        None if trash is None or trash.batch == batch else trash.batch,
        None if trash is None else trash.slot,
    )


def _facts(
    action: MakeDirectory | Put | Move | Delete | RemoveDirectory | SetMode,
) -> tuple[int, bytes | None, int, Entry | None]:
    """verb, other path, size, what was there before."""
    match action:
        case MakeDirectory():
            return 1, None, 0, None
        case Put():
            other = action.origin if action.origin != action.path else None
            return _PUT, other, action.entry.size, action.expect
        case Move():
            return 3, action.to, action.expect.size, action.expect
        case Delete():
            return _DELETE, None, action.expect.size, action.expect
        case RemoveDirectory():
            return 5, None, 0, action.expect
        case SetMode():
            return 6, None, 0, action.expect


def batches(db: sqlite3.Connection, limit: int = 50, before_ns: int | None = None) -> list[HistoryBatch]:
    """Batches, the newest first."""
    rows = db.execute(
        "SELECT name, started_ns, ended_ns,"
        " (SELECT count(*) FROM actions a WHERE a.batch_id = b.batch_id) FROM batches b"
        " WHERE ? IS NULL OR started_ns < ? ORDER BY batch_id DESC LIMIT ?",
        (before_ns, before_ns, limit),
    )
    return [HistoryBatch(*row) for row in rows]


_ACTIONS = (
    "SELECT b.name, a.at_ns, a.verb, a.side, a.path, a.other_path, a.size, a.old_mode, a.trash_batch,"
    " a.trash_slot FROM actions a JOIN batches b USING (batch_id)"
)


def actions(db: sqlite3.Connection, batch: str) -> list[HistoryAction]:
    """What a batch did, in order."""
    return [_action(row) for row in db.execute(f"{_ACTIONS} WHERE b.name = ? ORDER BY action_id", (batch,))]


def since(db: sqlite3.Connection, at_ns: int, limit: int = -1) -> list[HistoryAction]:
    """What was done after `at_ns`, the newest first: to look at a subtree as it stood then."""
    return [
        _action(row)
        for row in db.execute(f"{_ACTIONS} WHERE a.at_ns > ? ORDER BY action_id DESC LIMIT ?", (at_ns, limit))
    ]


def _action(
    row: tuple[str, int, int, int, bytes, bytes | None, int, int | None, str | None, str | None],
) -> HistoryAction:
    batch, at_ns, verb, side, path, other, size, old_mode, trash_batch, slot = row
    trash = None if slot is None else TrashRef(Side(side), trash_batch or batch, slot)
    return HistoryAction(batch, at_ns, VERBS[verb], Side(side), path, other, size, old_mode, trash)


def deleted_since(db: sqlite3.Connection, side: Side, since_ns: int) -> tuple[int, int]:
    """Files (links included) and bytes deleted at one side since then."""
    row = db.execute(
        "SELECT count(*), coalesce(sum(size), 0) FROM actions WHERE verb = 4 AND side = ? AND at_ns >= ?",
        (int(side), since_ns),
    ).fetchone()
    return int(row[0]), int(row[1])


def prune(db: sqlite3.Connection, before_ns: int, pinned: frozenset[str] = frozenset()) -> int:
    """Drop batches that ended before `before_ns`, except for the `pinned` ones; returns how many went."""
    rows = db.execute(
        "SELECT batch_id, name FROM batches WHERE coalesce(ended_ns, started_ns) < ?", (before_ns,)
    ).fetchall()
    dropped = [(number,) for number, name in rows if name not in pinned]
    db.executemany("DELETE FROM actions WHERE batch_id = ?", dropped)
    db.executemany("DELETE FROM batches WHERE batch_id = ?", dropped)
    return len(dropped)


class HistoryRow(msgspec.Struct, frozen=True, gc=False):
    """One journaled action with its number, as `syncctl history` pages through them."""

    entry_id: int
    batch: str
    at_ns: int
    verb: str
    side: Side
    path: bytes
    other_path: bytes | None
    size: int
    trash: TrashRef | None


def page(
    db: sqlite3.Connection, limit: int, *, before: int | None = None, beneath: bytes | None = None
) -> list[HistoryRow]:
    """Actions, the newest first: older than number `before`, at and beneath a path where one is named."""
    rows = db.execute(
        "SELECT a.action_id, b.name, a.at_ns, a.verb, a.side, a.path, a.other_path, a.size, a.trash_batch,"
        " a.trash_slot FROM actions a JOIN batches b USING (batch_id)"
        " WHERE (:before IS NULL OR a.action_id < :before)"
        " AND (:path IS NULL OR a.path = :path OR a.other_path = :path"
        " OR (a.path > :first AND a.path < :past) OR :path = x'')"
        " ORDER BY a.action_id DESC LIMIT :limit",
        {
            "before": before,
            "path": beneath,
            # Joined here: SQLite's || makes text of blobs, and no blob is less than a text.
            "first": (beneath or b"") + b"/",
            "past": (beneath or b"") + b"0",
            "limit": limit,
        },
    )
    return [_history_row(row) for row in rows]


def _history_row(
    row: tuple[int, str, int, int, int, bytes, bytes | None, int, str | None, str | None],
) -> HistoryRow:
    entry_id, batch, at_ns, verb, side, path, other, size, trash_batch, slot = row
    trash = None if slot is None else TrashRef(Side(side), trash_batch or batch, slot)
    return HistoryRow(entry_id, batch, at_ns, VERBS[verb], Side(side), path, other, size, trash)
