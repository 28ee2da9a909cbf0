"""A rehearsal: the engine says what it would do, and nothing is written."""

import pytest

from syncd.core.action import Action, Delete, MakeDirectory, Move, Put, RemoveDirectory, SetMode, TrashRef
from syncd.core.entry import Entry, Kind, Side
from syncd.core.mode import Mode
from syncd.sync.cycle import Cycle
from syncd.sync.rehearsal import Rehearsal
from syncd.tree.memory_disk import Disk
from syncd.tree.port import Batch, Step
from tests.sync.desk import D, Desk, S
from tests.sync.lab import OLD_NS


def rehearsed(desk: Desk) -> list[Action]:
    """From now on the desk's cycle pretends; the list is what it would do."""
    done: list[Action] = []
    trees = {side: Rehearsal(tree, done) for side, tree in desk.trees.items()}
    desk.cycle = Cycle(desk.cycle.settings, desk.database, trees, desk.cycle.world)
    return done


def images(desk: Desk) -> list[object]:
    return [disk.image() for disk in desk.disks.values()]


def told(action: Action) -> tuple[str, Side, bytes]:
    return type(action).__name__, action.side, action.path


async def test_everything_is_told_and_nothing_is_done() -> None:
    async with Desk.open() as desk:
        user = desk.users[S]
        user.mkdir(b"old")
        user.mkdir(b"gone")
        for name in (b"old/f", b"gone/f", b"mode", b"edit", b"moved"):
            user.write(name, name, mtime_ns=OLD_NS)
        await desk.sync()
        user.rename(b"old", b"new")
        user.write(b"new/f", b"edited in a moved directory", mtime_ns=OLD_NS + 1)
        user.delete(b"gone/f")
        user.delete(b"gone")
        user.chmod(b"mode", 0o600)
        user.write(b"edit", b"edited", mtime_ns=OLD_NS + 1)
        user.rename(b"moved", b"moved away")
        user.mkdir(b"made")
        before = images(desk)
        done = rehearsed(desk)
        report = await desk.sync()
        assert images(desk) == before
        assert {told(action) for action in done} == {
            ("Move", D, b"old"),
            ("Put", D, b"new/f"),
            ("Delete", D, b"gone/f"),
            ("RemoveDirectory", D, b"gone"),
            ("SetMode", D, b"mode"),
            ("Put", D, b"edit"),
            ("Move", D, b"moved"),
            ("MakeDirectory", D, b"made"),
        }
        assert (report.done, report.is_complete) == (8, True)
        kinds = {Move, Put, Delete, RemoveDirectory, SetMode, MakeDirectory}
        assert {type(action) for action in done} == kinds


async def test_what_is_told_is_what_a_run_then_does() -> None:
    async with Desk.open(mode=Mode.SOURCE_TO_DESTINATION) as desk:
        desk.users[S].write(b"a", b"1", mtime_ns=OLD_NS)
        desk.users[D].write(b"b", b"2", mtime_ns=OLD_NS)
        await desk.cycle.open()
        done = rehearsed(desk)
        await desk.sync()
        assert [told(action) for action in done] == [("Put", D, b"a"), ("Delete", D, b"b")]
    async with Desk.open(mode=Mode.SOURCE_TO_DESTINATION) as desk:
        desk.users[S].write(b"a", b"1", mtime_ns=OLD_NS)
        desk.users[D].write(b"b", b"2", mtime_ns=OLD_NS)
        await desk.sync()
        assert [path for path, _ in desk.disks[D].walk()] == [b"a"]


@pytest.mark.parametrize("path", [b"b/f", b"c"])
async def test_what_moved_in_the_imagination_is_read_where_it_is(path: bytes) -> None:
    """Twice: a directory, then it once more, and a file that leaves it."""
    async with Desk.open() as desk:
        desk.users[S].mkdir(b"a")
        desk.users[S].write(b"a/f", b"content", mtime_ns=OLD_NS)
        await desk.sync()
        tree = Rehearsal(desk.trees[S], [])
        moved = [(b"a", b"x"), (b"x", b"b")] + ([(b"b/f", b"c")] if path == b"c" else [])
        for old, new in moved:
            await imagine(tree, old, new)
        assert await tree.read_file(path, 100) == b"content"
        (found,) = await tree.digest([path])
        (real,) = await desk.trees[S].digest([b"a/f"])
        assert (found.path, found.digest) == (path, real.digest)


async def imagine(tree: Rehearsal, old: bytes, new: bytes) -> None:
    move = Move(S, old, new, Entry(Kind.DIRECTORY, 0o755))
    await tree.apply(Batch(batch_id="b", steps=(Step(move, None),), stop=lambda: False))


async def test_a_rehearsal_keeps_its_hands_off_the_trash() -> None:
    async with Desk.open(mode=Mode.TWO_WAY) as desk:
        desk.users[S].write(b"f", b"1", mtime_ns=OLD_NS)
        await desk.sync()
        desk.users[S].delete(b"f")
        await desk.sync()
        disk: Disk = desk.disks[D]
        kept = disk.control.children
        tree = Rehearsal(desk.trees[D], [])
        assert await tree.trash_bytes() == 0
        assert await tree.expire_trash(0, 0, frozenset()) == 0
        assert await tree.unaccounted() == ()
        await tree.restore(TrashRef(D, "batch", "r1"), b"f")
        assert await tree.check_root() is None
        await tree.release()
        await tree.close()
        assert disk.at(b"f") is None
        assert disk.control.children == kept
