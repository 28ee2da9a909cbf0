"""The socket's path: nothing of anybody else's is removed, nothing is open to others (CTL-07, CTL-08)."""

import os
import socket
import stat
from pathlib import Path

import pytest

from syncd.control import listen as module
from syncd.control.client import connect
from syncd.control.listen import adopt, listen
from syncd.core.error import SyncdError
from syncd.core.reason import Reason


def refused(path: Path, **options: int) -> SyncdError:
    with pytest.raises(SyncdError) as caught:
        listen(os.fsencode(path), **options)
    return caught.value


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_socket_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "run" / "s.sock"
    before = os.umask(0)
    try:
        listener = listen(os.fsencode(path))
    finally:
        os.umask(before)
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700
    listener.close()
    assert not path.exists()


def test_a_group_may_be_let_in(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    listener = listen(os.fsencode(path), group=os.getgid())
    assert mode(path) == 0o660
    assert path.stat().st_gid == os.getgid()
    listener.close()


def test_the_umask_is_left_as_it_was(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        listen(os.fsencode(tmp_path / "s.sock")).close()
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


def test_a_stale_socket_makes_room(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    listener = listen(os.fsencode(path))
    connect([path]).close()
    listener.close()


def test_a_living_daemon_is_not_pushed_aside(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    first = listen(os.fsencode(path))
    assert refused(path).reason is Reason.STATE_BUSY
    connect([path]).close()
    first.close()


def test_a_regular_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    path.write_text("precious")
    assert refused(path).reason is Reason.SOCKET_UNUSABLE
    assert path.read_text() == "precious"


def test_a_directory_stays(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    path.mkdir()
    assert refused(path).reason is Reason.SOCKET_UNUSABLE
    assert path.is_dir()


@pytest.mark.parametrize("target", ["elsewhere", "real.sock"])
def test_a_link_is_neither_followed_nor_removed(tmp_path: Path, target: str) -> None:
    real = tmp_path / "real.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(real))
    path = tmp_path / "s.sock"
    path.symlink_to(tmp_path / target)
    assert refused(path).reason is Reason.SOCKET_UNUSABLE
    assert path.is_symlink()
    assert real.is_socket()
    assert not (tmp_path / "elsewhere").exists()


def test_a_directory_that_everybody_writes_is_refused(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o1777)
    error = refused(open_to_all / "s.sock")
    assert error.reason is Reason.SOCKET_UNUSABLE
    assert "everybody" in error.detail


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make what belongs to others")
def test_what_belongs_to_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    os.chown(path, 65534, 65534)
    assert "another user" in refused(path).detail
    assert path.is_socket()
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    os.chown(foreign, 65534, 65534)
    assert "another user" in refused(foreign / "s.sock").detail


def test_a_path_beyond_sun_path_works(tmp_path: Path) -> None:
    path = tmp_path / ("d" * 100) / ("e" * 60) / "s.sock"
    listener = listen(os.fsencode(path))
    assert len(os.fsencode(path)) > 107
    connect([path]).close()
    listener.close()
    listen(os.fsencode(path)).close()


def test_a_name_that_is_too_long_by_itself_says_so(tmp_path: Path) -> None:
    error = refused(tmp_path / ("n" * 200))
    assert error.reason is Reason.SOCKET_UNUSABLE
    assert "longer than" in error.detail


def test_a_relative_path_is_refused() -> None:
    assert refused(Path("s.sock")).reason is Reason.SOCKET_UNUSABLE


def test_a_directory_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert refused(tmp_path / "file" / "s.sock").reason is Reason.SOCKET_UNUSABLE


def test_closing_leaves_the_socket_of_a_successor(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    first = listen(os.fsencode(path))
    path.rename(tmp_path / "old.sock")
    second = listen(os.fsencode(path))
    first.close()
    connect([path]).close()
    second.close()


def test_a_socket_of_the_service_manager_is_adopted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "s.sock"))
    sock.listen()
    monkeypatch.setattr(module, "_LISTEN_FDS_START", sock.fileno())
    environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x", "HOME": "/"}
    sock.detach()
    listener = adopt(environment)
    assert listener is not None
    assert environment == {"HOME": "/"}
    assert not listener.sock.get_inheritable()
    connect([tmp_path / "s.sock"]).close()
    listener.close()
    assert (tmp_path / "s.sock").is_socket()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "x"},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0"},
    ],
)
def test_what_is_not_meant_for_us_is_not_adopted(environment: dict[str, str]) -> None:
    assert adopt(environment) is None
    assert not environment


def test_a_descriptor_of_another_kind_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET) as other:
        monkeypatch.setattr(module, "_LISTEN_FDS_START", other.fileno())
        assert adopt({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}) is None
        assert other.fileno() >= 0
        os.fstat(other.fileno())
