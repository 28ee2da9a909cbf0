"""The planner brings any two trees to rest, loses nothing, and then finds nothing to do."""

import os

import anyio
import pytest

from syncd.core.entry import Side
from tests.sim.planner import MAX_ROUNDS, Planner
from tests.sim.promise import unequal

COUNT = int(os.environ.get("SYNCD_PLANNER_SEEDS", "400"))


KEPT = (
    2524,  # a renamed directory and a file that took its name waited for each other
    3957,  # a rename into a directory that had to be made at the old name of the renamed file
    7480,  # the same by a chain of two renames
)


async def check(seed: int) -> None:
    planner = Planner(seed)
    disks = list(planner.disks.values())
    for deeds in (10, 6, 6):
        planner.edit(deeds)
        rounds = await planner.settle()
        story = f"seed {seed} {planner.rules}\n" + "\n".join(planner.log)
        assert rounds < MAX_ROUNDS, story
        images = [planner.disks[side].image() for side in (Side.SOURCE, Side.DESTINATION)]
        assert unequal(planner.rules.mode, *images) == [], story
        assert planner.ledger.missing(disks) == [], story
        assert [planner.ledger.unheard(disk) for disk in disks] == [[], []], story


@pytest.mark.parametrize("seed", KEPT)
def test_kept_seeds_come_to_rest(seed: int) -> None:
    anyio.run(check, seed)


@pytest.mark.parametrize("first", range(0, COUNT, 50))
def test_any_two_trees_come_to_rest(first: int) -> None:
    async def main() -> None:
        for seed in range(first, min(first + 50, COUNT)):
            await check(seed)

    anyio.run(main)
