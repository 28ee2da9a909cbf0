"""Metrics: the text of a status, and who gets it."""

import os
from pathlib import Path

import anyio
import pytest

from syncd.control import model as m
from syncd.core.error import SyncdError
from syncd.core.reason import Reason
from syncd.daemon.metrics import render, serve


def status() -> m.Status:
    count = m.SideCount(files=3, bytes=10)
    pair = m.PairStatus(
        name='we"ird\\',
        source="/secret/a",
        destination="/secret/b",
        mode="two-way",
        state="held",
        lag_s=1.5,
        pending=m.Pending(files=2, bytes=2048),
        conflicts=1,
        issues=0,
        hold=m.HoldView(reason="mass-delete", detail="", plan_id="x", fix=""),
        last_synced_at=None,
        next_attempt_at=None,
        progress=None,
        watcher=m.WatcherInfo(kind="events", alive=True, watched=1),
        totals=m.Totals(source=count, destination=count),
    )
    daemon = m.DaemonInfo(version="1.0", pid=1, started_at=m.stamp(0), uptime_s=12.5)
    return m.Status(daemon=daemon, pairs=(pair,))


async def answer() -> m.Status:
    return status()


def test_a_status_as_text() -> None:
    text = render(status())
    assert 'syncd_info{version="1.0"} 1\n' in text
    assert "syncd_uptime_seconds 12.5\n" in text
    assert 'syncd_pair_state{pair="we\\"ird\\\\",state="held"} 1\n' in text
    assert 'syncd_pair_state{pair="we\\"ird\\\\",state="idle"} 0\n' in text
    assert 'syncd_pair_lag_seconds{pair="we\\"ird\\\\"} 1.5\n' in text
    assert 'syncd_pair_held{pair="we\\"ird\\\\"} 1\n' in text
    assert "secret" not in text
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names)) == 12


async def ask(stream: anyio.abc.ByteStream, request: bytes) -> bytes:
    async with stream:
        await stream.send(request)
        reply = b""
        try:
            while True:
                reply += await stream.receive()
        except anyio.EndOfStream:
            return reply


@pytest.mark.parametrize(
    ("request_line", "begins", "has"),
    [
        (b"GET /metrics HTTP/1.1", b"HTTP/1.1 200 OK\r\n", b"syncd_uptime_seconds 12.5"),
        (b"GET /metrics?x=1 HTTP/1.0", b"HTTP/1.1 200 OK\r\n", b"syncd_info"),
        (b"HEAD /metrics HTTP/1.1", b"HTTP/1.1 200 OK\r\n", b"Connection: close\r\n\r\n"),
        (b"GET / HTTP/1.1", b"HTTP/1.1 404 ", b"see /metrics"),
        (b"POST /metrics HTTP/1.1", b"HTTP/1.1 405 ", b"GET /metrics"),
        (b"", b"HTTP/1.1 405 ", b""),
    ],
)
async def test_a_port_answers(request_line: bytes, begins: bytes, has: bytes) -> None:
    async with anyio.create_task_group() as tasks:
        host, port = await tasks.start(serve, "127.0.0.1:0", answer)
        reply = await ask(await anyio.connect_tcp(host, port), request_line + b"\r\n\r\n")
        tasks.cancel_scope.cancel()
    assert reply.startswith(begins)
    assert has in reply
    assert (b"syncd_" in reply.partition(b"\r\n\r\n")[2]) == (request_line[:12] == b"GET /metrics")


async def test_a_socket_answers_and_a_stale_one_makes_room(tmp_path: Path) -> None:
    path = tmp_path / "m.sock"
    for _ in range(2):
        async with anyio.create_task_group() as tasks:
            await tasks.start(serve, f"unix:{path}", answer)
            assert path.stat().st_mode & 0o007 == 0
            reply = await ask(await anyio.connect_unix(path), b"GET /metrics HTTP/1.1\r\n\r\n")
            tasks.cancel_scope.cancel()
        assert b"syncd_info" in reply


async def test_a_client_that_leaves_is_no_trouble(tmp_path: Path) -> None:
    async with anyio.create_task_group() as tasks:
        host, port = await tasks.start(serve, "127.0.0.1:0", answer)
        await (await anyio.connect_tcp(host, port)).aclose()
        reply = await ask(await anyio.connect_tcp(host, port), b"GET /metrics HTTP/1.1\r\n\r\n")
        tasks.cancel_scope.cancel()
    assert b"200 OK" in reply


async def test_off_and_impossible_addresses(tmp_path: Path) -> None:
    await serve("off", answer)
    for address in (f"unix:{tmp_path}/none/m.sock", "127.0.0.1:99999", "203.0.113.1:9740"):
        with pytest.raises(SyncdError) as caught:
            await serve(address, answer)
        assert caught.value.reason is Reason.SOCKET_UNUSABLE
    assert os.listdir(tmp_path) == []
