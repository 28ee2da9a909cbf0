"""Supervision: what breaks in one pair is restarted within a budget, others do not notice. Virtual time."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import cast

import anyio
import msgspec
import pytest

from syncd.core.error import NeedsUser, SyncdError, TransientError
from syncd.core.lifecycle import PairState
from syncd.core.reason import Reason
from syncd.daemon.config import PairConfig, adhoc_pair
from syncd.daemon.pair import Pair
from syncd.daemon.supervisor import (
    RESTART_WINDOW_NS,
    RESTARTS,
    STATE_RETRY_S,
    STOP_S,
    Changes,
    ScanSlots,
    Supervisor,
)
from tests.sim.loop import SeededLoop, run
from tests.sim.world import SimClock

Deed = Callable[["Actor"], Awaitable[None]]


class Actor:
    """Stands in for a pair: lives until it is asked to stop, or does what the test says."""

    def __init__(self, name: str, deed: Deed | None) -> None:
        self.name = name
        self.state = PairState.IDLE
        self.stop = anyio.Event()
        self.is_fine = True
        self._deed = deed

    async def run(self) -> None:
        if self._deed is not None:
            await self._deed(self)
        await self.stop.wait()

    def request_stop(self) -> None:
        self.stop.set()

    def is_responsive(self, now_ns: int) -> bool:
        return self.is_fine


class Stage:
    """A supervisor over actors. `lives` has every actor that was ever built, by name."""

    def __init__(self, loop: SeededLoop, home: Path) -> None:
        self.clock = SimClock(loop)
        self.lives: dict[str, list[Actor]] = {}
        self.begun: dict[str, list[float]] = {}
        self.closed: list[str] = []
        self.deeds: dict[str, Deed] = {}
        self.refusals: dict[str, SyncdError] = {}
        self.supervisor = Supervisor(self._build, self.clock.monotonic_ns)
        self._home = home

    def config(self, name: str, **changes: object) -> PairConfig:
        roots = str(self._home / name / "a"), str(self._home / name / "b")
        pair = adhoc_pair(*roots, env={}, state_dir=self._home / "state")
        return msgspec.structs.replace(pair, name=name, **changes)

    @asynccontextmanager
    async def _build(self, config: PairConfig) -> AsyncIterator[Pair]:
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        self.begun.setdefault(config.name, []).append(anyio.current_time())
        if config.name in self.refusals:
            raise self.refusals[config.name]
        actor = Actor(config.name, self.deeds.get(config.name))
        self.lives.setdefault(config.name, []).append(actor)
        try:
            yield cast(Pair, actor)
        finally:
            self.closed.append(config.name)

    @asynccontextmanager
    async def playing(self, *names: str) -> AsyncIterator[Supervisor]:
        async with anyio.create_task_group() as tasks:
            await tasks.start(self.supervisor.run, [self.config(name) for name in names])
            await anyio.sleep(0.1)
            yield self.supervisor
            await self.supervisor.stop_all()
            tasks.cancel_scope.cancel()

    def state(self, name: str) -> PairState:
        return self.supervisor.pairs[name].state


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Callable[[Stage], Awaitable[None]]], None]:
    def play(story: Callable[[Stage], Awaitable[None]]) -> None:
        async def work(loop: SeededLoop) -> None:
            await story(Stage(loop, tmp_path))

        run(1, work)

    return play


Play = Callable[[Callable[[Stage], Awaitable[None]]], None]


async def crash(actor: Actor) -> None:
    await anyio.sleep(1)
    raise ZeroDivisionError


async def hang(actor: Actor) -> None:
    """Hears no request to stop."""
    await anyio.sleep(1e9)


# Crashes.


def test_a_pair_that_crashes_is_restarted_within_its_budget(play: Play) -> None:
    async def story(stage: Stage) -> None:
        stage.deeds["broken"] = crash
        async with stage.playing("broken") as supervisor:
            await anyio.sleep(500)
            begun = stage.begun["broken"]
            assert len(begun) == RESTARTS + 1
            pauses = [round(later - earlier) for earlier, later in pairwise(begun)]
            assert pauses == [2, 3, 5, 9, 17], "a second of life, and a pause that doubles"
            assert stage.state("broken") is PairState.FAILED
            trouble = supervisor.pairs["broken"].trouble
            assert trouble is not None
            assert (trouble.reason, trouble.detail) == (Reason.BUG, "ZeroDivisionError: ")
            await anyio.sleep(1e6)
            assert len(begun) == RESTARTS + 1, "a person has to resume it"

    play(story)


def test_a_failed_pair_that_is_resumed_has_its_budget_again(play: Play) -> None:
    async def story(stage: Stage) -> None:
        stage.deeds["broken"] = crash
        async with stage.playing("broken") as supervisor:
            await anyio.sleep(500)
            supervisor.pairs["broken"].resumed.set()
            await anyio.sleep(500)
            assert len(stage.begun["broken"]) == 2 * (RESTARTS + 1)
            del stage.deeds["broken"]
            supervisor.pairs["broken"].resumed.set()
            await anyio.sleep(1)
            assert stage.state("broken") is PairState.IDLE
            assert supervisor.pairs["broken"].trouble is None

    play(story)


def test_a_pair_that_was_resumed_while_it_ran_is_restarted_with_pauses(play: Play) -> None:
    async def story(stage: Stage) -> None:
        stage.deeds["broken"] = crash
        async with stage.playing("broken") as supervisor:
            supervisor.pairs["broken"].resumed.set()
            await anyio.sleep(500)
            begun = stage.begun["broken"]
            assert [round(later - earlier) for earlier, later in pairwise(begun)] == [2, 3, 5, 9, 17]
            assert stage.state("broken") is PairState.FAILED

    play(story)


def test_a_pair_that_crashes_seldom_never_fails(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async def live_a_while(actor: Actor) -> None:
            await anyio.sleep(RESTART_WINDOW_NS / 1e9 / RESTARTS)
            raise ZeroDivisionError

        stage.deeds["p"] = live_a_while
        async with stage.playing("p"):
            await anyio.sleep(3 * RESTART_WINDOW_NS / 1e9)
            assert stage.state("p") is not PairState.FAILED
            assert len(stage.begun["p"]) > 2 * RESTARTS

    play(story)


def test_the_others_never_notice(play: Play) -> None:
    async def story(stage: Stage) -> None:
        stage.deeds["broken"] = crash
        stage.refusals["refused"] = NeedsUser(Reason.STATE_BUSY, "in use")
        async with stage.playing("broken", "fine", "refused") as supervisor:
            await anyio.sleep(1000)
            assert stage.state("broken") is PairState.FAILED
            assert stage.state("refused") is PairState.HELD
            assert stage.state("fine") is PairState.IDLE
            assert len(stage.lives["fine"]) == 1
            assert supervisor.pairs["fine"].pair is cast(Pair, stage.lives["fine"][0])
            assert "fine" not in stage.closed

    play(story)


def test_a_known_error_in_a_group_is_the_trouble(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async def break_down(actor: Actor) -> None:
            known = SyncdError(Reason.STATE_DAMAGED, "page 7")
            raise BaseExceptionGroup("several", [ZeroDivisionError(), ExceptionGroup("inner", [known])])

        stage.deeds["p"] = break_down
        async with stage.playing("p") as supervisor:
            trouble = supervisor.pairs["p"].trouble
            assert trouble is not None
            assert (trouble.reason, trouble.detail) == (Reason.STATE_DAMAGED, "page 7")

    play(story)


# What cannot start.


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (NeedsUser(Reason.STATE_NEWER, "newer"), PairState.HELD),
        (TransientError(Reason.STATE_UNWRITABLE, "full"), PairState.WAITING),
    ],
)
def test_what_cannot_start_is_tried_again_without_spending_the_budget(
    error: SyncdError, state: PairState, play: Play
) -> None:
    async def story(stage: Stage) -> None:
        stage.refusals["p"] = error
        async with stage.playing("p") as supervisor:
            await anyio.sleep(20 * STATE_RETRY_S)
            assert stage.state("p") is state
            assert supervisor.pairs["p"].trouble is error
            assert len(stage.begun["p"]) == 21
            del stage.refusals["p"]
            supervisor.pairs["p"].resumed.set()
            await anyio.sleep(0.1)
            assert stage.state("p") is PairState.IDLE
            assert supervisor.pairs["p"].trouble is None

    play(story)


# New configurations.


def test_only_what_changed_is_restarted(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async with stage.playing("same", "changed", "removed") as supervisor:
            wanted = [stage.config("same"), stage.config("changed", settle_s=9.0), stage.config("added")]
            changes = await supervisor.apply(wanted)
            await anyio.sleep(0.1)
            assert changes == Changes(added=("added",), changed=("changed",), removed=("removed",))
            assert {name: len(lives) for name, lives in stage.lives.items()} == {
                "same": 1,
                "changed": 2,
                "removed": 1,
                "added": 1,
            }
            assert sorted(supervisor.pairs) == ["added", "changed", "same"]
            assert stage.closed.count("removed") == stage.closed.count("changed") == 1
            assert "same" not in stage.closed
            assert await supervisor.apply(wanted) == Changes()

    play(story)


def test_origins_are_no_change(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async with stage.playing("p") as supervisor:
            assert await supervisor.apply([stage.config("p", origins={"mode": "line 3"})]) == Changes()

    play(story)


def test_a_failed_pair_comes_back_with_another_configuration(play: Play) -> None:
    async def story(stage: Stage) -> None:
        stage.deeds["p"] = crash
        async with stage.playing("p") as supervisor:
            await anyio.sleep(500)
            assert stage.state("p") is PairState.FAILED
            del stage.deeds["p"]
            await supervisor.apply([stage.config("p", settle_s=9.0)])
            await anyio.sleep(0.1)
            assert stage.state("p") is PairState.IDLE

    play(story)


# Stopping.


def test_stopping_lets_every_pair_finish(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async with stage.playing("a", "b") as supervisor:
            began = anyio.current_time()
            await supervisor.stop_all()
            assert anyio.current_time() - began < 1
            assert sorted(stage.closed) == ["a", "b"]

    play(story)


def test_what_does_not_stop_is_cancelled_at_the_deadline(play: Play) -> None:
    async def story(stage: Stage) -> None:
        stage.deeds.update(dict.fromkeys(("a", "b", "c"), hang))
        async with stage.playing("a", "b", "c", "good") as supervisor:
            began = anyio.current_time()
            await supervisor.stop_all()
            took = anyio.current_time() - began
            assert STOP_S <= took < STOP_S + 1, "all of them at once, not one after the other"
            assert sorted(stage.closed) == ["a", "b", "c", "good"]

    play(story)


@pytest.mark.parametrize("seconds", [0.5, 3, 500])
def test_a_pair_that_waits_for_its_restart_stops_at_once(seconds: float, play: Play) -> None:
    async def story(stage: Stage) -> None:
        stage.deeds["p"] = crash
        async with stage.playing("p") as supervisor:
            await anyio.sleep(seconds)
            began = anyio.current_time()
            await supervisor.stop_all()
            assert anyio.current_time() - began < 1

    play(story)


def test_a_pair_that_is_being_built_stops_at_once(play: Play) -> None:
    async def story(stage: Stage) -> None:
        async with stage.playing() as supervisor:
            await supervisor.apply([stage.config("p")])
            await anyio.lowlevel.checkpoint()
            assert supervisor.pairs["p"].pair is None
            began = anyio.current_time()
            await supervisor.stop_all()
            assert anyio.current_time() - began < 1

    play(story)


def test_the_watchdog_is_fed_only_while_all_pairs_answer(play: Play) -> None:
    async def story(stage: Stage) -> None:
        stage.refusals["refused"] = NeedsUser(Reason.STATE_BUSY, "")
        async with stage.playing("a", "b", "refused") as supervisor:
            assert supervisor.is_responsive()
            stage.lives["b"][0].is_fine = False
            assert not supervisor.is_responsive()

    play(story)


async def test_nothing_starts_before_the_supervisor_runs(tmp_path: Path) -> None:
    def build(config: PairConfig):  # type: ignore[no-untyped-def]
        raise AssertionError

    pair = adhoc_pair(str(tmp_path / "a"), str(tmp_path / "b"), env={}, state_dir=tmp_path / "state")
    with pytest.raises(SyncdError) as caught:
        await Supervisor(build, lambda: 0).apply([pair])
    assert caught.value.reason is Reason.BUG


# Scans.


def test_one_scan_at_a_time_per_device(play: Play) -> None:
    async def story(stage: Stage) -> None:
        slots = ScanSlots()
        under_way: dict[int, int] = {1: 0, 2: 0, 3: 0}
        most_at_once = 0

        async def scan(*devices: int) -> None:
            nonlocal most_at_once
            async with slots.slot(lambda: devices)():
                for device in set(devices):
                    under_way[device] += 1
                    assert under_way[device] == 1
                most_at_once = max(most_at_once, sum(under_way.values()))
                await anyio.sleep(1)
                for device in set(devices):
                    under_way[device] -= 1

        began = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for devices in ((1, 2), (2, 1), (1, 1), (2, 2), (3, 3)):
                tasks.start_soon(scan, *devices)
        assert most_at_once > 1
        assert 3 <= anyio.current_time() - began < 5

    play(story)


def test_a_scan_that_is_broken_off_gives_its_place_back(play: Play) -> None:
    async def story(stage: Stage) -> None:
        slots = ScanSlots()
        with anyio.move_on_after(1):
            async with slots.slot(lambda: (1, 2))():
                await anyio.sleep_forever()
        with anyio.fail_after(1):
            async with slots.slot(lambda: (2, 1))():
                pass

    play(story)
