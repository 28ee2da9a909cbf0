"""Serve the control socket: many clients, none of which can delay another one or a sync.

Each connection is two tasks at most: one reads lines and answers them in order, one writes the events it
follows. Every write has a deadline; input waits in the kernel while a call runs, so nothing grows. File
descriptors that a client passes are closed by the kernel: they are never received.
"""

import contextlib
import errno
import select
import socket
import time
from collections.abc import Callable
from itertools import count

import anyio
import structlog
from anyio.abc import TaskGroup, TaskStatus

from syncd.control import protocol
from syncd.control.backend import Backend, EventStream
from syncd.control.dispatch import Dispatcher, Session
from syncd.control.listen import Listener
from syncd.control.peer import Peer, peer_of
from syncd.control.protocol import Code, ErrorData, LineBuffer, LineTooLong
from syncd.core.reason import Reason

log = structlog.get_logger(__name__)

MAX_CLIENTS = 256
WRITE_DEADLINE_S = 10.0
HANGUP_POLL_S = 1.0
_RECEIVE = 65536
_HUNG_UP = select.POLLHUP | select.POLLERR | select.POLLNVAL


class _Gone(Exception):
    """The client closed, or did not read in time."""


class _Connection:
    """One client: its socket, its session and what the server needs to choose whom to drop."""

    def __init__(self, sock: socket.socket, session: Session, write_deadline_s: float) -> None:
        self.sock = sock
        self.session = session
        self.scope = anyio.CancelScope()
        self.last_active_s = time.monotonic()
        self.is_busy = False
        self._write_deadline_s = write_deadline_s
        self._lock = anyio.Lock()
        self._begun = b""

    @property
    def is_evictable(self) -> bool:
        return not self.is_busy and self.session.stream is None

    async def receive(self) -> bytes:
        """The next bytes, empty at the end of input. Ancillary data is not asked for."""
        while True:
            try:
                data = self.sock.recv(_RECEIVE)
            except (BlockingIOError, InterruptedError):
                await anyio.wait_readable(self.sock)
            except OSError as error:
                raise _Gone from error
            else:
                self.last_active_s = time.monotonic()
                return data

    def send_now(self, data: bytes) -> bytes:
        """Begin to write without waiting. What the kernel does not take goes first in the next `send`;
        returned is what could not be begun because another write is going on."""
        if self._lock.locked() or self._begun:
            return data
        try:
            self._begun = data[self.sock.send(data) :] if data else b""
        except OSError:
            self._begun = data  # `send` finds out what is wrong
        return b""

    async def send(self, data: bytes) -> None:
        """All of `data` or nothing more ever: a client that does not read in time is gone."""
        if not data and not self._begun:
            return
        is_sent = False
        with anyio.move_on_after(self._write_deadline_s):
            async with self._lock:
                rest = memoryview(self._begun + data)
                self._begun = b""
                while rest:
                    try:
                        rest = rest[self.sock.send(rest) :]
                    except (BlockingIOError, InterruptedError):
                        await anyio.wait_writable(self.sock)
                    except OSError as error:
                        raise _Gone from error
                is_sent = True
        if not is_sent:
            raise _Gone
        self.last_active_s = time.monotonic()

    def is_hung_up(self) -> bool:
        """Whether the client closed both directions (one that only stopped sending is still there)."""
        poller = select.poll()
        poller.register(self.sock, 0)
        return any(flags & _HUNG_UP for _fd, flags in poller.poll(0))

    async def hangup(self) -> None:
        """Return when the client is gone; bytes that wait to be read are left alone."""
        while not self.is_hung_up():
            await anyio.sleep(HANGUP_POLL_S)


