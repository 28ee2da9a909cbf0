"""Whatever is pushed into the debounce queue in whatever order."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.core.path import ancestors, is_beneath, is_within, parent
from syncd.core.settle import MAX_BENEATH, MAX_NAMES, MAX_PATIENCE, Due, SettleQueue
from tests.core.queues import SETTLE, filled, names

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
