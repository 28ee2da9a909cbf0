"""A pair's task: events become cycles, requests are answered. Virtual time."""

import anyio
import pytest

from syncd.core.error import SyncdError
from syncd.core.guard import Brake
from syncd.core.lifecycle import PairState
from syncd.core.reason import Reason
from syncd.core.rules import Policy
from syncd.daemon.overview import WaitOutcome
from syncd.daemon.schedule import RELEASE_NS
from syncd.sync.cycle import Cycle
from syncd.watch.port import Dirty, Rescan
from tests.daemon.room import SETTLE_S, D, Room, S, act, ready, state_of

SOON_S = 2 * SETTLE_S


# Events and timers.


def test_an_event_becomes_a_cycle_once_it_has_settled() -> None:
    async def story(room: Room) -> None:
        room.users[S].write(b"old", b"0")
        async with room.running() as pair:
            await ready(pair)
            assert room.files(D) == {b"old": b"0"}
            room.write(S, b"f", b"1")
            assert (pair.settling, pair.is_settling(b"f"), pair.is_settling(b"g")) == (1, True, False)
            assert pair.oldest_change_ns() is not None
            await anyio.sleep(SETTLE_S / 2)
            assert b"f" not in room.files(D)
            await anyio.sleep(SOON_S)
            assert room.files(D) == {b"old": b"0", b"f": b"1"}
            assert (pair.state, pair.settling, pair.oldest_change_ns()) == (PairState.IDLE, 0, None)
            assert pair.last_synced_ns is not None

    act(story)


def test_what_nobody_tells_is_found_by_the_rescan() -> None:
    async def story(room: Room) -> None:
        async with room.running(rescan_s=100) as pair:
            await ready(pair)
            room.write(S, b"f", b"1", is_seen=False)
            await anyio.sleep(80)
            assert room.files(D) == {}
            await anyio.sleep(40)
            assert room.files(D) == {b"f": b"1"}
            assert len(room.watchers[-1][S].scan_costs_s) == 2

    act(story)


@pytest.mark.parametrize("rescan_s", [None, float("inf")])
def test_without_a_rescan_nothing_is_scanned(rescan_s: float | None) -> None:
    async def story(room: Room) -> None:
        async with room.running(rescan_s=rescan_s) as pair:
            await ready(pair)
            room.write(S, b"f", b"1", is_seen=False)
            await anyio.sleep(1e6)
            assert room.files(D) == {}

    act(story)


def test_a_new_directory_is_scanned_until_nothing_new_is_found() -> None:
    """What is made in it before its watch stands is told by nobody."""

    async def story(room: Room) -> None:
        async with room.running() as pair:
            await ready(pair)
            room.make(S, b"d")
            await anyio.sleep(SETTLE_S / 2)
            room.write(S, b"d/f", b"1", is_seen=False)
            await anyio.sleep(SETTLE_S)
            room.users[S].mkdir(b"d/e")
            room.write(S, b"d/e/g", b"2", is_seen=False)
            await anyio.sleep(10)
            assert room.files(D) == {b"d/f": b"1", b"d/e/g": b"2"}

    act(story)


def test_lost_events_are_told_and_the_subtree_is_scanned() -> None:
    async def story(room: Room) -> None:
        async with room.running() as pair:
            await ready(pair)
            room.users[S].mkdir(b"d")
            room.write(S, b"d/f", b"1", is_seen=False)
            room.emit(S, Rescan(b"", Reason.WATCH_LOST))
            await anyio.sleep(10)
            assert room.files(D) == {b"d/f": b"1"}
            assert room.heard("watch.lost") == [{"side": "source", "reason": "watch-lost"}]

    act(story)


def test_many_names_in_one_directory_are_listed_at_once() -> None:
    async def story(room: Room) -> None:
        room.users[S].mkdir(b"d")
        async with room.running() as pair:
            await ready(pair)
            for i in range(200):
                room.write(S, b"d/%d" % i, b"x")
            await anyio.sleep(5)
            assert len(room.files(D)) == 200

    act(story)


def test_a_racy_write_is_looked_at_once_more() -> None:
    """Written again in the same tick of the clock, with as many bytes, and told by nobody."""

    async def story(room: Room) -> None:
        async with room.running() as pair:
            await ready(pair)
            room.write(S, b"f", b"1")
            await anyio.sleep(1)
            assert room.files(D) == {b"f": b"1"}
            room.write(S, b"f", b"2", is_seen=False)
            await anyio.sleep(100)
            assert room.files(D) == {b"f": b"2"}

    act(story, granularity_ns=10 * 10**9)


