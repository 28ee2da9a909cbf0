"""A node that is overwritten keeps its id and gets one feed row."""

from syncd.core.entry import Entry, Kind, Side
from syncd.index import nodes
from syncd.index.database import Database


async def test_overwriting_a_node_moves_its_one_feed_row() -> None:
    """An upsert would switch off the REPLACE inside the triggers (seed 0 of the simulation)."""
    database = await Database.open(None)
    try:
        first = await database.write(nodes.put, Side.SOURCE, b"a", Entry(Kind.SYMLINK, target=b"x"))
        again = await database.write(nodes.put, Side.SOURCE, b"a", Entry(Kind.FILE, 0o644, 3, 5))
        assert first == again
        rows = await database.read(
            lambda db: db.execute("SELECT node_id, deleted FROM changes WHERE tree = 1").fetchall()
        )
        assert rows == [(first, 0)]
    finally:
        await database.close()
