"""Three trees side by side: single paths, pages of a walk, and every dirty path named."""

import random
import sqlite3

import pytest

from syncd.core.entry import Entry, Kind
from syncd.core.reason import Reason
from syncd.core.state import PathState
from syncd.index import base, dirty, feed, nodes, pending, triples
from syncd.index.dirty import DirtyPath, merge
from syncd.index.rows import PARKED_PREFIX, order_of
from tests.index.kit import (
    DESTINATION,
    SOURCE,
    base_paths,
    file,
    is_named,
    mutate,
    paths_of,
    put,
    share,
    states,
)

DB = sqlite3.Connection


def test_load_says_what_each_tree_holds(db: DB) -> None:
    share(db, "d/", "d/both=1")
    put(db, SOURCE, "d/s=2")
    put(db, DESTINATION, "d/t=3")
    both, s, t, none, deep = triples.load(db, [b"d/both", b"d/s", b"d/t", b"d/none", b"x/y/z"])
    assert both.source == both.destination == both.base == file("1")
    assert both.source_node == both.base_source_node > 0
    assert both.destination_node == both.base_destination_node > 0
    assert (s.source, s.destination, s.base, s.source_node > 0) == (file("2"), None, None, True)
    assert (t.source, t.destination, t.base) == (None, file("3"), None)
    assert none == PathState(b"d/none")
    assert deep == PathState(b"x/y/z")


def test_load_of_the_root(db: DB) -> None:
    (state,) = triples.load(db, [b""])
    assert state.source is not None
    assert state.destination is not None
    assert (state.path, state.source.kind) == (b"", Kind.DIRECTORY)


def test_moved_node_shows_at_its_new_place_with_the_base_at_the_old(db: DB) -> None:
    share(db, "a=1")
    nodes.move(db, SOURCE, b"a", b"b")
    old, new = triples.load(db, [b"a", b"b"])
    assert old.source is None
    assert old.base_source_node == new.source_node > 0
    assert new.base is None


def test_unverified_and_hollow_rows(db: DB) -> None:
    base.put(db, b"d/f", file(), 0, 0, unverified=True)
    directory, inner = triples.load(db, [b"d", b"d/f"])
    assert directory.base is None
    assert (inner.base, inner.unverified) == (file(), True)
    assert b"d/f" in states(db)


def test_what_could_not_be_listed_is_unknown_all_the_way_down(db: DB) -> None:
    share(db, "d/", "d/e/", "d/e/f", "g")
    node = nodes.find(db, SOURCE, b"d")
    assert node is not None
    nodes.remove(db, SOURCE, b"d/e")
    nodes.set_flags(db, node.node_id, is_listed=False, has_ignored=False)
    for found in (
        states(db),
        {state.path: state for state in triples.load(db, [b"d", b"d/e", b"d/e/f", b"g"])},
    ):
        assert not found[b"d"].source_unknown
        assert found[b"d/e"].source_unknown
        assert found[b"d/e/f"].source_unknown
        assert not found[b"d/e/f"].destination_unknown
        assert not found[b"g"].source_unknown


def test_roots_are_unknown_before_the_first_scan(db: DB) -> None:
    nodes.put(db, SOURCE, b"a", file())
    (state,) = triples.load(db, [b"a"])
    assert (state.source_unknown, state.destination_unknown) == (True, True)


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_walk_is_sorted_depth_first_whatever_the_page(db: DB, limit: int) -> None:
    share(db, "a/", "a/x", "a-b", "a.c/", "a.c/y", "b")
    put(db, SOURCE, "a/s", "z/", "z/z/")
    put(db, DESTINATION, "a/t/", "a/t/u", "0")
    base.put(db, b"gone/deep", file(), 0, 0)
    found = states(db, limit)
    names = set(paths_of(db, SOURCE)) | set(paths_of(db, DESTINATION)) | set(base_paths(db))
    assert list(found) == sorted(names, key=order_of)
    assert list(found) == [
        *(b"0", b"a", b"a/s", b"a/t", b"a/t/u", b"a/x", b"a-b", b"a.c", b"a.c/y", b"b"),
        *(b"gone", b"gone/deep", b"z", b"z/z"),
    ]


def test_walk_of_a_subtree_begins_with_its_top(db: DB) -> None:
    share(db, "a/", "a/b/", "a/b/c", "a/d", "e")
    page, after = triples.walk(db, b"a", None, 2)
    assert ([state.path for state in page], after) == ([b"a", b"a/b"], b"a/b")
    page, after = triples.walk(db, b"a", after, 10)
    assert ([state.path for state in page], after) == ([b"a/b/c", b"a/d"], None)
    page, _ = triples.walk(db, b"e", None, 10)
    assert [state.path for state in page] == [b"e"]
    page, _ = triples.walk(db, b"nothing", None, 10)
    assert page == [PathState(b"nothing")]