def test_open_roots_are_let_go_after_a_while() -> None:
    released: list[str] = []

    async def story(room: Room) -> None:
        async with room.running() as pair:
            for side, tree in room.trees.items():
                tree.release = noting(side.word)  # type: ignore[method-assign]
            await ready(pair)
            assert released == []
            await anyio.sleep(2 * RELEASE_NS / 1e9)
            assert released == ["source", "destination"]
            room.write(S, b"f", b"1")
            await anyio.sleep(1)
            assert room.files(D) == {b"f": b"1"}

    def noting(word: str):  # type: ignore[no-untyped-def]
        async def release() -> None:
            released.append(word)

        return release

    act(story)


# Requests.


def test_wait_answers_when_earlier_changes_are_on_the_other_side() -> None:
    async def story(room: Room) -> None:
        async with room.running() as pair:
            await ready(pair)
            room.write(S, b"f", b"1")
            room.write(D, b"g", b"2")
            assert await pair.wait() is WaitOutcome.SYNCED
            assert room.files(S) == room.files(D) == {b"f": b"1", b"g": b"2"}

    act(story)


def test_wait_scans_where_no_watcher_can_vouch() -> None:
    async def story(room: Room) -> None:
        async with room.running() as pair:
            await ready(pair)
            room.watchers[-1][S].is_alive = False
            room.write(S, b"f", b"1", is_seen=False)
            assert await pair.wait() is WaitOutcome.SYNCED
            assert room.files(D) == {b"f": b"1"}

    act(story)


def test_wait_tells_what_is_not_in_sync() -> None:
    async def story(room: Room) -> None:
        async with room.running(policy=Policy.MANUAL) as pair:
            for side in (S, D):
                room.users[side].write(b"f", b"x" * side)
            assert await pair.wait() is WaitOutcome.DEGRADED
            assert pair.overview.manual_conflicts == 1

    act(story)


def test_a_held_plan_is_a_state_and_an_outcome() -> None:
    async def story(room: Room) -> None:
        for i in range(8):
            room.users[S].write(b"%d" % i, b"x")
        async with room.running(brake=Brake(files=2, percent=10)) as pair:
            await ready(pair)
            for i in range(8):
                room.users[S].delete(b"%d" % i)
                room.emit(S, Dirty(b"%d" % i, True))
            assert await pair.wait() is WaitOutcome.HELD
            assert state_of(pair) is PairState.HELD
            assert len(room.files(D)) == 8
            for i in range(8):
                room.write(S, b"%d" % i, b"x")
            assert await pair.wait() is WaitOutcome.SYNCED
            assert state_of(pair) is PairState.IDLE

    act(story)


def test_sync_and_rescan_are_answered_by_their_cycle() -> None:
    async def story(room: Room) -> None:
        room.users[S].mkdir(b"d")
        async with room.running() as pair:
            await ready(pair)
            room.write(S, b"d/f", b"1", is_seen=False)
            room.write(S, b"g", b"2", is_seen=False)
            await pair.sync().done.wait()
            assert room.files(D) == {}
            await pair.rescan(b"d").done.wait()
            assert room.files(D) == {b"d/f": b"1"}
            await pair.rescan().done.wait()
            assert room.files(D) == {b"d/f": b"1", b"g": b"2"}

    act(story)


def test_notified_paths_are_looked_at() -> None:
    async def story(room: Room) -> None:
        async with room.running() as pair:
            await ready(pair)
            room.write(S, b"old", b"1", is_seen=False)
            pair.notify(b"old")
            await anyio.sleep(1)
            room.users[S].rename(b"old", b"new")
            pair.notify(b"old", b"new")
            await anyio.sleep(1)
            assert room.files(D) == {b"new": b"1"}

    act(story)


def test_errands_run_between_turns_also_while_paused() -> None:
    async def story(room: Room) -> None:
        async def count(cycle: Cycle) -> int:
            assert not pair._is_busy
            return (await cycle.totals())[S][0]

        async def refuse(cycle: Cycle) -> int:
            raise SyncdError(Reason.NO_SUCH_ID, "no")

        room.users[S].write(b"f", b"1")
        async with room.running() as pair:
            await ready(pair)
            assert await pair.errand(count) == 1
            pair.pause()
            await pair.paused_now()
            assert await pair.errand(count) == 1
            with pytest.raises(SyncdError) as caught:
                await pair.errand(refuse)
            assert caught.value.reason is Reason.NO_SUCH_ID
        with pytest.raises(SyncdError) as late:
            await pair.errand(count)
        assert late.value.reason is Reason.FAILED
        assert await pair.wait() is WaitOutcome.DEGRADED

    act(story)
