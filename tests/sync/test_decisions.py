"""What a person decides about held plans and conflicts: made like an edit, carried over by the next cycle."""

import pytest

from syncd.core.conflict import OPEN, SETTLED, ConflictRecord
from syncd.core.entry import Entry, Kind, Side
from syncd.core.error import SyncdError
from syncd.core.guard import Brake
from syncd.core.reason import Reason
from syncd.core.rules import Policy
from syncd.index import conflicts
from syncd.sync.decisions import Decider, kept_side
from tests.sync.desk import D, Desk, S
from tests.sync.lab import OLD_NS

LATER_NS = OLD_NS + 10**10
MANY = Brake(files=2, percent=10)


def decider(desk: Desk) -> Decider:
    return Decider(desk.cycle, desk.cycle.world)


def files(desk: Desk, side: Side) -> dict[bytes, bytes]:
    """Contents by path; directories and links have none."""
    return {path: node.data for path, node in desk.disks[side].walk() if node.kind is Kind.FILE}


# Held plans.


async def held(desk: Desk) -> str:
    """A directory of files is shared, then deleted at the source; the answer is the plan that is held."""
    user = desk.users[S]
    user.mkdir(b"d")
    for name in (b"d/a", b"d/b", b"d/c"):
        user.write(name, name, mtime_ns=OLD_NS)
    user.symlink(b"d/l", b"a")
    user.write(b"stays", b"here", mtime_ns=OLD_NS)
    await desk.sync()
    for name in (b"d/a", b"d/b", b"d/c", b"d/l"):
        user.delete(name)
    user.delete(b"d")
    report = await desk.sync()
    assert report.hold is not None
    assert desk.cycle.hold is report.hold
    assert len(files(desk, D)) == 4
    return report.hold.plan_id


async def test_an_approved_plan_is_done() -> None:
    async with Desk.open(approves_holds=False, brake=MANY) as desk:
        plan_id = await held(desk)
        approved = await decider(desk).approve(plan_id[:8])
        assert approved.plan_id == plan_id
        report = await desk.sync()
        assert report.hold is None
        assert files(desk, D) == {b"stays": b"here"}


async def test_a_rejected_plan_stays_held_and_is_not_told_again() -> None:
    async with Desk.open(approves_holds=False, brake=MANY) as desk:
        plan_id = await held(desk)
        assert decider(desk).reject(plan_id).plan_id == plan_id
        told = desk.told.count("pair.held")
        desk.cycle.hold = None
        assert (await desk.sync()).hold is not None
        assert desk.told.count("pair.held") == told
        assert len(files(desk, D)) == 4


async def test_a_reverted_plan_puts_everything_back() -> None:
    async with Desk.open(approves_holds=False, brake=MANY) as desk:
        plan_id = await held(desk)
        await decider(desk).revert(plan_id)
        report = await desk.sync()
        assert report.hold is None
        assert files(desk, S) == files(desk, D)
        assert files(desk, S)[b"d/b"] == b"d/b"
        assert desk.disks[S].at(b"d/l") is not None


async def test_what_came_back_by_itself_is_not_reverted() -> None:
    async with Desk.open(approves_holds=False, brake=MANY) as desk:
        plan_id = await held(desk)
        desk.users[S].mkdir(b"d")
        desk.users[S].write(b"d/a", b"mine", mtime_ns=LATER_NS)
        await desk.cycle.observe(S, [], [b"d"])
        await decider(desk).revert(plan_id)
        await desk.sync()
        assert files(desk, S)[b"d/a"] == files(desk, D)[b"d/a"] == b"mine"
        assert files(desk, S)[b"d/c"] == b"d/c"


async def test_a_revert_that_races_with_a_user_says_so() -> None:
    async with Desk.open(approves_holds=False, brake=MANY) as desk:
        plan_id = await held(desk)
        desk.users[S].mkdir(b"d")
        desk.users[S].write(b"d/a", b"mine", mtime_ns=LATER_NS)
        with pytest.raises(SyncdError) as caught:
            await decider(desk).revert(plan_id)
        assert caught.value.reason is Reason.CHANGING
        assert files(desk, S)[b"d/a"] == b"mine"


@pytest.mark.parametrize("plan_id", ["", "no such plan"])
async def test_only_the_held_plan_can_be_decided(plan_id: str) -> None:
    async with Desk.open(approves_holds=False, brake=MANY) as desk:
        with pytest.raises(SyncdError, match="nothing is held"):
            await decider(desk).approve(plan_id)
        held_id = await held(desk)
        with pytest.raises(SyncdError, match=held_id) as caught:
            decider(desk).reject(plan_id)
        assert caught.value.reason is Reason.NO_SUCH_ID


# Conflicts.


async def conflict(desk: Desk) -> ConflictRecord:
    """Both sides edit `f`, the source later."""
    desk.users[S].write(b"f", b"base", mtime_ns=OLD_NS)
    await desk.sync()
    desk.users[D].write(b"f", b"theirs", mtime_ns=OLD_NS + 10**9)
    desk.users[S].write(b"f", b"ours!", mtime_ns=LATER_NS)
    await desk.sync()
    (record,) = await desk.records()
    return record


