"""What an action's result leaves behind: nodes, records, base and journal, in one go."""

import sqlite3

import pytest

from syncd.core import listing
from syncd.core.action import (
    Action,
    Delete,
    Done,
    Failed,
    MakeDirectory,
    Move,
    Put,
    RemoveDirectory,
    SetMode,
    Stale,
    TrashRef,
)
from syncd.core.entry import Entry, Kind, Side, StatHint
from syncd.core.listing import Child
from syncd.core.reason import Reason
from syncd.index import base, dirty, feed, history, nodes, records, results
from tests.index.kit import DESTINATION, DIRECTORY, SOURCE, base_paths, file, paths_of, put, share

DB = sqlite3.Connection
HINT = StatHint(77, 5, 6, 7)


def store(db: DB, *done: Done) -> None:
    results.record(db, "batch", 1000, done)


def done(action: Action, entry: Entry | None = None, hint: StatHint | None = HINT) -> Done:
    return Done(action, entry, hint if entry is not None else None)


def put_of(path: bytes, entry: Entry, *, side: Side = DESTINATION, origin: bytes | None = None) -> Done:
    return done(Put(side, path, entry, None, path if origin is None else origin), entry)


def record_of(db: DB, side: Side, path: bytes) -> dict[bytes, Child]:
    node = nodes.find(db, side, path)
    assert node is not None
    record = records.get(db, node.node_id)
    return {child.name: child for child in listing.unpack(record)} if record else {}


@pytest.fixture(autouse=True)
def roots_were_listed(db: DB) -> None:
    for side in Side:
        records.put(db, int(side), int(side), records.EMPTY)
    db.execute("UPDATE nodes SET flags = 1")


def test_put_of_a_new_file(db: DB) -> None:
    put(db, SOURCE, "f=text")
    store(db, put_of(b"f", file("text")))
    source, destination = nodes.find(db, SOURCE, b"f"), nodes.find(db, DESTINATION, b"f")
    assert source is not None
    assert destination is not None
    assert destination.entry == file("text")
    assert record_of(db, DESTINATION, b"")[b"f"] == Child(b"f", Kind.FILE, 0o644, HINT)
    row = base.find(db, b"f")
    assert row is not None
    assert (row.entry, row.source_node, row.destination_node) == (
        file("text"),
        source.node_id,
        destination.node_id,
    )


def test_put_tells_the_other_side_its_digest_without_a_change(db: DB) -> None:
    nodes.put(db, SOURCE, b"f", Entry(Kind.FILE, 0o644, 4, 1))
    head = feed.head(db)
    store(db, put_of(b"f", file("text")))
    source = nodes.find(db, SOURCE, b"f")
    assert source is not None
    assert source.entry.digest == file("text").digest
    assert feed.head(db) == head + 1, "the new node at the destination only"


def test_put_over_a_file_keeps_the_node(db: DB) -> None:
    share(db, "f=one")
    before = nodes.find(db, DESTINATION, b"f")
    put(db, SOURCE, "f=three")
    store(db, put_of(b"f", file("three")))
    after = nodes.find(db, DESTINATION, b"f")
    assert before is not None
    assert after is not None
    assert (after.node_id, after.entry) == (before.node_id, file("three"))
    assert base_paths(db)[b"f"] == file("three")


def test_what_came_to_an_unknown_directory_is_told(db: DB) -> None:
    """Somebody has made it anew, and it was not observed yet."""
    nodes.put(db, SOURCE, b"f", file("1"))
    moved = done(Move(SOURCE, b"f", b"unknown/f", file("1")))
    homeless = results.record(db, "b", 1, [put_of(b"unknown/g", file("2")), moved])
    assert homeless == [b"unknown/g", b"f", b"unknown/f"]


def test_put_to_a_name_that_was_not_free_after_all(db: DB) -> None:
    put(db, SOURCE, "a", "b", "c")
    put(db, DESTINATION, "b=stale")
    before = nodes.find(db, DESTINATION, b"b")
    store(db, *(put_of(name, file(name.decode())) for name in (b"a", b"b", b"c")))
    after = nodes.find(db, DESTINATION, b"b")
    assert before is not None
    assert after is not None
    assert (after.node_id, after.entry) == (before.node_id, file("b"))
    assert list(record_of(db, DESTINATION, b"")) == [b"a", b"b", b"c"]
    assert base_paths(db) == {b"a": file("a"), b"b": file("b"), b"c": file("c")}


