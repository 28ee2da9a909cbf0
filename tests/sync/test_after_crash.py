"""Since an unclean stop a file that shrank without a new time stamp is suspect; another file at its name is
none."""

import pytest

from syncd.index import meta
from tests.sync.desk import D, Desk, S, files
from tests.sync.lab import OLD_NS


async def crash(desk: Desk) -> None:
    """As the next opening finds it."""
    await desk.database.write(meta.set_unclean, True)


@pytest.mark.parametrize("side", [S, D])
async def test_a_file_that_is_renamed_over_a_larger_one_of_its_tick_is_no_torn_file(side: object) -> None:
    async with Desk.open() as desk:
        desk.users[S].write(b"large", b"written at once", mtime_ns=OLD_NS)
        desk.users[S].write(b"small", b"with this", mtime_ns=OLD_NS)
        await desk.sync()
        await crash(desk)
        desk.users[S if side is S else D].rename(b"small", b"large")
        desk.restart()
        await desk.sync()
        assert files(desk, S) == files(desk, D) == {b"large": b"with this"}


@pytest.mark.parametrize("is_told", [False, True])
async def test_nor_is_one_that_is_renamed_to_the_name_of_a_deleted_one(is_told: bool) -> None:
    async with Desk.open() as desk:
        desk.users[S].write(b"large", b"written at once", mtime_ns=OLD_NS)
        desk.users[S].write(b"small", b"with this", mtime_ns=OLD_NS)
        await desk.sync()
        await crash(desk)
        desk.users[S].delete(b"large")
        desk.restart()
        await desk.cycle.open()
        if is_told:
            await desk.cycle.observe_all()
        desk.users[S].rename(b"small", b"large")
        await desk.sync()
        assert files(desk, S) == files(desk, D) == {b"large": b"with this"}


async def test_a_file_that_was_torn_is_put_back() -> None:
    """Also one that had come by a rename itself."""
    async with Desk.open() as desk:
        desk.users[D].write(b"f", b"v1")
        await desk.sync()
        desk.users[D].write(b"f~", b"version 2")
        desk.users[D].rename(b"f~", b"f")
        await desk.sync()
        await crash(desk)
        node = desk.disks[D].find(b"f")
        stamp = node.mtime_ns
        desk.disks[D].set_data(node, b"ver")
        desk.disks[D].set_mtime(node, stamp)
        desk.restart()
        await desk.sync()
        assert files(desk, S) == files(desk, D) == {b"f": b"version 2"}
