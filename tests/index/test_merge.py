"""Merging listings: what is written at once, what is asked first; racy and invisible names."""

import pytest

from syncd.core.entry import Entry, Kind, StatHint
from syncd.core.listing import smudge, unpack
from syncd.core.path import MAX_PATH
from syncd.core.reason import Reason
from syncd.index import displaced, feed, meta, nodes, records
from syncd.index.observed import Answer, Wanted
from tests.index.kit import SOURCE, paths_of
from tests.index.merging import Bench, child, folder, ignored_by, listed, question_of


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
    merging.settle(bench.db)
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