def test_ids_are_not_given_twice_after_a_refusal(db: DB) -> None:
    """The names of the first batch come to free places, but for the last one."""
    put(db, SOURCE, *"abcdefgh")
    put(db, DESTINATION, "d=d")
    store(db, *(put_of(name.encode(), file(name)) for name in "abcd"))
    store(db, *(put_of(name.encode(), file(name)) for name in "efgh"))
    for name in (b"a", b"d", b"e", b"h"):
        row = base.find(db, name)
        assert row is not None
        for side, node_id in ((SOURCE, row.source_node), (DESTINATION, row.destination_node)):
            assert nodes.path_of(db, node_id) == name
            assert nodes.find(db, side, name) == nodes.get(db, node_id)
    nodes.remove(db, DESTINATION, b"c")
    put(db, DESTINATION, "i")
    assert {b"c", b"i"} <= {item.path for item in dirty.dirty(db, 0)}


def test_put_to_a_name_that_the_base_knows(db: DB) -> None:
    """It was deleted on both sides, and came again on one before that was acknowledged."""
    share(db, "b=gone")
    for side in Side:
        nodes.remove(db, side, b"b")
    put(db, SOURCE, "a", "b", "c")
    store(db, *(put_of(name, file(name.decode())) for name in (b"a", b"b", b"c")))
    assert base_paths(db) == {b"a": file("a"), b"b": file("b"), b"c": file("c")}
    row, node = base.find(db, b"b"), nodes.find(db, DESTINATION, b"b")
    assert row is not None
    assert node is not None
    assert row.destination_node == node.node_id


def test_put_of_a_renamed_node_takes_the_claim_of_its_old_row(db: DB) -> None:
    """The rename was not upgraded (a backup): the new name is put, the old row only says what was lost."""
    share(db, "old=text", "other=1")
    nodes.move(db, SOURCE, b"old", b"new")
    store(db, put_of(b"new", file("text")))
    old, new = base.find(db, b"old"), base.find(db, b"new")
    source = nodes.find(db, SOURCE, b"new")
    assert old is not None
    assert new is not None
    assert source is not None
    assert (old.source_node, old.entry) == (0, file("text"))
    assert new.source_node == source.node_id


def test_both_sides_in_one_batch(db: DB) -> None:
    put(db, SOURCE, "s")
    put(db, DESTINATION, "t")
    store(db, put_of(b"s", file("s")), put_of(b"t", file("t"), side=SOURCE))
    for path in (b"s", b"t"):
        row, ids = base.find(db, path), [nodes.find(db, side, path) for side in Side]
        assert row is not None
        assert [row.source_node, row.destination_node] == [node.node_id for node in ids if node is not None]


def test_put_of_what_the_other_side_has_lost_makes_no_base(db: DB) -> None:
    """Otherwise the next round would take the loss for a deletion of what was just put."""
    store(db, put_of(b"f", file()))
    assert b"f" in paths_of(db, DESTINATION)
    assert base_paths(db) == {}


def test_put_from_another_name_needs_equal_content_for_a_base(db: DB) -> None:
    put(db, SOURCE, "f=mine", "f (conflict)=theirs")
    store(db, put_of(b"f (conflict)", file("mine"), origin=b"f"))
    assert base_paths(db) == {}
    store(db, put_of(b"f (conflict)", file("theirs"), origin=b"f"))
    assert base_paths(db) == {b"f (conflict)": file("theirs")}


def test_put_of_a_link(db: DB) -> None:
    link = Entry(Kind.SYMLINK, 0, 1, 0, None, b"x")
    nodes.put(db, SOURCE, b"l", link)
    store(db, put_of(b"l", link))
    assert base_paths(db) == {b"l": link}


def test_file_in_place_of_a_directory(db: DB) -> None:
    put(db, DESTINATION, "d/", "d/e/", "d/e/f")
    put(db, SOURCE, "d=now a file")
    store(db, put_of(b"d", file("now a file")))
    assert list(paths_of(db, DESTINATION)) == [b"d"]


def test_made_directory_is_listed_and_empty(db: DB) -> None:
    put(db, SOURCE, "d/", "d/f")
    store(db, done(MakeDirectory(DESTINATION, b"d", DIRECTORY), DIRECTORY), put_of(b"d/f", file("d/f")))
    node = nodes.find(db, DESTINATION, b"d")
    assert node is not None
    assert node.is_listed
    assert records.find_directory(db, DESTINATION, HINT.inode) == node.node_id
    assert list(record_of(db, DESTINATION, b"d")) == [b"f"]
    assert list(record_of(db, DESTINATION, b"")) == [b"d"]
    assert list(base_paths(db)) == [b"d", b"d/f"]


