"""Links, special files, metadata: section 1.8 of the catalogue, second half."""

import os
import shutil
import socket
import subprocess
import threading

import pytest

from tests.e2e.case import Case, scenario

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def xattrs(full: bytes) -> dict[str, bytes]:
    return {name: os.getxattr(full, name) for name in os.listxattr(full) if name.startswith("user.")}


@scenario("SPE-01")
def test_links_travel_as_links(case: Case) -> None:
    case.given({"g": "1", "d/f": "2"})
    links = {"relative": "g", "absolute": "/etc/hostname", "broken": "not there", "up": "../..", "dir": "d"}
    for name, target in links.items():
        case.a.symlink(name, target)
    case.b.symlink("d/\udcff link", b"\xff target")
    case.sync()
    case.assert_same()
    for name, target in links.items():
        assert os.readlink(case.b.at(name)) == target.encode()
    case.a.delete("relative")
    case.a.symlink("relative", "d/f")
    case.sync()
    case.assert_same()
    for name in links:
        case.b.delete(name)
    case.sync()
    case.assert_same()
    assert set(case.a.files()) == {"g", "d/f", "d/\udcff link"}
    case.rest()


@scenario("SPE-02")
def test_link_to_a_directory_outside_is_not_entered(case: Case) -> None:
    outside = case.room / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "secret").write_bytes(b"not ours")
    case.given({"g": "1"})
    case.a.symlink("out", str(outside))
    case.sync()
    case.assert_same()
    assert "out/deep" not in case.b.tree()
    case.a.delete("out")
    case.sync()
    assert (outside / "deep" / "secret").read_bytes() == b"not ours"
    assert not case.b.exists("out")


@scenario("SPE-04")
def test_pipes_and_sockets_are_left_alone(case: Case) -> None:
    case.given({"g": "1"})
    os.mkfifo(case.a.at("pipe"))
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(case.a.root)
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
        case.a.write("f", "2")
        case.sync()
    assert case.b.files() == {"g": b"1", "f": b"2"}
    assert case.issues(notes=True) == {"pipe": "special-file", "socket": "special-file"}
    case.b.write("pipe", "a file of the same name")
    case.sync()
    assert case.b.read("pipe") == b"a file of the same name"
    assert case.a.tree()["pipe"].startswith("special")
    case.rest()


@scenario("SPE-05")
def test_mode_bits_travel(case: Case) -> None:
    case.given({"f": "1", "d/x": "2"})
    for path, mode in (("f", 0o755), ("d/x", 0o640), ("d", 0o750)):
        os.chmod(case.a.at(path), mode)
    case.sync()
    case.assert_same()
    assert case.b.stat("f").st_mode & 0o777 == 0o755
    assert case.b.stat("d").st_mode & 0o777 == 0o750
    os.chmod(case.b.at("f"), 0o600)
    case.sync()
    assert case.a.stat("f").st_mode & 0o777 == 0o600
    case.rest()


@scenario("SPE-06")
def test_setuid_is_not_carried(case: Case) -> None:
    case.given({"g": "1"})
    case.a.write("f", "2", mode=0o4755)
    case.a.mkdir("d")
    os.chmod(case.a.at("d"), 0o3777)
    case.sync()
    assert case.b.stat("f").st_mode & 0o7777 == 0o755
    assert case.b.stat("d").st_mode & 0o7777 == 0o777
    assert case.a.stat("f").st_mode & 0o7777 == 0o4755
    case.rest()


@scenario("SPE-07")
def test_one_of_two_hard_links_is_edited(case: Case) -> None:
    case.a.write("x", "1")
    os.link(case.a.at("x"), case.a.at("y"))
    case.given({"g": "2"})
    case.assert_both({"x": "1", "y": "1", "g": "2"})
    case.b.edit("x", "edited at b")
    case.sync()
    assert case.b.read("y") == b"1"
    assert case.a.read("x") == b"edited at b"
    assert case.a.read("y") == b"1"
    case.rest()


