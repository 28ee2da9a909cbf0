"""Packed directory records: what goes in comes out, what differs is told, and nothing else."""

import os
import stat
import struct
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core import listing
from syncd.core.entry import Kind, StatHint
from syncd.core.listing import Child, StatRow

INT64 = 2**63 - 1
STAMPS = st.integers(min_value=-INT64, max_value=INT64)
NAMES = st.binary(min_size=1, max_size=8).filter(lambda b: b"\0" not in b and b"/" not in b)
HINTS = st.builds(
    StatHint,
    inode=st.integers(min_value=0, max_value=2**64 - 1),
    size=st.integers(min_value=0, max_value=INT64),
    mtime_ns=STAMPS,
    ctime_ns=STAMPS,
)
CHILDREN = st.builds(
    Child,
    name=NAMES,
    kind=st.sampled_from(Kind),
    mode=st.integers(min_value=0, max_value=0o777),
    hint=HINTS,
)
DIRECTORIES = st.lists(CHILDREN, unique_by=lambda c: c.name, max_size=12).map(
    lambda children: sorted(children, key=lambda c: c.name)
)


def child(
    name: bytes, kind: Kind = Kind.FILE, mode: int = 0o644, *, inode: int = 1, size: int = 1, mtime: int = 1
) -> Child:
    return Child(name, kind, mode, StatHint(inode, size, mtime, 9))


A, B, C = child(b"a"), child(b"b", inode=2), child(b"c", inode=3)


# Packing and unpacking.


def test_a_directory_survives_packing() -> None:
    children = [
        child(b"dir", Kind.DIRECTORY, 0o755),
        child(b"file", Kind.FILE, 0o600, inode=2**64 - 1, size=INT64, mtime=-1),
        child(b"link", Kind.SYMLINK, 0o777),
        child(b"pipe", Kind.SPECIAL, 0),
        child(b"\xff\n", Kind.FILE),
    ]
    children.sort(key=lambda c: c.name)
    assert listing.unpack(listing.pack(children)) == children


@given(DIRECTORIES)
def test_packing_round_trips(children: list[Child]) -> None:
    assert listing.unpack(listing.pack(children)) == children


@given(DIRECTORIES)
def test_rows_are_children_that_were_not_made_yet(children: list[Child]) -> None:
    found = list(listing.rows(listing.pack(children)))
    assert [listing.child_of_row(name, row) for name, row in found] == children
    assert [listing.is_file(row[0]) for _, row in found] == [one.kind is Kind.FILE for one in children]
    assert all(
        row[0] == one.mode for (_, row), one in zip(found, children, strict=True) if listing.is_file(row[0])
    )


def test_an_empty_directory_is_not_nothing() -> None:
    record = listing.pack([])
    assert record
    assert listing.unpack(record) == []
    assert listing.pack_stats([]) == record


def test_nothing_known_unpacks_to_nothing() -> None:
    assert listing.unpack(b"") == []


def test_a_record_costs_34_bytes_a_child_and_its_name() -> None:
    record = listing.pack([child(b"12345678"), child(b"abcdefgh")])
    assert len(record) == 4 + 2 * (34 + 9)


MODES = [
    ("a file", stat.S_IFREG | 0o644, Kind.FILE, 0o644),
    ("a directory", stat.S_IFDIR | 0o755, Kind.DIRECTORY, 0o755),
    ("a link", stat.S_IFLNK | 0o777, Kind.SYMLINK, 0o777),
    ("a pipe", stat.S_IFIFO | 0o600, Kind.SPECIAL, 0o600),
    ("a socket", stat.S_IFSOCK | 0o755, Kind.SPECIAL, 0o755),
    ("a character device", stat.S_IFCHR | 0o666, Kind.SPECIAL, 0o666),
    ("a block device", stat.S_IFBLK | 0o660, Kind.SPECIAL, 0o660),
    ("setuid is not carried", stat.S_IFREG | 0o4755, Kind.FILE, 0o755),
    ("setgid is not carried", stat.S_IFDIR | 0o2775, Kind.DIRECTORY, 0o775),
    ("sticky is not carried", stat.S_IFDIR | 0o1777, Kind.DIRECTORY, 0o777),
    ("no permission at all", stat.S_IFREG, Kind.FILE, 0),
    ("no known type", 0o644, Kind.SPECIAL, 0o644),
]


