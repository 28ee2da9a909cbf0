"""First sync: section 1.2 of the catalogue."""

import os
import shutil
from pathlib import Path

import pytest

from syncd.control.client import CallError
from tests.e2e.case import OLD_NS, Case, scenario
from tests.e2e.kit import Daemon, Pair, Zygote, contents, eventually, trash
from tests.e2e.mounts import mounted, needs_root

FILES = {"f": "1", "d/g": "2", "d/deep/h": "3", "empty": ""}


@scenario("FST-01")
def test_into_an_empty_destination(case: Case) -> None:
    case.given({**FILES, "no files": None})
    case.assert_both({**FILES, "no files": None})
    case.rest()


@scenario("FST-02")
def test_from_a_full_destination(case: Case) -> None:
    for path, data in FILES.items():
        case.b.write(path, data)
    case.start()
    case.assert_both(FILES)
    case.rest()


@scenario("FST-04")
def test_equal_bytes_with_other_stamps(case: Case) -> None:
    for path, data in FILES.items():
        case.a.write(path, data)
        case.b.write(path, data, mtime_ns=OLD_NS - 10**15)
    case.start()
    case.assert_both(FILES)
    assert case.conflicts() == []
    assert [entry for entry in case.history() if entry["verb"] != "mkdir"] == []
    case.rest()


@scenario("FST-05")
def test_different_bytes(case: Case) -> None:
    case.a.write("f", "older, from a", mtime_ns=OLD_NS)
    case.b.write("f", "newer, from b", mtime_ns=OLD_NS + 10**12)
    case.a.write("same size", "aaaa", mtime_ns=OLD_NS + 10**12)
    case.b.write("same size", "bbbb", mtime_ns=OLD_NS)
    case.start()
    case.assert_both({"f": "newer, from b", "same size": "aaaa"})
    assert b"older, from a" in case.a.trash()
    assert b"bbbb" in case.b.trash()
    assert {record["kind"] for record in case.conflicts()} == {"conflict-added"}
    case.rest()


@scenario("FST-07")
def test_state_is_lost(case: Case) -> None:
    """What one side lacks comes back; nothing is deleted."""
    case.given({"f": "1", "g": "2", "h": "3"})
    case.remove(purge=True)
    case.b.delete("g")
    case.a.edit("h", "edited meanwhile")
    case.start()
    case.assert_both({"f": "1", "g": "2", "h": "edited meanwhile"})
    case.rest()


@scenario("FST-07 mirror", mode="source-to-destination")
def test_state_of_a_mirror_is_lost(case: Case) -> None:
    """Nothing is destroyed before a person has approved it."""
    case.given({"f": "1", "g": "2"})
    case.pause()
    case.b.write("own", "made at b")
    case.b.edit("g", "edited at b")
    case.a.write("new", "3")
    case.remove(purge=True)
    case.start("held")
    hold = case.hold()
    assert hold is not None
    assert hold["reason"] == "state-lost"
    assert case.b.files() == {"f": b"1", "g": b"edited at b", "own": b"made at b", "new": b"3"}
    case.call("plan.approve", pair=case.name, plan_id=hold["plan_id"])
    case.sync()
    case.assert_both({"f": "1", "g": "2", "new": "3"})
    assert {b"edited at b", b"made at b"} <= set(case.b.trash())


@scenario("FST-08")
def test_partial_older_copy(case: Case) -> None:
    for number in range(10):
        case.a.write(f"d/{number}", f"current {number}", mtime_ns=OLD_NS + 10**15)
        if number < 6:
            case.b.write(f"d/{number}", f"old {number}", mtime_ns=OLD_NS)
    case.start()
    case.assert_both({f"d/{number}": f"current {number}" for number in range(10)})
    assert {f"old {number}".encode() for number in range(6)} <= set(case.b.trash())
    assert len(case.conflicts()) == 6
    case.rest()


@scenario("FST-09")
def test_one_side_is_far_larger(case: Case) -> None:
    """A warning and a merge; nothing is deleted."""
    for number in range(100):
        case.b.write(f"{number}", str(number))
    for number in range(5):
        case.a.write(f"{number}", str(number))
    case.start()
    case.assert_both({str(number): str(number) for number in range(100)})
    lines = case.call("log.tail", pair=case.name, level="warning")["lines"]
    assert any("destination-wins" in line["text"] for line in lines if line["event"] == "pair.risk_found")
    case.rest()


