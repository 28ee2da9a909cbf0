"""An index in memory, without a driver: most of it is plain functions over a connection."""

import sqlite3
from collections.abc import Iterator

import pytest

from syncd.index.migrate import load_migrations, migrate


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, None, load_migrations("pair"), lambda: "epoch")
    yield connection
    connection.close()
