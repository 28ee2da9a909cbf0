"""Content that was not read, and mode bits."""

import msgspec
import pytest

from syncd.core.entry import Entry, Side
from syncd.core.mode import Mode
from syncd.core.reason import Reason
from syncd.core.reconcile import Verb
from syncd.core.rules import Policy
from tests.core.judging import NEW_S, OLD, S_KEEPS, judge, unread
from tests.core.model import directory, file, link
from tests.core.words import say


@pytest.mark.parametrize("mode", Mode)
def test_equal_size_and_sub_second_mtime_counts_as_equal_unread(mode: Mode) -> None:
    outcome = judge(None, unread("one", 0.25), unread("two", 0.25), mode)
    assert say(outcome) == "adopt unverified"
    assert outcome.entry is not None
    assert outcome.entry.digest is None
    read = judge(None, unread("one", 0.25), unread("two", 0.25), mode, compares_content=True)
    assert say(read) == "compare S D"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param(3.0, 3.0, id="equal whole seconds prove nothing"),
        pytest.param(3.5, 3.25, id="different mtimes prove nothing"),
    ],
)
@pytest.mark.parametrize("mode", Mode)
def test_other_files_of_one_size_are_read(mode: Mode, ours: float, theirs: float) -> None:
    assert say(judge(None, unread("one", ours), unread("two", theirs), mode)) == "compare S D"


def test_a_digest_that_one_side_knows_is_not_vouched_for_by_an_unread_one() -> None:
    outcome = judge(None, file("one", mtime_s=0.5), unread("two", 0.5))
    assert say(outcome) == "adopt unverified"
    assert outcome.entry is not None
    assert outcome.entry.digest is None


def test_only_the_unread_side_is_read() -> None:
    assert say(judge(None, file("one"), unread("two"))) == "compare D"
    assert say(judge(OLD, unread("odd"), OLD)) == "compare S"
    assert say(judge(OLD, unread("odd"), None)) == "compare S"
    assert say(judge(OLD, unread("odd"), file("longer"))) == "compare S"


def test_what_the_mode_decides_anyway_is_not_read() -> None:
    assert say(judge(OLD, unread("odd"), None, Mode.SOURCE_TO_DESTINATION)) == "put D"
    assert say(judge(OLD, None, unread("odd"), Mode.SOURCE_TO_DESTINATION)) == "delete D"
    assert say(judge(OLD, unread("odd"), file("longer"), Mode.SOURCE_TO_DESTINATION)) == "put D"


def test_different_sizes_need_no_reading() -> None:
    assert say(judge(None, unread("one", 200), unread("three", 100))) == S_KEEPS


def test_empty_files_are_equal_unread() -> None:
    assert say(judge(None, unread("", 1), unread("", 2))) == "adopt"


def test_a_base_judged_unread_stays_in_sync_while_the_stamps_stay() -> None:
    base = unread("old", 0.5)
    assert say(judge(base, unread("old", 0.5), unread("old", 0.5))) == "nothing"
    assert say(judge(base, unread("old", 0.5), None)) == "delete S"


def test_a_touched_file_over_an_unread_base_is_read_and_then_adopted() -> None:
    base = unread("old", 0.5)
    assert say(judge(base, unread("old", 9), unread("old", 0.5))) == "compare S D"
    assert say(judge(base, file("old", mtime_s=9), unread("old", 0.5))) == "compare D"
    assert say(judge(base, file("old", mtime_s=9), file("old", mtime_s=0.5))) == "adopt"
    assert say(judge(base, file("odd", mtime_s=9), file("old", mtime_s=0.5))) == "put D"


def test_a_wrong_unread_base_makes_a_conflict_and_no_victim() -> None:
    base = unread("old", 0.5)
    outcome = judge(base, file("old", mtime_s=0.5), file("odd", mtime_s=0.5), policy=Policy.KEEP_BOTH)
    assert say(outcome) == S_KEEPS


