"""`syncd sync`: bring two trees in sync once, or rehearse it, with the same engine that the daemon runs."""

import os
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from syncd.core.action import Action
from syncd.core.error import NeedsUser, SyncdError, TransientError
from syncd.core.guard import Hold
from syncd.core.reason import Reason
from syncd.daemon.config import PairConfig
from syncd.daemon.engine import PairState, SystemClock, new_id, open_cycle, settings_of, trees_of
from syncd.daemon.overview import Overview, overview
from syncd.daemon.review import review
from syncd.index import seal
from syncd.index.database import Database
from syncd.sync.cycle import Cycle, Report
from syncd.sync.rehearsal import Rehearsal
from syncd.sync.settings import BOTH, Progress, Publish, World

ATTEMPTS = 3
"""Passes over trees that change while they are synchronised."""


class Outcome(msgspec.Struct, frozen=True):
    """What a run came to."""

    report: Report
    overview: Overview
    hold: Hold | None
    warning: str = ""
    trouble: TransientError | None = None
    """What kept the rest from being tried."""


class Rehearsed(msgspec.Struct, frozen=True):
    """What a run would do, in order."""

    actions: tuple[Action, ...]
    hold: Hold | None
    warning: str = ""


def create_destination(config: PairConfig) -> None:
    """A missing destination is made if its parent exists. Raises NeedsUser otherwise."""
    if os.path.lexists(config.destination):
        return
    try:
        os.mkdir(config.destination)
    except FileNotFoundError:
        detail = f"the destination's parent {os.path.dirname(config.destination)} does not exist: create it"
        raise NeedsUser(Reason.ROOT_MISSING, detail) from None
    except OSError as error:
        raise NeedsUser(Reason.ROOT_NOT_WRITABLE, f"{config.destination}: {error.strerror}") from error


async def sync_once(
    config: PairConfig,
    state_dir: Path,
    publish: Publish,
    *,
    approves_holds: bool,
    adopts: bool = False,
    show: Callable[[Progress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """One complete synchronisation. Raises SyncdError when the pair cannot be opened or a root is lost."""
    create_destination(config)
    with PairState(state_dir, config.key) as state:
        async with open_cycle(config, state, publish, approves_holds=approves_holds) as (cycle, _):
            show(cycle.progress)
            await cycle.open(adopts=adopts)
            await cycle.observe_all()
            warning = await review(config, cycle)
            if warning:
                publish("pair.risk_found", None, detail=warning)
            total, trouble = Report(), None
            try:
                await _passes(cycle, total, should_stop)
            except TransientError as error:
                trouble = error
                total.hold = cycle.hold
            await cycle.expire_trash()
            return Outcome(total, await overview(cycle), total.hold, warning, trouble)


async def _passes(cycle: Cycle, total: Report, should_stop: Callable[[], bool]) -> None:
    """Synchronise until it is complete, or stopped, or the trees change too fast; add up in `total`."""
    for attempt in range(ATTEMPTS):
        report = await cycle.synchronise(should_stop, retries_all=attempt == 0)
        total.done += report.done
        total.failed = report.failed
        total.hold, total.is_stopped = report.hold, report.is_stopped
        total.is_complete = report.is_complete
        if report.is_complete or report.is_stopped:
            return
        await cycle.observe_all()


async def rehearse(config: PairConfig, state_dir: Path, *, approves_holds: bool = False) -> Rehearsed:
    """What `sync_once` would do now. Nothing is written: the index is a copy that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="syncd-rehearsal-") as folder:
        copy = Path(folder) / "state.db"
        with PairState(state_dir, config.key) as state:
            original = state.directory / "state.db"
            copy_database(original, copy, is_clean=seal.seal_name(original).exists())
        return await rehearse_on(config, copy, state_dir, approves_holds=approves_holds)


async def rehearse_on(config: PairConfig, copy: Path, state_dir: Path, *, approves_holds: bool) -> Rehearsed:
    """Run the engine over a copy of the index and trees that only pretend."""
    done: list[Action] = []
    world = World(clock=SystemClock(), new_id=new_id, publish=ignore_event)
    database = await Database.open(copy)
    try:
        real = trees_of(config, state_dir, is_rehearsal=True)
        trees = {side: Rehearsal(real[side], done) for side in BOTH}
        cycle = Cycle(settings_of(config, approves_holds=approves_holds), database, trees, world)
        try:
            await cycle.open()
            await cycle.observe_all()
            warning = await review(config, cycle)
            report = await cycle.synchronise(lambda: False, retries_all=True)
            return Rehearsed(tuple(done), report.hold, warning)
        finally:
            for tree in trees.values():
                await tree.close()
    finally:
        await database.close()


def ignore_event(kind: str, path: bytes | None = None, /, **data: object) -> None:
    """Nobody listens to a rehearsal."""
    del kind, path, data


def copy_database(original: Path, copy: Path, *, is_clean: bool) -> None:
    """A consistent copy of an index, also while it is in use; nothing where there is none yet. `is_clean`: it
    was, or still is, in good hands, and no crash is to be reckoned with."""
    if not original.exists():
        return
    source = sqlite3.connect(f"file:{original}?mode=ro", uri=True)
    target = sqlite3.connect(copy)
    try:
        source.backup(target)
    except sqlite3.Error as error:
        raise SyncdError(Reason.STATE_DAMAGED, f"{original}: {error}") from error
    finally:
        target.close()
        source.close()
    if is_clean:
        seal.seal(copy)
