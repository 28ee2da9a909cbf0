"""What the first look after a crash takes for its work, and what is doubted after a power cut."""

import pytest
from blake3 import blake3

from syncd.core.entry import Entry, Kind
from syncd.core.listing import doubt, is_doubted
from syncd.core.state import Damage
from syncd.index import base, displaced, meta, observed, records, triples
from syncd.index.observed import Answer, Listed, is_zeros
from tests.index.kit import DESTINATION, SOURCE, paths_of
from tests.index.merging import Bench, child, folder, listed, look

OLD, NEW = b"d" * 32, b"n" * 32
LATE = 2**62
NONE, CUT_SHORT, ZEROED = Damage.NONE, Damage.CUT_SHORT, Damage.ZEROED
ROLLED_BACK, ALTERED = Damage.ROLLED_BACK, Damage.ALTERED


def damage(bench: Bench) -> Damage:
    return triples.load(bench.db, [b"f"])[0].source_damage


def seen(
    bench: Bench,
    digest: bytes = NEW,
    *,
    size: int = 5,
    mtime: int = 7,
    ctime: int,
    mode: int = 0o644,
    inode: int = 10,
) -> Damage:
    """The judgement after `f` was seen with this stat, and read if that was asked for."""
    found = child("f", inode, size=size, mtime=mtime, ctime=ctime, mode=mode)
    merging, wanted = bench.observe(listed("", 2, found))
    for question in wanted.digests:
        merging.answer_digests(bench.db, [question], [Answer(digest=digest, hint=question.new.hint)])
    return damage(bench)


def known(bench: Bench, *, is_cut: bool) -> None:
    """`f` in the index, with a crash since."""
    bench.observe(listed("", 2, child("f", 10, size=5, mtime=7, ctime=7)))
    bench.learn(b"f", OLD)
    meta.set_after_crash(bench.db, SOURCE, True)
    if is_cut:
        records.doubt_recent(bench.db, SOURCE, 50, LATE)


@pytest.mark.parametrize(
    ("size", "mtime", "ctime", "inode", "killed", "cut"),
    [
        (3, 7, 8, 10, CUT_SHORT, CUT_SHORT),
        (0, 7, 8, 10, CUT_SHORT, CUT_SHORT),
        (5, 7, 8, 10, NONE, ALTERED),
        (5, 7, 7, 10, NONE, ALTERED),
        (9, 7, 8, 10, NONE, ALTERED),
        (5, 7, 6, 10, NONE, ROLLED_BACK),
        (3, 5, 6, 10, NONE, ROLLED_BACK),
        (3, 5, 6, 11, NONE, ROLLED_BACK),
        (5, 8, 8, 10, NONE, NONE),
        (3, 8, 8, 10, NONE, NONE),
        (5, 7, 8, 11, NONE, NONE),
        (3, 7, 8, 11, NONE, NONE),
    ],
)
def test_what_changed_as_nobody_changes_a_file_is_a_crashs_work(
    bench: Bench, size: int, mtime: int, ctime: int, inode: int, killed: Damage, cut: Damage
) -> None:
    for is_cut, expected in ((False, killed), (True, cut)):
        bench.db.execute("SAVEPOINT fresh")
        known(bench, is_cut=is_cut)
        if is_cut or ctime != 7:
            assert seen(bench, size=size, mtime=mtime, ctime=ctime, inode=inode) is expected
        bench.db.execute("ROLLBACK TO fresh")


def test_zeros_under_the_old_stamp_are_a_power_cuts_work(bench: Bench) -> None:
    known(bench, is_cut=True)
    assert seen(bench, zeros(5), ctime=8) is ZEROED


def zeros(size: int) -> bytes:
    return blake3(bytes(size)).digest()


@pytest.mark.parametrize("size", [1, 5, 4096, 1 << 20, (3 << 20) + 7])
def test_zeros_are_told_by_their_digest(size: int) -> None:
    entry = Entry(Kind.FILE, 0o644, size, 1, zeros(size))
    assert is_zeros(entry)
    assert not is_zeros(Entry(Kind.FILE, 0o644, size + 1, 1, zeros(size)))
    assert not is_zeros(Entry(Kind.FILE, 0o644, size, 1))
    assert not is_zeros(Entry(Kind.FILE, 0o644, 0, 1, zeros(0)))


