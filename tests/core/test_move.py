"""Renames of single names: what the mode table says of them, and conflicts of names."""

from collections.abc import Mapping

import msgspec
import pytest

from syncd.core.action import Move
from syncd.core.entry import Entry, Side
from syncd.core.mode import Mode
from syncd.core.reason import Reason
from syncd.core.rules import Policy
from tests.core.model import file
from tests.core.renames import (
    EDIT,
    FILE,
    NEW,
    OLD,
    OTHER,
    D,
    Deed,
    Ends,
    S,
    T,
    erase,
    final,
    moves,
    rename,
    rules,
    world,
    write,
)
from tests.core.test_properties import converge
from tests.core.words import tell

_SAME: Ends = ({b"q": FILE}, {b"q": FILE})

# One row per rename line of the mode table; five columns; the paths of S and of D at the end.
ROWS: list[tuple[str, tuple[Deed, ...], tuple[Ends, ...]]] = [
    (
        "renamed at S",
        (rename(S, b"p", b"q"),),
        (
            ({b"q": FILE}, {b"q": FILE}),
            ({b"q": FILE}, {b"q": FILE}),
            ({b"q": FILE}, {b"p": FILE, b"q": FILE}),
            ({b"p": FILE}, {b"p": FILE}),
            ({b"p": FILE, b"q": FILE}, {b"p": FILE}),
        ),
    ),
    (
        "renamed at D",
        (rename(T, b"p", b"q"),),
        (
            ({b"q": FILE}, {b"q": FILE}),
            ({b"p": FILE}, {b"p": FILE}),
            ({b"p": FILE}, {b"p": FILE, b"q": FILE}),
            ({b"q": FILE}, {b"q": FILE}),
            ({b"p": FILE, b"q": FILE}, {b"q": FILE}),
        ),
    ),
    (
        "renamed and modified at S",
        (rename(S, b"p", b"q"), write(S, b"q", NEW)),
        (
            ({b"q": EDIT}, {b"q": EDIT}),
            ({b"q": EDIT}, {b"q": EDIT}),
            ({b"q": EDIT}, {b"p": FILE, b"q": EDIT}),
            ({b"p": FILE}, {b"p": FILE}),
            ({b"p": FILE, b"q": EDIT}, {b"p": FILE}),
        ),
    ),
    (
        "renamed at S, modified at D",
        (rename(S, b"p", b"q"), write(T, b"p", NEW)),
        (
            ({b"q": EDIT}, {b"q": EDIT}),
            ({b"q": FILE}, {b"q": FILE}),
            ({b"q": FILE}, {b"p": EDIT, b"q": FILE}),
            ({b"p": EDIT}, {b"p": EDIT}),
            ({b"p": EDIT, b"q": FILE}, {b"p": EDIT}),
        ),
    ),
    (
        "modified at S, renamed at D",
        (write(S, b"p", NEW), rename(T, b"p", b"q")),
        (
            ({b"q": EDIT}, {b"q": EDIT}),
            ({b"p": EDIT}, {b"p": EDIT}),
            ({b"p": EDIT}, {b"p": EDIT, b"q": FILE}),
            ({b"q": FILE}, {b"q": FILE}),
            ({b"p": EDIT, b"q": FILE}, {b"q": FILE}),
        ),
    ),
    (
        "renamed at S, deleted at D",
        (rename(S, b"p", b"q"), erase(T, b"p")),
        (
            ({b"q": FILE}, {b"q": FILE}),
            ({b"q": FILE}, {b"q": FILE}),
            ({b"q": FILE}, {b"q": FILE}),
            ({}, {}),
            ({b"q": FILE}, {}),
        ),
    ),
    (
        "renamed at both to one name",
        (rename(S, b"p", b"q"), rename(T, b"p", b"q")),
        (_SAME, _SAME, _SAME, _SAME, _SAME),
    ),
    (
        "renamed at both, differently",
        (rename(S, b"p", b"q"), rename(T, b"p", b"r")),
        (
            ({b"q": FILE}, {b"q": FILE}),
            ({b"q": FILE}, {b"q": FILE}),
            ({b"q": FILE}, {b"q": FILE, b"r": FILE}),
            ({b"r": FILE}, {b"r": FILE}),
            ({b"q": FILE, b"r": FILE}, {b"r": FILE}),
        ),
    ),
    (
        "renamed at S onto a name that D added",
        (rename(S, b"p", b"q"), write(T, b"q", file("other", mtime_s=99))),
        (
            ({b"q": OTHER}, {b"q": OTHER}),
            ({b"q": FILE}, {b"q": FILE}),
            ({b"q": FILE}, {b"p": FILE, b"q": FILE}),
            ({b"p": FILE, b"q": OTHER}, {b"p": FILE, b"q": OTHER}),
            ({b"p": FILE, b"q": OTHER}, {b"p": FILE, b"q": OTHER}),
        ),
    ),
]
COLUMNS = (
    Mode.TWO_WAY,
    Mode.SOURCE_TO_DESTINATION,
    Mode.SOURCE_BACKUP,
    Mode.DESTINATION_TO_SOURCE,
    Mode.DESTINATION_BACKUP,
)
CELLS = [
    pytest.param(deeds, mode, ends, id=f"{title}, {mode}")
    for title, deeds, columns in ROWS
    for mode, ends in zip(COLUMNS, columns, strict=True)
]


