"""The mode table of the semantics page, cell by cell; what must stay; what a backup pulls; reasons."""

from collections.abc import Iterator

import msgspec
import pytest

from syncd.core.entry import Entry, Side
from syncd.core.mode import Mode
from syncd.core.reason import Reason
from syncd.core.reconcile import Verb, reconcile
from syncd.core.rules import Initial, Policy
from syncd.core.state import PathState
from tests.core.judging import (
    COLUMNS,
    D_KEEPS,
    MIRROR,
    NEW_D,
    NEW_S,
    OLD,
    S_KEEPS,
    judge,
    rules,
    state,
    unread,
)
from tests.core.model import directory, file, link, special
from tests.core.words import say

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


def test_both_versions_are_read_before_one_makes_room() -> None:
    """A version that cannot be read must not make the other one lose its name."""
    unread_both = state(None, unread("longer"), unread("short"))
    outcome = reconcile(unread_both, rules(policy=Policy.KEEP_BOTH))
    assert (outcome.verb, outcome.sides) == (Verb.COMPARE, (Side.SOURCE, Side.DESTINATION))
    assert reconcile(unread_both, rules(policy=Policy.SOURCE_WINS)).verb is Verb.CONFLICT
