"""Opening a data base that may be damaged: what cannot be trusted is put aside, never deleted.

Losing the state costs time, not data: without a base the next sync is a first sync. Nothing above the index
may be imported.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

from syncd.core.error import TransientError
from syncd.core.reason import Reason
from syncd.index import seal
from syncd.index.database import Database, new_epoch
from syncd.index.driver import Driver, ThreadDriver
from syncd.index.failure import StateDamaged, mapping_errors
from syncd.index.migrate import APPLICATION_ID

SUFFIXES = ("", "-wal", "-shm", ".seal", ".damaged")


class Rebuilt(msgspec.Struct, frozen=True):
    """The state was damaged: where it lies now, and why it was not trusted."""

    aside: Path
    detail: str


async def open_or_rebuild(
    path: Path,
    schema: str = "pair",
    *,
    stamp: str,
    driver: type[Driver] = ThreadDriver,
    epoch: Callable[[], str] = new_epoch,
) -> tuple[Database, Rebuilt | None]:
    """Open the state at `path`. Damaged, truncated, zeroed or somebody else's, it is moved to
    `PATH.bad-STAMP` and a fresh one is made.

    Raises NeedsUser (STATE_NEWER), TransientError (STATE_BUSY, STATE_UNWRITABLE). No connection of this
    process may be open on the file.
    """
    why = await anyio.to_thread.run_sync(_check, path)
    if why is None:
        try:
            return await Database.open(path, schema, driver=driver, epoch=epoch), None
        except StateDamaged as error:
            why = error.detail or "damaged"
        except sqlite3.DatabaseError as error:
            # Readable pages with senseless content: a table is missing, a value is of another kind.
            why = str(error)
    rebuilt = Rebuilt(put_aside(path, stamp), why)
    return await Database.open(path, schema, driver=driver, epoch=epoch), rebuilt


def _check(path: Path) -> str | None:
    """Why the file must not be trusted; None when it may be (or is not there)."""
    if seal.damage_mark(path).exists():
        return "an earlier run found it damaged"
    try:
        if not path.exists():
            return None
        if path.stat().st_size == 0:
            return "it is empty"
        is_sealed = seal.check_seal(path)
    except OSError as error:
        raise TransientError(Reason.STATE_UNWRITABLE, str(error)) from error
    if is_sealed is False:
        return "its bytes are not those that were written"
    if is_sealed:
        _drop_foreign_wal(path)
    try:
        return _look_inside(path, is_sealed=bool(is_sealed))
    except StateDamaged as error:
        return error.detail
    except sqlite3.DatabaseError as error:
        return str(error)


def _look_inside(path: Path, *, is_sealed: bool) -> str | None:
    with mapping_errors(), closing(sqlite3.connect(path, timeout=30.0, isolation_level=None)) as db:
        application = db.execute("PRAGMA application_id").fetchone()[0]
        if not application and _is_unmade(db):
            return None
        if application != APPLICATION_ID:
            return "it is the data base of another program"
        if is_sealed:
            return None
        # The indexes hold every name a second time: unlike quick_check this finds flipped bytes in names.
        answer = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    return None if answer == "ok" else str(answer)


def _is_unmade(db: sqlite3.Connection) -> bool:
    """Is it what a first start leaves that was killed before its first commit: a header and no table?"""
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    return bool(pages == 1 and not db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])


def _drop_foreign_wal(path: Path) -> None:
    """A sealed file is complete: a log beside it belongs to another one."""
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def put_aside(path: Path, stamp: str) -> Path:
    """Move the state and what belongs to it away; returns where it is now. Never overwrites an older one."""
    aside = path.with_name(f"{path.name}.bad-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.bad-{stamp}.{number}")
    try:
        for suffix in reversed(SUFFIXES):
            part = path.with_name(path.name + suffix)
            if part.exists():
                os.replace(part, aside.with_name(aside.name + suffix))
    except OSError as error:
        raise TransientError(Reason.STATE_UNWRITABLE, str(error)) from error
    return aside
