"""The debounce queue: quiet, bounded patience, disappearances last. Times are in ns."""

from itertools import pairwise

import pytest

from syncd.core.settle import MAX_NAMES, Due, SettleQueue
from tests.core.queues import LATEST, SETTLE, filled, names

# One path.


def test_nothing_waits_in_an_empty_queue() -> None:
    queue = SettleQueue(SETTLE)
    assert queue.next_deadline() is None
    assert not queue.due(10**18)
    assert not queue.flush()
    assert len(queue) == queue.pending == 0


def test_a_path_is_due_when_it_was_quiet() -> None:
    queue = filled(b"a", at=5)
    assert queue.next_deadline() == 105
    assert not queue.due(104)
    assert queue.due(105) == Due(paths=(b"a",))
    assert not queue.due(10**9)
    assert queue.next_deadline() is None


def test_each_word_about_a_path_puts_it_off() -> None:
    queue = SettleQueue(SETTLE)
    for now in (0, 60, 120, 180):
        queue.push(b"a", now)
        assert not queue.due(now)
    assert queue.next_deadline() == 280
    assert not queue.due(279)
    assert queue.due(280).paths == (b"a",)


def test_but_never_longer_than_six_times_settle() -> None:
    queue = SettleQueue(SETTLE)
    for now in range(0, LATEST, 50):
        queue.push(b"a", now)
        assert not queue.due(now)
    assert queue.next_deadline() == LATEST
    assert not queue.due(LATEST - 1)
    assert queue.due(LATEST).paths == (b"a",)


def test_after_it_was_due_patience_begins_anew() -> None:
    queue = filled(b"a")
    assert queue.due(100)
    queue.push(b"a", 150)
    assert queue.next_deadline() == 250


def test_paths_settle_each_on_its_own() -> None:
    queue = filled(b"a")
    queue.push(b"b", 50)
    assert queue.due(100).paths == (b"a",)
    assert queue.pending == 1
    assert queue.due(150).paths == (b"b",)


def test_no_settling_at_all() -> None:
    queue = SettleQueue(0)
    queue.push(b"gone", 7, disappeared=True)
    queue.push(b"a", 7)
    assert queue.next_deadline() == 7
    assert queue.due(7).paths == (b"a", b"gone")


def test_settle_is_not_negative() -> None:
    with pytest.raises(ValueError, match="-1 ns"):
        SettleQueue(-1)


def test_flush_takes_what_has_not_settled() -> None:
    queue = filled(b"b", b"a", *names(b"d", MAX_NAMES + 1))
    queue.push(b"c", 0, disappeared=True)
    queue.push(b"t", 0, is_subtree=True)
    due = queue.flush()
    assert sorted(due.paths) == [b"a", b"b", b"c", b"t"]
    assert due.paths[-1] == b"c"
    assert due.directories == (b"d",)
    assert due.subtrees == (b"t",)
    assert queue.pending == 0
    assert queue.next_deadline() is None


def test_a_due_is_true_when_there_is_something() -> None:
    assert not Due()
    assert Due(paths=(b"a",))
    assert Due(directories=(b"a",))
    assert Due(subtrees=(b"",))


def test_a_late_word_with_an_early_time_does_not_shorten_the_wait() -> None:
    queue = filled(b"a", at=50)
    queue.push(b"a", 20)
    assert queue.next_deadline() == 150


# Disappearances come last.


def test_disappearances_are_delivered_after_appearances() -> None:
    queue = SettleQueue(SETTLE)
    queue.push(b"a", 0, disappeared=True)
    queue.push(b"z", 0)
    assert queue.due(100).paths == (b"z", b"a")


def test_a_disappearance_waits_for_an_appearance_that_has_not_settled() -> None:
    """`mv a b` while b is still being written: seen together they are a move."""
    queue = SettleQueue(SETTLE)
    queue.push(b"a", 0, disappeared=True)
    queue.push(b"b", 0)
    queue.push(b"b", 90)
    assert not queue.due(100)
    assert queue.next_deadline() == 190
    assert queue.due(190).paths == (b"b", b"a")


