"""CRA-03: since an unclean stop, a file that shrank without a new time stamp is put nowhere; since a
power cut, nor is one with other bytes."""

import msgspec
import pytest

from syncd.core.entry import Entry, Kind, Side
from syncd.core.mode import Mode
from syncd.core.reason import Reason
from syncd.core.reconcile import Outcome, Verb, reconcile
from syncd.core.rules import Crash, Rules
from syncd.core.state import PathState

S, D = Side.SOURCE, Side.DESTINATION
BASE = Entry(Kind.FILE, 0o644, 100, 7, b"b" * 32)
CUT = Entry(Kind.FILE, 0o644, 0, 7)
SHORT = Entry(Kind.FILE, 0o644, 60, 7)
TORN = Entry(Kind.FILE, 0o644, 100, 7, b"t" * 32)
EDITED = Entry(Kind.FILE, 0o644, 60, 8)
UNREAD = Entry(Kind.FILE, 0o644, 100, 9)


def judge(
    source: Entry | None,
    destination: Entry | None,
    mode: Mode = Mode.TWO_WAY,
    base: Entry | None = BASE,
    *,
    crash: Crash = Crash.UNCLEAN,
    pulls: bool = False,
    unstamped: tuple[Entry, ...] = (CUT, SHORT, TORN),
) -> Outcome:
    """`unstamped` are the entries that came without a new time stamp, in the same inode."""
    rules = Rules(mode, crash=crash, pulls_destination_changes=pulls)
    state = PathState(
        b"f",
        base,
        source,
        destination,
        source_is_unstamped=source in unstamped,
        destination_is_unstamped=destination in unstamped,
    )
    return reconcile(state, rules)


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
    assert verdict(judge(CUT, BASE, crash=Crash.NONE)) == (Verb.PUT, D, Reason.MODIFIED)
    assert verdict(judge(TORN, BASE, crash=Crash.NONE)) == (Verb.PUT, D, Reason.MODIFIED)


def test_other_bytes_are_suspect_after_a_power_cut_alone() -> None:
    assert verdict(judge(TORN, BASE)) == (Verb.PUT, D, Reason.MODIFIED)
    assert verdict(judge(TORN, BASE, crash=Crash.POWER_CUT)) == (Verb.PUT, S, Reason.SUSPECT_TORN)
    assert verdict(judge(BASE, TORN, crash=Crash.POWER_CUT)) == (Verb.PUT, D, Reason.SUSPECT_TORN)
    assert verdict(judge(CUT, BASE, crash=Crash.POWER_CUT)) == (Verb.PUT, S, Reason.SUSPECT_TRUNCATED)
    leading = judge(TORN, BASE, Mode.SOURCE_TO_DESTINATION, crash=Crash.POWER_CUT)
    assert verdict(leading) == (Verb.LEAVE, None, Reason.SUSPECT_TORN)


def test_a_file_that_grew_over_its_base_and_was_cut_short_before_it_was_carried_is_torn() -> None:
    grown = Entry(Kind.FILE, 0o644, 150, 9)
    outcome = judge(grown, BASE, crash=Crash.POWER_CUT, unstamped=(grown,))
    assert verdict(outcome) == (Verb.PUT, S, Reason.SUSPECT_TORN)


def test_what_came_to_the_name_or_has_a_stamp_of_its_own_is_no_torn_file() -> None:
    assert verdict(judge(TORN, BASE, crash=Crash.POWER_CUT, unstamped=())) == (Verb.PUT, D, Reason.MODIFIED)


@pytest.mark.parametrize("crash", [Crash.UNCLEAN, Crash.POWER_CUT])
def test_what_both_sides_hold_is_nobodys_ruin(crash: Crash) -> None:
    """The change was carried over before the stop, and not told to the base yet."""
    carried = msgspec.structs.replace(SHORT, mtime_ns=8, digest=b"s" * 32)
    here = msgspec.structs.replace(SHORT, digest=b"s" * 32)
    assert judge(here, carried, crash=crash, unstamped=(here,)).verb is Verb.ADOPT


def test_a_torn_file_of_unknown_content_is_read_first() -> None:
    unread = msgspec.structs.replace(TORN, digest=None)
    outcome = judge(unread, BASE, crash=Crash.POWER_CUT, unstamped=(unread,))
    assert (outcome.verb, outcome.sides) == (Verb.COMPARE, (S,))
