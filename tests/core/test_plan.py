"""What a plan holds beside the actions: adoptions, records of conflicts, the plan's id."""

from collections.abc import Sequence

import msgspec
import pytest

from syncd.core.action import Delete, MakeDirectory, Move, Put, RemoveDirectory, SetMode
from syncd.core.entry import Side
from syncd.core.plan import Destructive, Plan, destructive, digest_of, make, plan_id
from syncd.core.reason import Reason
from syncd.core.reconcile import reconcile
from syncd.core.rules import Initial, Policy
from syncd.core.state import PathState
from tests.core.model import file, link, special
from tests.core.plans import COPY, D, Tree, rules, world
from tests.core.words import tell

# What is beside the actions.


def plan_of(states: Sequence[PathState]) -> Plan:
    outcomes = [reconcile(state, rules()) for state in states]
    return make(outcomes, (), rules(), taken=lambda _side, _path: False)


def test_adopted_forgotten_compared_and_left() -> None:
    odd = file("odd", is_read=False)
    plan = make(
        [
            reconcile(PathState(b"a", None, file("a"), file("a")), rules()),
            reconcile(PathState(b"b", file("b")), rules()),
            reconcile(PathState(b"c", None, odd, odd), rules()),
            reconcile(PathState(b"s", None, special(), None), rules()),
            reconcile(PathState(b"u", file("u"), None, file("u"), source_unknown=True), rules()),
            reconcile(PathState(b"e", file("e"), file("edited"), None), rules()),
        ],
        (),
        rules(),
        taken=lambda _side, _path: False,
    )
    assert plan.adopt == ((b"a", file("a"), False),)
    assert plan.forget == (b"b",)
    assert plan.compare == ((Side.SOURCE, b"c"), (Side.DESTINATION, b"c"))
    assert plan.left == ((b"s", Reason.SPECIAL_FILE), (b"u", Reason.UNREADABLE))
    assert plan.reports == ((b"e", Reason.EDIT_BEATS_DELETE),)
    assert tell(plan) == ["PUT put D e"]


def test_an_unlisted_directory_is_neither_emptied_nor_removed() -> None:
    states = [
        PathState(b"d", D, None, D),
        PathState(b"d/f", file("f"), None, file("f")),
        PathState(b"d/u", file("u"), file("u"), None, destination_unknown=True),
    ]
    plan = plan_of(states)
    assert tell(plan) == ["DELETE delete D d/f", "REMOVE_DIRECTORY rmdir D d"]
    kept = [msgspec.structs.replace(states[2], source=None, destination=file("u"), source_unknown=True)]
    plan = make(
        [reconcile(one, rules()) for one in states[:2] + kept], (), rules(), taken=lambda _s, _p: False
    )
    assert tell(plan) == ["DELETE delete D d/f"]
    assert (b"d", Reason.UNREADABLE) in plan.left


def test_what_is_put_waits_for_a_directory_that_cannot_be_made() -> None:
    states = [
        PathState(b"n", None, D, special()),
        PathState(b"n/f", None, file("f"), None),
        PathState(b"u", D, D, None, destination_unknown=True),
        PathState(b"u/f", None, file("f"), None),
    ]
    plan = plan_of(states)
    assert tell(plan) == []
    assert (b"n/f", Reason.BLOCKED) in plan.left
    assert (b"u/f", Reason.BLOCKED) in plan.left


def test_ignored_content_keeps_a_directory_and_its_parents() -> None:
    states = [
        PathState(b"d", D, D, None),
        PathState(b"d/i", D, D, None, source_only_ignored=True),
        PathState(b"d/f", file("f"), file("f"), None),
    ]
    plan = plan_of(states)
    assert tell(plan) == ["DELETE delete S d/f"]
    assert plan.left == ((b"d", Reason.KEPT_FOR_IGNORED), (b"d/i", Reason.KEPT_FOR_IGNORED))
    assert plan.forget == (b"d/i",)


