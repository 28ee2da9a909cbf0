"""Renames: what the mode table says of them, the evidence that they need, and what refuses them."""

from collections.abc import Callable, Mapping

import msgspec
import pytest

from syncd.core.action import Move
from syncd.core.entry import Entry, Side
from syncd.core.mode import Mode
from syncd.core.move import MoveOutcome, in_sequence, upgrade
from syncd.core.plan import make
from syncd.core.reason import Reason
from syncd.core.reconcile import reconcile
from syncd.core.rules import Policy, Rules
from tests.core.model import NOW_NS, Model, directory, file
from tests.core.test_properties import converge
from tests.core.words import tell

S, T = Side.SOURCE, Side.DESTINATION
D = directory()
Deed = Callable[[Model], object]
Ends = tuple[Mapping[bytes, object], Mapping[bytes, object]]


def rules(mode: Mode = Mode.TWO_WAY, policy: Policy = Policy.NEWEST_WINS) -> Rules:
    return Rules(mode, policy, now_ns=NOW_NS, host="host")


def world(base: Mapping[bytes, Entry], *deeds: Deed) -> Model:
    model = Model()
    for path, entry in sorted(base.items()):
        assert model.write(S, path, entry)
    model.share()
    for deed in deeds:
        assert deed(model)
    return model


def rename(side: Side, path: bytes, to: bytes) -> Deed:
    return lambda model: model.rename(side, path, to)


def write(side: Side, path: bytes, entry: Entry) -> Deed:
    return lambda model: model.write(side, path, entry)


def erase(side: Side, path: bytes) -> Deed:
    return lambda model: model.erase(side, path)


def swap(side: Side, one: bytes, two: bytes) -> Deed:
    return lambda model: (
        model.rename(side, one, b"swapping")
        and model.rename(side, two, one)
        and model.rename(side, b"swapping", two)
    )


def moves(model: Model, held: Rules | None = None) -> list[str]:
    return tell(model.plan(held or rules()))


def final(model: Model, held: Rules | None = None) -> dict[Side, dict[bytes, object]]:
    """Both trees after all rounds: contents by path."""
    converge(model, held or rules())
    return {side: {path: seen[2] for path, seen in model.view(side).items()} for side in Side}


OLD = {b"p": file("old")}
FILE = file("old").digest
NEW = file("edited", mtime_s=50)
EDIT = NEW.digest
OTHER = file("other").digest

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


# Directories.


def test_mov_10_what_was_added_goes_along() -> None:
    model = world({b"d": D, b"d/f": file("f")}, rename(S, b"d", b"e"), write(T, b"d/n", file("n")))
    after = final(model)
    assert set(after[S]) == set(after[T]) == {b"e", b"e/f", b"e/n"}


def test_mov_11_what_was_edited_goes_along() -> None:
    model = world({b"d": D, b"d/a": file("old")}, rename(S, b"d", b"e"), write(T, b"d/a", NEW))
    after = final(model)
    assert after[S] == after[T] == {b"e": None, b"e/a": EDIT}


def test_the_top_most_directory_goes_first_and_the_inner_ones_wait() -> None:
    model = world(
        {b"d": D, b"d/x": D, b"d/x/f": file("f"), b"g": file("g")},
        rename(S, b"d/x", b"d/y"),
        rename(S, b"d", b"e"),
        rename(S, b"g", b"e/g"),
    )
    plan = model.plan(rules())
    assert tell(plan) == ["MOVE move D d -> e"]
    assert plan.left == ((b"g", Reason.BLOCKED),)
    model.apply(plan)
    assert moves(model) == ["MOVE move D e/x -> e/y", "MOVE move D g -> e/g"]
    converge(model, rules())
    assert model.copied == []
    assert model.deleted == []


def test_a_rename_into_a_name_that_another_rename_leaves_goes_path_by_path() -> None:
    """The directory `f` cannot be made in the round in which the file `f` leaves."""
    model = world(
        {b"f": file("f"), b"g": file("g")}, rename(S, b"f", b"h"), write(S, b"f", D), rename(S, b"g", b"f/x")
    )
    converge(model, rules())
    assert model.view(S) == model.view(T)
    assert model.stale == []


def test_two_renames_that_need_each_others_names_as_directories_come_to_rest() -> None:
    model = world(
        {b"a": file("a"), b"b": file("b")},
        rename(S, b"a", b"x"),
        rename(S, b"b", b"y"),
        write(S, b"a", D),
        write(S, b"b", D),
        rename(S, b"x", b"b/x"),
        rename(S, b"y", b"a/y"),
    )
    converge(model, rules())
    assert model.view(S) == model.view(T)