@pytest.mark.parametrize(("st_mode", "kind", "mode"), [m[1:] for m in MODES], ids=[m[0] for m in MODES])
def test_what_an_lstat_mode_becomes(st_mode: int, kind: Kind, mode: int) -> None:
    record = listing.pack_stats([(b"x", st_mode, 10, 20, 30, 40)])
    assert listing.unpack(record) == [Child(b"x", kind, mode, StatHint(40, 10, 20, 30))]
    assert listing.kind_of(st_mode) is kind


def test_pack_masks_what_its_caller_did_not() -> None:
    record = listing.pack([child(b"x", mode=0o106755)])
    assert listing.unpack(record)[0].mode == 0o755
    assert listing.unpack(record)[0].kind is Kind.FILE


@given(DIRECTORIES)
def test_both_ways_of_packing_agree(children: list[Child]) -> None:
    types = {Kind.FILE: stat.S_IFREG, Kind.DIRECTORY: stat.S_IFDIR, Kind.SYMLINK: stat.S_IFLNK}
    rows: list[StatRow] = [
        (
            c.name,
            types.get(c.kind, stat.S_IFIFO) | c.mode,
            c.hint.size,
            c.hint.mtime_ns,
            c.hint.ctime_ns,
            c.hint.inode,
        )
        for c in children
    ]
    assert listing.pack_stats(rows) == listing.pack(children)


@pytest.mark.parametrize(
    ("stamp", "kept"),
    [(2**63, INT64), (-(2**70), -INT64), (2**100, INT64), (INT64, INT64), (-1, -1), (0, 0)],
)
def test_stamps_past_64_bits_are_clamped(stamp: int, kept: int) -> None:
    """tmpfs and btrfs hold seconds in 64 bits; such a file must not make its directory unreadable."""
    rows: list[StatRow] = [
        (b"a", stat.S_IFREG | 0o644, 1, stamp, 5, 7),
        (b"b", stat.S_IFREG | 0o644, 1, 6, stamp, 8),
    ]
    first, second = listing.unpack(listing.pack_stats(rows))
    assert first.hint == StatHint(7, 1, kept, 5)
    assert second.hint == StatHint(8, 1, 6, kept)
    assert listing.pack([first, second]) == listing.pack_stats(rows)


# Looking one up.


def test_find_among_prefixes_and_suffixes() -> None:
    names = [b"a", b"a.b", b"aa", b"b", b"ba", b"bb"]
    children = [child(name, inode=i) for i, name in enumerate(names)]
    record = listing.pack(children)
    for i, name in enumerate(names):
        assert listing.find(record, name) == children[i]
    for absent in (b"", b".", b"ab", b"c", b"a.", b".b", b"aaa", b"bbb"):
        assert listing.find(record, absent) is None


def test_find_is_not_misled_by_bytes_of_the_rows() -> None:
    """The numbers of a row may spell a name; only the names are searched."""
    spelled = int.from_bytes(b"\0name\0\0\0", "little")
    record = listing.pack([child(b"other", inode=spelled, size=spelled)])
    assert listing.find(record, b"name") is None


@pytest.mark.parametrize("record", [b"", listing.pack([])])
def test_nothing_is_found_in_nothing(record: bytes) -> None:
    assert listing.find(record, b"a") is None


@given(DIRECTORIES, NAMES)
def test_find_agrees_with_unpack(children: list[Child], name: bytes) -> None:
    record = listing.pack(children)
    for one in children:
        assert listing.find(record, one.name) == one
    expected = next((c for c in children if c.name == name), None)
    assert listing.find(record, name) == expected


