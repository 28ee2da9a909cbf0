"""Run a control server with a fake backend, in this loop or in a thread of its own."""

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import msgspec
from anyio.from_thread import start_blocking_portal
from anyio.streams.buffered import BufferedByteReceiveStream

from syncd.control.listen import listen
from syncd.control.server import ControlServer
from tests.control.fake import FakeBackend


class Wire:
    """A raw client: sends bytes, reads lines."""

    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        self.stream = stream
        self._lines = BufferedByteReceiveStream(stream)

    async def send(self, data: bytes) -> None:
        await self.stream.send(data)

    async def line(self) -> Any:
        """The next message, decoded. Raises anyio.EndOfStream / IncompleteRead at the end."""
        with anyio.fail_after(60):
            return msgspec.json.decode(await self._lines.receive_until(b"\n", 1 << 24))

    async def ask(self, method: str, params: Any = None, request_id: Any = 1) -> Any:
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params or {}}
        await self.send(msgspec.json.encode(message) + b"\n")
        return await self.line()

    async def is_closed(self) -> bool:
        """Whether the server ends the connection (what it still says is dropped)."""
        with anyio.fail_after(60):
            try:
                while await self.stream.receive():
                    pass
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return True
        return False


class Service:
    """A server in this event loop."""

    def __init__(self, path: Path, backend: FakeBackend, server: ControlServer) -> None:
        self.path = path
        self.backend = backend
        self.server = server

    @contextlib.asynccontextmanager
    async def wire(self) -> AsyncIterator[Wire]:
        async with await anyio.connect_unix(self.path) as stream:
            yield Wire(stream)

    async def clients(self, count: int) -> None:
        """Wait until the server has so many."""
        with anyio.fail_after(60):
            while self.server.clients != count:
                await anyio.sleep(0.005)


@contextlib.asynccontextmanager
async def serving(directory: Path, **options: Any) -> AsyncIterator[Service]:
    path = directory / "s.sock"
    backend = FakeBackend()
    server = ControlServer(backend, **options)
    async with anyio.create_task_group() as group:
        await group.start(server.serve, listen(os.fsencode(path)))
        yield Service(path, backend, server)
        group.cancel_scope.cancel()


@contextlib.contextmanager
def daemon(directory: Path) -> Iterator[tuple[Path, FakeBackend]]:
    """A server in a thread, for blocking clients."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(serving(directory)) as service:
        hub = service.backend.hub
        service.backend.publish = lambda kind, **data: portal.call(partial(hub.publish, kind, **data))
        yield service.path, service.backend


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))
