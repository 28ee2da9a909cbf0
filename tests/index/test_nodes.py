"""Nodes: identity, renames as one row, totals by trigger, and cycles refused."""

import random
import sqlite3

import pytest

from syncd.core.entry import Entry, Kind
from syncd.index import feed, nodes
from tests.index.kit import (
    DESTINATION,
    DIRECTORY,
    SOURCE,
    file,
    listed,
    mutate,
    paths_of,
    put,
)

DB = sqlite3.Connection


def test_roots_have_fixed_ids(db: DB) -> None:
    for side in (SOURCE, DESTINATION):
        root = nodes.find(db, side, b"")
        assert root is not None
        assert (root.node_id, root.parent_id, root.is_listed) == (int(side), 0, False)
    assert feed.head(db) == 0, "roots are no news"


def test_put_find_get_path(db: DB) -> None:
    put(db, SOURCE, "d/", "d/e/", "d/e/f=text")
    node = nodes.find(db, SOURCE, b"d/e/f")
    assert node is not None
    assert node.entry == file("text")
    assert nodes.get(db, node.node_id) == node
    assert nodes.path_of(db, node.node_id) == b"d/e/f"
    assert nodes.find(db, DESTINATION, b"d/e/f") is None
    assert nodes.find(db, SOURCE, b"d/e/f/g") is None
    assert nodes.find(db, SOURCE, b"nothing/at/all") is None
    assert nodes.get(db, 999) is None
    assert nodes.path_of(db, 999) is None
    assert nodes.path_of(db, 1) == b""


@pytest.mark.parametrize(
    "entry",
    [
        Entry(Kind.FILE, 0o755, 2**40, 2**62, b"d" * 32),
        Entry(Kind.FILE, 0o644),
        Entry(Kind.SYMLINK, 0, 4, 5, None, b"\xff/x"),
        Entry(Kind.SPECIAL, 0o600),
        DIRECTORY,
    ],
)
def test_every_entry_survives(db: DB, entry: Entry) -> None:
    name = b"\xff\n\x01 name"
    nodes.put(db, SOURCE, name, entry)
    node = nodes.find(db, SOURCE, name)
    assert node is not None
    assert (node.entry, node.name) == (entry, name)


def test_put_needs_its_directory(db: DB) -> None:
    nodes.put(db, SOURCE, b"f", file())
    for path in (b"d/x", b"f/x", b""):
        with pytest.raises(LookupError):
            nodes.put(db, SOURCE, path, file())


def test_put_again_keeps_the_id(db: DB) -> None:
    first = nodes.put(db, SOURCE, b"f", file("one"))
    assert nodes.put(db, SOURCE, b"f", file("three")) == first


def test_ids_are_never_reused(db: DB) -> None:
    first = nodes.put(db, SOURCE, b"f", file())
    nodes.remove(db, SOURCE, b"f")
    assert nodes.put(db, SOURCE, b"f", file()) > first


def test_children_are_sorted_as_bytes_in_pages(db: DB) -> None:
    names = [b"%d" % i for i in range(25)] + [b"\x01", b"\xff", b"a-b", b"a", b"a.b"]
    for name in names:
        nodes.put(db, SOURCE, name, file())
    assert [node.name for node in nodes.children(db, 1)] == sorted(names)
    assert [node.name for node in nodes.iterate_children(db, 1, page=3)] == sorted(names)


def test_move_of_a_directory_is_one_row(db: DB) -> None:
    put(db, SOURCE, "d/", "d/e/", "d/e/f", "t/")
    node = nodes.find(db, SOURCE, b"d/e/f")
    head = feed.head(db)
    nodes.move(db, SOURCE, b"d", b"t/moved")
    assert nodes.find(db, SOURCE, b"t/moved/e/f") == node
    assert feed.head(db) == head + 1


def test_move_refuses_what_cannot_be(db: DB) -> None:
    put(db, SOURCE, "d/", "d/e/", "f")
    with pytest.raises(sqlite3.IntegrityError, match="beneath itself"):
        nodes.move(db, SOURCE, b"d", b"d/e/d")
    with pytest.raises(sqlite3.IntegrityError):
        nodes.move(db, SOURCE, b"f", b"d")
    for path, to in ((b"none", b"x"), (b"f", b"none/x"), (b"", b"x"), (b"f", b"")):
        with pytest.raises(LookupError):
            nodes.move(db, SOURCE, path, to)
    assert sorted(paths_of(db, SOURCE)) == [b"d", b"d/e", b"f"]


def test_remove_takes_the_subtree(db: DB) -> None:
    put(db, SOURCE, "d/", "d/e/", "d/e/f", "d/g", "h")
    assert nodes.remove(db, SOURCE, b"d") == 4
    assert sorted(paths_of(db, SOURCE)) == [b"h"]
    assert nodes.remove(db, SOURCE, b"d") == 0
    assert nodes.remove(db, SOURCE, b"") == 0
    assert db.execute("SELECT count(*) FROM nodes").fetchone()[0] == 3


