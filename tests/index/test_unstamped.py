"""Content that changed in place under the stamp that was known, and what is read again after a power cut."""

import pytest

from syncd.core.listing import smudge
from syncd.index import records, triples
from syncd.index.observed import Answer
from tests.index.kit import DESTINATION, SOURCE
from tests.index.merging import Bench, child, folder, listed

OLD, NEW = b"d" * 32, b"n" * 32


def is_unstamped(bench: Bench) -> bool:
    return triples.load(bench.db, [b"f"])[0].source_is_unstamped


def changed(
    bench: Bench,
    digest: bytes = NEW,
    *,
    size: int = 5,
    mtime: int,
    ctime: int,
    mode: int = 0o644,
    inode: int = 10,
) -> bool:
    """The mark after `f` was seen with this stat, and read if that was asked for."""
    seen = child("f", inode, size=size, mtime=mtime, ctime=ctime, mode=mode)
    merging, wanted = bench.observe(listed("", 2, seen))
    for question in wanted.digests:
        merging.answer_digests(bench.db, [question], [Answer(digest=digest, hint=question.new.hint)])
    return is_unstamped(bench)


def known(bench: Bench) -> None:
    bench.observe(listed("", 2, child("f", 10, size=5, mtime=7, ctime=7)))
    bench.learn(b"f", OLD)


@pytest.mark.parametrize(
    ("size", "mtime", "inode", "expected"),
    [
        (5, 7, 10, True),
        (3, 7, 10, True),
        (0, 7, 10, True),
        (5, 8, 10, False),
        (3, 8, 10, False),
        (5, 7, 11, False),
        (3, 7, 11, False),
    ],
)
def test_new_content_under_the_old_stamp_is_marked(
    bench: Bench, size: int, mtime: int, inode: int, expected: bool
) -> None:
    known(bench)
    assert changed(bench, size=size, mtime=mtime, ctime=8, inode=inode) is expected


def test_what_was_only_touched_or_read_again_is_not(bench: Bench) -> None:
    known(bench)
    assert not changed(bench, OLD, mtime=7, ctime=8)
    assert not changed(bench, OLD, mtime=8, ctime=9)


def test_a_tear_beneath_a_stamp_that_only_the_index_knows_is_marked(bench: Bench) -> None:
    known(bench)
    assert not changed(bench, OLD, mtime=8, ctime=8)
    assert changed(bench, NEW, mtime=8, ctime=9)


def test_the_mark_stays_until_the_file_is_written_or_touched(bench: Bench) -> None:
    known(bench)
    assert changed(bench, mtime=7, ctime=8)
    assert changed(bench, mtime=7, ctime=9, mode=0o600)
    assert not changed(bench, mtime=9, ctime=9)


def test_recent_files_are_doubted_wherever_they_are(bench: Bench) -> None:
    root = [child("f", 10, ctime=1_000), child("old", 11, ctime=949), folder("d", 12)]
    inner = [child("x", 13, ctime=950), child("y", 14, ctime=0)]
    bench.observe(listed("", 2, *root), listed("d", 12, *inner))
    records.doubt_recent(bench.db, SOURCE, 50)
    by_name = {one.name: one for one in [*bench.stored(), *bench.stored(bench.node_id(b"d"))]}
    assert by_name[b"f"] == smudge(root[0])
    assert by_name[b"x"] == smudge(inner[0])
    assert [by_name[b"old"], by_name[b"d"], by_name[b"y"]] == [root[1], root[2], inner[1]]


def test_nothing_is_doubted_in_a_tree_without_files_or_with_a_broken_record(bench: Bench) -> None:
    records.doubt_recent(bench.db, DESTINATION, 50)
    bench.observe(listed("", 2, folder("d", 12)))
    records.put(bench.db, bench.node_id(b"d"), 12, b"no record")
    records.doubt_recent(bench.db, SOURCE, 50)
    assert bench.stored() == [folder("d", 12)]