class ControlServer:
    """`await serve(listener)` until cancelled. `group`: a gid whose members may connect as well."""

    def __init__(
        self,
        backend: Backend,
        *,
        group: int | None = None,
        max_clients: int = MAX_CLIENTS,
        write_deadline_s: float = WRITE_DEADLINE_S,
        peer_of: Callable[[socket.socket], Peer] = peer_of,
    ) -> None:
        self._dispatcher = Dispatcher(backend)
        self._group = group
        self._max_clients = max_clients
        self._write_deadline_s = write_deadline_s
        self._peer_of = peer_of
        self._connections: dict[int, _Connection] = {}
        self._numbers = count()

    @property
    def clients(self) -> int:
        return len(self._connections)

    async def serve(
        self, listener: Listener, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Accept and answer. Closes the listener and every connection at the end."""
        try:
            async with anyio.create_task_group() as group:
                task_status.started()
                while True:
                    sock = await self._accept(listener.sock)
                    connection = self._admit(sock)
                    if connection is not None:
                        number = next(self._numbers)
                        self._connections[number] = connection
                        group.start_soon(self._run, number, connection)
        finally:
            listener.close()

    async def _accept(self, listener: socket.socket) -> socket.socket:
        while True:
            try:
                sock, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                await anyio.wait_readable(listener)
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    raise
                log.warning("control.accept_failed", error=error.strerror)
                await anyio.sleep(0.5)
            else:
                sock.setblocking(False)
                return sock

    def _admit(self, sock: socket.socket) -> _Connection | None:
        """Check who it is before a byte is read; make room."""
        try:
            peer = self._peer_of(sock)
        except OSError:
            peer = None
        if peer is None or not peer.may_connect(self._group):
            log.warning("control.client_refused", uid=None if peer is None else peer.uid)
            _refuse(sock, Reason.NOT_ALLOWED)
            return None
        if len(self._connections) >= self._max_clients and not self._evict():
            _refuse(sock, Reason.TOO_MANY_CLIENTS)
            return None
        return _Connection(sock, Session(peer.is_owner()), self._write_deadline_s)

    def _evict(self) -> bool:
        """Drop the client that has been idle longest and follows nothing; False when there is none."""
        idle = [(c.last_active_s, number) for number, c in self._connections.items() if c.is_evictable]
        if not idle:
            return False
        connection = self._connections.pop(min(idle)[1])
        connection.scope.cancel()
        return True

    async def _run(self, number: int, connection: _Connection) -> None:
        try:
            with connection.scope, contextlib.suppress(_Gone):
                await self._converse(connection)
        except Exception:
            log.exception("control.client_failed")
        finally:
            self._connections.pop(number, None)
            connection.sock.close()
            if connection.session.stream is not None:
                with anyio.CancelScope(shield=True):
                    await connection.session.stream.aclose()

    async def _converse(self, connection: _Connection) -> None:
        async with anyio.create_task_group() as group:
            with contextlib.suppress(_Gone):
                await self._read(connection, group)
            group.cancel_scope.cancel()

    async def _read(self, connection: _Connection, group: TaskGroup) -> None:
        """Answer line by line until the client stops sending; stay while it follows events."""
        buffer = LineBuffer()
        try:
            while data := await connection.receive():
                for line in buffer.feed(data):
                    is_following = connection.session.stream is not None
                    await self._answer(connection, line)
                    if not is_following and connection.session.stream is not None:
                        group.start_soon(_follow, connection, connection.session.stream)
        except LineTooLong:
            text = f"a line has more than {protocol.MAX_LINE} bytes"
            reply = protocol.failure(None, Code.INVALID_REQUEST, text)
            await connection.send(protocol.frame([reply], is_batch=False))
            return
        if connection.session.stream is not None:
            await connection.hangup()

    async def _answer(self, connection: _Connection, line: bytes) -> None:
        """Answer one line. A call ends early when its client goes away; what it began goes on."""
        rest = b""
        connection.is_busy = True
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(_cancel_on_hangup, connection, group.cancel_scope)
                reply = await self._dispatcher.answer(line, connection.session)
                # Before any await: the reply to daemon.stop must leave before the cancellation comes.
                rest = connection.send_now(reply)
                group.cancel_scope.cancel()
            await connection.send(rest)
        finally:
            connection.is_busy = False


async def _cancel_on_hangup(connection: _Connection, scope: anyio.CancelScope) -> None:
    await anyio.sleep(HANGUP_POLL_S)
    await connection.hangup()
    scope.cancel()


async def _follow(connection: _Connection, stream: EventStream) -> None:
    """Write events until the client is gone. The stream bounds what waits and marks what it dropped."""
    try:
        async for event in stream:
            await connection.send(protocol.notification("event", event))
    except _Gone:
        pass
    except Exception:
        log.exception("control.events_failed")
    connection.scope.cancel()


def _refuse(sock: socket.socket, reason: Reason) -> None:
    """Say why in one line, without reading or waiting, and close."""
    data = ErrorData(reason.value, reason.fix)
    reply = protocol.failure(None, Code.SYNCD, reason.explanation, data)
    with sock, contextlib.suppress(OSError):
        sock.send(protocol.frame([reply], is_batch=False))
