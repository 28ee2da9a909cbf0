"""Paths that are not in sync and wait: for another attempt, for an approval, or for a person."""

import sqlite3
from collections.abc import Iterable

import msgspec

from syncd.core.entry import Side
from syncd.core.reason import Reason

FIRST_DELAY_NS = 10**9
LONGEST_DELAY_NS = 3600 * 10**9
SLACK_NS = 60 * 10**9
"""A clock that was set back by less puts an attempt off by no more."""
QUARANTINE_AFTER = 12
"""Failed attempts, over about an hour; from then on a path is tried once an hour."""

HELD = frozenset(
    {
        Reason.MASS_DELETE,
        Reason.MASS_CHANGE,
        Reason.SIDE_EMPTIED,
        Reason.FIRST_RUN,
        Reason.STATE_LOST,
    }
)
"""The path is part of a held plan."""
NOTES = frozenset(
    {
        Reason.SPECIAL_FILE,
        Reason.OTHER_FILESYSTEM,
        Reason.KEPT_FOR_IGNORED,
        Reason.LEFT_ALONE,
        Reason.IGNORED,
        Reason.UNDONE,
    }
)
"""Worth showing, nothing to mend."""
MANUAL = frozenset(
    {Reason.CONFLICT_MANUAL, Reason.CONFLICT_MODIFIED, Reason.CONFLICT_ADDED, Reason.CONFLICT_MOVED}
)
SUSPECT = frozenset({Reason.SUSPECT_TRUNCATED, Reason.SUSPECT_TORN})
"""What a crash may have left of a file."""
_IN_PASSING = frozenset({Reason.CHANGING, Reason.BLOCKED, Reason.PENDING}) | SUSPECT
"""Nothing has failed: it is not the time yet."""
OF_THE_SIDE = frozenset({Reason.DISK_FULL, Reason.READ_ONLY})
"""Not the path's fault, however often it is tried."""
WAITING = HELD | NOTES | MANUAL
"""No attempt by itself: a change of the path, an approval or a person brings it back."""


class PendingRow(msgspec.Struct, frozen=True, gc=False):
    """One waiting path. `side` None: both or neither. `next_attempt_ns` None: it waits for you."""

    path: bytes
    side: Side | None
    reason: Reason
    detail: str
    attempts: int
    next_attempt_ns: int | None
    since_ns: int
    is_observed: bool = False
    """An observation failed here: only another one can tell that it is over."""

    def is_due(self, now_ns: int) -> bool:
        """Has the time of the next attempt come? If it is further ahead than was ever planned, the wall clock
        was set back since: then nobody knows, and it is tried."""
        at_ns, longest_ns = self.next_attempt_ns, delay_ns(max(1, self.attempts)) + SLACK_NS
        return at_ns is not None and not now_ns < at_ns <= now_ns + longest_ns

    @property
    def is_quarantined(self) -> bool:
        """Has it failed again and again?"""
        return self.attempts >= QUARANTINE_AFTER and self.reason not in WAITING | _IN_PASSING | OF_THE_SIDE

    @property
    def shown_reason(self) -> Reason:
        """What people are told."""
        return Reason.QUARANTINED if self.is_quarantined else self.reason

    @property
    def shown_detail(self) -> str:
        """With the reason behind a quarantine."""
        if not self.is_quarantined:
            return self.detail
        return f"{self.reason.value}: {self.detail or self.reason.explanation}"

    @property
    def is_held(self) -> bool:
        """Part of a plan that waits for approval."""
        return self.reason in HELD


class PendingSummary(msgspec.Struct, frozen=True):
    """Counts for status. `oldest_ns`: since when the oldest issue is open."""

    issues: int = 0
    held: int = 0
    manual: int = 0
    notes: int = 0
    oldest_ns: int | None = None
    next_attempt_ns: int | None = None


_DUE = (
    "(next_attempt_ns <= :now OR next_attempt_ns >"
    " :now + :slack + iif(attempts < :many, :first << max(attempts - 1, 0), :longest))"
)
"""As `PendingRow.is_due`."""

_REASONS = {reason.value: reason for reason in Reason}

_SELECT = "SELECT path, side, reason, detail, attempts, next_attempt_ns, since_ns, is_observed FROM pending"


