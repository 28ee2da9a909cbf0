"""Observation of renames, recycled inodes, swaps and kinds that change."""

from syncd.core.entry import Kind, StatHint
from syncd.core.listing import Child
from syncd.index.observed import is_same_directory
from syncd.sync.observe import Observation
from tests.sync.lab import OLD_NS, Lab, settled


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
