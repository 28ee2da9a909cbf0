"""What lies in a trash and was told by nobody: a conflict record, unless it is a version that is known."""

from collections.abc import AsyncIterator

import pytest

from syncd.core.conflict import SETTLED
from syncd.core.entry import Entry, Kind
from syncd.core.reason import Reason
from syncd.core.rules import Policy
from tests.sync.desk import D, Desk, S
from tests.sync.lab import OLD_NS


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with Desk.open() as desk:
        yield desk


async def shared(desk: Desk) -> None:
    """One file on both sides, then another version of it at the source; not synchronised yet."""
    desk.users[S].write(b"f", b"base", mtime_ns=OLD_NS)
    await desk.sync()
    desk.users[S].write(b"f", b"newer!", mtime_ns=OLD_NS + 1)


async def test_what_a_killed_run_left_becomes_a_record(desk: Desk) -> None:
    await shared(desk)
    ref = desk.leave(b"f", b"somebody's edit")
    desk.restart()
    await desk.sync()
    (record,) = await desk.records()
    assert (record.path, record.kind, record.trash) == (b"f", Reason.CONFLICT_MODIFIED, ref)
    assert (record.state, record.winner) == (SETTLED, S)
    assert record.destination == Entry(Kind.FILE, 0o644, 15, OLD_NS)
    assert desk.told.count("conflict.recorded") == 1
    await desk.sync()
    desk.restart()
    await desk.sync()
    assert await desk.records() == [record], "and only one, over restarts"
    assert desk.told.count("conflict.recorded") == 1


@pytest.mark.parametrize("data", [b"base", b"newer!"])
async def test_what_equals_a_known_version_is_no_conflict(desk: Desk, data: bytes) -> None:
    """The base that was displaced, or the version that had been put in its place."""
    await shared(desk)
    desk.leave(b"f", data)
    desk.restart()
    await desk.sync()
    assert await desk.records() == []
    assert desk.users[D].read(b"f") == b"newer!"


async def test_what_was_stored_as_done_is_no_conflict_though_the_batch_seems_unfinished(desk: Desk) -> None:
    """A power cut may undo that the mark of a batch was taken away, after its results were stored."""
    await shared(desk)
    await desk.sync()
    await desk.unfinish()
    await desk.sync()
    assert await desk.records() == []


async def test_a_late_writer_is_noticed_in_the_next_cycle(desk: Desk) -> None:
    await shared(desk)
    handle = desk.users[D].open(b"f")
    await desk.sync()
    desk.users[S].write(b"g", b"1", mtime_ns=OLD_NS)
    await desk.look(b"g")
    assert await desk.records() == []
    await shared(desk)
    handle = desk.users[D].open(b"f")
    desk.users[S].write(b"f", b"newest!", mtime_ns=OLD_NS + 2)
    await desk.look(b"f")
    handle.write(b"late")
    await desk.look(b"g")
    (record,) = await desk.records()
    assert record.trash is not None
    assert record.path == b"f"
    location = desk.disks[D].control.children[record.trash.batch.encode()]
    assert location.children[record.trash.slot.encode()].data == b"late"
    handle.write(b"later")
    await desk.sync()
    (again,) = await desk.records()
    assert again.id == record.id, "one place in the trash, one record"
    handle.close()


async def test_a_touch_of_what_was_displaced_is_no_late_edit(desk: Desk) -> None:
    await shared(desk)
    handle = desk.users[D].open(b"f")
    await desk.sync()
    handle.write(b"base")
    await desk.sync()
    assert await desk.records() == []
    handle.close()


async def test_bytes_that_a_conflict_tells_of_are_told_once(desk: Desk) -> None:
    await shared(desk)
    desk.users[D].write(b"f", b"another", mtime_ns=OLD_NS + 10**10)
    handle = desk.users[S].open(b"f")
    await desk.sync()
    (record,) = await desk.records()
    assert record.trash is not None
    assert record.policy == Policy.NEWEST_WINS
    handle.write(b"late")
    await desk.sync()
    assert await desk.records() == [record]
    handle.close()
