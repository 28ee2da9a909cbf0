"""CRA-03: since an unclean stop, a file that shrank without a new time stamp is put nowhere."""

import msgspec
import pytest

from syncd.core.entry import Entry, Kind, Side
from syncd.core.mode import Mode
from syncd.core.reason import Reason
from syncd.core.reconcile import Outcome, Verb, reconcile
from syncd.core.rules import Rules
from syncd.core.state import PathState

S, D = Side.SOURCE, Side.DESTINATION
BASE = Entry(Kind.FILE, 0o644, 100, 7, b"b" * 32)
CUT = Entry(Kind.FILE, 0o644, 0, 7)
SHORT = Entry(Kind.FILE, 0o644, 60, 7)
EDITED = Entry(Kind.FILE, 0o644, 60, 8)
UNREAD = Entry(Kind.FILE, 0o644, 100, 9)


def judge(
    source: Entry | None,
    destination: Entry | None,
    mode: Mode = Mode.TWO_WAY,
    base: Entry | None = BASE,
    *,
    crashed: bool = True,
    pulls: bool = False,
) -> Outcome:
    rules = Rules(mode, is_after_crash=crashed, pulls_destination_changes=pulls)
    return reconcile(PathState(b"f", base, source, destination), rules)


def verdict(outcome: Outcome) -> tuple[Verb, Side | None, Reason]:
    return outcome.verb, outcome.side, outcome.reason


LEFT = (Verb.LEAVE, None, Reason.SUSPECT_TRUNCATED)


@pytest.mark.parametrize("cut", [CUT, SHORT])
def test_the_unchanged_side_puts_its_version_back(cut: Entry) -> None:
    outcome = judge(cut, BASE)
    assert verdict(outcome) == (Verb.PUT, S, Reason.SUSPECT_TRUNCATED)
    assert outcome.entry == BASE
    assert verdict(judge(BASE, cut)) == (Verb.PUT, D, Reason.SUSPECT_TRUNCATED)


@pytest.mark.parametrize(
    ("source", "destination"),
    [(CUT, EDITED), (EDITED, CUT), (CUT, CUT), (CUT, SHORT), (CUT, None), (None, CUT)],
)
def test_what_has_no_good_version_beside_it_waits(source: Entry | None, destination: Entry | None) -> None:
    assert verdict(judge(source, destination)) == LEFT


def test_the_other_side_is_read_before_it_is_believed() -> None:
    assert judge(CUT, UNREAD).verb is Verb.COMPARE
    assert judge(CUT, UNREAD).sides == (D,)


@pytest.mark.parametrize(
    ("mode", "source", "destination"),
    [
        (Mode.SOURCE_TO_DESTINATION, CUT, BASE),
        (Mode.SOURCE_BACKUP, CUT, BASE),
        (Mode.SOURCE_BACKUP, CUT, None),
        (Mode.DESTINATION_TO_SOURCE, BASE, CUT),
        (Mode.DESTINATION_BACKUP, BASE, CUT),
    ],
)
def test_a_leading_side_that_was_cut_short_leads_nothing(
    mode: Mode, source: Entry | None, destination: Entry | None
) -> None:
    assert verdict(judge(source, destination, mode)) == LEFT


@pytest.mark.parametrize("mode", [Mode.SOURCE_TO_DESTINATION, Mode.SOURCE_BACKUP])
def test_a_following_side_that_was_cut_short_is_replaced_as_ever(mode: Mode) -> None:
    outcome = judge(BASE, CUT, mode)
    assert (outcome.verb, outcome.side) == (Verb.PUT, D)
    assert outcome.reason is not Reason.SUSPECT_TRUNCATED


def test_a_backup_that_pulls_does_not_pull_it() -> None:
    outcome = judge(BASE, CUT, Mode.SOURCE_BACKUP, pulls=True)
    assert verdict(outcome) == (Verb.PUT, D, Reason.SUSPECT_TRUNCATED)


@pytest.mark.parametrize(
    ("source", "base"),
    [
        (EDITED, BASE),
        (msgspec.structs.replace(BASE, size=101, digest=None), BASE),
        (Entry(Kind.SYMLINK, 0o777, 1, 7, target=b"x"), BASE),
        (CUT, None),
        (CUT, Entry(Kind.SYMLINK, 0o777, 5, 7, target=b"xxxxx")),
    ],
)
def test_other_changes_are_nobodys_fault(source: Entry, base: Entry | None) -> None:
    outcome = judge(source, base, base=base)
    assert outcome.reason is not Reason.SUSPECT_TRUNCATED


def test_after_a_clean_stop_it_is_a_change_like_any_other() -> None:
    assert verdict(judge(CUT, BASE, crashed=False)) == (Verb.PUT, D, Reason.MODIFIED)
