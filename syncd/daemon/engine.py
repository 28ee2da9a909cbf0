"""The engine of one pair over its own state: clocks, names, the lock, the data base, the trees, the cycle.

What the daemon and a single run have in common; the only place that knows which tree stands behind the port.
"""

import fcntl
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from syncd.core.entry import Side
from syncd.core.error import NeedsUser, TransientError
from syncd.core.guard import Brake
from syncd.core.reason import Reason
from syncd.daemon.config import PairConfig
from syncd.daemon.paths import pair_state_dir
from syncd.index.rebuild import open_or_rebuild
from syncd.sync.cycle import Cycle
from syncd.sync.settings import BOTH, PairSettings, Publish, World
from syncd.tree.port import Tree
from syncd.tree.registry import make_tree


class SystemClock:
    """The machine's clocks. The monotonic one is the event loop's."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


def new_id() -> str:
    """A batch or record name: sorts by time, 40 random bits."""
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    return f"{stamp}-{time.time_ns() % 10**9:09d}-{secrets.token_hex(5)}"


def settings_of(config: PairConfig, *, approves_holds: bool = False) -> PairSettings:
    """The engine's view of a pair's configuration."""
    limits = config.max_delete
    return PairSettings(
        name=config.name,
        mode=config.mode,
        policy=config.conflict,
        initial=config.initial,
        ignore=config.ignore,
        brake=Brake(
            files=limits.files,
            percent=limits.percent,
            bytes_percent=limits.bytes_percent,
            absolute=limits.absolute,
        ),
        compares_content=config.initial_compare == "content",
        pulls_destination_changes=config.pull_destination_changes,
        trash_keep_s=config.trash.keep_s,
        trash_max_bytes=config.trash.max_bytes,
        approves_holds=approves_holds,
        host=socket.gethostname().split(".")[0] or "localhost",
    )


class PairState:
    """A pair's directory in the state directory, locked for this process by the kernel."""

    def __init__(self, state_dir: Path, key: str) -> None:
        self.state_dir = state_dir
        self.directory = pair_state_dir(state_dir, key)
        self._lock = -1

    def __enter__(self) -> "PairState":
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise TransientError(Reason.STATE_UNWRITABLE, f"{self.directory}: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise NeedsUser(Reason.STATE_BUSY, f"{self.directory} is in use by another syncd") from error
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    @property
    def is_paused(self) -> bool:
        return (self.directory / "paused").exists()

    def set_paused(self, paused: bool) -> None:
        """Remember over restarts that a person paused the pair."""
        mark = self.directory / "paused"
        if paused:
            mark.touch(mode=0o600)
        else:
            mark.unlink(missing_ok=True)


@asynccontextmanager
async def open_cycle(
    config: PairConfig, state: PairState, publish: Publish, *, approves_holds: bool = False
) -> AsyncIterator[tuple[Cycle, World]]:
    """The engine of a pair over its own state: opened database, trees not yet opened.

    A damaged state is put aside and begun anew, loudly; without a base the pair's next sync is a first one.
    """
    world = World(clock=SystemClock(), new_id=new_id, publish=publish)
    async with AsyncExitStack() as stack:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        database, rebuilt = await open_or_rebuild(state.directory / "state.db", stamp=stamp)
        stack.push_async_callback(database.close)
        if rebuilt is not None:
            detail = f"{rebuilt.detail}; it was put aside as {rebuilt.aside}"
            publish("state.rebuilt", None, reason=Reason.STATE_DAMAGED.value, detail=detail)
        trees = trees_of(config, state.state_dir)
        for tree in trees.values():
            stack.push_async_callback(tree.close)
        yield Cycle(settings_of(config, approves_holds=approves_holds), database, trees, world), world


def trees_of(config: PairConfig, state_dir: Path, *, is_rehearsal: bool = False) -> dict[Side, Tree]:
    """Both trees of a pair; a rehearsal's are never written to."""
    return {
        side: make_tree(
            config.source if side is Side.SOURCE else config.destination,
            side,
            pair_key=config.key,
            state_dir=str(state_dir),
            is_written=config.writes(side) and not is_rehearsal,
            owner=config.owner,
            cross_mounts=config.cross_mounts,
        )
        for side in BOTH
    }
