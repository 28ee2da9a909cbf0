"""Cycles that were stopped or failed in their middle: the next one does the rest."""

import shutil
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import pytest

from syncd.core.action import Result
from syncd.core.entry import Side
from syncd.core.error import TransientError
from syncd.core.reason import Reason
from syncd.index.database import Database
from syncd.index.driver import InlineDriver
from syncd.index.rebuild import open_or_rebuild
from syncd.sync import executor, gathering
from syncd.tree.memory import MemoryTree
from syncd.tree.memory_disk import Disk
from syncd.tree.port import Batch, Digested
from tests.sync.desk import D, Desk, S, files, fill
from tests.sync.lab import OLD_NS


@pytest.mark.parametrize("after", range(7))
async def test_what_was_broken_off_is_done_by_the_next_cycle(
    after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "MAX_BATCH_BYTES", 20)
    async with Desk.open() as desk:
        fill(desk, b"a", b"d/b", b"d/c with a longer name", b"e")
        desk.users[D].write(b"f", b"mine", mtime_ns=OLD_NS)
        await desk.cycle.open()
        await desk.cycle.observe_all()
        polls = count()
        report = await desk.cycle.synchronise(lambda: next(polls) >= after)
        assert report.is_stopped
        assert files(desk, S) != files(desk, D)
        report = await desk.cycle.synchronise(lambda: False)
        assert (report.is_stopped, report.is_complete) == (False, True)
        assert files(desk, S) == files(desk, D)
        assert len(files(desk, S)) == 5


async def test_a_walk_that_is_broken_off_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "PAGE", 3)
    monkeypatch.setattr(gathering, "WINDOW", 4)
    async with Desk.open() as desk:
        fill(desk, *(b"d%d/f%d" % (i, j) for i in range(4) for j in range(5)))
        await desk.cycle.open()
        await desk.cycle.observe_all()
        polls = count()
        assert (await desk.cycle.synchronise(lambda: next(polls) > 12)).is_stopped
        assert 0 < len(files(desk, D)) < 20
        assert (await desk.cycle.synchronise(lambda: False)).is_complete
        assert files(desk, S) == files(desk, D)


@pytest.mark.parametrize("after", range(1, 9, 2))
async def test_a_walk_in_which_the_state_could_not_be_written_begins_anew(
    after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "PAGE", 3)
    monkeypatch.setattr(gathering, "WINDOW", 4)
    async with Desk.open() as desk:
        await desk.sync()
        fill(desk, *(b"d%d/f%d" % (i, j) for i in range(4) for j in range(5)))
        await desk.cycle.observe_all()
        real, calls = desk.trees[D].apply, count(1)

        async def apply(batch: Batch) -> Sequence[Result]:
            if next(calls) == after:
                raise TransientError(Reason.STATE_UNWRITABLE, "no space left")
            return await real(batch)

        monkeypatch.setattr(desk.trees[D], "apply", apply)
        with pytest.raises((TransientError, BaseExceptionGroup)):
            await desk.cycle.synchronise(lambda: False)
        assert (await desk.cycle.synchronise(lambda: False)).is_complete
        assert files(desk, S) == files(desk, D)
        assert len(files(desk, S)) == 20


class Killed(Exception):
    """The process died here."""


class Reading(MemoryTree):
    """Calls `interrupt` before it reads, and tells what it reads."""

    def __init__(self, disk: Disk, side: Side, interrupt: Callable[[], None], read: list[bytes]) -> None:
        super().__init__(disk, side)
        self._interrupt = interrupt
        self._read = read

    async def digest(self, paths: Sequence[bytes]) -> Sequence[Digested]:
        self._interrupt()
        self._read += paths
        return await super().digest(paths)


async def test_cra_13_a_kill_among_many_files_that_are_read_loses_one_batch_of_digests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both lives together read each file once: digests are stored batch by batch, not at the end."""
    monkeypatch.setattr(gathering, "DIGESTS", 4)
    path, killed = tmp_path / "state" / "state.db", tmp_path / "killed" / "state.db"
    path.parent.mkdir()
    desk = Desk(await Database.open(path, driver=InlineDriver))
    names = [b"%02d" % number for number in range(40)]
    for side in (S, D):
        for name in names:
            desk.users[side].write(name, b"same " + name, mtime_ns=OLD_NS + side * 10**10)
    first: dict[Side, list[bytes]] = {S: [], D: []}
    second: dict[Side, list[bytes]] = {S: [], D: []}

    def kill() -> None:
        if len(first[D]) == 20:
            # The files as a kill leaves them.
            shutil.copytree(path.parent, killed.parent)
            raise Killed

    desk.restart(lambda disk, side: Reading(disk, side, kill, first[side]))
    with pytest.raises((Killed, ExceptionGroup)):
        await desk.sync()
    await desk.database.close()
    desk.database, rebuilt = await open_or_rebuild(killed, stamp="now", driver=InlineDriver)
    assert (rebuilt, desk.database.was_clean) == (None, False)
    desk.restart(lambda disk, side: Reading(disk, side, lambda: None, second[side]))
    assert (await desk.sync()).is_complete
    await desk.database.close()
    assert (first[S], second[S]) == (names, [])
    assert (first[D], second[D]) == (names[:20], names[20:])