def test_what_leaves_a_renamed_directory_waits_for_it() -> None:
    model = world(
        {b"d": D, b"d/f": file("f"), b"d/k": file("k")}, rename(S, b"d/f", b"out"), rename(S, b"d", b"e")
    )
    plan = model.plan(rules())
    assert tell(plan) == ["MOVE move D d -> e"]
    assert plan.left == ((b"out", Reason.BLOCKED),)
    converge(model, rules())
    assert model.view(S) == model.view(T)
    assert model.copied == []


def test_a_rename_into_a_new_directory() -> None:
    model = world({b"f": file("f")}, write(S, b"n", D), rename(S, b"f", b"n/f"))
    assert moves(model) == ["DIRECTORY mkdir D n", "MOVE move D f -> n/f"]


def test_del_09_a_file_that_left_a_deleted_directory_survives() -> None:
    model = world({b"d": D, b"d/f": file("f"), b"d/g": file("g")}, erase(S, b"d"), rename(T, b"d/f", b"f"))
    after = final(model)
    assert after[S] == after[T] == {b"f": file("f").digest}


def test_a_directory_whose_unsynced_children_change_their_verdict_goes_child_by_child() -> None:
    model = world({b"d": D, b"d/f": file("f")}, rename(S, b"d", b"e"))
    found = upgrade(model.outcomes(rules()), rules(), model.is_taken, lambda _side, _path, _to: False)
    plan = make(found.outcomes, found.moves, rules(), taken=model.is_taken)
    assert tell(plan) == ["DIRECTORY mkdir D e", "MOVE move D d/f -> e/f", "REMOVE_DIRECTORY rmdir D d"]
    asked: list[tuple[Side, bytes, bytes]] = []

    def ask(side: Side, path: bytes, to: bytes) -> bool:
        asked.append((side, path, to))
        return True

    upgrade(model.outcomes(rules()), rules(), model.is_taken, ask)
    assert asked == [(T, b"d", b"e")]


def test_mov_18_directories_that_went_into_each_other() -> None:
    model = world(
        {b"a": D, b"a/x": file("x"), b"b": D, b"b/y": file("y")},
        rename(S, b"a", b"b/a"),
        rename(T, b"b", b"a/b"),
    )
    before = model.contents()
    converge(model, rules())
    assert model.view(S) == model.view(T)
    assert model.contents(S) == before


def test_typ_11_a_child_that_left_a_directory_which_became_a_file() -> None:
    model = world(
        {b"n": D, b"n/a": file("a")}, rename(S, b"n/a", b"a"), erase(S, b"n"), write(S, b"n", file("n"))
    )
    plan = model.plan(rules())
    assert tell(plan) == ["MOVE move D n/a -> a"]
    assert plan.left == ((b"n", Reason.BLOCKED),)
    converge(model, rules())
    assert model.view(S) == model.view(T)
    assert model.stale == []


# Chains and cycles.


def test_mov_04_two_files_swap() -> None:
    model = world({b"a": file("a"), b"b": file("b")}, swap(S, b"a", b"b"))
    assert moves(model) == ["MOVE move D a -> b parked", "MOVE move D b -> a"]
    converge(model, rules())
    assert model.view(S) == model.view(T)
    assert model.copied == []
    assert not model.trash


def test_mov_05_three_directories_in_a_cycle() -> None:
    base = dict.fromkeys((b"a", b"b", b"c"), D) | {
        name + b"/f": file(name.decode()) for name in (b"a", b"b", b"c")
    }
    model = world(base, swap(S, b"a", b"b"), swap(S, b"b", b"c"))
    lines = moves(model)
    assert len(lines) == 3
    assert sum(line.endswith("parked") for line in lines) == 1
    converge(model, rules())
    assert model.view(S) == model.view(T)
    assert model.copied == []


def test_a_chain_vacates_each_name_before_it_is_taken() -> None:
    model = world({b"a": file("a"), b"b": file("b")}, rename(S, b"b", b"c"), rename(S, b"a", b"b"))
    assert moves(model) == ["MOVE move D b -> c", "MOVE move D a -> b"]


def test_sequences_of_both_sides_are_apart() -> None:
    one = [
        MoveOutcome(side, path, to, file("x"), path)
        for side, path, to in ((S, b"a", b"b"), (S, b"b", b"a"), (T, b"b", b"c"), (T, b"a", b"b"))
    ]
    told = [(move.side, move.path, move.is_parked) for move in in_sequence(one)]
    assert told == [(S, b"a", True), (S, b"b", False), (T, b"b", False), (T, b"a", False)]
    assert in_sequence(one) == in_sequence(one[::-1])


