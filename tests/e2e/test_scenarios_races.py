"""Races: section 1.9 of the catalogue. The user works while the daemon does; afterwards all must be quiet."""

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.case import Case, scenario
from tests.e2e.kit import Daemon, Pair, environment, eventually, program


@contextlib.contextmanager
def meanwhile(work: Callable[[int], None], pause_s: float = 0.005) -> Iterator[None]:
    """`work(0)`, `work(1)` … in a thread until the block is over."""
    is_over = threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        number = 0
        try:
            while not is_over.is_set():
                work(number)
                number += 1
                is_over.wait(pause_s)
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
    assert not failures, failures


def if_possible(make: Callable[[int], None]) -> Callable[[int], None]:
    """What the other side did may have come first: then there is nothing to do."""

    def attempt(number: int) -> None:
        with contextlib.suppress(OSError):
            make(number)

    return attempt


@scenario("RAC-01")
def test_replaced_every_five_milliseconds(case: Case) -> None:
    case.given({"f": "start", "g": "2"})
    last = [b""]

    def replace(number: int) -> None:
        last[0] = b"%07d " % number * 3000
        case.a.edit("f.tmp", last[0])
        case.a.rename("f.tmp", "f")

    with meanwhile(replace):
        for _ in range(8):
            case.wait(0.1)
            words = set(case.b.read("f").split())
            assert len(words) == 1, "a mixture"
    case.sync()
    assert case.b.read("f") == last[0]
    case.assert_same()
    case.rest()


@scenario("RAC-02")
def test_log_that_is_appended_in_place(case: Case) -> None:
    case.given({"g": "1"})
    case.a.write("log", b"x" * 5_000_000)
    with meanwhile(lambda number: case.a.append("log", b"line %d\n" % number * 50)):
        for _ in range(6):
            case.wait(0.15)
            if case.b.exists("log"):
                assert case.a.read("log").startswith(case.b.read("log"))
    case.sync()
    case.assert_same()
    case.rest()


@scenario("RAC-04")
def test_deleted_while_it_is_copied(case: Case) -> None:
    case.given({"g": "1"})
    for turn in range(3):
        case.a.edit("large", os.urandom(1 << 20) * 40)
        time.sleep(0.07 + turn * 0.05)
        case.a.delete("large")
        case.wait()
    case.sync()
    case.assert_both({"g": "1"})
    assert os.listdir(case.b.at(".syncd/stage")) == []


@scenario("RAC-05")
def test_many_files_appear_while_it_copies(case: Case) -> None:
    case.given({"g": "1"})
    made: list[int] = []

    def make(number: int) -> None:
        side = case.a if number % 2 else case.b
        side.write(f"d{number % 5}/{number}", f"content {number}")
        made.append(number)

    with meanwhile(make, 0.001):
        eventually(lambda: len(made) > 300, "too slow")
    case.sync()
    case.assert_both({"g": "1", **{f"d{number % 5}/{number}": f"content {number}" for number in made}})


@scenario("RAC-07")
def test_directory_swapped_for_a_link_to_outside(case: Case) -> None:
    """While the daemon writes beneath it: nothing outside is touched."""
    outside = case.room / "outside"
    outside.mkdir()
    for number in range(20):
        (outside / str(number)).write_bytes(b"not ours")
    case.given({"g": "1", **{f"d/{number}": "0" for number in range(20)}})
    real, link = case.b.at("d"), case.b.at("swap")
    os.symlink(os.fsencode(outside), link)

    def swap(number: int) -> None:
        os.rename(real, case.b.root + b"/.d")
        os.rename(link, real)
        os.rename(real, link)
        os.rename(case.b.root + b"/.d", real)

    with meanwhile(if_possible(swap), 0.0005):
        for turn in range(8):
            for number in range(20):
                case.a.edit(f"d/{number}", f"turn {turn} of {number}")
            case.wait(0.1)
    assert {path.read_bytes() for path in outside.iterdir()} == {b"not ours"}
    assert len(list(outside.iterdir())) == 20
    for name in ("d", "swap"):
        if os.path.islink(case.b.at(name)):
            case.b.delete(name)
    case.sync()
    case.assert_same()
    assert b"turn 7 of 7" in case.a.values()


@pytest.mark.parametrize("unused", [None], ids=["RAC-08"])
def test_two_daemons(tmp_path: Path, unused: None) -> None:
    """On one state the second ends with 75; on one root, with another state, its pair is held."""
    pair = Pair(tmp_path / "one", "shared").make()
    (pair.source / "f").write_bytes(b"1")
    first = Daemon(tmp_path / "one", [pair])
    with first:
        first.wait()
        command = [*program("syncd"), "run", "-c", str(first.config)]
        command += ["--socket", str(tmp_path / "second.sock"), "--state-dir", str(first.state_dir)]
        second = subprocess.run(
            command, capture_output=True, timeout=30, env=environment(tmp_path), check=False
        )
        assert second.returncode == 75, second.stderr
        with Daemon(tmp_path / "other", [pair]) as other:
            other.waited()
            hold = other.status("shared")["shared"].hold
            assert hold is not None
            assert hold.reason == "foreign-marker"
        (pair.source / "f").write_bytes(b"22")
        first.wait()
        assert (pair.destination / "f").read_bytes() == b"22"


