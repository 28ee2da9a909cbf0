"""Merging directories that were renamed, single looks, and thorough comparisons."""

from syncd.core.entry import Entry, Kind
from syncd.index import displaced, feed, meta, records
from syncd.index.observed import Arrival, Wanted
from tests.index.kit import SOURCE, paths_of
from tests.index.merging import Bench, child, folder, ignored_by, listed, look

# Directories that arrive with a known inode.


def known_directory(bench: Bench) -> None:
    bench.observe(
        listed("", 2, folder("d", 11), folder("t", 12)),
        listed("d", 11, child("x", 20), child("y", 21)),
        listed("t", 12),
    )


def test_arrival_is_asked_and_stops_the_pass(bench: Bench) -> None:
    known_directory(bench)
    listings = [listed("", 2, folder("n", 11), folder("t", 12)), listed("n", 11, child("x", 20))]
    merging = bench.merge()
    wanted = merging.merge_listings(bench.db, listings)
    (question,) = wanted.arrivals
    assert (question.path, question.old_path, question.candidate) == (b"n", b"d", bench.node_id(b"d"))
    assert wanted.orphans == listings[1:], "what is beneath is judged when it is in place"


def test_arrival_that_is_a_rename(bench: Bench) -> None:
    known_directory(bench)
    moved = bench.node_id(b"d")
    merging = bench.merge()
    wanted = merging.merge_listings(bench.db, [listed("", 2, folder("n", 11, 0o700), folder("t", 12))])
    merging.answer_arrivals(bench.db, wanted.arrivals, [Arrival(True)])
    assert bench.node_id(b"n") == moved
    assert bench.entry(b"n").mode == 0o700
    assert sorted(paths_of(bench.db, SOURCE)) == [b"n", b"n/x", b"n/y", b"t"]
    assert displaced.remove_missed(bench.db, SOURCE, 10) == 0, "nothing is missed any more"
    assert sorted(paths_of(bench.db, SOURCE)) == [b"n", b"n/x", b"n/y", b"t"]


def test_arrival_that_is_another_directory(bench: Bench) -> None:
    known_directory(bench)
    old = bench.node_id(b"d")
    merging = bench.merge()
    wanted = merging.merge_listings(bench.db, [listed("", 2, folder("n", 11), folder("t", 12))])
    merging.answer_arrivals(bench.db, wanted.arrivals, [Arrival(False)])
    assert bench.node_id(b"n") != old
    while displaced.remove_missed(bench.db, SOURCE, 10):
        pass
    assert sorted(paths_of(bench.db, SOURCE)) == [b"n", b"t"]


def test_arrival_with_a_new_directory_at_the_old_place(bench: Bench) -> None:
    known_directory(bench)
    moved = bench.node_id(b"d")
    merging = bench.merge()
    wanted = merging.merge_listings(bench.db, [listed("t", 12, folder("n", 11))])
    merging.answer_arrivals(bench.db, wanted.arrivals, [Arrival(True, folder("d", 77))])
    assert bench.node_id(b"t/n") == moved
    assert bench.node_id(b"d") not in (0, moved)
    assert b"d" in merging.appeared


def test_a_directory_does_not_arrive_beneath_itself(bench: Bench) -> None:
    known_directory(bench)
    merging = bench.merge()
    wanted = merging.merge_listings(bench.db, [listed("d", 11, folder("loop", 11))])
    assert wanted.arrivals == [], "a bind mount of itself, say"
    assert b"d/loop" in paths_of(bench.db, SOURCE)


def test_look_changes_one_name(bench: Bench) -> None:
    known_directory(bench)
    merging = bench.merge()
    wanted = merging.merge_looks(
        bench.db, [look("d/x", child("x", 20, size=9)), look("d/y", None), look("d/z", child("z", 22))]
    )
    assert wanted == Wanted()
    while displaced.remove_missed(bench.db, SOURCE, 10):
        pass
    assert sorted(paths_of(bench.db, SOURCE)) == [b"d", b"d/x", b"d/z", b"t"]
    assert {one.name: one.hint.size for one in bench.stored(bench.node_id(b"d"))} == {b"x": 9, b"z": 5}


def test_look_that_says_nothing_new(bench: Bench) -> None:
    known_directory(bench)
    merging = bench.merge()
    before = bench.db.total_changes
    merging.merge_looks(
        bench.db, [look("d/x", child("x", 20)), look("none", None), look("d", folder("d", 11))]
    )
    assert (bench.db.total_changes, merging.changed, merging.has_missed) == (before, 0, False)


def test_look_names_its_child_by_the_path(bench: Bench) -> None:
    known_directory(bench)
    bench.merge().merge_looks(bench.db, [look("d/z", child("another", 22))])
    assert b"d/z" in paths_of(bench.db, SOURCE)


def test_look_in_unknown_directories(bench: Bench) -> None:
    known_directory(bench)
    wanted = bench.merge().merge_looks(
        bench.db,
        [look("t/u/v/w", child("w", 30)), look("q/r", child("r", 31)), look("gone/s", None)],
    )
    assert wanted.missing == {b"t/u", b"q"}


# Thorough comparisons.


def test_directories_that_could_not_be_listed_are_compared_name_by_name(bench: Bench) -> None:
    bench.observe(listed("", 2, child("a", 10), child("b", 11)))
    records.recheck_beneath(bench.db, SOURCE, b"")
    same = listed("", 2, child("a", 10), child("b", 11))
    bench.ignored = ignored_by(b"b")
    bench.observe(same)
    assert sorted(paths_of(bench.db, SOURCE)) == [b"a"]
    bench.ignored = ignored_by()
    bench.observe(same)
    assert sorted(paths_of(bench.db, SOURCE)) == [b"a"], "that was once"


def test_thorough_comparison_of_what_agrees_changes_nothing(bench: Bench) -> None:
    root = listed("", 2, child("a", 10), folder("d", 11), child("p", 12, kind=Kind.SPECIAL))
    bench.observe(root)
    head = feed.head(bench.db)
    meta.forget_observed_filter(bench.db, SOURCE)
    merging, wanted = bench.observe(root)
    assert merging.is_thorough
    assert (wanted, merging.changed, feed.head(bench.db)) == (Wanted(), 0, head)


def test_entries_that_disagree_are_mended(bench: Bench) -> None:
    root = listed("", 2, child("a", 10), folder("d", 11), child("p", 12, kind=Kind.SPECIAL))
    bench.observe(root)
    bench.db.execute("UPDATE nodes SET mode = 0, mtime_ns = 99 WHERE parent_id = 1")
    meta.forget_observed_filter(bench.db, SOURCE)
    bench.observe(root)
    assert bench.entry(b"a") == Entry(Kind.FILE, 0o644, 5, 1)
    assert bench.entry(b"d").mode == 0o755
    assert bench.entry(b"p").mode == 0o644
