"""The mode table of the semantics page, cell by cell, and the rules beside it."""

from collections.abc import Iterator

import msgspec
import pytest

from syncd.core.entry import Entry, Side
from syncd.core.mode import Mode
from syncd.core.reason import Reason
from syncd.core.reconcile import Outcome, Verb, reconcile
from syncd.core.rules import Initial, Policy, Rules
from syncd.core.state import PathState
from tests.core.model import NOW_NS, directory, file, link, special
from tests.core.words import say

OLD = file("old")
NEW_S = file("new at source", mtime_s=200)
NEW_D = file("new at the destination", mtime_s=100)
MIRROR = Mode.SOURCE_TO_DESTINATION
COLUMNS = (
    Mode.TWO_WAY,
    Mode.SOURCE_TO_DESTINATION,
    Mode.SOURCE_BACKUP,
    Mode.DESTINATION_TO_SOURCE,
    Mode.DESTINATION_BACKUP,
)


def state(base: Entry | None, source: Entry | None, destination: Entry | None, **more: object) -> PathState:
    return msgspec.structs.replace(PathState(b"p", base=base, source=source, destination=destination), **more)


def rules(mode: Mode = Mode.TWO_WAY, **more: object) -> Rules:
    return msgspec.structs.replace(Rules(mode, now_ns=NOW_NS), **more)


def judge(
    base: Entry | None,
    source: Entry | None,
    destination: Entry | None,
    mode: Mode = Mode.TWO_WAY,
    **more: object,
) -> Outcome:
    return reconcile(state(base, source, destination), rules(mode, **more))


# One row per line of the table: the change, base, source, destination, then the five columns.

S_KEEPS, D_KEEPS = "conflict, S keeps the name", "conflict, D keeps the name"
TABLE: list[tuple[str, Entry | None, Entry | None, Entry | None, tuple[str, ...]]] = [
    ("nothing", None, None, None, ("nothing",) * 5),
    ("in sync", OLD, OLD, OLD, ("nothing",) * 5),
    ("add at S", None, NEW_S, None, ("put D", "put D", "put D", "delete S", "leave")),
    ("add at D", None, None, NEW_D, ("put S", "delete D", "leave", "put S", "put S")),
    ("added at both, differently", None, NEW_S, NEW_D, (S_KEEPS, "put D", "put D", "put S", "put S")),
    ("modify at S", OLD, NEW_S, OLD, ("put D", "put D", "put D", "put S", "put S")),
    ("modify at D", OLD, OLD, NEW_D, ("put S", "put D", "put D", "put S", "put S")),
    ("delete at S", OLD, None, OLD, ("delete D", "delete D", "leave", "put S", "put S")),
    ("delete at D", OLD, OLD, None, ("delete S", "put D", "put D", "delete S", "leave")),
    ("deleted at both", OLD, None, None, ("forget",) * 5),
    ("modified at both, differently", OLD, NEW_S, NEW_D, (S_KEEPS, "put D", "put D", "put S", "put S")),
    ("modified at both, same bytes", OLD, NEW_S, NEW_S, ("adopt",) * 5),
    ("added at both, same bytes", None, NEW_S, NEW_S, ("adopt",) * 5),
    (
        "modified at S, deleted at D",
        OLD,
        NEW_S,
        None,
        ("put D, report", "put D", "put D", "delete S", "leave"),
    ),
    (
        "deleted at S, modified at D",
        OLD,
        None,
        NEW_D,
        ("put S, report", "delete D", "leave", "put S", "put S"),
    ),
    (
        "file becomes a directory at S",
        OLD,
        directory(),
        OLD,
        ("mkdir D", "mkdir D", "mkdir D", "put S", "put S"),
    ),
    (
        "file becomes a directory at D",
        OLD,
        OLD,
        directory(),
        ("mkdir S", "put D", "put D", "mkdir S", "mkdir S"),
    ),
    (
        "directory becomes a file at S",
        directory(),
        NEW_S,
        directory(),
        ("put D", "put D", "put D", "mkdir S", "mkdir S"),
    ),
    ("file becomes a link at S", OLD, link("x"), OLD, ("put D", "put D", "put D", "put S", "put S")),
    ("link changed at D", link("x"), link("x"), link("y"), ("put S", "put D", "put D", "put S", "put S")),
    ("link deleted at S", link("x"), None, link("x"), ("delete D", "delete D", "leave", "put S", "put S")),
    ("directory added at S", None, directory(), None, ("mkdir D", "mkdir D", "mkdir D", "rmdir S", "leave")),
    ("directory added at D", None, None, directory(), ("mkdir S", "rmdir D", "leave", "mkdir S", "mkdir S")),
    ("directory added at both", None, directory(), directory(), ("adopt",) * 5),
    (
        "directory deleted at S",
        directory(),
        None,
        directory(),
        ("rmdir D", "rmdir D", "leave", "mkdir S", "mkdir S"),
    ),
    (
        "directory deleted at D",
        directory(),
        directory(),
        None,
        ("rmdir S", "mkdir D", "mkdir D", "rmdir S", "leave"),
    ),
    (
        "directory at S, file at D, both new",
        None,
        directory(),
        NEW_D,
        (S_KEEPS, "mkdir D", "mkdir D", "put S", "put S"),
    ),
    (
        "file at S, directory at D, both new",
        None,
        NEW_S,
        directory(),
        (D_KEEPS, "put D", "put D", "mkdir S", "mkdir S"),
    ),
    (
        "mode bits at S",
        OLD,
        file("old", 0o600),
        OLD,
        ("set-mode D", "set-mode D", "set-mode D", "set-mode S", "set-mode S"),
    ),
    (
        "mode bits at D",
        OLD,
        OLD,
        file("old", 0o600),
        ("set-mode S", "set-mode D", "set-mode D", "set-mode S", "set-mode S"),
    ),
    (
        "mode bits of a directory at S",
        directory(),
        directory(0o700),
        directory(),
        ("set-mode D", "set-mode D", "set-mode D", "set-mode S", "set-mode S"),
    ),
    ("mtime only", OLD, file("old", mtime_s=50), OLD, ("nothing",) * 5),
]


