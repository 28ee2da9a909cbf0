"""Watcher faults: section 1.10 of the catalogue. No rescan helps here, and nobody waits by a cookie."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.case import Case, scenario
from tests.e2e.kit import Daemon, Pair, contents, eventually
from tests.e2e.mounts import mounted, needs_root

STORM = 9_000
"""Files, each made and removed: more events than the kernel's queue holds."""


def arrives(case: Case, path: str, data: bytes, within_s: float = 20) -> None:
    """At the destination, by events alone."""
    eventually(lambda: case.b.exists(path) and case.b.read(path) == data, f"{path} does not arrive", within_s)


def stop_process(daemon: Daemon, number: int) -> None:
    assert daemon.process is not None
    daemon.process.send_signal(number)


def cpu_s(daemon: Daemon) -> float:
    assert daemon.process is not None
    fields = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@scenario("WAT-01", lone=True, ignore=["*.storm"])
def test_queue_of_events_overflows(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    stop_process(case.daemon, signal.SIGSTOP)
    try:
        for number in range(STORM):
            os.close(os.open(case.a.at(f"{number}.storm"), os.O_WRONLY | os.O_CREAT))
            os.unlink(case.a.at(f"{number}.storm"))
        case.a.edit("lost", "its event is lost")
        case.b.edit("f", "edited at b")
    finally:
        stop_process(case.daemon, signal.SIGCONT)
    arrives(case, "lost", b"its event is lost")
    eventually(lambda: case.a.read("f") == b"edited at b", "the edit does not arrive")
    case.sync()
    case.assert_both({"f": "edited at b", "g": "2", "lost": "its event is lost"})


def unshared(limit: str) -> list[str]:
    """A user namespace with another limit of its own."""
    script = f'echo {limit.partition("=")[2]} > /proc/sys/user/{limit.partition("=")[0]} && exec "$@"'
    return ["unshare", "-Ur", "sh", "-c", script, "sh"]


@pytest.mark.parametrize(
    "limit", ["max_inotify_watches=30", "max_inotify_instances=1"], ids=["WAT-02", "WAT-03"]
)
def test_limits_of_the_kernel(tmp_path: Path, limit: str) -> None:
    """Polling instead, and status says so."""
    if os.system("unshare -Ur true 2>/dev/null") != 0:
        pytest.skip("no user namespaces")
    pairs = [Pair(tmp_path, f"p{number}").make() for number in range(3)]
    for pair in pairs:
        for number in range(25):
            (pair.source / f"d{number}").mkdir()
            (pair.source / f"d{number}" / "f").write_bytes(b"1")
    daemon = Daemon(tmp_path, pairs)
    daemon.start(*unshared(limit))
    try:
        daemon.wait()
        for pair in pairs:
            (pair.source / "d7" / "f").write_bytes(b"edited")
            (pair.source / "new" / "deep").mkdir(parents=True)
            (pair.source / "new" / "deep" / "f").write_bytes(b"new")
        for pair in pairs:
            eventually(lambda pair=pair: contents(pair.source) == contents(pair.destination), "not seen", 40)  # type: ignore[misc]
        assert any("poll" in one.watcher.kind for one in daemon.status().values())
    finally:
        daemon.stop()


@needs_root
@scenario("WAT-05")
def test_watched_file_system_is_unmounted_and_comes_back(case: Case) -> None:
    """Nobody asks: the pair is held by the events alone (or the root's poll), then goes on."""
    image = case.room / "image"
    with mounted(image) as store:
        (store / "tree").mkdir()
        root = Path(os.fsdecode(case.a.root))
        bind(store / "tree", root)
        try:
            case.given({"f": "1", "g": "2"})
            eventually(lambda: os.system(f"umount '{root}' 2>/dev/null") == 0, "the daemon keeps it busy", 10)
            case.wait()
            eventually(lambda: case.hold() is not None, "not held")
            assert case.b.files() == {"f": b"1", "g": b"2"}
            bind(store / "tree", root)
            eventually(lambda: case.hold() is None, "still held")
            case.a.edit("f", "after the mount")
            arrives(case, "f", b"after the mount")
            case.remove()
        finally:
            os.system(f"umount -l '{root}' 2>/dev/null")


def bind(what: Path, at: Path) -> None:
    assert os.system(f"mount --bind '{what}' '{at}'") == 0


@scenario("WAT-06")
def test_directories_and_a_file_at_once(case: Case) -> None:
    case.given({"g": "1"})
    for number in range(25):
        case.a.mkdir(f"t{number}/a/b/c/d")
        case.a.edit(f"t{number}/a/b/c/d/f", f"deep {number}")
        case.a.edit(f"t{number}/a/f", f"shallow {number}")
    for number in range(25):
        arrives(case, f"t{number}/a/b/c/d/f", b"deep %d" % number)
        arrives(case, f"t{number}/a/f", b"shallow %d" % number)


@scenario("WAT-07")
def test_edit_in_a_directory_that_was_moved(case: Case) -> None:
    case.given({"one/d/f": "1", "one/d/deep/g": "2", "two/x": "3"})
    case.a.rename("one/d", "two/d")
    case.a.edit("two/d/f", "edited at the new place")
    arrives(case, "two/d/f", b"edited at the new place")
    time.sleep(0.3)
    case.a.edit("two/d/deep/g", "edited later")
    arrives(case, "two/d/deep/g", b"edited later")
    case.a.rename("two", "three")
    time.sleep(0.3)
    case.a.edit("three/d/f", "and again")
    arrives(case, "three/d/f", b"and again")
    eventually(lambda: not case.b.exists("two") and not case.b.exists("one/d"), "the old names stay")


@scenario("WAT-08")
def test_half_of_a_rename(case: Case) -> None:
    """Out of the tree, and into it: the partner of the event is missing."""
    outside = case.room / "outside"
    outside.mkdir()
    case.given({"f": "1", "d/x": "2", "g": "3"})
    os.rename(case.a.at("f"), outside / "f")
    os.rename(case.a.at("d"), outside / "d")
    eventually(lambda: not case.b.exists("f") and not case.b.exists("d"), "still there")
    (outside / "d" / "sub").mkdir()
    (outside / "d" / "sub" / "y").write_bytes(b"4")
    os.rename(outside / "d", case.a.at("e"))
    os.rename(outside / "f", case.a.at("f"))
    arrives(case, "e/sub/y", b"4")
    arrives(case, "e/x", b"2")
    arrives(case, "f", b"1")
    time.sleep(0.3)
    case.a.edit("e/sub/y", "edited")
    arrives(case, "e/sub/y", b"edited")


@scenario("WAT-09", rescan="2s")
def test_change_without_an_event(case: Case) -> None:
    """Through a hard link outside of the root: the rescan finds it within its interval."""
    case.given({"f": "1", "g": "2"})
    outside = case.room / "outside"
    os.link(case.a.at("f"), outside)
    outside.write_bytes(b"edited through the link")
    arrives(case, "f", b"edited through the link", 15)


@scenario("WAT-12", lone=True)
def test_storm_of_attribute_changes(case: Case) -> None:
    case.given({f"{number}": str(number) for number in range(10)})
    before, done = cpu_s(case.daemon), len(case.history())
    deadline = time.monotonic() + 2
    count = 0
    while time.monotonic() < deadline:
        os.utime(case.a.at(str(count % 10)))
        count += 1
    case.sync()
    assert len(case.history()) == done
    assert cpu_s(case.daemon) - before < 3
    case.assert_same()


@scenario("WAT-13")
def test_event_with_a_name_that_is_not_utf8(case: Case) -> None:
    case.given({"g": "1", "d/x": "2"})
    case.a.edit(b"d/\xff\xfe", "odd name")
    eventually(lambda: case.b.exists(b"d/\xff\xfe"), "the odd name does not arrive")
    case.a.edit("after", "still alive")
    arrives(case, "after", b"still alive")
    case.a.edit(b"d/\xff\xfe", "odd name, edited")
    eventually(lambda: case.b.read(b"d/\xff\xfe") == b"odd name, edited", "the edit does not arrive")
    case.a.edit("d/x", "beside it")
    arrives(case, "d/x", b"beside it")


@scenario("WAT-14", lone=True)
def test_suspended_under_load(case: Case) -> None:
    case.given({"g": "1", **{f"d/{number}": str(number) for number in range(50)}})
    stop_process(case.daemon, signal.SIGSTOP)
    try:
        for number in range(300):
            case.a.write(f"new{number % 9}/{number}", f"content {number}")
            case.b.edit(f"d/{number % 50}", f"edited {number}")
        case.a.rename("new3", "renamed")
        case.a.delete("new4")
    finally:
        stop_process(case.daemon, signal.SIGCONT)
    eventually(lambda: case.a.tree() == case.b.tree() and case.a.exists("renamed"), "does not converge")
    case.sync()
    assert case.a.read("d/7") == b"edited 257"
    case.rest()
