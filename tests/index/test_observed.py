"""The small values between an observation and the index."""

import pytest

from syncd.core.entry import Entry, Kind
from syncd.core.listing import Child
from syncd.index import nodes
from syncd.index.observed import agrees, entry_of_child, unseen
from tests.index.merging import child, folder

# Small values.


def test_entry_of_child() -> None:
    assert entry_of_child(child("a", 1, size=7, mtime=3)) == Entry(Kind.FILE, 0o644, 7, 3)
    assert entry_of_child(folder("d", 1)) == Entry(Kind.DIRECTORY, 0o755)


@pytest.mark.parametrize(
    ("entry", "found", "answer"),
    [
        (Entry(Kind.FILE, 0o644, 5, 1), child("a", 1), True),
        (Entry(Kind.FILE, 0o600, 5, 1), child("a", 1), False),
        (Entry(Kind.FILE, 0o644, 6, 1), child("a", 1), False),
        (Entry(Kind.FILE, 0o644, 5, 2), child("a", 1), False),
        (Entry(Kind.DIRECTORY, 0o755), folder("a", 1), True),
        (Entry(Kind.DIRECTORY, 0o700), folder("a", 1), False),
        (Entry(Kind.DIRECTORY, 0o755), child("a", 1), False),
        (Entry(Kind.SYMLINK, 0, 1, 1, None, b"x"), child("a", 1, kind=Kind.SYMLINK), True),
    ],
)
def test_agrees(entry: Entry, found: Child, answer: bool) -> None:
    assert agrees(entry, found) is answer


def test_unseen_equals_no_listing() -> None:
    node = nodes.Node(5, 1, b"a", Entry(Kind.FILE, 0o644, 5, 1))
    assert unseen(node) != child("a", 0)
    assert unseen(node).hint.ctime_ns == 0
