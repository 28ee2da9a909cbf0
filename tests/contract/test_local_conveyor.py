"""Batches one behind the other: the outcome of each alone, fewer syncs, and nothing named before its sync."""

import contextlib
import errno
from pathlib import Path

import pytest

from syncd.core.action import Done, Failed, Result, Stale
from syncd.core.reason import Reason
from syncd.tree.local import syscalls as sc
from syncd.tree.local.conveyor import Conveyor
from syncd.tree.port import Batch, Step
from tests.contract.localkit import Killed, Kit, fail, killed_before

FILES = 10
"""Of one batch: enough for a sync of the file system."""


class Belt:
    """A conveyor at a kit's target, and what it has answered."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.answered: list[tuple[str, list[Result]]] = []
        self.conveyor = Conveyor(
            kit.target._site(), lambda batch, results: self.answered.append((batch.batch_id, list(results)))
        )

    async def batch(self, name: str, *, files: int = FILES) -> Batch:
        steps = [
            await self.kit.put(b"%s/f%d" % (name.encode(), number), b"%d" % number) for number in range(files)
        ]
        return Batch(name, tuple(steps), lambda: False)

    def run(self, batches: list[Batch]) -> None:
        for batch in batches:
            self.conveyor.move(batch)
        while not self.conveyor.is_empty:
            self.conveyor.move()

    @property
    def all_done(self) -> bool:
        return all(isinstance(result, Done) for _, results in self.answered for result in results)


@pytest.fixture
async def belt(tmp_path: Path) -> Belt:
    kit = await Kit(tmp_path).open()
    for name in (b"one", b"two", b"three"):
        kit.write(name + b"/here", b"before")
    return Belt(kit)


async def three(belt: Belt) -> list[Batch]:
    return [await belt.batch(name) for name in ("one", "two", "three")]


async def test_each_batch_is_answered_in_order(belt: Belt) -> None:
    belt.run(await three(belt))
    assert [name for name, _ in belt.answered] == ["one", "two", "three"]
    assert all(len(results) == FILES for _, results in belt.answered)
    assert belt.all_done
    assert {path: data for path, data in belt.kit.tree().items() if b"here" not in path} == {
        b"%s/f%d" % (name, number): b"%d" % number
        for name in (b"one", b"two", b"three")
        for number in range(FILES)
    }
    assert belt.kit.leftovers() == []


async def test_one_sync_serves_two_batches(belt: Belt, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content of each, and the names of the last: four for three batches, where alone each takes two."""
    synced: list[int] = []
    real = sc.syncfs

    def counted(root: int) -> None:
        synced.append(root)
        real(root)

    # Each batch changes more directories than are synced one by one.
    monkeypatch.setattr("syncd.tree.local.apply.FEW", 0)
    monkeypatch.setattr(sc, "syncfs", counted)
    belt.run(await three(belt))
    assert len(synced) == 4
    assert belt.all_done


async def test_nothing_is_named_before_its_sync(belt: Belt, monkeypatch: pytest.MonkeyPatch) -> None:
    belt.conveyor.move(await belt.batch("one"))
    assert belt.kit.tree().keys() == {b"one/here", b"two/here", b"three/here"}
    belt.conveyor.move(await belt.batch("two"))
    assert len(belt.kit.tree()) == 3 + FILES
    assert belt.answered == []
    belt.run([])
    assert len(belt.kit.tree()) == 3 + 2 * FILES


async def test_a_sync_that_fails_fails_what_waited_for_it(
    belt: Belt, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await belt.batch("one"), await belt.batch("two")
    with monkeypatch.context() as patch:
        fail(patch, "syncfs", errno.EIO)
        belt.run([first])
    ((_, results),) = belt.answered
    assert {type(result) for result in results} == {Failed}
    assert {result.reason for result in results if isinstance(result, Failed)} == {Reason.IO_ERROR}
    assert len(belt.kit.tree()) == 3
    belt.run([second])
    assert len(belt.kit.tree()) == 3 + FILES
    assert belt.kit.leftovers() == []


async def test_names_whose_sync_fails_are_not_answered_as_done(
    belt: Belt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncd.tree.local.apply.FEW", 0)
    first = await belt.batch("one")
    belt.conveyor.move(first)
    belt.conveyor.move()
    assert len(belt.kit.tree()) == 3 + FILES
    fail(monkeypatch, "syncfs", errno.EIO)
    belt.run([])
    ((_, results),) = belt.answered
    assert all(isinstance(result, Failed) and result.is_in_doubt for result in results)


async def test_a_batch_of_few_goes_along(belt: Belt) -> None:
    belt.run([await belt.batch("one"), await belt.batch("two", files=2), await belt.batch("three")])
    assert [len(results) for _, results in belt.answered] == [FILES, 2, FILES]
    assert belt.all_done


async def test_a_target_that_turned_out_otherwise_stays(belt: Belt) -> None:
    batches = await three(belt)
    belt.conveyor.move(batches[0])
    belt.kit.write(b"one/f3", b"somebody was quicker")
    belt.run(batches[1:])
    assert isinstance(belt.answered[0][1][3], Stale)
    assert belt.kit.read(b"one/f3") == b"somebody was quicker"


async def test_what_is_dropped_leaves_nothing_behind(belt: Belt) -> None:
    for batch in await three(belt):
        belt.conveyor.move(batch)
    belt.conveyor.close()
    assert belt.conveyor.is_empty
    assert belt.kit.leftovers() == []
    assert not any(b"three/f" in path for path in belt.kit.tree())


async def test_a_kill_at_any_call_loses_nothing(tmp_path: Path) -> None:
    """Replacements, so that there is something to lose: every old content is at its place or in the trash,
    every new one is whole."""
    number = 0
    is_over = False
    while not is_over:
        number += 9
        folder = tmp_path / str(number)
        folder.mkdir()
        kit = await Kit(folder).open()
        for index in range(2 * FILES):
            kit.write(b"f%d" % index, b"old %d" % index)
        steps: list[Step] = [await kit.put(b"f%d" % index, b"new %d" % index) for index in range(2 * FILES)]
        belt = Belt(kit)
        batches = [
            Batch("b1", tuple(steps[:FILES]), lambda: False),
            Batch("b2", tuple(steps[FILES:]), lambda: False),
        ]
        with killed_before(number) as calls:
            with contextlib.suppress(Killed):
                belt.run(batches)
            belt.conveyor._held.close()  # as the system lets go of a dead process's lock
            is_over = len(calls) < number
        await kit.target.close()
        kit = await Kit(folder).open()
        found = kit.tree()
        assert found.keys() == {b"f%d" % index for index in range(2 * FILES)}
        for index in range(2 * FILES):
            new, old = b"new %d" % index, b"old %d" % index
            assert found[b"f%d" % index] in (new, old)
            assert found[b"f%d" % index] == old or old in kit.trash()
        assert kit.leftovers() == []
        await kit.target.close()
