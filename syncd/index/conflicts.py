"""Conflict records: what both sides had, who kept the name, where the loser's bytes are."""

import sqlite3

import msgspec

from syncd.core.conflict import OPEN, SETTLED, ConflictRecord
from syncd.core.reason import Reason


class ConflictCounts(msgspec.Struct, frozen=True):
    """`open` counts all open records, `manual` those among them that wait for a person."""

    total: int = 0
    open: int = 0
    manual: int = 0


def put(db: sqlite3.Connection, record: ConflictRecord) -> None:
    """Store a record; the same id again replaces it, but never forgets where the loser lies."""
    known = get(db, record.id)
    if known is not None:
        record = msgspec.structs.replace(
            record, trash=record.trash or known.trash, loser_copy=record.loser_copy or known.loser_copy
        )
    is_manual = record.winner is None or record.kind is Reason.CONFLICT_MANUAL
    db.execute(
        "INSERT INTO conflicts VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (conflict_id) DO UPDATE SET"
        " path = excluded.path, state = excluded.state, is_manual = excluded.is_manual,"
        " at_ns = excluded.at_ns, record = excluded.record",
        (record.id, record.path, record.state, is_manual, record.at_ns, msgspec.msgpack.encode(record)),
    )


def get(db: sqlite3.Connection, conflict_id: str) -> ConflictRecord | None:
    row = db.execute("SELECT record FROM conflicts WHERE conflict_id = ?", (conflict_id,)).fetchone()
    return None if row is None else _record(row[0])


def newest_at(db: sqlite3.Connection, path: bytes) -> ConflictRecord | None:
    """The latest record about a path."""
    row = db.execute(
        "SELECT record FROM conflicts WHERE path = ? ORDER BY at_ns DESC, conflict_id DESC LIMIT 1", (path,)
    ).fetchone()
    return None if row is None else _record(row[0])


def listed(db: sqlite3.Connection, *, only_open: bool = False, limit: int = -1) -> list[ConflictRecord]:
    """Records, the newest first."""
    where = "WHERE state = ?" if only_open else "WHERE ? IS NOT NULL"
    rows = db.execute(
        f"SELECT record FROM conflicts {where} ORDER BY at_ns DESC, conflict_id DESC LIMIT ?",  # noqa: S608
        (OPEN, limit),
    )
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
        "SELECT count(*), coalesce(sum(state = ?), 0), coalesce(sum(state = ? AND is_manual), 0) FROM conflicts",
        (OPEN, OPEN),
    ).fetchone()
    return ConflictCounts(*row)


def pinned_batches(db: sqlite3.Connection) -> frozenset[str]:
    """Trash batches that open records point into: they never expire."""
    records = listed(db, only_open=True)
    return frozenset(record.trash.batch for record in records if record.trash is not None)


def _record(packed: bytes) -> ConflictRecord:
    return msgspec.msgpack.decode(packed, type=ConflictRecord)