def cells() -> Iterator[object]:
    for title, base, source, destination, expected in TABLE:
        for mode, words in zip(COLUMNS, expected, strict=True):
            yield pytest.param(base, source, destination, mode, words, id=f"{title}, {mode}: {words}")


@pytest.mark.parametrize(("base", "source", "destination", "mode", "words"), list(cells()))
def test_every_cell(
    base: Entry | None, source: Entry | None, destination: Entry | None, mode: Mode, words: str
) -> None:
    outcome = judge(base, source, destination, mode)
    assert say(outcome) == words
    if outcome.verb in (Verb.PUT, Verb.MKDIR):
        assert outcome.side is not None
        other = outcome.state.at(outcome.side.other)
        assert outcome.entry is not None
        assert other is not None
        assert outcome.entry.kind is other.kind
        assert outcome.entry.digest == other.digest
        assert mode.may_write(outcome.side)
    if outcome.verb in (Verb.DELETE, Verb.RMDIR):
        assert outcome.side is not None
        assert mode.may_delete(outcome.side)


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


# Content that was not read.


def unread(text: str, mtime_s: float = 0) -> Entry:
    return file(text, mtime_s=mtime_s, is_read=False)


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


# What must stay.


@pytest.mark.parametrize("mode", Mode)
def test_a_special_file_is_left_alone_and_nothing_is_put_over_it(mode: Mode) -> None:
    for base, source, destination in (
        (OLD, special(), OLD),
        (OLD, OLD, special()),
        (OLD, special(), None),
        (OLD, special(), NEW_D),
        (None, special(), None),
        (None, NEW_S, special()),
        (directory(), special(), directory()),
        (None, special(), special()),
    ):
        outcome = judge(base, source, destination, mode)
        assert say(outcome) == "leave"
        assert outcome.reason is Reason.SPECIAL_FILE


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("is_first", [False, True])
def test_a_side_that_could_not_be_listed_proves_no_absence(mode: Mode, is_first: bool) -> None:
    held = rules(mode, is_first_sync=is_first, initial=Initial.SOURCE_WINS)
    for base in (None, OLD):
        for one in (
            state(base, None, OLD, source_unknown=True),
            state(base, OLD, None, destination_unknown=True),
        ):
            outcome = reconcile(one, held)
            assert say(outcome) == "leave"
            assert outcome.reason is Reason.UNREADABLE
    gone = reconcile(state(OLD, None, None, source_unknown=True), held)
    assert say(gone) == "leave"
    assert say(reconcile(state(None, None, None, destination_unknown=True), held)) == "nothing"


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("side", Side)
def test_a_directory_of_ignored_content_counts_as_absent_beside_nothing(mode: Mode, side: Side) -> None:
    alone = {side.word: directory(), f"{side.word}_only_ignored": True}
    new = reconcile(msgspec.structs.replace(PathState(b"p"), **alone), rules(mode))
    assert (say(new), new.reason) == ("leave", Reason.KEPT_FOR_IGNORED)
    known = reconcile(msgspec.structs.replace(PathState(b"p", base=directory()), **alone), rules(mode))
    assert (say(known), known.reason) == ("forget", Reason.KEPT_FOR_IGNORED)