@pytest.mark.parametrize(("deeds", "mode", "ends"), CELLS)
def test_every_rename_cell(deeds: tuple[Deed, ...], mode: Mode, ends: Ends) -> None:
    model = world(OLD, *deeds)
    after = final(model, rules(mode))
    assert (after[S], after[T]) == ends
    if not mode.is_backup and len(deeds) == 1:
        assert model.copied == []
        assert model.deleted == []


@pytest.mark.parametrize(
    ("deeds", "mode", "ends"),
    [cell for cell in CELLS if "modified" not in str(cell.id) and "added" not in str(cell.id)],
)
def test_a_directory_is_renamed_as_a_file_is(deeds: tuple[Deed, ...], mode: Mode, ends: Ends) -> None:
    """The rows without changed content, for a directory `p` that holds one file."""
    after = final(world({b"p": D, b"p/f": file("old")}, *deeds), rules(mode))
    found = tuple({path: content for path, content in after[side].items() if content} for side in Side)
    assert found == tuple({path + b"/f": content for path, content in end.items()} for end in ends)


def test_a_rename_moves_no_bytes() -> None:
    model = world({b"d": D, b"d/f": file("f"), b"d/g": file("g")}, rename(S, b"d", b"e"))
    assert moves(model) == ["MOVE move D d -> e"]
    converge(model, rules())
    assert model.copied == []
    assert model.view(S) == model.view(T)


def test_an_undone_rename_moves_no_bytes() -> None:
    model = world({b"d": D, b"d/f": file("f")}, rename(T, b"d", b"e"))
    assert moves(model, rules(Mode.SOURCE_TO_DESTINATION)) == ["MOVE move D e -> d"]
    converge(model, rules(Mode.SOURCE_TO_DESTINATION))
    assert set(model.base) == {b"d", b"d/f"}


def test_the_report_of_a_rename_against_a_deletion() -> None:
    model = world({b"p": file("old"), b"z": file("z")}, rename(S, b"p", b"q"), erase(T, b"p"))
    plan = model.plan(rules())
    assert tell(plan) == ["PUT put D q"]
    assert plan.forget == (b"p",)
    assert plan.reports == ((b"q", Reason.EDIT_BEATS_DELETE),)


def test_a_mirror_reports_no_rename_against_a_deletion() -> None:
    model = world({b"p": file("old"), b"z": file("z")}, rename(S, b"p", b"q"), erase(T, b"p"))
    assert model.plan(rules(Mode.SOURCE_TO_DESTINATION)).reports == ()


# Conflicts of names.


@pytest.mark.parametrize(
    ("policy", "line"),
    [
        pytest.param(Policy.NEWEST_WINS, "MOVE move D r -> q", id="newest-wins takes S's name"),
        pytest.param(Policy.SOURCE_WINS, "MOVE move D r -> q", id="source-wins takes S's name"),
        pytest.param(Policy.KEEP_BOTH, "MOVE move D r -> q", id="keep-both takes S's name"),
        pytest.param(Policy.DESTINATION_WINS, "MOVE move S q -> r", id="destination-wins takes D's name"),
    ],
)
@pytest.mark.parametrize("base", [OLD, {b"p": D}], ids=["file", "directory"])
def test_renamed_at_both_differently(policy: Policy, line: str, base: Mapping[bytes, Entry]) -> None:
    model = world(base, rename(S, b"p", b"q"), rename(T, b"p", b"r"))
    plan = model.plan(rules(policy=policy))
    assert tell(plan) == [line]
    (record,) = plan.conflicts
    assert (record.kind, record.state) == (Reason.CONFLICT_MOVED, "settled")
    move = plan.actions[0][1]
    assert isinstance(move, Move)
    assert (record.path, record.loser_copy) == (move.path, move.to)
    converge(model, rules(policy=policy))
    assert model.view(S) == model.view(T)
    assert model.copied == []


def test_manual_leaves_both_names_for_ever() -> None:
    held = rules(policy=Policy.MANUAL)
    model = world({b"p": D, b"p/f": file("f")}, rename(S, b"p", b"q"), rename(T, b"p", b"r"))
    assert converge(model, held) == []
    plan = model.plan(held)
    assert {path for path, _ in plan.left} == {b"q", b"q/f", b"r", b"r/f"}
    assert set(model.view(S)) == {b"q", b"q/f"}
    assert set(model.view(T)) == {b"r", b"r/f"}


def test_both_changes_survive_a_rename_to_one_name() -> None:
    """The base follows with its old entry, so only one side has changed content."""
    model = world(OLD, rename(S, b"p", b"q"), rename(T, b"p", b"q"), write(S, b"q", NEW))
    after = final(model)
    assert after == {S: {b"q": EDIT}, T: {b"q": EDIT}}
    assert len(model.trash) == 1


def test_unread_content_does_not_pass_for_the_old_one() -> None:
    model = world(OLD, rename(S, b"p", b"q"), rename(T, b"p", b"q"))
    model.write(S, b"q", file("xyzw", mtime_s=50), is_read=False)
    model.write(T, b"q", file("longer than that", mtime_s=10), is_read=False)
    plan = model.plan(rules())
    assert plan.adopt == ((b"q", msgspec.structs.replace(file("old"), digest=None), True),)
    after = final(model)
    assert after[S] == after[T] == {b"q": file("xyzw").digest}


def test_mov_08_an_edit_follows_the_new_name() -> None:
    after = final(world(OLD, rename(S, b"p", b"q"), write(T, b"p", NEW)))
    assert after == {S: {b"q": EDIT}, T: {b"q": EDIT}}
