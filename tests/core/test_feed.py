"""The feed as values: cursors, changes and pages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.feed import Change, ChangePage, Cursor


def change(seq: int, *, created: int = 0, deleted: bool = False) -> Change:
    return Change(
        seq=seq,
        node_id=seq,
        is_deleted=deleted,
        parent_id=0 if deleted else 1,
        name=b"" if deleted else b"n",
        last_parent_id=1,
        last_name=b"n",
        created_seq=created,
    )


def test_cursors_are_values() -> None:
    assert Cursor("e", 3) == Cursor("e", 3)
    assert Cursor("e", 3) != Cursor("f", 3)
    assert Cursor("e", 3) != Cursor("e", 4)


@pytest.mark.parametrize("seq", [-1, -100])
def test_no_cursor_stands_before_the_start(seq: int) -> None:
    with pytest.raises(ValueError, match=str(seq)):
        Cursor("e", seq)


@pytest.mark.parametrize(
    ("created", "seen", "is_new"), [(5, 4, True), (5, 5, False), (5, 9, False), (1, 0, True)]
)
def test_a_node_is_new_to_those_who_came_before_it(created: int, seen: int, is_new: bool) -> None:
    assert change(9, created=created).is_new_to(Cursor("e", seen)) is is_new


def test_a_whole_page_leads_to_the_head() -> None:
    page = ChangePage((change(3), change(5)), Cursor("e", 7))
    assert page.next == Cursor("e", 7), "seqs 6 and 7 were folded away, and need not be asked for again"


def test_a_part_leads_to_its_last_change() -> None:
    page = ChangePage((change(3), change(5)), Cursor("e", 7), more=True)
    assert page.next == Cursor("e", 5)


def test_an_empty_page_leads_to_the_head() -> None:
    assert ChangePage((), Cursor("e", 7)).next == Cursor("e", 7)


def test_a_resync_goes_on_from_the_head_of_the_new_epoch() -> None:
    page = ChangePage((), Cursor("new", 2), needs_resync=True)
    assert page.next == Cursor("new", 2)


@given(st.sets(st.integers(1, 200)), st.integers(1, 10))
def test_reading_page_by_page_sees_every_change_once(seqs: set[int], limit: int) -> None:
    feed, head = sorted(seqs), Cursor("e", 200)
    cursor, seen = Cursor("e", 0), []
    while True:
        rest = [seq for seq in feed if seq > cursor.seq]
        page = ChangePage(tuple(map(change, rest[:limit])), head, more=len(rest) > limit)
        seen += [one.seq for one in page.changes]
        assert page.next.seq > cursor.seq
        cursor = page.next
        if not page.more:
            break
    assert seen == feed
    assert cursor == head