def test_walk_goes_on_behind_a_path_that_went(db: DB) -> None:
    share(db, "a/", "a/b/", "a/b/c", "a/d", "e")
    _, after = triples.walk(db, b"", None, 2)
    assert after == b"a/b"
    for side in (SOURCE, DESTINATION):
        nodes.remove(db, side, b"a/b")
    base.remove(db, b"a/b")
    page, _ = triples.walk(db, b"", after, 10)
    assert [state.path for state in page] == [b"a/d", b"e"]


def test_walk_of_a_wide_directory(db: DB) -> None:
    share(db, *(f"f{i:04d}" for i in range(1200)))
    put(db, DESTINATION, *(f"g{i:04d}" for i in range(1200)))
    assert len(states(db, 999)) == 2400


def test_parked_nodes_do_not_show(db: DB) -> None:
    share(db, "a", "b")
    node = nodes.find(db, SOURCE, b"a")
    assert node is not None
    nodes.move_node(db, node.node_id, 1, PARKED_PREFIX + b"3")
    assert sorted(states(db)) == [b"a", b"b"]
    assert nodes.path_of(db, node.node_id) is None
    assert [item.path for item in dirty.dirty(db, 0)] == [b"a", b"b"]


@pytest.mark.parametrize("seed", range(10))
def test_walk_and_load_agree(db: DB, seed: int) -> None:
    rng = random.Random(seed)
    share(db, "a/", "a/b/", "a/b/c", "b", "c/")
    for _ in range(60):
        mutate(db, rng, rng.choice([SOURCE, DESTINATION]))
    for row in db.execute("SELECT node_id FROM nodes WHERE kind = 2").fetchall():
        flags = {"is_listed": rng.random() < 0.8, "has_ignored": rng.random() < 0.3}
        nodes.set_flags(db, row[0], **flags)
    walked = states(db, rng.randrange(1, 9))
    assert list(walked.values()) == triples.load(db, list(walked))


# Directories that hold nothing but ignored content.


def ignored_in(db: DB, path: bytes) -> None:
    node = nodes.find(db, SOURCE, path)
    assert node is not None
    nodes.set_flags(db, node.node_id, is_listed=True, has_ignored=True)


def only_ignored(db: DB, path: bytes) -> bool:
    (state,) = triples.load(db, [path])
    assert states(db)[path] == state
    return state.source_only_ignored


def test_only_ignored_at_any_depth(db: DB) -> None:
    put(db, SOURCE, "d/", "d/e/", "d/f/")
    assert not only_ignored(db, b"d"), "an empty directory holds nothing ignored"
    ignored_in(db, b"d/e")
    assert only_ignored(db, b"d")
    assert only_ignored(db, b"d/e")
    assert not only_ignored(db, b"d/f")
    put(db, SOURCE, "d/f/visible")
    assert not only_ignored(db, b"d")


def test_only_ignored_counts_for_one_sided_directories(db: DB) -> None:
    put(db, SOURCE, "d/")
    ignored_in(db, b"d")
    put(db, DESTINATION, "d/")
    assert not only_ignored(db, b"d")
    nodes.remove(db, DESTINATION, b"d")
    put(db, DESTINATION, "d=file")
    assert only_ignored(db, b"d"), "the file cannot come in its place"


def test_special_files_keep_a_directory_like_ignored_ones(db: DB) -> None:
    put(db, SOURCE, "d/")
    nodes.put(db, SOURCE, b"d/pipe", Entry(Kind.SPECIAL))
    assert only_ignored(db, b"d")


def test_unlisted_directories_may_hold_anything(db: DB) -> None:
    put(db, SOURCE, "d/", "d/e/")
    ignored_in(db, b"d")
    node = nodes.find(db, SOURCE, b"d/e")
    assert node is not None
    nodes.set_flags(db, node.node_id, is_listed=False, has_ignored=False)
    assert not only_ignored(db, b"d")


# Dirty paths.


def named(db: DB, seq: int) -> list[DirtyPath]:
    return dirty.dirty(db, seq)


def test_nothing_new_is_nothing_dirty(db: DB) -> None:
    share(db, "a", "d/", "d/e")
    assert named(db, feed.head(db)) == []


def test_appeared_directories_are_deep_and_swallow(db: DB) -> None:
    share(db, "a")
    head = feed.head(db)
    put(db, SOURCE, "d/", "d/e/", "d/e/f", "d/g", "b", "a=new")
    assert named(db, head) == [DirtyPath(b"a", False), DirtyPath(b"b", False), DirtyPath(b"d", True)]


