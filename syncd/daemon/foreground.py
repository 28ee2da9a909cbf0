"""`syncd sync --watch`: one pair under the supervisor, in this process, for whoever watches it."""

import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc

from syncd.control.events import EventHub
from syncd.control.model import Event, EventsSubscribeParams, PairStatus
from syncd.daemon import views
from syncd.daemon.build import build_pair
from syncd.daemon.config import PairConfig
from syncd.daemon.pair import Pair
from syncd.daemon.publishing import devices, publisher
from syncd.daemon.supervisor import ScanSlots, Supervisor
from syncd.watch.process import WatchProcess

STATUS_EVERY_S = 0.2


async def keep_in_sync(
    config: PairConfig,
    state_dir: Path,
    *,
    approves_holds: bool,
    adopts: bool = False,
    show: Callable[[Sequence[PairStatus]], None],
    tell: Callable[[Event], None],
) -> None:
    """Until SIGINT or SIGTERM. `show` gets the status again and again, `tell` every event."""
    hub = EventHub(time.time_ns)
    slots = ScanSlots()
    watching = WatchProcess()

    @asynccontextmanager
    async def build(pair: PairConfig) -> AsyncIterator[Pair]:
        slot = slots.slot(lambda: devices(pair))
        voice = publisher(hub, pair.name)
        async with build_pair(
            pair, state_dir, voice, slot, watching, approves_holds=approves_holds, adopts=adopts
        ) as built:
            yield built

    supervisor = Supervisor(build, time.monotonic_ns)

    async def follow() -> None:
        async for event in hub.subscribe(EventsSubscribeParams()):
            tell(event)

    async def refresh() -> None:
        while True:
            show([views.pair_status(one, time.time_ns()) for one in supervisor.pairs.values()])
            await anyio.sleep(STATUS_EVERY_S)

    async with anyio.create_task_group() as tasks:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            tasks.start_soon(follow)
            await tasks.start(watching.run)
            await tasks.start(supervisor.run, [config])
            tasks.start_soon(refresh)
            async for _ in signals:
                break
            await supervisor.stop_all()
        tasks.cancel_scope.cancel()
