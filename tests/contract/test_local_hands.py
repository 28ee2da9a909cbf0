"""Batches that processes of their own apply: the same outcome, and no harm when a process dies."""

import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from syncd.core.action import Done, Failed, Put, Result, Stale
from syncd.core.entry import Side
from syncd.core.reason import Reason
from syncd.tree.local import hands, occupancy
from syncd.tree.memory import MemoryTree
from syncd.tree.memory_disk import Disk
from syncd.tree.port import Batch, Step
from tests.contract.localkit import Kit, mounted


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are begun with the first suited batch."""
    monkeypatch.setattr(hands, "AFTER", 1)


async def steps(kit: Kit, count: int = 24) -> list[Step]:
    return [await kit.put(b"f%02d" % number, b"content %d" % number) for number in range(count)]


async def apply(kit: Kit, work: Sequence[Step], progress: list[int] | None = None) -> Sequence[Result]:
    told = [] if progress is None else progress
    batch = Batch(batch_id="b1", steps=tuple(work), stop=lambda: False, progress=told.append)
    return await kit.target.apply(batch)


def children(kit: Kit) -> list[int]:
    return [child.pid for child in kit.target.hands.children]


async def frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Kit, int]:
    """A tree with one process, which has put some files and is stopped now."""
    monkeypatch.setattr(hands, "CHILDREN", 1)
    kit = await Kit(tmp_path).open()
    await apply(kit, await steps(kit))
    (pid,) = children(kit)
    os.kill(pid, signal.SIGSTOP)
    return kit, pid


@asynccontextmanager
async def giving(
    kit: Kit, work: Sequence[Step], answers: list[Sequence[Result]], stop: Callable[[], bool] = lambda: False
) -> AsyncIterator[None]:
    """Apply `work` in batches side by side; the body runs when the one process has got all that it takes."""

    async def give(number: int) -> None:
        some = work[number * hands.LEAST_STEPS : (number + 1) * hands.LEAST_STEPS]
        answers.append(await kit.target.apply(Batch(f"b{number}", tuple(some), stop)))

    async with anyio.create_task_group() as tasks:
        for number in range(len(work) // hands.LEAST_STEPS):
            tasks.start_soon(give, number)
        with anyio.fail_after(30):
            while kit.target.hands.children[0].jobs < hands.JOBS_AT_ONCE:
                await anyio.sleep(0.01)
        yield


async def test_a_process_puts_the_files_and_answers_like_a_thread(tmp_path: Path) -> None:
    kit = await Kit(tmp_path).open()
    work, progress = await steps(kit), list[int]()
    results = await apply(kit, work, progress)
    assert len(children(kit)) == 1
    assert sum(progress) == sum(step.action.entry.size for step in work if isinstance(step.action, Put))
    for number, result in enumerate(results):
        assert isinstance(result, Done)
        assert result.action is work[number].action
        assert kit.read(result.action.path) == b"content %d" % number
        entry, hint = await kit.entry(result.action.path)
        assert (result.entry, result.hint) == (entry, hint)
    await kit.target.close()


async def test_many_batches_at_once_are_shared_out(tmp_path: Path) -> None:
    kit = await Kit(tmp_path).open()
    work = await steps(kit, 12 * hands.LEAST_STEPS)
    answers: dict[int, Sequence[Result]] = {}

    async def give(number: int) -> None:
        some = work[number * hands.LEAST_STEPS : (number + 1) * hands.LEAST_STEPS]
        answers[number] = await kit.target.apply(Batch(f"b{number}", tuple(some), lambda: False))

    async with anyio.create_task_group() as tasks:
        for number in range(12):
            tasks.start_soon(give, number)
    assert len(children(kit)) == hands.CHILDREN
    for number, results in answers.items():
        expected = [step.action for step in work[number * hands.LEAST_STEPS :][: hands.LEAST_STEPS]]
        assert [result.action for result in results] == expected
        assert all(isinstance(result, Done) for result in results)
    assert kit.tree() == {b"f%02d" % number: b"content %d" % number for number in range(len(work))}
    await kit.target.close()


async def test_processes_that_were_prepared_are_used(tmp_path: Path) -> None:
    kit = await Kit(tmp_path).open()
    await kit.target.prepare(kit.source)
    prepared = children(kit)
    assert len(prepared) == hands.CHILDREN
    assert all(isinstance(result, Done) for result in await apply(kit, await steps(kit)))
    assert children(kit) == prepared
    await kit.target.close()


async def test_nothing_is_prepared_where_nothing_can_be_put(tmp_path: Path) -> None:
    kit = await Kit(tmp_path).open()
    await kit.source.prepare(kit.target)
    await kit.target.prepare(MemoryTree(Disk(lambda: 1), Side.SOURCE))
    assert not children(kit)
    assert not kit.source.hands.children
    await kit.target.close()


async def test_a_batch_that_waits_for_a_process_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit, pid = await frozen(tmp_path, monkeypatch)
    count = hands.JOBS_AT_ONCE + 3
    work = [await kit.put(b"g%02d" % index, b"later") for index in range(count * hands.LEAST_STEPS)]
    answers: list[Sequence[Result]] = []
    is_stopped = False
    async with giving(kit, work, answers, lambda: is_stopped):
        is_stopped = True
        os.kill(pid, signal.SIGCONT)
    assert sorted(map(len, answers)) == [0] * 3 + [hands.LEAST_STEPS] * hands.JOBS_AT_ONCE
    await kit.target.close()


async def test_all_batches_of_a_dead_process_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit, pid = await frozen(tmp_path, monkeypatch)
    count = hands.JOBS_AT_ONCE
    work = [await kit.put(b"g%02d" % index, b"later") for index in range(count * hands.LEAST_STEPS)]
    answers: list[Sequence[Result]] = []
    async with giving(kit, work, answers):
        os.kill(pid, signal.SIGKILL)
    lost = [result for answer in answers for result in answer]
    assert [type(result) for result in lost] == [Stale] * len(work)
    assert all(isinstance(result, Stale) and result.is_in_doubt for result in lost)
    assert all(isinstance(result, Done) for result in await apply(kit, work))
    await kit.target.close()


async def test_processes_end_when_the_tree_is_let_go(tmp_path: Path) -> None:
    kit = await Kit(tmp_path).open()
    await apply(kit, await steps(kit))
    (pid,) = children(kit)
    await kit.target.release()
    assert children(kit) == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_processes_end_when_the_whole_tree_is_scanned(tmp_path: Path) -> None:
    kit = await Kit(tmp_path).open()
    await apply(kit, await steps(kit))
    assert children(kit)
    await kit.listings(None, b"below")
    assert children(kit)
    assert len((await kit.listings())[b""].record) > 0
    assert children(kit) == []
    await kit.target.close()


async def test_an_expectation_that_fails_is_stale_there_too(tmp_path: Path) -> None:
    kit = await Kit(tmp_path).open()
    work = await steps(kit)
    kit.write(b"f03", b"somebody was quicker")
    results = await apply(kit, work)
    assert children(kit)
    assert isinstance(results[3], Stale)
    assert kit.read(b"f03") == b"somebody was quicker"
    assert all(isinstance(result, Done) for result in results if result is not results[3])
    await kit.target.close()


async def test_a_dead_process_leaves_its_batch_to_be_looked_at_again(tmp_path: Path) -> None:
    kit = await Kit(tmp_path).open()
    await apply(kit, await steps(kit))
    (pid,) = children(kit)
    os.kill(pid, signal.SIGKILL)
    more = [await kit.put(b"g%02d" % number, b"later") for number in range(20)]
    lost = await apply(kit, more)
    assert [type(result) for result in lost] == [Stale] * 20
    assert all(result.source_paths for result in lost if isinstance(result, Stale))
    again = await apply(kit, more)
    assert all(isinstance(result, Done) for result in again)
    assert children(kit) == []
    await kit.target.close()


async def test_few_or_large_files_stay_in_this_process(tmp_path: Path) -> None:
    kit = await Kit(tmp_path).open()
    await apply(kit, await steps(kit, 4))
    large = [await kit.put(b"l%02d" % number, b"x") for number in range(20)]
    large[7] = await kit.put(b"l07", b"y" * (hands.LARGEST_FILE + 1))
    results = await apply(kit, large)
    assert all(isinstance(result, Done) for result in results)
    assert children(kit) == []
    await kit.target.close()


async def test_a_tree_that_is_opened_waits_for_the_process_of_a_killed_run(tmp_path: Path) -> None:
    kit = await Kit(tmp_path).open()
    stage = os.open(os.path.join(kit.b, b".syncd/stage"), os.O_RDONLY)
    with occupancy.occupied(stage):
        assert not occupancy.is_free(stage)
    assert occupancy.is_free(stage)
    os.close(stage)
    await kit.target.close()


async def test_a_full_disk_halts_the_batch_of_a_process(tmp_path: Path) -> None:
    """The answer has fewer results than the batch has steps."""
    with mounted(tmp_path / "b", "size=2m"):
        kit = await Kit(tmp_path).open()
        work = [await kit.put(b"f%02d" % number, b"%02d" % number * 60_000) for number in range(24)]
        results = await apply(kit, work)
        assert len(children(kit)) == 1
        assert len(results) < len(work)
        assert isinstance(results[-1], Failed)
        assert results[-1].reason is Reason.DISK_FULL
        for result in results[:-1]:
            assert isinstance(result, Done)
            assert kit.read(result.action.path) == result.action.path[1:] * 60_000
        await kit.target.close()
