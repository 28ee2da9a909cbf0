"""Schemas: newer ones are refused, older ones migrated with a copy beside, killed or not."""

import sqlite3
from pathlib import Path

import pytest

from syncd.core.entry import Side
from syncd.core.error import NeedsUser
from syncd.core.reason import Reason
from syncd.index import nodes
from syncd.index.database import Database
from syncd.index.migrate import Migration, copy_name, load_migrations, migrate
from syncd.index.rebuild import open_or_rebuild
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
