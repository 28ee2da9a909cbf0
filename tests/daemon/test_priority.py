"""Giving way, in a process of its own: a priority cannot be taken back without privileges."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from syncd.daemon.priority import NICE

_SHOW = """
import os, sys
from pathlib import Path
from syncd.daemon.priority import give_way
give_way(Path(sys.argv[1]))
print(os.getpriority(os.PRIO_PROCESS, 0))
"""


def given_way(session: Path, *, is_leader: bool, before: int = 0) -> int:
    command = ["nice", "-n", f"{before}", sys.executable, "-c", _SHOW, str(session)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=is_leader)
    return int(done.stdout)


@pytest.fixture
def session(tmp_path: Path) -> Path:
    path = tmp_path / "autogroup"
    path.touch()
    return path


pytestmark = pytest.mark.skipif(
    os.getpriority(os.PRIO_PROCESS, 0) != 0, reason="the tests themselves run at another priority"
)


def test_a_service_gives_way(session: Path) -> None:
    assert given_way(session, is_leader=False) == NICE
    assert session.read_text() == "", "the session belongs to somebody else"


def test_the_leader_of_a_session_lowers_it(session: Path) -> None:
    assert given_way(session, is_leader=True) == NICE
    assert session.read_text() == f"{NICE}"


def test_a_priority_that_somebody_chose_stays(session: Path) -> None:
    assert given_way(session, is_leader=True, before=3) == 3
    assert session.read_text() == ""


def test_a_session_that_cannot_be_lowered_is_no_error(tmp_path: Path) -> None:
    assert given_way(tmp_path / "none" / "autogroup", is_leader=True) == NICE
