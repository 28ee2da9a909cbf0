"""Index files as a run leaves them: filled, sealed or unclean."""

import sqlite3
from pathlib import Path

from syncd.core.entry import Entry, Kind, Side
from syncd.index import base, nodes, seal
from syncd.index.database import Database
from syncd.index.rebuild import Rebuilt, open_or_rebuild

FILE = Entry(Kind.FILE, 0o644, 5, 6, b"d" * 32)
DIRECTORY = Entry(Kind.DIRECTORY, 0o755)


def fill(db: sqlite3.Connection) -> None:
    nodes.put(db, Side.SOURCE, b"d", DIRECTORY)
    nodes.put(db, Side.DESTINATION, b"d", DIRECTORY)
    base.put(db, b"d", DIRECTORY, 3, 4)
    for i in range(200):
        name = b"d/file number %d" % i
        source = nodes.put(db, Side.SOURCE, name, FILE)
        destination = nodes.put(db, Side.DESTINATION, name, FILE)
        base.put(db, name, FILE, source, destination)


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
