"""Giving way, in a process of its own: a priority cannot be taken back without privileges."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from syncd.daemon.priority import NICE

AUTOGROUP = "/proc/self/autogroup"
_SHOW = f"""
import os
from pathlib import Path
from syncd.daemon.priority import give_way
give_way()
nice = os.getpriority(os.PRIO_PROCESS, 0)
session = Path({AUTOGROUP!r}).read_text().split()[-1] if Path({AUTOGROUP!r}).exists() else nice
print(nice, session)
"""

pytestmark = pytest.mark.skipif(
    os.getpriority(os.PRIO_PROCESS, 0) != 0, reason="the tests themselves run at another priority"
)


def given_way(*, is_leader: bool, before: int = 0) -> tuple[int, int]:
    """The nice value of a process that gave way, and that of its session."""
    command = ["nice", "-n", f"{before}", sys.executable, "-c", _SHOW]
    done = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=is_leader)
    nice, session = done.stdout.split()
    return int(nice), int(session)


def test_a_service_gives_way() -> None:
    assert given_way(is_leader=True)[0] == NICE


def test_a_priority_that_somebody_chose_stays() -> None:
    assert given_way(is_leader=True, before=3)[0] == 3


@pytest.mark.skipif(not os.path.exists(AUTOGROUP), reason="the kernel shares out by process only")
def test_the_leader_of_a_session_lowers_it_and_nobody_else() -> None:
    before = int(Path(AUTOGROUP).read_text().split()[-1])
    assert given_way(is_leader=True)[1] == NICE
    assert given_way(is_leader=False)[1] == before
