"""Cycles that were stopped or failed in their middle: the next one does the rest."""

from collections.abc import Sequence
from itertools import count

import pytest

from syncd.core.action import Result
from syncd.core.error import TransientError
from syncd.core.reason import Reason
from syncd.sync import executor, gathering
from syncd.tree.port import Batch
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
