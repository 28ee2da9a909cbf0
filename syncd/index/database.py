"""The data base of a pair: opening, pragmas, and transactions that survive cancellation.

All SQL of the index is plain functions over a connection, run here by `read` and `write`. One connection per
data base writes and checkpoints (SQLite up to 3.51.2 has a WAL-reset bug that two can hit). SQLite's errors
become SyncdError here. Nothing above the index may be imported.
"""

import secrets
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar
from urllib.parse import quote

import anyio
import anyio.to_thread

from syncd.index import seal
from syncd.index.driver import Driver, ThreadDriver
from syncd.index.failure import StateDamaged, mapping_errors
from syncd.index.migrate import Migration, load_migrations, migrate, refuse_newer

P = ParamSpec("P")
T = TypeVar("T")

BUSY_TIMEOUT_S = 30.0
CACHE_KIB = 8192
STATEMENTS = 256


def new_epoch() -> str:
    """The name of a new feed, never used before."""
    return secrets.token_hex(8)


class Database:
    """`await Database.open(path)`, then `read` and `write` functions; `close` it, or the process stays."""

    def __init__(self, driver: Driver, path: Path | None, *, is_read_only: bool = False) -> None:
        """For `open` and `read_only`."""
        self.path = path
        self.was_clean = True
        """Was the data base sealed when it was opened (or new)? Otherwise what it says is checked again."""
        self._driver = driver
        self._lock = anyio.Lock()
        self._is_read_only = is_read_only
        self._is_damaged = False

    @classmethod
    async def open(
        cls,
        path: Path | None,
        schema: str = "pair",
        *,
        driver: type[Driver] = ThreadDriver,
        epoch: Callable[[], str] = new_epoch,
        migrations: Sequence[Migration] | None = None,
    ) -> Self:
        """Open (None: in memory), create or migrate. Raises TransientError, and NeedsUser (STATE_NEWER).

        `epoch` names the feed of a new data base. No other connection of this process may be open on the
        file: reading a seal would drop its locks.
        """
        steps = load_migrations(schema) if migrations is None else migrations
        with mapping_errors():
            opened = await driver.open(partial(_connect, path))
        database = cls(opened, path)
        try:
            with mapping_errors():
                database.was_clean = await opened.run(lambda db: _prepare(db, path, steps, epoch))
        except BaseException:
            with anyio.CancelScope(shield=True):
                await opened.close()
            raise
        return database

    @classmethod
    async def read_only(cls, path: Path, *, driver: type[Driver] = ThreadDriver) -> Self:
        """A connection for answers (control, explain): never writes, never checkpoints, never waits for a
        batch. Raises TransientError when there is nothing to read."""
        with mapping_errors():
            return cls(await driver.open(partial(_connect_read_only, path)), path, is_read_only=True)

    async def write(
        self, fn: Callable[Concatenate[sqlite3.Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `fn(connection, …)` in a transaction of its own, durable when this returns.

        All of it or nothing: a cancellation is delivered after the commit, an exception rolls back.
        """
        async with self._lock:
            return await self._run(lambda db: _transaction(db, lambda: fn(db, *args, **kwargs)))

    async def note(
        self, fn: Callable[Concatenate[sqlite3.Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `write`, but waits for no device: it outlasts a kill, and perhaps not a power cut."""
        async with self._lock:
            return await self._run(lambda db: _noted(db, lambda: fn(db, *args, **kwargs)))

    async def read(
        self, fn: Callable[Concatenate[sqlite3.Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `fn(connection, …)`, which must not write, on one consistent state."""
        if self._is_read_only:
            return await self._run(lambda db: _snapshot(db, lambda: fn(db, *args, **kwargs)))
        return await self._run(lambda db: fn(db, *args, **kwargs))

    async def close(self) -> None:
        """Checkpoint, seal and close. Idempotent for a data base that is whole."""
        path = self.path
        # Waiting for the lock is shielded as well: who is cancelled must not leave a connection behind.
        with anyio.CancelScope(shield=True):
            async with self._lock:
                is_complete = path is not None and not self._is_read_only and await self._checkpoint()
                await self._driver.close()
                if is_complete and path is not None and not self._is_damaged:
                    await anyio.to_thread.run_sync(seal.seal, path)

    async def _checkpoint(self) -> bool:
        try:
            return await self._driver.run(_checkpoint)
        except (sqlite3.Error, ValueError):
            return False

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with mapping_errors():
                return await self._driver.run(work)
        except StateDamaged:
            # Whoever opens it next must not trust it, even if this process is killed now.
            self._is_damaged = True
            if self.path is not None and not self._is_read_only:
                seal.mark_damaged(self.path)
            raise


def _transaction(db: sqlite3.Connection, work: Callable[[], T]) -> T:
    db.execute("BEGIN IMMEDIATE")
    try:
        result = work()
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return result


def _noted(db: sqlite3.Connection, work: Callable[[], T]) -> T:
    """In WAL mode a transaction that is not full is written and not synced; the next full one syncs it."""
    db.execute("PRAGMA synchronous = NORMAL")
    try:
        return _transaction(db, work)
    finally:
        db.execute("PRAGMA synchronous = FULL")


def _snapshot(db: sqlite3.Connection, work: Callable[[], T]) -> T:
    """Several statements of a reader see one state while another connection writes."""
    db.execute("BEGIN")
    try:
        return work()
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _checkpoint(db: sqlite3.Connection) -> bool:
    """Fold the WAL into the file; False when a reader is in the way."""
    return bool(db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)


def _prepare(
    db: sqlite3.Connection, path: Path | None, steps: Sequence[Migration], epoch: Callable[[], str]
) -> bool:
    """Break the seal, migrate; True when the data base was sealed or is new. In this order: a seal that
    does not fit what a migration wrote would condemn it."""
    refuse_newer(db, path, steps)
    was_sealed = path is not None and seal.break_seal(path)
    is_new = migrate(db, path, steps, epoch)
    if was_sealed or is_new:
        return True
    seal.distrust(db)
    return False


def _connect(path: Path | None) -> sqlite3.Connection:
    db = sqlite3.connect(
        ":memory:" if path is None else path,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENTS,
    )
    try:
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        db.execute("PRAGMA temp_store = FILE")
        db.execute("PRAGMA trusted_schema = OFF")
    except BaseException:
        db.close()
        raise
    return db


def _connect_read_only(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        db.execute("PRAGMA query_only = ON")
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB // 4}")
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except BaseException:
        db.close()
        raise
    return db
