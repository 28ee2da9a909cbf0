"""Every kind of tree, opened."""

from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.core.entry import Side
from tests.contract.bench import Bench, local_bench, memory_bench
from tests.contract.fates import HERE


@pytest.fixture(params=[memory_bench, local_bench], ids=["memory", "local"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Side], Bench]:
    maker: Callable[[Path, Side], Bench] = request.param
    return lambda side: maker(tmp_path, side)


@pytest.fixture
async def bench(make: Callable[[Side], Bench]) -> Bench:
    """The tree that actions are applied to."""
    made = make(HERE)
    await made.tree.open(known=None, adopt=False)
    return made


@pytest.fixture
async def other(make: Callable[[Side], Bench]) -> Bench:
    """The tree that content comes from."""
    made = make(HERE.other)
    await made.tree.open(known=None, adopt=False)
    return made
