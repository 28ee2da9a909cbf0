"""The composition root of one pair that runs: its engine, its watchers, its task."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from random import Random

from syncd.core.entry import Side
from syncd.daemon.config import PairConfig
from syncd.daemon.engine import PairState, open_cycle
from syncd.daemon.pair import Pair, Timing
from syncd.daemon.review import review
from syncd.sync.settings import BOTH, Publish
from syncd.tree.port import Tree
from syncd.watch.make import make_watcher
from syncd.watch.port import Watcher
from syncd.watch.pump import Host


def watchers_of(config: PairConfig, trees: Mapping[Side, Tree], host: Host) -> dict[Side, Watcher]:
    """A watcher for each root that was opened. Unreliable file systems are polled."""
    return {
        side: make_watcher(
            config.source if side is Side.SOURCE else config.destination,
            settle_s=config.settle_s,
            capabilities=trees[side].capabilities,
            is_written=config.writes(side),
            cross_mounts=config.cross_mounts,
            host=host,
        )
        for side in BOTH
    }


@asynccontextmanager
async def build_pair(
    config: PairConfig,
    state_dir: Path,
    publish: Publish,
    scan_slot: Callable[[], AbstractAsyncContextManager[object]],
    host: Host,
    *,
    approves_holds: bool = False,
    adopts: bool = False,
) -> AsyncIterator[Pair]:
    """A pair that is ready to run. Raises SyncdError when its state cannot be opened."""
    with PairState(state_dir, config.key) as state:
        async with open_cycle(config, state, publish, approves_holds=approves_holds) as (cycle, world):
            jitter = Random(config.key).random  # noqa: S311
            timing = Timing(settle_s=config.settle_s, rescan_s=config.rescan_s, jitter=jitter)
            yield Pair(
                cycle,
                lambda: watchers_of(config, cycle.trees, host),
                timing,
                world,
                scan_slot,
                review=lambda: review(config, cycle),
                is_paused=config.paused or state.is_paused,
                adopts=adopts,
            )
