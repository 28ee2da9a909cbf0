"""SQLite's errors as syncd's own: the one place where they are mapped."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from syncd.core.error import SyncdError, TransientError
from syncd.core.reason import Reason

_PRIMARY = 0xFF
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_UNWRITABLE = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_NOLFS,
    }
)
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})


class StateDamaged(TransientError):
    """The data base contradicts itself. Opening it again (`rebuild.open_or_rebuild`) puts it aside."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(Reason.STATE_DAMAGED, detail)


def mapped(error: sqlite3.Error) -> SyncdError | None:
    """The error as the callers know it; None for a mistake of our own (bad SQL, a broken constraint)."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    if code & _PRIMARY in _DAMAGED:
        return StateDamaged(str(error))
    if code & _PRIMARY in _BUSY:
        return TransientError(Reason.STATE_BUSY, str(error))
    if code & _PRIMARY in _UNWRITABLE:
        return TransientError(Reason.STATE_UNWRITABLE, str(error))
    return None


@contextmanager
def mapping_errors() -> Iterator[None]:
    """Raise SQLite's errors as SyncdError where they have a meaning."""
    try:
        yield
    except sqlite3.Error as error:
        meaning = mapped(error)
        if meaning is None:
            raise
        raise meaning from error