@pytest.mark.parametrize("unused", [None], ids=["FST-10"])
def test_killed_in_the_middle(tmp_path: Path, unused: None) -> None:
    pair = Pair(tmp_path, "one").make()
    names = {f"{number % 7}/{number}": os.urandom(2_000) for number in range(6000)}
    for name, data in names.items():
        (pair.source / name).parent.mkdir(exist_ok=True)
        (pair.source / name).write_bytes(data)
    (pair.destination / "own").write_bytes(b"own")
    daemon = Daemon(tmp_path, [pair])
    daemon.start()
    eventually(lambda: len(list(pair.destination.rglob("*"))) > 200, "nothing is copied")
    daemon.kill()
    assert len(list(pair.destination.rglob("*"))) < 6000
    with daemon:
        daemon.wait()
        assert len(list(pair.source.rglob("*"))) >= 6001
        assert contents(pair.source) == contents(pair.destination)
        assert trash(pair.source) == trash(pair.destination) == []
        assert not daemon.conflicts("one")


@scenario("FST-11")
def test_root_of_another_pair(case: Case) -> None:
    """A root with the marker of another daemon's pair is refused until it is adopted."""
    case.b.write("f", "1")
    marker = Path(os.fsdecode(case.b.at(".syncd")))
    marker.mkdir(mode=0o700)
    other = '{"pair":"other","tree":"00","version":1,"state_dir":"/elsewhere","machine":"another"}'
    (marker / "marker").write_text(other)
    case.a.write("g", "2")
    case.start("held")
    hold = case.hold()
    assert hold is not None
    assert hold["reason"] == "foreign-marker"
    assert (case.a.files(), case.b.files()) == ({"g": b"2"}, {"f": b"1"})
    case.call("pair.adopt", pair=case.name)
    case.sync()
    case.assert_both({"f": "1", "g": "2"})


@scenario("FST-12 same", "FST-12 nested", "FST-12 link")
def test_overlapping_roots_are_refused(case: Case, request: pytest.FixtureRequest) -> None:
    a, b = os.fsdecode(case.a.root), os.fsdecode(case.b.root)
    case.a.mkdir("inner")
    if "same" in request.node.name:
        b = a
    elif "nested" in request.node.name:
        b = a + "/inner"
    else:
        shutil.rmtree(b)
        os.symlink(a, b)
    with pytest.raises(CallError) as refused:
        case.call("pair.add", name=case.name, source=a, destination=b, options=case.options)
    assert refused.value.reason == "config-invalid"
    assert not case.a.exists(".syncd")


@scenario("FST-12 RAC-17 shared")
def test_root_shared_by_two_writing_pairs_is_refused(case: Case) -> None:
    case.given({"f": "1"})
    other = case.room / "other"
    other.mkdir()
    with pytest.raises(CallError):
        case.call("pair.add", name=case.name + "-2", source=str(other), destination=os.fsdecode(case.b.root))
    assert list(other.iterdir()) == []


@needs_root
@scenario("FST-13")
def test_file_system_mounted_below_a_root(case: Case) -> None:
    case.given({"f": "1"})
    case.a.mkdir("mnt")
    with mounted(Path(os.fsdecode(case.a.at("mnt")))) as there:
        (there / "inside").write_bytes(b"on another file system")
        case.a.write("g", "2")
        case.call("pair.rescan", pairs=[case.name], wait=True)
        case.sync()
        assert not case.b.exists("mnt/inside")
        assert case.b.read("g") == b"2"
        assert case.issues(notes=True) == {"mnt": "other-filesystem"}
        case.edit_pair(cross_mounts=True)
        case.sync()
        assert case.b.read("mnt/inside") == b"on another file system"
        assert case.issues(notes=True) == {}


@needs_root
@scenario("SPE-19", cross_mounts=True)
def test_mount_below_a_root_disappears(case: Case) -> None:
    """Not exact: what lay on it counts as deleted (below the brake's threshold). It is kept in the trash."""
    case.a.mkdir("mnt")
    case.a.write("f", "1")
    with mounted(Path(os.fsdecode(case.a.at("mnt")))) as there:
        for number in range(5):
            (there / str(number)).write_bytes(b"on another file system %d" % number)
        case.start()
        case.assert_same()
    case.a.edit("f", "goes on")
    case.call("pair.rescan", pairs=[case.name], wait=True)
    case.wait()
    assert case.b.read("f") == b"goes on"
    assert case.b.exists("mnt/3") or case.b.trash().count(b"on another file system 3") == 1


@pytest.mark.parametrize("unused", [None], ids=["FST-07 command"])
def test_state_of_the_command_is_lost(tmp_path: Path, unused: None) -> None:
    pair = Pair(tmp_path, "one").make()
    (pair.source / "f").write_bytes(b"1")
    (pair.destination / "g").write_bytes(b"2")
    with Zygote(tmp_path / "home") as syncd:
        assert syncd.sync(pair).code == 0
        shutil.rmtree(tmp_path / "home" / "state")
        (pair.destination / "f").unlink()
        assert syncd.sync(pair).code == 0
    assert contents(pair.source) == contents(pair.destination) == {"f": "1", "g": "2"}
