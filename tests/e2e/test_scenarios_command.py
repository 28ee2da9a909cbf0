"""Scenarios of sections 1.1 to 1.3 that are about the command, or that need a daemon of their own."""

import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.case import Case, scenario
from tests.e2e.kit import Pair, Zygote, contents, environment, snapshot, write

DONE = {
    "mkdir": "made",
    "put": "put",
    "move": "moved",
    "delete": "deleted",
    "rmdir": "removed",
    "chmod": "mode set",
}

NAMES = ("edited", "d/edited", "deleted", "gone/1", "gone/2", "renamed", "x", "type", "both", "other")


def ten_changes(pair: Pair) -> None:
    """Ten kinds of change over a tree that is in sync."""
    source, destination = pair.roots
    write(source / "added", "1")
    write(destination / "dir/added there", "2")
    write(source / "edited", "edited at the source")
    write(destination / "d/edited", "edited at the destination")
    (source / "deleted").unlink()
    shutil.rmtree(destination / "gone")
    (source / "renamed").rename(source / "new name")
    (source / "x").chmod(0o755)
    (source / "type").unlink()
    (source / "type").mkdir()
    write(source / "both", "source", mtime_s=1_600_000_000.5)
    write(destination / "both", "destination", mtime_s=1_600_000_100.5)


@pytest.mark.parametrize("unused", [None], ids=["BAS-25"])
def test_rehearsal_tells_what_a_run_then_does(tmp_path: Path, unused: None) -> None:
    pair = Pair(tmp_path, "one").make()
    for name in (
        "edited",
        "d/edited",
        "deleted",
        "gone/1",
        "gone/2",
        "renamed",
        "x",
        "type",
        "both",
        "other",
    ):
        write(pair.source / name, f"content of {name}", mtime_s=1_500_000_000.5)
    with Zygote(tmp_path / "home") as syncd:
        rehearsed = syncd.sync(pair, "--dry-run").json()
        assert {action["verb"] for action in rehearsed["actions"]} == {"mkdir", "put"}
        assert list(pair.destination.iterdir()) == []
        assert syncd.sync(pair).code == 0
        ten_changes(pair)
        before = [snapshot(root) for root in pair.roots]
        plans = [syncd.sync(pair, "--dry-run").json()["actions"] for _ in range(2)]
        assert plans[0] == plans[1]
        assert [snapshot(root) for root in pair.roots] == before
        done = syncd.sync(pair).json()["done"]
        assert done == Counter(DONE[action["verb"]] for action in plans[0])
        assert contents(pair.source) == contents(pair.destination)
        assert syncd.sync(pair, "--dry-run").json()["actions"] == []


@scenario("BAS-27", max_delete={"files": 1000})
def test_forty_operations_at_once(case: Case) -> None:
    case.given({f"d{number % 4}/{number}": f"content {number}" for number in range(40)})
    case.pause()
    for number in range(40):
        path, side = f"d{number % 4}/{number}", (case.a, case.b)[number // 4 % 2]
        match number % 5:
            case 0:
                side.edit(path, f"edited {number}")
            case 1:
                side.delete(path)
            case 2:
                side.rename(path, f"moved/{number}")
            case 3:
                os.chmod(side.at(path), 0o700)
            case _:
                side.write(f"new/{number}", f"new {number}")
    case.resume()
    case.sync()
    expected: dict[str, str | bytes | None] = {}
    for number in range(40):
        path = f"d{number % 4}/{number}"
        if number % 5 == 0:
            expected[path] = f"edited {number}"
        elif number % 5 == 2:
            expected[f"moved/{number}"] = f"content {number}"
        elif number % 5 >= 3:
            expected[path] = f"content {number}"
        if number % 5 == 4:
            expected[f"new/{number}"] = f"new {number}"
    case.assert_both(expected)
    assert case.a.stat("d3/3").st_mode & 0o777 == 0o700
    case.rest()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
@pytest.mark.parametrize("unused", [None], ids=["CON-15"])
def test_conflict_on_a_file_that_cannot_be_read(tmp_path: Path, unused: None) -> None:
    """As a user without permission: reported, both versions untouched, the rest goes on."""
    pair = Pair(tmp_path, "one").make()
    home = tmp_path / "home"
    home.mkdir()
    program = shutil.which("syncd") or "/opt/dev/bin/syncd"
    run = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program, "sync"]
    run += [str(pair.source), str(pair.destination), "--state-dir", str(home / "state")]
    write(pair.source / "f", "1")
    write(pair.source / "g", "2")
    for path in [tmp_path, *tmp_path.rglob("*")]:
        os.chown(path, 65534, 65534)
    for above in tmp_path.parents[:2]:
        above.chmod(above.stat().st_mode | 0o011)
    first = subprocess.run(run, capture_output=True, env=environment(home), timeout=60, check=False)
    if first.returncode == 126 or b"ermission denied" in first.stderr:
        pytest.skip("another user cannot run this interpreter")
    assert first.returncode == 0, first.stderr
    write(pair.source / "f", "from the source")
    write(pair.destination / "f", "from the destination")
    write(pair.source / "g", "goes on")
    os.chown(pair.source / "f", 0, 0)
    (pair.source / "f").chmod(0o600)
    second = subprocess.run(run, capture_output=True, env=environment(home), timeout=60, check=False)
    assert second.returncode == 3, second.stderr
    assert (pair.source / "f").read_bytes() == b"from the source"
    assert (pair.destination / "f").read_bytes() == b"from the destination"
    assert (pair.destination / "g").read_bytes() == b"goes on"