@scenario("SPE-08")
def test_hard_link_to_outside_is_broken(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    outside = case.room / "outside"
    os.link(case.b.at("f"), outside)
    case.a.edit("f", "edited at a")
    case.sync()
    assert outside.read_bytes() == b"1"
    case.assert_both({"f": "edited at a", "g": "2"})


@scenario("SPE-10")
def test_mtime_is_kept_to_the_nanosecond(case: Case) -> None:
    case.given({"g": "1"})
    case.a.write("f", "2", mtime_ns=1_234_567_890_123_456_789)
    case.sync()
    assert case.b.stat("f").st_mtime_ns == 1_234_567_890_123_456_789
    case.a.write("f", "22", mtime_ns=1_111_111_111_111_111_111)
    case.sync()
    assert case.b.stat("f").st_mtime_ns == 1_111_111_111_111_111_111
    case.assert_both({"f": "22", "g": "1"})


@scenario("SPE-11")
def test_extended_attributes_survive_a_replacement(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    full = case.b.at("f")
    try:
        os.setxattr(full, "user.colour", b"blue")
    except OSError:
        pytest.skip("no extended attributes here")
    if shutil.which("setfacl"):
        subprocess.run([b"setfacl", b"-m", b"u:65534:r", full], check=True)
        before = subprocess.run([b"getfacl", b"-c", full], check=True, capture_output=True).stdout
    case.a.edit("f", "edited at a")
    case.sync()
    assert case.b.read("f") == b"edited at a"
    assert xattrs(full) == {"user.colour": b"blue"}
    if shutil.which("setfacl"):
        after = subprocess.run([b"getfacl", b"-c", full], check=True, capture_output=True).stdout
        assert after == before


@needs_root
@scenario("SPE-12")
def test_owner_is_kept_and_never_changed_through_a_link(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    os.chown(case.b.at("f"), 12345, 23456)
    os.chown(case.b.root, 777, 888)
    outside = case.room / "outside"
    outside.write_bytes(b"not ours")
    case.a.edit("f", "edited")
    case.a.write("new/file", "3")
    case.a.symlink("new/link", str(outside))
    case.sync()
    assert (case.b.stat("f").st_uid, case.b.stat("f").st_gid) == (12345, 23456)
    assert (case.b.stat("new").st_uid, case.b.stat("new/file").st_uid) == (777, 777)
    assert os.lstat(case.b.at("new/link")).st_uid == 777
    assert outside.stat().st_uid == 0


@needs_root
@scenario("SPE-12 copied", owner="copy")
def test_owner_is_copied_where_asked_for(case: Case) -> None:
    case.given({"g": "1"})
    case.a.write("f", "2")
    os.chown(case.a.at("f"), 4321, 5432)
    case.sync()
    case.call("pair.rescan", pairs=[case.name], wait=True)
    assert (case.b.stat("f").st_uid, case.b.stat("f").st_gid) == (4321, 5432)


@scenario("SPE-13")
def test_read_only_files_and_directories(case: Case) -> None:
    case.a.write("d/f", "1", mode=0o444)
    os.chmod(case.a.at("d"), 0o555)
    case.given({"g": "2"})
    assert case.b.stat("d").st_mode & 0o777 == 0o555
    assert case.b.stat("d/f").st_mode & 0o777 == 0o444
    os.chmod(case.a.at("d/f"), 0o644)
    case.a.edit("d/f", "edited")
    os.chmod(case.a.at("d/f"), 0o444)
    case.sync()
    case.assert_same()
    assert case.b.read("d/f") == b"edited"
    assert case.b.stat("d").st_mode & 0o777 == 0o555
    case.rest()
    for side in (case.a, case.b):
        os.chmod(side.at("d"), 0o755)


@needs_root
@scenario("SPE-14")
def test_immutable_target(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    if subprocess.run([b"chattr", b"+i", case.b.at("f")], capture_output=True).returncode:
        pytest.skip("no immutable files on this file system")
    try:
        case.a.edit("f", "edited at a")
        case.a.edit("g", "goes on")
        case.sync("degraded")
        assert case.b.read("f") == b"1"
        assert case.b.read("g") == b"goes on"
        assert case.issues() == {"f": "not-permitted"}
    finally:
        subprocess.run([b"chattr", b"-i", case.b.at("f")], check=True)
    case.call("pair.sync", pairs=[case.name], wait=True)
    case.sync()
    case.assert_both({"f": "edited at a", "g": "goes on"})


@needs_root
@scenario("SPE-15")
def test_capabilities_are_not_copied(case: Case) -> None:
    case.given({"g": "1"})
    case.a.write("f", "2", mode=0o755)
    try:
        os.setxattr(
            case.a.at("f"), "security.capability", bytes.fromhex("0100000200040000000000000000000000000000")
        )
    except OSError:
        pytest.skip("no capabilities on this file system")
    case.sync()
    assert case.b.read("f") == b"2"
    assert "security.capability" not in os.listxattr(case.b.at("f"))


@needs_root
@scenario("SPE-16")
def test_device_nodes_are_never_made(case: Case) -> None:
    case.given({"g": "1"})
    os.mknod(case.a.at("null"), 0o20666, os.makedev(1, 3))
    case.a.write("f", "2")
    case.sync()
    assert case.b.files() == {"g": b"1", "f": b"2"}
    assert case.issues(notes=True) == {"null": "special-file"}


@scenario("SPE-17")
def test_file_that_grows_while_it_is_read(case: Case) -> None:
    case.given({"g": "1"})
    is_over = threading.Event()

    def write() -> None:
        with open(case.a.at("grows"), "ab", buffering=0) as file:
            while not is_over.wait(0.002):
                file.write(b"line\n" * 2000)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(5):
            case.wait(0.3)
            if case.b.exists("grows"):
                assert case.a.read("grows").startswith(case.b.read("grows"))
    finally:
        is_over.set()
        writer.join()
    case.sync()
    case.assert_same()


@scenario("SPE-18")
def test_bytes_that_change_without_a_stamp(case: Case) -> None:
    """A write through a mapping whose stamps a user puts back: ctime tells."""
    case.given({"f": "before", "g": "2"})
    found = case.a.stat("f")
    case.a.edit("f", "AFTER!")
    os.utime(case.a.at("f"), ns=(found.st_atime_ns, found.st_mtime_ns))
    case.sync()
    assert case.b.read("f") == b"AFTER!"