def test_set_mode_changes_the_bits_of_the_base_only(db: DB) -> None:
    share(db, "f=one")
    put(db, SOURCE, "f=edited")
    entry = Entry(Kind.FILE, 0o755, 3, 9)
    store(db, done(SetMode(DESTINATION, b"f", 0o755, file("one")), entry))
    node = nodes.find(db, DESTINATION, b"f")
    assert node is not None
    assert (node.entry.mode, node.entry.digest) == (0o755, file("one").digest)
    known = base_paths(db)[b"f"]
    assert known is not None
    assert (known.mode, known.digest) == (0o755, file("one").digest)


def test_set_mode_keeps_an_unverified_row_unverified(db: DB) -> None:
    unread = Entry(Kind.FILE, 0o644, 3, 5)
    ids = [nodes.put(db, side, b"f", unread) for side in Side]
    base.put(db, b"f", unread, *ids, unverified=True)
    after = Entry(Kind.FILE, 0o600, 3, 5)
    store(db, done(SetMode(SOURCE, b"f", 0o600, unread), after))
    row = base.find(db, b"f")
    assert row is not None
    assert (row.entry, row.unverified) == (after, True)


def test_set_mode_without_a_base_row(db: DB) -> None:
    for side in Side:
        put(db, side, "same=1", "other=1" if side is SOURCE else "other=2")
    for path in (b"same", b"other"):
        store(db, done(SetMode(SOURCE, path, 0o600, file("1")), file("1", mode=0o600)))
    assert base_paths(db) == {b"same": file("1", mode=0o600)}


def test_move_takes_node_and_base_along(db: DB) -> None:
    share(db, "d/", "d/f=one", "t/")
    records.update_children(db, 2, {b"d": Child(b"d", Kind.DIRECTORY, 0o755, HINT)})
    nodes.move(db, SOURCE, b"d", b"t/n")
    put(db, SOURCE, "t/n/f=edited")
    before = nodes.find(db, DESTINATION, b"d/f")
    store(db, done(Move(DESTINATION, b"d", b"t/n", DIRECTORY), DIRECTORY))
    after = nodes.find(db, DESTINATION, b"t/n/f")
    assert after == before
    assert base_paths(db)[b"t/n/f"] == file("one"), "an edit is found by the next round"
    assert b"d" not in record_of(db, DESTINATION, b"")
    row, source = base.find(db, b"t/n"), nodes.find(db, SOURCE, b"t/n")
    assert row is not None
    assert source is not None
    assert row.source_node == source.node_id


def test_move_found_by_digest_links_the_new_node(db: DB) -> None:
    share(db, "a=text")
    nodes.remove(db, SOURCE, b"a")
    put(db, SOURCE, "b=text")
    store(db, done(Move(DESTINATION, b"a", b"b", file("text")), file("text")))
    row, source = base.find(db, b"b"), nodes.find(db, SOURCE, b"b")
    destination = nodes.find(db, DESTINATION, b"b")
    assert row is not None
    assert source is not None
    assert destination is not None
    assert (row.source_node, row.destination_node) == (source.node_id, destination.node_id)
    assert list(base_paths(db)) == [b"b"]


def test_move_without_a_reported_entry_keeps_the_digest(db: DB) -> None:
    share(db, "a=text")
    expect = Entry(Kind.FILE, 0o644, 4, 1)
    store(db, Done(Move(DESTINATION, b"a", b"b", expect), None, None))
    node = nodes.find(db, DESTINATION, b"b")
    assert node is not None
    assert node.entry.digest == file("text").digest


def test_conflict_move_drops_the_base(db: DB) -> None:
    share(db, "f=one")
    action = Move(DESTINATION, b"f", b"f (conflict)", file("one"), is_conflict=True)
    store(db, done(action, file("one")))
    assert base_paths(db) == {}
    assert list(paths_of(db, DESTINATION)) == [b"f (conflict)"]


def test_move_onto_a_stale_node(db: DB) -> None:
    share(db, "a=1")
    put(db, DESTINATION, "b=stale")
    store(db, done(Move(DESTINATION, b"a", b"b", file("1")), file("1")))
    assert {path: node.entry for path, node in paths_of(db, DESTINATION).items()} == {b"b": file("1")}


def test_swap_in_one_batch(db: DB) -> None:
    """The executor parks one of two; the results come in the plan's order."""
    share(db, "a=1", "b=2")
    ids = {name: nodes.find(db, DESTINATION, name) for name in (b"a", b"b")}
    parking = b"c"
    store(
        db,
        done(Move(DESTINATION, b"a", parking, file("1")), file("1")),
        done(Move(DESTINATION, b"b", b"a", file("2")), file("2")),
        done(Move(DESTINATION, parking, b"b", file("1")), file("1")),
    )
    assert ids[b"a"] is not None
    assert ids[b"b"] is not None
    found = paths_of(db, DESTINATION)
    assert (found[b"a"].node_id, found[b"b"].node_id) == (ids[b"b"].node_id, ids[b"a"].node_id)
    assert sorted(base_paths(db)) == [b"a", b"b"]