# Differences.

TOUCHED = msgspec.structs.replace(B, hint=msgspec.structs.replace(B.hint, mtime_ns=77))
RECREATED = msgspec.structs.replace(B, hint=msgspec.structs.replace(B.hint, inode=88))
CHMODDED = msgspec.structs.replace(B, mode=0o600)
RETYPED = msgspec.structs.replace(B, kind=Kind.DIRECTORY)

DIFFS = [
    ("nothing", [A, B], [A, B], []),
    ("both empty", [], [], []),
    ("added first", [B, C], [A, B, C], [(b"a", None, A)]),
    ("added between", [A, C], [A, B, C], [(b"b", None, B)]),
    ("added last", [A, B], [A, B, C], [(b"c", None, C)]),
    ("removed first", [A, B], [B], [(b"a", A, None)]),
    ("removed last", [A, B], [A], [(b"b", B, None)]),
    ("filled", [], [A, B], [(b"a", None, A), (b"b", None, B)]),
    ("emptied", [A, B], [], [(b"a", A, None), (b"b", B, None)]),
    ("touched", [A, B, C], [A, TOUCHED, C], [(b"b", B, TOUCHED)]),
    ("re-created", [A, B, C], [A, RECREATED, C], [(b"b", B, RECREATED)]),
    ("mode", [A, B], [A, CHMODDED], [(b"b", B, CHMODDED)]),
    ("kind", [A, B], [A, RETYPED], [(b"b", B, RETYPED)]),
    ("renamed", [A, C], [B, C], [(b"a", A, None), (b"b", None, B)]),
    ("renamed and touched", [A, B], [TOUCHED, C], [(b"a", A, None), (b"b", B, TOUCHED), (b"c", None, C)]),
    ("as many, others", [A, B], [B, C], [(b"a", A, None), (b"c", None, C)]),
]


@pytest.mark.parametrize(("old", "new", "found"), [d[1:] for d in DIFFS], ids=[d[0] for d in DIFFS])
def test_diff(old: list[Child], new: list[Child], found: list[object]) -> None:
    assert listing.diff(listing.pack(old), listing.pack(new)) == found


def test_everything_is_new_where_nothing_was_known() -> None:
    assert listing.diff(b"", listing.pack([A, B])) == [(b"a", None, A), (b"b", None, B)]
    assert listing.diff(b"", listing.pack([])) == []


@pytest.mark.parametrize("old", [b"", listing.pack([]), listing.pack([A])])
def test_a_failed_listing_is_never_an_empty_directory(old: bytes) -> None:
    with pytest.raises(ValueError, match="failed listing"):
        listing.diff(old, b"")


@given(DIRECTORIES, DIRECTORIES)
def test_diff_says_exactly_what_differs(old: list[Child], new: list[Child]) -> None:
    before, after = {c.name: c for c in old}, {c.name: c for c in new}
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    expected = [(name, before.get(name), after.get(name)) for name in names]
    assert listing.diff(listing.pack(old), listing.pack(new)) == expected


@given(DIRECTORIES)
def test_equal_records_differ_in_nothing(children: list[Child]) -> None:
    assert listing.diff(listing.pack(children), listing.pack(children)) == []


# Replacing.

REPLACED = [
    ("nothing", [A, B], {}, [A, B]),
    ("one", [A, B, C], {b"b": TOUCHED}, [A, TOUCHED, C]),
    ("added first", [B], {b"a": A}, [A, B]),
    ("added last", [A], {b"c": C}, [A, C]),
    ("added to nothing", [], {b"b": B}, [B]),
    ("removed", [A, B, C], {b"b": None}, [A, C]),
    ("the last one removed", [A], {b"a": None}, []),
    ("an absent one removed", [A], {b"b": None}, [A]),
    ("renamed", [A, C], {b"a": None, b"b": B}, [B, C]),
    ("in any order", [B], {b"c": C, b"a": A}, [A, B, C]),
]


