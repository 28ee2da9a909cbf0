"""Merging what was listed: what is written at once, what is asked first, and what waits for the end.

No tree here: listings are made from rows, answers are given by hand.
"""

import sqlite3

import pytest

from syncd.core.entry import Entry, Kind, StatHint
from syncd.core.listing import Child, pack, smudge, unpack
from syncd.core.path import MAX_PATH, is_reserved
from syncd.core.reason import Reason
from syncd.index import displaced, feed, meta, nodes, records
from syncd.index.merge import Merge
from syncd.index.observed import (
    Answer,
    Arrival,
    Listed,
    Looked,
    Question,
    Wanted,
    agrees,
    entry_of_child,
    unseen,
)
from tests.index.kit import SOURCE, paths_of

DB = sqlite3.Connection


def child(
    name: str,
    inode: int,
    *,
    size: int = 5,
    mtime: int = 1,
    ctime: int = 1,
    mode: int = 0o644,
    kind: Kind = Kind.FILE,
) -> Child:
    return Child(name.encode(), kind, mode, StatHint(inode, size, mtime, ctime))


def folder(name: str, inode: int, mode: int = 0o755) -> Child:
    return Child(name.encode(), Kind.DIRECTORY, mode, StatHint(inode, 4096, 1, 1))


def listed(path: str, inode: int, *children: Child, racy_after_ns: int = 2**62) -> Listed:
    return Listed(path.encode(), inode, pack(sorted(children, key=lambda one: one.name)), racy_after_ns)


def ignored_by(*names: bytes):  # type: ignore[no-untyped-def]
    def is_ignored(path: bytes, is_directory: bool) -> bool:
        return is_reserved(path) or any(part in names for part in path.split(b"/"))

    return is_ignored


class Bench:
    """Merges into one tree; `observe` is a whole observation whose answers are given by `digests`."""

    def __init__(self, db: DB) -> None:
        self.db = db
        self.ignored = ignored_by()
        self.fingerprint = "rules"

    def merge(self) -> Merge:
        return Merge(SOURCE, self.ignored, self.fingerprint)

    def observe(self, *listings: Listed) -> tuple[Merge, Wanted]:
        merging = self.merge()
        wanted = merging.merge_listings(self.db, listings)
        while displaced.remove_missed(self.db, SOURCE, 100):
            pass
        merging.settle_filter(self.db)
        return merging, wanted

    def entry(self, path: bytes) -> Entry:
        node = nodes.find(self.db, SOURCE, path)
        assert node is not None
        return node.entry

    def node_id(self, path: bytes) -> int:
        node = nodes.find(self.db, SOURCE, path)
        assert node is not None
        return node.node_id

    def learn(self, path: bytes, digest: bytes = b"d" * 32) -> None:
        nodes.learn_digest(self.db, self.node_id(path), digest)

    def stored(self, node_id: int = 1) -> list[Child]:
        record = records.get(self.db, node_id)
        return unpack(record) if record else []


@pytest.fixture
def bench(db: DB) -> Bench:
    return Bench(db)


def test_first_listing_is_written_at_once(bench: Bench) -> None:
    root = listed("", 2, child("a", 10), folder("d", 11), child("p", 12, kind=Kind.SPECIAL))
    inner = listed("d", 11, child("x", 13, size=0))
    merging, wanted = bench.observe(root, inner)
    assert wanted == Wanted()
    assert merging.changed == 4
    assert sorted(paths_of(bench.db, SOURCE)) == [b"a", b"d", b"d/x", b"p"]
    assert bench.entry(b"a") == Entry(Kind.FILE, 0o644, 5, 1)
    assert bench.stored() == unpack(root.record)
    assert records.find_directory(bench.db, SOURCE, 11) == bench.node_id(b"d")


def test_equal_listing_writes_nothing(bench: Bench) -> None:
    root = listed("", 2, child("a", 10), folder("d", 11))
    bench.observe(root)
    before = bench.db.total_changes
    merging = bench.merge()
    assert merging.merge_listings(bench.db, [root]) == Wanted()
    assert (merging.changed, merging.is_thorough) == (0, False)
    assert bench.db.total_changes == before


