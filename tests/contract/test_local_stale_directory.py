"""A directory is moved away or made anew under its name: what is read next comes from the new one."""

import os
from pathlib import Path

import pytest

from syncd.core.entry import Entry, Kind
from syncd.core.error import StaleError
from tests.contract.localkit import OLD_NS, Kit


@pytest.fixture
async def kit(tmp_path: Path) -> Kit:
    return await Kit(tmp_path).open()


async def read(kit: Kit, path: bytes) -> bytes:
    """Through the port, by what is known of the file just now."""
    child = await kit.child(path, kit.source)
    assert child is not None
    wanted = Entry(Kind.FILE, 0o644, child.hint.size, child.hint.mtime_ns)
    descriptor = kit.source.content(path, wanted, child.hint).open_blocking()
    try:
        return os.read(descriptor, 100)
    finally:
        os.close(descriptor)


def move_away(kit: Kit) -> None:
    os.rename(os.path.join(kit.a, b"d"), os.path.join(kit.a, b"away"))


async def test_digest_is_of_the_file_that_is_there_now(kit: Kit) -> None:
    kit.write(b"d/f", b"before", root=kit.a)
    (old,) = await kit.source.digest([b"d/f"])
    move_away(kit)
    kit.write(b"d/f", b"after.", root=kit.a)
    (new,) = await kit.source.digest([b"d/f"])
    assert new.digest != old.digest
    assert new.hint is not None
    assert new.hint.inode == os.stat(os.path.join(kit.a, b"d/f")).st_ino


async def test_content_of_a_file_in_a_directory_made_anew(kit: Kit) -> None:
    kit.write(b"d/f", b"before", root=kit.a)
    assert await read(kit, b"d/f") == b"before"
    os.unlink(os.path.join(kit.a, b"d/f"))
    os.rmdir(os.path.join(kit.a, b"d"))
    kit.write(b"d/f", b"after", root=kit.a)
    assert await read(kit, b"d/f") == b"after"


async def test_content_is_found_at_the_second_try_when_the_old_directory_lives_on(kit: Kit) -> None:
    kit.write(b"d/f", b"before", root=kit.a, mtime_ns=OLD_NS)
    assert await read(kit, b"d/f") == b"before"
    move_away(kit)
    kit.write(b"d/f", b"after.", root=kit.a, mtime_ns=OLD_NS + 1)
    with pytest.raises(StaleError):
        await read(kit, b"d/f")
    assert await read(kit, b"d/f") == b"after."


async def test_link_target_is_of_the_link_that_is_there_now(kit: Kit) -> None:
    os.mkdir(os.path.join(kit.a, b"d"))
    os.symlink(b"before", os.path.join(kit.a, b"d/l"))
    wanted = Entry(Kind.SYMLINK, 0, 6, OLD_NS)
    assert kit.source.content(b"d/l", wanted, None).read_target_blocking() == b"before"
    move_away(kit)
    os.mkdir(os.path.join(kit.a, b"d"))
    os.symlink(b"after.", os.path.join(kit.a, b"d/l"))
    assert kit.source.content(b"d/l", wanted, None).read_target_blocking() == b"after."


async def test_small_file_is_the_one_that_is_there_now(kit: Kit) -> None:
    kit.write(b"d/f", b"before", root=kit.a)
    assert await kit.source.read_file(b"d/f", 100) == b"before"
    move_away(kit)
    kit.write(b"d/f", b"after", root=kit.a)
    assert await kit.source.read_file(b"d/f", 100) == b"after"
