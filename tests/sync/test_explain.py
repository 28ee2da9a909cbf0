"""Why a path is, or is not, in sync: the answer names what decides, and what happens next."""

from collections.abc import Awaitable, Callable

import pytest

from syncd.core.reason import Reason
from syncd.core.rules import Policy
from syncd.index import choices, pending
from syncd.sync.explain import Explained, explain
from tests.sync.desk import D, Desk, S
from tests.sync.lab import OLD_NS


async def ask(desk: Desk, path: bytes, *, is_settling: bool = False) -> Explained:
    chosen = await desk.database.read(choices.choices)
    return await desk.database.read(
        explain, path, desk.cycle.rules(chosen), desk.cycle.filter, is_settling=is_settling
    )


async def seen(desk: Desk) -> None:
    """Observed, and not synchronised yet."""
    await desk.cycle.open()
    await desk.cycle.observe_all()


async def in_sync(desk: Desk) -> None:
    desk.users[S].write(b"f", b"1", mtime_ns=OLD_NS)
    await desk.sync()


async def new(desk: Desk) -> None:
    desk.users[S].write(b"f", b"1", mtime_ns=OLD_NS)
    await seen(desk)


async def deleted(desk: Desk) -> None:
    await in_sync(desk)
    desk.users[D].delete(b"f")
    await seen(desk)


async def alike(desk: Desk) -> None:
    """As many bytes, other stamps: only reading tells."""
    await desk.sync()
    for side, stamp in ((S, OLD_NS), (D, OLD_NS + 7 * 10**9)):
        desk.users[side].write(b"f", b"1", mtime_ns=stamp)
    await seen(desk)


async def special(desk: Desk) -> None:
    desk.users[S].mkfifo(b"f")
    await desk.sync()


async def absent(desk: Desk) -> None:
    await desk.sync()


async def failed(desk: Desk) -> None:
    await in_sync(desk)
    await desk.database.write(pending.put, b"f", D, Reason.IO_ERROR, "EIO", desk.now)


async def waits(desk: Desk) -> None:
    """A conflict that a person must settle."""
    for side in (S, D):
        desk.users[side].write(b"f", b"of %d" % side, mtime_ns=OLD_NS)
    await desk.sync()


CASES = [
    (in_sync, Reason.IN_SYNC, True, "nothing"),
    (absent, Reason.ABSENT, True, "nothing"),
    (new, Reason.ADDED, False, "the next cycle will put it at the destination"),
    (deleted, Reason.DELETED, False, "the next cycle will delete it at the source"),
    (alike, Reason.COMPARING, False, "read and compared"),
    (failed, Reason.IO_ERROR, False, "tried again"),
    (waits, Reason.CONFLICT_MANUAL, False, "waits for you"),
]


@pytest.mark.parametrize(
    ("make", "reason", "is_synced", "step"), CASES, ids=[case[0].__name__ for case in CASES]
)
async def test_the_reason_and_what_follows(
    make: Callable[[Desk], Awaitable[None]], reason: Reason, is_synced: bool, step: str
) -> None:
    async with Desk.open(policy=Policy.MANUAL) as desk:
        await make(desk)
        found = await ask(desk, b"f")
        assert (found.reason, found.is_synced) == (reason, is_synced)
        assert step in found.next_step
        assert found.rule.startswith("two-way: ")
        if make is waits:
            assert found.conflict is not None
            assert found.conflict.path == b"f"
        if make is failed:
            assert found.pending is not None
            assert found.detail == "EIO"


async def test_a_special_file_is_left_alone() -> None:
    async with Desk.open() as desk:
        await special(desk)
        found = await ask(desk, b"f")
        assert found.reason is Reason.SPECIAL_FILE
        assert not found.is_synced


async def test_what_settles_is_looked_at_later() -> None:
    async with Desk.open() as desk:
        await in_sync(desk)
        found = await ask(desk, b"f", is_settling=True)
        assert found.reason is Reason.SETTLING
        assert not found.is_synced


async def test_an_ignored_path_names_its_rule() -> None:
    async with Desk.open(ignore=("*.tmp",)) as desk:
        desk.users[S].write(b"x.tmp", b"1")
        await desk.sync()
        found = await ask(desk, b"x.tmp")
        assert (found.reason, found.is_synced) == (Reason.IGNORED, True)
        assert found.ignored is not None
        assert found.ignored.rule == "*.tmp"


async def test_the_three_trees_are_told() -> None:
    async with Desk.open() as desk:
        await in_sync(desk)
        desk.users[S].write(b"f", b"longer", mtime_ns=OLD_NS + 1)
        await seen(desk)
        found = await ask(desk, b"f")
        sizes = [None if one is None else one.size for one in (found.source, found.destination, found.base)]
        assert sizes == [6, 1, 1]
        assert found.reason is Reason.MODIFIED


async def test_a_conflict_names_who_will_win() -> None:
    async with Desk.open() as desk:
        desk.users[S].write(b"f", b"of the source", mtime_ns=OLD_NS)
        desk.users[D].write(b"f", b"of the destination", mtime_ns=OLD_NS + 10**12)
        await seen(desk)
        found = await ask(desk, b"f")
        assert found.reason is Reason.CONFLICT_ADDED
        assert found.next_step == "in the next cycle the version of the destination gets the name"


async def test_a_reserved_name_is_an_issue_though_it_is_ignored() -> None:
    async with Desk.open() as desk:
        desk.users[S].write(b".SYNCD", b"1")
        await desk.sync()
        found = await ask(desk, b".SYNCD")
        assert (found.reason, found.is_synced) == (Reason.RESERVED_NAME, False)
        assert (await ask(desk, b".syncd")).reason is Reason.IGNORED