def test_equal_listing_of_another_inode_notes_the_inode(bench: Bench) -> None:
    bench.observe(listed("", 2, child("a", 10)))
    bench.observe(listed("", 99, child("a", 10)))
    assert records.find_directory(bench.db, SOURCE, 99) == 1


def test_listings_of_unknown_directories_wait(bench: Bench) -> None:
    inner = listed("d", 11, child("x", 13))
    _, wanted = bench.observe(inner)
    assert wanted.orphans == [inner]
    assert paths_of(bench.db, SOURCE) == {}


@pytest.mark.parametrize(
    ("change", "asks", "size"),
    [
        ({"size": 9, "mtime": 2, "ctime": 2}, False, 9),
        ({"mtime": 2, "ctime": 2}, True, 5),
        ({"ctime": 2}, True, 5),
        ({"mode": 0o755, "ctime": 2}, True, 5),
        ({"size": 0, "mtime": 2, "ctime": 2}, False, 0),
    ],
)
def test_changed_stat_of_a_known_file(bench: Bench, change: dict[str, int], asks: bool, size: int) -> None:
    bench.observe(listed("", 2, child("a", 10)))
    bench.learn(b"a")
    _, wanted = bench.observe(listed("", 2, child("a", 10, **change)))  # type: ignore[arg-type]
    assert bool(wanted.digests) is asks
    assert bench.entry(b"a").size == size
    if asks:
        assert bench.entry(b"a").digest == b"d" * 32
        assert bench.stored() == [smudge(child("a", 10))], "the record keeps asking until it is answered"


def question_of(wanted: Wanted) -> Question:
    (question,) = wanted.digests
    return question


def test_same_content_only_moves_the_hint(bench: Bench) -> None:
    bench.observe(listed("", 2, child("a", 10)))
    bench.learn(b"a")
    head = feed.head(bench.db)
    now = child("a", 10, mtime=7, ctime=7)
    merging, wanted = bench.observe(listed("", 2, now))
    merging.answer_digests(bench.db, [question_of(wanted)], [Answer(b"d" * 32, now.hint)])
    assert feed.head(bench.db) == head
    assert bench.entry(b"a").mtime_ns == 7
    assert bench.stored() == [now]


def test_other_content_is_a_change(bench: Bench) -> None:
    bench.observe(listed("", 2, child("a", 10)))
    bench.learn(b"a")
    head = feed.head(bench.db)
    now = child("a", 10, mtime=7, ctime=7)
    merging, wanted = bench.observe(listed("", 2, now))
    merging.answer_digests(bench.db, [question_of(wanted)], [Answer(b"e" * 32, now.hint)])
    assert feed.head(bench.db) == head + 1
    assert bench.entry(b"a").digest == b"e" * 32
    assert merging.changed == 1


def test_file_that_grew_while_it_was_read(bench: Bench) -> None:
    """The digest came with a later stat than the listing: that one is what is known."""
    bench.observe(listed("", 2, child("a", 10)))
    bench.learn(b"a")
    merging, wanted = bench.observe(listed("", 2, child("a", 10, ctime=7)))
    later = StatHint(10, 8, 9, 9)
    merging.answer_digests(bench.db, [question_of(wanted)], [Answer(b"e" * 32, later)])
    assert bench.entry(b"a").size == 8
    assert bench.stored()[0].hint == later


def test_no_digest_is_a_problem_that_comes_again(bench: Bench) -> None:
    bench.observe(listed("", 2, child("a", 10)))
    bench.learn(b"a")
    now = listed("", 2, child("a", 10, ctime=7))
    for _ in range(2):
        merging, wanted = bench.observe(now)
        answer = Answer(problem=Reason.UNREADABLE, detail="EACCES")
        merging.answer_digests(bench.db, [question_of(wanted)], [answer])
        assert merging.problems == [(b"a", Reason.UNREADABLE, "EACCES")]
        assert merging.racy == [b"a"]
    assert bench.entry(b"a").digest == b"d" * 32