def test_what_is_added_to_a_directory_kept_for_ignored_content_brings_it_to_the_other_side() -> None:
    states = [
        PathState(b"d", None, D, None, source_only_ignored=True),
        PathState(b"d/new", None, file("n"), None),
    ]
    plan = plan_of(states)
    assert tell(plan) == ["DIRECTORY mkdir D d", "PUT put D d/new"]


# Conflicts.


@pytest.mark.parametrize("policy", [Policy.SOURCE_WINS, Policy.DESTINATION_WINS])
def test_a_winner_replaces_the_loser_and_the_record_is_settled(policy: Policy) -> None:
    model = world({"f": file("o")}, {"f": file("ours")}, {"f": file("theirs")})
    plan = model.plan(rules(policy=policy))
    winner = Side.SOURCE if policy is Policy.SOURCE_WINS else Side.DESTINATION
    assert tell(plan) == [f"PUT replace {'D' if winner is Side.SOURCE else 'S'} f"]
    (record,) = plan.conflicts
    assert (record.path, record.winner, record.state, record.loser_copy) == (b"f", winner, "settled", None)
    assert (record.source, record.destination) == (file("ours"), file("theirs"))
    model.apply(plan)
    loser = model.trash[0]
    assert (loser[0], loser[1]) == (winner.other, b"f")


def test_keep_both_leaves_an_open_record_with_the_copy() -> None:
    model = world({}, {"f": file("ours")}, {"f": file("theirs")})
    plan = model.plan(rules())
    (record,) = plan.conflicts
    assert record.state == "open"
    assert record.winner is Side.SOURCE
    assert record.kind is Reason.CONFLICT_ADDED
    assert record.loser_copy == f"f {COPY}".encode()
    move = plan.actions[0][1]
    assert isinstance(move, Move)
    assert move.is_conflict
    copied = plan.actions[2][1]
    assert isinstance(copied, Put)
    assert copied.origin == copied.path == record.loser_copy


def test_manual_changes_nothing_and_leaves_an_open_record() -> None:
    model = world({"f": file("o")}, {"f": file("ours")}, {"f": file("theirs")})
    plan = model.plan(rules(policy=Policy.MANUAL))
    assert plan.actions == ()
    assert plan.left == ((b"f", Reason.CONFLICT_MANUAL),)
    (record,) = plan.conflicts
    assert (record.winner, record.state, record.kind) == (None, "open", Reason.CONFLICT_MODIFIED)


def test_manual_holds_what_is_beneath_the_conflict_and_nothing_else() -> None:
    model = world(
        {"n": D, "z": file("z")},
        {"n": file("n"), "z": file("zz")},
        {"n": D, "n/new": file("x"), "z": file("z")},
    )
    plan = model.plan(rules(policy=Policy.MANUAL))
    assert tell(plan) == ["PUT replace D z"]
    assert plan.left == ((b"n", Reason.CONFLICT_MANUAL), (b"n/new", Reason.BLOCKED))


def test_con_05_a_copy_takes_a_free_name() -> None:
    taken = f"f {COPY}"
    model = world({}, {"f": file("ours"), taken: file("mine")}, {"f": file("theirs")})
    plan = model.plan(rules())
    assert f"CONFLICT_RENAME move D f -> f {COPY} 2" in tell(plan)
    model.apply(plan)
    assert model.view(Side.SOURCE) == model.view(Side.DESTINATION)


def test_two_copies_of_one_plan_do_not_meet() -> None:
    """A file and a directory that both move aside under one name: `x` here, `x` of another spelling not."""
    model = world(
        {}, {"f": file("ours"), f"f {COPY}": file("a")}, {"f": file("theirs"), f"f {COPY}": file("b")}
    )
    plan = model.plan(rules())
    model.apply(plan)
    assert model.stale == []
    assert model.contents(Side.SOURCE) == model.contents(Side.DESTINATION)
    assert len(model.view(Side.SOURCE)) == 4


