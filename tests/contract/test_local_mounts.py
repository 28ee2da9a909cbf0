"""Other file systems below the root, entered with `cross_mounts`: the trash is on another device."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from syncd.core.action import Done, Failed, Put, Stale
from syncd.core.entry import Entry, Kind
from syncd.core.reason import Reason
from syncd.tree.local import LocalTree
from syncd.tree.local import apply as batches
from syncd.tree.local import syscalls as sc
from syncd.tree.port import Batch, Step
from tests.contract.localkit import KEY, OLD_NS, D, Killed, Kit, killed_before, kinds, mounted


@pytest.fixture
async def kit(tmp_path: Path) -> AsyncIterator[Kit]:
    with mounted(tmp_path / "b" / "mnt", "size=8m"):
        kit = await Kit(tmp_path, cross_mounts=True).open()
        yield kit
        await kit.target.close()


async def prepare(kit: Kit) -> list[Batch]:
    for path in kit.tree():
        os.unlink(kit.at(path))
    for path, data in {b"mnt/f": b"old f", b"mnt/x": b"old x", b"mnt/a": b"1", b"mnt/b": b"2"}.items():
        kit.write(path, data)
    levels = [
        [await kit.move(b"mnt/a", b"mnt/b", parked=True), await kit.move(b"mnt/b", b"mnt/a")],
        [await kit.put(b"mnt/f", b"new f"), await kit.put(b"mnt/n", b"new n")],
        [await kit.delete(b"mnt/x")],
    ]
    return [Batch("plan", tuple(steps), lambda: False) for steps in levels]


AFTER = {b"mnt/f": b"new f", b"mnt/n": b"new n", b"mnt/a": b"2", b"mnt/b": b"1"}


async def test_everything_works_on_the_other_file_system(kit: Kit) -> None:
    for batch in await prepare(kit):
        assert set(kinds(await kit.target.apply(batch))) == {"Done"}
    assert kit.tree() == AFTER
    assert kit.trash() == [b"old f", b"old x"]
    assert await kit.names(b"mnt") == [b"a", b"b", b"f", b"n"]
    os.symlink(b"there", os.path.join(kit.a, b"l"))
    wanted = Entry(Kind.SYMLINK, target=b"there", mtime_ns=OLD_NS)
    content = kit.source.content(b"l", wanted, None)
    assert isinstance(await kit.do(Step(Put(D, b"mnt/l", wanted, None, b"l"), None, content)), Done)
    assert os.readlink(kit.at(b"mnt/l")) == b"there"
    assert isinstance(await kit.do(await kit.delete(b"mnt/l")), Done)
    assert kit.leftovers() == []


async def test_race_abroad_is_seen(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    await prepare(kit)
    step = await kit.put(b"mnt/f", b"new")
    real = sc.rename_exchange

    def exchange(*args: Any) -> None:
        monkeypatch.setattr(sc, "rename_exchange", real)
        kit.write(b"mnt/f", b"edit", mtime_ns=None)
        real(*args)

    monkeypatch.setattr(sc, "rename_exchange", exchange)
    assert isinstance(await kit.do(step), Stale)
    assert kit.read(b"mnt/f") == b"edit"
    assert kit.trash() == []
    assert await kit.names(b"mnt") == [b"a", b"b", b"f", b"x"]


async def test_move_between_file_systems_is_an_issue_of_the_path(kit: Kit) -> None:
    kit.write(b"f", b"1")
    result = await kit.do(await kit.move(b"f", b"mnt/f"))
    assert isinstance(result, Failed)
    assert result.reason is Reason.OTHER_FILESYSTEM
    assert kit.tree() == {b"f": b"1"}


async def test_without_crossing_nothing_beneath_is_changed(kit: Kit, tmp_path: Path) -> None:
    kit.write(b"mnt/f", b"mine")
    step = await kit.put(b"mnt/f", b"theirs")
    staying = await Kit(tmp_path).open()
    result = await staying.do(step)
    assert isinstance(result, Failed)
    assert result.reason is Reason.OTHER_FILESYSTEM
    assert kit.tree() == {b"mnt/f": b"mine"}
    await staying.target.close()


async def test_killed_before_every_call_abroad(kit: Kit) -> None:
    number, is_over = 0, False
    while not is_over:
        number += 1
        for folder, _, files in os.walk(kit.at(b".syncd/trash")):
            for name in files:
                os.unlink(os.path.join(folder, name))
        plan = await prepare(kit)
        with killed_before(number):
            try:
                for batch in plan:
                    batches.run(kit.target._site(), batch)
                is_over = True
            except Killed:
                pass
        tree = LocalTree(kit.b, D, pair_key=KEY, is_written=True, cross_mounts=True)
        await tree.open(known=None, adopt=False)
        await tree.close()
        found, trash = kit.tree(), kit.trash()
        assert set(found) <= {b"mnt/f", b"mnt/x", b"mnt/n", b"mnt/a", b"mnt/b"}, number
        for data in (b"old f", b"old x", b"1", b"2"):
            assert data in found.values() or data in trash, (number, data)
        assert kit.leftovers() == []
    assert number > 30
    assert found == AFTER
