"""What the service manager hears."""

import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.daemon.service import Notifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(10)
        yield listening


def heard(manager: socket.socket) -> list[str]:
    return manager.recv(4096).decode().split("\n")


def notifier(manager: socket.socket) -> Notifier:
    return Notifier.from_environment({"NOTIFY_SOCKET": manager.getsockname()})


def test_the_life_of_a_daemon(manager: socket.socket) -> None:
    notify = notifier(manager)
    notify.ready("2 idle")
    assert heard(manager) == ["READY=1", "STATUS=2 idle"]
    notify.status("one\nline")
    assert heard(manager) == ["STATUS=one line"]
    notify.watchdog()
    assert heard(manager) == ["WATCHDOG=1"]
    notify.stopping()
    assert heard(manager) == ["STOPPING=1"]


def test_a_reload_carries_its_time(manager: socket.socket) -> None:
    before = time.monotonic_ns() // 1000
    notifier(manager).reloading()
    first, second = heard(manager)
    assert first == "RELOADING=1"
    key, _, value = second.partition("=")
    assert key == "MONOTONIC_USEC"
    assert before <= int(value) <= time.monotonic_ns() // 1000


@pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux only")
def test_an_abstract_address() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("")
        name = listening.getsockname()
        listening.settimeout(10)
        Notifier("@" + name[1:].decode()).watchdog()
        assert heard(listening) == ["WATCHDOG=1"]


def test_nobody_listening_is_fine(tmp_path: Path) -> None:
    Notifier.from_environment({}).ready("")
    Notifier.from_environment({"NOTIFY_SOCKET": str(tmp_path / "none")}).ready("")


@pytest.mark.parametrize(
    ("environment", "interval_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "7"}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_interval(environment: dict[str, str], interval_s: float | None) -> None:
    assert Notifier.from_environment(environment, pid=7).watchdog_interval_s == interval_s
