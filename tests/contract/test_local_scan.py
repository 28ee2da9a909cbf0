"""Observing real directories: depth, odd entries, failures, mounts, and the racy-git rule."""

import errno
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from syncd.core.entry import Kind
from syncd.core.error import PathProblem
from syncd.core.listing import unpack
from syncd.core.reason import Reason
from syncd.tree.local import probe, scan
from syncd.tree.local import syscalls as sc
from syncd.tree.local.identity import Mount
from syncd.tree.port import Listing
from tests.contract.localkit import Kit, fail, mounted


@pytest.fixture
async def kit(tmp_path: Path) -> Kit:
    return await Kit(tmp_path).open()


async def test_tree_deeper_than_any_path_can_name(kit: Kit) -> None:
    """NAM-14b: the walk needs no path, and holds few descriptors."""
    at = os.open(kit.b, os.O_RDONLY)
    for _ in range(150):
        os.mkdir(b"d" * 60, dir_fd=at)
        below = os.open(b"d" * 60, os.O_RDONLY, dir_fd=at)
        os.mkdir(b"side", dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open(b"f", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=at))
    os.close(at)
    before = len(os.listdir("/proc/self/fd"))
    listings = await kit.listings()
    assert len(listings) == 301
    assert all(listing.problem is None for listing in listings.values())
    deepest = max(listings, key=len)
    assert len(deepest) > 9000
    assert [child.name for child in unpack(listings[deepest].record)] == [b"f"]
    assert await kit.child(deepest + b"/f") is not None
    assert len(os.listdir("/proc/self/fd")) <= before + 40


async def test_pages_are_bounded_and_an_abandoned_scan_leaves_no_descriptors(kit: Kit) -> None:
    for index in range(450):
        os.mkdir(kit.at(b"%03d" % index))
    pages: list[Sequence[Listing]] = []
    async for page in kit.target.scan([b""], recursive=True, prune=lambda path: False):
        pages.append(page)  # noqa: PERF401
    assert [len(page) for page in pages] == [scan.PAGE_DIRECTORIES, scan.PAGE_DIRECTORIES, 51]
    generator: Any = kit.target.scan([b""], recursive=True, prune=lambda path: False)
    before = len(os.listdir("/proc/self/fd"))
    await anext(generator)
    await generator.aclose()
    await kit.target.release()
    assert len(os.listdir("/proc/self/fd")) <= before


async def test_pipes_and_sockets_are_seen_and_never_opened(kit: Kit) -> None:
    """SPE-04."""
    os.mkfifo(kit.at(b"pipe"))
    here = Path.cwd()
    os.chdir(kit.b)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("sock")
    finally:
        os.chdir(here)
    children = unpack((await kit.listings())[b""].record)
    assert {child.name: child.kind for child in children} == {b"pipe": Kind.SPECIAL, b"sock": Kind.SPECIAL}
    digested = await kit.target.digest([b"pipe", b"sock"])
    assert [one.digest for one in digested] == [None, None]
    assert await kit.target.read_file(b"pipe", 100) is None


async def test_control_directory_is_left_out_at_the_top_only(kit: Kit) -> None:
    kit.write(b"d/.syncd/f", b"1")
    assert await kit.names() == [b"d"]
    assert await kit.names(b"d") == [b".syncd"]


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EACCES, Reason.UNREADABLE),
        (errno.EIO, Reason.IO_ERROR),
        (errno.ENOENT, Reason.CHANGING),
        (errno.EMFILE, Reason.RETRY),
    ],
)
async def test_failed_listing_says_nothing(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, number: int, reason: Reason
) -> None:
    """ERR-07."""
    kit.write(b"d/f", b"1")
    kit.write(b"e/f", b"1")
    fail(monkeypatch, "open", number, only=lambda path, *_, **__: path == b"d")
    listings = await kit.listings()
    assert (listings[b"d"].record, listings[b"d"].problem) == (b"", reason)
    assert sorted(listings) == [b"", b"d", b"e"]
    fail(monkeypatch, "scandir", number)
    (only,) = (await kit.listings(kit.target, b"e")).values()
    assert (only.record, only.problem) == (b"", reason)


async def test_listing_that_vanished_before_the_scan(kit: Kit) -> None:
    listings = await kit.listings(kit.target, b"gone", b"also/gone")
    assert [listing.problem for listing in listings.values()] == [Reason.CHANGING, Reason.CHANGING]


async def test_nested_starts_are_listed_once(kit: Kit) -> None:
    kit.write(b"a/b/c/f", b"1")
    kit.write(b"a-b/f", b"1")
    seen: list[bytes] = []
    starts = [b"a/b", b"a", b"a-b", b"a/b/c"]
    async for page in kit.target.scan(starts, recursive=True, prune=lambda path: False):
        seen.extend(listing.path for listing in page)
    assert seen == [b"a", b"a/b", b"a/b/c", b"a-b"]


