"""The encryption signal: many files that become dense are held, and a person decides."""

import random

import pytest

from syncd.core.entry import Kind
from syncd.core.guard import Brake
from syncd.core.reason import Reason
from syncd.index import pending
from syncd.sync.decisions import Decider
from tests.sync.desk import D, Desk, S
from tests.sync.lab import OLD_NS

GENERATOR = random.Random(3)
BRAKE = Brake(files=20, percent=25)
SECOND = 10**9


def text(number: int) -> bytes:
    return b"Minutes of meeting number %d: nothing was decided, again, by anybody. " % number * 20


def noise() -> bytes:
    return GENERATOR.randbytes(1500)


async def office(desk: Desk, files: int = 40) -> None:
    """Documents on both sides, known to be equal."""
    desk.users[S].mkdir(b"d")
    for number in range(files):
        desk.users[S].write(b"d/%02d.txt" % number, text(number), mtime_ns=OLD_NS)
    await desk.sync()


def encrypt(desk: Desk, numbers: range, suffix: bytes = b"") -> None:
    for number in numbers:
        name = b"d/%02d.txt" % number
        if suffix:
            desk.users[S].rename(name, name + suffix)
        desk.users[S].write(name + suffix, noise(), mtime_ns=OLD_NS + SECOND)


def plain(desk: Desk) -> int:
    """How many documents can still be read at the destination."""
    nodes = [node for _, node in desk.disks[D].walk() if node.kind is Kind.FILE]
    return sum(node.data.startswith(b"Minutes") for node in nodes)


@pytest.mark.parametrize(("suffix", "reason"), [(b"", Reason.MASS_CHANGE), (b".locked", Reason.MASS_DELETE)])
async def test_encryption_is_held_and_the_rest_goes_on(suffix: bytes, reason: Reason) -> None:
    """Under a new name it looks like a deletion, which the brake counts."""
    async with Desk.open(approves_holds=False, brake=BRAKE) as desk:
        await office(desk)
        encrypt(desk, range(30), suffix)
        desk.users[S].write(b"new", b"a new file", mtime_ns=OLD_NS)
        for _ in range(3):
            report = await desk.sync()
            assert report.hold is not None
            assert report.hold.reason is reason
            assert len(report.hold.destructive) == 30
            assert plain(desk) == 40
        assert desk.told.count("pair.held") == 1
        assert desk.disks[D].find(b"new").data == b"a new file"
        reasons = {row.reason for row in await desk.database.read(pending.list_all)}
        assert reasons == {reason}


async def test_an_approval_lets_it_go_and_begins_the_window_anew() -> None:
    async with Desk.open(approves_holds=False, brake=BRAKE) as desk:
        await office(desk)
        encrypt(desk, range(30))
        report = await desk.sync()
        assert report.hold is not None
        await Decider(desk.cycle, desk.cycle.world).approve(report.hold.plan_id)
        report = await desk.sync()
        assert report.hold is None
        assert plain(desk) == 10
        encrypt(desk, range(30, 40))
        assert (await desk.sync()).hold is None
        assert plain(desk) == 0


async def test_a_reverted_plan_puts_the_documents_back() -> None:
    async with Desk.open(approves_holds=False, brake=BRAKE) as desk:
        await office(desk)
        encrypt(desk, range(30))
        report = await desk.sync()
        assert report.hold is not None
        await Decider(desk.cycle, desk.cycle.world).revert(report.hold.plan_id)
        report = await desk.sync()
        assert report.hold is None
        assert desk.disks[S].find(b"d/07.txt").data == desk.disks[D].find(b"d/07.txt").data == text(7)
        assert plain(desk) == 40


async def test_slow_encryption_adds_up_within_the_window() -> None:
    async with Desk.open(approves_holds=False, brake=BRAKE) as desk:
        await office(desk)
        held = []
        for start in range(0, 40, 4):
            encrypt(desk, range(start, start + 4))
            desk.now += SECOND
            held.append((await desk.sync()).hold is not None)
        assert held == [False] * 4 + [True] * 6
        assert plain(desk) == 40 - 16


async def test_the_window_forgets() -> None:
    async with Desk.open(approves_holds=False, brake=BRAKE) as desk:
        await office(desk)
        for start in range(0, 40, 4):
            encrypt(desk, range(start, start + 4))
            desk.now += 300 * SECOND
            assert (await desk.sync()).hold is None


async def test_ordinary_edits_of_everything_are_not_held() -> None:
    async with Desk.open(approves_holds=False, brake=BRAKE) as desk:
        await office(desk)
        for number in range(40):
            desk.users[S].write(b"d/%02d.txt" % number, text(number + 100), mtime_ns=OLD_NS + SECOND)
        assert (await desk.sync()).hold is None
        for number in range(8):
            desk.users[S].write(b"d/%02d.txt" % number, noise(), mtime_ns=OLD_NS + 2 * SECOND)
        assert (await desk.sync()).hold is None
        assert plain(desk) == 32
