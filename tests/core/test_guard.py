"""Deletion safety: what holds a plan, what an approval covers, what goes on meanwhile."""

import msgspec
import pytest

from syncd.core.entry import Entry, Side
from syncd.core.guard import Brake, Hold, SideTotals, check, without_destructive
from syncd.core.mode import Mode
from syncd.core.plan import Plan, destructive, digest_of, plan_id
from syncd.core.reason import Reason
from syncd.core.rules import Initial, Policy, Rules
from tests.core.model import NOW_NS, Model, directory, file
from tests.core.words import tell

D = directory()
NONE: frozenset[str] = frozenset()


def rules(mode: Mode = Mode.TWO_WAY, **more: object) -> Rules:
    return msgspec.structs.replace(Rules(mode, Policy.KEEP_BOTH, now_ns=NOW_NS, host="host"), **more)


def shared(count: int, size: int = 10) -> Model:
    """`count` files of `size` bytes in sync."""
    model = Model()
    for number in range(count):
        model.write(Side.SOURCE, b"f%04d" % number, file(f"{number:04d}".ljust(size, ".")))
    model.share()
    return model


def delete(model: Model, count: int, side: Side = Side.SOURCE) -> Model:
    for number in range(count):
        assert model.erase(side, b"f%04d" % number)
    return model


def totals(model: Model, **more: object) -> dict[Side, SideTotals]:
    """What the index would say, nothing deleted recently."""
    found = {}
    for side in Side:
        sizes = [node.entry.size for node in model.trees[side].values() if node.entry.digest]
        base = len([row for row in model.base.values() if row.entry.digest])
        plain = SideTotals(len(sizes), sum(sizes), len(sizes), sum(sizes), base_files=base)
        found[side] = msgspec.structs.replace(plain, **more)
    return found


def review(
    model: Model,
    held: Rules | None = None,
    brake: Brake | None = None,
    *,
    is_first: bool = False,
    is_lost: bool = False,
    approved: frozenset[str] = NONE,
    **more: object,
) -> Hold | None:
    held = held or rules()
    return check(
        model.plan(held),
        totals(model, **more),
        brake or Brake(),
        is_first_sync=is_first,
        is_state_lost=is_lost,
        approved=approved,
        mode=held.mode,
    )


@pytest.mark.parametrize(
    ("files", "deleted", "is_held"),
    [
        pytest.param(100, 19, False, id="19 of 100: too few"),
        pytest.param(100, 25, True, id="25 of 100: enough files and a quarter"),
        pytest.param(100, 24, False, id="24 of 100: not a quarter"),
        pytest.param(80, 20, True, id="20 of 80: exactly both limits"),
        pytest.param(40, 19, False, id="19 of 40: much, but few"),
        pytest.param(2, 1, False, id="1 of 2"),
    ],
)
def test_the_brake_needs_many_files_and_a_large_part(files: int, deleted: int, is_held: bool) -> None:
    hold = review(delete(shared(files), deleted))
    assert (hold is not None) is is_held
    if hold is not None:
        assert hold.reason is Reason.MASS_DELETE
        assert len(hold.destructive) == deleted
        assert hold.plan_id == plan_id(hold.destructive)
        assert str(deleted) in hold.detail


def test_del_16_most_of_the_bytes_are_a_large_part() -> None:
    model = shared(200, size=1)
    for number in range(20):
        model.write(Side.SOURCE, b"big%02d" % number, file(f"{number}".ljust(1000)))
    model.share()
    for number in range(20):
        model.erase(Side.SOURCE, b"big%02d" % number)
    hold = review(model)
    assert hold is not None
    assert hold.reason is Reason.MASS_DELETE
    assert review(model, brake=Brake(bytes_percent=100)) is None


def test_empty_files_have_no_bytes_to_lose_a_part_of() -> None:
    model = shared(0)
    for number in range(100):
        model.write(Side.SOURCE, b"f%04d" % number, file(""))
    model.share()
    assert review(delete(model, 20)) is None
    assert review(delete(model, 0)) is None


