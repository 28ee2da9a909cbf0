"""Missed nodes and fresh files: which of them are renames, and the order in which places change hands."""

import sqlite3

import pytest

from syncd.core.entry import Kind, StatHint
from syncd.core.listing import Child, pack, unpack
from syncd.index import base, displaced, feed, nodes, records
from syncd.index.displaced import Rename, consistent
from tests.index.kit import DESTINATION, SOURCE, paths_of, put

DB = sqlite3.Connection


def child(name: str, inode: int, size: int = 1, mtime: int = 1) -> Child:
    return Child(name.encode(), Kind.FILE, 0o644, StatHint(inode, size, mtime, 1))


def at(db: DB, path: str) -> nodes.Node:
    node = nodes.find(db, SOURCE, path.encode())
    assert node is not None
    return node


def rename(node_id: int, fresh_id: int, *, replaces: bool = False) -> Rename:
    return Rename(node_id, fresh_id, b"", replaces, None, None)


@pytest.fixture(autouse=True)
def begun(db: DB) -> None:
    displaced.begin(db, SOURCE)
    displaced.begin(db, DESTINATION)
    records.put(db, 1, 1, records.EMPTY)


def miss(db: DB, path: str, inode: int, size: int = 1, mtime: int = 1) -> int:
    node = at(db, path)
    displaced.miss(db, SOURCE, node, child(path, inode, size, mtime))
    return node.node_id


def arrive(db: DB, path: str, inode: int, size: int = 1, mtime: int = 1) -> int:
    put(db, SOURCE, path)
    node = at(db, path)
    displaced.add_fresh(db, SOURCE, node.node_id, child(path, inode, size, mtime))
    return node.node_id


def test_equal_inode_size_and_mtime_make_a_rename(db: DB) -> None:
    put(db, SOURCE, "old=text")
    old, new = miss(db, "old", 7), arrive(db, "new", 7)
    (found,) = displaced.renames(db, SOURCE)
    assert (found.node_id, found.fresh_id, found.path, found.replaces) == (old, new, b"new", False)
    assert found.digest == b"text".ljust(32, b".")
    assert displaced.renames(db, DESTINATION) == []


@pytest.mark.parametrize("different", [{"inode": 8}, {"size": 2}, {"mtime": 2}])
def test_anything_else_makes_none(db: DB, different: dict[str, int]) -> None:
    put(db, SOURCE, "old")
    miss(db, "old", 7)
    arrive(db, "new", **{"inode": 7, **different})
    assert displaced.renames(db, SOURCE) == []


def test_unknown_inodes_match_nothing(db: DB) -> None:
    put(db, SOURCE, "old")
    displaced.miss(db, SOURCE, at(db, "old"), None)
    arrive(db, "new", 0, 0, 0)
    assert displaced.renames(db, SOURCE) == []


def test_newly_ignored_names_were_not_renamed(db: DB) -> None:
    put(db, SOURCE, "old")
    displaced.miss(db, SOURCE, at(db, "old"), child("old", 7), keeps_record=True)
    arrive(db, "new", 7)
    assert displaced.renames(db, SOURCE) == []


def test_hard_links_are_matched_once(db: DB) -> None:
    put(db, SOURCE, "a", "b")
    miss(db, "a", 7)
    miss(db, "b", 7)
    arrive(db, "x", 7)
    assert len(displaced.renames(db, SOURCE)) == 1
    arrive(db, "y", 7)
    found = displaced.renames(db, SOURCE)
    assert len({pair.node_id for pair in found}) == len({pair.fresh_id for pair in found}) == 2


def test_take_over_moves_the_node_and_buries_the_fresh_one(db: DB) -> None:
    put(db, SOURCE, "old=text", "d/")
    old = miss(db, "old", 7)
    records.update_children(db, 1, {b"old": child("old", 7)})
    arrive(db, "d/new", 7)
    head = feed.head(db)
    displaced.take_over(db, SOURCE, displaced.renames(db, SOURCE), {})
    assert list(paths_of(db, SOURCE)) == [b"d", b"d/new"]
    assert at(db, "d/new").node_id == old
    assert feed.head(db) == head + 3, "a tombstone, a rename, and the entry at the new place"
    assert records.child(db, 1, b"old") is None
    assert displaced.remove_missed(db, SOURCE, 10) == 0


def test_take_over_of_what_went_is_passed_over(db: DB) -> None:
    put(db, SOURCE, "old")
    miss(db, "old", 7)
    arrive(db, "new", 7)
    pairs = displaced.renames(db, SOURCE)
    nodes.remove(db, SOURCE, b"new")
    displaced.take_over(db, SOURCE, pairs, {})
    assert list(paths_of(db, SOURCE)) == [b"old"]


def test_swap(db: DB) -> None:
    put(db, SOURCE, "a=1", "b=2")
    a, b = at(db, "a"), at(db, "b")
    displaced.replace(db, SOURCE, a, child("a", 7), child("a", 8))
    displaced.replace(db, SOURCE, b, child("b", 8), child("b", 7))
    pairs = displaced.renames(db, SOURCE)
    assert {(pair.node_id, pair.fresh_id, pair.replaces) for pair in pairs} == {
        (a.node_id, b.node_id, True),
        (b.node_id, a.node_id, True),
    }
    displaced.take_over(db, SOURCE, pairs, {a.node_id: b"2" * 32, b.node_id: b"1" * 32})
    assert (at(db, "a").node_id, at(db, "b").node_id) == (b.node_id, a.node_id)
    assert (at(db, "a").entry.digest, at(db, "b").entry.digest) == (b"2" * 32, b"1" * 32)


