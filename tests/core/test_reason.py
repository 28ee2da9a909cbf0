"""Reason codes: stable, explained, and carried by every error."""

import re
from pathlib import Path

import pytest

from syncd.core.error import NeedsUser, PathProblem, StaleError, SyncdError, TransientError
from syncd.core.reason import Reason

REASONS = list(Reason)
BY_CODE = {reason.value: reason for reason in Reason}
PAGE = Path(__file__).parents[2] / "docs" / "reasons.md"

# Scripts match on these: a code may be added here, never changed or taken away.
STABLE = """
in-sync absent pending settling comparing added modified deleted mode-changed moved same-change undone
left-alone edit-beats-delete first-sync-wins kept-for-ignored ignored special-file other-filesystem
conflict-modified conflict-added conflict-moved conflict-manual unreadable not-permitted name-not-possible
name-collision reserved-name path-too-long changing io-error not-empty blocked retry quarantined
suspect-truncated root-missing root-changed foreign-marker root-not-writable mass-delete mass-change
side-emptied first-run state-lost trash-full disk-full read-only state-unwritable state-busy state-damaged
state-newer paused failed watch-limit watch-unsupported watch-lost no-such-pair no-such-path no-such-id
bad-request not-allowed bug
"""

# What holds a pair or stops a path must say what to do; so the interfaces page promises for `status`.
NEEDS_A_FIX = """
conflict-manual unreadable not-permitted name-not-possible name-collision reserved-name
path-too-long io-error quarantined suspect-truncated root-missing root-changed foreign-marker
root-not-writable mass-delete mass-change side-emptied first-run state-lost trash-full disk-full
read-only state-unwritable state-busy state-newer paused failed watch-limit
"""


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_is_explained(reason: Reason) -> None:
    assert len(reason.explanation) >= 10
    assert reason.explanation == reason.explanation.strip()
    assert not reason.explanation.endswith(".")


@pytest.mark.parametrize("reason", REASONS)
def test_a_fix_is_a_short_sentence_or_nothing(reason: Reason) -> None:
    assert reason.fix == reason.fix.strip()
    assert not reason.fix.endswith(".")
    assert reason.fix != reason.explanation


@pytest.mark.parametrize("code", NEEDS_A_FIX.split())
def test_what_stops_a_pair_or_a_path_says_what_to_do(code: str) -> None:
    assert BY_CODE[code].fix


@pytest.mark.parametrize("reason", REASONS)
def test_a_code_is_its_name_in_kebab_case(reason: Reason) -> None:
    assert reason.value == reason.name.lower().replace("_", "-")
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", reason.value)


@pytest.mark.parametrize("reason", REASONS)
def test_a_code_is_a_string_and_found_by_it(reason: Reason) -> None:
    assert str(reason) == f"{reason}" == reason.value
    assert Reason(reason.value) is reason  # type: ignore[call-arg]


def test_codes_are_never_taken_back() -> None:
    assert set(STABLE.split()) <= {reason.value for reason in Reason}


def test_explanations_differ() -> None:
    assert len({reason.explanation for reason in Reason}) == len(REASONS)


def test_no_other_code_exists() -> None:
    with pytest.raises(ValueError):
        Reason("because")  # type: ignore[call-arg]


@pytest.mark.parametrize("reason", REASONS)
def test_texts_are_printable_and_fit_a_line(reason: Reason) -> None:
    for text in (reason.explanation, reason.fix):
        assert text.isascii()
        assert text.isprintable() or not text
        assert len(text) <= 120


@pytest.mark.skipif(not PAGE.exists(), reason="the docs are not part of this copy")
def test_the_page_of_reasons_names_exactly_these() -> None:
    told = re.findall(r"`([a-z]+(?:-[a-z]+)*)`", PAGE.read_text())
    assert {reason.value for reason in Reason} <= set(told)


# Errors carry a reason.


@pytest.mark.parametrize("kind", [SyncdError, StaleError, TransientError, PathProblem, NeedsUser])
def test_errors_carry_reason_and_detail(kind: type[SyncdError]) -> None:
    error = kind(Reason.DISK_FULL, "/srv has 0 B left")
    assert error.reason is Reason.DISK_FULL
    assert error.detail == "/srv has 0 B left"
    assert str(error) == "disk-full: /srv has 0 B left"
    assert isinstance(error, SyncdError)


def test_an_error_without_detail_is_its_code() -> None:
    error = SyncdError(Reason.BUG)
    assert str(error) == "bug"
    assert error.detail == ""


@pytest.mark.parametrize("kind", [StaleError, TransientError, PathProblem, NeedsUser])
def test_the_classes_of_errors_do_not_overlap(kind: type[SyncdError]) -> None:
    assert kind.__bases__ == (SyncdError,)
