"""Helper processes: what is said arrives whole, and the end of one is told as such."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from syncd.tree.local.helper import Helper

MORE_THAN_A_PIPE_HOLDS = os.urandom(300_000)


@pytest.fixture
def parrot(monkeypatch: pytest.MonkeyPatch) -> Iterator[Helper]:
    """In an environment where nothing is buffered: there a raw write may write a part only."""
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    helper = Helper("tests.contract.parrot")
    yield helper
    helper.kill()


def test_frames_come_back(parrot: Helper) -> None:
    for frame in (b"", b"x", MORE_THAN_A_PIPE_HOLDS):
        parrot.send(frame)
        assert parrot.receive() == frame


def test_a_frame_is_whole_when_its_writer_was_stopped(parrot: Helper) -> None:
    parrot.send(MORE_THAN_A_PIPE_HOLDS)
    time.sleep(0.2)
    os.kill(parrot.pid, signal.SIGSTOP)
    time.sleep(0.05)
    os.kill(parrot.pid, signal.SIGCONT)
    parrot.send(b"and more")
    impatience = threading.Timer(10, os.kill, (parrot.pid, signal.SIGKILL))
    impatience.start()
    assert parrot.receive() == MORE_THAN_A_PIPE_HOLDS
    assert parrot.receive() == b"and more"
    impatience.cancel()


def test_the_end_of_the_process_is_told(parrot: Helper) -> None:
    os.kill(parrot.pid, signal.SIGKILL)
    with pytest.raises(EOFError):
        parrot.receive()


def test_it_ends_when_its_parent_lets_go(parrot: Helper) -> None:
    parrot.end()
    with pytest.raises(ProcessLookupError):
        os.kill(parrot.pid, 0)
