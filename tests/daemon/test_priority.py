"""Giving way, in a process of its own: a priority cannot be taken back without privileges."""

import os
import subprocess
import sys

import pytest

from syncd.daemon.priority import NICE

_SHOW = """
import os
from pathlib import Path
from syncd.daemon.priority import give_way
group = Path("/proc/self/autogroup")
def session():
    # Empty where no session was begun since the machine was: then there is no group to lower.
    return (group.read_text().split() if group.exists() else [])[-1:]
before = session()
give_way()
print(os.getpriority(os.PRIO_PROCESS, 0), before, session(), sep=";")
"""

pytestmark = pytest.mark.skipif(
    os.getpriority(os.PRIO_PROCESS, 0) != 0, reason="the tests themselves run at another priority"
)


def given_way(*, is_leader: bool, before: int = 0) -> tuple[int, str, str]:
    """The nice value of a process that gave way, and that of its session before and after."""
    command = ["nice", "-n", f"{before}", sys.executable, "-c", _SHOW]
    done = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=is_leader)
    nice, session, lowered = done.stdout.strip().split(";")
    return int(nice), session, lowered


def test_a_service_gives_way() -> None:
    assert given_way(is_leader=True)[0] == NICE


def test_a_priority_that_somebody_chose_stays() -> None:
    assert given_way(is_leader=True, before=3)[0] == 3


def test_the_leader_of_a_session_lowers_it() -> None:
    _, before, after = given_way(is_leader=True)
    if before == "[]" or not os.access("/proc/self/autogroup", os.W_OK):
        pytest.skip("the kernel shares out by process only")
    assert after == f"['{NICE}']"


def test_a_session_of_somebody_else_is_not_touched() -> None:
    _, before, after = given_way(is_leader=False)
    assert after == before
