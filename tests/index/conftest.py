"""An index in memory, without a driver: most of it is plain functions over a connection."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from syncd.index.database import Database
from syncd.index.driver import Driver, InlineDriver, ThreadDriver
from syncd.index.migrate import load_migrations, migrate
from tests.index.merging import DB, Bench


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, None, load_migrations("pair"), lambda: "epoch")
    yield connection
    connection.close()


@pytest.fixture(params=[ThreadDriver, InlineDriver])
def driver(request: pytest.FixtureRequest) -> type[Driver]:
    found: type[Driver] = request.param
    return found


@pytest.fixture
async def database(tmp_path: Path, driver: type[Driver]) -> AsyncIterator[Database]:
    opened = await Database.open(tmp_path / "state.db", driver=driver)
    yield opened
    await opened.close()


@pytest.fixture
def bench(db: DB) -> Bench:
    return Bench(db)
