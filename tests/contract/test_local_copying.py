"""Copying file content: every byte arrives or nothing does, holes stay holes, a file that changes is told."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from syncd.core.error import StaleError
from syncd.core.reason import Reason
from syncd.tree.local import copying
from syncd.tree.local import syscalls as sc
from syncd.tree.local.copying import Stopped, copy_large, copy_small
from syncd.tree.local.errors import SourceError

BLOCK = copying._BLOCK


class Pair:
    """An open file to read from, an open empty one to write to."""

    def __init__(self, home: Path) -> None:
        self.path, self.copy = home / "from", home / "to"
        self.path.touch()
        self.source = os.open(self.path, os.O_RDONLY)
        self.target = os.open(self.copy, os.O_RDWR | os.O_CREAT)
        self.told: list[int] = []
        self.stops = False

    def large(self, size: int, *, clone: bool = False) -> bytes:
        return copy_large(self.source, self.target, size, lambda: self.stops, self.told.append, clone=clone)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(tmp_path)
    yield pair
    os.close(pair.source)
    os.close(pair.target)


def of(size: int) -> bytes:
    return os.urandom(64) * (size // 64) + b"." * (size % 64)


# Small files.


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_a_small_file_arrives_with_its_digest(pair: Pair, size: int) -> None:
    data = of(size)
    pair.path.write_bytes(data)
    assert copy_small(pair.source, pair.target, size) == blake3(data).digest()
    assert pair.copy.read_bytes() == data


def test_short_reads_and_writes_are_gone_on_with(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on network file systems, or when a signal comes in between."""
    data = of(1000)
    pair.path.write_bytes(data)
    read, write = sc.read, sc.write
    monkeypatch.setattr(sc, "read", lambda descriptor, count: read(descriptor, min(count, 300)))
    monkeypatch.setattr(sc, "write", lambda descriptor, block: write(descriptor, block[:70]))
    assert copy_small(pair.source, pair.target, 1000) == blake3(data).digest()
    assert pair.copy.read_bytes() == data


@pytest.mark.parametrize("real", [0, 99, 101, 500])
def test_a_small_file_of_another_size_is_changing(pair: Pair, real: int) -> None:
    pair.path.write_bytes(of(real))
    with pytest.raises(StaleError) as caught:
        copy_small(pair.source, pair.target, 100)
    assert caught.value.reason is Reason.CHANGING


def test_what_cannot_be_read_is_the_sources_fault(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, "no")

    pair.path.write_bytes(of(10))
    monkeypatch.setattr(sc, "read", fail)
    with pytest.raises(SourceError):
        copy_small(pair.source, pair.target, 10)
    monkeypatch.setattr(sc, "readv", fail)
    with pytest.raises(SourceError):
        pair.large(10)
    monkeypatch.setattr(sc, "fstat", fail)
    with pytest.raises(SourceError):
        pair.large(10)


# Large files.


@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_a_large_file_is_copied_block_by_block(pair: Pair, size: int) -> None:
    data = of(size)
    pair.path.write_bytes(data)
    assert pair.large(size) == blake3(data).digest()
    assert pair.copy.read_bytes() == data
    assert sum(pair.told) == size
    assert max(pair.told) <= BLOCK


def test_a_large_file_stops_between_blocks(pair: Pair) -> None:
    pair.path.write_bytes(of(3 * BLOCK))
    pair.stops = True
    with pytest.raises(Stopped):
        pair.large(3 * BLOCK)
    assert pair.copy.stat().st_size == 0


@pytest.mark.parametrize("change", [-BLOCK, -1, 1, BLOCK])
def test_a_large_file_of_another_size_is_changing(pair: Pair, change: int) -> None:
    pair.path.write_bytes(of(2 * BLOCK + change))
    with pytest.raises(StaleError) as caught:
        pair.large(2 * BLOCK)
    assert caught.value.reason is Reason.CHANGING


