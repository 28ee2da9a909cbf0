"""Run the commands of `hooks`: an event as JSON on standard input. They can neither delay nor break a pair.

Commands come from the configuration files of the daemon's owner and nowhere else. No shell; an environment of
a few variables; one command of a pair at a time, ended after a minute; what fails is logged.
"""

import datetime as dt
import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import anyio
import msgspec
import structlog

from syncd.control.events import EventHub
from syncd.control.model import Event, EventsSubscribeParams
from syncd.daemon.config_model import PairConfig

TIMEOUT_S = 60.0
WAITING = 64
"""Commands of one pair that may wait for their turn; further ones are dropped, and that is logged."""
PASSED_ON = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR")
DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"

_DIRECT = {"conflict.recorded": "on_conflict", "pair.held": "on_held"}
_ACTIONS = ("file.", "directory.", "link.", "path.")
_RESTING = ("idle", "held", "waiting", "paused", "failed")

log = structlog.get_logger("syncd.hooks")


class Batch(msgspec.Struct, frozen=True):
    """What a `post_batch` command is told: how many events of each kind since the pair was last at rest."""

    pair: str
    at: dt.datetime
    kind: str
    counts: dict[str, int]


class HookRunner:
    """Follows the daemon's events and runs what the pairs' configurations name."""

    def __init__(self, hub: EventHub, pairs: Callable[[], Sequence[PairConfig]]) -> None:
        self._hub = hub
        self._pairs = pairs
        self._counts: dict[str, Counter[str]] = {}
        self._waiting: Counter[str] = Counter()
        self._turns: dict[str, anyio.Lock] = {}

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled; commands under way are then ended."""
        events = self._hub.subscribe(EventsSubscribeParams())
        try:
            async with anyio.create_task_group() as tasks:
                task_status.started()
                async for event in events:
                    for name, argv, message in self._due(event):
                        tasks.start_soon(self._take_turn, name, event.pair or "", argv, message)
        finally:
            await events.aclose()

    def _due(self, event: Event) -> list[tuple[str, Sequence[str], bytes]]:
        """The commands that an event calls for: hook, argument vector, input."""
        pair = next((pair for pair in self._pairs() if pair.name == event.pair), None)
        if pair is None:
            return []
        message = msgspec.json.encode(event)
        name = _DIRECT.get(event.kind)
        if event.kind.startswith(_ACTIONS):
            self._counts.setdefault(pair.name, Counter())[event.kind] += 1
        elif event.kind == "pair.state" and event.data.get("state") in _RESTING:
            counts = self._counts.pop(pair.name, None)
            if counts:
                name = "post_batch"
                message = msgspec.json.encode(Batch(pair.name, event.at, "batch.done", dict(counts)))
        argv: Sequence[str] = getattr(pair.hooks, name) if name else ()
        if not name or not argv:
            return []
        if self._waiting[pair.name] >= WAITING:
            log.warning("hook.dropped", pair=pair.name, hook=name)
            return []
        self._waiting[pair.name] += 1
        return [(name, argv, message)]

    async def _take_turn(self, name: str, pair: str, argv: Sequence[str], message: bytes) -> None:
        try:
            async with self._turns.setdefault(pair, anyio.Lock()):
                await run_hook(name, pair, argv, message, environment(os.environ))
        finally:
            self._waiting[pair] -= 1


def environment(full: Mapping[str, str]) -> dict[str, str]:
    """The few variables that a command gets; tokens of the daemon's environment are not among them."""
    kept = {name: full[name] for name in PASSED_ON if name in full}
    return {"PATH": DEFAULT_PATH, **kept}


async def run_hook(name: str, pair: str, argv: Sequence[str], message: bytes, env: Mapping[str, str]) -> bool:
    """Run one command to its end or for a minute. True when it ended with 0; nothing is raised."""
    told = {"pair": pair, "hook": name, "program": argv[0]}
    # Files, not pipes: a command that reads nothing or leaves a child behind blocks nobody.
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(message + b"\n")
        given.seek(0)
        try:
            with anyio.fail_after(TIMEOUT_S):
                done = await anyio.run_process(
                    list(argv),
                    stdin=given,
                    stdout=subprocess.DEVNULL,
                    stderr=said,
                    check=False,
                    cwd="/",
                    env=dict(env),
                    start_new_session=True,
                )
        except TimeoutError:
            log.warning("hook.timed_out", timeout_s=TIMEOUT_S, **told)
            return False
        except OSError as error:
            log.warning("hook.failed", detail=error.strerror, **told)
            return False
        if done.returncode != 0:
            said.seek(0)
            detail = said.read(500).decode(errors="replace").strip()
            log.warning("hook.failed", status=done.returncode, detail=detail, **told)
        return done.returncode == 0
