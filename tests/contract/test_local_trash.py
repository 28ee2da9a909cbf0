"""The trash of a real tree: what lies in it, reading and restoring, and what expires when."""

import errno
import os
from pathlib import Path

import msgspec
import pytest
from blake3 import blake3

from syncd.core.action import Done, TrashRef
from syncd.core.error import PathProblem
from syncd.core.reason import Reason
from syncd.tree.local import LocalTree, manifest
from syncd.tree.local.trash import Trash
from tests.contract.localkit import KEY, D, Killed, Kit, killed_before

DAY_S = 24 * 3600.0


@pytest.fixture
async def kit(tmp_path: Path) -> Kit:
    return await Kit(tmp_path).open()


async def thrown_away(kit: Kit, path: bytes, data: bytes) -> TrashRef:
    kit.write(path, data)
    result = await kit.do(await kit.delete(path))
    assert isinstance(result, Done)
    assert result.trash is not None
    return result.trash


def age(kit: Kit, ref: TrashRef, seconds: float) -> None:
    """Let a folder be older: its record is what tells."""
    name = kit.at(b".syncd/trash/%s/manifest.jsonl" % ref.batch.encode())
    with open(name, "rb") as file:
        first, *rest = file.read().splitlines(keepends=True)
    record = msgspec.json.decode(first, type=manifest.BatchRecord)
    older = manifest.BatchRecord(record.batch, record.at_ns - int(seconds * 1e9))
    with open(name, "wb") as file:
        file.write(msgspec.json.encode(older) + b"\n" + b"".join(rest))


async def test_entries_tell_what_was_where(kit: Kit) -> None:
    ref = await thrown_away(kit, b"d/caf\xe9", b"bytes")
    (entry,) = await kit.target.trash_entries()
    assert (entry.ref, entry.path, entry.size, entry.op) == (ref, b"d/caf\xe9", 5, "delete")
    assert entry.entry is not None
    assert entry.entry.size == 5
    assert await kit.target.trash_entries("none") == []
    location = kit.target.trash_location(ref)
    assert location is not None
    with open(location, "rb") as file:
        assert file.read() == b"bytes"
    assert kit.target.trash_location(TrashRef(D, ref.batch, "d9")) is None
    descriptor = Trash(kit.target._root, D).open(ref)
    assert os.read(descriptor, 10) == b"bytes"
    os.close(descriptor)


async def test_restore_takes_free_names_only(kit: Kit) -> None:
    ref = await thrown_away(kit, b"f", b"bytes")
    kit.write(b"f", b"newer")
    with pytest.raises(PathProblem) as caught:
        await kit.target.restore(ref, b"f")
    assert caught.value.reason is Reason.BLOCKED
    await kit.target.restore(ref, b"g")
    assert kit.tree() == {b"f": b"newer", b"g": b"bytes"}
    with pytest.raises(PathProblem):
        await kit.target.restore(ref, b"h")
    for bad in (TrashRef(D, "..", "marker"), TrashRef(D, ".", "x"), TrashRef(D, ref.batch, "../../marker")):
        with pytest.raises(PathProblem):
            await kit.target.restore(bad, b"h")


