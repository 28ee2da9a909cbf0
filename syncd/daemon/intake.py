"""What watchers tell of a pair's two trees, kept until it has settled.

The watchers live and die with the roots: they are made anew whenever the roots have been opened. Nothing is
observed here and no task of the pair is known; `wake` is called when something came in.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import anyio
import anyio.abc

from syncd.core.entry import Side
from syncd.core.reason import Reason
from syncd.core.settle import Due, SettleQueue
from syncd.sync.observe import Observation
from syncd.sync.settings import BOTH, World
from syncd.watch.port import Dirty, Event, Rescan, Watcher

COOKIE_TIMEOUT_S = 5.0


class Intake:
    """A debounce queue and a watcher for each side."""

    def __init__(
        self,
        make_watchers: Callable[[], Mapping[Side, Watcher]],
        settle_s: float,
        world: World,
        wake: Callable[[], None],
    ) -> None:
        self.watchers: Mapping[Side, Watcher] = {}
        """Empty until the roots have been opened."""
        self.began_ns: int | None = None
        """Wall time at which the oldest change that is not yet dealt with came in; the pair clears it."""
        self._make_watchers = make_watchers
        self._world = world
        self._wake = wake
        self._queues = {side: SettleQueue(int(settle_s * 1e9)) for side in BOTH}
        self._watching: anyio.CancelScope | None = None

    # Watching.

    async def watch_anew(self, tasks: anyio.abc.TaskGroup) -> None:
        """Return once fresh watchers of both sides stand; the old ones end."""
        if self._watching is not None:
            self._watching.cancel()
        self.watchers = self._make_watchers()
        await tasks.start(self._watch)

    async def _watch(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Run the watchers of both sides until the roots are opened again."""
        with anyio.CancelScope() as self._watching:
            async with anyio.create_task_group() as tasks:
                for side, watcher in self.watchers.items():
                    await tasks.start(watcher.run, self.deliver(side))
                task_status.started()

    async def catch_up(self) -> list[Side]:
        """Return once all that happened before the call was told; answers the sides that cannot say so."""
        missed = []

        async def ask(side: Side) -> None:
            watcher = self.watchers.get(side)
            if watcher is None or not watcher.is_alive or not await watcher.cookie(COOKIE_TIMEOUT_S):
                missed.append(side)

        async with anyio.create_task_group() as tasks:
            for side in BOTH:
                tasks.start_soon(ask, side)
        return missed

    def scanned(self, cost_s: float) -> None:
        """Both trees were scanned as a whole."""
        for watcher in self.watchers.values():
            watcher.scanned(cost_s)

    # What comes in.

    def deliver(self, side: Side) -> Callable[[Sequence[Event]], None]:
        """The entrance for a watcher's events."""

        def take(events: Sequence[Event]) -> None:
            # Quiet is counted from when it happened, not from when the watcher told.
            watcher = self.watchers.get(side)
            age_ns = int(watcher.delay_s * 1e9) if watcher is not None else 0
            now = self._world.clock.monotonic_ns() - age_ns
            if self.began_ns is None:
                self.began_ns = self._world.clock.now_ns()
            for event in events:
                self._take(side, event, now)
            self._wake()

        return take

    def _take(self, side: Side, event: Event, now: int) -> None:
        if isinstance(event, Dirty):
            self._queues[side].push(event.path, now, disappeared=event.is_gone)
        elif isinstance(event, Rescan):
            self._queues[side].push(event.path, now, is_subtree=True)
            if event.reason not in (Reason.ADDED, Reason.WATCH_UNSUPPORTED, Reason.WATCH_LIMIT):
                self._world.publish("watch.lost", event.path, side=side.word, reason=event.reason.value)

    def follow_up(self, side: Side, seen: Observation, scanned: Iterable[bytes]) -> None:
        """A directory that is new, or beneath which a scan found something, is scanned until a pass finds
        nothing new: what is made while its watch is not yet there is told by nobody. What could not be listed
        waits as an issue."""
        now = self._world.clock.monotonic_ns()
        again = filter(None, scanned) if seen.changed else ()
        failed = {path for path, _, _ in seen.problems}
        for path in (*seen.new_directories, *again):
            if path not in failed:
                self._queues[side].push(path, now, is_subtree=True)

    # What is due.

    def due(self, now: int, *, flush: bool) -> dict[Side, Due]:
        """What has settled by now, or everything."""
        return {side: queue.flush() if flush else queue.due(now) for side, queue in self._queues.items()}

    def next_deadline(self) -> int | None:
        """Monotonic ns at which something settles."""
        deadlines = (queue.next_deadline() for queue in self._queues.values())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def __len__(self) -> int:
        """Paths that wait."""
        return sum(map(len, self._queues.values()))

    def holds_at(self, side: Side, path: bytes) -> bool:
        """As `holds`, for one side."""
        return self._queues[side].holds(path)

    def holds(self, path: bytes) -> bool:
        """Does an event for this path, or for a directory above it, wait?"""
        return any(queue.holds(path) for queue in self._queues.values())
