"""The wall clock is set while the daemon runs: what waits is tried soon, what is kept stays.

And a side that turns into an older version of itself.
"""

import errno

import pytest

from syncd.core.error import TransientError
from syncd.index import approvals, history, pending
from syncd.tree.memory_trash import slots
from tests.sync.desk import D, Desk, S, files
from tests.sync.lab import OLD_NS

SECOND = 10**9
HOUR = 3600 * SECOND
DAY = 24 * HOUR
YEAR = 365 * DAY


class SetDesk(Desk):
    """A desk whose wall clocks can be set; `now` is monotonic."""

    ahead_ns = 0

    def now_ns(self) -> int:
        return self.now + self.ahead_ns

    def set_clock(self, by_ns: int) -> None:
        """For the daemon and for its file systems."""
        self.ahead_ns += by_ns
        for clock in self.clocks.values():
            clock.now += by_ns

    def later(self, ns: int) -> None:
        """Time passes."""
        self.now += ns
        for clock in self.clocks.values():
            clock.now += ns


@pytest.mark.parametrize("by_ns", [-HOUR, -10 * YEAR, 10 * YEAR])
@pytest.mark.parametrize("broken", [(S, "scan"), (D, "stage")])
async def test_clk_08_what_failed_is_tried_again_soon_and_not_at_once_for_ever(
    by_ns: int, broken: tuple[object, str]
) -> None:
    async with SetDesk.open() as desk:
        desk.users[S].mkdir(b"d")
        desk.users[S].write(b"d/f", b"content", mtime_ns=OLD_NS - 11 * YEAR)
        path = b"d" if broken[1] == "scan" else b"d/f"
        for side, tree in desk.trees.items():
            tree.fault = lambda operation, at, side=side: (  # type: ignore[misc]
                errno.EIO if (side, operation) == broken and at == path else None
            )
        await desk.sync()
        desk.set_clock(by_ns)
        desk.later(2 * SECOND)
        await desk.cycle.synchronise(lambda: False)
        row = await desk.database.read(pending.get, path)
        assert row is not None
        assert row.attempts == 2
        assert row.next_attempt_ns == desk.now_ns() + pending.delay_ns(2), "its pauses go on growing"
        for tree in desk.trees.values():
            tree.fault = lambda operation, at: None
        await desk.cycle.synchronise(lambda: False)
        assert desk.disks[D].at(b"d/f") is None, "it is not due yet"
        desk.later(2 * SECOND)
        await desk.cycle.synchronise(lambda: False)
        assert desk.users[D].read(b"d/f") == b"content"


@pytest.mark.parametrize("is_set_right", [False, True])
async def test_clk_08_nothing_kept_expires_at_once_when_the_clock_leaps_ahead(is_set_right: bool) -> None:
    async with SetDesk.open(trash_keep_s=30 * 86400) as desk:
        desk.users[S].write(b"f", b"0123456789", mtime_ns=OLD_NS)
        await desk.sync()
        desk.users[S].write(b"f", b"new", mtime_ns=OLD_NS + 1)
        await desk.sync()
        await desk.database.write(approvals.approve, ["digest"], desk.now_ns())
        batches = await desk.database.read(history.batches)
        assert await desk.cycle.expire_trash() == 0
        desk.set_clock(10 * YEAR)
        for _ in range(2):
            desk.later(HOUR)
            assert await desk.cycle.expire_trash() == 0
            desk.restart()
            await desk.cycle.open()
        assert await desk.trees[D].trash_bytes() == 10
        assert await desk.database.read(history.batches) == batches
        assert await desk.database.read(approvals.approved) == {"digest"}
        if is_set_right:
            desk.set_clock(-10 * YEAR)
            desk.later(2 * DAY)
            assert await desk.cycle.expire_trash() == 0
            for _ in range(27):
                desk.later(DAY)
                assert await desk.cycle.expire_trash() == 0
        desk.later(DAY)
        assert await desk.cycle.expire_trash() == 10, "what it is now is the time"
        assert await desk.database.read(history.batches) == []


async def test_clk_08_no_room_is_made_by_what_only_seems_old() -> None:
    async with SetDesk.open(trash_max_bytes=25, trash_keep_s=30 * 86400) as desk:
        desk.users[S].write(b"f", b"0123456789", mtime_ns=OLD_NS)
        await desk.sync()
        for number in range(2):
            desk.later(SECOND)
            desk.users[S].write(b"f", b"version %02d" % number, mtime_ns=OLD_NS + number + 1)
            await desk.sync()
        assert await desk.cycle.expire_trash() == 0
        desk.set_clock(10 * YEAR)
        desk.users[S].write(b"f", b"last", mtime_ns=OLD_NS + 9)
        with pytest.raises(TransientError, match="20 of 25 bytes"):
            await desk.sync()
        assert await desk.trees[D].trash_bytes() == 20
        desk.later(DAY + SECOND)
        await desk.sync()
        assert desk.users[D].read(b"f") == b"last"


async def test_clk_08_a_stamp_from_the_future_is_read_when_met_and_not_again_and_again() -> None:
    async with SetDesk.open() as desk:
        desk.users[S].write(b"f", b"one", mtime_ns=OLD_NS)
        await desk.sync()
        desk.users[S].write(b"f", b"two", mtime_ns=OLD_NS)
        desk.set_clock(-HOUR)
        assert (await desk.cycle.observe(S, [b"f"], ())).racy == ()
        await desk.cycle.synchronise(lambda: False)
        assert desk.users[D].read(b"f") == b"two"
        desk.disks[S].find(b"f").data = b"six"  # no stamp tells
        await desk.look(b"f")
        assert desk.users[D].read(b"f") == b"six"


@pytest.mark.parametrize("share", [0.2, 1.0])
async def test_roo_11_a_side_that_was_rolled_back_loses_nothing_of_the_newer_one(share: float) -> None:
    """What was edited since is kept in the trash of the other side; what is not there yet is missing as if
    it had been deleted, which the brake counts."""
    async with Desk.open(approves_holds=False) as desk:
        for number in range(100):
            desk.users[S].write(b"old %02d" % number, b"%02d before" % number, mtime_ns=OLD_NS)
        await desk.sync()
        since = range(int(40 * share))
        desk.users[S].write(b"old 00", b"00 edited", mtime_ns=OLD_NS + 10**10)
        for number in since:
            desk.users[S].write(b"new %02d" % number, b"%02d is new" % number, mtime_ns=OLD_NS + 10**10)
        await desk.sync()
        desk.users[S].write(b"old 00", b"00 before", mtime_ns=OLD_NS)
        for number in since:
            desk.users[S].delete(b"new %02d" % number)
        report = await desk.sync()
        assert (report.hold is not None) is (len(since) >= 20)
        kept = {node.data for _, _, node, _ in slots(desk.disks[D])}
        there = set(files(desk, D).values())
        assert {b"00 edited", *(b"%02d is new" % number for number in since)} <= kept | there