def test_remove_in_portions(db: DB) -> None:
    put(
        db,
        SOURCE,
        "d/",
        *(f"d/e{i}/" for i in range(5)),
        *(f"d/e{i}/f{j}" for i in range(5) for j in range(4)),
    )
    node = nodes.find(db, SOURCE, b"d")
    assert node is not None
    calls = 0
    while nodes.exists(db, node.node_id):
        assert nodes.remove_subtree(db, node.node_id, limit=5) > 0
        calls += 1
    assert calls > 2
    assert paths_of(db, SOURCE) == {}


def test_flags(db: DB) -> None:
    node_id = nodes.put(db, SOURCE, b"d", DIRECTORY)
    head = feed.head(db)
    nodes.set_flags(db, node_id, is_listed=True, has_ignored=True)
    node = nodes.get(db, node_id)
    assert node is not None
    assert (node.is_listed, node.has_ignored) == (True, True)
    nodes.set_flags(db, node_id, is_listed=False, has_ignored=False)
    node = nodes.get(db, node_id)
    assert node is not None
    assert (node.is_listed, node.has_ignored) == (False, False)
    assert feed.head(db) == head


def test_a_learnt_digest_is_no_change_a_new_one_is(db: DB) -> None:
    node_id = nodes.put(db, SOURCE, b"f", Entry(Kind.FILE, 0o644, 3))
    head = feed.head(db)
    nodes.learn_digest(db, node_id, b"1" * 32)
    nodes.learn_digest(db, node_id, b"2" * 32)
    node = nodes.get(db, node_id)
    assert node is not None
    assert node.entry.digest == b"1" * 32
    assert feed.head(db) == head
    nodes.set_entry(db, node_id, Entry(Kind.FILE, 0o644, 3))
    assert feed.head(db) == head + 1, "the content became unknown"
    nodes.set_entry(db, node_id, Entry(Kind.FILE, 0o644, 3, 0, b"3" * 32))
    assert feed.head(db) == head + 2, "and is another one perhaps"


def test_totals_are_kept_by_triggers(db: DB) -> None:
    put(db, SOURCE, "d/", "d/f=12345", "g=1")
    nodes.put(db, SOURCE, b"l", Entry(Kind.SYMLINK, 0, 2, 0, None, b"xy"))
    nodes.put(db, SOURCE, b"p", Entry(Kind.SPECIAL))
    assert nodes.totals(db, SOURCE) == (3, 8)
    nodes.put(db, SOURCE, b"g", file("1234"))
    assert nodes.totals(db, SOURCE) == (3, 11)
    nodes.move(db, SOURCE, b"d", b"e")
    assert nodes.totals(db, SOURCE) == (3, 11)
    nodes.remove(db, SOURCE, b"e")
    assert nodes.totals(db, SOURCE) == (2, 6)
    assert nodes.totals(db, DESTINATION) == (0, 0)


@pytest.mark.parametrize("seed", range(10))
def test_totals_equal_a_count(db: DB, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(150):
        mutate(db, rng, rng.choice([SOURCE, DESTINATION]))
    for side in (SOURCE, DESTINATION):
        files = [node.entry for node in paths_of(db, side).values() if node.entry.kind is Kind.FILE]
        assert nodes.totals(db, side) == (len(files), sum(entry.size for entry in files))


def test_directories_with(db: DB) -> None:
    put(db, SOURCE, ".syncignore", "d/", "d/.syncignore", "e/", "e/.syncignore/")
    put(db, DESTINATION, ".syncignore")
    assert nodes.directories_with(db, SOURCE, b".syncignore") == [b"", b"d"]


def test_unlisted_beneath(db: DB) -> None:
    put(db, SOURCE, "d/", "d/e/", "f/")
    for path in (b"d/e", b"f"):
        node = nodes.find(db, SOURCE, path)
        assert node is not None
        nodes.set_flags(db, node.node_id, is_listed=False, has_ignored=False)
    assert nodes.unlisted_beneath(db, SOURCE, (b"",), 10) == [b"d/e", b"f"]
    assert nodes.unlisted_beneath(db, SOURCE, (b"d",), 10) == [b"d/e"]
    listed(db)
    assert nodes.unlisted_beneath(db, SOURCE, (b"",), 10) == []


def test_walk_can_leave_subtrees_out(db: DB) -> None:
    put(db, SOURCE, "a/", "a/x", "b/", "b/y", "c")
    seen: list[bytes] = []

    def visit(path: bytes, node: nodes.Node) -> bool:
        seen.append(path)
        return path != b"a"

    nodes.walk(db, SOURCE, b"", visit)
    assert seen == [b"a", b"b", b"b/y", b"c"]
    nodes.walk(db, SOURCE, b"nothing", visit)


def test_directories_cache(db: DB) -> None:
    put(db, SOURCE, "d/", "d/e/", "f")
    known = nodes.Directories(db, SOURCE)
    assert known.find(b"d/e") is not None
    assert known.find(b"f") is None, "a file is no directory"
    assert known.find(b"x/y") is None
    nodes.put(db, SOURCE, b"x", DIRECTORY)
    assert known.find(b"x") is None
    known.forget()
    assert known.find(b"x") is not None
    known.add(b"z", 77)
    assert known.find(b"z") == 77