def test_a_scrub_that_reads_both_verifies_the_base() -> None:
    outcome = judge(unread("old", 0.5), file("old", mtime_s=0.5), file("old", mtime_s=0.5))
    assert say(outcome) == "adopt"
    assert outcome.entry == file("old", mtime_s=0.5)
    assert outcome.reason is Reason.IN_SYNC


# Mode bits.


@pytest.mark.parametrize(
    ("ours", "theirs", "merged"),
    [
        pytest.param(0o600, 0o755, 0o755, id="executable at D wins"),
        pytest.param(0o755, 0o600, 0o755, id="executable at S wins"),
        pytest.param(0o600, 0o640, 0o600, id="neither executable: S wins"),
        pytest.param(0o744, 0o655, 0o755, id="both executable: the bits are joined over S"),
        pytest.param(0o644, 0o600, 0o600, id="changed at D only"),
        pytest.param(0o600, 0o644, 0o600, id="changed at S only"),
    ],
)
def test_mode_bits_merge(ours: int, theirs: int, merged: int) -> None:
    outcome = judge(OLD, file("old", ours), file("old", theirs))
    assert outcome.verb is Verb.SET_MODE
    assert outcome.entry is not None
    assert outcome.entry.mode == merged
    expected = [side for side, mode in ((Side.SOURCE, ours), (Side.DESTINATION, theirs)) if mode != merged]
    assert [outcome.side] == expected if len(expected) == 1 else outcome.side is None


def test_content_travels_with_the_mode_of_the_side_that_changed_it() -> None:
    outcome = judge(OLD, file("new!", 0o600), OLD)
    assert outcome.entry == file("new!", 0o600)


def test_content_from_one_side_and_mode_from_the_other_keep_both_changes() -> None:
    """First the bits, alone; then the content, with them."""
    first = judge(OLD, NEW_S, file("old", 0o755))
    assert say(first) == "set-mode S"
    assert first.entry is not None
    assert first.entry.mode == 0o755
    base = file("old", 0o755)
    second = judge(base, msgspec.structs.replace(NEW_S, mode=0o755), base)
    assert say(second) == "put D"
    assert second.entry is not None
    assert second.entry.mode == 0o755


def test_bits_outside_the_mask_are_no_change() -> None:
    for mask in (0, 0o100):
        outcome = judge(OLD, file("old", 0o666), OLD, mode_mask=mask)
        assert say(outcome) == "nothing"
    assert say(judge(OLD, file("old", 0o744), OLD, mode_mask=0o100)) == "set-mode D"
    assert say(judge(OLD, file("old", 0o744), OLD, mode_mask=0)) == "nothing"


def test_a_replaced_file_keeps_the_bits_that_cannot_travel() -> None:
    outcome = judge(OLD, file("new!", 0o777), file("old", 0o600), mode_mask=0o100)
    assert outcome.entry is not None
    assert outcome.entry.mode == 0o700
    outcome = judge(OLD, file("new!", 0o666), file("old", 0o600), mode_mask=0o100)
    assert outcome.entry is not None
    assert outcome.entry.mode == 0o600


@pytest.mark.parametrize(
    ("entry", "mask", "mode"),
    [
        pytest.param(file("x", 0o777), 0, 0o644, id="no bits travel: a plain file"),
        pytest.param(file("x", 0o777), 0o100, 0o755, id="the executable bit travels"),
        pytest.param(file("x", 0o666), 0o100, 0o644, id="not executable"),
        pytest.param(directory(0o777), 0, 0o755, id="no bits travel: a plain directory"),
        pytest.param(file("x", 0o640), 0o777, 0o640, id="all bits travel"),
    ],
)
def test_a_new_name_gets_plain_bits_where_not_all_travel(entry: Entry, mask: int, mode: int) -> None:
    outcome = judge(None, entry, None, mode_mask=mask)
    assert outcome.entry is not None
    assert outcome.entry.mode == mode


def test_a_mode_change_beats_a_deletion_like_any_other() -> None:
    assert say(judge(OLD, file("old", 0o755), None)) == "put D, report"


def test_links_have_no_mode() -> None:
    old = link("x")
    assert say(judge(old, msgspec.structs.replace(old, mode=0o644), old)) == "nothing"