async def test_mounts_are_told_and_not_entered(tmp_path: Path) -> None:
    """FST-13, SPE-19: visible, so that nothing is taken for deleted; unknown beneath."""
    kit = await Kit(tmp_path).open()
    with mounted(tmp_path / "b" / "mnt", "size=1m"):
        kit.write(b"mnt/d/f", b"1")
        listings = await kit.listings()
        assert [child.name for child in unpack(listings[b""].record)] == [b"mnt"]
        assert (listings[b"mnt"].record, listings[b"mnt"].problem) == (b"", Reason.OTHER_FILESYSTEM)
        (at, below) = await kit.target.look([b"mnt", b"mnt/d/f"])
        assert at.child is not None
        assert at.child.kind is Kind.DIRECTORY
        assert below.problem is Reason.OTHER_FILESYSTEM
        crossing = await Kit(tmp_path, cross_mounts=True).open()
        assert sorted(await crossing.listings()) == [b"", b"mnt", b"mnt/d"]
        assert await crossing.child(b"mnt/d/f") is not None
        await crossing.target.close()
        await kit.target.close()


async def test_fresh_stamps_are_racy_and_old_ones_are_not(kit: Kit) -> None:
    """CLK-09: told by the file system's own clock."""
    kit.write(b"old", b"1")
    kit.write(b"new", b"1", mtime_ns=None)
    now = os.stat(kit.at(b"new")).st_mtime_ns
    listing = (await kit.listings())[b""]
    assert now - 10**9 < listing.racy_after_ns < now + 10**9
    (look,) = await kit.target.look([b"old"])
    assert look.child is not None
    assert look.child.hint.mtime_ns < look.racy_after_ns
    read_only = (await kit.listings(kit.source))[b""]
    assert abs(read_only.racy_after_ns - time.time_ns()) < 10**9


async def test_digest_of_a_file_that_changes_meanwhile(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """RAC-09."""
    kit.write(b"f", b"1" * 100)
    kit.write(b"g", b"2")
    real = sc.readv

    def readv(fd: int, buffers: Any) -> int:
        kit.write(b"f", b"3" * 100, mtime_ns=None)
        return real(fd, buffers)

    monkeypatch.setattr(sc, "readv", readv)
    changing, steady, absent = await kit.target.digest([b"f", b"g", b"none"])
    assert (changing.digest, changing.problem) == (None, Reason.CHANGING)
    assert steady.digest == blake3(b"2").digest()
    assert absent.problem is Reason.CHANGING


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.EIO, Reason.IO_ERROR), (errno.EACCES, Reason.UNREADABLE)]
)
async def test_digest_and_small_files_that_cannot_be_read(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, number: int, reason: Reason
) -> None:
    kit.write(b"f", b"1")
    call = "readv" if number == errno.EIO else "open"
    fail(monkeypatch, call, number, only=lambda *args, **named: call == "readv" or args[0] == b"f")
    (digested,) = await kit.target.digest([b"f"])
    assert (digested.digest, digested.problem) == (None, reason)
    fail(monkeypatch, "read" if number == errno.EIO else "open", number)
    with pytest.raises(PathProblem) as caught:
        await kit.target.read_file(b"f", 100)
    assert caught.value.reason is reason


async def test_small_files_whole_or_not_at_all(kit: Kit) -> None:
    kit.write(b"f", b"12345")
    os.symlink(b"f", kit.at(b"l"))
    os.mkdir(kit.at(b"d"))
    assert await kit.target.read_file(b"f", 5) == b"12345"
    assert [await kit.target.read_file(path, 9) for path in (b"none", b"l", b"d", b"f/x")] == [None] * 4
    with pytest.raises(PathProblem):
        await kit.target.read_file(b"f", 4)


async def test_other_spelling_is_absent_where_names_are_folded(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A case-insensitive file system answers to `F`; only `f` is there."""
    kit.write(b"f", b"1")
    real = sc.stat

    def folded(name: Any, **named: Any) -> os.stat_result:
        return real(name.lower() if isinstance(name, bytes) else name, **named)

    monkeypatch.setattr(sc, "stat", folded)
    monkeypatch.setattr(kit.target._reader, "_is_case_sensitive", False)
    assert await kit.child(b"F") is None
    assert await kit.child(b"f") is not None


@pytest.mark.parametrize(
    ("filesystem", "has_events"),
    [("ext4", True), ("nfs4", False), ("fuse.sshfs", False), ("cifs", False), ("9p", False), ("btrfs", True)],
)
def test_events_by_file_system(filesystem: str, has_events: bool) -> None:
    """WAT-09."""
    found = probe.read_only_capabilities(Mount(filesystem, ""))
    assert (found.has_events, found.filesystem) == (has_events, filesystem)
    assert (probe.racy_slack_ns(found) > 10**9) is not has_events
