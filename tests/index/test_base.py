"""The base: rows by path and by node, rows that only carry others, and what a change of rules drops."""

import random
import sqlite3

import pytest

from syncd.core.entry import Entry, Kind
from syncd.index import base, nodes
from tests.index.kit import DESTINATION, DIRECTORY, SOURCE, base_paths, file, put, share

DB = sqlite3.Connection


def never(path: bytes, is_directory: bool) -> bool:
    return False


def test_put_and_find(db: DB) -> None:
    share(db, "d/", "d/f=text")
    row = base.find(db, b"d/f")
    source, destination = nodes.find(db, SOURCE, b"d/f"), nodes.find(db, DESTINATION, b"d/f")
    assert row is not None
    assert source is not None
    assert destination is not None
    assert (row.entry, row.unverified) == (file("text"), False)
    assert (row.node(SOURCE), row.node(DESTINATION)) == (source.node_id, destination.node_id)
    assert base.path_of(db, row.base_id) == b"d/f"
    assert base.paths_of_node(db, SOURCE, source.node_id) == [b"d/f"]
    assert base.paths_of_node(db, SOURCE, 999) == []
    assert base.get(db, row.base_id) == row
    assert base.find(db, b"d/none") is None
    assert base.find(db, b"none/f") is None
    assert base.get(db, 999) is None


def test_put_replaces(db: DB) -> None:
    share(db, "f=one")
    base.put(db, b"f", file("two"), 0, 0, unverified=True)
    row = base.find(db, b"f")
    assert row is not None
    assert (row.entry, row.unverified, row.source_node, row.destination_node) == (file("two"), True, 0, 0)


def test_missing_rows_above_are_hollow(db: DB) -> None:
    base.put(db, b"a/b/c", file(), 0, 0)
    assert base_paths(db) == {b"a": None, b"a/b": None, b"a/b/c": file()}
    base.put(db, b"a/b", DIRECTORY, 0, 0)
    assert base_paths(db)[b"a/b"] == DIRECTORY


def test_a_node_is_claimed_by_one_row(db: DB) -> None:
    share(db, "a", "b")
    first = base.find(db, b"a")
    assert first is not None
    base.put(db, b"b", file(), first.source_node, first.destination_node)
    loser, winner = base.find(db, b"a"), base.find(db, b"b")
    assert loser is not None
    assert winner is not None
    assert (loser.source_node, loser.destination_node) == (0, 0)
    assert winner.source_node == first.source_node


def test_move_takes_the_subtree(db: DB) -> None:
    share(db, "d/", "d/e/", "d/e/f", "t/")
    before = base_paths(db)
    base.move(db, b"d", b"t/m")
    assert base_paths(db) == {
        b"t": DIRECTORY,
        b"t/m": DIRECTORY,
        b"t/m/e": DIRECTORY,
        b"t/m/e/f": before[b"d/e/f"],
    }
    assert base.move(db, b"none", b"x") is None


def test_move_into_unknown_directories_and_onto_another_row(db: DB) -> None:
    share(db, "a=1", "b=2")
    base.move(db, b"a", b"x/y")
    assert base_paths(db) == {b"b": file("2"), b"x": None, b"x/y": file("1")}
    base.move(db, b"x/y", b"b")
    assert base_paths(db) == {b"b": file("1")}, "a hollow row that carries nothing goes"
    row = base.find(db, b"b")
    assert row is not None
    assert base.move(db, b"b", b"b") == row.base_id


def test_remove_takes_the_subtree(db: DB) -> None:
    share(db, "d/", "d/e/", "d/e/f", "g")
    assert base.remove(db, b"d") == 3
    assert list(base_paths(db)) == [b"g"]
    assert base.remove(db, b"d") == 0
    assert base.remove(db, b"") == 0


def test_forget_keeps_what_lies_beneath(db: DB) -> None:
    """`d/f` may have moved away on one side: its row is the evidence for that."""
    share(db, "d/", "d/e/", "d/e/f")
    base.forget(db, b"d")
    base.forget(db, b"d/e")
    assert base_paths(db) == {b"d": None, b"d/e": None, b"d/e/f": file("d/e/f")}
    base.forget(db, b"d/e/f")
    assert base_paths(db) == {}
    base.forget(db, b"d")
    base.forget(db, b"")
    assert base.get(db, base.ROOT_ID) is not None