def test_changed_directory_is_not_deep(db: DB) -> None:
    share(db, "d/", "d/e")
    head = feed.head(db)
    node = nodes.find(db, SOURCE, b"d")
    assert node is not None
    nodes.set_entry(db, node.node_id, Entry(Kind.DIRECTORY, 0o700))
    assert named(db, head) == [DirtyPath(b"d", False)]


def test_renamed_directory_names_both_places_whole(db: DB) -> None:
    share(db, "d/", "d/e", "t/")
    head = feed.head(db)
    nodes.move(db, SOURCE, b"d", b"t/n")
    assert named(db, head) == [DirtyPath(b"d", True), DirtyPath(b"t/n", True)]
    node = nodes.find(db, SOURCE, b"t/n")
    assert node is not None
    nodes.set_entry(db, node.node_id, Entry(Kind.DIRECTORY, 0o700))
    assert named(db, head) == [DirtyPath(b"d", True), DirtyPath(b"t/n", True)]


def test_renamed_twice_names_every_place(db: DB) -> None:
    share(db, "a")
    head = feed.head(db)
    nodes.move(db, SOURCE, b"a", b"b")
    nodes.move(db, SOURCE, b"b", b"c")
    assert [item.path for item in named(db, head)] == [b"a", b"b", b"c"]


def test_tombstone_in_a_removed_directory(db: DB) -> None:
    share(db, "d/", "d/e/", "d/e/f", "g")
    head = feed.head(db)
    nodes.remove(db, SOURCE, b"d")
    assert named(db, head) == [DirtyPath(b"d", True)]


def test_removed_after_a_rename_names_the_base_path(db: DB) -> None:
    share(db, "d/", "d/f", "e/")
    head = feed.head(db)
    nodes.move(db, DESTINATION, b"d/f", b"e/f")
    nodes.remove(db, DESTINATION, b"e")
    assert is_named(b"d/f", named(db, head))
    assert is_named(b"e", named(db, head))


def test_pending_paths_that_are_due(db: DB) -> None:
    pending.put(db, b"later", SOURCE, Reason.IO_ERROR, "", 100)
    pending.put(db, b"held", SOURCE, Reason.MASS_DELETE, "", 100)
    assert dirty.dirty(db, 0) == []
    assert dirty.dirty(db, 0, 101) == []
    assert dirty.dirty(db, 0, 100 + 10**9) == [DirtyPath(b"later", False)]
    assert [item.path for item in dirty.dirty(db, 0, 0, True)] == [b"held", b"later"]


def test_too_many_paths_are_everything(db: DB, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dirty, "ROWS_LIMIT", 10)
    put(db, SOURCE, *(f"f{i}" for i in range(20)))
    assert named(db, 0) == [DirtyPath(b"", True)]


def test_merge() -> None:
    given = [(b"b", False), (b"a/x", False), (b"a", True), (b"a-b", False), (b"b", True), (b"b/c", True)]
    merged = merge(DirtyPath(path, is_deep) for path, is_deep in given)
    assert merged == [DirtyPath(b"a", True), DirtyPath(b"a-b", False), DirtyPath(b"b", True)]
    assert merge([DirtyPath(b"x", False), DirtyPath(b"", True)]) == [DirtyPath(b"", True)]
    assert merge([]) == []


@pytest.mark.parametrize("seed", range(60))
def test_every_path_whose_state_changed_is_named(db: DB, seed: int) -> None:
    """The law of the same answer: reconciling the dirty paths misses nothing that a full pass would see."""
    rng = random.Random(seed)
    for _ in range(30):
        mutate(db, rng, rng.choice([SOURCE, DESTINATION]))
    for path, node in paths_of(db, SOURCE).items():
        other = nodes.find(db, DESTINATION, path)
        if other is not None and rng.random() < 0.8:
            base.put(db, path, node.entry, node.node_id, other.node_id)
    before, head = states(db), feed.head(db)
    for _ in range(rng.randrange(1, 12)):
        mutate(db, rng, rng.choice([SOURCE, DESTINATION]))
    after, found = states(db), named(db, head)
    for path in before.keys() | after.keys():
        if before.get(path, PathState(path)) != after.get(path, PathState(path)):
            assert is_named(path, found), path
    moved = {
        node.node_id: path for side in (SOURCE, DESTINATION) for path, node in paths_of(db, side).items()
    }
    for path, state in before.items():
        for node_id in (state.base_source_node, state.base_destination_node):
            if node_id and moved.get(node_id) != path:
                was = {before[p].source_node: p for p in before} | {
                    before[p].destination_node: p for p in before
                }
                if was.get(node_id) != moved.get(node_id):
                    assert is_named(path, found), "the base path of a node that went elsewhere"
