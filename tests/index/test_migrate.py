"""Schemas: newer ones are refused, older ones migrated with a copy beside, killed or not."""

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Self

import pytest

from syncd.core.entry import Side
from syncd.core.error import NeedsUser
from syncd.core.reason import Reason
from syncd.index import meta, nodes, seal
from syncd.index.database import Database
from syncd.index.driver import Connect, InlineDriver
from syncd.index.migrate import Migration, copy_name, load_migrations, migrate
from syncd.index.rebuild import open_or_rebuild
from tests.durable import each_kill
from tests.index.states import fill, make, make_unclean


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


async def opened_and_copied(path: Path, steps: Sequence[Migration]) -> list[Path]:
    """Open the data base, migrate and close it. Returns what a kill before each of the statements leaves: the
    files as they are then."""
    copies: list[Path] = []

    def copy(_: str) -> None:
        name = f"before {len(copies)}"
        copies.append(Path(shutil.copytree(path.parent, path.parent.with_name(name)), path.name))

    class Copying(InlineDriver):
        @classmethod
        async def open(cls, connect: Connect) -> Self:
            driver = await super().open(connect)
            await driver.run(lambda db: db.set_trace_callback(copy))
            return driver

    database = await Database.open(path, driver=Copying, migrations=steps, epoch=lambda: "first")
    await database.close()
    return copies


async def test_cra_08_killed_before_each_statement_of_the_first_schema(tmp_path: Path) -> None:
    """The next start makes it, or finds it whole and named; nothing is put aside but an empty file, which
    may have been a state."""
    path = tmp_path / "state" / "state.db"
    path.parent.mkdir()
    copies = await opened_and_copied(path, load_migrations("pair"))
    assert len(copies) > 40
    epochs = set()
    for copy in copies:
        was_empty = copy.stat().st_size == 0
        database, rebuilt = await open_or_rebuild(copy, stamp="now", epoch=lambda: "again")
        assert (rebuilt is not None) is was_empty, rebuilt
        assert await database.read(nodes.totals, Side.SOURCE) == (0, 0)
        epochs.add(await database.read(meta.epoch))
        await database.close()
    assert epochs == {"first", "again"}


async def test_cra_08_killed_before_each_statement_of_a_migration(tmp_path: Path) -> None:
    path = tmp_path / "state" / "state.db"
    path.parent.mkdir()
    await make(path)
    copy_name(path, 1).with_name("state.db.schema-1.part").write_bytes(b"half a copy")
    steps = [*load_migrations("pair"), NEXT]
    old, new = (1, 1, [0, 0]), (2, 2, [1, 1])
    found = []
    for copy in await opened_and_copied(path, steps):
        assert seal.check_seal(copy) is not False, "the next start would put it aside"
        reader = await Database.read_only(copy)
        found.append(await reader.read(schema_of))
        await reader.close()
        database = await Database.open(copy, migrations=steps)
        assert await database.read(schema_of) == new
        assert await database.read(nodes.totals, Side.SOURCE) == (200, 1000)
        await database.close()
        with closing(sqlite3.connect(copy_name(copy, 1))) as kept:
            assert kept.execute("SELECT count(*) FROM nodes").fetchone()[0] == 404
            assert schema_of(kept) == old
    assert sorted(found) == found, "it never goes back"
    assert (found[0], found[-1], len(found) > 10) == (old, new, True)
    assert all(schema in (old, new) for schema in found)


def schema_of(db: sqlite3.Connection) -> tuple[int, int, list[int]]:
    """The version, the steps told of, and how much of the step to the second version is there."""
    table = db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'more'").fetchone()[0]
    column = db.execute("SELECT count(*) FROM pragma_table_info('meta') WHERE name = 'note'").fetchone()[0]
    steps = db.execute("SELECT count(*) FROM migrations").fetchone()[0]
    return db.execute("PRAGMA user_version").fetchone()[0], steps, [table, column]


async def test_a_step_that_fails_after_another_leaves_no_seal_that_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await make(path)
    steps = [*load_migrations("pair"), NEXT]
    failing = Migration(3, "failing", "SELECT no_such_function();")
    with pytest.raises(sqlite3.OperationalError):
        await Database.open(path, migrations=[*steps, failing])
    assert seal.check_seal(path) is not False
    database = await Database.open(path, migrations=steps)
    assert await database.read(nodes.totals, Side.SOURCE) == (200, 1000)
    await database.close()


async def test_cra_09_the_kept_copy_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await make(path)

    def write() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            migrate(db, path, [*load_migrations("pair"), NEXT], lambda: "epoch")

    for _ in each_kill(write):
        if copy_name(path, 1).exists():
            with closing(sqlite3.connect(copy_name(path, 1))) as kept:
                assert kept.execute("SELECT count(*) FROM nodes").fetchone()[0] == 404
    assert copy_name(path, 1).exists()


def test_migrations_are_numbered_without_gaps() -> None:
    steps = load_migrations("pair")
    assert [step.version for step in steps] == list(range(1, len(steps) + 1))
    assert len({step.checksum for step in steps}) == len(steps)