def test_absolute_is_enough_alone() -> None:
    model = delete(shared(1000), 5)
    assert review(model) is None
    assert review(model, brake=Brake(absolute=6)) is None
    hold = review(model, brake=Brake(absolute=5))
    assert hold is not None
    assert hold.reason is Reason.MASS_DELETE


def test_what_was_deleted_in_the_window_counts() -> None:
    model = delete(shared(60), 10)
    assert review(model) is None
    hold = review(model, recent_deleted_files=10, recent_deleted_bytes=100, window_files=70, window_bytes=700)
    assert hold is not None
    assert hold.reason is Reason.MASS_DELETE
    assert len(hold.destructive) == 10


def test_recent_deletions_alone_hold_nothing() -> None:
    model = shared(10)
    model.write(Side.SOURCE, b"new", file("new"))
    assert review(model, recent_deleted_files=500) is None


def test_overwrites_do_not_count() -> None:
    model = shared(50)
    for number in range(50):
        model.write(Side.SOURCE, b"f%04d" % number, file(f"changed {number}"))
    assert review(model) is None


def test_mov_29_renames_do_not_count() -> None:
    model = shared(0)
    model.write(Side.SOURCE, b"d", D)
    for number in range(90):
        model.write(Side.SOURCE, b"d/%d" % number, file(f"{number}"))
    model.write(Side.SOURCE, b"rest", file("rest"))
    model.share()
    model.rename(Side.SOURCE, b"d", b"e")
    assert review(model) is None


def test_deleted_directories_are_listed_but_not_counted() -> None:
    model = shared(100)
    for number in range(50):
        model.write(Side.SOURCE, b"d%d" % number, D)
    model.share()
    for number in range(50):
        model.erase(Side.SOURCE, b"d%d" % number)
    assert review(model) is None


# Emptied sides, by mode: the last row of the mode table.


@pytest.mark.parametrize(
    ("mode", "emptied", "is_held"),
    [
        pytest.param(Mode.TWO_WAY, Side.SOURCE, True, id="two-way, S emptied: held"),
        pytest.param(Mode.TWO_WAY, Side.DESTINATION, True, id="two-way, D emptied: held"),
        pytest.param(Mode.SOURCE_TO_DESTINATION, Side.SOURCE, True, id="mirror of S, S emptied: held"),
        pytest.param(Mode.SOURCE_TO_DESTINATION, Side.DESTINATION, False, id="mirror of S, D emptied: put"),
        pytest.param(Mode.DESTINATION_TO_SOURCE, Side.DESTINATION, True, id="mirror of D, D emptied: held"),
        pytest.param(Mode.DESTINATION_TO_SOURCE, Side.SOURCE, False, id="mirror of D, S emptied: put"),
        pytest.param(Mode.SOURCE_BACKUP, Side.SOURCE, False, id="backup of S, S emptied: left"),
        pytest.param(Mode.SOURCE_BACKUP, Side.DESTINATION, False, id="backup of S, D emptied: put again"),
        pytest.param(Mode.DESTINATION_BACKUP, Side.DESTINATION, False, id="backup of D, D emptied: left"),
        pytest.param(Mode.DESTINATION_BACKUP, Side.SOURCE, False, id="backup of D, S emptied: put again"),
    ],
)
def test_an_emptied_side(mode: Mode, emptied: Side, is_held: bool) -> None:
    hold = review(delete(shared(2), 2, emptied), rules(mode))
    assert (hold.reason if hold else None) is (Reason.SIDE_EMPTIED if is_held else None)


def test_the_only_file_may_go() -> None:
    assert review(delete(shared(1), 1)) is None


def test_an_emptied_side_holds_even_if_the_other_side_keeps_something() -> None:
    model = delete(shared(3), 3)
    model.write(Side.DESTINATION, b"own", file("own"))
    hold = review(model)
    assert hold is not None
    assert hold.reason is Reason.SIDE_EMPTIED


