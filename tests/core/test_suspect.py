"""CRA-03: a file that a crash seems to have damaged is put nowhere."""

from collections.abc import Mapping

import msgspec
import pytest

from syncd.core.entry import Entry, Kind, Side
from syncd.core.mode import Mode
from syncd.core.reason import Reason
from syncd.core.reconcile import Outcome, Verb, reconcile
from syncd.core.rules import Rules
from syncd.core.state import Damage, PathState

S, D = Side.SOURCE, Side.DESTINATION
BASE = Entry(Kind.FILE, 0o644, 100, 7, b"b" * 32)
CUT = Entry(Kind.FILE, 0o644, 0, 7)
SHORT = Entry(Kind.FILE, 0o644, 60, 7)
TORN = Entry(Kind.FILE, 0o644, 100, 7, b"t" * 32)
EDITED = Entry(Kind.FILE, 0o644, 60, 8)
OLDER = Entry(Kind.FILE, 0o644, 90, 3, b"o" * 32)
ZEROED = Entry(Kind.FILE, 0o644, 100, 7, b"z" * 32)
UNREAD = Entry(Kind.FILE, 0o644, 100, 9)
DAMAGED = {
    CUT: Damage.CUT_SHORT,
    SHORT: Damage.CUT_SHORT,
    OLDER: Damage.ROLLED_BACK,
    ZEROED: Damage.ZEROED,
    TORN: Damage.ALTERED,
}


def judge(
    source: Entry | None,
    destination: Entry | None,
    mode: Mode = Mode.TWO_WAY,
    base: Entry | None = BASE,
    *,
    pulls: bool = False,
    damaged: Mapping[Entry, Damage] = DAMAGED,
) -> Outcome:
    rules = Rules(mode, pulls_destination_changes=pulls)
    state = PathState(
        b"f",
        base,
        source,
        destination,
        source_damage=Damage.NONE if source is None else damaged.get(source, Damage.NONE),
        destination_damage=Damage.NONE if destination is None else damaged.get(destination, Damage.NONE),
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


def test_without_a_crash_it_is_a_change_like_any_other() -> None:
    assert verdict(judge(CUT, BASE, damaged={})) == (Verb.PUT, D, Reason.MODIFIED)
    assert verdict(judge(TORN, BASE, damaged={})) == (Verb.PUT, D, Reason.MODIFIED)


@pytest.mark.parametrize("damaged", [OLDER, ZEROED])
def test_what_a_power_cut_took_back_comes_back(damaged: Entry) -> None:
    assert verdict(judge(damaged, BASE)) == (Verb.PUT, S, Reason.SUSPECT_TORN)
    assert verdict(judge(BASE, damaged)) == (Verb.PUT, D, Reason.SUSPECT_TORN)
    leading = judge(damaged, BASE, Mode.SOURCE_TO_DESTINATION)
    assert verdict(leading) == (Verb.LEAVE, None, Reason.SUSPECT_TORN)


def test_where_the_bytes_may_be_somebodys_it_is_told() -> None:
    for outcome, side in ((judge(TORN, BASE), S), (judge(BASE, TORN), D)):
        assert verdict(outcome) == (Verb.PUT, side, Reason.SUSPECT_TORN)
        assert outcome.is_report
    assert judge(OLDER, BASE).is_report
    assert not judge(ZEROED, BASE).is_report
    assert verdict(judge(TORN, BASE, Mode.SOURCE_TO_DESTINATION)) == (Verb.LEAVE, None, Reason.SUSPECT_TORN)


def test_another_file_at_the_name_has_not_suffered() -> None:
    state = PathState(
        b"f", BASE, CUT, BASE, source_node=7, base_source_node=8, source_damage=Damage.CUT_SHORT
    )
    assert verdict(reconcile(state, Rules(Mode.TWO_WAY))) == (Verb.PUT, D, Reason.MODIFIED)


def test_what_both_sides_hold_is_nobodys_ruin() -> None:
    """The change was carried over before the stop, and not told to the base yet."""
    carried = msgspec.structs.replace(SHORT, mtime_ns=8, digest=b"s" * 32)
    here = msgspec.structs.replace(SHORT, digest=b"s" * 32)
    assert judge(here, carried, damaged={here: Damage.CUT_SHORT}).verb is Verb.ADOPT


def test_damage_that_does_not_show_in_the_content_is_none() -> None:
    assert judge(BASE, BASE, damaged={BASE: Damage.ALTERED}).verb is Verb.NOTHING
    edited = judge(BASE, EDITED, damaged={BASE: Damage.ALTERED})
    assert verdict(edited) == (Verb.PUT, S, Reason.MODIFIED)
