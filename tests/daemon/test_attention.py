"""Nobody waits for ever: tickets and errands of a pair whose task has ended."""

import anyio
import pytest

from syncd.core.entry import Side
from syncd.core.error import SyncdError
from syncd.core.reason import Reason
from syncd.daemon.attention import Attention, Errand
from syncd.sync.cycle import Cycle


async def job(cycle: Cycle) -> None:
    raise AssertionError("there is no task to run it")


async def test_close_answers_those_who_wait() -> None:
    attention = Attention()
    taken = attention.ask()
    attention.put_back(attention.take(0))
    ticket, errand = attention.ask(), Errand(job)
    attention.run_errand(errand)
    attention.close()
    with anyio.fail_after(1):
        for waiting in (taken, ticket, errand):
            await waiting.done.wait()
    assert errand.error is not None
    assert errand.error.reason is Reason.FAILED


@pytest.mark.parametrize("is_errand", [False, True])
async def test_who_comes_after_the_end_does_not_wait(is_errand: bool) -> None:
    attention = Attention()
    attention.close()
    with anyio.fail_after(1):
        if is_errand:
            errand = Errand(job)
            attention.run_errand(errand)
            await errand.done.wait()
            assert isinstance(errand.error, SyncdError)
        else:
            await attention.ask().done.wait()


async def test_a_postponed_look_is_left_to_the_event_that_waits() -> None:
    """Else it would see one half of a rename whose events are still settling."""
    attention = Attention()
    attention.add_later(Side.SOURCE, (b"old", b"other"), 5)
    assert attention.take(4, lambda *_: True).looks[Side.SOURCE] == set()
    assert attention.take(5, lambda _, path: path == b"old").looks[Side.SOURCE] == {b"other"}
    assert attention.take(9).looks[Side.SOURCE] == set()
