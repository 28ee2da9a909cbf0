"""The daemon: configuration, control socket, supervisor, signals and the service manager, put together."""

import errno
import fcntl
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import anyio.abc
import structlog

from syncd.control.events import EventHub
from syncd.control.listen import Listener, adopt, listen
from syncd.control.model import StatusParams
from syncd.control.server import ControlServer
from syncd.core.error import NeedsUser, SyncdError
from syncd.core.reason import Reason
from syncd.daemon import metrics
from syncd.daemon.backend import DaemonBackend
from syncd.daemon.build import build_pair
from syncd.daemon.config import Config, ConfigInvalid, PairConfig, load_config
from syncd.daemon.config_write import keep_last_good
from syncd.daemon.hooks import HookRunner
from syncd.daemon.logging import LogRing
from syncd.daemon.pair import Pair
from syncd.daemon.publishing import devices, publisher
from syncd.daemon.service import Notifier
from syncd.daemon.supervisor import Changes, ScanSlots, Supervisor
from syncd.watch.process import WatchProcess

STOP_S = 9.0
"""Everything must have ended by then; systemd gives ten seconds and more."""

log = structlog.get_logger("syncd.daemon")


class DaemonLock:
    """The kernel's lock on a state directory: one daemon each, no stale lock files."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "daemon.lock"
        self._fd = -1

    def __enter__(self) -> "DaemonLock":
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise NeedsUser(Reason.STATE_UNWRITABLE, f"{self._path.parent}: {error.strerror}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            if error.errno in (errno.EAGAIN, errno.EACCES):
                detail = f"another syncd (pid {holder}) uses {self._path.parent}"
                raise NeedsUser(Reason.STATE_BUSY, detail) from error
            raise NeedsUser(Reason.STATE_UNWRITABLE, f"{self._path}: {error.strerror}") from error
        with suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


class ConfigSource:
    """Where the configuration comes from, so that it can be read again."""

    def __init__(
        self,
        path: Path | None,
        *,
        is_system: bool,
        env: Mapping[str, str],
        socket: Path | None,
        state_dir: Path | None,
    ) -> None:
        self.is_system = is_system
        self.env = env
        self._path = path
        self._socket = socket
        self._state_dir = state_dir

    def load(self) -> Config:
        """Read and check everything. Raises ConfigInvalid. Blocking."""
        return load_config(
            self._path, is_system=self.is_system, env=self.env, socket=self._socket, state_dir=self._state_dir
        )


class App:
    """One running daemon. `run` is its life."""

    def __init__(self, source: ConfigSource, config: Config, ring: LogRing) -> None:
        self.source = source
        self.config = config
        self.ring = ring
        self.started_ns = time.time_ns()
        self.started_monotonic = time.monotonic()
        self.hub = EventHub(time.time_ns, first_seq=self.started_ns // 1000)
        self.slots = ScanSlots()
        self.watching = WatchProcess()
        self.supervisor = Supervisor(self._build, time.monotonic_ns)
        self.notifier = Notifier.from_environment(os.environ)
        self._stop = anyio.Event()
        self._reload = anyio.Lock()

    def request_stop(self) -> None:
        """End in order; the caller gets its answer first."""
        self._stop.set()

    async def reload(self) -> Changes:
        """Read all, check all, apply only the pairs that changed. Raises ConfigInvalid; then nothing is."""
        async with self._reload:
            self.notifier.reloading()
            try:
                config = await anyio.to_thread.run_sync(self.source.load)
                return await self.take(config)
            finally:
                self.notifier.ready(self.summary())

    async def take(self, config: Config) -> Changes:
        """Put a checked configuration into force."""
        changes = await self.supervisor.apply(config.pairs)
        self.config = config
        await anyio.to_thread.run_sync(self._keep, config)
        self.hub.publish("config.reloaded", data={"changed": len(changes.changed) + len(changes.added)})
        return changes

    def _keep(self, config: Config) -> None:
        """The copy of the last good configuration is a help, never a condition."""
        try:
            keep_last_good(config)
        except OSError as error:
            log.warning("config.not_kept", detail=error.strerror)

    @asynccontextmanager
    async def _build(self, config: PairConfig) -> AsyncIterator[Pair]:
        slot = self.slots.slot(lambda: devices(config))
        voice = publisher(self.hub, config.name)
        async with build_pair(config, self.config.daemon.state_dir, voice, slot, self.watching) as pair:
            yield pair

    async def run(self, listener: Listener) -> None:
        """Serve until a signal or `daemon.stop` ends it; everything is stopped in order, within 10 s."""
        backend = DaemonBackend(self)
        hooks = HookRunner(self.hub, lambda: self.config.pairs)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._heed_signals)
            await tasks.start(hooks.run)
            await tasks.start(self.watching.run)
            # Before anybody is answered: who asks for all pairs must not be told that there are none.
            await tasks.start(self.supervisor.run, self.config.pairs)
            await tasks.start(ControlServer(backend).serve, listener)
            await tasks.start(self._serve_metrics, backend)
            await anyio.to_thread.run_sync(self._keep, self.config)
            tasks.start_soon(self._feed_watchdog)
            self.notifier.ready(self.summary())
            log.info("daemon.started", pairs=len(self.config.pairs), socket=str(self.config.daemon.socket))
            await self._stop.wait()
            self.notifier.stopping()
            log.info("daemon.stopping")
            with anyio.move_on_after(STOP_S):
                await self.supervisor.stop_all()
            tasks.cancel_scope.cancel()

    async def _serve_metrics(
        self, backend: DaemonBackend, *, task_status: anyio.abc.TaskStatus[object]
    ) -> None:
        """Nothing waits for figures: an address that cannot be had is told and done without."""
        address = self.config.daemon.metrics
        try:
            await metrics.serve(address, lambda: backend.status(StatusParams()), task_status=task_status)
        except SyncdError as error:
            log.error("metrics.not_served", reason=error.reason.value, detail=error.detail)
            task_status.started()

    async def _heed_signals(self) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            async for number in signals:
                if number == signal.SIGHUP:
                    await self._reload_on_signal()
                elif self._stop.is_set():
                    os._exit(130 if number == signal.SIGINT else 143)
                else:
                    self._stop.set()

    async def _reload_on_signal(self) -> None:
        try:
            await self.reload()
        except ConfigInvalid as invalid:
            for problem in invalid.problems:
                log.error("config.refused", detail=problem.render())
        except SyncdError as error:
            log.error("config.refused", reason=error.reason.value, detail=error.detail)

    async def _feed_watchdog(self) -> None:
        """Feed the service manager's watchdog only while every pair's task answers; keep its status line."""
        interval = self.notifier.watchdog_interval_s or 30.0
        while True:
            await anyio.sleep(interval / 2)
            if self.supervisor.is_responsive():
                self.notifier.watchdog()
            self.notifier.status(self.summary())

    def summary(self) -> str:
        """The status line: how many pairs are in which state."""
        states: dict[str, int] = {}
        for one in self.supervisor.pairs.values():
            states[one.state.value] = states.get(one.state.value, 0) + 1
        counted = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        return counted or "no pairs"


def open_listener(config: Config, environment: dict[str, str]) -> Listener:
    """The socket that the service manager passed, or one of our own. Raises SyncdError."""
    adopted = adopt(environment)
    if adopted is not None:
        return adopted
    path = config.daemon.socket
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SyncdError(Reason.SOCKET_UNUSABLE, f"{path.parent}: {error.strerror}") from error
    return listen(os.fsencode(path))


async def run_daemon(source: ConfigSource, config: Config, ring: LogRing) -> None:
    """The life of a daemon in the foreground. Raises SyncdError when it cannot start."""
    with DaemonLock(config.daemon.state_dir):
        listener = open_listener(config, dict(os.environ))
        await App(source, config, ring).run(listener)