RESOLVED = [
    (Policy.MANUAL, "source", [b"ours!"]),
    (Policy.MANUAL, "destination", [b"theirs"]),
    (Policy.MANUAL, "newest", [b"ours!"]),
    (Policy.MANUAL, "both", [b"ours!", b"theirs"]),
    (Policy.KEEP_BOTH, "source", [b"ours!"]),
    (Policy.KEEP_BOTH, "destination", [b"theirs"]),
    (Policy.KEEP_BOTH, "newest", [b"ours!"]),
    (Policy.KEEP_BOTH, "both", [b"ours!", b"theirs"]),
    (Policy.NEWEST_WINS, "source", [b"ours!"]),
    (Policy.NEWEST_WINS, "destination", [b"theirs"]),
    (Policy.NEWEST_WINS, "newest", [b"ours!"]),
    (Policy.NEWEST_WINS, "both", [b"ours!", b"theirs"]),
]


@pytest.mark.parametrize(("policy", "keep", "kept"), RESOLVED)
async def test_a_conflict_is_resolved(policy: Policy, keep: str, kept: list[bytes]) -> None:
    async with Desk.open(policy=policy) as desk:
        record = await conflict(desk)
        await decider(desk).resolve(record.id, keep)
        await desk.sync()
        assert files(desk, S) == files(desk, D)
        assert sorted(files(desk, S).values()) == kept
        assert files(desk, S)[b"f"] == kept[0]
        (after,) = await desk.records()
        assert after.id == record.id
        is_waiting = policy is Policy.MANUAL and keep == "both"
        assert after.state == (OPEN if is_waiting else SETTLED), "two copies stay open until one is gone"


async def test_a_settled_conflict_can_be_turned_over_once_more() -> None:
    async with Desk.open() as desk:
        record = await conflict(desk)
        await decider(desk).resolve(record.id, "destination")
        await desk.sync()
        assert files(desk, S) == {b"f": b"theirs"}
        with pytest.raises(SyncdError):
            await decider(desk).resolve(record.id, "destination")
        assert files(desk, S) == {b"f": b"theirs"}


async def test_the_losing_version_is_put_beside_the_winner_once() -> None:
    async with Desk.open() as desk:
        record = await conflict(desk)
        copy = await decider(desk).restore(record.id)
        assert copy.startswith(b"f (conflict ")
        assert await decider(desk).restore(record.id) == copy
        await desk.sync()
        assert files(desk, S) == files(desk, D) == {b"f": b"ours!", copy: b"theirs"}


async def test_a_restored_version_takes_a_free_name() -> None:
    async with Desk.open() as desk:
        record = await conflict(desk)
        copy = await decider(desk).restore(record.id)
        await desk.sync()
        desk.users[S].write(b"f", b"ours 2", mtime_ns=LATER_NS + 10**10)
        desk.users[D].write(b"f", b"theirs 2", mtime_ns=OLD_NS + 10**9)
        await desk.sync()
        (second,) = [one for one in await desk.records() if one.id != record.id]
        other = await decider(desk).restore(second.id)
        await desk.sync()
        assert other != copy
        assert files(desk, S) == files(desk, D) == {b"f": b"ours 2", copy: b"theirs", other: b"theirs 2"}


@pytest.mark.parametrize("keep", ["destination", "both"])
async def test_a_version_that_the_trash_lost_cannot_be_kept(keep: str) -> None:
    async with Desk.open() as desk:
        record = await conflict(desk)
        assert record.trash is not None
        await desk.database.write(conflicts.remove, record.id)
        bare = ConflictRecord(id=record.id, path=b"f", kind=record.kind, winner=S, state=SETTLED)
        await desk.database.write(conflicts.put, bare)
        with pytest.raises(SyncdError) as caught:
            await decider(desk).resolve(record.id, keep)
        assert caught.value.reason is Reason.NO_SUCH_ID
        assert files(desk, S) == {b"f": b"ours!"}


async def test_a_copy_that_a_user_removed_cannot_take_the_name() -> None:
    async with Desk.open(policy=Policy.KEEP_BOTH) as desk:
        record = await conflict(desk)
        assert record.loser_copy is not None
        for side in (S, D):
            desk.users[side].delete(record.loser_copy)
        await desk.cycle.observe_all()
        with pytest.raises(SyncdError) as caught:
            await decider(desk).resolve(record.id, "destination")
        assert caught.value.reason is Reason.NO_SUCH_PATH


async def test_there_is_no_such_conflict() -> None:
    async with Desk.open() as desk:
        for decide in (decider(desk).resolve("none", "source"), decider(desk).restore("none")):
            with pytest.raises(SyncdError) as caught:
                await decide
            assert caught.value.reason is Reason.NO_SUCH_ID


def version(mtime_ns: int) -> Entry:
    return Entry(Kind.FILE, 0o644, 1, mtime_ns)


@pytest.mark.parametrize(
    ("keep", "source", "destination", "kept"),
    [
        ("source", 1, 2, S),
        ("destination", 2, 1, D),
        ("both", 1, 2, None),
        ("newest", 1, 2, D),
        ("newest", 2, 1, S),
        ("newest", 2, 2, S),
        ("newest", None, 2, D),
        ("newest", 2, None, D),
    ],
)
def test_the_side_that_is_kept(
    keep: str, source: int | None, destination: int | None, kept: Side | None
) -> None:
    record = ConflictRecord(
        id="1",
        path=b"f",
        kind=Reason.CONFLICT_MODIFIED,
        source=None if source is None else version(source),
        destination=None if destination is None else version(destination),
        winner=D,
    )
    assert kept_side(record, keep) is kept
