"""A pair's task that is paused, stopped or in trouble: it is endured, and it ends. Virtual time."""

import errno
from itertools import pairwise

import anyio
import pytest

from syncd.core.error import NeedsUser, TransientError
from syncd.core.lifecycle import PairState
from syncd.core.reason import Reason
from syncd.daemon.overview import WaitOutcome
from syncd.daemon.pair import Pair
from syncd.daemon.schedule import STUCK_S
from syncd.watch.port import Dirty
from tests.daemon.room import D, Room, S, act, ready, state_of, trouble_of

# Pausing and stopping.


def test_a_paused_pair_does_nothing_until_it_is_resumed() -> None:
    async def story(room: Room) -> None:
        async with room.running() as pair:
            await ready(pair)
            pair.pause()
            await pair.paused_now()
            assert (pair.state, pair.is_paused) == (PairState.PAUSED, True)
            room.write(S, b"f", b"1")
            await anyio.sleep(1000)
            assert room.files(D) == {}
            assert await pair.wait() is WaitOutcome.DEGRADED
            pair.resume()
            await anyio.sleep(1)
            assert room.files(D) == {b"f": b"1"}
            assert state_of(pair) is PairState.IDLE

    act(story)


def test_a_pair_may_begin_paused() -> None:
    async def story(room: Room) -> None:
        room.users[S].write(b"f", b"1")
        async with room.running(is_paused=True) as pair:
            await pair.paused_now()
            await anyio.sleep(100)
            assert room.files(D) == {}
            assert room.watchers == []
            pair.resume()
            await ready(pair)
            assert room.files(D) == {b"f": b"1"}

    act(story)


def test_pausing_finishes_the_step_at_hand_and_answers_who_waits() -> None:
    async def story(room: Room) -> None:
        async with room.running() as pair:
            await ready(pair)
            outcomes = []

            async def wait() -> None:
                outcomes.append(await pair.wait())

            async with anyio.create_task_group() as tasks:
                room.stuck = anyio.Event()
                room.write(S, b"f", b"1")
                tasks.start_soon(wait)
                await anyio.sleep(100)
                assert outcomes == []
                pair.pause()
                await anyio.sleep(100)
                assert state_of(pair) is not PairState.PAUSED
                room.stuck.set()
                room.stuck = None
                await pair.paused_now()
            assert outcomes == [WaitOutcome.DEGRADED]

    act(story)


def test_the_end_answers_who_waits() -> None:
    async def story(room: Room) -> None:
        outcomes = []
        async with anyio.create_task_group() as tasks, room.running() as pair:
            await ready(pair)
            pair.pause()
            await pair.paused_now()
            pair.resume()
            room.stuck = stuck = anyio.Event()

            async def wait() -> None:
                outcomes.append(await pair.wait())

            tasks.start_soon(wait)
            await anyio.sleep(1)
            pair.request_stop()
            room.stuck = None
            stuck.set()
        assert outcomes == [WaitOutcome.DEGRADED]

    act(story)


# Trouble.


def test_a_lost_root_holds_the_pair_until_it_is_back() -> None:
    async def story(room: Room) -> None:
        room.users[S].write(b"f", b"1")
        async with room.running() as pair:
            await ready(pair)
            first = room.watchers[-1]
            room.disks[D].is_mounted = False
            room.write(S, b"g", b"2")
            await anyio.sleep(60)
            assert state_of(pair) is PairState.HELD
            assert trouble_of(pair) is Reason.ROOT_MISSING
            assert await pair.wait() is WaitOutcome.HELD
            assert len(room.heard("pair.troubled")) == 1, "told once, however often it is tried"
            room.disks[D].is_mounted = True
            await anyio.sleep(5)
            assert (state_of(pair), trouble_of(pair)) == (PairState.IDLE, None)
            assert room.heard("pair.recovered") == [{"reason": "root-missing"}]
            assert room.files(S) == room.files(D) == {b"f": b"1", b"g": b"2"}
            assert not first[S].is_alive
            assert room.watchers[-1][S].is_alive

    act(story)


def test_a_root_that_could_not_be_listed_once_is_forgotten() -> None:
    async def story(room: Room) -> None:
        room.users[S].write(b"f", b"1")
        async with room.running() as pair:
            await ready(pair)
            room.trees[S].fault = lambda operation, path: errno.EIO if operation == "scan" else None
            await pair.rescan().done.wait()
            assert pair.overview.issues == 1
            room.trees[S].fault = lambda operation, path: None
            await anyio.sleep(100)
            assert (pair.overview.issues, pair.next_attempt_ns) == (0, None)
            heard = len(room.told)
            await anyio.sleep(1e6)
            assert len(room.told) == heard, "nothing is due any more"

    act(story)


