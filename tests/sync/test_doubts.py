"""Steps that were done and not answered as done, since a sync failed: nobody takes them for a user's edit."""

import errno

import pytest

from syncd.core.error import TransientError
from syncd.core.rules import Policy
from syncd.index import pending
from syncd.index.database import Database
from syncd.sync import intents
from tests.sync.desk import D, Desk, S
from tests.sync.lab import OLD_NS


def fail_syncs(desk: Desk, *wanted: int) -> None:
    """The destination's syncs of these numbers fail; a batch stages with one and ends with one."""
    calls = 0

    def fault(operation: str, path: bytes) -> int | None:
        nonlocal calls
        calls += operation == "sync"
        return errno.EIO if operation == "sync" and calls in wanted else None

    desk.trees[D].fault = fault


async def noted(database: Database) -> list[bytes]:
    found = await database.read(intents.unfinished)
    return [one.action.path for _, batch in found for one in batch]


async def test_what_was_put_in_place_is_known_though_its_sync_failed() -> None:
    async with Desk.open() as desk:
        await desk.sync()
        desk.users[S].write(b"f", b"content", mtime_ns=OLD_NS)
        fail_syncs(desk, 2)
        await desk.cycle.observe_all()
        report = await desk.cycle.synchronise(lambda: False)
        assert (report.done, report.failed) == (1, 0)
        assert desk.disks[D].in_flight == set()
        desk.users[S].delete(b"f")
        await desk.look(b"f")
        assert desk.disks[D].at(b"f") is None
        assert await desk.database.read(pending.list_all) == []
        assert await noted(desk.database) == []


async def test_what_lies_in_a_new_directory_is_known_though_the_sync_of_that_failed() -> None:
    async with Desk.open() as desk:
        await desk.sync()
        desk.users[S].mkdir(b"new")
        desk.users[S].write(b"new/f", b"content", mtime_ns=OLD_NS)
        fail_syncs(desk, 2)
        await desk.cycle.observe_all()
        await desk.cycle.synchronise(lambda: False)
        assert desk.users[D].read(b"new/f") == b"content"
        desk.users[S].delete(b"new/f")
        await desk.look(b"new/f")
        assert desk.disks[D].at(b"new/f") is None


async def test_a_doubt_lasts_until_the_device_works_again() -> None:
    """The pair waits; before it learns anything else of the trees, what was done is stored."""
    async with Desk.open() as desk:
        await desk.sync()
        desk.users[S].write(b"f", b"content", mtime_ns=OLD_NS)
        fail_syncs(desk, 2, 3, 4)
        await desk.cycle.observe_all()
        assert (await desk.cycle.synchronise(lambda: False)).failed == 1
        assert await noted(desk.database) == [b"f"]
        desk.users[S].rename(b"f", b"g")
        with pytest.raises(TransientError):
            await desk.cycle.observe_all()
        await desk.cycle.observe_all()
        await desk.cycle.synchronise(lambda: False)
        assert await noted(desk.database) == []
        assert [path for path, _ in desk.disks[S].walk()] == [b"g"]
        assert [path for path, _ in desk.disks[D].walk()] == [b"g"]


async def test_what_cannot_be_looked_at_stays_noted() -> None:
    async with Desk.open() as desk:
        await desk.sync()
        desk.users[S].write(b"f", b"content", mtime_ns=OLD_NS)
        fail_syncs(desk, 2, 3)
        await desk.cycle.observe_all()
        await desk.cycle.synchronise(lambda: False)
        for operation in ("look", "read"):
            desk.trees[D].fault = lambda what, path, operation=operation: (  # type: ignore[misc]
                errno.EIO if (what, path) == (operation, b"f") else None
            )
            await desk.cycle.open()
            assert await noted(desk.database) == [b"f"]
        desk.restart()
        await desk.cycle.open()
        assert await noted(desk.database) == []


async def test_what_was_displaced_though_a_sync_failed_is_told_and_kept() -> None:
    """As if that had not failed: journal, conflict record and trash."""
    async with Desk.open(policy=Policy.SOURCE_WINS) as desk:
        desk.users[S].write(b"f", b"first", mtime_ns=OLD_NS)
        await desk.sync()
        desk.users[S].write(b"f", b"by the source")
        desk.users[D].write(b"f", b"by the destination")
        fail_syncs(desk, 2)
        await desk.sync()
        (record,) = await desk.records()
        assert record.trash is not None
        assert desk.users[D].read(b"f") == b"by the source"
        desk.restart()
        await desk.sync()
        assert await desk.records() == [record]


async def test_a_doubt_about_ignore_rules_brings_them_into_force() -> None:
    async with Desk.open() as desk:
        desk.users[S].write(b".syncignore", b"*.tmp\n", mtime_ns=OLD_NS)
        desk.users[S].write(b"x.tmp", b"not yet", mtime_ns=OLD_NS)
        await desk.sync()
        desk.users[S].delete(b".syncignore")
        fail_syncs(desk, 2)
        await desk.sync()
        await desk.sync()
        assert desk.users[D].read(b"x.tmp") == b"not yet"