def put(
    db: sqlite3.Connection,
    path: bytes,
    side: Side | None,
    reason: Reason,
    detail: str,
    now_ns: int,
    *,
    is_observed: bool = False,
) -> None:
    """Note why `path` waits. The same reason again is another failed attempt: the next one comes later."""
    row = db.execute("SELECT reason, attempts, since_ns FROM pending WHERE path = ?", (path,)).fetchone()
    attempts, since_ns = (row[1] + 1, row[2]) if row is not None and row[0] == reason.value else (1, now_ns)
    next_ns = None if reason in WAITING else now_ns + delay_ns(attempts)
    db.execute(
        "INSERT INTO pending (path, side, reason, detail, attempts, next_attempt_ns, since_ns, is_observed)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET side = excluded.side,"
        " reason = excluded.reason, detail = excluded.detail, attempts = excluded.attempts,"
        " next_attempt_ns = excluded.next_attempt_ns, since_ns = excluded.since_ns,"
        " is_observed = excluded.is_observed",
        (path, int(side or 0), reason.value, detail, attempts, next_ns, since_ns, is_observed),
    )


def delay_ns(attempts: int) -> int:
    """Doubling back-off: 1 s after the first failure, an hour from QUARANTINE_AFTER on."""
    if attempts >= QUARANTINE_AFTER:
        return LONGEST_DELAY_NS
    return int(min(FIRST_DELAY_NS << min(attempts - 1, 20), LONGEST_DELAY_NS))


def put_held(
    db: sqlite3.Connection, items: Iterable[tuple[bytes, Side]], reason: Reason, now_ns: int
) -> None:
    """The paths of a held plan. Their number of attempts does not grow."""
    db.executemany(
        "INSERT INTO pending (path, side, reason, detail, attempts, next_attempt_ns, since_ns)"
        " VALUES (?, ?, ?, '', 0, NULL, ?) ON CONFLICT (path) DO UPDATE SET side = excluded.side,"
        " since_ns = iif(pending.reason = excluded.reason, pending.since_ns, excluded.since_ns),"
        " reason = excluded.reason, detail = '', attempts = 0, next_attempt_ns = NULL, is_observed = 0",
        [(path, int(side), reason.value, now_ns) for path, side in items],
    )


def clear(db: sqlite3.Connection, paths: Iterable[bytes]) -> int:
    """These paths wait no more; returns how many did."""
    return db.executemany("DELETE FROM pending WHERE path = ?", [(path,) for path in paths]).rowcount


def done(db: sqlite3.Connection, paths: Iterable[bytes]) -> None:
    """An action went through at these paths. What could not be observed there (a directory that was made at
    the other side, and cannot be listed here) still waits."""
    db.executemany("DELETE FROM pending WHERE path = ? AND NOT is_observed", [(path,) for path in paths])


def get(db: sqlite3.Connection, path: bytes) -> PendingRow | None:
    row = db.execute(f"{_SELECT} WHERE path = ?", (path,)).fetchone()
    return None if row is None else _row(row)


def list_all(db: sqlite3.Connection, limit: int = -1, after: bytes | None = None) -> list[PendingRow]:
    """Waiting paths past `after` (None: from the root itself on), sorted as bytes."""
    where, given = ("", ()) if after is None else (" WHERE path > ?", (after,))
    return [_row(row) for row in db.execute(f"{_SELECT}{where} ORDER BY path LIMIT ?", (*given, limit))]