def test_files_that_are_all_replaced_by_others_do_not_empty_a_side() -> None:
    model = delete(shared(3), 3)
    for number in range(3):
        model.write(Side.SOURCE, b"other%d" % number, file(f"other {number}"))
    assert review(model) is None


# First run and lost state.


def test_a_first_run_that_deletes_much_is_held() -> None:
    model = Model()
    for number in range(30):
        model.write(Side.DESTINATION, b"f%04d" % number, file(f"{number}"))
    model.write(Side.SOURCE, b"one", file("one"))
    for held in (
        rules(Mode.SOURCE_TO_DESTINATION, is_first_sync=True),
        rules(initial=Initial.SOURCE_WINS, is_first_sync=True),
    ):
        hold = review(model, held, is_first=True)
        assert hold is not None
        assert hold.reason is Reason.FIRST_RUN
    assert review(model, rules(is_first_sync=True), is_first=True) is None


def test_a_first_run_that_empties_a_side_is_held() -> None:
    model = Model()
    model.write(Side.DESTINATION, b"a", file("a"))
    model.write(Side.DESTINATION, b"b", file("b"))
    hold = review(model, rules(Mode.SOURCE_TO_DESTINATION, is_first_sync=True), is_first=True)
    assert hold is not None
    assert hold.reason is Reason.FIRST_RUN


def lost() -> Model:
    """State lost: no base; one file differs, one is extra at the destination, one is new."""
    model = Model()
    model.write(Side.SOURCE, b"differs", file("ours"))
    model.write(Side.DESTINATION, b"differs", file("theirs"))
    model.write(Side.DESTINATION, b"extra", file("extra"))
    model.write(Side.SOURCE, b"new", file("new"))
    return model


def test_a_mirror_whose_state_was_lost_destroys_nothing_unapproved() -> None:
    model, held = lost(), rules(Mode.SOURCE_TO_DESTINATION, is_first_sync=True)
    hold = review(model, held, is_first=True, is_lost=True)
    assert hold is not None
    assert hold.reason is Reason.STATE_LOST
    assert [(item.path, item.is_overwrite) for item in hold.destructive] == [
        (b"differs", True),
        (b"extra", False),
    ]
    meanwhile = without_destructive(model.plan(held), hold.destructive)
    assert tell(meanwhile) == ["PUT put D new"]
    assert meanwhile.left == ((b"differs", Reason.BLOCKED), (b"extra", Reason.BLOCKED))
    approved = frozenset(map(digest_of, hold.destructive))
    assert review(model, held, is_first=True, is_lost=True, approved=approved) is None


@pytest.mark.parametrize("mode", [Mode.TWO_WAY, Mode.SOURCE_BACKUP])
def test_only_mirrors_are_held_for_lost_state(mode: Mode) -> None:
    assert review(lost(), rules(mode, is_first_sync=True), is_first=True, is_lost=True) is None


def test_lost_state_without_a_mode_counts_as_a_mirror() -> None:
    model, held = lost(), rules(Mode.SOURCE_TO_DESTINATION)
    hold = check(
        model.plan(held), totals(model), Brake(), is_first_sync=True, is_state_lost=True, approved=NONE
    )
    assert hold is not None


# Approval.


def test_an_approval_covers_the_plan_and_any_subset() -> None:
    model = delete(shared(100), 40)
    hold = review(model)
    assert hold is not None
    approved = frozenset(map(digest_of, hold.destructive))
    assert review(model, approved=approved) is None
    model.write(Side.SOURCE, b"f0000", file("back"))
    assert review(model, approved=approved) is None


