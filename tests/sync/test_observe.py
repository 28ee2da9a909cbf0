"""Observation: what a scan or a look makes of the tree, and what it never takes for granted."""

import errno
import os
import random
from collections.abc import AsyncIterator
from contextlib import suppress

import anyio
import pytest

from syncd.core.entry import Kind, StatHint
from syncd.core.listing import Child
from syncd.core.reason import Reason
from syncd.index import base, displaced, meta, nodes, records
from syncd.index.database import Database
from syncd.index.driver import ThreadDriver
from syncd.index.observed import is_same_directory
from syncd.sync.observe import Observation, chunks, parts
from tests.sync.lab import HERE, OLD_NS, Lab

SEEDS = int(os.environ.get("OBSERVE_SEEDS", "30"))


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with Lab.open() as lab:
        yield lab


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


async def settled(lab: Lab) -> None:
    """Scanned twice, digests known: nothing is racy any more."""
    await lab.scan()
    await lab.digest_all()
    await lab.scan()
    lab.fs.digested.clear()


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


async def test_renamed_file_keeps_its_node(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.user.mkdir(b"e")
    lab.files(d_a=b"alpha", d_b=b"beta")
    await settled(lab)
    node_id, head = await lab.node_id(b"d/a"), await lab.head()
    lab.user.rename(b"d/a", b"e/z")
    await lab.scan()
    await lab.assert_agrees()
    assert await lab.node_id(b"e/z") == node_id
    assert lab.fs.digested == [b"e/z"], "an inode number alone proves nothing"
    assert await lab.head() > head
    assert await lab.scan() == Observation(listed=3)


async def test_renamed_file_without_digest_keeps_its_node_unread(lab: Lab) -> None:
    lab.files(a=b"alpha")
    await lab.scan()
    await lab.scan()
    node_id = await lab.node_id(b"a")
    lab.user.rename(b"a", b"b")
    await lab.scan()
    assert await lab.node_id(b"b") == node_id
    await lab.assert_agrees()


async def test_renamed_and_edited_file_is_another_one(lab: Lab) -> None:
    lab.files(a=b"alpha")
    await settled(lab)
    node_id = await lab.node_id(b"a")
    lab.user.rename(b"a", b"b")
    lab.user.write(b"b", b"ALPHA", mtime_ns=OLD_NS)
    await lab.scan()
    await lab.assert_agrees()
    assert await lab.node_id(b"b") != node_id


async def test_recycled_inode_is_not_taken_for_a_rename(lab: Lab) -> None:
    lab.user.write(b"a", b"alpha", mtime_ns=OLD_NS)
    await settled(lab)
    node_id, inode = await lab.node_id(b"a"), lab.disk.find(b"a").number
    lab.user.delete(b"a")
    lab.user.write(b"b", b"gamma", mtime_ns=OLD_NS)
    assert lab.disk.find(b"b").number == inode, "the disk recycles inodes"
    await lab.scan()
    await lab.assert_agrees()
    assert await lab.node_id(b"b") != node_id


async def test_recycled_inode_of_a_directory(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.files(d_x=b"1", d_y=b"2")
    await settled(lab)
    node_id, inode = await lab.node_id(b"d"), lab.disk.find(b"d").number
    lab.user.delete(b"d")
    lab.user.mkdir(b"other")
    lab.user.mkdir(b"other2")
    numbers = {lab.disk.find(name).number: name for name in (b"other", b"other2")}
    assert inode in numbers
    lab.user.write(numbers[inode] + b"/new", b"3")
    await lab.scan()
    await lab.assert_agrees()
    assert await lab.node_id(numbers[inode]) != node_id


async def test_renamed_directory_is_one_row(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.user.mkdir(b"d/in")
    for i in range(30):
        lab.user.write(b"d/in/f%02d" % i, b"data %d" % i, mtime_ns=OLD_NS)
    await settled(lab)
    before, head = await lab.tree(), await lab.head()
    lab.user.mkdir(b"z")
    lab.user.rename(b"d", b"z/moved")
    await lab.scan()
    await lab.assert_agrees()
    after = await lab.tree()
    assert after[b"z/moved/in/f07"].node_id == before[b"d/in/f07"].node_id
    assert await lab.head() == head + 2, "one row for z, one for the rename"
    assert lab.fs.digested == []
    assert await lab.scan() == Observation(listed=4)


async def test_directory_renamed_upwards_is_found_before_its_old_place(lab: Lab) -> None:
    lab.user.mkdir(b"m")
    lab.user.mkdir(b"m/d")
    lab.files(m_d_x=b"1", m_d_y=b"2")
    await settled(lab)
    node_id = await lab.node_id(b"m/d")
    lab.user.rename(b"m/d", b"a")
    await lab.scan()
    await lab.assert_agrees()
    assert await lab.node_id(b"a") == node_id


async def test_swapped_directories(lab: Lab) -> None:
    for name in (b"a", b"b"):
        lab.user.mkdir(name)
        lab.user.write(name + b"/f", b"in " + name, mtime_ns=OLD_NS)
        lab.user.write(name + b"/only-" + name, b"x", mtime_ns=OLD_NS)
    await settled(lab)
    ids = {name: await lab.node_id(name) for name in (b"a", b"b", b"a/f", b"b/f")}
    lab.user.rename(b"a", b"t")
    lab.user.rename(b"b", b"a")
    lab.user.rename(b"t", b"b")
    await lab.scan()
    await lab.assert_agrees()
    assert await lab.node_id(b"a") == ids[b"b"]
    assert await lab.node_id(b"b/f") == ids[b"a/f"]
    assert lab.fs.digested == []


async def test_directory_renamed_and_another_made_in_its_place(lab: Lab) -> None:
    lab.user.mkdir(b"a")
    lab.files(a_x=b"1", a_y=b"2")
    await settled(lab)
    ids = {name: await lab.node_id(name) for name in (b"a", b"a/x")}
    lab.user.rename(b"a", b"z")
    lab.user.mkdir(b"a")
    lab.user.write(b"a/new", b"n")
    await lab.scan()
    await lab.assert_agrees()
    assert await lab.node_id(b"z") == ids[b"a"]
    assert await lab.node_id(b"z/x") == ids[b"a/x"]
    await lab.scan()
    await lab.assert_agrees()


async def test_swapped_files(lab: Lab) -> None:
    lab.files(a=b"alpha", b=b"bravo")
    await settled(lab)
    a, b = await lab.node_id(b"a"), await lab.node_id(b"b")
    lab.user.rename(b"a", b"t")
    lab.user.rename(b"b", b"a")
    lab.user.rename(b"t", b"b")
    await lab.scan()
    await lab.assert_agrees()
    assert (await lab.node_id(b"a"), await lab.node_id(b"b")) == (b, a)
    tree = await lab.tree()
    assert tree[b"a"].entry.digest == lab.disk.find(b"a").digest()


async def test_chain_of_renames(lab: Lab) -> None:
    lab.files(a=b"alpha", b=b"bravo", c=b"charly")
    await settled(lab)
    ids = [await lab.node_id(name) for name in (b"a", b"b", b"c")]
    lab.user.rename(b"c", b"d")
    lab.user.rename(b"b", b"c")
    lab.user.rename(b"a", b"b")
    await lab.scan()
    await lab.assert_agrees()
    assert [await lab.node_id(name) for name in (b"b", b"c", b"d")] == ids


async def test_renamed_file_and_another_in_its_place(lab: Lab) -> None:
    lab.files(a=b"alpha")
    await settled(lab)
    node_id = await lab.node_id(b"a")
    lab.user.rename(b"a", b"b")
    lab.user.write(b"a", b"another")
    await lab.scan()
    await lab.assert_agrees()
    assert await lab.node_id(b"b") == node_id


async def test_new_version_by_rename_keeps_the_node_of_the_name(lab: Lab) -> None:
    """An editor writes beside and renames over: the file was modified, not replaced by another."""
    lab.files(doc=b"version one")
    lab.files(tmp=b"version two, longer")
    await settled(lab)
    doc = await lab.node_id(b"doc")
    lab.user.rename(b"tmp", b"doc")
    await lab.scan()
    await lab.assert_agrees()
    assert await lab.node_id(b"doc") == doc


async def test_file_moved_out_of_a_removed_directory(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.user.mkdir(b"d/e")
    lab.files(d_e_x=b"ex", d_y=b"why")
    await settled(lab)
    node_id = await lab.node_id(b"d/e/x")
    lab.user.rename(b"d/e/x", b"kept")
    lab.user.delete(b"d")
    await lab.scan()
    await lab.assert_agrees()
    assert await lab.node_id(b"kept") == node_id


async def test_kind_changes_make_another_node(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.files(d_x=b"ex", f=b"eff")
    lab.user.symlink(b"l", b"f")
    await settled(lab)
    ids = {name: await lab.node_id(name) for name in (b"d", b"f", b"l")}
    for name in ids:
        lab.user.delete(name)
    lab.user.write(b"d", b"file now")
    lab.user.mkdir(b"f")
    lab.user.write(b"f/inner", b"i")
    lab.user.mkfifo(b"l")
    await lab.scan()
    await lab.assert_agrees()
    for name, node_id in ids.items():
        assert await lab.node_id(name) != node_id
    await lab.scan()
    await lab.assert_agrees()


async def test_directory_becomes_a_file_and_lives_elsewhere(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.files(d_x=b"ex", d_y=b"why")
    await settled(lab)
    ids = await lab.node_id(b"d"), await lab.node_id(b"d/x")
    lab.user.rename(b"d", b"moved")
    lab.user.write(b"d", b"a file")
    await lab.scan()
    await lab.assert_agrees()
    assert (await lab.node_id(b"moved"), await lab.node_id(b"moved/x")) == ids


async def test_failed_listing_is_never_empty(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.files(d_x=b"ex", d_y=b"why", z=b"zed")
    await settled(lab)
    lab.fs.faults["scan", b"d"] = errno.EACCES
    lab.user.delete(b"z")
    seen = await lab.scan()
    assert [(path, reason) for path, reason, _ in seen.problems] == [(b"d", Reason.UNREADABLE)]
    assert sorted(await lab.tree()) == [b"d", b"d/x", b"d/y"]
    again = await lab.scan()
    assert again.problems == seen.problems, "what is still wrong is told again"
    lab.fs.faults.clear()
    await lab.scan()
    await lab.assert_agrees()


async def test_unreadable_new_directory_stays_unlisted(lab: Lab) -> None:
    lab.files(a=b"one")
    await lab.scan()
    lab.user.mkdir(b"d")
    lab.user.write(b"d/x", b"ex")
    lab.fs.faults["scan", b"d"] = errno.EACCES
    seen = await lab.scan()
    node = await lab.node(b"d")
    assert node is not None
    assert not node.is_listed
    assert seen.new_directories == ()
    lab.fs.faults.clear()
    await lab.scan()
    node = await lab.node(b"d")
    assert node is not None
    assert node.is_listed
    await lab.assert_agrees()


async def test_unreadable_root_keeps_everything(lab: Lab) -> None:
    lab.files(a=b"one", b=b"two")
    await settled(lab)
    lab.fs.faults["scan", b""] = errno.EIO
    seen = await lab.scan()
    assert seen.listed == 0
    assert seen.problems
    assert sorted(await lab.tree()) == [b"a", b"b"]


async def test_ignored_names_have_no_nodes(lab: Lab) -> None:
    await lab.set_rules("*.tmp", "build/")
    lab.user.mkdir(b"build")
    lab.user.mkdir(b"src")
    lab.files(build_out=b"o", src_main=b"m")
    lab.user.write(b"src/x.tmp", b"t")
    seen = await lab.scan()
    assert seen.listed == 2, "an ignored directory is not entered"
    assert sorted(await lab.tree()) == [b"src", b"src/main"]
    tree = await lab.tree()
    assert tree[b"src"].has_ignored
    lab.user.delete(b"src/x.tmp")
    await lab.scan()
    assert not (await lab.tree())[b"src"].has_ignored


@pytest.mark.parametrize(
    ("old", "new", "by_look"),
    [
        ("f", "f.tmp", False),
        ("f", "f.tmp", True),
        ("d", "d.tmp", False),
        ("d", "d.tmp", True),
        ("f", "away.tmp/f", True),
    ],
)
async def test_what_is_renamed_to_an_ignored_name_leaves_no_base(
    lab: Lab, old: str, new: str, by_look: bool
) -> None:
    """The filter section: nothing is deleted at the other side."""
    await lab.set_rules("*.tmp")
    for directory in (b"d", b"away.tmp"):
        lab.user.mkdir(directory)
    lab.files(f=b"f", d_x=b"x", d_y=b"yy")
    await lab.scan()
    for path, node in (await lab.tree()).items():
        other = await lab.database.write(nodes.put, HERE.other, path, node.entry)
        await lab.database.write(base.put, path, node.entry, node.node_id, other)
    lab.user.rename(old.encode(), new.encode())
    await (lab.look(old.encode(), new.encode()) if by_look else lab.scan())
    kept = {path for path in (b"f", b"d", b"d/x") if await lab.database.read(base.find, path) is not None}
    gone = {path for path in (b"f", b"d", b"d/x") if path.split(b"/")[0] == old.encode()}
    assert kept == {b"f", b"d", b"d/x"} - gone
    await lab.assert_agrees()


async def test_newly_ignored_names_leave_and_come_back(lab: Lab) -> None:
    lab.user.mkdir(b"build")
    lab.user.mkdir(b"build/deep")
    lab.files(build_deep_out=b"o", keep=b"k")
    await settled(lab)
    await lab.set_rules("build/")
    await lab.scan()
    assert sorted(await lab.tree()) == [b"keep"]
    assert (await lab.scan()).changed == 0
    await lab.set_rules()
    await lab.scan()
    await lab.assert_agrees()


async def test_newly_ignored_in_an_unlisted_directory_is_judged_later(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.user.mkdir(b"d/in")
    lab.files(d_in_junk=b"j", d_x=b"x")
    await settled(lab)
    lab.fs.faults["scan", b"d"] = errno.EACCES
    await lab.set_rules("junk")
    await lab.scan()
    lab.fs.faults.clear()
    await lab.scan()
    assert sorted(await lab.tree()) == [b"d", b"d/in", b"d/x"]


async def test_partial_scan_with_new_rules_does_not_settle_them(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.user.mkdir(b"e")
    lab.files(d_junk=b"j", e_junk=b"k")
    await settled(lab)
    await lab.set_rules("junk")
    await lab.scan(b"d")
    assert sorted(await lab.tree()) == [b"d", b"e", b"e/junk"]
    await lab.scan()
    assert sorted(await lab.tree()) == [b"d", b"e"]


async def test_forget_records_judges_again(lab: Lab) -> None:
    lab.files(a=b"one")
    await settled(lab)
    await lab.database.write(nodes.remove, HERE, b"a")
    assert await lab.scan() == Observation(listed=1), "the record agrees"
    await lab.observer.forget_records()
    await lab.scan()
    await lab.assert_agrees()


async def test_reserved_names_are_told_every_time(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.user.write(b"d/.SYNCD", b"trick")
    seen = await lab.scan()
    assert seen.problems == ((b"d/.SYNCD", Reason.RESERVED_NAME, ""),)
    assert sorted(await lab.tree()) == [b"d"]
    assert (await lab.scan()).problems == seen.problems


async def test_racy_file_is_read_again(lab: Lab) -> None:
    lab.disk.granularity_ns = 10**9
    lab.user.write(b"a", b"one")
    seen = await lab.scan()
    assert seen.racy == (b"a",)
    await lab.digest_all()
    before = lab.disk.find(b"a").hint
    lab.user.write(b"a", b"ONE")
    assert lab.disk.find(b"a").hint == before, "the edit does not show in the stat"
    await lab.scan()
    await lab.assert_agrees()


async def test_future_mtime_is_not_racy_for_ever(lab: Lab) -> None:
    lab.user.write(b"a", b"one", mtime_ns=OLD_NS + 10**18)
    await lab.scan()
    assert (await lab.scan()).racy == ()


async def test_unreadable_file_is_asked_for_again(lab: Lab) -> None:
    lab.files(a=b"one")
    await settled(lab)
    lab.user.write(b"a", b"ONE")
    lab.fs.faults["read", b"a"] = errno.EACCES
    seen = await lab.scan()
    assert [(path, reason) for path, reason, _ in seen.problems] == [(b"a", Reason.UNREADABLE)]
    assert seen.racy == (b"a",)
    assert (await lab.scan()).problems == seen.problems
    lab.fs.faults.clear()
    await lab.scan()
    await lab.assert_agrees()
    node = await lab.node(b"a")
    assert node is not None
    assert node.entry.digest == lab.disk.find(b"a").digest()


async def test_unreadable_link_is_asked_for_again(lab: Lab) -> None:
    lab.user.symlink(b"l", b"one")
    lab.fs.faults["read", b"l"] = errno.EIO
    seen = await lab.scan()
    assert [path for path, _, _ in seen.problems] == [b"l"]
    assert await lab.tree() == {}
    lab.fs.faults.clear()
    await lab.scan()
    await lab.assert_agrees()


async def test_ignore_file_is_told(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    assert not (await lab.scan()).ignore_files
    lab.user.write(b"d/.syncignore", b"*.o\n")
    assert (await lab.scan()).ignore_files
    await lab.digest_all()
    await lab.scan()
    assert not (await lab.scan()).ignore_files
    lab.user.write(b"d/.syncignore", b"*.a\n")
    assert (await lab.look(b"d/.syncignore")).ignore_files
    lab.user.delete(b"d/.syncignore")
    assert (await lab.look(b"d/.syncignore")).ignore_files


async def test_look_at_single_paths(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.files(d_a=b"one", d_b=b"two", c=b"three")
    await settled(lab)
    lab.user.write(b"d/a", b"one and more")
    lab.user.delete(b"d/b")
    lab.user.write(b"d/new", b"n")
    seen = await lab.look(b"d/a", b"d/b", b"d/new", b"c", b"nothing")
    assert seen.changed == 3
    await lab.assert_agrees()
    assert await lab.look(b"c", b"nothing", b"") == Observation()
    assert (await lab.scan()).changed == 0


async def test_look_finds_a_new_directory_and_what_is_above(lab: Lab) -> None:
    lab.files(a=b"one")
    await settled(lab)
    lab.user.mkdir(b"p")
    lab.user.mkdir(b"p/q")
    lab.user.write(b"p/q/f", b"eff")
    seen = await lab.look(b"p/q/f")
    assert seen.new_directories == (b"p",)
    node = await lab.node(b"p")
    assert node is not None
    assert not node.is_listed
    assert (await lab.look(b"p")).new_directories == (b"p",), "as long as nobody has listed it"
    assert (await lab.scan(b"p")).new_directories == ()
    await lab.assert_agrees()
    assert (await lab.look(b"p")).new_directories == ()


async def test_look_recognises_a_rename_in_one_call(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.files(d_x=b"1", d_y=b"2", f=b"eff")
    await settled(lab)
    ids = await lab.node_id(b"d"), await lab.node_id(b"f"), await lab.node_id(b"d/x")
    lab.user.rename(b"d", b"e")
    lab.user.rename(b"f", b"g")
    seen = await lab.look(b"d", b"e", b"f", b"g")
    await lab.assert_agrees()
    assert (await lab.node_id(b"e"), await lab.node_id(b"g"), await lab.node_id(b"e/x")) == ids
    assert seen.new_directories == (b"e",)
    assert (await lab.scan()).changed == 0


async def test_look_that_fails_touches_nothing(lab: Lab) -> None:
    lab.files(a=b"one")
    await settled(lab)
    lab.user.delete(b"a")
    lab.fs.faults["look", b"a"] = errno.EIO
    seen = await lab.look(b"a")
    assert [path for path, _, _ in seen.problems] == [b"a"]
    assert sorted(await lab.tree()) == [b"a"]


async def test_look_at_an_ignored_path(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    await settled(lab)
    await lab.set_rules("*.tmp")
    await lab.scan()
    lab.user.write(b"d/x.tmp", b"t")
    assert (await lab.look(b"d/x.tmp")).changed == 0
    tree = await lab.tree()
    assert sorted(tree) == [b"d"]
    assert tree[b"d"].has_ignored


async def test_flat_scan_tells_new_directories(lab: Lab) -> None:
    lab.files(a=b"one")
    await settled(lab)
    lab.user.mkdir(b"d")
    lab.user.write(b"d/x", b"ex")
    seen = await lab.scan(b"", recursive=False)
    assert seen.new_directories == (b"d",)
    assert seen.listed == 1


async def test_scan_of_a_subtree_that_went(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.files(d_x=b"ex", y=b"why")
    await settled(lab)
    lab.user.delete(b"d")
    await lab.scan(b"d")
    await lab.assert_agrees()


async def test_scan_of_an_ignored_subtree_does_nothing(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    await lab.set_rules("d/")
    assert (await lab.scan(b"d")).listed == 0
    assert await lab.tree() == {}


class Killed(Exception):
    """The process died here."""


@pytest.mark.parametrize("stop_after", range(12))
async def test_kill_between_pages_is_healed_by_the_next_scan(lab: Lab, stop_after: int) -> None:
    for name in (b"a", b"b", b"c"):
        lab.user.mkdir(name)
        for i in range(4):
            lab.user.write(name + b"/f%d" % i, name + b"%d" % i, mtime_ns=OLD_NS)
    if stop_after % 2:
        await settled(lab)
        lab.user.rename(b"a", b"z")
        lab.user.rename(b"b/f1", b"c/g1")
        lab.user.delete(b"b/f2")
        lab.user.delete(b"c/f3")
        lab.user.mkdir(b"c/f3")
        lab.user.rename(b"b/f3", b"t")
        lab.user.rename(b"b/f0", b"b/f3")
        lab.user.rename(b"t", b"b/f0")
    write = lab.database.write
    calls = 0

    async def dying(fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        nonlocal calls
        calls += 1
        if calls > stop_after:
            raise Killed
        return await write(fn, *args, **kwargs)

    lab.database.write = dying  # type: ignore[method-assign]
    with suppress(Killed):
        await lab.scan()
    lab.database.write = write  # type: ignore[method-assign]
    await lab.scan()
    await lab.assert_agrees()
    await lab.scan()
    assert (await lab.scan()).changed == 0


async def test_unclean_stop_compares_names_and_entries_too(lab: Lab) -> None:
    """A flipped byte in a node must not look like a deletion by the user (DBS-13)."""
    lab.user.mkdir(b"d")
    lab.files(d_x=b"ex", d_y=b"why")
    await settled(lab)

    def damage(db) -> None:  # type: ignore[no-untyped-def]
        db.execute("UPDATE nodes SET name = x'ff' WHERE name = ?", (b"x",))
        db.execute("UPDATE nodes SET size = 77, digest = NULL WHERE name = ?", (b"y",))
        meta.forget_observed_filters(db)

    await lab.database.write(damage)
    await lab.scan()
    await lab.assert_agrees()


async def test_damaged_record_is_compared_name_by_name(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.files(d_x=b"ex")
    await settled(lab)
    node_id = await lab.node_id(b"d")
    await lab.database.write(records.put, node_id, 3, b"\x07\x00\x00\x00junk")
    await lab.scan()
    await lab.assert_agrees()


async def test_parked_nodes_of_a_killed_run_are_collected(lab: Lab) -> None:
    lab.files(a=b"one")
    await settled(lab)

    def park(db) -> None:  # type: ignore[no-untyped-def]
        node = nodes.find(db, HERE, b"a")
        assert node is not None
        displaced.begin(db, HERE)
        displaced.park(db, HERE, node, None)

    await lab.database.write(park)
    await lab.observer.forget_records()
    await lab.scan()
    await lab.assert_agrees()
    rows = await lab.database.read(lambda db: db.execute("SELECT count(*) FROM nodes").fetchone()[0])
    assert rows == 3


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_any_history_ends_in_agreement(lab: Lab, seed: int) -> None:
    """Random deeds, observed by scans and looks in between: the index always says what is there."""
    rng = random.Random(seed)
    deeds = Deeds(lab, rng)
    for _ in range(30):
        for _ in range(rng.randrange(1, 6)):
            deeds.do()
        if rng.random() < 0.4:
            await lab.look(*deeds.touched)
        else:
            seen = await lab.scan()
            assert seen.new_directories == ()
            await lab.assert_agrees()
        if rng.random() < 0.3:
            await lab.digest_all()
        deeds.touched.clear()
    await lab.scan()
    await lab.assert_agrees()
    await lab.scan()
    assert (await lab.scan()).changed == 0


@pytest.mark.parametrize("seed", range(6))
async def test_any_history_with_patched_records(lab: Lab, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Directories so large that single changes are kept beside their record."""
    monkeypatch.setattr(records, "PATCHED_FROM", 60)
    await test_any_history_ends_in_agreement(lab, seed)
    patches = await lab.database.read(
        lambda db: db.execute("SELECT count(*) FROM record_patches").fetchone()[0]
    )
    assert patches == 0, "a scan folds them in"


class Deeds:
    """A user who does anything."""

    def __init__(self, lab: Lab, rng: random.Random) -> None:
        self._lab = lab
        self._rng = rng
        self.touched: set[bytes] = set()

    def do(self) -> None:
        user, rng = self._lab.user, self._rng
        path, other = self._path(), self._path()
        deed = rng.choice(["write", "write", "mkdir", "rename", "rename", "delete", "link", "chmod", "swap"])
        try:
            if deed == "write":
                user.write(path, rng.choice([b"", b"one", b"two", b"longer"]))
            elif deed == "mkdir":
                user.mkdir(path)
            elif deed == "rename":
                user.rename(path, other)
            elif deed == "delete":
                user.delete(path)
            elif deed == "link":
                user.symlink(path, rng.choice([b"x", b"y"]))
            elif deed == "chmod":
                user.chmod(path, rng.choice([0o600, 0o755]))
            else:
                user.rename(path, b"swap")
                user.rename(other, path)
                user.rename(b"swap", other)
        except OSError:
            pass
        self.touched |= {path, other, b"swap"}

    def _path(self) -> bytes:
        names = [self._rng.choice([b"a", b"b", b"c"]) for _ in range(self._rng.choice([1, 1, 2, 2, 3]))]
        return b"/".join(names)


def test_is_same_directory_needs_evidence() -> None:
    def record(*rows: tuple[bytes, int]) -> bytes:
        from syncd.core.listing import pack

        return pack([Child(name, Kind.FILE, 0o644, StatHint(inode, 1, 2, 3)) for name, inode in rows])

    known = record((b"a", 1), (b"b", 2))
    assert is_same_directory(known, known)
    assert is_same_directory(known, record((b"a", 1), (b"x", 9)))
    assert not is_same_directory(known, record((b"a", 7), (b"b", 8)))
    assert not is_same_directory(known, record())
    assert not is_same_directory(record(), record()), "an empty directory is cheap to make anew"
    assert not is_same_directory(None, known)
    assert not is_same_directory(b"\x09\x00\x00\x00", known)


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