@pytest.mark.parametrize(
    ("before", "changes", "after"), [r[1:] for r in REPLACED], ids=[r[0] for r in REPLACED]
)
def test_replace(before: list[Child], changes: dict[bytes, Child | None], after: list[Child]) -> None:
    assert listing.replace(listing.pack(before), changes) == listing.pack(after)


def test_replace_makes_a_record_of_nothing() -> None:
    assert listing.replace(b"", {b"a": A}) == listing.pack([A])
    assert listing.replace(b"", {}) == listing.pack([])


@given(DIRECTORIES, DIRECTORIES)
def test_replacing_what_differs_makes_the_other(old: list[Child], new: list[Child]) -> None:
    first, second = listing.pack(old), listing.pack(new)
    changes = {name: after for name, _, after in listing.diff(first, second)}
    assert listing.replace(first, changes) == second


@given(DIRECTORIES, st.lists(CHILDREN, max_size=4), st.lists(NAMES, max_size=4))
def test_replace_is_a_dictionary_update(
    children: list[Child], put: list[Child], removed: list[bytes]
) -> None:
    changes: dict[bytes, Child | None] = dict.fromkeys(removed)
    changes |= {c.name: c for c in put}
    wanted: dict[bytes, Child | None] = {**{c.name: c for c in children}, **changes}
    expected = [wanted[name] for name in sorted(wanted) if wanted[name] is not None]
    assert listing.unpack(listing.replace(listing.pack(children), changes)) == expected


# The racy rule.


@given(CHILDREN)
def test_a_smudged_child_equals_no_fresh_lstat(one: Child) -> None:
    smudged = listing.smudge(one)
    assert smudged.hint.ctime_ns <= 0
    assert listing.ctime_of(smudged) == min(listing.ctime_of(one), 2**62 - 1) or listing.is_doubted(one)
    assert msgspec.structs.replace(smudged, hint=one.hint) == one
    if one.hint.ctime_ns > 0:
        assert listing.diff(listing.pack([smudged]), listing.pack([one])) == [(one.name, smudged, one)]


@given(CHILDREN)
def test_a_doubted_child_equals_no_fresh_lstat_and_keeps_its_ctime(one: Child) -> None:
    doubted = listing.doubt(one)
    assert listing.is_doubted(doubted)
    if not listing.is_doubted(one):
        assert listing.diff(listing.pack([doubted]), listing.pack([one])) == [(one.name, doubted, one)]
        assert listing.ctime_of(doubted) == min(listing.ctime_of(one), 2**62)
    assert listing.doubt(doubted) == listing.smudge(doubted) == doubted
    assert not listing.is_doubted(None)


def test_smudging_twice_changes_nothing_more() -> None:
    assert listing.smudge(listing.smudge(A)) == listing.smudge(A)


# Damage. A record comes from the database; what is not one is refused, not misread.

WHOLE = listing.pack([A, B])
DAMAGED = [
    ("three bytes", b"\1\0\0"),
    ("a count without rows", b"\1\0\0\0"),
    ("cut in the rows", WHOLE[:30]),
    ("cut in the names", WHOLE[:-3]),
    ("a name without its end", WHOLE[:-1]),
    ("a name too many", WHOLE + b"x\0"),
    ("text behind", WHOLE + b"x"),
    ("a count too large", struct.pack("<I", 3) + WHOLE[4:]),
    ("a kind that is none", WHOLE[:4] + b"\xff\xff" + WHOLE[6:]),
    ("a huge count", struct.pack("<I", 2**32 - 1) + WHOLE[4:]),
]


