"""`python -m tests.control.serve_fake SOCKET`: the fake backend in a process of its own."""

import signal
import sys

import anyio

from syncd.control.listen import listen
from syncd.control.server import ControlServer
from tests.control.fake import FakeBackend


async def serve(path: str) -> None:
    """Serve until `daemon.stop` or SIGTERM; says `ready` once it accepts."""
    backend = FakeBackend()
    async with anyio.create_task_group() as group:
        await group.start(ControlServer(backend).serve, listen(path.encode()))
        group.start_soon(_stop_on_signal, backend)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await backend.stop.wait()
        group.cancel_scope.cancel()


async def _stop_on_signal(backend: FakeBackend) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            backend.stop.set()


if __name__ == "__main__":
    anyio.run(serve, sys.argv[1])
