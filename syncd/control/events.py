"""The daemon's events for readers on the control socket: published without waiting, read at leisure.

`publish` never blocks and never fails: a reader that is slower than the events loses the newest ones and
finds a `gap` event in their place. A ring of recent events serves `since`. Single-threaded: everything is
called in the event loop.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import TypeAlias

import anyio
from msgspec import UNSET, UnsetType

from syncd.control.model import Event, EventsSubscribeParams, stamp
from syncd.control.model.common import path_fields

Plain: TypeAlias = str | int | float | bool | None

RING = 4096
QUEUE = 1024
GAP = "gap"


class EventHub:
    """Numbers events, keeps the last `ring` of them and hands them to every subscription.

    `first_seq` should grow over restarts (microseconds of the clock at start do), so that a reader that
    comes back with an old `since` is told of a gap instead of being sent something else.
    """

    def __init__(self, now_ns: Callable[[], int], *, first_seq: int = 0, ring: int = RING) -> None:
        self._now_ns = now_ns
        self._ring: deque[Event] = deque(maxlen=ring)
        self._subscriptions: set[Subscription] = set()
        self._head = first_seq

    @property
    def head(self) -> int:
        """The number of the last event."""
        return self._head

    def publish(
        self,
        kind: str,
        *,
        pair: str | None = None,
        path: bytes | None = None,
        data: Mapping[str, Plain] | None = None,
    ) -> Event:
        """Number an event and hand it on."""
        self._head += 1
        text: str | None = None
        encoded: str | UnsetType = UNSET
        if path is not None:
            text, encoded = path_fields(path)
        event = Event(
            seq=self._head,
            at=stamp(self._now_ns()),
            kind=kind,
            pair=pair,
            path=text,
            path_b64=encoded,
            data=dict(data or {}),
        )
        self._ring.append(event)
        for subscription in tuple(self._subscriptions):
            subscription.offer(event)
        return event

    def subscribe(self, params: EventsSubscribeParams, *, queue: int = QUEUE) -> "Subscription":
        """A reader of what comes, or of what is kept after `since` and then of what comes."""
        subscription = Subscription(self, params, queue)
        if params.since is not None:
            for event in self._missed(params.since):
                subscription.replay(event)
        self._subscriptions.add(subscription)
        return subscription

    def _missed(self, since: int) -> list[Event]:
        events = [event for event in self._ring if event.seq > since]
        first = events[0].seq if events else self._head + 1
        if since + 1 != first:
            events.insert(0, self.gap(since + 1, first - 1))
        return events

    def gap(self, first: int, last: int) -> Event:
        """The mark of events that this reader will never see. It carries the last lost number."""
        return Event(seq=max(0, last), at=stamp(self._now_ns()), kind=GAP, data={"from": first, "to": last})

    def forget(self, subscription: "Subscription") -> None:
        self._subscriptions.discard(subscription)

    @property
    def readers(self) -> int:
        return len(self._subscriptions)


class Subscription:
    """One reader's bounded queue: an async iterator that ends when it is closed."""

    def __init__(self, hub: EventHub, params: EventsSubscribeParams, limit: int) -> None:
        self._hub = hub
        self._pairs = frozenset(params.pairs)
        self._kinds = params.kinds
        self._limit = limit
        self._queue: deque[Event] = deque()
        self._lost: tuple[int, int] | None = None
        self._wake = anyio.Event()
        self._is_closed = False
        self.head = hub.head

    def offer(self, event: Event) -> None:
        """Queue an event, or note that it is lost. While something is lost, all that follows is: the gap
        stands at its place."""
        if not self._wants(event):
            return
        if self._lost is not None:
            self._lost = (self._lost[0], event.seq)
        elif len(self._queue) >= self._limit:
            self._lost = (event.seq, event.seq)
        else:
            self._queue.append(event)
        self._wake.set()

    def replay(self, event: Event) -> None:
        """Queue an old event; the ring bounds how many."""
        if event.kind == GAP or self._wants(event):
            self._queue.append(event)

    def _wants(self, event: Event) -> bool:
        if self._pairs and event.pair is not None and event.pair not in self._pairs:
            return False
        return not self._kinds or event.kind.startswith(self._kinds)

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> Event:
        while not self._is_closed:
            if self._queue:
                return self._queue.popleft()
            if self._lost is not None:
                first, last = self._lost
                self._lost = None
                return self._hub.gap(first, last)
            self._wake = anyio.Event()
            await self._wake.wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._is_closed = True
        self._hub.forget(self)
        self._wake.set()
