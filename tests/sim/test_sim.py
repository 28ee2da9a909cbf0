"""The engine under simulation: seeded worlds in which everything that may go wrong does.

`SYNCD_SIM_SEEDS=N` runs N seeds instead of the usual number. A failing seed is looked into with
`python -m tests.sim SEED` and kept in `seeds.txt`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from syncd.sync import executor, gathering
from tests.sim.harness import Verdict, simulate
from tests.sim.world import draw_apart

COUNT = int(os.environ.get("SYNCD_SIM_SEEDS", "150"))
KEPT = Path(__file__).with_name("seeds.txt")

BUSY = 4000
"""Events that no run of these few deeds comes near, but one that wakes up every second for an hour."""


def kept_seeds() -> list[int]:
    """The first word of every line that is no comment."""
    lines = KEPT.read_text().splitlines()
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


def assert_sound(verdict: Verdict) -> None:
    tail = "\n".join(verdict.trace[-60:])
    assert not verdict.broken, f"seed {verdict.seed}: {verdict.broken}\n{tail}"
    assert len(verdict.trace) < BUSY, f"seed {verdict.seed}: something is due again and again\n{tail}"


@pytest.mark.parametrize("seed", kept_seeds())
def test_kept_seeds_stay_sound(seed: int) -> None:
    assert_sound(simulate(seed))


@pytest.mark.parametrize("first", range(0, COUNT, 10))
def test_seeds_are_sound(first: int) -> None:
    for seed in range(first, min(first + 10, COUNT)):
        assert_sound(simulate(seed))


@pytest.mark.parametrize("first", range(0, COUNT // 2, 10))
def test_nobody_touches_what_is_one_persons_alone(first: int) -> None:
    """E4: people who work apart find every file as they left it, no conflict was told, and the other side
    has the same: whatever was killed, failed or missed on the way."""
    for seed in range(first, min(first + 10, COUNT // 2)):
        assert_sound(simulate(seed, draw_apart(seed)))


NARROW = [(0, 15), (15, 30), (30, 45), (45, 60), (60, 75), (98, 99), (311, 312), (461, 462)]


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("seeds", NARROW)
def test_narrow_windows_are_sound(seeds: tuple[int, int], size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As trees of millions of paths are planned: no round sees all of it, and the next plan begins while
    the last batches are under way. In a third of them people work apart."""
    monkeypatch.setattr(gathering, "PAGE", size - 1)
    monkeypatch.setattr(gathering, "WINDOW", size)
    monkeypatch.setattr(executor, "MAX_STEPS", size - 1)
    monkeypatch.setattr(executor, "MAX_PUTS", size - 1)
    for seed in range(*seeds):
        assert_sound(simulate(seed, draw_apart(seed) if (seed + size) % 3 == 0 else None))


def test_a_seed_gives_the_same_trace_again() -> None:
    for seed in range(1000, 1010):
        assert simulate(seed).digest == simulate(seed).digest


def test_seeds_differ() -> None:
    assert len({simulate(seed).digest for seed in range(1000, 1005)}) == 5


def test_a_trace_does_not_depend_on_the_process() -> None:
    """Neither hash order nor addresses may steer the engine: a failing seed must fail everywhere."""
    script = "from tests.sim.harness import simulate; print([simulate(s).digest for s in range(1000, 1004)])"
    traces = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            cwd=KEPT.parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()[-1]
        for hash_seed in ("1", "2")
    }
    assert len(traces) == 1
