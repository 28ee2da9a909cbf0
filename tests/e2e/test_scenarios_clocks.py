"""Clocks and time stamps: section 1.15 of the catalogue."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.case import OLD_NS, Case, scenario
from tests.e2e.mounts import needs_root, unmount

ODD_STAMPS = {
    "epoch": 0,
    "before": -(10**9) * 86_400 * 365,
    "fraction before": -1,
    "after 2038": 2**31 * 10**9 + 5,
    "after 2106": 2**32 * 10**9 + 5,
    "far away": 15_000_000_000 * 10**9,
}


@scenario("CLK-01")
def test_same_size_in_place_with_the_stamp_put_back(case: Case) -> None:
    case.given({"f": "before", "g": "2"})
    when = case.a.stat("f").st_mtime_ns
    case.a.edit("f", "AFTER!")
    case.a.stamp("f", when)
    case.sync()
    case.assert_both({"f": "AFTER!", "g": "2"})


@scenario("CLK-01 unwatched")
def test_same_size_with_the_stamp_put_back_while_nobody_looks(case: Case) -> None:
    case.given({"f": "before", "g": "2"})
    when = case.b.stat("f").st_mtime_ns
    case.pause()
    case.b.edit("f", "AFTER!")
    case.b.stamp("f", when)
    case.resume()
    case.sync()
    case.assert_both({"f": "AFTER!", "g": "2"})


@scenario("CLK-02")
def test_same_size_and_stamp_in_a_new_inode(case: Case) -> None:
    case.given({"f": "before", "g": "2"})
    when = case.a.stat("f").st_mtime_ns
    case.pause()
    case.a.replace("f", "AFTER!")
    case.a.stamp("f", when)
    case.resume()
    case.sync()
    case.assert_both({"f": "AFTER!", "g": "2"})


@scenario("CLK-03")
def test_edits_of_the_same_size_in_quick_succession(case: Case) -> None:
    """Each right after the other was synchronised, within one tick of the file system's clock."""
    case.given({"f": "start", "g": "2"})
    for number in range(12):
        case.a.edit("f", f"a {number:03}")
        case.sync()
        assert case.b.read("f") == b"a %03d" % number
        case.b.edit("f", f"b {number:03}")
        case.sync()
        assert case.a.read("f") == b"b %03d" % number


@scenario("CLK-04")
def test_stamp_goes_backwards(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    case.a.write("f", "restored from a backup", mtime_ns=OLD_NS - 10**16)
    case.sync()
    case.assert_both({"f": "restored from a backup", "g": "2"})
    case.rest()


@scenario("CLK-05")
def test_odd_stamps(case: Case) -> None:
    case.given({"g": "1"})
    for name, when in ODD_STAMPS.items():
        case.a.write(name, name)
        try:
            case.a.stamp(name, when)
        except OverflowError:
            case.a.delete(name)
    case.a.write("tomorrow", "future", mtime_ns=time.time_ns() + 86_400 * 10**9)
    case.sync()
    case.assert_same()
    for name in case.a.files():
        assert case.b.stat(name).st_mtime_ns == min(case.a.stat(name).st_mtime_ns, 2**63 - 1)
    done = len(case.history())
    case.rest()
    assert len(case.history()) == done
    for name in ODD_STAMPS:
        if case.b.exists(name):
            case.b.edit(name, "edited " + name)
    case.sync()
    case.assert_same()


@needs_root
@scenario("CLK-07")
def test_one_side_with_stamps_of_whole_seconds(case: Case) -> None:
    """ext3 with small inodes: what comes back is not what was set, and that is no change."""
    image = case.room / "image"
    root = Path(os.fsdecode(case.b.root))
    with image.open("wb") as file:
        file.truncate(16 << 20)
    if subprocess.run(["mkfs.ext3", "-q", "-I", "128", image], capture_output=True, check=False).returncode:
        pytest.skip("no mkfs.ext3")
    if subprocess.run(["mount", "-o", "loop", image, root], capture_output=True, check=False).returncode:
        pytest.skip("cannot mount an image")
    try:
        (root / "lost+found").rmdir()
        case.given({"f": "1", "g": "2"})
        assert case.b.stat("f").st_mtime_ns % 10**9 == 0
        done = len(case.history())
        case.rest()
        assert len(case.history()) == done
        for number in range(5):
            case.b.edit("f", f"edit {number}")
            case.sync()
            assert case.a.read("f") == b"edit %d" % number
        case.a.write("late", "after 2038", mtime_ns=2**31 * 10**9 + 5)
        case.sync()
        done = len(case.history())
        case.rest()
        assert len(case.history()) == done
        case.remove()
    finally:
        unmount(root)


@scenario("CLK-09")
def test_edit_in_the_tick_of_the_scan(case: Case) -> None:
    """Rewritten with the same size while a scan runs: the later content arrives, without another event."""
    case.given({f"{number}": "....." for number in range(50)})
    for number in range(20):
        for name in range(50):
            case.a.edit(f"{name}", f"{number:05}")
        case.call("pair.rescan", pairs=[case.name])
        for name in range(50):
            case.a.edit(f"{name}", f"{number + 1:05}")
    case.sync()
    case.assert_same()
    assert set(case.b.values()) == {b"00020"}


@scenario("CLK-10", conflict="keep-both")
def test_names_of_copies_are_in_utc(case: Case) -> None:
    case.given({"f": "1"})
    case.pause()
    case.a.write("f", "from a")
    case.b.write("f", "from b", mtime_ns=1_625_140_800_000_000_001)
    case.resume()
    case.sync()
    assert any("(conflict 2021-07-01 120000 " in name for name in case.a.files())
