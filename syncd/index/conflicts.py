"""Conflict records: what both sides had, who kept the name, where the loser's bytes are."""

import sqlite3

import msgspec

from syncd.core.conflict import OPEN, SETTLED, ConflictRecord
from syncd.core.reason import Reason

_SELECT = "SELECT record FROM conflicts"
_NEWEST_FIRST = "ORDER BY at_ns DESC, conflict_id DESC"


class ConflictCounts(msgspec.Struct, frozen=True):
    """`open` counts all open records, `manual` those among them that wait for a person."""

    total: int = 0
    open: int = 0
    manual: int = 0


def put(db: sqlite3.Connection, record: ConflictRecord) -> bool:
    """Store a record; the same id again replaces it, but never forgets where the loser lies. True when it
    is a new one."""
    known = get(db, record.id)
    if known is not None:
        record = msgspec.structs.replace(
            record, trash=record.trash or known.trash, loser_copy=record.loser_copy or known.loser_copy
        )
    is_manual = record.winner is None or record.kind is Reason.CONFLICT_MANUAL
    db.execute(
        "INSERT INTO conflicts (conflict_id, path, state, is_manual, at_ns, record)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (conflict_id) DO UPDATE SET"
        " path = excluded.path, state = excluded.state, is_manual = excluded.is_manual,"
        " at_ns = excluded.at_ns, record = excluded.record",
        (record.id, record.path, record.state, is_manual, record.at_ns, msgspec.msgpack.encode(record)),
    )
    return known is None


def get(db: sqlite3.Connection, conflict_id: str) -> ConflictRecord | None:
    row = db.execute(f"{_SELECT} WHERE conflict_id = ?", (conflict_id,)).fetchone()
    return None if row is None else _record(row[0])


def newest_at(db: sqlite3.Connection, path: bytes) -> ConflictRecord | None:
    """The latest record about a path."""
    row = db.execute(f"{_SELECT} WHERE path = ? {_NEWEST_FIRST} LIMIT 1", (path,)).fetchone()
    return None if row is None else _record(row[0])


def list_at(db: sqlite3.Connection, path: bytes) -> list[ConflictRecord]:
    """All records about a path, the newest first."""
    return [_record(row[0]) for row in db.execute(f"{_SELECT} WHERE path = ? {_NEWEST_FIRST}", (path,))]


def list_all(db: sqlite3.Connection, limit: int = -1) -> list[ConflictRecord]:
    """All records, the newest first."""
    return [_record(row[0]) for row in db.execute(f"{_SELECT} {_NEWEST_FIRST} LIMIT ?", (limit,))]


def list_open(db: sqlite3.Connection) -> list[ConflictRecord]:
    """Open records, the newest first."""
    rows = db.execute(f"{_SELECT} WHERE state = ? {_NEWEST_FIRST}", (OPEN,))
    return [_record(row[0]) for row in rows]


def settle(db: sqlite3.Connection, conflict_id: str) -> ConflictRecord | None:
    """Mark a record settled; the record as it is then, None when nothing has this id."""
    record = get(db, conflict_id)
    if record is None:
        return None
    settled = msgspec.structs.replace(record, state=SETTLED)
    db.execute(
        "UPDATE conflicts SET state = ?, record = ? WHERE conflict_id = ?",
        (SETTLED, msgspec.msgpack.encode(settled), conflict_id),
    )
    return settled


def remove(db: sqlite3.Connection, conflict_id: str) -> None:
    db.execute("DELETE FROM conflicts WHERE conflict_id = ?", (conflict_id,))


def counts(db: sqlite3.Connection) -> ConflictCounts:
    row = db.execute(
        "SELECT count(*), coalesce(sum(state = ?), 0), coalesce(sum(state = ? AND is_manual), 0)"
        " FROM conflicts",
        (OPEN, OPEN),
    ).fetchone()
    return ConflictCounts(*row)


def pinned_batches(db: sqlite3.Connection) -> frozenset[str]:
    """Trash batches that open records point into: they never expire."""
    return frozenset(record.trash.batch for record in list_open(db) if record.trash is not None)


def _record(packed: bytes) -> ConflictRecord:
    return msgspec.msgpack.decode(packed, type=ConflictRecord)
