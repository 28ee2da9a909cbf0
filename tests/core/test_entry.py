"""Entries: what counts as the same, and when the answer must be "unknown"."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.entry import Entry, Kind, Same, Side, StatHint, same_content, same_entry, same_mode
from syncd.core.state import PathState

X, Y = b"x" * 32, b"y" * 32


def file(size: int = 1, digest: bytes | None = None, mode: int = 0o644, mtime: int = 0) -> Entry:
    return Entry(Kind.FILE, mode, size, mtime, digest)


def link(target: bytes, mode: int = 0o777) -> Entry:
    return Entry(Kind.SYMLINK, mode, target=target)


DIRECTORY = Entry(Kind.DIRECTORY, 0o755)
SPECIAL = Entry(Kind.SPECIAL, 0o600)
ENTRIES = st.one_of(
    st.builds(
        file,
        size=st.integers(0, 2),
        digest=st.sampled_from([None, X, Y]),
        mode=st.sampled_from([0o644, 0o755, 0o600]),
        mtime=st.integers(0, 3),
    ),
    st.builds(link, st.sampled_from([b"a", b"b"]), st.sampled_from([0o777, 0o755])),
    st.builds(Entry, st.just(Kind.DIRECTORY), st.sampled_from([0o755, 0o700])),
    st.just(SPECIAL),
)
MASKS = st.sampled_from([0o777, 0o100, 0])


# Content.

CONTENT = [
    ("equal digests", file(5, X), file(5, X), Same.EQUAL),
    ("other digests", file(5, X), file(5, Y), Same.DIFFERENT),
    ("other sizes", file(5, X), file(6, X), Same.DIFFERENT),
    ("other sizes, nothing read", file(5), file(6), Same.DIFFERENT),
    ("one digest missing", file(5, X), file(5), Same.UNKNOWN),
    ("the other digest missing", file(5), file(5, X), Same.UNKNOWN),
    ("no digest at all", file(5), file(5), Same.UNKNOWN),
    ("both empty need no reading", file(0), file(0), Same.EQUAL),
    ("empty against read", file(0, X), file(0), Same.EQUAL),
    ("equal time stamps prove nothing", file(5, mtime=7), file(5, mtime=7), Same.UNKNOWN),
    ("other time stamps make no difference", file(5, X, mtime=7), file(5, X, mtime=8), Same.EQUAL),
    ("modes are not content", file(5, X, mode=0o600), file(5, X, mode=0o777), Same.EQUAL),
    ("file and directory", file(0), DIRECTORY, Same.DIFFERENT),
    ("file and link", file(1, X), link(b"x"), Same.DIFFERENT),
    ("file and pipe", file(0), SPECIAL, Same.DIFFERENT),
    ("two directories", DIRECTORY, Entry(Kind.DIRECTORY, 0o700), Same.EQUAL),
    ("two links to one target", link(b"t"), link(b"t"), Same.EQUAL),
    ("two links elsewhere", link(b"t"), link(b"u"), Same.DIFFERENT),
    ("targets are bytes", link(b"./t"), link(b"t"), Same.DIFFERENT),
    ("two pipes", SPECIAL, SPECIAL, Same.EQUAL),
]


@pytest.mark.parametrize(("a", "b", "same"), [c[1:] for c in CONTENT], ids=[c[0] for c in CONTENT])
def test_same_content(a: Entry, b: Entry, same: Same) -> None:
    assert same_content(a, b) is same
    assert same_content(b, a) is same


@pytest.mark.parametrize(("a", "b"), list(itertools.permutations(Kind, 2)))
def test_two_kinds_are_never_the_same(a: Kind, b: Kind) -> None:
    assert same_content(Entry(a), Entry(b)) is Same.DIFFERENT


# Mode.

MODES = [
    ("equal", file(mode=0o644), file(mode=0o644), 0o777, True),
    ("other", file(mode=0o644), file(mode=0o600), 0o777, False),
    ("only the executable bit is kept", file(mode=0o644), file(mode=0o600), 0o100, True),
    ("and it differs", file(mode=0o744), file(mode=0o644), 0o100, False),
    ("no bit is kept", file(mode=0o777), file(mode=0), 0, True),
    ("links have none", link(b"a", 0o777), link(b"a", 0o755), 0o777, True),
    ("a link against a file", link(b"a", 0o777), file(mode=0o600), 0o777, True),
    ("directories have one", DIRECTORY, Entry(Kind.DIRECTORY, 0o700), 0o777, False),
]


@pytest.mark.parametrize(("a", "b", "mask", "same"), [m[1:] for m in MODES], ids=[m[0] for m in MODES])
def test_same_mode(a: Entry, b: Entry, mask: int, same: bool) -> None:
    assert same_mode(a, b, mask) is same
    assert same_mode(b, a, mask) is same


# Entries, absence included.

WHOLE: list[tuple[str, Entry | None, Entry | None, int, Same]] = [
    ("both absent", None, None, 0o777, Same.EQUAL),
    ("one absent", file(), None, 0o777, Same.DIFFERENT),
    ("the other absent", None, DIRECTORY, 0o777, Same.DIFFERENT),
    ("an empty file is not absent", file(0), None, 0o777, Same.DIFFERENT),
    ("equal", file(5, X), file(5, X), 0o777, Same.EQUAL),
    ("mode only", file(5, X, 0o600), file(5, X), 0o777, Same.DIFFERENT),
    ("mode that cannot be kept", file(5, X, 0o600), file(5, X), 0o100, Same.EQUAL),
    ("content unread", file(5), file(5), 0o777, Same.UNKNOWN),
    ("content unread, but the mode differs", file(5, None, 0o600), file(5), 0o777, Same.DIFFERENT),
    ("links with other bits", link(b"a", 0o700), link(b"a"), 0o777, Same.EQUAL),
]


@pytest.mark.parametrize(("a", "b", "mask", "same"), [w[1:] for w in WHOLE], ids=[w[0] for w in WHOLE])
def test_same_entry(a: Entry | None, b: Entry | None, mask: int, same: Same) -> None:
    assert same_entry(a, b, mask) is same
    assert same_entry(b, a, mask) is same


@given(ENTRIES, ENTRIES, MASKS)
def test_comparing_is_symmetric(a: Entry, b: Entry, mask: int) -> None:
    assert same_content(a, b) is same_content(b, a)
    assert same_entry(a, b, mask) is same_entry(b, a, mask)


@given(ENTRIES, MASKS)
def test_nothing_differs_from_itself(a: Entry, mask: int) -> None:
    assert same_entry(a, a, mask) is not Same.DIFFERENT
    is_unread = a.kind is Kind.FILE and a.digest is None and a.size > 0
    assert (same_entry(a, a, mask) is Same.UNKNOWN) is is_unread


@given(ENTRIES, ENTRIES, ENTRIES, MASKS)
def test_equal_is_transitive(a: Entry, b: Entry, c: Entry, mask: int) -> None:
    """But for empty files, which are equal whatever digest was noted for them."""
    if same_entry(a, b, mask) is same_entry(b, c, mask) is Same.EQUAL and a.size > 0:
        assert same_entry(a, c, mask) is Same.EQUAL


@given(ENTRIES, ENTRIES)
def test_a_digest_more_never_turns_an_answer_round(a: Entry, b: Entry) -> None:
    """Evidence may settle an unknown; it may not contradict what was certain."""
    before = same_content(a, b)
    if a.kind is Kind.FILE and a.digest is None:
        after = same_content(msgspec.structs.replace(a, digest=X), b)
        if before is not Same.UNKNOWN and a.size > 0:
            assert after is before


@given(ENTRIES, ENTRIES, st.integers(0, 9))
def test_time_stamps_never_decide(a: Entry, b: Entry, mtime: int) -> None:
    moved = msgspec.structs.replace(a, mtime_ns=mtime)
    assert same_entry(moved, b) is same_entry(a, b)


@given(ENTRIES, ENTRIES)
def test_a_smaller_mask_only_forgives(a: Entry, b: Entry) -> None:
    if same_entry(a, b, 0o777) is Same.EQUAL:
        assert same_entry(a, b, 0o100) is Same.EQUAL
        assert same_entry(a, b, 0) is Same.EQUAL


# Sides and kinds.


def test_sides() -> None:
    assert Side.SOURCE.other is Side.DESTINATION
    assert Side.DESTINATION.other is Side.SOURCE
    assert [side.word for side in Side] == ["source", "destination"]
    assert [int(side) for side in Side] == [1, 2], "the numbers are stored in the index"


def test_kinds_as_users_read_them() -> None:
    assert [kind.value for kind in Kind] == ["file", "directory", "symlink", "special"]


def test_entries_are_values() -> None:
    assert file(5, X) == file(5, X)
    assert len({file(5, X), file(5, X), file(5, Y)}) == 2
    with pytest.raises(AttributeError):
        file().size = 3  # type: ignore[misc]


# A path on three trees.


def test_a_state_is_asked_by_side() -> None:
    state = PathState(
        b"p",
        base=file(1),
        source=file(2),
        destination=DIRECTORY,
        source_unknown=True,
        source_node=3,
        destination_node=4,
        base_source_node=5,
        base_destination_node=6,
        destination_only_ignored=True,
    )
    assert state.at(Side.SOURCE) == file(2)
    assert state.at(Side.DESTINATION) == DIRECTORY
    assert state.is_unknown(Side.SOURCE)
    assert not state.is_unknown(Side.DESTINATION)
    assert [state.node(side) for side in Side] == [3, 4]
    assert [state.base_node(side) for side in Side] == [5, 6]
    assert [state.holds_only_ignored(side) for side in Side] == [False, True]


def test_a_bare_state_knows_of_nothing() -> None:
    state = PathState(b"p")
    assert state.base is None
    for side in Side:
        assert state.at(side) is None
        assert not state.is_unknown(side)
        assert state.node(side) == state.base_node(side) == 0


def test_a_hint_is_equal_only_as_a_whole() -> None:
    hint = StatHint(1, 2, 3, 4)
    assert hint == StatHint(1, 2, 3, 4)
    for field in StatHint.__struct_fields__:
        assert msgspec.structs.replace(hint, **{field: 9}) != hint
