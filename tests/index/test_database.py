"""The data base: transactions whole under cancellation, read-only readers, errors mapped once."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import anyio
import pytest

from syncd.core.entry import Side
from syncd.core.error import SyncdError, TransientError
from syncd.core.reason import Reason
from syncd.index import meta, nodes
from syncd.index.database import Database
from syncd.index.failure import mapped
from syncd.index.migrate import APPLICATION_ID, load_migrations
from tests.index.states import FILE, fill


async def test_pragmas(database: Database) -> None:
    def read(db: sqlite3.Connection) -> dict[str, object]:
        names = (
            "journal_mode",
            "synchronous",
            "application_id",
            "user_version",
            "busy_timeout",
            "cache_size",
        )
        return {name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in names}

    assert await database.read(read) == {
        "journal_mode": "wal",
        "synchronous": 2,
        "application_id": APPLICATION_ID,
        "user_version": load_migrations("pair")[-1].version,
        "busy_timeout": 30_000,
        "cache_size": -8192,
    }


async def test_write_commits_and_read_reads(database: Database) -> None:
    node_id = await database.write(nodes.put, Side.SOURCE, b"a", FILE)
    found = await database.read(nodes.get, node_id)
    assert found is not None
    assert found.entry == FILE


async def test_write_rolls_back_on_an_exception(database: Database) -> None:
    def half(db: sqlite3.Connection) -> None:
        nodes.put(db, Side.SOURCE, b"a", FILE)
        raise LookupError("half-way")

    with pytest.raises(LookupError):
        await database.write(half)
    assert await database.read(nodes.find, Side.SOURCE, b"a") is None
    await database.write(nodes.put, Side.SOURCE, b"b", FILE)


async def test_a_mistake_of_our_own_is_not_disguised(database: Database) -> None:
    with pytest.raises(sqlite3.OperationalError):
        await database.write(lambda db: db.execute("SELECT nonsense"))


async def test_keyword_arguments_arrive(database: Database) -> None:
    def work(_: sqlite3.Connection, a: int, *, b: int) -> int:
        return a + b

    assert await database.write(work, 1, b=2) == await database.read(work, 1, b=2) == 3


async def test_writes_of_many_tasks_are_whole(database: Database) -> None:
    def increment(db: sqlite3.Connection) -> None:
        meta.put_int(db, "n", meta.get_int(db, "n") + 1)

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(database.write, increment)
    assert await database.read(meta.get_int, "n") == 20


class Gate:
    """A write that waits in the database's thread until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.go = threading.Event()

    def write(self, db: sqlite3.Connection) -> None:
        meta.put_int(db, "before", 1)
        self.entered.set()
        assert self.go.wait(10)
        meta.put_int(db, "after", 1)


async def both(database: Database) -> tuple[int, int]:
    def read(db: sqlite3.Connection) -> tuple[int, int]:
        return meta.get_int(db, "before"), meta.get_int(db, "after")

    return await database.read(read)


async def test_cancelled_write_ends_whole_before_the_caller_goes_on(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "state.db")
    gate = Gate()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(database.write, gate.write)
            while not gate.entered.is_set():
                await anyio.sleep(0)
            scope.cancel()
            gate.go.set()
    assert scope.cancelled_caught
    assert await both(database) == (1, 1)
    await database.close()


async def test_natively_cancelled_write_ends_whole_too(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "state.db")
    gate = Gate()
    task = asyncio.ensure_future(database.write(gate.write))
    while not gate.entered.is_set():
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done(), "the transaction is still open"
    gate.go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await both(database) == (1, 1)
    await database.write(meta.put_int, "before", 7)
    await database.close()


async def test_write_that_waits_its_turn_can_be_cancelled(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "state.db")
    gate = Gate()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(database.write, gate.write)
        while not gate.entered.is_set():
            await anyio.sleep(0)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await database.write(meta.put_int, "never", 1)
        gate.go.set()
    assert await database.read(meta.get_int, "never") == 0
    await database.close()


async def test_a_cancelled_task_leaves_no_connection_behind(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "state.db")
    reader = await Database.read_only(tmp_path / "state.db")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await reader.close()
        await database.close()
    for one in (reader, database):
        with pytest.raises(ValueError):
            await one.read(meta.epoch)


async def test_closed_data_base_refuses(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "state.db")
    await database.close()
    with pytest.raises(ValueError, match="closed"):
        await database.read(meta.epoch)


async def test_epoch_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    for _ in range(2):
        database = await Database.open(path, epoch=lambda: "first")
        assert database.was_clean
        assert await database.read(meta.epoch) == "first"
        await database.close()
        database = await Database.open(path, epoch=lambda: "second")
        assert await database.read(meta.epoch) == "first"
        await database.close()


async def test_read_only_reads_while_another_writes(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    database = await Database.open(path)
    await database.write(fill)
    reader = await Database.read_only(path)
    assert (await reader.read(nodes.totals, Side.SOURCE))[0] == 200
    await database.write(nodes.remove, Side.SOURCE, b"d/file number 7")
    assert (await reader.read(nodes.totals, Side.SOURCE))[0] == 199
    with pytest.raises((sqlite3.OperationalError, SyncdError)):
        await reader.write(nodes.put, Side.SOURCE, b"x", FILE)
    await reader.close()
    await database.close()
    with pytest.raises(TransientError):
        await Database.read_only(tmp_path / "nothing.db")


# Errors.


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (sqlite3.SQLITE_FULL, Reason.STATE_UNWRITABLE),
        (sqlite3.SQLITE_IOERR_FSYNC, Reason.STATE_UNWRITABLE),
        (sqlite3.SQLITE_READONLY, Reason.STATE_UNWRITABLE),
        (sqlite3.SQLITE_CANTOPEN, Reason.STATE_UNWRITABLE),
        (sqlite3.SQLITE_BUSY, Reason.STATE_BUSY),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, Reason.STATE_BUSY),
        (sqlite3.SQLITE_LOCKED, Reason.STATE_BUSY),
        (sqlite3.SQLITE_CORRUPT, Reason.STATE_DAMAGED),
        (sqlite3.SQLITE_NOTADB, Reason.STATE_DAMAGED),
    ],
)
def test_errors_are_mapped_once(code: int, reason: Reason) -> None:
    error = sqlite3.OperationalError("told so")
    error.sqlite_errorcode = code
    found = mapped(error)
    assert isinstance(found, TransientError)
    assert (found.reason, found.detail) == (reason, "told so")


def test_other_errors_are_ours() -> None:
    error = sqlite3.IntegrityError("constraint")
    assert mapped(error) is None
    error.sqlite_errorcode = sqlite3.SQLITE_CONSTRAINT
    assert mapped(error) is None


async def test_dbs_05_locked_by_another_process_is_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.db"
    monkeypatch.setattr("syncd.index.database.BUSY_TIMEOUT_S", 0.05)
    database = await Database.open(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(TransientError) as caught:
        await database.write(fill)
    assert caught.value.reason is Reason.STATE_BUSY
    other.execute("ROLLBACK")
    other.close()
    assert await database.read(nodes.find, Side.SOURCE, b"d") is None, "never a partial step"
    await database.write(fill)
    await database.close()


async def test_full_disk_is_unwritable_and_whole(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "state.db")

    def limit(db: sqlite3.Connection) -> None:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages + 1}")

    await database.read(limit)
    with pytest.raises(TransientError) as caught:
        await database.write(fill)
    assert caught.value.reason is Reason.STATE_UNWRITABLE
    assert await database.read(nodes.find, Side.SOURCE, b"d") is None
    await database.close()