def test_answer_for_a_file_that_went_is_dropped(bench: Bench) -> None:
    bench.observe(listed("", 2, child("a", 10)))
    bench.learn(b"a")
    merging, wanted = bench.observe(listed("", 2, child("a", 10, ctime=7)))
    nodes.remove(bench.db, SOURCE, b"a")
    merging.answer_digests(bench.db, [question_of(wanted)], [Answer(b"e" * 32, StatHint(10, 5, 1, 7))])
    assert paths_of(bench.db, SOURCE) == {}


def test_links_ask_for_their_target(bench: Bench) -> None:
    link = child("l", 10, kind=Kind.SYMLINK, mode=0o777)
    merging, wanted = bench.observe(listed("", 2, link))
    assert [question.path for question in wanted.links] == [b"l"]
    assert paths_of(bench.db, SOURCE) == {}
    merging.answer_links(bench.db, wanted.links, [Answer(target=b"to")])
    assert bench.entry(b"l") == Entry(Kind.SYMLINK, 0, 5, 1, None, b"to")
    assert bench.stored() == [link]
    _, again = bench.observe(listed("", 2, link))
    assert again == Wanted()


def test_link_that_cannot_be_read(bench: Bench) -> None:
    link = child("l", 10, kind=Kind.SYMLINK)
    merging, wanted = bench.observe(listed("", 2, link))
    merging.answer_links(bench.db, wanted.links, [Answer(problem=Reason.IO_ERROR)])
    assert merging.problems == [(b"l", Reason.IO_ERROR, "")]
    _, again = bench.observe(listed("", 2, link))
    assert len(again.links) == 1


def test_links_target_is_asked_again_when_its_stat_changed(bench: Bench) -> None:
    link = child("l", 10, kind=Kind.SYMLINK)
    merging, wanted = bench.observe(listed("", 2, link))
    merging.answer_links(bench.db, wanted.links, [Answer(target=b"to")])
    head = feed.head(bench.db)
    merging, wanted = bench.observe(listed("", 2, child("l", 10, kind=Kind.SYMLINK, ctime=9)))
    merging.answer_links(bench.db, wanted.links, [Answer(target=b"to")])
    assert (feed.head(bench.db), merging.changed) == (head, 0)


# Racy files.


@pytest.mark.parametrize(
    ("mtime", "ctime", "is_racy"),
    [(50, 50, False), (50, 100, True), (100, 100, True), (500, 50, False), (100, 0, True), (99, 0, False)],
)
def test_racy_rule_goes_by_the_ctime(bench: Bench, mtime: int, ctime: int, is_racy: bool) -> None:
    now = child("a", 10, mtime=mtime, ctime=ctime)
    merging, _ = bench.observe(listed("", 2, now, racy_after_ns=100))
    assert merging.racy == ([b"a"] if is_racy else [])
    assert bench.stored() == [smudge(now) if is_racy else now]


def test_directories_and_links_are_never_racy(bench: Bench) -> None:
    merging, wanted = bench.observe(
        listed("", 2, folder("d", 10), child("l", 11, kind=Kind.SYMLINK), racy_after_ns=0)
    )
    merging.answer_links(bench.db, wanted.links, [Answer(target=b"t")])
    assert merging.racy == []


# Invisible names.


def test_ignored_names_leave_a_flag(bench: Bench) -> None:
    bench.ignored = ignored_by(b"junk")
    bench.observe(listed("", 2, child("junk", 10), folder("d", 11)), listed("d", 11, child("junk", 12)))
    tree = paths_of(bench.db, SOURCE)
    assert list(tree) == [b"d"]
    assert tree[b"d"].has_ignored
    bench.observe(listed("d", 11, child("junk", 12), child("more", 13)))
    assert paths_of(bench.db, SOURCE)[b"d"].has_ignored, "still there, though it did not change"
    bench.observe(listed("d", 11, child("more", 13)))
    assert not paths_of(bench.db, SOURCE)[b"d"].has_ignored


