"""Plans: levels, parents, type changes, conflicts; each is carried out on a model without a stale action."""

import random
from collections.abc import Mapping, Sequence

import msgspec
import pytest

from syncd.core.action import Delete, Level, MakeDirectory, Move, Put, RemoveDirectory, SetMode
from syncd.core.entry import Entry, Side
from syncd.core.mode import Mode
from syncd.core.plan import Destructive, Plan, destructive, digest_of, make, plan_id
from syncd.core.reason import Reason
from syncd.core.reconcile import reconcile
from syncd.core.rules import Initial, Policy, Rules
from syncd.core.state import PathState
from tests.core.model import NOW_NS, Model, directory, file, link, special
from tests.core.words import tell

Tree = Mapping[str, Entry]
D = directory()
MIRROR, BACKUP = Mode.SOURCE_TO_DESTINATION, Mode.SOURCE_BACKUP
COPY = "(conflict 2023-11-14 221320 host)"


def rules(mode: Mode = Mode.TWO_WAY, **more: object) -> Rules:
    return msgspec.structs.replace(Rules(mode, Policy.KEEP_BOTH, now_ns=NOW_NS, host="host"), **more)


def world(base: Tree, source: Tree, destination: Tree) -> Model:
    """Trees by text paths; what equals the base is the base's node."""
    model = Model()
    for path, entry in sorted(base.items()):
        assert model.write(Side.SOURCE, path.encode(), entry)
    model.share()
    for side, tree in ((Side.SOURCE, source), (Side.DESTINATION, destination)):
        for path in sorted(base, reverse=True):
            if path not in tree:
                model.erase(side, path.encode())
        for path, entry in sorted(tree.items()):
            if base.get(path) != entry:
                assert model.write(side, path.encode(), entry)
    return model


