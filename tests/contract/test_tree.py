"""The contract of a tree: what any kind of tree must do, run against each kind.

The cases are named after what they promise. An action's fate is Done, Stale or Failed; bytes that leave a
name are in the trash, whatever the fate.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from blake3 import blake3

from syncd.core.action import (
    Delete,
    Done,
    MakeDirectory,
    Move,
    Put,
    RemoveDirectory,
    SetMode,
    Stale,
)
from syncd.core.entry import Entry, Kind, Side
from syncd.core.error import PathProblem
from syncd.core.reason import Reason
from syncd.tree.port import Step
from tests.contract.bench import OLD_NS, Bench, file_entry, link, local_bench, memory_bench, without_digest

HERE = Side.DESTINATION
RAW_NAME = b"caf\xe9 \xff\xfe"
LATER_NS = OLD_NS + 5_000_000_000
DIRECTORY = Entry(Kind.DIRECTORY, 0o755)


@pytest.fixture(params=[memory_bench, local_bench], ids=["memory", "local"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Side], Bench]:
    maker: Callable[[Path, Side], Bench] = request.param
    return lambda side: maker(tmp_path, side)


@pytest.fixture
async def bench(make: Callable[[Side], Bench]) -> Bench:
    """The tree that actions are applied to."""
    made = make(HERE)
    await made.tree.open(known=None, adopt=False)
    return made


@pytest.fixture
async def other(make: Callable[[Side], Bench]) -> Bench:
    """The tree that content comes from."""
    made = make(HERE.other)
    await made.tree.open(known=None, adopt=False)
    return made


def put(path: bytes, entry: Entry, expect: Entry | None = None, origin: bytes | None = None) -> Put:
    return Put(HERE, path, entry, expect, origin or path)


def assert_looks(result: object, here: tuple[bytes, ...] = (), there: tuple[bytes, ...] = ()) -> None:
    """Stale, naming these paths among those to look at again; nothing kept aside."""
    assert isinstance(result, Stale), result
    assert result.kept is None
    assert set(here) <= set(result.destination_paths)
    assert set(there) <= set(result.source_paths)


# Observing.


async def test_scan_lists_directories_sorted_and_depth_first(bench: Bench) -> None:
    for path in (b"b", b"a", b"a/z", b"a-b", b"a/b"):
        bench.hands.mkdir(path)
    bench.hands.write(b"a/b/f", b"1")
    bench.hands.write(b"c", b"2")
    listed = await bench.scan()
    assert list(listed) == [b"", b"a", b"a/b", b"a/z", b"a-b", b"b"]
    assert [child.name for child in listed[b""]] == [b"a", b"a-b", b"b", b"c"]
    assert [child.name for child in listed[b"a/b"]] == [b"f"]
    assert listed[b"b"] == []


async def test_scan_tells_kinds_modes_and_hints_as_a_look_does(bench: Bench) -> None:
    bench.hands.write(b"f", b"123", mode=0o640)
    bench.hands.mkdir(b"d", 0o750)
    bench.hands.symlink(b"l", b"../out")
    bench.hands.mkfifo(b"p")
    children = {child.name: child for child in (await bench.scan())[b""]}
    assert [children[name].kind for name in sorted(children)] == [
        Kind.DIRECTORY,
        Kind.FILE,
        Kind.SYMLINK,
        Kind.SPECIAL,
    ]
    assert (children[b"f"].mode, children[b"d"].mode) == (0o640, 0o750)
    assert children[b"f"].hint.size == 3
    assert children[b"f"].hint.mtime_ns == OLD_NS
    for name, child in children.items():
        assert await bench.child(name) == child


async def test_scan_of_one_level_of_a_subtree_and_pruned(bench: Bench) -> None:
    for path in (b"a", b"a/b", b"a/b/c", b"d", b"d/e"):
        bench.hands.mkdir(path)
    assert list(await bench.scan(b"a")) == [b"a", b"a/b", b"a/b/c"]
    assert list(await bench.scan(b"a", b"d", recursive=False)) == [b"a", b"d"]
    assert list(await bench.scan(prune=lambda path: path == b"a/b")) == [b"", b"a", b"d", b"d/e"]


async def test_scan_does_not_follow_links(bench: Bench) -> None:
    bench.hands.mkdir(b"d")
    bench.hands.write(b"d/f", b"1")
    bench.hands.symlink(b"l", b"d")
    assert list(await bench.scan()) == [b"", b"d"]
    assert await bench.child(b"l/f") is None


async def test_failed_listing_is_a_problem_and_never_empty(tmp_path: Path) -> None:
    bench = memory_bench(tmp_path, HERE)
    bench.hands.mkdir(b"d")
    bench.hands.write(b"d/f", b"1")
    bench.tree.fault = lambda operation, path: 5 if (operation, path) == ("scan", b"d") else None  # type: ignore[attr-defined]
    pages = [page async for page in bench.tree.scan([b""], recursive=True, prune=lambda path: False)]
    failed = {one.path: one for page in pages for one in page}[b"d"]
    assert failed.problem is Reason.IO_ERROR
    assert failed.record == b""


async def test_look_at_what_is_not_there(bench: Bench) -> None:
    bench.hands.write(b"f", b"1")
    looks = await bench.tree.look([b"x", b"f/x", b"x/y", b"f"])
    assert [look.path for look in looks] == [b"x", b"f/x", b"x/y", b"f"]
    assert [look.child is not None for look in looks] == [False, False, False, True]
    assert {look.problem for look in looks} == {None}


async def test_names_that_are_not_utf8(bench: Bench, other: Bench) -> None:
    other.hands.mkdir(RAW_NAME)
    other.hands.write(RAW_NAME + b"/" + RAW_NAME, b"raw")
    assert list(await other.scan()) == [b"", RAW_NAME]
    assert isinstance(await bench.do(MakeDirectory(HERE, RAW_NAME, DIRECTORY)), Done)
    path = RAW_NAME + b"/" + RAW_NAME
    assert isinstance(await bench.do(put(path, file_entry(b"raw")), other), Done)
    assert bench.hands.read(path) == b"raw"


async def test_digest_of_files_and_of_what_is_none(bench: Bench) -> None:
    bench.hands.write(b"f", b"content")
    bench.hands.write(b"e", b"")
    bench.hands.mkdir(b"d")
    f, e, d, x = await bench.tree.digest([b"f", b"e", b"d", b"x"])
    assert (f.digest, f.problem) == (blake3(b"content").digest(), None)
    assert f.hint == await bench.hint(b"f")
    assert e.digest == blake3(b"").digest()
    assert d.digest is None
    assert d.problem is not None
    assert x.digest is None
    assert x.problem is not None


async def test_small_files_are_read_whole_up_to_a_limit(bench: Bench) -> None:
    bench.hands.write(b"f", b"12345")
    assert await bench.tree.read_file(b"f", 5) == b"12345"
    assert await bench.tree.read_file(b"x", 5) is None
    with pytest.raises(PathProblem):
        await bench.tree.read_file(b"f", 4)


async def test_root_keeps_its_identity_and_its_marker(bench: Bench, make: Callable[[Side], Bench]) -> None:
    first = await bench.tree.open(known=None, adopt=False)
    await bench.tree.release()
    again = await bench.tree.open(known=first, adopt=False)
    assert (again.inode, again.filesystem_id) == (first.inode, first.filesystem_id)
    assert again.had_marker
    assert await bench.tree.check_root() is None


# Putting files.


async def test_put_of_a_new_file(bench: Bench, other: Bench) -> None:
    other.hands.write(b"f", b"new", mode=0o640)
    result = await bench.do(put(b"f", without_digest(await other.entry(b"f"))), other)
    assert isinstance(result, Done)
    assert bench.hands.read(b"f") == b"new"
    assert bench.hands.mode(b"f") == 0o640
    assert result.trash is None
    assert result.entry == file_entry(b"new", mode=0o640)
    assert b"new" not in bench.hands.trash()


async def test_put_of_an_empty_and_of_a_large_file(bench: Bench, other: Bench) -> None:
    data = bytes(range(256)) * 2000
    other.hands.write(b"large", data)
    other.hands.write(b"empty", b"")
    assert isinstance(await bench.do(put(b"large", file_entry(data)), other), Done)
    assert isinstance(await bench.do(put(b"empty", file_entry(b"")), other), Done)
    assert bench.hands.read(b"large") == data
    assert bench.hands.read(b"empty") == b""


async def test_put_replaces_and_keeps_the_old_bytes(bench: Bench, other: Bench) -> None:
    bench.hands.write(b"f", b"old")
    other.hands.write(b"f", b"newer")
    result = await bench.do(put(b"f", file_entry(b"newer"), file_entry(b"old")), other)
    assert isinstance(result, Done)
    assert bench.hands.read(b"f") == b"newer"
    assert result.trash is not None
    assert result.trash.side is HERE
    assert b"old" in bench.hands.trash()
    assert b"newer" not in bench.hands.trash()


async def test_put_takes_a_conflict_copy_from_another_name(bench: Bench, other: Bench) -> None:
    other.hands.write(b"theirs", b"copy")
    assert isinstance(await bench.do(put(b"f", file_entry(b"copy"), origin=b"theirs"), other), Done)
    assert bench.hands.read(b"f") == b"copy"


async def test_done_tells_what_a_fresh_look_tells(bench: Bench, other: Bench) -> None:
    other.hands.write(b"new", b"1")
    other.hands.write(b"f", b"22")
    bench.hands.write(b"f", b"old")
    bench.hands.write(b"m", b"moved")
    bench.hands.write(b"c", b"chmod")
    results = await bench.run(
        await bench.step(put(b"new", file_entry(b"1")), other),
        await bench.step(put(b"f", file_entry(b"22"), file_entry(b"old")), other),
        await bench.step(Move(HERE, b"m", b"n", file_entry(b"moved"))),
        await bench.step(SetMode(HERE, b"c", 0o600, file_entry(b"chmod"))),
        await bench.step(MakeDirectory(HERE, b"d", DIRECTORY)),
    )
    for result, path in zip(results, (b"new", b"f", b"n", b"c", b"d"), strict=True):
        assert isinstance(result, Done), result
        child = await bench.child(path)
        assert child is not None
        assert result.entry == await bench.entry(path)
        assert result.hint is not None
        assert result.hint.inode == child.hint.inode
        if child.kind is Kind.FILE:
            assert result.hint == child.hint


async def test_put_on_a_name_that_was_taken_is_stale(bench: Bench, other: Bench) -> None:
    other.hands.write(b"f", b"theirs")
    bench.hands.write(b"f", b"mine")
    assert_looks(await bench.do(put(b"f", file_entry(b"theirs")), other), here=(b"f",))
    assert bench.hands.read(b"f") == b"mine"


async def test_put_over_an_edit_is_stale_and_leaves_it(bench: Bench, other: Bench) -> None:
    other.hands.write(b"f", b"theirs")
    bench.hands.write(b"f", b"old!")
    step = await bench.step(put(b"f", file_entry(b"theirs"), file_entry(b"old!")), other)
    bench.hands.write(b"f", b"edit", mtime_ns=LATER_NS)
    assert_looks((await bench.run(step))[0], here=(b"f",))
    assert bench.hands.read(b"f") == b"edit"


async def test_put_over_what_is_gone_is_stale(bench: Bench, other: Bench) -> None:
    other.hands.write(b"f", b"theirs")
    assert_looks(await bench.do(put(b"f", file_entry(b"theirs"), file_entry(b"old")), other), here=(b"f",))
    assert bench.hands.names() == []


async def test_put_over_a_touched_file_goes_on_as_its_digest_is_equal(bench: Bench, other: Bench) -> None:
    other.hands.write(b"f", b"theirs")
    bench.hands.write(b"f", b"old")
    step = await bench.step(put(b"f", file_entry(b"theirs"), file_entry(b"old")), other)
    bench.hands.write(b"f", b"old", mtime_ns=LATER_NS)
    (result,) = await bench.run(step)
    assert isinstance(result, Done)
    assert bench.hands.read(b"f") == b"theirs"


async def test_put_over_a_touched_file_of_unknown_digest_is_stale(bench: Bench, other: Bench) -> None:
    other.hands.write(b"f", b"theirs")
    bench.hands.write(b"f", b"old")
    step = await bench.step(put(b"f", file_entry(b"theirs"), without_digest(file_entry(b"old"))), other)
    bench.hands.write(b"f", b"odd", mtime_ns=LATER_NS)
    (result,) = await bench.run(step)
    assert_looks(result, here=(b"f",))
    assert bench.hands.read(b"f") == b"odd"


async def test_put_of_content_that_has_changed_is_stale_at_its_origin(bench: Bench, other: Bench) -> None:
    other.hands.write(b"f", b"planned")
    bench.hands.write(b"f", b"old")
    step = await bench.step(put(b"f", file_entry(b"planned"), file_entry(b"old")), other)
    other.hands.write(b"f", b"changed", mtime_ns=LATER_NS)
    (result,) = await bench.run(step)
    assert_looks(result, there=(b"f",))
    assert bench.hands.read(b"f") == b"old"


async def test_put_of_content_that_is_gone_or_another_kind_is_stale(bench: Bench, other: Bench) -> None:
    other.hands.write(b"gone", b"1")
    other.hands.write(b"kind", b"2")
    steps = [
        await bench.step(put(path, file_entry(data)), other)
        for path, data in ((b"gone", b"1"), (b"kind", b"2"))
    ]
    other.hands.delete(b"gone")
    other.hands.delete(b"kind")
    other.hands.mkdir(b"kind")
    gone, kind = await bench.run(*steps)
    assert_looks(gone, there=(b"gone",))
    assert_looks(kind, there=(b"kind",))
    assert bench.hands.names() == []


async def test_put_beneath_what_is_no_directory_is_stale(bench: Bench, other: Bench) -> None:
    other.hands.write(b"f", b"1")
    bench.hands.write(b"file", b"2")
    for path in (b"missing/f", b"file/f"):
        result = await bench.do(put(path, file_entry(b"1"), origin=b"f"), other)
        assert_looks(result, here=(path,))
    assert bench.hands.names() == [b"file"]


async def test_put_never_replaces_a_directory(bench: Bench, other: Bench) -> None:
    other.hands.write(b"d", b"file now")
    bench.hands.mkdir(b"d")
    bench.hands.write(b"d/f", b"kept")
    for expect in (None, DIRECTORY, file_entry(b"x")):
        assert not isinstance(await bench.do(put(b"d", file_entry(b"file now"), expect), other), Done)
    assert bench.hands.read(b"d/f") == b"kept"


async def test_nothing_is_written_through_a_link_in_the_path(bench: Bench, other: Bench) -> None:
    other.hands.write(b"f", b"theirs")
    bench.hands.mkdir(b"real")
    bench.hands.write(b"real/old", b"old")
    bench.hands.symlink(b"d", b"real")
    steps = [
        await bench.step(put(b"d/f", file_entry(b"theirs"), origin=b"f"), other),
        await bench.step(MakeDirectory(HERE, b"d/sub", DIRECTORY)),
        await bench.step(Delete(HERE, b"d/old", file_entry(b"old"))),
        await bench.step(Move(HERE, b"d/old", b"out", file_entry(b"old"))),
        await bench.step(SetMode(HERE, b"d/old", 0o600, file_entry(b"old"))),
    ]
    for result in await bench.run(*steps):
        assert isinstance(result, Stale), result
    assert bench.hands.names(b"real") == [b"old"]
    assert bench.hands.mode(b"real/old") == 0o644


# Links.


async def test_links_are_put_as_links(bench: Bench, other: Bench) -> None:
    target = b"../caf\xe9/nowhere"
    other.hands.symlink(b"l", target)
    result = await bench.do(put(b"l", link(target)), other)
    assert isinstance(result, Done)
    assert bench.hands.readlink(b"l") == target
    assert result.entry is not None
    assert result.entry.target == target


async def test_link_and_file_replace_each_other(bench: Bench, other: Bench) -> None:
    other.hands.symlink(b"l", b"target")
    other.hands.write(b"f", b"file")
    bench.hands.write(b"l", b"was a file")
    bench.hands.symlink(b"f", b"was a link")
    assert isinstance(await bench.do(put(b"l", link(b"target"), file_entry(b"was a file")), other), Done)
    assert isinstance(await bench.do(put(b"f", file_entry(b"file"), link(b"was a link")), other), Done)
    assert bench.hands.readlink(b"l") == b"target"
    assert bench.hands.read(b"f") == b"file"
    assert b"was a file" in bench.hands.trash()


async def test_link_to_elsewhere_now_is_stale(bench: Bench, other: Bench) -> None:
    other.hands.symlink(b"l", b"new")
    bench.hands.symlink(b"l", b"other")
    assert_looks(await bench.do(put(b"l", link(b"new"), link(b"old")), other), here=(b"l",))
    assert_looks(await bench.do(Delete(HERE, b"l", link(b"old"))), here=(b"l",))
    assert bench.hands.readlink(b"l") == b"other"


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


# Batches.


async def test_steps_of_a_batch_are_carried_out_in_order(bench: Bench) -> None:
    bench.hands.write(b"f", b"1")
    results = await bench.run(
        await bench.step(MakeDirectory(HERE, b"a", DIRECTORY)),
        await bench.step(MakeDirectory(HERE, b"a/b", DIRECTORY)),
    )
    assert [type(result) for result in results] == [Done, Done]
    results = await bench.run(
        await bench.step(Move(HERE, b"f", b"a/b/g", file_entry(b"1"))),
        Step(Move(HERE, b"a/b/g", b"h", file_entry(b"1")), await bench.hint(b"f")),
    )
    assert [type(result) for result in results] == [Done, Done]
    results = await bench.run(
        await bench.step(RemoveDirectory(HERE, b"a/b", DIRECTORY)),
        await bench.step(RemoveDirectory(HERE, b"a", DIRECTORY)),
    )
    assert [type(result) for result in results] == [Done, Done]
    assert bench.hands.names() == [b"h"]


async def test_one_step_does_not_spoil_the_others(bench: Bench, other: Bench) -> None:
    other.hands.write(b"ok", b"1")
    bench.hands.write(b"taken", b"2")
    results = await bench.run(
        await bench.step(put(b"missing", file_entry(b"gone")), other),
        await bench.step(put(b"taken", file_entry(b"1"), origin=b"ok"), other),
        await bench.step(put(b"ok", file_entry(b"1")), other),
    )
    assert [type(result) for result in results] == [Stale, Stale, Done]
    assert [result.action.path for result in results] == [b"missing", b"taken", b"ok"]


async def test_stop_leaves_out_what_has_not_begun(bench: Bench, other: Bench) -> None:
    for name in (b"a", b"b", b"c"):
        other.hands.write(name, name)
    steps = [await bench.step(put(name, file_entry(name)), other) for name in (b"a", b"b", b"c")]
    assert await bench.run(*steps, stop=lambda: True) == []
    assert bench.hands.names() == []
    polls = iter([False])
    results = await bench.run(*steps, stop=lambda: next(polls, True))
    assert len(results) < 3
    assert len(bench.hands.names()) == len(results)


async def test_expected_mode_is_part_of_the_precondition(bench: Bench, other: Bench) -> None:
    other.hands.write(b"f", b"theirs")
    bench.hands.write(b"f", b"old", mode=0o755)
    expect = msgspec.structs.replace(file_entry(b"old"), mode=0o644)
    assert_looks(await bench.do(put(b"f", file_entry(b"theirs"), expect), other), here=(b"f",))
    assert bench.hands.mode(b"f") == 0o755
