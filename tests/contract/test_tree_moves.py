"""The contract of a tree, run against each kind: deleting, moving, directories and modes."""

import pytest

from syncd.core.action import Delete, Done, MakeDirectory, Move, RemoveDirectory, SetMode, Stale
from syncd.core.entry import Entry, Kind
from syncd.core.error import PathProblem
from tests.contract.bench import Bench, file_entry, link
from tests.contract.fates import DIRECTORY, HERE, LATER_NS, assert_looks

# Deleting.


async def test_delete_is_a_move_into_the_trash(bench: Bench) -> None:
    bench.hands.write(b"f", b"bytes")
    bench.hands.symlink(b"l", b"target")
    result = await bench.do(Delete(HERE, b"f", file_entry(b"bytes")))
    assert isinstance(result, Done)
    assert (result.entry, result.hint) == (None, None)
    assert result.trash is not None
    assert isinstance(await bench.do(Delete(HERE, b"l", link(b"target"))), Done)
    assert bench.hands.names() == []
    assert b"bytes" in bench.hands.trash()


async def test_delete_of_an_edit_is_stale(bench: Bench) -> None:
    bench.hands.write(b"f", b"old!")
    step = await bench.step(Delete(HERE, b"f", file_entry(b"old!")))
    bench.hands.write(b"f", b"edit", mtime_ns=LATER_NS)
    assert_looks((await bench.run(step))[0], here=(b"f",))
    assert bench.hands.read(b"f") == b"edit"


async def test_delete_of_what_is_gone_or_a_directory_is_stale(bench: Bench) -> None:
    bench.hands.mkdir(b"d")
    bench.hands.write(b"d/f", b"kept")
    assert_looks(await bench.do(Delete(HERE, b"x", file_entry(b"1"))), here=(b"x",))
    assert_looks(await bench.do(Delete(HERE, b"d", file_entry(b"1"))), here=(b"d",))
    assert bench.hands.read(b"d/f") == b"kept"


async def test_trash_slots_are_distinct(bench: Bench) -> None:
    for name in (b"a", b"b", b"c"):
        bench.hands.write(name, name)
    steps = [await bench.step(Delete(HERE, name, file_entry(name))) for name in (b"a", b"b", b"c")]
    results = await bench.run(*steps)
    refs = {result.trash for result in results if isinstance(result, Done)}
    assert len(refs) == 3
    assert None not in refs
    assert {b"a", b"b", b"c"} <= set(bench.hands.trash())


async def test_trash_expires_but_not_what_is_pinned(bench: Bench) -> None:
    bench.hands.write(b"old", b"12345")
    bench.hands.write(b"pinned", b"kept bytes")
    gone = await bench.do(Delete(HERE, b"old", file_entry(b"12345")))
    kept = await bench.do(Delete(HERE, b"pinned", file_entry(b"kept bytes")))
    assert isinstance(gone, Done)
    assert isinstance(kept, Done)
    assert kept.trash is not None
    pinned = frozenset({kept.trash.batch})
    assert await bench.tree.expire_trash(86400.0, None, pinned) == 0
    assert await bench.tree.expire_trash(86400.0, 1, pinned) == 0, "nothing younger than a day goes for space"
    assert b"12345" in bench.hands.trash()
    assert await bench.tree.expire_trash(-1.0, None, pinned) >= 5
    assert b"12345" not in bench.hands.trash()
    assert b"kept bytes" in bench.hands.trash()


async def test_kept_bytes_go_back_to_a_free_name_only(bench: Bench) -> None:
    bench.hands.write(b"f", b"kept bytes")
    bench.hands.write(b"taken", b"1")
    deleted = await bench.do(Delete(HERE, b"f", file_entry(b"kept bytes")))
    assert isinstance(deleted, Done)
    assert deleted.trash is not None
    for path in (b"taken", b"missing/f"):
        with pytest.raises(PathProblem):
            await bench.tree.restore(deleted.trash, path)
    await bench.tree.restore(deleted.trash, b"f")
    assert bench.hands.read(b"f") == b"kept bytes"
    assert bench.hands.read(b"taken") == b"1"
    with pytest.raises(PathProblem):
        await bench.tree.restore(deleted.trash, b"g")


# Moving.


async def test_move_of_a_file_and_of_a_whole_directory(bench: Bench) -> None:
    bench.hands.write(b"f", b"1")
    bench.hands.mkdir(b"d")
    bench.hands.write(b"d/g", b"2")
    inode = (await bench.child(b"d/g")).hint.inode  # type: ignore[union-attr]
    assert isinstance(await bench.do(Move(HERE, b"f", b"h", file_entry(b"1"))), Done)
    assert isinstance(await bench.do(Move(HERE, b"d", b"e", DIRECTORY)), Done)
    assert bench.hands.names() == [b"e", b"h"]
    assert bench.hands.read(b"e/g") == b"2"
    assert (await bench.child(b"e/g")).hint.inode == inode  # type: ignore[union-attr]