@pytest.mark.parametrize("record", [d[1] for d in DAMAGED], ids=[d[0] for d in DAMAGED])
def test_damaged_records_are_refused(record: bytes) -> None:
    for use in (
        lambda: listing.unpack(record),
        lambda: listing.find(record, b"a"),
        lambda: listing.diff(record, WHOLE),
        lambda: listing.diff(WHOLE, record),
    ):
        with pytest.raises(ValueError, match=r"record is (damaged|truncated)"):
            use()


@pytest.mark.parametrize("record", [d[1] for d in DAMAGED if "kind" not in d[0]])
def test_damaged_records_are_not_built_upon(record: bytes) -> None:
    with pytest.raises(ValueError, match=r"record is (damaged|truncated)"):
        listing.replace(record, {b"a": A})


@given(st.binary(max_size=120))
def test_any_bytes_are_a_record_or_refused(junk: bytes) -> None:
    try:
        children = listing.unpack(junk)
    except ValueError:
        return
    assert len(children) <= len(junk)


# Real directories.


def lstat_rows(directory: Path) -> list[StatRow]:
    """What the walker does, slowly."""
    rows: list[StatRow] = []
    for name in sorted(os.listdir(os.fsencode(directory))):
        found = os.lstat(os.path.join(os.fsencode(directory), name))
        rows.append((name, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino))
    return rows


def test_a_real_directory(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir(mode=0o750)
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "file").chmod(0o640)
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "new\nline").touch()
    found = {c.name: c for c in listing.unpack(listing.pack_stats(lstat_rows(tmp_path)))}
    assert {name: c.kind for name, c in found.items()} == {
        b"sub": Kind.DIRECTORY,
        b"file": Kind.FILE,
        b"link": Kind.SYMLINK,
        b"pipe": Kind.SPECIAL,
        b"new\nline": Kind.FILE,
    }
    assert (found[b"file"].mode, found[b"file"].hint.size) == (0o640, 5)
    assert found[b"file"].hint.inode == (tmp_path / "file").stat().st_ino
    assert found[b"sub"].mode & 0o700 == 0o700


def test_what_happens_to_a_real_directory_is_seen(tmp_path: Path) -> None:
    for name in ("stays", "grows", "goes", "is replaced", "is renamed"):
        (tmp_path / name).write_bytes(b"old")
    before = listing.pack_stats(lstat_rows(tmp_path))
    assert listing.diff(before, listing.pack_stats(lstat_rows(tmp_path))) == []
    (tmp_path / "grows").write_bytes(b"older")
    (tmp_path / "goes").unlink()
    (tmp_path / "other").write_bytes(b"new")
    (tmp_path / "other").rename(tmp_path / "is replaced")
    (tmp_path / "is renamed").rename(tmp_path / "renamed")
    changes = {
        name: (old, new) for name, old, new in listing.diff(before, listing.pack_stats(lstat_rows(tmp_path)))
    }
    assert sorted(changes) == [b"goes", b"grows", b"is renamed", b"is replaced", b"renamed"]
    assert changes[b"goes"][1] is None
    assert changes[b"renamed"][0] is None
    old, new = changes[b"is replaced"]
    assert old is not None
    assert new is not None
    assert old.hint.inode != new.hint.inode
    gone, come = changes[b"is renamed"][0], changes[b"renamed"][1]
    assert gone is not None
    assert come is not None
    assert gone.hint.inode == come.hint.inode


def test_an_empty_real_directory(tmp_path: Path) -> None:
    assert listing.pack_stats(lstat_rows(tmp_path)) == listing.pack([])


def test_ten_thousand_children() -> None:
    children = [child(b"%06d" % i, inode=i) for i in range(10_000)]
    record = listing.pack(children)
    assert listing.find(record, b"009999") == children[-1]
    changed = msgspec.structs.replace(children[5000], mode=0o600)
    other = listing.replace(record, {b"005000": changed, b"000000": None, b"9": child(b"9")})
    assert listing.diff(record, other) == [
        (b"000000", children[0], None),
        (b"005000", children[5000], changed),
        (b"9", None, child(b"9")),
    ]
