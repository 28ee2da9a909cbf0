"""The blocking client: discovery, what it says when nobody answers, odd servers."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from syncd.control import model as m
from syncd.control.client import CallError, Client, NotPermitted, TimedOut, Unreachable, connect
from tests.control.running import daemon


@contextmanager
def scripted(path: Path, *replies: bytes) -> Iterator[None]:
    """A server that reads one line, says `replies` and closes."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.recv(65536)
            for reply in replies:
                sock.sendall(reply)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        thread.join(5)
        listener.close()


def status(client: Client, **options: float) -> m.Status:
    return client.call("status", m.StatusParams(), m.Status, **options)


def test_calls_and_events(tmp_path: Path) -> None:
    with daemon(tmp_path) as (path, backend), connect([path]) as client:
        assert status(client).daemon.pid == 4711
        with pytest.raises(CallError) as caught:
            client.call("pair.show", m.PairShowParams(pair="x"), m.PairDetail)
        assert (caught.value.reason, caught.value.code) == ("no-such-pair", -32000)
        backend.publish("file.put", path=b"\xff")
        client.subscribe(m.EventsSubscribeParams(since=0))
        event = client.next_event(5)
        assert event is not None
        assert (event.kind, event.path, event.path_b64) == ("file.put", "\\xff", "/w==")
        assert client.next_event(0.01) is None


def test_fields_at_their_default_are_not_sent(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    with connect([path]) as client:
        sock, _ = listener.accept()
        with sock:
            with pytest.raises(TimedOut):
                client.call("pair.wait", m.PairWaitParams(pairs=("a",)), m.WaitResult, timeout_s=0.01)
            line = sock.recv(65536)
        listener.close()
    assert json.loads(line)["params"] == {"pairs": ["a"]}


def test_the_first_socket_that_answers_is_taken(tmp_path: Path) -> None:
    with daemon(tmp_path) as (path, _), connect([tmp_path / "none", path]) as client:
        assert status(client).daemon.version == "0.1.0"


def test_when_nobody_answers_it_says_what_it_tried(tmp_path: Path) -> None:
    stale = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(stale))
    (tmp_path / "file").write_text("")
    with pytest.raises(Unreachable) as caught:
        connect([tmp_path / "none", stale, tmp_path / "file"])
    assert caught.value.tried == (
        f"{tmp_path}/none (not there)",
        f"{stale} (nobody listens)",
        f"{tmp_path}/file (nobody listens)",
    )


def test_a_socket_that_refuses_this_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", deny)
    with pytest.raises(NotPermitted, match="may not use"):
        connect([tmp_path / "s.sock"])


def test_a_refusal_by_credentials_is_not_permitted(tmp_path: Path) -> None:
    line = (
        b'{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no","data":'
        b'{"reason":"not-allowed","fix":""}}}\n'
    )
    with scripted(tmp_path / "s", line), connect([tmp_path / "s"]) as client, pytest.raises(NotPermitted):
        status(client)


@pytest.mark.parametrize(
    "reply",
    [b"HTTP/1.1 400 Bad Request\n", b'{"jsonrpc":"2.0","id":1,"result":{"daemon":3}}\n', b"[]\n"],
)
def test_what_is_no_answer_is_an_error_in_words(tmp_path: Path, reply: bytes) -> None:
    with scripted(tmp_path / "s", reply), connect([tmp_path / "s"]) as client, pytest.raises(CallError):
        status(client)


def test_a_daemon_that_goes_away_is_unreachable(tmp_path: Path) -> None:
    path, gone = tmp_path / "s", pytest.raises(Unreachable, match="closed the connection")
    with scripted(path, b'{"jsonrpc"'), connect([path]) as client, gone:
        status(client)


def test_answers_to_other_questions_are_passed_over(tmp_path: Path) -> None:
    good = b'{"jsonrpc":"2.0","id":1,"result":{"detail":"x","unknown":1}}\n'
    event = b'{"jsonrpc":"2.0","method":"event","params":{}}\n'
    other = b'{"jsonrpc":"2.0","id":9,"result":1}\n'
    path = tmp_path / "s"
    with scripted(path, event, other, good[:20], good[20:]), connect([path]) as client:
        assert client.call("daemon.stop", m.NoParams(), m.Ack).detail == "x"


def test_no_answer_in_time(tmp_path: Path) -> None:
    with daemon(tmp_path) as (path, backend), connect([path]) as client:
        backend.wait_forever = True
        with pytest.raises(TimedOut):
            client.call("pair.wait", m.PairWaitParams(), m.WaitResult, timeout_s=0.05)


def test_a_long_path(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 120)
    directory.mkdir(0o700)
    with pytest.raises(Unreachable):
        connect([directory / "none.sock"])
    assert os.path.isdir(directory)
