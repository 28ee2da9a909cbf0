"""Observation: what a scan makes of the tree, and what it never takes for granted."""

import anyio

from syncd.core.entry import Kind
from syncd.core.filter import Filter
from syncd.core.reason import Reason
from syncd.index.database import Database
from syncd.index.driver import ThreadDriver
from syncd.sync.observe import Observation, chunks, parts
from tests.sync.lab import OLD_NS, Lab, settled


async def test_first_scan_finds_everything(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.user.mkdir(b"d/e")
    lab.user.mkdir(b"empty")
    lab.files(a=b"alpha", d_b=b"beta", d_e_c=b"gamma")
    lab.user.symlink(b"d/link", b"../a")
    lab.user.mkfifo(b"d/pipe")
    seen = await lab.scan()
    await lab.assert_agrees()
    assert seen.changed == 8
    assert seen.listed == 4
    assert seen.new_directories == ()
    assert seen.problems == ()
    tree = await lab.tree()
    assert tree[b"d/pipe"].entry.kind is Kind.SPECIAL
    assert tree[b"d/link"].entry.target == b"../a"
    assert tree[b"a"].entry.digest is None, "a digest is never read for its own sake"
    assert all(node.is_listed for node in tree.values() if node.entry.kind is Kind.DIRECTORY)
    assert lab.fs.digested == []


async def test_unchanged_rescan_reads_and_writes_nothing(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.files(a=b"alpha", d_b=b"beta")
    await lab.scan()
    await lab.look(b"a", b"d/b")
    await lab.digest_all()
    await lab.scan()
    head = await lab.head()
    lab.fs.digested.clear()
    seen = await lab.scan()
    assert seen == Observation(listed=2)
    assert lab.fs.digested == []
    assert await lab.head() == head


async def test_new_changed_and_vanished(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.files(a=b"alpha", b=b"beta", d_c=b"gamma")
    await settled(lab)
    lab.user.write(b"a", b"alphabet")
    lab.user.delete(b"b")
    lab.user.mkdir(b"new")
    lab.user.write(b"new/n", b"nu")
    seen = await lab.scan()
    assert seen.changed == 4
    assert seen.new_directories == ()
    await lab.assert_agrees()
    node = await lab.node(b"a")
    assert node is not None
    assert (node.entry.size, node.entry.digest) == (8, None)


async def test_same_size_edit_is_read_at_once(lab: Lab) -> None:
    lab.files(a=b"one", b=b"two")
    await settled(lab)
    head = await lab.head()
    lab.user.write(b"a", b"ONE", mtime_ns=OLD_NS)
    seen = await lab.scan()
    assert lab.fs.digested == [b"a"]
    assert seen.changed == 1
    node = await lab.node(b"a")
    assert node is not None
    assert node.entry.digest == lab.disk.find(b"a").digest()
    assert await lab.head() == head + 1


async def test_clk_01_in_place_edit_with_restored_mtime_is_found(lab: Lab) -> None:
    lab.files(a=b"one")
    await settled(lab)
    before = lab.disk.find(b"a").mtime_ns
    lab.user.write(b"a", b"ONE", mtime_ns=before)
    assert (await lab.scan()).changed == 1
    await lab.assert_agrees()


async def test_bas_11_touching_writes_no_feed_row(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    for i in range(20):
        lab.user.write(b"d/f%d" % i, b"data %d" % i, mtime_ns=OLD_NS)
    await settled(lab)
    head = await lab.head()
    for i in range(20):
        lab.disk.set_mtime(lab.disk.find(b"d/f%d" % i), OLD_NS + 5 + i)
    await lab.scan()
    assert await lab.head() == head
    node = await lab.node(b"d/f3")
    assert node is not None
    assert node.entry.mtime_ns == OLD_NS + 8
    lab.fs.digested.clear()
    await lab.scan()
    await lab.scan()
    assert lab.fs.digested == [], "the new stat was stored"


async def test_edit_of_a_file_without_digest_reaches_the_feed(lab: Lab) -> None:
    """Judged equal unread, then edited to the same size: only the stat tells, and it must not be lost."""
    lab.files(a=b"one")
    await lab.scan()
    await lab.scan()
    head = await lab.head()
    lab.user.write(b"a", b"ONE")
    await lab.scan()
    assert await lab.head() > head
    await lab.assert_agrees()


async def test_mode_change(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.files(a=b"one")
    await settled(lab)
    head = await lab.head()
    lab.user.chmod(b"a", 0o755)
    lab.user.chmod(b"d", 0o700)
    assert (await lab.scan()).changed == 2
    tree = await lab.tree()
    assert (tree[b"a"].entry.mode, tree[b"d"].entry.mode) == (0o755, 0o700)
    assert tree[b"a"].entry.digest == lab.disk.find(b"a").digest()
    assert await lab.head() == head + 2


async def test_link_changes_target(lab: Lab) -> None:
    lab.user.symlink(b"l", b"one")
    await lab.scan()
    first = await lab.node_id(b"l")
    lab.user.delete(b"l")
    lab.user.symlink(b"l", b"two")
    seen = await lab.scan()
    assert seen.changed == 1
    node = await lab.node(b"l")
    assert node is not None
    assert (node.entry.target, node.node_id) == (b"two", first)


def test_observations_add_up() -> None:
    first = Observation(1, (b"d",), ((b"x", Reason.UNREADABLE, ""),), (b"r",), False, 2)
    second = Observation(2, (b"d", b"e"), (), (b"r", b"s"), True, 3)
    assert first.plus(second) == Observation(
        3, (b"d", b"e"), ((b"x", Reason.UNREADABLE, ""),), (b"r", b"s"), True, 5
    )


def test_portions() -> None:
    from syncd.index.observed import Listed

    assert list(parts([1, 2, 3], 2)) == [[1, 2], [3]]
    big = Listed(b"d", 1, b"x" * 600_000)
    small = Listed(b"e", 2, b"y")
    assert [len(part) for part in chunks([big, small, big])] == [1, 2]


async def test_production_driver_gives_the_same(tmp_path) -> None:  # type: ignore[no-untyped-def]
    database = await Database.open(tmp_path / "state.db", driver=ThreadDriver)
    try:
        lab = Lab(database)
        lab.user.mkdir(b"d")
        lab.files(d_a=b"one", b=b"two")
        await settled(lab)
        lab.user.rename(b"d/a", b"c")
        await lab.scan()
        await lab.assert_agrees()
    finally:
        with anyio.CancelScope(shield=True):
            await database.close()


async def test_a_directory_that_loses_its_last_ignored_name_holds_none() -> None:
    async with Lab.open() as lab:
        lab.rules = Filter.build(("*.ign",), {})
        lab.user.mkdir(b"d")
        lab.files(**{"d_one.ign": b"1", "d_two.ign": b"2"})
        await lab.scan()
        lab.user.delete(b"d/one.ign")
        await lab.look(b"d/one.ign")
        assert (await lab.tree())[b"d"].has_ignored
        lab.user.delete(b"d/two.ign")
        await lab.look(b"d/two.ign")
        assert not (await lab.tree())[b"d"].has_ignored