def count(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM pending").fetchone()[0])


def has(db: sqlite3.Connection, reason: Reason) -> bool:
    """Does any path wait for this reason?"""
    return (
        db.execute("SELECT 1 FROM pending WHERE reason = ? LIMIT 1", (reason.value,)).fetchone() is not None
    )


def due(db: sqlite3.Connection, now_ns: int | None, everything: bool = False) -> list[bytes]:
    """Paths whose next attempt is due at `now_ns` (None: none), or `everything` that waits."""
    if everything:
        rows = db.execute("SELECT path FROM pending").fetchall()
    elif now_ns is None:
        return []
    else:
        rows = db.execute(f"SELECT path FROM pending WHERE {_DUE}", _due_at(now_ns)).fetchall()  # noqa: S608
    return [row[0] for row in rows]


def _due_at(now_ns: int) -> dict[str, int]:
    bounds = {"first": FIRST_DELAY_NS, "longest": LONGEST_DELAY_NS, "many": QUARANTINE_AFTER}
    return {"now": now_ns, "slack": SLACK_NS, **bounds}


def summary(db: sqlite3.Connection) -> PendingSummary:
    counts = {"issues": 0, "held": 0, "manual": 0, "notes": 0}
    oldest: int | None = None
    rows = db.execute("SELECT reason, count(*), min(since_ns) FROM pending GROUP BY reason").fetchall()
    for code, number, since_ns in rows:
        sort = _sort(reason_of(code))
        counts[sort] += number
        if sort == "issues":
            oldest = since_ns if oldest is None else min(oldest, since_ns)
    next_ns = db.execute("SELECT min(next_attempt_ns) FROM pending").fetchone()[0]
    return PendingSummary(**counts, oldest_ns=oldest, next_attempt_ns=next_ns)


def reason_of(code: str) -> Reason:
    """The member of a stored code (its constructor has another signature)."""
    return _REASONS[code]


def _sort(reason: Reason) -> str:
    if reason in HELD:
        return "held"
    if reason in MANUAL:
        return "manual"
    return "notes" if reason in NOTES else "issues"


def _row(row: tuple[bytes, int, str, str, int, int | None, int, int]) -> PendingRow:
    path, side, reason, detail, attempts, next_ns, since_ns, is_observed = row
    where = Side(side) if side else None
    return PendingRow(path, where, reason_of(reason), detail, attempts, next_ns, since_ns, bool(is_observed))


def by_reason(db: sqlite3.Connection, reason: Reason) -> list[PendingRow]:
    """The rows of one reason, sorted by path."""
    return [_row(row) for row in db.execute(f"{_SELECT} WHERE reason = ? ORDER BY path", (reason.value,))]


def observed(db: sqlite3.Connection, side: Side | None = None) -> list[PendingRow]:
    """The rows that an observation (of one side, where it is named) made."""
    rows = map(_row, db.execute(f"{_SELECT} WHERE is_observed").fetchall())
    return [row for row in rows if side is None or row.side is side]


def make_due(db: sqlite3.Connection, paths: Iterable[bytes]) -> None:
    """What an observation found is over; the paths are to be reconciled at the next chance."""
    db.executemany(
        "UPDATE pending SET reason = ?, detail = '', is_observed = 0, next_attempt_ns = 0 WHERE path = ?",
        [(Reason.PENDING.value, path) for path in paths],
    )


def postpone(db: sqlite3.Connection, now_ns: int) -> None:
    """Whatever is due gets its next attempt later, so that a path that is not even tried is never urgent."""
    rows = db.execute(
        f"SELECT path, attempts + (reason = :blocked) FROM pending WHERE {_DUE}",  # noqa: S608
        {"blocked": Reason.BLOCKED.value, **_due_at(now_ns)},
    ).fetchall()
    db.executemany(
        "UPDATE pending SET attempts = ?, next_attempt_ns = ? WHERE path = ?",
        [(attempts, now_ns + delay_ns(max(1, attempts)), path) for path, attempts in rows],
    )


def put_blocked(db: sqlite3.Connection, paths: Iterable[bytes], now_ns: int) -> None:
    """These wait for other paths. A path that waits for another reason already keeps that."""
    db.executemany(
        "INSERT INTO pending (path, reason, attempts, next_attempt_ns, since_ns) VALUES (?, ?, 1, ?, ?)"
        " ON CONFLICT (path) DO NOTHING",
        [(path, Reason.BLOCKED.value, now_ns + FIRST_DELAY_NS, now_ns) for path in paths],
    )


def blocked(db: sqlite3.Connection) -> list[bytes]:
    """The paths that wait for others."""
    rows = db.execute("SELECT path FROM pending WHERE reason = ?", (Reason.BLOCKED.value,)).fetchall()
    return [row[0] for row in rows]


def held_paths(db: sqlite3.Connection) -> list[bytes]:
    """Paths that are part of a held plan."""
    codes = [reason.value for reason in HELD]
    marks = ", ".join("?" * len(codes))
    return [row[0] for row in db.execute(f"SELECT path FROM pending WHERE reason IN ({marks})", codes)]  # noqa: S608
