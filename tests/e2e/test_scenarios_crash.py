"""Crash at every step and restart: section 1.11 of the catalogue, from outside. (The sweep over every
mutating call and over power cuts is in tests/contract: what is here shows the whole.)"""

import contextlib
import os
import random
import shutil
import subprocess
import time

import pytest

from tests.e2e.case import Case, scenario
from tests.e2e.kit import eventually

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def restart(case: Case, *wrapper: str) -> None:
    case.daemon.start(*wrapper)
    case.sync()


def staged(case: Case) -> list[str]:
    return [name for side in (case.a, case.b) for name in os.listdir(os.fsdecode(side.at(".syncd/stage")))]


@scenario("CRA-01", lone=True, max_delete={"files": 10_000})
def test_killed_again_and_again(case: Case) -> None:
    chance = random.Random(1)
    expected = {f"s{number}": f"from the source {number}" for number in range(100)}
    expected |= {f"d{number}": f"from the destination {number}" for number in range(100)}
    case.a.write("anchor", "1")
    case.start()
    for number in range(100):
        case.a.write(f"s{number}", expected[f"s{number}"])
        case.b.write(f"d{number}", expected[f"d{number}"])
    for turn in range(4):
        time.sleep(chance.random() * 0.3)
        kept = case.contents()
        case.daemon.kill()
        assert kept <= case.contents()
        case.a.edit(f"s{turn}", f"edited {turn}")
        expected[f"s{turn}"] = f"edited {turn}"
        case.daemon.start()
    case.sync()
    case.assert_both({"anchor": "1", **expected})
    assert case.conflicts() == []
    assert staged(case) == []


@scenario("CRA-02 RAC-18", lone=True)
def test_terminated_while_it_copies(case: Case) -> None:
    case.given({"g": "1"})
    data = os.urandom(1 << 20) * 60
    case.a.write("large", data)
    eventually(lambda: case.status()["state"] == "syncing" or case.b.exists("large"), "nothing happens")
    began = time.monotonic()
    case.daemon.stop()
    assert time.monotonic() - began < 10
    assert staged(case) == []
    assert not case.b.exists("large") or case.b.read("large") == data
    restart(case)
    assert case.b.read("large") == data


@needs_root
@scenario(
    "CRA-04 linkat 1",
    "CRA-04 fsync 2",
    "CRA-04 fsync 4",
    "CRA-04 fdatasync 6",
    "CRA-04 fdatasync 9",
    lone=True,
)
def test_killed_before_a_call(case: Case, request: pytest.FixtureRequest) -> None:
    """The n-th of one thread: in the middle of a replacement, a rename, a deletion, a new file, a commit."""
    if shutil.which("strace") is None:
        pytest.skip("no strace")
    case.given({"replaced": "old", "renamed": "moves along", "deleted": "goes", "kept": "stays"})
    case.daemon.stop()
    case.a.edit("replaced", "new content")
    case.a.rename("renamed", "new name")
    case.a.delete("deleted")
    case.b.write("made", "at the destination")
    kept = case.contents()
    call, count = request.node.callspec.id.split()[1:]
    inject = f"inject={call}:signal=KILL:when={count}"
    wrapper = ["strace", "-f", "-qq", "-o", str(case.room / "calls")]
    with contextlib.suppress(AssertionError):  # killed before it answers, it did not start
        case.daemon.start(*wrapper, "-e", f"trace={call}", "-e", inject)
        eventually(lambda: has_ended(case), "it was not killed", 8)
    was_killed = has_ended(case)
    end(case)
    assert was_killed, "no such call"
    assert kept <= case.contents()
    restart(case)
    case.assert_both(
        {"replaced": "new content", "new name": "moves along", "made": "at the destination", "kept": "stays"}
    )
    assert case.conflicts() == []
    assert staged(case) == []


def has_ended(case: Case) -> bool:
    return case.daemon.process is not None and case.daemon.process.poll() is not None


def end(case: Case) -> None:
    """Whatever is left of a daemon that strace ran."""
    process = case.daemon.process
    if process is not None and process.poll() is None:
        children = subprocess.run(
            ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False
        ).stdout.split()
        for child in children:
            os.kill(int(child), 9)
        process.kill()
        process.wait()


@scenario("CRA-06", lone=True)
def test_state_is_older_than_the_trees(case: Case) -> None:
    """As a kill between the file and the transaction: both sides are equal, and it is so adopted."""
    case.given({"f": "1", "g": "2", "h": "3"})
    case.daemon.stop()
    before = case.room / "state before"
    shutil.copytree(case.daemon.state_dir, before, symlinks=True)
    case.daemon.start()
    case.a.edit("f", "edited")
    case.a.delete("g")
    case.a.rename("h", "i")
    case.a.write("new", "4")
    case.sync()
    case.daemon.stop()
    shutil.rmtree(case.daemon.state_dir)
    before.rename(case.daemon.state_dir)
    case.daemon.start()
    done = len(case.history())
    case.sync()
    case.assert_both({"f": "edited", "i": "3", "new": "4"})
    assert case.conflicts() == []
    assert len(case.history()) == done, "something was transferred again"


@scenario("CRA-10", lone=True)
def test_leftovers_of_a_killed_run(case: Case) -> None:
    case.given({"g": "1"})
    case.a.write("large", os.urandom(1 << 20) * 80)
    eventually(lambda: case.status()["state"] == "syncing", "nothing happens")
    case.daemon.kill()
    restart(case)
    case.assert_same()
    assert staged(case) == []
    kept = [data for data in case.b.trash() if len(data) > 1000]
    assert kept == []


@needs_root
@scenario("CRA-14")
def test_path_that_fails_each_time(case: Case) -> None:
    """Tried ever more rarely; everything else goes on."""
    case.given({"f": "1", "g": "2"})
    if subprocess.run([b"chattr", b"+i", case.b.at("f")], capture_output=True).returncode:
        pytest.skip("no immutable files on this file system")
    try:
        case.a.edit("f", "edited at a")
        for number in range(4):
            case.a.edit("g", f"goes on {number}")
            case.call("pair.sync", pairs=[case.name], wait=True)
            case.sync("degraded")
            assert case.b.read("g") == b"goes on %d" % number
        (issue,) = case.call("issue.list", pair=case.name)["issues"]
        assert issue["attempts"] >= 4
        assert issue["next_attempt_at"] > issue["since"]
    finally:
        subprocess.run([b"chattr", b"-i", case.b.at("f")], check=True)
    case.call("pair.sync", pairs=[case.name], wait=True)
    case.sync()
    case.assert_both({"f": "edited at a", "g": "goes on 3"})


@scenario("CRA-15", lone=True)
def test_recovery_is_killed(case: Case) -> None:
    """Killed in the middle of work, and then again and again while it starts."""
    files = {f"d/{number}": f"content {number}" for number in range(300)}
    case.given(files)
    for number in range(300):
        case.a.edit(f"d/{number}", f"edited {number}")
    time.sleep(0.15)
    case.daemon.kill()
    kept = case.contents()
    for pause in (0.0, 0.03, 0.15):
        case.daemon.start()
        time.sleep(pause)
        case.daemon.kill()
        assert kept <= case.contents()
    restart(case)
    case.assert_both({f"d/{number}": f"edited {number}" for number in range(300)})
    assert case.conflicts() == []
    assert staged(case) == []