def test_an_emptied_mount_point_deletes_nothing() -> None:
    async def story(room: Room) -> None:
        room.users[S].write(b"f", b"1")
        async with room.running() as pair:
            await ready(pair)
            room.disks[S].is_mounted = False
            room.emit(S, Dirty(b"f", True))
            await anyio.sleep(100)
            assert state_of(pair) is PairState.HELD
            assert room.files(D) == {b"f": b"1"}

    act(story)


def test_a_foreign_root_waits_for_a_person_who_adopts_it() -> None:
    async def story(room: Room) -> None:
        room.disks[D].marker = "another pair"
        room.users[S].write(b"f", b"1")
        async with room.running() as pair:
            await anyio.sleep(20)
            assert state_of(pair) is PairState.HELD
            assert trouble_of(pair) is Reason.FOREIGN_MARKER
            pair.adopt()
            await anyio.sleep(5)
            assert state_of(pair) is PairState.IDLE
            assert room.files(D) == {b"f": b"1"}

    act(story)


def failing(pair: Pair, error: Exception) -> list[float]:
    """From now on no root can be checked; the answer fills with the times at which it was tried."""
    tried: list[float] = []

    async def check() -> None:
        tried.append(anyio.current_time())
        raise error

    pair.cycle.check_roots = check  # type: ignore[method-assign]
    return tried


def test_a_transient_error_is_tried_again_with_growing_pauses() -> None:
    async def story(room: Room) -> None:
        async with room.running() as pair:
            await ready(pair)
            tried = failing(pair, TransientError(Reason.STATE_BUSY, "locked"))
            pair.rescan()
            await anyio.sleep(5000)
            assert state_of(pair) is PairState.WAITING
            pauses = [round(later - earlier) for earlier, later in pairwise(tried)]
            assert pauses[:9] == [5, 10, 20, 40, 80, 160, 320, 600, 600]
            assert set(pauses[9:]) == {600}
            assert await asked(pair) is WaitOutcome.DEGRADED
            del pair.cycle.check_roots
            await anyio.sleep(700)
            assert state_of(pair) is PairState.IDLE
            assert len(room.heard("pair.troubled")) == len(room.heard("pair.recovered")) == 1

    act(story)


async def asked(pair: Pair) -> WaitOutcome:
    with anyio.fail_after(1000):
        return await pair.wait()


def test_another_reason_is_told_as_well() -> None:
    async def story(room: Room) -> None:
        async with room.running() as pair:
            await ready(pair)
            failing(pair, TransientError(Reason.STATE_BUSY, "locked"))
            pair.rescan()
            await anyio.sleep(8)
            failing(pair, NeedsUser(Reason.ROOT_CHANGED, "another"))
            await anyio.sleep(20)
            assert [one["reason"] for one in room.heard("pair.troubled")] == ["state-busy", "root-changed"]
            assert state_of(pair) is PairState.HELD

    act(story)


def test_a_bug_ends_the_task() -> None:
    async def story(room: Room) -> None:
        async def live() -> None:
            async with room.running() as pair:
                await ready(pair)
                failing(pair, ZeroDivisionError())
                pair.rescan()
                await anyio.sleep(5)

        with pytest.raises(BaseExceptionGroup) as caught:
            await live()
        assert caught.group_contains(ZeroDivisionError)

    act(story)


def test_a_call_that_never_returns_is_noticed_by_the_watchdog() -> None:
    async def story(room: Room) -> None:
        async with room.running() as pair:
            await ready(pair)
            assert pair.is_responsive(room.clock.monotonic_ns())
            await anyio.sleep(10 * STUCK_S)
            assert pair.is_responsive(room.clock.monotonic_ns()), "idle is no trouble"
            room.stuck = stuck = anyio.Event()
            pair.rescan()
            await anyio.sleep(1)
            assert pair.is_responsive(room.clock.monotonic_ns())
            await anyio.sleep(STUCK_S + 1)
            assert not pair.is_responsive(room.clock.monotonic_ns())
            room.stuck = None
            stuck.set()
            await anyio.sleep(1)
            assert pair.is_responsive(room.clock.monotonic_ns())

    act(story)


def test_a_risky_first_run_is_warned_of_once() -> None:
    async def review() -> str:
        return "one side is far larger"

    async def story(room: Room) -> None:
        async with room.running(review=review) as pair:
            await ready(pair)
            await pair.rescan().done.wait()
            assert room.heard("pair.risk_found") == [{"detail": "one side is far larger"}]

    act(story)