@pytest.mark.parametrize("initial", [Initial.SOURCE_WINS, Initial.DESTINATION_WINS])
def test_a_first_sync_preference_crosses_kinds(initial: Initial) -> None:
    one, two = {"n": file("n")}, {"n": D, "n/f": file("f"), "n/e": D}
    wins = Side.SOURCE if initial is Initial.SOURCE_WINS else Side.DESTINATION
    for source, destination in ((one, two), (two, one)):
        model = world({}, source, destination)
        before = model.view(wins)
        plan = model.plan(rules(initial=initial, is_first_sync=True))
        model.apply(plan)
        assert model.stale == []
        assert model.view(wins) == model.view(wins.other) == before


def test_a_manual_rename_conflict_is_recorded_once() -> None:
    model = world({"f": file("f")}, {"f": file("f")}, {"f": file("f")})
    model.rename(Side.SOURCE, b"f", b"g")
    model.rename(Side.DESTINATION, b"f", b"h")
    for _ in range(2):
        plan = model.plan(rules(policy=Policy.MANUAL))
        assert plan.actions == ()
        assert plan.left == ((b"g", Reason.CONFLICT_MANUAL), (b"h", Reason.CONFLICT_MANUAL))
        (record,) = plan.conflicts
        assert (record.kind, record.state) == (Reason.CONFLICT_MOVED, "open")
        model.apply(plan)


# The plan id.


def test_destructive_actions_are_sorted_and_name_the_plan() -> None:
    gone: Tree = {"b": D, "b/x": file("x"), "a": file("a")}
    plan = world(gone, {}, gone).plan(rules())
    found = destructive(plan)
    assert [item.path for item in found] == [b"a", b"b", b"b/x"]
    assert plan_id(found) == plan_id(reversed(found)) == plan_id([*found, found[0]])
    assert plan_id(found) != plan_id(found[1:])
    assert len(plan_id(())) == 16


def test_the_id_tells_side_path_and_state() -> None:
    item = Destructive(Side.SOURCE, b"f", file("f"))
    changed = [
        msgspec.structs.replace(item, side=Side.DESTINATION),
        msgspec.structs.replace(item, path=b"g"),
        msgspec.structs.replace(item, expect=file("fg")),
        msgspec.structs.replace(item, expect=file("f", mtime_s=1)),
        msgspec.structs.replace(item, expect=link("f")),
        msgspec.structs.replace(item, is_overwrite=True),
    ]
    assert len({digest_of(one) for one in [item, *changed]}) == len(changed) + 1
    assert digest_of(item) == digest_of(msgspec.structs.replace(item, expect=file("f", 0o600, is_read=False)))
    empty = Destructive(Side.SOURCE, b"d", D)
    touched = msgspec.structs.replace(D, mtime_ns=5, mode=0o700)
    assert digest_of(empty) == digest_of(msgspec.structs.replace(empty, expect=touched))


def test_overwrites_are_destructive_where_asked() -> None:
    plan = world({"f": file("o")}, {"f": file("new")}, {"f": file("o")}).plan(rules())
    assert destructive(plan) == ()
    (item,) = destructive(plan, with_overwrites=True)
    assert item == Destructive(Side.DESTINATION, b"f", file("o"), is_overwrite=True)


def test_every_action_expects_what_was_seen() -> None:
    model = world(
        {"d": D, "f": file("f"), "m": file("m"), "x": file("x")},
        {"f": file("new"), "m": file("m", 0o600), "n": D},
        {"d": D, "f": file("f"), "m": file("m"), "x": file("x")},
    )
    by_type = {type(action): action for _, action in model.plan(rules()).actions}
    assert by_type[Put] == Put(Side.DESTINATION, b"f", file("new"), file("f"), b"f")
    assert by_type[Delete] == Delete(Side.DESTINATION, b"x", file("x"))
    assert by_type[RemoveDirectory] == RemoveDirectory(Side.DESTINATION, b"d", D)
    assert by_type[SetMode] == SetMode(Side.DESTINATION, b"m", 0o600, file("m"))
    assert by_type[MakeDirectory] == MakeDirectory(Side.DESTINATION, b"n", D)