def test_a_directory_with_ignored_content_beside_a_directory_is_an_ordinary_one() -> None:
    both = state(directory(), directory(), directory(), source_only_ignored=True)
    assert say(reconcile(both, rules())) == "nothing"


def test_no_file_takes_the_place_of_ignored_content() -> None:
    replaced = state(directory(), directory(), NEW_D, source_only_ignored=True)
    outcome = reconcile(replaced, rules())
    assert (say(outcome), outcome.reason) == ("leave, report", Reason.NOT_EMPTY)


# A backup that pulls.

PULLS: list[tuple[str, Entry | None, Entry | None, Entry | None, str]] = [
    ("add at S", None, NEW_S, None, "put D"),
    ("add at D", None, None, NEW_D, "put S"),
    ("modify at S", OLD, NEW_S, OLD, "put D"),
    ("modify at D", OLD, OLD, NEW_D, "put S"),
    ("delete at S", OLD, None, OLD, "leave"),
    ("delete at D", OLD, OLD, None, "put D"),
    ("modified at both", OLD, NEW_S, NEW_D, "put D"),
    ("modified at both, not read", OLD, unread("one"), unread("two"), "compare S D"),
    ("deleted at S, modified at D", OLD, None, NEW_D, "put S"),
    ("deleted at S, perhaps modified at D", OLD, None, unread("odd"), "compare D"),
    ("modified at S, deleted at D", OLD, NEW_S, None, "put D"),
    ("mode bits at D", OLD, OLD, file("old", 0o600), "set-mode S"),
]


@pytest.mark.parametrize(
    ("base", "source", "destination", "words"),
    [pytest.param(*row[1:], id=f"{row[0]}: {row[4]}") for row in PULLS],
)
def test_a_backup_that_pulls_destination_changes(
    base: Entry | None, source: Entry | None, destination: Entry | None, words: str
) -> None:
    assert say(judge(base, source, destination, Mode.SOURCE_BACKUP, pulls_destination_changes=True)) == words


# Reasons.


@pytest.mark.parametrize(
    ("base", "source", "destination", "mode", "reason"),
    [
        pytest.param(None, NEW_S, None, Mode.TWO_WAY, Reason.ADDED, id="added"),
        pytest.param(OLD, NEW_S, OLD, Mode.TWO_WAY, Reason.MODIFIED, id="modified"),
        pytest.param(OLD, None, OLD, Mode.TWO_WAY, Reason.DELETED, id="deleted"),
        pytest.param(OLD, NEW_S, None, Mode.TWO_WAY, Reason.EDIT_BEATS_DELETE, id="an edit beats a deletion"),
        pytest.param(OLD, OLD, NEW_D, MIRROR, Reason.UNDONE, id="an edit is undone"),
        pytest.param(OLD, OLD, None, Mode.SOURCE_TO_DESTINATION, Reason.UNDONE, id="a deletion is undone"),
        pytest.param(None, None, NEW_D, MIRROR, Reason.UNDONE, id="an added file is undone"),
        pytest.param(OLD, None, OLD, Mode.SOURCE_TO_DESTINATION, Reason.DELETED, id="a mirror deletes"),
        pytest.param(OLD, NEW_S, None, Mode.SOURCE_TO_DESTINATION, Reason.MODIFIED, id="a mirror puts"),
        pytest.param(OLD, None, OLD, Mode.SOURCE_BACKUP, Reason.LEFT_ALONE, id="a backup keeps"),
        pytest.param(None, NEW_S, NEW_D, Mode.SOURCE_BACKUP, Reason.ADDED, id="a backup's version wins"),
        pytest.param(OLD, NEW_S, NEW_S, Mode.TWO_WAY, Reason.SAME_CHANGE, id="the same change"),
        pytest.param(OLD, None, None, Mode.TWO_WAY, Reason.ABSENT, id="gone"),
    ],
)
def test_reasons(
    base: Entry | None, source: Entry | None, destination: Entry | None, mode: Mode, reason: Reason
) -> None:
    assert judge(base, source, destination, mode).reason is reason


def test_the_first_sync_names_itself_as_the_reason() -> None:
    outcome = judge(None, None, NEW_D, initial=Initial.SOURCE_WINS, is_first_sync=True)
    assert outcome.reason is Reason.FIRST_SYNC_WINS


def test_an_outcome_knows_its_path() -> None:
    assert judge(None, None, None).path == b"p"