def test_name_of_a_node_that_left_is_given_to_what_came(db: DB) -> None:
    put(db, SOURCE, "a=old")
    a = at(db, "a")
    displaced.replace(db, SOURCE, a, child("a", 7), child("a", 9))
    arrive(db, "b", 7)
    displaced.take_over(db, SOURCE, displaced.renames(db, SOURCE), {})
    assert at(db, "b").node_id == a.node_id
    assert at(db, "a").node_id > a.node_id


@pytest.mark.parametrize(
    ("pairs", "kept"),
    [
        ([], []),
        ([rename(1, 9)], [(1, 9)]),
        ([rename(1, 2, replaces=True)], []),
        ([rename(1, 2, replaces=True), rename(2, 1, replaces=True)], [(1, 2), (2, 1)]),
        ([rename(1, 2, replaces=True), rename(2, 9)], [(1, 2), (2, 9)]),
        ([rename(1, 2, replaces=True), rename(2, 3, replaces=True)], []),
        ([rename(1, 2, replaces=True), rename(2, 3, replaces=True), rename(3, 9)], [(1, 2), (2, 3), (3, 9)]),
    ],
)
def test_a_held_name_counts_only_if_its_node_goes_elsewhere(
    pairs: list[Rename], kept: list[tuple[int, int]]
) -> None:
    assert [(pair.node_id, pair.fresh_id) for pair in consistent(pairs)] == kept


def test_expand_reaches_into_missed_directories(db: DB) -> None:
    put(db, SOURCE, "d/", "d/e/", "d/e/f")
    for path, inside in (("d", []), ("d/e", [child("f", 7)])):
        records.put(db, at(db, path).node_id, 50, pack(inside))
    miss(db, "d", 50)
    assert not displaced.expand(db, SOURCE, 10), "nothing new that could come from there"
    arrive(db, "kept", 7)
    while displaced.expand(db, SOURCE, 1):
        pass
    (found,) = displaced.renames(db, SOURCE)
    assert found.node_id == at(db, "d/e/f").node_id
    displaced.take_over(db, SOURCE, [found], {})
    while displaced.remove_missed(db, SOURCE, 10):
        pass
    assert list(paths_of(db, SOURCE)) == [b"kept"]


def test_remove_in_portions_keeps_records_true(db: DB) -> None:
    put(db, SOURCE, "d/", *(f"d/f{i}" for i in range(9)), "x", "y")
    records.put(db, 1, 1, pack([child("d", 3), child("x", 4), child("y", 5)]))
    for path in ("d", "x"):
        miss(db, path, 60)
    calls = 0
    while displaced.remove_missed(db, SOURCE, 4):
        calls += 1
        assert calls < 20
    assert list(paths_of(db, SOURCE)) == [b"y"]
    assert [one.name for one in unpack(records.get(db, 1) or b"")] == [b"y"]


def test_a_node_that_turned_up_elsewhere_is_not_removed(db: DB) -> None:
    put(db, SOURCE, "a", "d/")
    miss(db, "a", 7)
    nodes.move(db, SOURCE, b"a", b"d/a")
    while displaced.remove_missed(db, SOURCE, 10):
        pass
    assert b"d/a" in paths_of(db, SOURCE)
    put(db, SOURCE, "b")
    displaced.found_again(db, miss(db, "b", 8))
    assert displaced.remove_missed(db, SOURCE, 10) == 0


def test_parked_nodes_are_out_of_sight_and_collected_later(db: DB) -> None:
    put(db, SOURCE, "d/", "d/f")
    node = at(db, "d")
    displaced.park(db, SOURCE, node, None)
    assert paths_of(db, SOURCE) == {}
    assert nodes.path_of(db, node.node_id) is None
    assert displaced.begin(db, SOURCE), "as after a kill: only the node's name tells"
    while displaced.remove_missed(db, SOURCE, 10):
        pass
    assert not nodes.exists(db, node.node_id)
    assert not displaced.begin(db, SOURCE)


def share(db: DB, path: str) -> None:
    node = at(db, path)
    other = nodes.put(db, DESTINATION, path.encode(), node.entry)
    base.put(db, path.encode(), node.entry, node.node_id, other)


@pytest.mark.parametrize(("inode", "size", "is_kept"), [(7, 1, False), (8, 1, True), (7, 2, True)])
def test_what_was_renamed_to_an_ignored_name_leaves_no_base(
    db: DB, inode: int, size: int, is_kept: bool
) -> None:
    put(db, SOURCE, "a")
    share(db, "a")
    miss(db, "a", 7)
    displaced.hide(db, SOURCE, [child("a.tmp", inode, size)])
    assert displaced.remove_missed(db, SOURCE, 10)
    assert paths_of(db, SOURCE) == {}
    assert (base.find(db, b"a") is not None) is is_kept


def test_a_directory_that_was_renamed_to_an_ignored_name_takes_its_base_along(db: DB) -> None:
    put(db, SOURCE, "d/", "d/f", "g")
    for path in ("d", "d/f", "g"):
        share(db, path)
    miss(db, "d", 7)
    displaced.hide(db, SOURCE, [Child(b"d.tmp", Kind.DIRECTORY, 0o755, StatHint(7, 0, 9, 9))])
    while displaced.remove_missed(db, SOURCE, 1):
        pass
    assert [base.find(db, path) is not None for path in (b"d", b"d/f", b"g")] == [False, False, True]


def test_sides_are_apart(db: DB) -> None:
    put(db, SOURCE, "a")
    put(db, DESTINATION, "a")
    miss(db, "a", 7)
    displaced.begin(db, DESTINATION)
    assert displaced.remove_missed(db, DESTINATION, 10) == 0
    assert displaced.remove_missed(db, SOURCE, 10) > 0
    assert list(paths_of(db, DESTINATION)) == [b"a"]