@scenario("RAC-09")
def test_replaced_while_it_is_read(case: Case) -> None:
    case.given({"g": "1"})
    sizes = 12_000_000
    case.a.write("f", b"0" * sizes)

    def rewrite(number: int) -> None:
        with open(case.a.at("f"), "r+b") as file:
            for at in range(0, sizes, 1_000_000):
                file.seek(at)
                file.write(b"%d" % (number % 10) * 1000)

    with meanwhile(rewrite, 0.002):
        for _ in range(6):
            case.wait(0.1)
    case.sync()
    assert case.a.read("f") == case.b.read("f")


@scenario("RAC-10")
def test_file_that_a_writer_holds_open(case: Case) -> None:
    case.given({"g": "1"})
    with open(case.a.at("f"), "wb", buffering=0) as file:
        file.write(b"first half, ")
        case.wait()
        time.sleep(0.15)
        file.write(b"second half")
        case.sync()
        assert case.b.read("f") == b"first half, second half"
        file.write(b", the end")
    case.sync()
    case.assert_both({"f": "first half, second half, the end", "g": "1"})


@scenario("RAC-10 displaced")
def test_writer_that_holds_a_replaced_file_open(case: Case) -> None:
    """Bytes that are written to an inode after it was replaced are kept, too."""
    case.given({"f": "1", "g": "2"})
    with open(case.b.at("f"), "ab", buffering=0) as file:
        case.a.edit("f", "edited at a")
        case.sync()
        assert case.b.read("f") == b"edited at a"
        file.write(b" written late")
    case.sync()
    assert b"1 written late" in case.b.contents()


@scenario("RAC-11", max_delete={"files": 1000})
def test_parent_renamed_before_the_operation(case: Case) -> None:
    case.given({"g": "1", **{f"d/{number}": "0" for number in range(15)}})
    expected = {f"{number}": f"edited {number}" for number in range(15)}

    def rename(number: int) -> None:
        case.b.rename(b"d" if number % 2 == 0 else b"e", b"e" if number % 2 == 0 else b"d")

    for number, text in enumerate(expected.values()):
        case.a.edit(f"d/{number}", text)
    with meanwhile(if_possible(rename), 0.1):
        time.sleep(0.5)
    case.sync()
    case.assert_same()
    assert {text.encode() for text in expected.values()} <= set(case.a.values())
    case.rest()


@scenario("RAC-12")
def test_the_same_names_become_directories_there(case: Case) -> None:
    case.given({"g": "1"})

    def make(number: int) -> None:
        if number < 60:
            case.a.edit(f"x{number}", f"file {number}")
            case.b.mkdir(f"x{59 - number}")
            case.b.edit(f"x{59 - number}/inside", f"inside {number}")

    with meanwhile(if_possible(make), 0.002):
        time.sleep(0.6)
    case.sync()
    case.assert_same()
    values = set(case.a.values()) | set(case.a.trash()) | set(case.b.trash())
    assert b"file 3" in values


@scenario("RAC-13")
def test_paused_resumed_and_reloaded_while_it_copies(case: Case) -> None:
    case.given({"g": "1"})
    for number in range(300):
        case.a.write(f"d/{number}", f"content {number}" * 100)
    for turn in range(6):
        time.sleep(0.03)
        case.pause()
        names = set(case.b.files())
        time.sleep(0.02)
        assert set(case.b.files()) == names, "it went on while paused"
        case.resume()
        case.edit_pair(settle=f"{50 + turn}ms")
    case.sync()
    case.assert_same()
    assert len(case.b.files()) == 301
    assert case.conflicts() == []


@scenario("RAC-14")
def test_removed_while_it_copies(case: Case) -> None:
    case.given({"g": "1"})
    for number in range(400):
        case.a.write(f"d/{number}", os.urandom(20_000))
    eventually(lambda: len(case.b.files()) > 5, "nothing happens")
    case.remove()
    names = case.b.tree()
    time.sleep(0.3)
    assert case.b.tree() == names
    assert os.listdir(case.b.at(".syncd/stage")) == []


@scenario("RAC-15")
def test_own_writes_cause_no_work(case: Case) -> None:
    case.given({"g": "1"})
    for number in range(30):
        case.a.write(f"d/{number}", f"content {number}")
    case.sync()
    time.sleep(0.5)
    before, done = case.status()["last_synced_at"], len(case.history())
    time.sleep(0.5)
    assert case.status()["last_synced_at"] == before
    assert len(case.history()) == done


@scenario("RAC-16 WAT-10")
def test_replaced_as_soon_as_the_daemon_wrote_it(case: Case) -> None:
    """The user's version, of the same size and in the same tick, is seen without any further event."""
    case.given({"f": "00000", "g": "1"})
    for number in range(1, 13):
        wanted = b"%05d" % number
        case.a.edit("f", wanted)
        deadline = time.monotonic() + 10
        while case.b.read("f") != wanted and time.monotonic() < deadline:
            pass
        case.b.edit("f", b"u%04d" % number)
        eventually(lambda number=number: case.a.read("f") == b"u%04d" % number, "the edit is lost", 10)  # type: ignore[misc]
    case.sync()
    case.assert_both({"f": "u0012", "g": "1"})
