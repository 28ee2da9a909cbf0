"""Opening, transactions, cancellation, and states that must not be trusted (DBS-01 to DBS-14)."""

import asyncio
import random
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from syncd.core.entry import Entry, Kind, Side
from syncd.core.error import NeedsUser, SyncdError, TransientError
from syncd.core.reason import Reason
from syncd.index import base, meta, nodes, seal
from syncd.index.database import Database
from syncd.index.driver import Driver, InlineDriver, ThreadDriver
from syncd.index.failure import StateDamaged, mapped
from syncd.index.migrate import APPLICATION_ID, Migration, copy_name, load_migrations, migrate
from syncd.index.rebuild import Rebuilt, open_or_rebuild, put_aside

FILE = Entry(Kind.FILE, 0o644, 5, 6, b"d" * 32)
DIRECTORY = Entry(Kind.DIRECTORY, 0o755)


@pytest.fixture(params=[ThreadDriver, InlineDriver])
def driver(request: pytest.FixtureRequest) -> type[Driver]:
    found: type[Driver] = request.param
    return found


@pytest.fixture
async def database(tmp_path: Path, driver: type[Driver]) -> AsyncIterator[Database]:
    opened = await Database.open(tmp_path / "state.db", driver=driver)
    yield opened
    await opened.close()


def fill(db: sqlite3.Connection) -> None:
    nodes.put(db, Side.SOURCE, b"d", DIRECTORY)
    nodes.put(db, Side.DESTINATION, b"d", DIRECTORY)
    base.put(db, b"d", DIRECTORY, 3, 4)
    for i in range(200):
        name = b"d/file number %d" % i
        source = nodes.put(db, Side.SOURCE, name, FILE)
        destination = nodes.put(db, Side.DESTINATION, name, FILE)
        base.put(db, name, FILE, source, destination)


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


# States that must not be trusted.


async def make(path: Path) -> None:
    database = await Database.open(path)
    await database.write(fill)
    await database.close()


async def reopen(path: Path) -> tuple[int, Rebuilt | None]:
    database, rebuilt = await open_or_rebuild(path, stamp="now")
    files, _ = await database.read(nodes.totals, Side.SOURCE)
    await database.close()
    return files, rebuilt


def make_unclean(path: Path) -> None:
    """As after a kill: no seal."""
    seal.seal_name(path).unlink()


async def test_a_good_state_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await make(path)
    assert await reopen(path) == (200, None)
    assert await reopen(path) == (200, None)
    make_unclean(path)
    assert await reopen(path) == (200, None)


async def test_dbs_06_missing_state_is_made(tmp_path: Path) -> None:
    assert await reopen(tmp_path / "state.db") == (0, None)


@pytest.mark.parametrize("is_clean", [True, False])
@pytest.mark.parametrize("size", [0, 1, 100, 4096, 8192 + 17, 20_000])
async def test_dbs_01_03_truncated_and_emptied(tmp_path: Path, size: int, is_clean: bool) -> None:
    path = tmp_path / "state.db"
    await make(path)
    if not is_clean:
        make_unclean(path)
    data = path.read_bytes()[:size]
    path.write_bytes(data)
    files, rebuilt = await reopen(path)
    assert files == 0
    assert rebuilt is not None
    assert rebuilt.aside == tmp_path / "state.db.bad-now"
    assert rebuilt.aside.read_bytes() == data, "nothing is thrown away"
    assert rebuilt.detail


@pytest.mark.parametrize("is_clean", [True, False])
async def test_dbs_02_zeroed(tmp_path: Path, is_clean: bool) -> None:
    path = tmp_path / "state.db"
    await make(path)
    if not is_clean:
        make_unclean(path)
    path.write_bytes(b"\0" * path.stat().st_size)
    assert (await reopen(path))[1] is not None