def test_con_08_a_swap_against_an_edit() -> None:
    model = world({b"f": file("f"), b"g": file("g")}, swap(S, b"f", b"g"), write(T, b"f", NEW))
    before = model.contents()
    after = final(model)
    assert after[S] == after[T] == {b"f": file("g").digest, b"g": EDIT}
    assert before <= model.contents() | model.trashed()


# Evidence, and what is none.


def test_a_unique_digest_is_evidence() -> None:
    model = world(OLD)
    model.erase(S, b"p")
    model.write(S, b"q", file("old", mtime_s=9))
    assert moves(model) == ["MOVE move D p -> q"]


@pytest.mark.parametrize(
    ("base", "deeds"),
    [
        pytest.param({b"p": file("")}, (erase(S, b"p"), write(S, b"q", file(""))), id="empty files"),
        pytest.param(
            {b"p": file("x"), b"o": file("x")},
            (erase(S, b"p"), erase(S, b"o"), write(S, b"q", file("x"))),
            id="two that vanished",
        ),
        pytest.param(
            OLD,
            (erase(S, b"p"), write(S, b"q", file("old")), write(S, b"r", file("old"))),
            id="two that appeared",
        ),
        pytest.param(
            OLD,
            (erase(S, b"p"), lambda m: m.write(S, b"q", file("old"), is_read=False)),
            id="a digest that nobody knows",
        ),
        pytest.param({b"p": D}, (erase(S, b"p"), write(S, b"q", D)), id="directories have no digest"),
    ],
)
def test_no_evidence(base: Mapping[bytes, Entry], deeds: tuple[Deed, ...]) -> None:
    model = world(base, *deeds)
    assert not [line for line in moves(model) if line.startswith("MOVE")]
    converge(model, rules())
    assert model.view(S) == model.view(T)


def test_mov_25_a_hard_link_is_no_rename() -> None:
    """One node under two names: the old name still lives."""
    model = world(OLD)
    model.trees[S][b"q"] = msgspec.structs.replace(model.trees[S][b"p"])
    assert moves(model) == ["PUT put D q"]


def test_mov_14_a_file_renamed_over_another() -> None:
    model = world({b"a": file("a"), b"b": file("b")}, rename(S, b"a", b"b"))
    after = final(model)
    assert after[S] == after[T] == {b"b": file("a").digest}
    assert file("b").digest in model.trashed()


def test_mov_19_a_new_file_at_the_old_name() -> None:
    model = world(OLD, rename(S, b"p", b"q"), write(S, b"p", NEW))
    after = final(model)
    assert after[S] == after[T] == {b"p": EDIT, b"q": FILE}


def test_a_node_of_another_kind_is_no_rename() -> None:
    model = world({b"p": file("p"), b"d": D})
    model.erase(S, b"p")
    node = model.new_node(directory())
    node.node_id = model.base[b"p"].nodes[S]
    model.trees[S][b"q"] = node
    assert moves(model) == ["DIRECTORY mkdir D q", "DELETE delete D p"]


def test_something_unseen_at_the_target_refuses_the_rename() -> None:
    model = world(OLD, rename(S, b"p", b"q"))
    outcomes = model.outcomes(rules())
    found = upgrade(outcomes, rules(), lambda _side, path: path == b"q", lambda _side, _path, _to: True)
    assert found.moves == ()
    assert found.outcomes == tuple(outcomes)


def test_nothing_renamed_nothing_changed() -> None:
    outcomes = world(OLD, write(S, b"p", NEW)).outcomes(rules())
    found = upgrade(outcomes, rules(), lambda _side, _path: False, lambda _side, _path, _to: True)
    assert found.outcomes == tuple(outcomes)


def test_a_move_carries_what_it_expects() -> None:
    model = world(OLD, rename(S, b"p", b"q"), write(T, b"p", NEW))
    ((_, move),) = model.plan(rules()).actions
    assert move == Move(T, b"p", b"q", NEW)


def test_the_other_side_of_another_kind_is_not_renamed() -> None:
    model = world(OLD, rename(S, b"p", b"q"), erase(T, b"p"), write(T, b"p", D))
    assert not [line for line in moves(model) if line.startswith("MOVE")]
    after = final(model)
    assert after[S] == after[T] == {b"p": None, b"q": FILE}


def test_reconcile_says_delete_and_create_before_any_rename() -> None:
    model = world(OLD, rename(S, b"p", b"q"))
    verbs = [reconcile(model.state(path), rules()).verb.value for path in (b"p", b"q")]
    assert verbs == ["delete", "put"]