SCENARIOS: list[tuple[str, Mode, Tree, Tree, Tree, list[str]]] = [
    (
        "a new tree is made parents first",
        Mode.TWO_WAY,
        {},
        {"a": D, "a/b": D, "a/b/f": file("f"), "z": file("z")},
        {},
        ["DIRECTORY mkdir D a", "DIRECTORY mkdir D a/b", "PUT put D a/b/f", "PUT put D z"],
    ),
    (
        "a deleted tree goes children first",
        Mode.TWO_WAY,
        {"a": D, "a/b": D, "a/b/f": file("f")},
        {},
        {"a": D, "a/b": D, "a/b/f": file("f")},
        ["DELETE delete D a/b/f", "REMOVE_DIRECTORY rmdir D a/b", "REMOVE_DIRECTORY rmdir D a"],
    ),
    (
        "DEL-08: of a deleted tree the edit comes back with its parents",
        Mode.TWO_WAY,
        {"a": D, "a/b": D, "a/b/f": file("f"), "a/g": file("g")},
        {},
        {"a": D, "a/b": D, "a/b/f": file("edited"), "a/g": file("g")},
        ["DIRECTORY mkdir S a", "DIRECTORY mkdir S a/b", "PUT put S a/b/f", "DELETE delete D a/g"],
    ),
    (
        "what is new in a deleted directory brings it back",
        Mode.TWO_WAY,
        {"a": D},
        {"a": D, "a/new": file("n")},
        {},
        ["DIRECTORY mkdir D a", "PUT put D a/new"],
    ),
    (
        "DEL-15: both delete halves of a directory",
        Mode.TWO_WAY,
        {"a": D, "a/x": file("x"), "a/y": file("y")},
        {"a": D, "a/x": file("x")},
        {"a": D, "a/y": file("y")},
        ["DELETE delete D a/y", "DELETE delete S a/x"],
    ),
    (
        "TYP-01: a file becomes a directory",
        Mode.TWO_WAY,
        {"n": file("n")},
        {"n": D, "n/f": file("f")},
        {"n": file("n")},
        ["CLEAR delete D n", "DIRECTORY mkdir D n", "PUT put D n/f"],
    ),
    (
        "TYP-02: a directory becomes a file",
        Mode.TWO_WAY,
        {"n": D, "n/d": D, "n/d/f": file("f"), "n/g": file("g")},
        {"n": file("n")},
        {"n": D, "n/d": D, "n/d/f": file("f"), "n/g": file("g")},
        [
            "CLEAR delete D n/d/f",
            "CLEAR delete D n/g",
            "CLEAR rmdir D n/d",
            "CLEAR rmdir D n",
            "PUT put D n",
        ],
    ),
    (
        "TYP-04: a file took the place of a directory that the other side filled",
        Mode.TWO_WAY,
        {"n": D, "n/old": file("o")},
        {"n": file("n")},
        {"n": D, "n/old": file("o"), "n/new": file("x")},
        [
            f"CONFLICT_RENAME move S n -> n {COPY}",
            "DIRECTORY mkdir S n",
            f"PUT put D n {COPY}",
            "PUT put S n/new",
            "DELETE delete D n/old",
        ],
    ),
    (
        "TYP-05: a file becomes a link",
        Mode.TWO_WAY,
        {"n": file("n")},
        {"n": link("x")},
        {"n": file("n")},
        ["PUT replace D n"],
    ),
    (
        "TYP-07: a link becomes a directory here and another link there",
        Mode.TWO_WAY,
        {"n": link("x")},
        {"n": D, "n/f": file("f")},
        {"n": link("y")},
        [
            f"CONFLICT_RENAME move D n -> n {COPY}",
            "DIRECTORY mkdir D n",
            "PUT put D n/f",
            f"PUT put S n {COPY}",
        ],
    ),
    (
        "two nested type changes at once",
        Mode.TWO_WAY,
        {"a": D, "a/f": file("f"), "b": file("b")},
        {"a": file("a"), "b": D, "b/c": D},
        {"a": D, "a/f": file("f"), "b": file("b")},
        [
            "CLEAR delete D a/f",
            "CLEAR delete D b",
            "CLEAR rmdir D a",
            "DIRECTORY mkdir D b",
            "DIRECTORY mkdir D b/c",
            "PUT put D a",
        ],
    ),
    (
        "both versions of a conflict are kept on both sides",
        Mode.TWO_WAY,
        {"f.txt": file("o")},
        {"f.txt": file("ours")},
        {"f.txt": file("theirs")},
        [
            f"CONFLICT_RENAME move D f.txt -> f {COPY}.txt",
            "PUT put D f.txt",
            f"PUT put S f {COPY}.txt",
        ],
    ),
    (
        "DEL-14: directories of one name merge, only the file conflicts",
        Mode.TWO_WAY,
        {},
        {"d": D, "d/s": file("s"), "d/x": file("ours")},
        {"d": D, "d/t": file("t"), "d/x": file("theirs")},
        [
            f"CONFLICT_RENAME move D d/x -> d/x {COPY}",
            "PUT put D d/s",
            "PUT put D d/x",
            "PUT put S d/t",
            f"PUT put S d/x {COPY}",
        ],
    ),
    (
        "mode bits are set after the content, children first",
        Mode.TWO_WAY,
        {"d": D, "d/f": file("f")},
        {"d": directory(0o555), "d/f": file("f", 0o444), "d/g": file("g")},
        {"d": D, "d/f": file("f")},
        ["PUT put D d/g", "METADATA chmod D d/f 444", "METADATA chmod D d 555"],
    ),
    (
        "SPE-13: a read-only directory is filled before it is closed",
        Mode.TWO_WAY,
        {},
        {"d": directory(0o555), "d/f": file("f")},
        {},
        ["DIRECTORY mkdir D d", "PUT put D d/f", "METADATA chmod D d 555"],
    ),
    (
        "both change mode bits to different executables: both are set",
        Mode.TWO_WAY,
        {"f": file("f")},
        {"f": file("f", 0o744)},
        {"f": file("f", 0o611)},
        ["METADATA chmod D f 755", "METADATA chmod S f 755"],
    ),
    (
        "a mirror undoes what its follower did",
        MIRROR,
        {"d": D, "d/f": file("f"), "g": file("g")},
        {"d": D, "d/f": file("f"), "g": file("g")},
        {"g": file("edited"), "x": D, "x/y": file("y")},
        [
            "DIRECTORY mkdir D d",
            "PUT put D d/f",
            "PUT replace D g",
            "DELETE delete D x/y",
            "REMOVE_DIRECTORY rmdir D x",
        ],
    ),
    (
        "a backup puts and keeps",
        BACKUP,
        {"d": D, "d/f": file("f")},
        {"n": file("n")},
        {"d": D, "d/f": file("f"), "own": file("x")},
        ["PUT put D n"],
    ),
    (
        "a backup moves a directory aside for the file that replaced it",
        BACKUP,
        {"n": D, "n/f": file("f")},
        {"n": file("n")},
        {"n": D, "n/f": file("f")},
        ["CONFLICT_RENAME move D n -> n (conflict 2027-01-15 080000 host)", "PUT put D n"],
    ),
    (
        "a backup removes an empty directory for the file that replaced it",
        BACKUP,
        {"n": D},
        {"n": file("n")},
        {"n": D},
        ["CLEAR rmdir D n", "PUT put D n"],
    ),
    (
        "a special file keeps its directory",
        Mode.TWO_WAY,
        {"d": D, "d/f": file("f")},
        {"d": D, "d/f": file("f"), "d/pipe": special()},
        {},
        ["DELETE delete S d/f"],
    ),
    (
        "a special file keeps a directory from being replaced",
        MIRROR,
        {"n": D},
        {"n": file("n")},
        {"n": D, "n/pipe": special()},
        [],
    ),
]


@pytest.mark.parametrize(
    ("mode", "base", "source", "destination", "lines"),
    [pytest.param(*row[1:], id=row[0]) for row in SCENARIOS],
)
def test_plans(mode: Mode, base: Tree, source: Tree, destination: Tree, lines: list[str]) -> None:
    model = world(base, source, destination)
    plan = model.plan(rules(mode), finds_moves=False)
    assert tell(plan) == lines
    model.apply(plan)
    assert model.stale == []
    again = model.plan(rules(mode), finds_moves=False)
    assert tell(again) == []
    assert mode.is_backup or plan.left == again.left


def test_levels_come_in_order_and_the_order_of_outcomes_does_not_matter() -> None:
    model = world(
        {"d": D, "d/x": file("x"), "t": file("t"), "c": file("c")},
        {"t": D, "t/u": file("u"), "c": file("ours"), "e": directory(0o500)},
        {"d": D, "d/x": file("x"), "t": file("t"), "c": file("theirs"), "new": file("new")},
    )
    outcomes = model.outcomes(rules())
    plan = make(outcomes, (), rules(), taken=model.is_taken)
    levels = [level for level, _ in plan.actions]
    assert levels == sorted(levels)
    assert set(levels) == set(Level) - {Level.MOVE}
    for seed in range(10):
        random.Random(seed).shuffle(outcomes)
        assert make(outcomes, (), rules(), taken=model.is_taken) == plan


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
