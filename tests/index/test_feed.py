"""The feed: numbers that only grow, one row a node, tombstones with an age, cursors that may be useless."""

import random
import sqlite3

import pytest

from syncd.core.feed import ChangePage, Cursor
from syncd.index import feed, nodes
from tests.index.kit import DESTINATION, DIRECTORY, SOURCE, file, mutate, paths_of, put

DB = sqlite3.Connection
DAY_NS = 24 * 3600 * 10**9


def test_every_change_moves_the_one_row_of_its_node(db: DB) -> None:
    node_id = nodes.put(db, SOURCE, b"f", file("one"))
    nodes.put(db, SOURCE, b"g", file())
    nodes.put(db, SOURCE, b"f", file("three"))
    page = feed.since(db, 0, 10)
    assert [change.seq for change in page.changes] == [2, 3]
    last = page.changes[-1]
    assert (last.node_id, last.created_seq, last.parent_id, last.name) == (node_id, 1, 1, b"f")
    assert page.head == Cursor("epoch", 3)
    assert not page.more
    assert feed.cursor(db) == page.head


@pytest.mark.parametrize("change", ["mtime", "nothing", "flags"])
def test_what_is_not_synchronised_writes_no_row(db: DB, change: str) -> None:
    node_id = nodes.put(db, SOURCE, b"d", DIRECTORY)
    file_id = nodes.put(db, SOURCE, b"f", file("one", mtime_ns=1))
    head = feed.head(db)
    if change == "mtime":
        nodes.set_entry(db, file_id, file("one", mtime_ns=2))
    elif change == "nothing":
        nodes.put(db, SOURCE, b"f", file("one", mtime_ns=1))
    else:
        nodes.set_flags(db, node_id, is_listed=True, has_ignored=True)
    assert feed.head(db) == head


def test_touching_a_whole_tree_writes_no_row(db: DB) -> None:
    for i in range(500):
        nodes.put(db, SOURCE, b"f%d" % i, file("same", mtime_ns=i))
    head = feed.head(db)
    db.execute("UPDATE nodes SET mtime_ns = mtime_ns + 1")
    assert feed.head(db) == head


def test_tombstone_keeps_the_last_place(db: DB) -> None:
    put(db, SOURCE, "d/")
    directory = nodes.find(db, SOURCE, b"d")
    assert directory is not None
    node_id = nodes.put(db, SOURCE, b"d/f", file())
    nodes.remove(db, SOURCE, b"d/f")
    (change,) = feed.since(db, 2, 10).changes
    assert change.is_deleted
    assert (change.node_id, change.parent_id, change.name) == (node_id, 0, b"")
    assert (change.last_parent_id, change.last_name, change.created_seq) == (directory.node_id, b"f", 2)
    assert change.is_new_to(Cursor("epoch", 1))
    assert not change.is_new_to(Cursor("epoch", 2))


def test_children_are_buried_before_their_directory(db: DB) -> None:
    put(db, SOURCE, "d/", "d/e/", "d/e/f")
    nodes.remove(db, SOURCE, b"d")
    assert [change.last_name for change in feed.since(db, 0, 10).changes] == [b"f", b"e", b"d"]


def test_pages(db: DB) -> None:
    for i in range(10):
        nodes.put(db, SOURCE, b"f%d" % i, file())
    seen, at = [], Cursor("epoch", 0)
    while True:
        page = feed.read(db, at, 3)
        seen += [change.seq for change in page.changes]
        at = page.next
        if not page.more:
            break
    assert seen == list(range(1, 11))
    assert at == feed.cursor(db)


def test_one_side_only(db: DB) -> None:
    put(db, SOURCE, "a")
    put(db, DESTINATION, "b")
    assert [change.name for change in feed.since(db, 0, 10, SOURCE).changes] == [b"a"]
    assert [change.name for change in feed.since(db, 0, 10, DESTINATION).changes] == [b"b"]


def test_useless_cursors_need_a_resync(db: DB) -> None:
    put(db, SOURCE, "a")
    assert feed.read(db, Cursor("another", 1), 10) == ChangePage((), feed.cursor(db), needs_resync=True)
    assert feed.since(db, 99, 10).needs_resync, "a number from the future is another feed's"
    assert not feed.read(db, Cursor("epoch", 0), 10).needs_resync


