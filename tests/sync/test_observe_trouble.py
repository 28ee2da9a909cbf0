"""Observation that meets trouble: failed listings, unreadable files, reserved names, racy stamps."""

import errno

from syncd.core.reason import Reason
from tests.sync.lab import OLD_NS, Lab, settled


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