def test_nobody_waits_for_the_zeros_of_a_huge_file(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Entry(Kind.FILE, 0o644, 5, 1, zeros(5))
    monkeypatch.setattr(observed, "_ZEROS_MOST", 5)
    assert is_zeros(entry)
    monkeypatch.setattr(observed, "_ZEROS_MOST", 4)
    assert not is_zeros(entry)


@pytest.mark.parametrize("is_cut", [False, True])
def test_the_judgement_stays_until_the_file_is_written_or_touched(bench: Bench, is_cut: bool) -> None:
    known(bench, is_cut=is_cut)
    assert seen(bench, size=3, ctime=8) is CUT_SHORT
    assert not meta.is_after_crash(bench.db, SOURCE)
    assert seen(bench, size=3, ctime=9, mode=0o600) is CUT_SHORT
    assert seen(bench, size=3, mtime=9, ctime=9, mode=0o600) is NONE


@pytest.mark.parametrize("is_cut", [False, True])
def test_only_the_first_look_judges(bench: Bench, is_cut: bool) -> None:
    known(bench, is_cut=is_cut)
    assert seen(bench, OLD, ctime=8) is NONE
    assert seen(bench, NEW, ctime=9) is NONE
    assert seen(bench, NEW, ctime=10, size=3) is NONE


def test_what_could_not_be_read_is_judged_when_it_can_be(bench: Bench) -> None:
    known(bench, is_cut=True)
    bench.observe(listed("", 2, child("f", 10, size=5, mtime=7, ctime=8)))
    assert not meta.is_after_crash(bench.db, SOURCE)
    assert damage(bench) is NONE
    assert seen(bench, NEW, ctime=9) is ALTERED


# What is gone.


def shared(bench: Bench, path: bytes, entry: Entry) -> None:
    base.put(bench.db, path, entry, bench.node_id(path), 0)


def gone(bench: Bench, changed_ns: int) -> bool:
    """`f` is not there any more, in a directory of this ctime: is the base still sure of it?"""
    merging = bench.merge()
    now = listed("", 2)
    merging.merge_listings(bench.db, [Listed(now.path, now.inode, now.record, changed_ns=changed_ns)])
    while displaced.remove_missed(bench.db, SOURCE, 10):
        pass
    assert paths_of(bench.db, SOURCE) == {}
    return base.find(bench.db, b"f") is not None


@pytest.mark.parametrize(
    ("is_cut", "changed_ns", "is_deleted"),
    [(True, 6, False), (True, 7, True), (True, 0, True), (False, 6, True)],
)
def test_a_file_that_a_power_cut_took_back_was_not_deleted(
    bench: Bench, is_cut: bool, changed_ns: int, is_deleted: bool
) -> None:
    """A directory that is older than a file that it had cannot have lost it to anybody."""
    known(bench, is_cut=is_cut)
    shared(bench, b"f", bench.entry(b"f"))
    assert gone(bench, changed_ns) is is_deleted


def test_nor_was_a_directory_with_all_that_it_held(bench: Bench) -> None:
    bench.observe(listed("", 2, folder("f", 10, ctime=7)), listed("f", 10, child("x", 11)))
    shared(bench, b"f", bench.entry(b"f"))
    shared(bench, b"f/x", bench.entry(b"f/x"))
    records.doubt_recent(bench.db, SOURCE, 50, LATE)
    assert not gone(bench, 6)
    assert base.find(bench.db, b"f/x") is None


# What is doubted.


def test_what_is_recent_is_doubted_wherever_it_is(bench: Bench) -> None:
    root = [child("f", 10, ctime=1_000), child("old", 11, ctime=949), folder("d", 12)]
    inner = [child("x", 13, ctime=950), child("y", 14, ctime=0)]
    bench.observe(listed("", 2, *root), listed("d", 12, *inner))
    for _ in range(2):
        records.doubt_recent(bench.db, SOURCE, 50, LATE)
        by_name = {one.name: one for one in [*bench.stored(), *bench.stored(bench.node_id(b"d"))]}
        assert by_name[b"f"] == doubt(root[0])
        assert by_name[b"x"] == doubt(inner[0])
        assert [by_name[b"old"], by_name[b"d"], by_name[b"y"]] == [root[1], root[2], doubt(inner[1])]


def test_a_single_look_takes_what_is_gone_for_deleted(bench: Bench) -> None:
    """It does not see the directory."""
    known(bench, is_cut=True)
    shared(bench, b"f", bench.entry(b"f"))
    bench.merge().merge_looks(bench.db, [look("f", None)])
    while displaced.remove_missed(bench.db, SOURCE, 10):
        pass
    assert base.find(bench.db, b"f") is not None


def test_a_directory_that_was_swapped_for_an_older_one_lost_nothing(bench: Bench) -> None:
    known(bench, is_cut=True)
    shared(bench, b"f", bench.entry(b"f"))
    older = listed("", 3, child("f", 20, size=3, mtime=5, ctime=5))
    bench.observe(older)
    assert damage(bench) is NONE
    records.doubt_recent(bench.db, SOURCE, 50, LATE)
    empty = listed("", 4)
    bench.merge().merge_listings(bench.db, [Listed(empty.path, 4, empty.record, changed_ns=1)])
    while displaced.remove_missed(bench.db, SOURCE, 10):
        pass
    assert base.find(bench.db, b"f") is not None


@pytest.mark.parametrize(("now_ns", "has_ctimes"), [(6, True), (LATE, False)])
def test_without_ctimes_that_can_be_believed_content_alone_is_judged(
    bench: Bench, now_ns: int, has_ctimes: bool
) -> None:
    """The clock was set back, or is behind after the boot; or the file system has none."""
    for mtime, expected in ((7, ALTERED), (5, NONE)):
        bench.db.execute("SAVEPOINT fresh")
        known(bench, is_cut=False)
        records.doubt_recent(bench.db, SOURCE, 50, now_ns, has_ctimes=has_ctimes)
        assert seen(bench, ctime=6, mtime=mtime) is expected
        assert not is_doubted(bench.stored()[0])
        bench.db.execute("ROLLBACK TO fresh")


def test_a_stamp_from_the_future_does_not_hide_the_others(bench: Bench) -> None:
    bench.observe(listed("", 2, child("a", 10, ctime=10**6), child("f", 11, ctime=1_000)))
    records.doubt_recent(bench.db, SOURCE, 50, 1_010)
    assert all(is_doubted(one) for one in bench.stored())


def test_nothing_is_doubted_in_a_tree_without_files_or_with_a_broken_record(bench: Bench) -> None:
    records.doubt_recent(bench.db, DESTINATION, 50, LATE)
    bench.observe(listed("", 2, folder("d", 12)))
    records.put(bench.db, bench.node_id(b"d"), 12, b"no record")
    records.doubt_recent(bench.db, SOURCE, 50, LATE)
    assert bench.stored(1) == [doubt(folder("d", 12))]
