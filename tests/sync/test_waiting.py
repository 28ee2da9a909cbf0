"""What could not be done now is done later: nothing that waits is forgotten, and nothing spins.

Each case was a seed of the simulation first (`tests/sim/seeds.txt`).
"""

import errno

from syncd.core.reason import Reason
from syncd.index import pending
from syncd.sync.cycle import Report
from tests.sync.desk import D, Desk, S
from tests.sync.lab import OLD_NS

SECOND = 10**9


def fail(desk: Desk, *wanted: tuple[object, str, bytes]) -> None:
    """Calls that fail with EIO: side, operation, path. No more than these."""
    for side, tree in desk.trees.items():
        broken = {(operation, path) for at, operation, path in wanted if at is side}
        tree.fault = lambda operation, path, broken=broken: (  # type: ignore[misc]
            errno.EIO if (operation, path) in broken else None
        )


async def later(desk: Desk, seconds: int = 2) -> Report:
    """What is due after some time; nothing new is told."""
    desk.now += seconds * SECOND
    return await desk.cycle.synchronise(lambda: False)


async def test_a_put_that_failed_is_not_forgotten_by_the_next_scan() -> None:
    async with Desk.open() as desk:
        desk.users[S].write(b"f", b"content", mtime_ns=OLD_NS)
        await desk.cycle.open()
        fail(desk, (D, "stage", b"f"))
        await desk.cycle.observe_all()
        assert (await desk.cycle.synchronise(lambda: False)).failed
        fail(desk)
        await desk.cycle.observe_all()
        await later(desk)
        assert desk.users[D].read(b"f") == b"content"
        await later(desk)
        assert await desk.database.read(pending.list_all) == []


async def test_a_rename_that_failed_is_tried_again_as_a_rename() -> None:
    async with Desk.open() as desk:
        desk.users[S].write(b"a", b"content", mtime_ns=OLD_NS)
        await desk.sync()
        inode = desk.disks[D].find(b"a").number
        desk.users[S].rename(b"a", b"b")
        fail(desk, (D, "move", b"a"))
        await desk.cycle.observe_all()
        assert (await desk.cycle.synchronise(lambda: False)).failed
        fail(desk)
        await later(desk)
        assert desk.disks[D].at(b"a") is None
        assert desk.disks[D].find(b"b").number == inode


async def test_a_directory_that_could_not_be_listed_is_listed_when_it_is_due() -> None:
    async with Desk.open() as desk:
        desk.users[S].mkdir(b"d")
        desk.users[S].write(b"d/f", b"content", mtime_ns=OLD_NS)
        fail(desk, (S, "scan", b"d"))
        await desk.cycle.open()
        await desk.cycle.observe_all()
        await desk.cycle.synchronise(lambda: False)
        (row,) = await desk.database.read(pending.list_all)
        assert (row.path, row.reason, row.is_observed) == (b"d", Reason.IO_ERROR, True)
        await later(desk)
        (row,) = await desk.database.read(pending.list_all)
        assert row.next_attempt_ns is not None
        assert row.next_attempt_ns > desk.now, "what was tried in vain is not due at once"
        assert row.attempts == 2
        fail(desk)
        await later(desk, 10)
        assert desk.users[D].read(b"d/f") == b"content"
        await later(desk)
        assert await desk.database.read(pending.list_all) == []


async def test_what_a_scan_released_outlives_a_crash() -> None:
    async with Desk.open() as desk:
        desk.users[S].write(b"f", b"content", mtime_ns=OLD_NS)
        fail(desk, (D, "scan", b""))
        await desk.sync()
        assert desk.disks[D].at(b"f") is None
        fail(desk)
        await desk.cycle.observe_all()
        desk.restart()
        await desk.sync()
        assert desk.users[D].read(b"f") == b"content"


async def test_content_follows_mode_bits_that_went_first() -> None:
    async with Desk.open() as desk:
        desk.users[S].write(b"f", b"old", mtime_ns=OLD_NS)
        await desk.sync()
        desk.users[S].write(b"f", b"newer", mtime_ns=OLD_NS + SECOND)
        desk.users[D].chmod(b"f", 0o755)
        await desk.sync()
        for side in (S, D):
            assert desk.users[side].read(b"f") == b"newer"
            assert desk.disks[side].find(b"f").mode == 0o755


async def test_a_directory_that_is_not_empty_is_listed() -> None:
    async with Desk.open() as desk:
        desk.users[S].mkdir(b"d")
        await desk.sync()
        desk.users[S].delete(b"d")
        desk.users[D].write(b"d/unseen", b"content", mtime_ns=OLD_NS)
        await desk.look(b"d", S)
        assert desk.users[S].read(b"d/unseen") == b"content"
        assert desk.users[D].read(b"d/unseen") == b"content"


async def test_a_directory_that_nobody_listed_is_listed() -> None:
    async with Desk.open() as desk:
        await desk.sync()
        desk.users[D].mkdir(b"d")
        desk.users[D].write(b"d/theirs", b"theirs", mtime_ns=OLD_NS)
        await desk.cycle.observe(D, [b"d"], ())
        await desk.cycle.synchronise(lambda: False)
        desk.users[S].write(b"d/ours", b"ours", mtime_ns=OLD_NS)
        await desk.look(b"d/ours", S)
        for _ in range(3):
            await later(desk)
        for side in (S, D):
            assert desk.users[side].read(b"d/ours") == b"ours"
            assert desk.users[side].read(b"d/theirs") == b"theirs"
