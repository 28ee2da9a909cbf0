"""Renames of directories, and names that change hands: chains, cycles, swaps."""

from syncd.core.entry import Side
from syncd.core.move import MoveOutcome, in_sequence, upgrade
from syncd.core.plan import make
from syncd.core.reason import Reason
from tests.core.model import file
from tests.core.renames import EDIT, NEW, D, S, T, erase, final, moves, rename, rules, swap, world, write
from tests.core.test_properties import converge
from tests.core.words import tell

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


def test_renames_that_wait_for_one_another_go_path_by_path() -> None:
    """Each side renames another directory to `a`: neither rename can be first."""
    model = world(
        {b"b": D, b"c": D, b"c/a": D},
        rename(S, b"b", b"a"),
        rename(S, b"c", b"b"),
        rename(T, b"c/a", b"a"),
    )
    converge(model, rules())
    assert set(model.view(S)) == set(model.view(T)) == {b"a", b"b", b"b/a"}