def test_newly_ignored_names_are_removed_once_everything_is_seen(bench: Bench) -> None:
    root = listed("", 2, child("junk", 10), child("keep", 11))
    bench.observe(root)
    bench.ignored, bench.fingerprint = ignored_by(b"junk"), "other rules"
    merging = bench.merge()
    merging.merge_listings(bench.db, [root])
    assert merging.is_thorough
    assert sorted(paths_of(bench.db, SOURCE)) == [b"junk", b"keep"]
    assert displaced.remove_missed(bench.db, SOURCE, 10) == 1
    assert sorted(paths_of(bench.db, SOURCE)) == [b"keep"]
    merging.settle_filter(bench.db)
    assert meta.observed_filter(bench.db, SOURCE) == "other rules"
    assert [one.name for one in bench.stored()] == [b"junk", b"keep"], "the name is there"


def test_control_directory_is_invisible_and_no_problem(bench: Bench) -> None:
    merging, _ = bench.observe(listed("", 2, folder(".syncd", 10), child("a", 11)))
    assert merging.problems == []
    assert list(paths_of(bench.db, SOURCE)) == [b"a"]
    root = nodes.get(bench.db, 1)
    assert root is not None
    assert not root.has_ignored


def test_path_that_is_too_long(bench: Bench) -> None:
    parts = ["n" * 250] * (MAX_PATH // 251)
    path, inode = "", 10
    bench.observe(listed("", 2, folder(parts[0], inode)))
    for part in [*parts[1:], "n" * 250]:
        path = f"{path}/{parts[0]}" if path else parts[0]
        merging, _ = bench.observe(listed(path, inode, folder(part, inode + 1)))
        inode += 1
    assert [reason for _, reason, _ in merging.problems] == [Reason.PATH_TOO_LONG]
    assert all(len(known) <= MAX_PATH for known in paths_of(bench.db, SOURCE))


def test_ignore_file_is_noticed(bench: Bench) -> None:
    merging, _ = bench.observe(listed("", 2, child(".syncignore", 10)))
    assert merging.has_ignore_files
    merging, _ = bench.observe(listed("", 2, child(".syncignore", 10)))
    assert not merging.has_ignore_files
    merging, _ = bench.observe(listed("", 2))
    assert merging.has_ignore_files


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


# Looks.


def look(path: str, found: Child | None) -> Looked:
    return Looked(path.encode(), found)


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


def test_nodes_that_lost_their_record_are_compared(bench: Bench) -> None:
    bench.observe(listed("", 2, child("a", 10), child("b", 11)))
    bench.learn(b"a")
    records.forget_beneath(bench.db, SOURCE, b"")
    merging = bench.merge()
    wanted = merging.merge_listings(bench.db, [listed("", 2, child("a", 10), child("c", 12))])
    assert [question.path for question in wanted.digests] == [b"a"], "its stat was never recorded"
    while displaced.remove_missed(bench.db, SOURCE, 10):
        pass
    assert sorted(paths_of(bench.db, SOURCE)) == [b"a", b"c"]


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


# Small values.


def test_entry_of_child() -> None:
    assert entry_of_child(child("a", 1, size=7, mtime=3)) == Entry(Kind.FILE, 0o644, 7, 3)
    assert entry_of_child(folder("d", 1)) == Entry(Kind.DIRECTORY, 0o755)


@pytest.mark.parametrize(
    ("entry", "found", "answer"),
    [
        (Entry(Kind.FILE, 0o644, 5, 1), child("a", 1), True),
        (Entry(Kind.FILE, 0o600, 5, 1), child("a", 1), False),
        (Entry(Kind.FILE, 0o644, 6, 1), child("a", 1), False),
        (Entry(Kind.FILE, 0o644, 5, 2), child("a", 1), False),
        (Entry(Kind.DIRECTORY, 0o755), folder("a", 1), True),
        (Entry(Kind.DIRECTORY, 0o700), folder("a", 1), False),
        (Entry(Kind.DIRECTORY, 0o755), child("a", 1), False),
        (Entry(Kind.SYMLINK, 0, 1, 1, None, b"x"), child("a", 1, kind=Kind.SYMLINK), True),
    ],
)
def test_agrees(entry: Entry, found: Child, answer: bool) -> None:
    assert agrees(entry, found) is answer


def test_unseen_equals_no_listing() -> None:
    node = nodes.Node(5, 1, b"a", Entry(Kind.FILE, 0o644, 5, 1))
    assert unseen(node) != child("a", 0)
    assert unseen(node).hint.ctime_ns == 0
