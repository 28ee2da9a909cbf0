"""Sources that are opened ahead: in order, each once, and none left open."""

import os
from pathlib import Path

import pytest

from syncd.core.error import StaleError
from syncd.core.reason import Reason
from syncd.tree.local import syscalls as sc
from syncd.tree.local.sources import AHEAD, Sources


class File:
    """Content that counts how it is opened."""

    def __init__(self, path: Path, error: Exception | None = None) -> None:
        self.path = path
        self.error = error
        self.opened: list[int] = []

    def open_blocking(self) -> int:
        if self.error is not None:
            raise self.error
        self.opened.append(os.open(self.path, os.O_RDONLY))
        return self.opened[-1]

    def check_blocking(self, fd: int) -> None: ...

    def read_target_blocking(self) -> bytes:
        return b""


def files(tmp_path: Path, count: int) -> list[File]:
    made: list[File] = []
    for number in range(count):
        path = tmp_path / str(number)
        path.write_text(f"content {number}")
        made.append(File(path))
    return made


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_each_is_what_was_asked_for(tmp_path: Path) -> None:
    wanted = files(tmp_path, 3 * AHEAD)
    sources = Sources(wanted)
    for number, one in enumerate(wanted):
        descriptor = sources.take(one)
        assert os.read(descriptor, 100) == b"content %d" % number
        os.close(descriptor)
        assert sum(bool(other.opened) for other in wanted) <= number + 1 + AHEAD
    assert all(len(one.opened) == 1 for one in wanted)


def test_what_is_left_out_and_what_is_left_over_is_closed(tmp_path: Path) -> None:
    wanted = files(tmp_path, AHEAD)
    sources = Sources(wanted)
    os.close(sources.take(wanted[5]))
    sources.close()
    assert not any(is_open(one.opened[0]) for one in wanted if one is not wanted[5])


def test_an_error_comes_when_it_is_its_turn(tmp_path: Path) -> None:
    wanted = files(tmp_path, 3)
    wanted[1].error = StaleError(Reason.CHANGING, "moved on")
    sources = Sources(wanted)
    os.close(sources.take(wanted[0]))
    with pytest.raises(StaleError, match="moved on"):
        sources.take(wanted[1])
    os.close(sources.take(wanted[2]))


def test_an_unexpected_one_is_opened_by_itself(tmp_path: Path) -> None:
    first, second, other = files(tmp_path, 3)
    sources = Sources([first, second])
    descriptor = sources.take(other)
    assert os.read(descriptor, 100) == b"content 2"
    os.close(descriptor)
    sources.close()


@pytest.mark.parametrize("is_cached", [True, False], ids=["warm", "cold"])
def test_the_system_is_told_what_a_cold_disk_will_be_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_cached: bool
) -> None:
    told: list[int] = []
    asked: list[int] = []

    def ask(descriptor: int) -> bool:
        asked.append(descriptor)
        return is_cached

    monkeypatch.setattr(sc, "is_cached", ask)
    monkeypatch.setattr(sc, "will_read", told.append)
    wanted = files(tmp_path, 3 * AHEAD)
    sources = Sources(wanted)
    for one in wanted:
        os.close(sources.take(one))
    assert len(asked) == 3
    assert len(told) == (0 if is_cached else len(wanted))


def test_what_was_written_just_now_is_in_memory(tmp_path: Path) -> None:
    (one,) = files(tmp_path, 1)
    descriptor = one.open_blocking()
    assert sc.is_cached(descriptor) is hasattr(os, "RWF_NOWAIT")
    os.close(descriptor)
    assert not sc.is_cached(descriptor), "nor does it raise"
