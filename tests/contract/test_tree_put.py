"""The contract of a tree, run against each kind: putting files and links."""

from syncd.core.action import Delete, Done, MakeDirectory, Move, SetMode, Stale
from syncd.core.entry import Kind
from tests.contract.bench import Bench, file_entry, link, without_digest
from tests.contract.fates import DIRECTORY, HERE, LATER_NS, assert_looks, put

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
