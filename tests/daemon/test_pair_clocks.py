"""A pair's task while the clock is set, and over a suspended machine. Virtual time."""

import errno
from collections.abc import Awaitable, Callable
from itertools import pairwise

import anyio
import pytest

from syncd.daemon.pair import Pair
from tests.daemon.room import D, Room, S, ready
from tests.sim.loop import SeededLoop, run
from tests.sim.world import SimClock

HOUR_S = 3600
YEAR_S = 365 * 24 * HOUR_S


class SetClock(SimClock):
    """Its wall time can be set, and time can pass in which nothing ran."""

    def __init__(self, loop: SeededLoop) -> None:
        super().__init__(loop)
        self._machine = loop
        self._ahead_ns = 0

    def now_ns(self) -> int:
        return super().now_ns() + self._ahead_ns

    def set(self, by_s: float) -> None:
        self._ahead_ns += int(by_s * 1e9)

    def suspend(self, for_s: float, *, is_counted: bool) -> None:
        """`is_counted`: the monotonic clock runs on meanwhile, else wall time only."""
        if is_counted:
            self._machine.now_ns += int(for_s * 1e9)
        else:
            self.set(for_s)


def act(story: Callable[[Room, SetClock], Awaitable[None]]) -> None:
    async def work(loop: SeededLoop) -> None:
        room = Room(loop)
        room.clock = clock = SetClock(loop)
        await story(room, clock)

    run(1, work)


def refusing(room: Room, path: bytes) -> list[float]:
    """Nothing can be put there; the answer fills with the times at which it was tried."""
    tried: list[float] = []

    def fault(operation: str, at: bytes) -> int | None:
        if (operation, at) != ("stage", path):
            return None
        tried.append(anyio.current_time())
        return errno.EIO

    room.trees[D].fault = fault
    return tried


async def failing(room: Room, pair: Pair) -> list[float]:
    await ready(pair)
    tried = refusing(room, b"f")
    room.write(S, b"f", b"1")
    await anyio.sleep(20)
    assert len(tried) == 5
    return tried


@pytest.mark.parametrize("by_s", [-120, -HOUR_S, -10 * YEAR_S, 10 * YEAR_S])
def test_clk_08_setting_the_clock_changes_no_pause_between_attempts(by_s: float) -> None:
    async def story(room: Room, clock: SetClock) -> None:
        async with room.running() as pair:
            tried = await failing(room, pair)
            clock.set(by_s)
            await anyio.sleep(80)
            assert [round(later - earlier) for earlier, later in pairwise(tried)] == [1, 2, 4, 8, 16, 32]
            room.trees[D].fault = lambda operation, path: None
            await anyio.sleep(64)
            assert room.files(D) == {b"f": b"1"}
            assert pair.next_attempt_ns is None

    act(story)


@pytest.mark.parametrize("is_counted", [False, True])
def test_clk_12_timers_fire_once_after_eight_hours_of_suspension(is_counted: bool) -> None:
    async def story(room: Room, clock: SetClock) -> None:
        async with room.running(rescan_s=100) as pair:
            tried = await failing(room, pair)
            scans = room.watchers[-1][S].scan_costs_s
            assert len(scans) == 1
            room.write(S, b"late", b"2", is_seen=False)
            clock.suspend(8 * HOUR_S, is_counted=is_counted)
            resumed = anyio.current_time()
            await anyio.sleep(90)
            assert room.files(D) == {b"late": b"2"}
            assert len(scans) == 2, "one scan for all that were missed"
            since = [at for at in tried if at > resumed]
            assert [round(later - earlier) for earlier, later in pairwise(since)] == [32]
            assert len(room.watchers) == 1

    act(story)
