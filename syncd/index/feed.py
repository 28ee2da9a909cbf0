"""The feed of an index: numbered changes, written by triggers, read by cursor.

A tombstone stays until every reader's ack has passed it and a minimum age is over; a cursor below the floor,
or of another epoch, is answered `needs_resync`. Nothing above the index may be imported.
"""

import sqlite3

from syncd.core.entry import Side
from syncd.core.feed import Change, ChangePage, Cursor
from syncd.index import meta

MIN_AGE_NS = 24 * 3600 * 10**9
"""How long a tombstone stays at least."""
COMPACTED_AT_ONCE = 10_000

_FLOOR = "floor_seq"


def head(db: sqlite3.Connection) -> int:
    """The seq of the latest change; 0 before the first."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'changes'").fetchone()
    return 0 if row is None else int(row[0])


def cursor(db: sqlite3.Connection) -> Cursor:
    """Where a reader stands that has seen everything."""
    return Cursor(meta.epoch(db), head(db))


def floor(db: sqlite3.Connection) -> int:
    """Tombstones up to this seq may be gone: an older cursor is useless."""
    return meta.get_int(db, _FLOOR)


def since(db: sqlite3.Connection, seq: int, limit: int, side: Side | None = None) -> ChangePage:
    """Up to `limit` changes past `seq`, of one tree or of both, with the head of the same state."""
    here = cursor(db)
    if seq < floor(db) or seq > here.seq:
        return ChangePage((), here, needs_resync=True)
    rows = db.execute(_SINCE, (seq, side and int(side), side and int(side), limit + 1)).fetchall()
    changes = tuple(_change(row) for row in rows[:limit])
    return ChangePage(changes, here, more=len(rows) > limit)


def read(db: sqlite3.Connection, at: Cursor, limit: int, side: Side | None = None) -> ChangePage:
    """The same for a cursor: one of another epoch needs a resync."""
    if at.epoch != meta.epoch(db):
        return ChangePage((), cursor(db), needs_resync=True)
    return since(db, at.seq, limit, side)


_SINCE = """
    SELECT c.seq, c.node_id, c.deleted, coalesce(n.parent_id, 0), coalesce(n.name, x''),
           coalesce(c.last_parent_id, n.parent_id, 0), coalesce(c.last_name, n.name, x''),
           coalesce(c.created_seq, c.seq)
      FROM changes c LEFT JOIN nodes n USING (node_id)
     WHERE c.seq > ? AND (? IS NULL OR c.tree = ?)
     ORDER BY c.seq LIMIT ?
"""


def _change(row: tuple[int, int, int, int, bytes, int, bytes, int]) -> Change:
    seq, node_id, deleted, parent_id, name, last_parent_id, last_name, created_seq = row
    return Change(seq, node_id, bool(deleted), parent_id, name, last_parent_id, last_name, created_seq)


def acked(db: sqlite3.Connection, reader: str) -> int:
    """How far a reader has come; 0 for one that never acknowledged anything."""
    row = db.execute("SELECT seq FROM readers WHERE name = ?", (reader,)).fetchone()
    return 0 if row is None else int(row[0])


def ack(db: sqlite3.Connection, reader: str, seq: int) -> None:
    """Everything up to `seq` has been taken in. Never moves back."""
    db.execute(
        "INSERT INTO readers VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET seq = max(readers.seq, excluded.seq)",
        (reader, seq),
    )


def forget_reader(db: sqlite3.Connection, reader: str) -> None:
    """The reader is gone for good and holds back no tombstone."""
    db.execute("DELETE FROM readers WHERE name = ?", (reader,))


def compact(
    db: sqlite3.Connection, now_ns: int, *, min_age_ns: int = MIN_AGE_NS, limit: int = COMPACTED_AT_ONCE
) -> int:
    """Drop up to `limit` tombstones that all readers have passed and that are old enough, and vacated
    places that all have passed; returns how many tombstones went. `now_ns` is wall-clock time."""
    db.execute("INSERT OR IGNORE INTO feed_marks VALUES (?, ?)", (now_ns, head(db)))
    passed = db.execute("SELECT min(seq) FROM readers").fetchone()[0]
    if passed is None:
        return 0
    db.execute("DELETE FROM vacated WHERE seq <= ?", (passed,))
    old = db.execute(
        "SELECT max(seq), max(at_ns) FROM feed_marks WHERE at_ns <= ?", (now_ns - min_age_ns,)
    ).fetchone()
    if old[0] is None:
        return 0
    db.execute("DELETE FROM feed_marks WHERE at_ns < ?", (old[1],))
    rows = db.execute(
        "SELECT seq FROM changes WHERE deleted = 1 AND seq <= ? ORDER BY seq LIMIT ?",
        (min(passed, old[0]), limit),
    ).fetchall()
    if rows:
        db.executemany("DELETE FROM changes WHERE seq = ?", rows)
        meta.put_int(db, _FLOOR, max(floor(db), rows[-1][0]))
    return len(rows)