async def test_dbs_09_text_file_and_another_program(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_text("Dear diary\n" * 100)
    files, rebuilt = await reopen(path)
    assert files == 0
    assert rebuilt is not None
    assert rebuilt.aside.read_text().startswith("Dear diary")
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE theirs (x)")
    connection.execute("PRAGMA application_id = 7")
    connection.close()
    assert (await reopen(other))[1] == Rebuilt(
        tmp_path / "other.db.bad-now", "it is the data base of another program"
    )


async def test_dbs_10_log_of_another_data_base(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await make(path)
    wal = path.with_name("state.db-wal")
    wal.write_bytes(random.Random(1).randbytes(40_000))
    assert await reopen(path) == (200, None)


async def test_dbs_10_copied_while_in_use_without_its_log(tmp_path: Path) -> None:
    path, copy = tmp_path / "state.db", tmp_path / "copy.db"
    await make(path)
    database = await Database.open(path)
    await database.write(nodes.remove, Side.SOURCE, b"d/file number 1")
    copy.write_bytes(path.read_bytes())
    await database.close()
    files, rebuilt = await reopen(copy)
    assert (files, rebuilt) == (200, None), "an older state, but a whole one"


async def test_dbs_08_newer_schema_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await make(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    make_unclean(path)
    before = path.read_bytes()
    with pytest.raises(NeedsUser) as caught:
        await open_or_rebuild(path, stamp="now")
    assert caught.value.reason is Reason.STATE_NEWER
    assert "99" in caught.value.detail
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.bad-*"))


async def test_another_schema_of_the_same_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await make(path)
    make_unclean(path)
    first = load_migrations("pair")[0]
    with pytest.raises(NeedsUser):
        await Database.open(path, migrations=[Migration(1, first.name, first.sql + "-- edited")])


NEXT = Migration(2, "next", "ALTER TABLE meta ADD COLUMN note TEXT; CREATE TABLE more (x);")


async def test_dbs_07_older_schema_is_migrated_with_a_copy_beside(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await make(path)
    steps = [*load_migrations("pair"), NEXT]
    database = await Database.open(path, migrations=steps)
    assert (await database.read(nodes.totals, Side.SOURCE))[0] == 200
    assert await database.read(lambda db: db.execute("PRAGMA user_version").fetchone()[0]) == 2
    await database.close()
    copy = sqlite3.connect(copy_name(path, 1))
    assert copy.execute("PRAGMA user_version").fetchone()[0] == 1
    assert copy.execute("SELECT count(*) FROM nodes").fetchone()[0] == 404
    copy.close()
    database = await Database.open(path, migrations=steps)
    await database.close()


class Killed(Exception):
    """The process died here."""


@pytest.mark.parametrize("statement", ["CREATE TABLE more", "INSERT INTO migrations", "COMMIT"])
def test_dbs_07_killed_migration_leaves_the_old_schema(tmp_path: Path, statement: str) -> None:
    """One transaction: whenever it dies, the next start finds the old schema whole and migrates again."""
    path = tmp_path / "state.db"
    steps = load_migrations("pair")
    db = sqlite3.connect(path, isolation_level=None)
    migrate(db, path, steps, lambda: "epoch")
    fill(db)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    seen: list[str] = []

    def trace(sql: str) -> None:
        seen.append(sql)
        if statement in sql and "user_version" not in sql:
            db.interrupt()

    db.set_trace_callback(trace)
    broken = Migration(2, "next", NEXT.sql + "SELECT raise_here();" if statement == "COMMIT" else NEXT.sql)
    try:
        migrate(db, path, [*steps, broken], lambda: "epoch")
    except sqlite3.OperationalError:
        pass
    else:
        pytest.skip("the statement ended before the interrupt")
    db.set_trace_callback(None)
    assert db.execute("PRAGMA user_version").fetchone()[0] == 1
    assert db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'more'").fetchone()[0] == 0
    migrate(db, path, [*steps, NEXT], lambda: "epoch")
    assert db.execute("PRAGMA user_version").fetchone()[0] == 2
    assert nodes.totals(db, Side.SOURCE) == (200, 1000)
    db.close()


def test_migrations_are_numbered_without_gaps() -> None:
    steps = load_migrations("pair")
    assert [step.version for step in steps] == list(range(1, len(steps) + 1))
    assert len({step.checksum for step in steps}) == len(steps)


async def test_damage_found_while_running_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await make(path)
    database = await Database.open(path)

    def broken(_: sqlite3.Connection) -> None:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    with pytest.raises(StateDamaged):
        await database.write(broken)
    await database.close()
    assert not seal.seal_name(path).exists()
    files, rebuilt = await reopen(path)
    assert files == 0
    assert rebuilt is not None
    assert await reopen(path) == (0, None), "told once"


async def test_nothing_put_aside_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    for text in ("one", "two", "three"):
        path.write_text(text)
        put_aside(path, "now")
    assert sorted(file.read_text() for file in tmp_path.iterdir()) == ["one", "three", "two"]


async def test_unclean_stop_counts_totals_again_and_distrusts_the_records(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await make(path)
    database = await Database.open(path)
    assert database.was_clean

    def spoil(db: sqlite3.Connection) -> None:
        db.execute("UPDATE totals SET files = 3, bytes = 1")
        meta.set_observed_filter(db, Side.SOURCE, "f")

    await database.write(spoil)
    await database.close()
    make_unclean(path)
    database = await Database.open(path)
    assert not database.was_clean
    assert await database.read(nodes.totals, Side.SOURCE) == (200, 1000)
    assert await database.read(base.count_files) == 200
    assert await database.read(meta.observed_filter, Side.SOURCE) is None
    await database.close()


async def test_dbs_13_flipped_bytes_of_a_sealed_state_are_always_found(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await make(path)
    data, sealed = path.read_bytes(), seal.seal_name(path).read_text()
    rng = random.Random(13)
    for _ in range(300):
        at = rng.randrange(len(data))
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :])
        seal.seal_name(path).write_text(sealed)
        assert seal.check_seal(path) is False


@pytest.mark.parametrize("seed", range(25))
async def test_dbs_13_flipped_bytes_after_a_kill_never_crash_mutely(tmp_path: Path, seed: int) -> None:
    """Opened, it answers or was rebuilt; what the integrity check cannot see, the thorough scan heals."""
    path = tmp_path / "state.db"
    await make(path)
    make_unclean(path)
    rng = random.Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(3):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    try:
        database, rebuilt = await open_or_rebuild(path, stamp="now")
    except NeedsUser:
        return
    assert rebuilt is None or rebuilt.detail
    assert await database.read(meta.observed_filter, Side.SOURCE) is None
    await database.close()


async def test_seal_is_broken_before_the_first_write(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await make(path)
    assert seal.seal_name(path).exists()
    database = await Database.open(path)
    assert not seal.seal_name(path).exists()
    await database.close()
    assert seal.seal_name(path).exists()


async def test_no_seal_while_a_reader_is_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    database = await Database.open(path)
    await database.write(fill)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM nodes").fetchone()
    await database.write(nodes.put, Side.SOURCE, b"later", FILE)

    def impatient(db: sqlite3.Connection) -> None:
        db.execute("PRAGMA busy_timeout = 10")

    await database.read(impatient)
    await database.close()
    reader.close()
    files, rebuilt = await reopen(path)
    assert (files, rebuilt) == (201, None)
