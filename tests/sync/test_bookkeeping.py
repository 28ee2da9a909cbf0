"""What a round writes into the index besides results."""

import sqlite3

import pytest

from syncd.core.entry import Entry, Kind
from syncd.core.plan import Plan
from syncd.core.reason import Reason
from syncd.index import nodes, pending
from syncd.index.dirty import DirtyPath
from syncd.sync import bookkeeping
from syncd.sync.settings import BOTH
from tests.index.conftest import db

__all__ = ["db"]

FILE = Entry(Kind.FILE, 0o644, 3, 5)


@pytest.fixture
def issue(db: sqlite3.Connection) -> sqlite3.Connection:
    """`f` is on both sides and could not be read a moment ago."""
    for side in BOTH:
        nodes.put(db, side, b"f", FILE)
    pending.put(db, b"f", None, Reason.CHANGING, "", 1)
    return db


@pytest.mark.parametrize(
    ("plan", "is_over"),
    [
        (Plan(adopt=((b"f", FILE, False),)), True),
        (Plan(forget=(b"f",)), True),
        (Plan(left=((b"f", Reason.LEFT_ALONE),)), True),
        (Plan(left=((b"f", Reason.UNREADABLE),)), False),
        (Plan(), False),
    ],
)
def test_an_issue_is_over_when_no_action_is_needed_any_more(
    issue: sqlite3.Connection, plan: Plan, is_over: bool
) -> None:
    bookkeeping.store_verdicts(issue, plan, [DirtyPath(b"f", is_deep=False)], {b"f"}, None, 9)
    assert (pending.get(issue, b"f") is None) is is_over