async def test_move_onto_a_taken_name_is_stale(bench: Bench) -> None:
    bench.hands.write(b"a", b"1")
    bench.hands.write(b"b", b"2")
    assert_looks(await bench.do(Move(HERE, b"a", b"b", file_entry(b"1"))), here=(b"a", b"b"))
    assert (bench.hands.read(b"a"), bench.hands.read(b"b")) == (b"1", b"2")


async def test_move_of_an_edit_or_of_what_is_gone_is_stale(bench: Bench) -> None:
    bench.hands.write(b"a", b"old!")
    step = await bench.step(Move(HERE, b"a", b"b", file_entry(b"old!")))
    bench.hands.write(b"a", b"edit", mtime_ns=LATER_NS)
    assert_looks((await bench.run(step))[0], here=(b"a",))
    assert_looks(await bench.do(Move(HERE, b"x", b"y", file_entry(b"1"))), here=(b"x",))
    assert bench.hands.names() == [b"a"]


async def test_parked_moves_swap_names(bench: Bench) -> None:
    bench.hands.write(b"a", b"1")
    bench.hands.write(b"b", b"2")
    results = await bench.run(
        await bench.step(Move(HERE, b"a", b"b", file_entry(b"1"), parked=True)),
        await bench.step(Move(HERE, b"b", b"a", file_entry(b"2"))),
    )
    assert [type(result) for result in results] == [Done, Done]
    assert (bench.hands.read(b"a"), bench.hands.read(b"b")) == (b"2", b"1")


async def test_parked_move_goes_home_when_its_new_name_stays_taken(bench: Bench) -> None:
    bench.hands.write(b"a", b"1")
    bench.hands.write(b"b", b"2222")
    steps = [
        await bench.step(Move(HERE, b"a", b"b", file_entry(b"1"), parked=True)),
        await bench.step(Move(HERE, b"b", b"a", file_entry(b"2222"))),
    ]
    bench.hands.write(b"b", b"edit", mtime_ns=LATER_NS)
    results = await bench.run(*steps)
    assert [type(result) for result in results] == [Stale, Stale]
    assert (bench.hands.read(b"a"), bench.hands.read(b"b")) == (b"1", b"edit")


# Directories and modes.


async def test_directories_are_made_with_their_mode(bench: Bench) -> None:
    result = await bench.do(MakeDirectory(HERE, b"d", Entry(Kind.DIRECTORY, 0o750)))
    assert isinstance(result, Done)
    assert bench.hands.mode(b"d") == 0o750
    for taken in (b"d", b"missing/d"):
        assert_looks(await bench.do(MakeDirectory(HERE, taken, DIRECTORY)), here=(taken,))


async def test_only_an_empty_directory_is_removed(bench: Bench) -> None:
    bench.hands.mkdir(b"empty")
    bench.hands.mkdir(b"full")
    bench.hands.write(b"full/f", b"kept")
    bench.hands.write(b"file", b"kept")
    assert isinstance(await bench.do(RemoveDirectory(HERE, b"empty", DIRECTORY)), Done)
    for path in (b"full", b"file", b"missing"):
        assert_looks(await bench.do(RemoveDirectory(HERE, path, DIRECTORY)), here=(path,))
    assert bench.hands.names() == [b"file", b"full"]
    assert bench.hands.read(b"full/f") == b"kept"


async def test_only_the_mode_is_set(bench: Bench) -> None:
    bench.hands.write(b"f", b"1", mode=0o644)
    bench.hands.mkdir(b"d", 0o755)
    result = await bench.do(SetMode(HERE, b"f", 0o755, file_entry(b"1")))
    assert isinstance(result, Done)
    assert result.entry == file_entry(b"1", mode=0o755)
    assert bench.hands.mode(b"f") == 0o755
    assert isinstance(await bench.do(SetMode(HERE, b"d", 0o555, DIRECTORY)), Done)
    assert bench.hands.mode(b"d") == 0o555
    assert b"1" not in bench.hands.trash()


async def test_mode_of_an_edited_file_is_stale(bench: Bench) -> None:
    bench.hands.write(b"f", b"old!", mode=0o644)
    step = await bench.step(SetMode(HERE, b"f", 0o755, file_entry(b"old!")))
    bench.hands.write(b"f", b"edit", mtime_ns=LATER_NS)
    assert_looks((await bench.run(step))[0], here=(b"f",))
    assert bench.hands.mode(b"f") == 0o644
