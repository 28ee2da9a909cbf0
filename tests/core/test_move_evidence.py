"""The evidence that a rename needs, and what refuses it."""

from collections.abc import Mapping

import msgspec
import pytest

from syncd.core.action import Move
from syncd.core.entry import Entry
from syncd.core.move import upgrade
from syncd.core.reconcile import reconcile
from tests.core.model import directory, file
from tests.core.renames import (
    EDIT,
    FILE,
    NEW,
    OLD,
    D,
    Deed,
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