def test_ack_never_moves_back(db: DB) -> None:
    assert feed.acked(db, "cycle") == 0
    feed.ack(db, "cycle", 5)
    feed.ack(db, "cycle", 3)
    assert feed.acked(db, "cycle") == 5
    feed.forget_reader(db, "cycle")
    assert feed.acked(db, "cycle") == 0


def tombstones(db: DB) -> int:
    return int(db.execute("SELECT count(*) FROM changes WHERE deleted").fetchone()[0])


def test_compaction_waits_for_every_reader_and_for_age(db: DB) -> None:
    put(db, SOURCE, "a", "b", "c")
    nodes.remove(db, SOURCE, b"a")
    head = feed.head(db)
    assert feed.compact(db, 1) == 0, "nobody has read anything"
    feed.ack(db, "cycle", head)
    assert feed.compact(db, 2) == 0, "too young"
    feed.ack(db, "other", head - 1)
    assert feed.compact(db, 1 + 2 * DAY_NS) == 0, "one reader has not passed it"
    feed.ack(db, "other", head)
    assert feed.compact(db, 2 + 2 * DAY_NS) == 1
    assert (tombstones(db), feed.floor(db)) == (0, head)
    assert feed.since(db, head - 1, 10).needs_resync
    assert not feed.since(db, head, 10).needs_resync


def test_compaction_spares_what_is_younger(db: DB) -> None:
    put(db, SOURCE, "a", "b")
    nodes.remove(db, SOURCE, b"a")
    feed.ack(db, "cycle", feed.head(db))
    feed.compact(db, 0)
    nodes.remove(db, SOURCE, b"b")
    feed.ack(db, "cycle", feed.head(db))
    assert feed.compact(db, DAY_NS) == 1
    assert tombstones(db) == 1
    assert feed.compact(db, 2 * DAY_NS) == 1
    assert tombstones(db) == 0


def test_compaction_in_portions(db: DB) -> None:
    for i in range(20):
        nodes.put(db, SOURCE, b"%d" % i, file())
        nodes.remove(db, SOURCE, b"%d" % i)
    feed.ack(db, "cycle", feed.head(db))
    assert feed.compact(db, 0, min_age_ns=0, limit=15) == 15
    assert not feed.since(db, feed.floor(db), 100).needs_resync
    assert feed.compact(db, 1, min_age_ns=0, limit=15) == 5


def test_compaction_drops_places_that_were_left(db: DB) -> None:
    put(db, SOURCE, "a")
    nodes.move(db, SOURCE, b"a", b"b")
    feed.ack(db, "cycle", feed.head(db))
    feed.compact(db, 0)
    assert db.execute("SELECT count(*) FROM vacated").fetchone()[0] == 0


class Mirror:
    """A reader that only ever sees pages, and folds them into a tree."""

    def __init__(self) -> None:
        self.places: dict[int, tuple[int, bytes]] = {}
        self.at = 0

    def drain(self, db: DB, limit: int) -> None:
        while True:
            page = feed.since(db, self.at, limit, SOURCE)
            assert not page.needs_resync
            for change in page.changes:
                assert change.seq > self.at
                if change.is_deleted:
                    self.places.pop(change.node_id, None)
                else:
                    self.places[change.node_id] = (change.parent_id, change.name)
            self.at = page.next.seq
            if not page.more:
                return

    def tree(self) -> dict[bytes, int]:
        return {self.path(node_id): node_id for node_id in self.places}

    def path(self, node_id: int) -> bytes:
        parent_id, name = self.places[node_id]
        return name if parent_id == 1 else self.path(parent_id) + b"/" + name


@pytest.mark.parametrize("seed", range(25))
def test_replaying_since_any_cursor_reproduces_the_tree(db: DB, seed: int) -> None:
    rng = random.Random(seed)
    mirror = Mirror()
    for _ in range(60):
        for _ in range(rng.randrange(8)):
            mutate(db, rng, rng.choice([SOURCE, SOURCE, DESTINATION]))
        if rng.random() < 0.5:
            mirror.drain(db, rng.choice([1, 3, 100]))
            feed.ack(db, "mirror", mirror.at)
            assert mirror.tree() == {path: node.node_id for path, node in paths_of(db, SOURCE).items()}
        if rng.random() < 0.2:
            feed.compact(db, rng.randrange(10**9), min_age_ns=0, limit=3)
    fresh = Mirror()
    if feed.floor(db) == 0:
        fresh.drain(db, 5)
        assert fresh.tree() == {path: node.node_id for path, node in paths_of(db, SOURCE).items()}