def test_link(db: DB) -> None:
    share(db, "a", "b")
    a, b = base.find(db, b"a"), base.find(db, b"b")
    assert a is not None
    assert b is not None
    base.link(db, a.base_id, b.source_node, 0)
    a, b = base.find(db, b"a"), base.find(db, b"b")
    assert a is not None
    assert b is not None
    assert (a.source_node > 0, a.destination_node, b.source_node) == (True, 0, 0)


def test_count_is_kept_by_triggers(db: DB) -> None:
    share(db, "d/", "d/f", "g")
    base.put(db, b"l", Entry(Kind.SYMLINK, target=b"x"), 0, 0)
    assert base.count_files(db) == 3
    base.forget(db, b"g")
    assert base.count_files(db) == 2
    base.put(db, b"g", file("again"), 0, 0)
    base.remove(db, b"d")
    assert base.count_files(db) == 2


def test_drop_unequal(db: DB) -> None:
    share(db, "d/", "d/same", "d/edited", "d/gone", "both-gone", "x.tmp", "sub/", "sub/mode")
    put(db, SOURCE, "d/edited=another")
    nodes.remove(db, DESTINATION, b"d/gone")
    for side in (SOURCE, DESTINATION):
        nodes.remove(db, side, b"both-gone")
    nodes.put(db, SOURCE, b"sub/mode", file("sub/mode", mode=0o755))
    put(db, SOURCE, "new")

    def is_ignored(path: bytes, is_directory: bool) -> bool:
        return path.endswith(b".tmp")

    assert base.drop_unequal(db, is_ignored) == 5
    assert sorted(base_paths(db)) == [b"d", b"d/same", b"sub"]


def test_drop_unequal_looks_at_the_bits_that_both_trees_hold(db: DB) -> None:
    share(db, "f")
    nodes.put(db, SOURCE, b"f", file("f", mode=0o600))
    assert base.drop_unequal(db, never, 0o100) == 0
    assert base.drop_unequal(db, never) == 1


def test_drop_unequal_of_rows_that_were_never_read(db: DB) -> None:
    unread = Entry(Kind.FILE, 0o644, 7, 123)
    for name in (b"held", b"touched", b"verified"):
        ids = [nodes.put(db, side, name, unread) for side in (SOURCE, DESTINATION)]
        base.put(db, name, unread, *ids, unverified=name != b"verified")
    nodes.put(db, SOURCE, b"touched", Entry(Kind.FILE, 0o644, 7, 124))
    base.drop_unequal(db, never)
    assert list(base_paths(db)) == [b"held"]


def test_drop_unequal_tells_directories_to_the_filter(db: DB) -> None:
    share(db, "build/", "build/out", "f")
    asked: dict[bytes, bool] = {}

    def is_ignored(path: bytes, is_directory: bool) -> bool:
        asked[path] = is_directory
        return path == b"build" or path.startswith(b"build/")

    assert base.drop_unequal(db, is_ignored) == 2
    assert list(base_paths(db)) == [b"f"]
    assert asked == {b"build": True, b"build/out": False, b"f": False}


def test_drop_unequal_of_a_wide_directory(db: DB) -> None:
    share(db, *(f"f{i:04d}" for i in range(1500)))
    nodes.remove(db, SOURCE, b"f1234")
    assert base.drop_unequal(db, never) == 1
    assert len(base_paths(db)) == 1499


@pytest.mark.parametrize("seed", range(10))
def test_rows_always_hang_together(db: DB, seed: int) -> None:
    rng = random.Random(seed)
    names = [b"a", b"b", b"c"]

    def path() -> bytes:
        return b"/".join(rng.choice(names) for _ in range(rng.randrange(1, 4)))

    for _ in range(200):
        deed = rng.choice(["put", "put", "move", "forget", "remove"])
        if deed == "put":
            base.put(db, path(), rng.choice([DIRECTORY, file()]), rng.randrange(9), rng.randrange(9))
        elif deed == "move":
            old, new = path(), path()
            if not (new + b"/").startswith(old + b"/") and not (old + b"/").startswith(new + b"/"):
                base.move(db, old, new)
        elif deed == "forget":
            base.forget(db, path())
        else:
            base.remove(db, path())
    rows = db.execute("SELECT count(*) FROM base").fetchone()[0]
    assert rows == len(base_paths(db)) + 1, "no row is cut off from the root"
    files = sum(entry is not None and entry.kind is Kind.FILE for entry in base_paths(db).values())
    assert base.count_files(db) == files