def test_a_hold_lists_only_what_is_not_approved() -> None:
    model = delete(shared(200), 40)
    first = review(model, brake=Brake(percent=5))
    assert first is not None
    approved = frozenset(map(digest_of, first.destructive))
    delete_more = [b"f%04d" % number for number in range(100, 130)]
    for path in delete_more:
        model.erase(Side.SOURCE, path)
    second = review(model, brake=Brake(percent=5), approved=approved)
    assert second is not None
    assert [item.path for item in second.destructive] == delete_more
    assert second.plan_id != first.plan_id
    meanwhile = without_destructive(model.plan(rules()), second.destructive)
    assert len(meanwhile.actions) == 40


def test_a_few_deletions_beside_approved_ones_are_not_held() -> None:
    model = delete(shared(100), 40)
    hold = review(model)
    assert hold is not None
    model.erase(Side.SOURCE, b"f0099")
    assert review(model, approved=frozenset(map(digest_of, hold.destructive))) is None


def test_an_approval_does_not_cover_another_version_of_the_file() -> None:
    model = delete(shared(100), 40)
    hold = review(model)
    assert hold is not None
    approved = frozenset(map(digest_of, hold.destructive))
    for number in range(40):
        node = model.trees[Side.DESTINATION][b"f%04d" % number]
        node.entry = msgspec.structs.replace(node.entry, mtime_ns=node.entry.mtime_ns + 1)
    assert review(model, approved=approved) is not None


# What goes on.


def test_everything_else_goes_on_while_a_plan_is_held() -> None:
    model = delete(shared(40), 30)
    model.write(Side.SOURCE, b"new", file("new"))
    model.write(Side.DESTINATION, b"f0035", file("edited there"))
    hold = review(model)
    assert hold is not None
    plan = without_destructive(model.plan(rules()), hold.destructive)
    assert tell(plan) == ["PUT put D new", "PUT replace S f0035"]
    assert [path for path, _ in plan.left] == [b"f%04d" % number for number in range(30)]


def plan_from(base: dict[str, Entry], source: dict[str, Entry]) -> Plan:
    model = Model()
    for path, entry in sorted(base.items()):
        model.write(Side.SOURCE, path.encode(), entry)
    model.share()
    for path in sorted(base, reverse=True):
        if path not in source:
            model.erase(Side.SOURCE, path.encode())
    for path, entry in sorted(source.items()):
        if base.get(path) != entry:
            model.write(Side.SOURCE, path.encode(), entry)
    return model.plan(rules(), finds_moves=False)


def test_what_needs_a_held_removal_waits_with_it() -> None:
    plan = plan_from(
        {"n": D, "n/f": file("f"), "t": file("t"), "d": D, "d/e": D, "d/e/x": file("x"), "z": file("z")},
        {"n": file("n"), "t": D, "t/u": directory(0o500), "t/u/v": file("v"), "z": file("zz")},
    )
    assert len(plan.actions) == 12
    assert tell(without_destructive(plan, destructive(plan))) == ["PUT replace D z"]
    assert {
        path for path, reason in without_destructive(plan, destructive(plan)).left if reason is Reason.BLOCKED
    } == {*(b"n", b"n/f", b"t", b"t/u", b"t/u/v", b"d", b"d/e", b"d/e/x")}


def test_a_directory_above_a_held_deletion_stays_even_if_its_removal_is_approved() -> None:
    plan = plan_from({"d": D, "d/x": file("x"), "d/y": file("y")}, {})
    held = [item for item in destructive(plan) if item.path == b"d/x"]
    hold = Hold(Reason.MASS_DELETE, "", plan_id(held), tuple(held))
    assert tell(without_destructive(plan, hold.destructive)) == ["DELETE delete D d/y"]


def test_a_plan_without_deletions_goes_on_whole() -> None:
    plan = plan_from({"a": file("a")}, {"a": file("aa")})
    assert without_destructive(plan, destructive(plan)) is plan


def test_a_held_plan_leaves_both_trees_whole() -> None:
    model = delete(shared(50), 50)
    before = model.view(Side.DESTINATION)
    hold = review(model)
    assert hold is not None
    model.apply(without_destructive(model.plan(rules()), hold.destructive))
    assert model.view(Side.DESTINATION) == before
