"""Figures for Prometheus: `render` makes the text, `serve` answers GET /metrics on a port or a Unix socket.

The text format is a few lines, so there is no client library. It holds names of pairs and numbers: no paths,
no content. Who may connect is decided by the address: give a loopback one, or a socket.
"""

import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import anyio
import structlog
from anyio.abc import Listener, SocketAttribute, SocketStream, TaskStatus

from syncd.control.model import PairStatus, Status
from syncd.core.error import SyncdError
from syncd.core.lifecycle import PairState
from syncd.core.reason import Reason

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
REQUEST_BYTES = 8192
REQUEST_S = 5.0
CLIENTS = 16

log = structlog.get_logger("syncd.metrics")

_PAIR_FIGURES: tuple[tuple[str, str, Callable[[PairStatus], float]], ...] = (
    ("lag_seconds", "Age of the oldest change that is not on the other side yet.", lambda pair: pair.lag_s),
    ("pending_files", "Changes that wait.", lambda pair: pair.pending.files),
    ("pending_bytes", "Bytes of changes that wait.", lambda pair: pair.pending.bytes),
    ("conflicts", "Open conflict records.", lambda pair: pair.conflicts),
    ("issues", "Paths that cannot be synchronised now.", lambda pair: pair.issues),
    ("held", "1 while the pair waits for a person or a root.", lambda pair: float(pair.hold is not None)),
    ("watcher_alive", "1 while events are received.", lambda pair: float(pair.watcher.alive)),
    ("source_files", "Files at the source.", lambda pair: pair.totals.source.files),
    ("destination_files", "Files at the destination.", lambda pair: pair.totals.destination.files),
)


def render(status: Status) -> str:
    """The exposition text of one status."""
    return "\n".join(_lines(status)) + "\n"


def _lines(status: Status) -> Iterator[str]:
    yield from _head("syncd_info", "The version that runs.")
    yield f'syncd_info{{version="{_label(status.daemon.version)}"}} 1'
    yield from _head("syncd_uptime_seconds", "Seconds since the daemon started.")
    yield f"syncd_uptime_seconds {status.daemon.uptime_s}"
    yield from _head("syncd_pair_state", "1 for the state that a pair is in.")
    for pair in status.pairs:
        for state in PairState:
            value = int(pair.state == state.value)
            yield f'syncd_pair_state{{pair="{_label(pair.name)}",state="{state.value}"}} {value}'
    for name, meaning, read in _PAIR_FIGURES:
        yield from _head(f"syncd_pair_{name}", meaning)
        for pair in status.pairs:
            yield f'syncd_pair_{name}{{pair="{_label(pair.name)}"}} {read(pair):g}'


def _head(name: str, meaning: str) -> Iterator[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} gauge"


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


async def serve(
    address: str,
    status: Callable[[], Awaitable[Status]],
    *,
    task_status: TaskStatus[object] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Answer until cancelled; `address` is a checked `daemon.metrics` value, "off" returns at once.

    `task_status` is started with the bound address. Raises SyncdError when it cannot be bound.
    """
    if address == "off":
        task_status.started(None)
        return
    limiter = anyio.CapacityLimiter(CLIENTS)

    async def answer(client: SocketStream) -> None:
        async with client, limiter:
            await _answer(client, status)

    listener = await _listen(address)
    async with listener:
        task_status.started(listener.extra(SocketAttribute.local_address))  # noqa: S610
        await listener.serve(answer)


async def _listen(address: str) -> Listener[SocketStream]:
    try:
        if address.startswith("unix:"):
            path = Path(address.removeprefix("unix:"))
            if path.is_socket():
                path.unlink()
            return await anyio.create_unix_listener(path, mode=0o660)
        host, _, port = address.rpartition(":")
        return await anyio.create_tcp_listener(local_host=host.strip("[]"), local_port=int(port))
    except (OSError, OverflowError) as error:
        detail = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise SyncdError(Reason.SOCKET_UNUSABLE, f"metrics address {address}: {detail}") from error


async def _answer(client: SocketStream, status: Callable[[], Awaitable[Status]]) -> None:
    """One request, one reply, the connection is closed. A client that dawdles or breaks off is dropped."""
    try:
        with anyio.fail_after(REQUEST_S):
            request = b""
            while b"\r\n\r\n" not in request and len(request) < REQUEST_BYTES:
                request += await client.receive(REQUEST_BYTES)
            words = request.split(b"\r\n", 1)[0].split()
            if words[:1] not in ([b"GET"], [b"HEAD"]) or len(words) != 3:
                await client.send(_reply("405 Method Not Allowed", "GET /metrics\n"))
            elif words[1].split(b"?")[0] != b"/metrics":
                await client.send(_reply("404 Not Found", "see /metrics\n"))
            else:
                body = render(await status())
                await client.send(_reply("200 OK", body, with_body=words[0] == b"GET"))
    except (anyio.EndOfStream, anyio.BrokenResourceError, TimeoutError):
        log.debug("metrics.client_dropped")


def _reply(code: str, body: str, *, with_body: bool = True) -> bytes:
    content = body.encode()
    lines = (
        f"HTTP/1.1 {code}",
        f"Content-Type: {CONTENT_TYPE}",
        f"Content-Length: {len(content)}",
        "Connection: close",
        "\r\n",
    )
    return "\r\n".join(lines).encode() + (content if with_body else b"")
