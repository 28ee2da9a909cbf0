"""Conflict policies and first syncs, cell by cell."""

from collections.abc import Iterator

import pytest

from syncd.core.entry import Entry
from syncd.core.mode import Mode
from syncd.core.reason import Reason
from syncd.core.reconcile import Verb
from syncd.core.rules import Initial, Policy
from tests.core.judging import D_KEEPS, NEW_D, NEW_S, OLD, S_KEEPS, judge
from tests.core.model import NOW_NS, directory, file, link
from tests.core.words import say

# Conflict policies × what is in conflict.

SOON = NOW_NS // 10**9 - 1_700_000_000
"""Seconds after the model's start stamp that are `now`."""
STAMPS = {
    "S newer": (200, 100),
    "D newer": (100, 200),
    "2 s apart": (102, 100),
    "just over 2 s apart": (102.001, 100),
    "S far in the future": (SOON + 301, 100),
    "D far in the future": (100, SOON + 301),
    "S 5 minutes ahead": (SOON + 300, 100),
}
POLICIES: dict[Policy, tuple[str, ...]] = {
    Policy.NEWEST_WINS: ("S", "D", "both", "S", "both", "both", "S"),
    Policy.SOURCE_WINS: ("S",) * 7,
    Policy.DESTINATION_WINS: ("D",) * 7,
    Policy.KEEP_BOTH: ("both",) * 7,
    Policy.MANUAL: ("person",) * 7,
}
WORDS = {
    "S": S_KEEPS,
    "D": D_KEEPS,
    "both": S_KEEPS,
    "person": "conflict, a person decides",
}


def policy_cells() -> Iterator[object]:
    for base, what in ((None, "added"), (OLD, "modified")):
        for policy, answers in POLICIES.items():
            for (stamp, (ours, theirs)), answer in zip(STAMPS.items(), answers, strict=True):
                title = f"{what} at both, {stamp}, {policy}: {WORDS[answer]}"
                yield pytest.param(base, ours, theirs, policy, WORDS[answer], id=title)


@pytest.mark.parametrize(("base", "ours", "theirs", "policy", "words"), list(policy_cells()))
def test_conflict_policies(
    base: Entry | None, ours: float, theirs: float, policy: Policy, words: str
) -> None:
    outcome = judge(base, file("one", mtime_s=ours), file("two ", mtime_s=theirs), policy=policy)
    assert say(outcome) == words
    if policy is Policy.MANUAL:
        assert outcome.reason is Reason.CONFLICT_MANUAL
    else:
        assert outcome.reason is (Reason.CONFLICT_ADDED if base is None else Reason.CONFLICT_MODIFIED)


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("mode", [mode for mode in Mode if not mode.is_bidirectional])
def test_only_two_way_has_conflicts(mode: Mode, policy: Policy) -> None:
    assert judge(OLD, NEW_S, NEW_D, mode, policy=policy).verb is Verb.PUT


@pytest.mark.parametrize("policy", [policy for policy in Policy if policy is not Policy.MANUAL])
def test_a_directory_keeps_the_name_whatever_the_policy(policy: Policy) -> None:
    assert say(judge(OLD, directory(), link("x"), policy=policy)) == S_KEEPS
    assert say(judge(directory(), NEW_S, directory(), policy=policy)) == "put D"
    assert say(judge(OLD, link("x"), directory(), policy=policy)) == D_KEEPS


# First sync: mode × initial × what is there.

FIRST: list[tuple[str, Entry | None, Entry | None, dict[Initial, str]]] = [
    (
        "only at S",
        NEW_S,
        None,
        {Initial.MERGE: "put D", Initial.SOURCE_WINS: "put D", Initial.DESTINATION_WINS: "delete S"},
    ),
    (
        "only at D",
        None,
        NEW_D,
        {Initial.MERGE: "put S", Initial.SOURCE_WINS: "delete D", Initial.DESTINATION_WINS: "put S"},
    ),
    (
        "directory only at D",
        None,
        directory(),
        {Initial.MERGE: "mkdir S", Initial.SOURCE_WINS: "rmdir D", Initial.DESTINATION_WINS: "mkdir S"},
    ),
    (
        "different at both",
        NEW_S,
        NEW_D,
        {Initial.MERGE: S_KEEPS, Initial.SOURCE_WINS: S_KEEPS, Initial.DESTINATION_WINS: D_KEEPS},
    ),
    ("equal at both", NEW_S, NEW_S, dict.fromkeys(Initial, "adopt")),
]


def first_cells() -> Iterator[object]:
    for title, source, destination, expected in FIRST:
        for initial, words in expected.items():
            yield pytest.param(source, destination, initial, words, id=f"{title}, {initial}: {words}")


@pytest.mark.parametrize(("source", "destination", "initial", "words"), list(first_cells()))
def test_first_sync(source: Entry | None, destination: Entry | None, initial: Initial, words: str) -> None:
    outcome = judge(None, source, destination, initial=initial, is_first_sync=True)
    assert say(outcome) == words


@pytest.mark.parametrize("initial", Initial)
@pytest.mark.parametrize("mode", Mode)
def test_the_preference_is_for_the_first_sync_of_two_way_only(mode: Mode, initial: Initial) -> None:
    for source, destination in ((NEW_S, None), (None, NEW_D), (NEW_S, NEW_D)):
        plain = judge(None, source, destination, mode)
        later = judge(None, source, destination, mode, initial=initial)
        first = judge(None, source, destination, mode, initial=initial, is_first_sync=True)
        assert later == plain
        if not mode.is_bidirectional:
            assert first == plain
