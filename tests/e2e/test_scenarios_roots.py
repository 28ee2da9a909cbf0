"""Roots and mass deletions: section 1.13 of the catalogue."""

import os
import shutil
from pathlib import Path

import pytest

from syncd.control.client import CallError
from tests.e2e.case import OLD_NS, Case, scenario
from tests.e2e.kit import eventually
from tests.e2e.mounts import mounted, needs_root, unmount

FORTY = {f"d/{number}": f"content {number}" for number in range(40)}


def reason(case: Case) -> str | None:
    hold = case.hold()
    return None if hold is None else str(hold["reason"])


@needs_root
@scenario("ROO-01")
def test_root_is_unmounted(case: Case) -> None:
    with mounted(Path(os.fsdecode(case.a.root))) as root:
        case.given({"f": "1", "g": "2", "h": "3"})
        kept = case.room / "kept"
        shutil.copytree(root, kept, symlinks=True)
        unmount(root)
        case.wait()
        case.call("pair.rescan", pairs=[case.name], wait=True)
        assert case.wait() == "held"
        assert reason(case) in ("root-changed", "root-missing")
        assert case.b.files() == {"f": b"1", "g": b"2", "h": b"3"}
        assert not case.a.exists(".syncd"), "something was written to the empty mount point"


@scenario("ROO-02")
def test_root_is_renamed_away_and_comes_back(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    away = case.room / "away"
    os.rename(case.a.root, away)
    case.wait()
    eventually(lambda: reason(case) == "root-missing", "not held")
    assert case.b.files() == {"f": b"1", "g": b"2"}
    (away / "h").write_bytes(b"3")
    os.rename(away, case.a.root)
    eventually(lambda: reason(case) is None, "still held")
    case.sync()
    case.assert_both({"f": "1", "g": "2", "h": "3"})
    case.rest()


@scenario("ROO-02 WAT-04 replaced")
def test_root_is_replaced_by_another_directory(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    os.rename(case.a.root, case.room / "away")
    case.a.mkdir("")
    case.wait()
    eventually(lambda: reason(case) == "root-changed", "not held")
    assert case.b.files() == {"f": b"1", "g": b"2"}


@scenario("ROO-03")
def test_emptied_side_is_held(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    case.a.delete("f")
    case.a.delete("g")
    case.sync("held")
    assert reason(case) == "side-emptied"
    assert case.b.files() == {"f": b"1", "g": b"2"}
    case.a.write("h", "3")
    case.wait()
    assert case.b.exists("h")


@scenario("ROO-04")
def test_most_files_are_deleted(case: Case) -> None:
    case.given(FORTY)
    for number in range(24):
        case.a.delete(f"d/{number}")
    case.a.write("new", "goes on")
    case.sync("held")
    assert reason(case) == "mass-delete"
    assert len(case.b.files()) == 41
    hold = case.hold()
    assert hold is not None
    view = case.call("plan.show", pair=case.name)
    assert {action["path"] for action in view["actions"] if action["is_destructive"]} == {
        f"d/{number}" for number in range(24)
    }
    case.call("plan.approve", pair=case.name, plan_id=hold["plan_id"])
    case.sync()
    case.assert_both({"new": "goes on", **dict(list(FORTY.items())[24:])})
    assert b"content 3" in case.b.trash()
    case.rest()


@scenario("ROO-04 revert")
def test_held_deletions_are_turned_back(case: Case) -> None:
    case.given(FORTY)
    case.a.delete("d")
    case.sync("held")
    hold = case.hold()
    assert hold is not None
    case.call("plan.revert", pair=case.name, plan_id=hold["plan_id"])
    case.sync()
    case.assert_both(FORTY)
    case.rest()


@scenario("ROO-05")
def test_the_only_file_is_renamed(case: Case) -> None:
    case.given({"f": "1"})
    case.a.rename("f", "g")
    case.sync()
    case.assert_both({"g": "1"})
    assert reason(case) is None


@scenario("ROO-06")
def test_root_becomes_a_link(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    other = case.room / "other"
    other.mkdir()
    (other / "not ours").write_bytes(b"not ours")
    os.rename(case.a.root, case.room / "away")
    os.symlink(other, case.a.root)
    case.wait()
    eventually(lambda: reason(case) == "root-changed", "not held")
    assert case.b.files() == {"f": b"1", "g": b"2"}
    assert sorted(os.listdir(other)) == ["not ours"]
    os.unlink(case.a.root)
    os.rename(case.room / "away", case.a.root)
    eventually(lambda: reason(case) is None, "still held")
    case.sync()
    case.assert_both({"f": "1", "g": "2"})


@needs_root
@scenario("ROO-07")
def test_older_copy_of_the_root_is_mounted(case: Case) -> None:
    """Whatever is decided: no newer version disappears without being kept."""
    case.given({"f": "one", "g": "two"})
    old = case.room / "old"
    shutil.copytree(os.fsdecode(case.a.root), old, symlinks=True)
    case.a.write("f", "newer one", mtime_ns=OLD_NS + 10**15)
    case.sync()
    with mounted(Path(os.fsdecode(case.a.root))) as root:
        shutil.copytree(old, root, symlinks=True, dirs_exist_ok=True)
        kept = case.b.contents()
        case.call("pair.rescan", pairs=[case.name], wait=True)
        case.wait()
        assert b"newer one" in case.b.contents() | case.a.contents()
        assert {data for data in kept if not data.startswith(b"{")} <= case.b.contents() | case.a.contents()
    eventually(lambda: case.wait() == "synced", "still held")
    case.assert_same()
    assert b"newer one" in case.a.contents() | case.b.contents()


@scenario("ROO-09")
def test_approval_is_for_the_listed_deletions_only(case: Case) -> None:
    case.given({f"d/{number}": f"content {number}" for number in range(100)})
    for number in range(40):
        case.a.delete(f"d/{number}")
    case.sync("held")
    hold = case.hold()
    assert hold is not None
    case.pause()
    for number in range(40, 80):
        case.a.delete(f"d/{number}")
    case.resume()
    case.sync("held")
    with pytest.raises(CallError) as refused:
        case.call("plan.approve", pair=case.name, plan_id=hold["plan_id"])
    assert refused.value.reason == "no-such-id"
    case.wait()
    assert all(case.b.exists(f"d/{number}") for number in range(40, 80))
    latest = case.hold()
    assert latest is not None
    assert latest["plan_id"] != hold["plan_id"]


@scenario("ROO-10")
def test_deletions_that_trickle(case: Case) -> None:
    """Two of a hundred at a time: held before more than a quarter is gone."""
    case.given({f"d/{number}": f"content {number}" for number in range(100)})
    outcome = "synced"
    for step in range(20):
        case.a.delete(f"d/{2 * step}")
        case.a.delete(f"d/{2 * step + 1}")
        outcome = case.wait()
        if outcome == "held":
            break
    assert outcome == "held"
    assert reason(case) == "mass-delete"
    assert len(case.b.files()) >= 75


@scenario("ROO-12")
def test_held_pair_does_not_hold_up_others(case: Case) -> None:
    other = case.beside("other")
    case.given({"f": "1", "g": "2"})
    other.given({"h": "3"})
    os.rename(case.a.root, case.room / "away")
    other.a.edit("h", "edited")
    other.sync()
    other.assert_both({"h": "edited"})
    other.remove()
    os.rename(case.room / "away", case.a.root)