def test_but_not_beyond_its_own_patience() -> None:
    queue = SettleQueue(SETTLE)
    queue.push(b"a", 0, disappeared=True)
    for now in range(0, LATEST, 50):
        queue.push(b"b", now + 25)
        assert not queue.due(now + 25)
    assert queue.due(LATEST).paths == (b"a",)
    assert queue.pending == 1


def test_alone_a_disappearance_is_due_when_quiet() -> None:
    queue = SettleQueue(SETTLE)
    queue.push(b"a", 0, disappeared=True)
    queue.push(b"b", 40, disappeared=True)
    assert queue.next_deadline() == 100
    assert queue.due(100).paths == (b"a",)
    assert queue.due(140).paths == (b"b",)


@pytest.mark.parametrize(
    ("words", "order"),
    [
        ([True, False], (b"a", b"gone")),
        ([False, True], (b"gone", b"a")),
        ([True, False, True], (b"gone", b"a")),
        ([False, True, False], (b"a", b"gone")),
    ],
)
def test_the_last_word_tells_whether_a_path_is_there(words: list[bool], order: tuple[bytes, ...]) -> None:
    queue = SettleQueue(SETTLE)
    for disappeared in words:
        queue.push(b"a", 0, disappeared=disappeared)
    queue.push(b"gone", 0, disappeared=words[-1] is False)
    assert queue.due(100).paths == order


@pytest.mark.parametrize("collapsed", ["directory", "subtree"])
def test_a_disappearance_waits_for_directories_and_subtrees_too(collapsed: str) -> None:
    queue = SettleQueue(SETTLE)
    queue.push(b"a", 0, disappeared=True)
    if collapsed == "directory":
        for path in names(b"d", MAX_NAMES + 1):
            queue.push(path, 50)
    else:
        queue.push(b"t", 50, is_subtree=True)
    assert not queue.due(100)
    due = queue.due(150)
    assert due.paths[-1] == b"a"
    assert due.directories or due.subtrees


# Stories of programs that save files.


def test_an_editor_that_saves_through_a_temporary_name() -> None:
    queue = SettleQueue(SETTLE)
    queue.push(b"d/.a.swp", 0)
    queue.push(b"d/a.tmp", 10)
    queue.push(b"d/a.tmp", 20, disappeared=True)
    queue.push(b"d/a", 20)
    queue.push(b"d/.a.swp", 30, disappeared=True)
    assert not queue.due(119)
    assert queue.due(130).paths == (b"d/a", b"d/.a.swp", b"d/a.tmp")


def test_a_log_that_is_always_written_is_looked_at_now_and_then() -> None:
    queue, seen = SettleQueue(SETTLE), []
    for now in range(0, 4 * LATEST, 10):
        queue.push(b"log", now)
        if queue.due(now):
            seen.append(now)
    assert seen[0] == LATEST
    assert all(LATEST <= later - earlier <= LATEST + 10 for earlier, later in pairwise(seen))


def test_an_archive_that_is_unpacked() -> None:
    """Many new directories, each announced as a subtree, then thousands of files beneath them."""
    queue = SettleQueue(SETTLE)
    for i in range(40):
        queue.push(b"new/d%d" % i, i, is_subtree=True)
        for path in names(b"new/d%d" % i, 100):
            queue.push(path, i)
        assert queue.pending <= 2 * 40
    due = queue.due(40 + SETTLE)
    assert set(due.subtrees) == {b"new/d%d" % i for i in range(40)}
    assert queue.pending == 0


def test_a_directory_that_is_renamed() -> None:
    queue = SettleQueue(SETTLE)
    queue.push(b"old", 0, disappeared=True)
    queue.push(b"new", 0, is_subtree=True)
    assert queue.due(SETTLE) == Due(paths=(b"new", b"old"), subtrees=(b"new",))


def test_a_directory_that_is_removed_with_all_in_it() -> None:
    queue = SettleQueue(SETTLE)
    for path in names(b"d", 200):
        queue.push(path, 0, disappeared=True)
    queue.push(b"d", 1, disappeared=True)
    due = queue.due(SETTLE + 1)
    assert due.paths == (b"d",)
    assert due.directories == (b"d",)
