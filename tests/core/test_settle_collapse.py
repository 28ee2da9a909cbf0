"""The debounce queue: many names become their directory, many directories their subtree."""

import pytest

from syncd.core.settle import MAX_BENEATH, MAX_NAMES, Due, SettleQueue
from tests.core.queues import LATEST, SETTLE, filled, names

# Many names in one directory.


def test_up_to_the_limit_names_stay_names() -> None:
    queue = filled(*names(b"d", MAX_NAMES))
    due = queue.due(100)
    assert len(due.paths) == MAX_NAMES
    assert due.directories == ()


@pytest.mark.parametrize("directory", [b"", b"d", b"d/e"])
def test_more_become_their_directory(directory: bytes) -> None:
    queue = filled(*names(directory, MAX_NAMES + 1))
    assert queue.pending == 1
    assert queue.due(100) == Due(directories=(directory,))
    assert queue.pending == 0


def test_repeated_names_count_once() -> None:
    queue = filled(*names(b"d", MAX_NAMES), *names(b"d", MAX_NAMES), b"other")
    assert queue.due(100).directories == ()


def test_names_that_were_delivered_do_not_count() -> None:
    queue = filled(*names(b"d", MAX_NAMES))
    assert queue.due(100)
    queue.push(b"d/x", 100)
    assert queue.due(200) == Due(paths=(b"d/x",))


def test_names_beside_and_above_stay_names() -> None:
    queue = filled(b"d", b"d/e/x", b"x", *names(b"d", MAX_NAMES + 1))
    due = queue.due(100)
    assert sorted(due.paths) == [b"d", b"d/e/x", b"x"]
    assert due.directories == (b"d",)


def test_a_directory_is_as_old_as_its_oldest_name() -> None:
    queue = SettleQueue(SETTLE)
    queue.push(b"d/first", 0)
    for i, path in enumerate(names(b"d", MAX_NAMES)):
        queue.push(path, 90 if i < 64 else 95)
    for now in range(100, LATEST, 50):
        assert not queue.due(now)
        queue.push(b"d/n0000", now)
    assert queue.next_deadline() == LATEST
    assert queue.due(LATEST) == Due(directories=(b"d",))


def test_a_word_about_a_name_puts_its_directory_off() -> None:
    queue = filled(*names(b"d", MAX_NAMES + 1))
    queue.push(b"d/n0000", 80)
    queue.push(b"d/new", 90, disappeared=True)
    assert queue.next_deadline() == 190


def test_the_root_as_a_path_is_its_listing() -> None:
    queue = filled(b"")
    assert queue.pending == 1
    assert queue.due(100) == Due(directories=(b"",))


# Many names beneath one directory.


def test_up_to_the_limit_beneath_a_directory() -> None:
    queue = filled(*(path for i in range(4) for path in names(b"t/d%d" % i, MAX_NAMES)))
    due = queue.due(100)
    assert len(due.paths) == MAX_BENEATH
    assert due.subtrees == ()


def test_more_become_the_subtree() -> None:
    paths = [path for i in range(4) for path in names(b"t/d%d" % i, MAX_NAMES)]
    queue = filled(*paths, b"t/one", b"x")
    assert queue.due(100) == Due(paths=(b"x",), subtrees=(b"t",))


def test_more_in_one_directory_become_its_subtree() -> None:
    queue = filled(*names(b"t/d", MAX_BENEATH + 1), b"t/x")
    assert queue.due(100) == Due(paths=(b"t/x",), subtrees=(b"t/d",))


def test_names_all_over_become_the_root() -> None:
    queue = filled(*(b"d%d/x" % i for i in range(MAX_BENEATH + 1)))
    assert queue.due(100) == Due(subtrees=(b"",))


def test_many_subtrees_become_one() -> None:
    queue = SettleQueue(SETTLE)
    for i in range(MAX_BENEATH + 1):
        queue.push(b"t/%d" % i, 0, is_subtree=True)
    due = queue.due(100)
    assert due.subtrees == (b"t",)


def test_a_collapsed_subtree_swallows_what_comes_beneath_it() -> None:
    queue = filled(*names(b"t", MAX_BENEATH + 1))
    queue.push(b"t/n0001", 60)
    queue.push(b"t/deep/er", 80, disappeared=True)
    queue.push(b"t/sub", 90, is_subtree=True)
    assert queue.pending == 1
    assert queue.next_deadline() == 190
    assert queue.due(190) == Due(subtrees=(b"t",))


def test_collapsing_does_not_cascade() -> None:
    queue = filled(*names(b"t/u/v", MAX_BENEATH + 1))
    queue.push(b"t/x", 0)
    queue.push(b"t/u/x", 0)
    due = queue.due(100)
    assert due.subtrees == (b"t/u/v",)
    assert sorted(due.paths) == [b"t/u/x", b"t/x"]


def test_the_oldest_wait_decides_how_long_a_subtree_waits() -> None:
    queue = filled(b"t/first")
    for now in range(50, LATEST, 50):
        queue.push(b"t/first", now)
    for path in names(b"t", MAX_BENEATH):
        queue.push(path, LATEST - 10)
    assert queue.next_deadline() == LATEST
    assert queue.due(LATEST).subtrees == (b"t",)


# Subtrees that are asked for.


def test_a_subtree_comes_with_its_directory_as_a_path() -> None:
    queue = SettleQueue(SETTLE)
    queue.push(b"a/t", 0, is_subtree=True)
    assert queue.due(100) == Due(paths=(b"a/t",), subtrees=(b"a/t",))


def test_the_directory_is_not_kept_back_when_the_subtree_goes() -> None:
    queue = SettleQueue(SETTLE)
    queue.push(b"t", 0, is_subtree=True)
    queue.push(b"t", 50)
    assert queue.due(100) == Due(paths=(b"t",), subtrees=(b"t",))


def test_a_subtree_that_disappeared_meanwhile() -> None:
    queue = SettleQueue(SETTLE)
    queue.push(b"t", 0, is_subtree=True)
    queue.push(b"t", 50, disappeared=True)
    queue.push(b"u", 0)
    assert queue.due(100) == Due(paths=(b"u", b"t"), subtrees=(b"t",))


def test_the_root_as_a_subtree() -> None:
    queue = filled(b"a", b"b/c", *names(b"d", 200))
    queue.push(b"", 50, is_subtree=True)
    queue.push(b"e", 60)
    assert queue.pending == 1
    assert queue.due(160) == Due(subtrees=(b"",))


def test_a_subtree_swallows_what_waits_beneath_it_but_not_beside() -> None:
    queue = filled(b"t/a", b"t/u/b", b"tt/c", *names(b"t/d", MAX_NAMES + 1))
    queue.push(b"t/u", 0, is_subtree=True)
    queue.push(b"t", 0, is_subtree=True)
    due = queue.due(100)
    assert sorted(due.paths) == [b"t", b"tt/c"]
    assert due.directories == ()
    assert due.subtrees == (b"t",)


def test_a_subtree_beneath_a_waiting_one_is_no_second() -> None:
    queue = SettleQueue(SETTLE)
    queue.push(b"t", 0, is_subtree=True)
    queue.push(b"t/u", 10, is_subtree=True)
    assert queue.due(110).subtrees == (b"t",)


def test_a_subtree_asked_for_twice_is_put_off() -> None:
    queue = SettleQueue(SETTLE)
    queue.push(b"", 0, is_subtree=True)
    queue.push(b"", 50, is_subtree=True)
    assert queue.next_deadline() == 150