async def test_restore_without_rename_flags(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    from syncd.tree.local import syscalls as sc

    ref = await thrown_away(kit, b"f", b"bytes")

    def refuse(*args: object) -> None:
        raise OSError(errno.EINVAL, "EINVAL")

    monkeypatch.setattr(sc, "rename_noreplace", refuse)
    await kit.target.restore(ref, b"f")
    assert (kit.tree(), kit.trash()) == ({b"f": b"bytes"}, [])


async def test_expiry_by_age_spares_the_pinned_and_the_young(kit: Kit) -> None:
    old = await thrown_away(kit, b"old", b"1" * 5000)
    pinned = await thrown_away(kit, b"pinned", b"2" * 5000)
    await thrown_away(kit, b"young", b"3" * 5000)
    age(kit, old, 31 * DAY_S)
    age(kit, pinned, 31 * DAY_S)
    assert await kit.target.expire_trash(30 * DAY_S, None, frozenset({pinned.batch})) >= 5000
    assert kit.trash() == [b"2" * 5000, b"3" * 5000]
    assert {entry.path for entry in await kit.target.trash_entries()} == {b"pinned", b"young"}


async def test_expiry_for_space_takes_the_oldest_past_a_day(kit: Kit) -> None:
    refs = [await thrown_away(kit, b"f%d" % index, b"%d" % index * 100_000) for index in range(4)]
    for index, ref in enumerate(refs[:3]):
        age(kit, ref, (5 - index) * DAY_S)
    await kit.target.expire_trash(30 * DAY_S, 250_000, frozenset())
    assert [entry.path for entry in await kit.target.trash_entries()] == [b"f2", b"f3"]
    await kit.target.expire_trash(30 * DAY_S, 0, frozenset())
    assert [entry.path for entry in await kit.target.trash_entries()] == [b"f3"]


async def test_clock_that_jumped_expires_nothing(kit: Kit) -> None:
    """CLK-08: a batch from the future has no negative age, and no age at all."""
    ref = await thrown_away(kit, b"f", b"1")
    age(kit, ref, -10 * 365 * DAY_S)
    assert await kit.target.expire_trash(0, 0, frozenset()) == 0
    assert kit.trash() == [b"1"]


async def test_folder_in_flight_is_not_expired(kit: Kit) -> None:
    ref = await thrown_away(kit, b"f", b"1")
    age(kit, ref, 99 * DAY_S)
    kit.write(b".syncd/in-flight/" + ref.batch.encode(), b"")
    assert await kit.target.expire_trash(0, None, frozenset()) == 0
    os.unlink(kit.at(b".syncd/in-flight/" + ref.batch.encode()))
    assert await kit.target.expire_trash(0, None, frozenset()) > 0
    assert os.listdir(kit.at(b".syncd/trash")) == []


async def test_cra_07_what_a_killed_expiry_left_expires_after_the_restart(tmp_path: Path) -> None:
    """Killed before each unlink: what is left is told, is as old as it was, and goes the next time."""
    number, is_over = 0, False
    while not is_over:
        number += 1
        kit = await Kit(tmp_path / str(number)).open()
        refs = [await thrown_away(kit, b"%d" % index, b"x" * 5000) for index in range(2)]
        young = await thrown_away(kit, b"young", b"y")
        for ref in refs:
            age(kit, ref, 31 * DAY_S)
        with killed_before(number):
            try:
                Trash(kit.target._root, D).expire(30 * DAY_S, None, frozenset())
                is_over = True
            except Killed:
                pass
        tree = LocalTree(kit.b, D, pair_key=KEY, is_written=True)
        await tree.open(known=None, adopt=False)
        assert not await tree.unaccounted()
        left = {entry.path for entry in await tree.trash_entries()}
        assert left <= {b"0", b"1", b"young"}
        await tree.expire_trash(30 * DAY_S, None, frozenset())
        assert [entry.ref for entry in await tree.trash_entries()] == [young]
        # A folder whose record is gone too is as old as that unlink.
        await tree.expire_trash(-1.0, None, frozenset())
        assert os.listdir(kit.at(b".syncd/trash")) == []
        await tree.close()
    assert number > 6


async def test_writer_that_still_had_the_file_open_is_noticed(kit: Kit) -> None:
    """RAC-10: its bytes are in the trash, are told, and begin their time anew."""
    kit.write(b"f", b"old")
    with open(kit.at(b"f"), "r+b") as writer:
        done = await kit.do(await kit.put(b"f", b"new"))
        assert isinstance(done, Done)
        assert done.trash is not None
        assert await kit.target.unaccounted([done.trash.batch]) == []
        writer.write(b"late")
    for asked in (None, [done.trash.batch]):
        (late,) = await kit.target.unaccounted(asked)
        assert (late.ref, late.path, late.entry.size) == (done.trash, b"f", 4)
        assert late.expected is not None
        assert (late.expected.size, late.expected.digest) == (3, blake3(b"old").digest())
    assert await kit.target.unaccounted(["another"]) == []
    assert await kit.target.digest_kept(done.trash) == blake3(b"late").digest()
    age(kit, done.trash, 99 * DAY_S)
    assert await kit.target.expire_trash(30 * DAY_S, None, frozenset()) == 0
    assert (kit.tree(), kit.trash()) == ({b"f": b"new"}, [b"late"])


async def test_kept_bytes_that_are_gone_have_no_digest(kit: Kit) -> None:
    ref = await thrown_away(kit, b"f", b"old")
    assert await kit.target.digest_kept(ref) == blake3(b"old").digest()
    assert await kit.target.digest_kept(TrashRef(D, ref.batch, "d9")) is None


async def test_weight_of_the_trash_follows_what_is_displaced_and_dropped(kit: Kit) -> None:
    await thrown_away(kit, b"f", b"x" * 50_000)
    before = await kit.target.trash_bytes()
    assert 50_000 <= before < 100_000
    await thrown_away(kit, b"g", b"x" * 50_000)
    assert await kit.target.trash_bytes() == before + 50_000, "without counting again"
    await kit.target.expire_trash(-1.0, None, frozenset())
    assert await kit.target.trash_bytes() == 0


async def test_tree_that_is_never_written_keeps_nothing(kit: Kit) -> None:
    assert await kit.source.trash_bytes() == 0
    assert await kit.source.unaccounted() == ()
