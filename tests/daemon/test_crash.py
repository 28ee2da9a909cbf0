"""CRA-03 with real trees: what an unclean stop may have cut short is not put over a good version."""

import os
import random
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from syncd.core.entry import Side
from syncd.core.error import NeedsUser
from syncd.core.reason import Reason
from syncd.index import conflicts, pending
from syncd.index.database import Database
from syncd.index.seal import seal_name
from tests.daemon.desk import OLD_NS, Desk, contents


def crash(desk: Desk) -> None:
    """As after a kill or a power cut: the state is whole, and not sealed."""
    seal_name(desk.database).unlink()


def cut_power(desk: Desk) -> None:
    """As after a power cut: in the boot that the state tells of, the disks were attached another time."""
    crash(desk)
    with closing(sqlite3.connect(desk.database)) as db, db:
        for key, value in db.execute("SELECT key, value FROM meta WHERE key LIKE 'root.%'").fetchall():
            root = msgspec.json.decode(value)
            assert root["attachment"]
            root["attachment"] = "an earlier one"
            db.execute("UPDATE meta SET value = ? WHERE key = ?", (msgspec.json.encode(root), key))


def tear(path: Path, data: bytes) -> None:
    """Bytes that did not reach the disk, under the size and the time stamp that did."""
    before = path.stat()
    assert before.st_size == len(data)
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def cut(path: Path, size: int = 0) -> None:
    """What a crash does to a file that was not synced: the size goes, the time stamp stays."""
    before = path.stat()
    os.truncate(path, size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


async def reasons(desk: Desk) -> dict[bytes, Reason]:
    database = await Database.open(desk.database)
    try:
        return {row.path: row.reason for row in await database.read(pending.list_all)}
    finally:
        await database.close()


async def begun(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.write(desk.source / "f", b"0123456789")
    desk.write(desk.source / "g", b"9876543210")
    await desk.sync()
    return desk


async def test_the_good_version_is_put_back(tmp_path: Path) -> None:
    desk = await begun(tmp_path)
    crash(desk)
    cut(desk.source / "f")
    cut(desk.destination / "g", 4)
    await desk.sync()
    assert contents(desk.source) == contents(desk.destination) == {"f": b"0123456789", "g": b"9876543210"}
    assert sorted(path.read_bytes() for path in desk.destination.glob(".syncd/trash/*/r*")) == [b"9876"]
    cut(desk.source / "f", 3)
    await desk.sync()
    assert contents(desk.destination)["f"] == b"012", "after a clean stop it is a user's change"


async def test_what_has_no_good_version_waits_until_it_is_touched(tmp_path: Path) -> None:
    desk = await begun(tmp_path)
    crash(desk)
    cut(desk.source / "f")
    desk.write(desk.destination / "f", b"edited meanwhile", OLD_NS + 10**10)
    for _ in range(3):
        outcome = await desk.sync()
        assert outcome.overview.issues == 1
        assert await reasons(desk) == {b"f": Reason.SUSPECT_TRUNCATED}
        assert contents(desk.source)["f"] == b""
        assert contents(desk.destination)["f"] == b"edited meanwhile"
    desk.write(desk.source / "f", b"restored by hand", OLD_NS + 10**11)
    await desk.sync()
    assert contents(desk.source) == contents(desk.destination)
    assert contents(desk.source)["f"] == b"restored by hand"
    assert await reasons(desk) == {}
    cut(desk.source / "g", 3)
    await desk.sync()
    assert contents(desk.destination)["g"] == b"987"


@pytest.mark.parametrize("side", ["source", "destination"])
async def test_a_file_that_a_power_cut_zeroed_gets_its_good_version_back(tmp_path: Path, side: str) -> None:
    desk = await begun(tmp_path)
    cut_power(desk)
    tear(getattr(desk, side) / "f", bytes(10))
    await desk.sync()
    assert contents(desk.source) == contents(desk.destination) == {"f": b"0123456789", "g": b"9876543210"}
    assert [path.read_bytes() for path in getattr(desk, side).glob(".syncd/trash/*/r*")] == [bytes(10)]
    tear(desk.source / "f", bytes(10))
    await desk.sync()
    assert contents(desk.destination)["f"] == bytes(10), "the power cut is dealt with"


async def test_other_bytes_are_replaced_and_told(tmp_path: Path) -> None:
    """Torn, or what a data base had synced without its time stamp: nobody can tell."""
    desk = await begun(tmp_path)
    cut_power(desk)
    tear(desk.source / "f", b"torn or so")
    await desk.sync()
    assert contents(desk.source) == contents(desk.destination)
    assert contents(desk.source)["f"] == b"0123456789"
    database = await Database.open(desk.database)
    try:
        (told,) = await database.read(conflicts.list_all)
    finally:
        await database.close()
    assert (told.path, told.kind, told.winner) == (b"f", Reason.SUSPECT_TORN, Side.DESTINATION)
    assert told.trash is not None
    kept = desk.source / ".syncd/trash" / told.trash.batch / told.trash.slot
    assert kept.read_bytes() == b"torn or so"


async def test_what_has_no_good_version_beside_it_stays_suspect(tmp_path: Path) -> None:
    """That outlasts restarts, unclean ones too, and puts no other file under suspicion."""
    desk = await begun(tmp_path)
    cut_power(desk)
    tear(desk.source / "f", b"torn or so")
    desk.write(desk.destination / "f", b"edited meanwhile", OLD_NS + 10**10)
    for is_killed in (False, True, False):
        await desk.sync()
        assert await reasons(desk) == {b"f": Reason.SUSPECT_TORN}
        assert contents(desk.destination)["f"] == b"edited meanwhile"
        if is_killed:
            crash(desk)
    tear(desk.source / "g", b"a deed now")
    await desk.sync()
    assert contents(desk.destination)["g"] == b"a deed now"
    desk.write(desk.source / "f", b"restored by hand", OLD_NS + 10**11)
    await desk.sync()
    assert contents(desk.source) == contents(desk.destination)
    assert contents(desk.source)["f"] == b"restored by hand"
    assert await reasons(desk) == {}


async def test_the_same_after_a_kill_is_a_users_deed(tmp_path: Path) -> None:
    desk = await begun(tmp_path)
    crash(desk)
    tear(desk.source / "f", b"in a tick!")
    await desk.sync()
    assert contents(desk.destination)["f"] == b"in a tick!"


async def test_many_files_that_come_back_are_no_alarm(tmp_path: Path) -> None:
    """Photos over zeros look like documents that were encrypted."""
    desk = Desk(tmp_path)
    photos = {f"p{number:02}": random.Random(number).randbytes(5000) for number in range(30)}
    for name, data in photos.items():
        desk.write(desk.source / name, data)
    await desk.sync()
    cut_power(desk)
    for name in photos:
        tear(desk.source / name, bytes(5000))
    outcome = await desk.sync()
    assert not outcome.overview.issues
    assert contents(desk.source) == contents(desk.destination) == photos


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
async def test_a_put_that_fails_is_tried_again_and_nothing_goes_the_other_way(tmp_path: Path) -> None:
    desk = await begun(tmp_path)
    cut_power(desk)
    tear(desk.source / "f", bytes(10))
    if subprocess.run(["chattr", "+i", desk.source / "f"], capture_output=True, check=False).returncode:
        pytest.skip("no immutable files here")
    try:
        for _ in range(2):
            await desk.sync()
            assert contents(desk.destination)["f"] == b"0123456789"
    finally:
        subprocess.run(["chattr", "-i", desk.source / "f"], check=True)
    await desk.sync()
    assert contents(desk.source) == contents(desk.destination)
    assert contents(desk.source)["f"] == b"0123456789"


async def test_a_power_cut_is_not_forgotten_while_a_root_is_away(tmp_path: Path) -> None:
    desk = await begun(tmp_path)
    cut_power(desk)
    tear(desk.source / "f", bytes(10))
    desk.destination.rename(tmp_path / "away")
    with pytest.raises(NeedsUser):
        await desk.sync()
    (tmp_path / "away").rename(desk.destination)
    await desk.sync()
    assert contents(desk.source) == contents(desk.destination)
    assert contents(desk.source)["f"] == b"0123456789"
