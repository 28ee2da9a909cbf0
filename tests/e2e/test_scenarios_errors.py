"""Disk errors: section 1.12 of the catalogue, on small file systems of their own."""

import os
import subprocess
from pathlib import Path

from tests.e2e.case import Case, scenario
from tests.e2e.kit import eventually
from tests.e2e.mounts import mounted, needs_root

MIB = 1 << 20


@needs_root
@scenario("ERR-01")
def test_one_file_does_not_fit(case: Case) -> None:
    with mounted(Path(os.fsdecode(case.b.root)), "size=8m,mode=755"):
        case.given({"f": "old", "g": "1"})
        case.a.write("f", os.urandom(16 * MIB))
        case.a.write("h", "small")
        case.sync("degraded")
        assert case.issues() == {"f": "disk-full"}
        assert case.b.files() == {"f": b"old", "g": b"1", "h": b"small"}


@needs_root
@scenario("ERR-01 ERR-02 many")
def test_many_files_do_not_fit_until_there_is_room(case: Case) -> None:
    with mounted(Path(os.fsdecode(case.b.root)), "size=64m,nr_inodes=300,mode=755") as root:
        case.given({"f": "old"})
        for number in range(1000):
            case.a.write(f"d/{number}", f"{number}")
        eventually(lambda: case.status()["state"] == "waiting", "the pair does not wait")
        hold = case.hold()
        assert hold is not None
        assert hold["reason"] == "disk-full"
        assert set(case.issues().values()) <= {"disk-full"}
        subprocess.run(["mount", "-o", "remount,nr_inodes=5000", root], check=True)
        eventually(lambda: case.status()["state"] == "idle", "it does not go on by itself")
        case.sync()
        case.assert_same()
        assert len(case.b.files()) == 1001
        assert case.issues() == {}
