"""The debounce queue: quiet, bounded patience, collapsing, disappearances last. Times are in ns."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.core.path import ancestors, is_beneath, is_within, parent
from syncd.core.settle import MAX_BENEATH, MAX_NAMES, MAX_PATIENCE, Due, SettleQueue

SETTLE = 100
LATEST = MAX_PATIENCE * SETTLE


def names(directory: bytes, count: int, prefix: bytes = b"n") -> list[bytes]:
    lead = directory + b"/" if directory else b""
    return [b"%s%s%04d" % (lead, prefix, i) for i in range(count)]


def filled(*paths: bytes, at: int = 0) -> SettleQueue:
    queue = SettleQueue(SETTLE)
    for path in paths:
        queue.push(path, at)
    return queue


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


# Whatever is pushed in whatever order.

PART = st.sampled_from([b"a", b"b", b"c"])
SOME_PATH = st.lists(PART, max_size=4).map(b"/".join)
WORDS = st.lists(
    st.tuples(SOME_PATH, st.integers(0, 80), st.booleans(), st.sampled_from([False, False, False, True])),
    max_size=25,
)


def covered(path: bytes, due: Due) -> bool:
    return (
        path in due.paths
        or path in due.directories
        or (bool(path) and parent(path) in due.directories)
        or any(is_within(path, subtree) for subtree in due.subtrees)
    )


def well_formed(due: Due) -> None:
    assert len(set(due.paths)) == len(due.paths)
    for path in due.paths:
        assert parent(path) not in due.directories
        assert not any(is_beneath(path, subtree) for subtree in due.subtrees)
    for path in (*due.directories, *due.subtrees):
        assert not any(is_beneath(path, subtree) for subtree in due.subtrees)


@given(WORDS, st.sampled_from([0, 1, 30, 100]))
def test_everything_said_is_delivered_in_time(
    words: list[tuple[bytes, int, bool, bool]], settle: int
) -> None:
    """Each word is answered by a delivery that covers it, not later than patience allows."""
    queue = SettleQueue(settle)
    open_words: dict[bytes, int] = {}
    now = 0
    for path, step, disappeared, is_subtree in words:
        now += step
        deadline = queue.next_deadline()
        while deadline is not None and deadline <= now:
            due = queue.due(deadline)
            assert due, "something is due at the deadline"
            well_formed(due)
            open_words = {p: since for p, since in open_words.items() if not covered(p, due)}
            deadline = queue.next_deadline()
        queue.push(path, now, disappeared=disappeared, is_subtree=is_subtree)
        open_words.setdefault(path, now)
        assert all(now - since <= MAX_PATIENCE * settle for since in open_words.values())
    due = queue.flush()
    well_formed(due)
    assert all(covered(path, due) for path in open_words)
    assert len(queue) == 0


@given(WORDS, st.integers(0, 2000))
def test_nothing_is_due_before_the_deadline(words: list[tuple[bytes, int, bool, bool]], wait: int) -> None:
    queue = SettleQueue(SETTLE)
    now = 0
    for path, step, disappeared, is_subtree in words:
        now += step
        queue.push(path, now, disappeared=disappeared, is_subtree=is_subtree)
    deadline = queue.next_deadline()
    if deadline is None:
        assert not queue.due(now + wait)
    else:
        assert bool(queue.due(now + wait)) is (now + wait >= deadline)


@given(WORDS)
def test_disappeared_paths_are_at_the_end(words: list[tuple[bytes, int, bool, bool]]) -> None:
    queue = SettleQueue(SETTLE)
    last_word: dict[bytes, bool] = {}
    for path, _, disappeared, is_subtree in words:
        queue.push(path, 0, disappeared=disappeared, is_subtree=is_subtree)
        last_word[path] = disappeared and not is_subtree
    gone = [last_word[path] for path in queue.due(SETTLE).paths]
    assert gone == sorted(gone)


@settings(max_examples=20, deadline=None)
@given(st.integers(), st.integers(200, 3000))
def test_the_queue_stays_small(seed: int, count: int) -> None:
    rng = random.Random(seed)
    queue = SettleQueue(SETTLE)
    for i in range(count):
        depth = rng.randint(1, 4)
        path = b"/".join(b"%d" % rng.randint(0, 40) for _ in range(depth))
        queue.push(path, i, is_subtree=i % 50 == 0)
        assert queue.pending <= MAX_BENEATH + 1
    queue.flush()
    assert queue._beneath == {}
    assert queue._directories == {}


@given(WORDS)
def test_counts_are_what_waits_beneath(words: list[tuple[bytes, int, bool, bool]]) -> None:
    queue = SettleQueue(SETTLE)
    now = 0
    for path, step, disappeared, is_subtree in words:
        now += step
        queue.push(path, now, disappeared=disappeared, is_subtree=is_subtree)
        if step % 3 == 0:
            queue.due(now)
        counts: dict[bytes, int] = {}
        waiting = [name for directory in queue._directories.values() for name in directory.names]
        for one in [*waiting, *queue._subtrees]:
            for above in ancestors(one):
                counts[above] = counts.get(above, 0) + 1
        assert queue._beneath == counts


# Is something waiting for a path? (explain says "settling")

HOLDS: list[tuple[str, bytes, bool]] = [
    ("the name itself", b"d/a", True),
    ("its directory does not concern it", b"d", False),
    ("a name beside it", b"d/b", False),
    ("beneath it", b"d/a/x", False),
    ("a name in a listed directory", b"many/unknown", True),
    ("beneath a name there", b"many/n0001/x", False),
    ("a subtree", b"t", True),
    ("beneath a subtree", b"t/u/v", True),
    ("a name that begins alike", b"tt", False),
]


@pytest.mark.parametrize(("path", "held"), [h[1:] for h in HOLDS], ids=[h[0] for h in HOLDS])
def test_what_waits_for_a_path(path: bytes, held: bool) -> None:
    queue = filled(b"d/a", *names(b"many", MAX_NAMES + 1))
    queue.push(b"t", 0, is_subtree=True)
    assert queue.holds(path) is held
    queue.flush()
    assert not queue.holds(path)


@given(WORDS)
def test_whatever_was_said_is_held_until_it_is_delivered(words: list[tuple[bytes, int, bool, bool]]) -> None:
    queue = SettleQueue(SETTLE)
    for path, _, disappeared, is_subtree in words:
        queue.push(path, 0, disappeared=disappeared, is_subtree=is_subtree)
        assert queue.holds(path)
    queue.due(SETTLE)
    assert not any(queue.holds(path) for path, _, _, _ in words)


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
