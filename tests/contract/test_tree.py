"""The contract of a tree, run against each kind: observing, and batches.

The cases are named after what they promise. An action's fate is Done, Stale or Failed; bytes that leave a
name are in the trash, whatever the fate.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from blake3 import blake3

from syncd.core.action import Done, MakeDirectory, Move, RemoveDirectory, Stale
from syncd.core.entry import Kind, Side
from syncd.core.error import PathProblem
from syncd.core.reason import Reason
from syncd.tree.port import Step
from tests.contract.bench import OLD_NS, Bench, file_entry, memory_bench
from tests.contract.fates import DIRECTORY, HERE, RAW_NAME, assert_looks, put

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
