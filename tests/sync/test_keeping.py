"""Room in the trash, and what is forgotten with it."""

import msgspec
import pytest

from syncd.core.conflict import OPEN
from syncd.core.error import TransientError
from syncd.core.reason import Reason
from syncd.core.rules import Policy
from syncd.index import approvals, conflicts, history
from tests.sync.desk import D, Desk, S
from tests.sync.lab import OLD_NS

DAY_NS = 86400 * 10**9


async def filled(desk: Desk) -> None:
    """Ten bytes in a file of both sides; then another version at the source."""
    desk.users[S].write(b"f", b"0123456789", mtime_ns=OLD_NS)
    await desk.sync()
    desk.users[S].write(b"f", b"new", mtime_ns=OLD_NS + 1)


def later(desk: Desk, days: int) -> None:
    """Time passes, for the daemon and for the disks."""
    desk.now += days * DAY_NS
    for clock in desk.clocks.values():
        clock.now += days * DAY_NS


async def test_what_finds_no_room_waits_and_goes_on_when_there_is_some() -> None:
    async with Desk.open(trash_max_bytes=15) as desk:
        await filled(desk)
        await desk.sync()
        assert await desk.trees[D].trash_bytes() == 10
        desk.users[S].write(b"f", b"third", mtime_ns=OLD_NS + 2)
        await desk.sync()
        assert await desk.trees[D].trash_bytes() == 13
        desk.users[S].write(b"f", b"fourth", mtime_ns=OLD_NS + 3)
        for _ in range(2):
            with pytest.raises(TransientError) as caught:
                await desk.look(b"f")
            assert caught.value.reason is Reason.TRASH_FULL
            assert desk.users[D].read(b"f") == b"third", "nothing was overwritten"
        later(desk, 2)
        await desk.cycle.synchronise(lambda: False)
        assert desk.users[D].read(b"f") == b"fourth"
        assert await desk.trees[D].trash_bytes() <= 15


async def test_additions_need_no_room() -> None:
    async with Desk.open(trash_max_bytes=0) as desk:
        desk.users[S].write(b"f", b"0123456789", mtime_ns=OLD_NS)
        assert (await desk.sync()).done == 1
        desk.users[S].write(b"f", b"", mtime_ns=OLD_NS + 1)
        with pytest.raises(TransientError):
            await desk.sync()


async def test_pinned_bytes_make_no_room() -> None:
    async with Desk.open(trash_max_bytes=15, trash_keep_s=10**9) as desk:
        await filled(desk)
        desk.users[D].write(b"f", b"loses!", mtime_ns=OLD_NS - 10**10)
        desk.users[S].write(b"f", b"newer", mtime_ns=OLD_NS + 10**10)
        await desk.sync()
        (record,) = await desk.records()
        pin = msgspec.structs.replace(record, id="pin", path=b"another", state=OPEN)
        await desk.database.write(conflicts.put, pin)
        desk.users[S].write(b"f", b"0123456789", mtime_ns=OLD_NS + 2 * 10**10)
        await desk.sync()
        later(desk, 3)
        desk.users[S].write(b"f", b"x", mtime_ns=OLD_NS + 3 * 10**10)
        with pytest.raises(TransientError):
            await desk.sync()


async def test_the_journal_and_approvals_go_with_the_trash() -> None:
    async with Desk.open(trash_keep_s=5 * 86400) as desk:
        await filled(desk)
        await desk.database.write(approvals.approve, ["digest"], desk.now)
        await desk.cycle.expire_trash()
        batches = await desk.database.read(history.batches)
        assert len(batches) == 1
        later(desk, 4)
        await desk.cycle.expire_trash()
        assert await desk.database.read(history.batches) == batches
        assert await desk.database.read(approvals.approved) == {"digest"}
        later(desk, 2)
        await desk.cycle.expire_trash()
        assert await desk.database.read(history.batches) == []
        assert await desk.database.read(approvals.approved) == frozenset()


@pytest.mark.parametrize("is_half_done", [False, True])
async def test_cra_07_what_was_displaced_before_a_kill_expires_in_another_life(is_half_done: bool) -> None:
    """The results were stored, its batch still counts as unfinished; or the trash is expired, and the journal
    not yet told."""
    async with Desk.open(trash_keep_s=5 * 86400) as desk:
        await filled(desk)
        await desk.sync()
        await desk.unfinish()
        await desk.sync()
        assert await desk.records() == []
        for _ in range(5):
            assert await desk.cycle.expire_trash() == 0
            later(desk, 1)
        later(desk, 1)
        if is_half_done:
            assert await desk.trees[D].expire_trash(5 * 86400, None, frozenset()) == 10
            desk.restart()
            await desk.sync()
        assert await desk.cycle.expire_trash() == (0 if is_half_done else 10)
        assert await desk.trees[D].trash_bytes() == 0
        assert await desk.database.read(history.batches) == []
        assert desk.users[D].read(b"f") == b"new"


async def test_the_brake_keeps_its_memory_of_a_day() -> None:
    async with Desk.open(trash_keep_s=0, policy=Policy.NEWEST_WINS) as desk:
        await filled(desk)
        desk.now += 3600 * 10**9
        await desk.cycle.expire_trash()
        assert len(await desk.database.read(history.batches)) == 1