def test_short_writes_of_blocks_are_gone_on_with(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    data = of(BLOCK + 17)
    pair.path.write_bytes(data)
    write = sc.write
    monkeypatch.setattr(sc, "write", lambda descriptor, block: write(descriptor, block[: BLOCK // 3]))
    assert pair.large(len(data)) == blake3(data).digest()
    assert pair.copy.read_bytes() == data


# Holes.


def sparse(pair: Pair, size: int, *pieces: tuple[int, bytes]) -> bytes:
    """Only `pieces` are written, each at its offset."""
    with pair.path.open("r+b") as file:
        file.truncate(size)
        for at, data in pieces:
            file.seek(at)
            file.write(data)
    return pair.path.read_bytes()


PIECES: list[tuple[tuple[int, bytes], ...]] = [
    (),
    ((0, b"head"),),
    ((5 * BLOCK, b"middle" * 1000),),
    ((8 * BLOCK - 4, b"tail"),),
    ((0, b"head"), (3 * BLOCK, b"x" * BLOCK), (8 * BLOCK - 4, b"tail")),
]


@pytest.mark.parametrize("pieces", PIECES)
def test_holes_stay_holes_and_count_as_zeros(pair: Pair, pieces: tuple[tuple[int, bytes], ...]) -> None:
    data = sparse(pair, 8 * BLOCK, *pieces)
    if pair.path.stat().st_blocks * 512 >= len(data):
        pytest.skip("no holes here")
    assert pair.large(len(data)) == blake3(data).digest()
    assert pair.copy.read_bytes() == data
    assert pair.copy.stat().st_blocks <= pair.path.stat().st_blocks + 2 * 4096 // 512 * len(pieces)
    assert sum(pair.told) <= len(data)


def test_a_sparse_file_that_shrinks_is_changing(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    data = sparse(pair, 4 * BLOCK, (BLOCK, b"x"))
    with pytest.raises(StaleError):
        pair.large(len(data) + BLOCK)
    lseek = sc.lseek

    def shrinking(descriptor: int, at: int, how: int) -> int:
        found = lseek(descriptor, at, how)
        os.truncate(pair.path, 10)
        return found

    monkeypatch.setattr(sc, "lseek", shrinking)
    with pytest.raises(StaleError):
        pair.large(len(data))


def test_a_file_system_without_holes_gives_all_of_it(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    data = sparse(pair, 2 * BLOCK, (BLOCK, b"x"))
    lseek = sc.lseek

    def plain(descriptor: int, at: int, how: int) -> int:
        if how in (os.SEEK_DATA, os.SEEK_HOLE):
            raise OSError(errno.EINVAL, "not here")
        return lseek(descriptor, at, how)

    monkeypatch.setattr(sc, "lseek", plain)
    assert pair.large(len(data)) == blake3(data).digest()
    assert pair.copy.read_bytes() == data


def test_a_hole_that_cannot_be_asked_for_is_the_sources_fault(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = sparse(pair, 2 * BLOCK, (BLOCK, b"x"))

    def fail(*_: int) -> int:
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(sc, "lseek", fail)
    with pytest.raises(SourceError):
        pair.large(len(data))


# Clones.


def clone(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that shares blocks, in miniature: the target gets all of the source at once."""

    def share(source: int, target: int) -> None:
        os.pwrite(target, pair.path.read_bytes(), 0)

    monkeypatch.setattr(sc, "clone", share)


def test_a_clone_is_read_and_not_written(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    data = of(BLOCK + 5)
    pair.path.write_bytes(data)
    clone(pair, monkeypatch)
    monkeypatch.setattr(sc, "write", lambda *_: pytest.fail("written"))
    assert pair.large(len(data), clone=True) == blake3(data).digest()
    assert pair.copy.read_bytes() == data


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.EPERM])
def test_where_nothing_can_be_cloned_it_is_copied(
    pair: Pair, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: int, target: int) -> None:
        raise OSError(code, "no")

    data = of(BLOCK + 5)
    pair.path.write_bytes(data)
    monkeypatch.setattr(sc, "clone", refuse)
    assert pair.large(len(data), clone=True) == blake3(data).digest()
    assert pair.copy.read_bytes() == data


def test_a_full_disk_is_told_while_cloning(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: int, target: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    pair.path.write_bytes(of(10))
    monkeypatch.setattr(sc, "clone", full)
    with pytest.raises(OSError, match="full"):
        pair.large(10, clone=True)