def test_delete_and_rmdir(db: DB) -> None:
    share(db, "d/", "d/f", "g")
    records.update_children(db, 2, {b"g": Child(b"g", Kind.FILE, 0o644, HINT)})
    trash = TrashRef(DESTINATION, "batch", "slot")
    store(
        db,
        Done(Delete(DESTINATION, b"d/f", file("d/f")), None, None, trash),
        Done(RemoveDirectory(DESTINATION, b"d", DIRECTORY), None, None),
        Done(Delete(DESTINATION, b"g", file("g")), None, None),
    )
    assert paths_of(db, DESTINATION) == {}
    assert base_paths(db) == {}
    assert record_of(db, DESTINATION, b"") == {}


def test_rmdir_keeps_base_rows_of_what_moved_away(db: DB) -> None:
    share(db, "d/", "d/f")
    nodes.move(db, SOURCE, b"d/f", b"f")
    nodes.remove(db, SOURCE, b"d")
    nodes.remove(db, DESTINATION, b"d/f")
    store(db, done(RemoveDirectory(DESTINATION, b"d", DIRECTORY)))
    assert base_paths(db) == {b"d": None, b"d/f": file("d/f")}


def test_only_what_was_done_counts(db: DB) -> None:
    put(db, SOURCE, "f")
    action = Put(DESTINATION, b"f", file("f"), None, b"f")
    results.record(db, "batch", 1, [Stale(action), Failed(action, Reason.IO_ERROR, "bad disk")])
    assert paths_of(db, DESTINATION) == {}
    assert history.batches(db) == []


def test_results_beneath_a_directory_that_went_are_passed_over(db: DB) -> None:
    store(db, put_of(b"gone/f", file()), done(Move(DESTINATION, b"gone/a", b"b", file()), file()))
    assert paths_of(db, DESTINATION) == {}


def test_unknown_hint_is_looked_at_again(db: DB) -> None:
    put(db, SOURCE, "f")
    store(db, done(Put(DESTINATION, b"f", file("f"), None, b"f"), file("f"), None))
    assert record_of(db, DESTINATION, b"")[b"f"].hint.ctime_ns == 0


def test_adopt(db: DB) -> None:
    for side in Side:
        nodes.put(db, side, b"f", Entry(Kind.FILE, 0o644, 4, 1))
    put(db, SOURCE, "one-sided")
    results.adopt(db, [(b"f", file("text"), False), (b"one-sided", file(), False), (b"none/x", file(), True)])
    assert base_paths(db) == {b"f": file("text")}
    for side in Side:
        node = nodes.find(db, side, b"f")
        assert node is not None
        assert node.entry.digest == file("text").digest


def test_adopt_unread(db: DB) -> None:
    unread = Entry(Kind.FILE, 0o644, 4, 1)
    for side in Side:
        nodes.put(db, side, b"f", unread)
    results.adopt(db, [(b"f", unread, True)])
    row = base.find(db, b"f")
    assert row is not None
    assert (row.entry, row.unverified) == (unread, True)


def test_adopt_a_rename_of_both_sides(db: DB) -> None:
    share(db, "a=1")
    for side in Side:
        nodes.move(db, side, b"a", b"b")
    results.adopt(db, [(b"b", file("1"), False)])
    results.forget(db, [b"a"])
    assert base_paths(db) == {b"b": file("1")}


def test_forget_a_tree_path_by_path(db: DB) -> None:
    share(db, "d/", "d/e/", "d/e/f", "g")
    results.forget(db, [b"d", b"d/e", b"d/e/f", b"nothing"])
    assert list(base_paths(db)) == [b"g"]


def test_huge_directories_are_patched_not_rewritten(db: DB, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "PATCHED_FROM", 200)
    put(db, SOURCE, *(f"f{i}" for i in range(20)))
    for i in range(20):
        store(db, put_of(b"f%d" % i, file(f"f{i}")))
    row = db.execute("SELECT length(record) FROM records WHERE node_id = 2").fetchone()[0]
    assert row < 500
    assert len(record_of(db, DESTINATION, b"")) == 20
    store(db, done(Delete(DESTINATION, b"f7", file("f7"))))
    assert b"f7" not in record_of(db, DESTINATION, b"")
    whole = records.get(db, 2)
    assert whole is not None
    records.put(db, 2, 2, whole)
    assert db.execute("SELECT count(*) FROM record_patches").fetchone()[0] == 0
    assert records.get(db, 2) == whole
