"""Events: a bounded queue for each reader, a gap where one was too slow, replay with `since` (CTL-16)."""

import anyio
import pytest

from syncd.control.events import EventHub, Subscription
from syncd.control.model import Event, EventsSubscribeParams


def hub(**options: int) -> EventHub:
    return EventHub(lambda: 1_700_000_000_000_000_000, **options)


async def take(subscription: Subscription, count: int) -> list[Event]:
    with anyio.fail_after(60):
        return [await anext(subscription) for _ in range(count)]


async def test_events_are_numbered_and_handed_on() -> None:
    events = hub(first_seq=40)
    reader = events.subscribe(EventsSubscribeParams())
    events.publish("file.put", pair="docs", path=b"a\xff", data={"side": "source", "size": 3})
    (event,) = await take(reader, 1)
    assert (event.seq, event.kind, event.pair, event.path) == (41, "file.put", "docs", "a\\xff")
    assert event.path_b64 == "Yf8="
    assert event.data == {"side": "source", "size": 3}
    assert reader.head == 40
    assert events.head == 41


async def test_a_reader_waits_for_the_next_event() -> None:
    events = hub()
    reader = events.subscribe(EventsSubscribeParams())
    async with anyio.create_task_group() as group:
        found: list[Event] = []

        async def read() -> None:
            found.extend(await take(reader, 2))

        group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        events.publish("a.b")
        await anyio.wait_all_tasks_blocked()
        events.publish("c.d")
    assert [event.kind for event in found] == ["a.b", "c.d"]


async def test_a_slow_reader_finds_a_gap_in_the_place_of_what_it_lost() -> None:
    events = hub()
    reader = events.subscribe(EventsSubscribeParams(), queue=3)
    for _ in range(10):
        events.publish("file.put")
    kept = await take(reader, 4)
    assert [event.seq for event in kept[:3]] == [1, 2, 3]
    assert kept[3].kind == "gap"
    assert kept[3].data == {"from": 4, "to": 10}
    events.publish("file.put")
    assert (await take(reader, 1))[0].seq == 11


async def test_one_slow_reader_costs_another_nothing() -> None:
    events = hub()
    slow = events.subscribe(EventsSubscribeParams(), queue=1)
    quick = events.subscribe(EventsSubscribeParams(), queue=100)
    for _ in range(50):
        events.publish("file.put")
    assert [event.seq for event in await take(quick, 50)] == list(range(1, 51))
    assert [event.kind for event in await take(slow, 2)] == ["file.put", "gap"]


async def test_filters_by_pair_and_kind() -> None:
    events = hub()
    reader = events.subscribe(EventsSubscribeParams(pairs=("docs",), kinds=("file.", "gap")))
    events.publish("file.put", pair="photos")
    events.publish("pair.state", pair="docs")
    events.publish("file.put", pair="docs")
    events.publish("file.deleted")
    assert [event.seq for event in await take(reader, 2)] == [3, 4]


async def test_since_replays_what_is_kept() -> None:
    events = hub()
    for _ in range(5):
        events.publish("file.put")
    reader = events.subscribe(EventsSubscribeParams(since=2))
    assert [event.seq for event in await take(reader, 3)] == [3, 4, 5]


async def test_since_before_what_is_kept_begins_with_a_gap() -> None:
    events = hub(ring=3)
    for _ in range(10):
        events.publish("file.put")
    reader = events.subscribe(EventsSubscribeParams(since=2))
    found = await take(reader, 4)
    assert found[0].kind == "gap"
    assert found[0].data == {"from": 3, "to": 7}
    assert [event.seq for event in found[1:]] == [8, 9, 10]


async def test_since_at_the_head_replays_nothing() -> None:
    events = hub()
    events.publish("file.put")
    reader = events.subscribe(EventsSubscribeParams(since=1))
    events.publish("file.deleted")
    assert (await take(reader, 1))[0].seq == 2


async def test_since_of_another_life_is_a_gap() -> None:
    events = hub(first_seq=100)
    reader = events.subscribe(EventsSubscribeParams(since=900))
    assert (await take(reader, 1))[0].kind == "gap"


async def test_a_closed_reader_ends_and_is_forgotten() -> None:
    events = hub()
    reader = events.subscribe(EventsSubscribeParams())
    async with anyio.create_task_group() as group:

        async def read() -> None:
            with pytest.raises(StopAsyncIteration):
                await anext(reader)

        group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        await reader.aclose()
    assert events.readers == 0
    events.publish("file.put")
