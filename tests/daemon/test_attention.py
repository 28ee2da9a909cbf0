"""Nobody waits for ever: tickets and errands of a pair whose task has ended."""

import anyio
import pytest

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
