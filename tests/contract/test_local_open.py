"""Opening a root: the marker, the identity over runs, what is refused, and letting go of descriptors."""

import contextlib
import errno
import os
import shutil
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from syncd.core.error import NeedsUser, SyncdError
from syncd.core.identity import RootIdentity
from syncd.core.reason import Reason
from syncd.tree.local import LocalTree, identity
from syncd.tree.local import syscalls as sc
from syncd.tree.local.claim import Claim
from syncd.tree.local.root import Control
from syncd.tree.port import Batch
from tests.contract.localkit import KEY, OLD_NS, D, Killed, Kit, S, fail, killed_before, mounted, needs_root


async def opened(
    root: Path,
    known: RootIdentity | None = None,
    *,
    key: str = KEY,
    is_written: bool = True,
    adopt: bool = False,
) -> RootIdentity:
    tree = LocalTree(root, D, pair_key=key, is_written=is_written)
    identity = await tree.open(known=known, adopt=adopt)
    await tree.close()
    return identity


async def refused(*args: Any, **named: Any) -> Reason:
    with pytest.raises(NeedsUser) as caught:
        await opened(*args, **named)
    return caught.value.reason


async def test_written_root_gets_a_closed_control_directory_and_a_marker(tmp_path: Path) -> None:
    first = await opened(tmp_path)
    assert (first.marker, first.had_marker) == (KEY, False)
    control = tmp_path / ".syncd"
    assert stat.S_IMODE(control.stat().st_mode) == 0o700
    assert {path.name for path in control.iterdir()} >= {"marker", "trash", "stage", "cookies"}
    assert list((control / "stage").iterdir()) == []
    second = await opened(tmp_path, first)
    assert (second.marker, second.had_marker, second.inode) == (KEY, True, first.inode)


async def test_root_that_is_never_written_gets_nothing(tmp_path: Path) -> None:
    identity = await opened(tmp_path, is_written=False)
    assert identity.marker is None
    assert list(tmp_path.iterdir()) == []
    tree = LocalTree(tmp_path, D, pair_key=KEY, is_written=False)
    await tree.open(known=identity, adopt=False)
    assert tree.capabilities.is_writable is False
    with pytest.raises(NeedsUser):
        await tree.apply(Batch("b", (), lambda: False))
    assert await tree.expire_trash(0, 0, frozenset()) == 0
    await tree.close()


async def test_foreign_marker_is_refused_until_adopted(tmp_path: Path) -> None:
    """FST-11."""
    await opened(tmp_path, key="theirs")
    assert await refused(tmp_path) is Reason.FOREIGN_MARKER
    assert (await opened(tmp_path, is_written=False)).marker == "theirs"
    adopted = await opened(tmp_path, adopt=True)
    assert adopted.marker == KEY
    assert await refused(tmp_path, key="theirs") is Reason.FOREIGN_MARKER


async def test_damaged_marker_is_foreign(tmp_path: Path) -> None:
    await opened(tmp_path)
    (tmp_path / ".syncd/marker").write_bytes(b"\xff{")
    assert await refused(tmp_path) is Reason.FOREIGN_MARKER


@pytest.mark.parametrize("before", [None, "theirs"])
async def test_marker_is_the_old_or_the_new_one_whenever_its_writer_is_killed(
    tmp_path: Path, before: str | None
) -> None:
    """CRA-09: half a marker would be a foreign one."""
    if before is not None:
        await opened(tmp_path, key=before)
    root = identity.open_root(os.fsencode(tmp_path))
    control = Control(root)
    found: list[str | None] = []
    calls: list[str] = []
    while len(calls) == len(found):
        with killed_before(len(found) + 1) as calls, contextlib.suppress(Killed):
            identity.write_marker(root, control.fd, Claim(KEY))
        marker = identity.read_marker(root)
        found.append(None if marker is None else marker.pair)
    control.close()
    os.close(root)
    assert calls == ["unlink", "write", "fsync", "rename", "fsync", "fsync"]
    assert found == [before] * 4 + [KEY] * 3
    assert (await opened(tmp_path)).had_marker


async def test_empty_mount_point_is_not_the_root(tmp_path: Path) -> None:
    """ROO-01: the marker that was there is not there any more."""
    (tmp_path / "r").mkdir()
    known = await opened(tmp_path / "r")
    shutil.rmtree(tmp_path / "r")
    (tmp_path / "r").mkdir()
    assert await refused(tmp_path / "r", known) is Reason.ROOT_CHANGED
    assert list((tmp_path / "r").iterdir()) == []
    assert (await opened(tmp_path / "r", known, adopt=True)).marker == KEY


async def test_restored_root_with_its_marker_is_the_root(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    known = await opened(tmp_path / "r")
    shutil.copytree(tmp_path / "r", tmp_path / "copy", symlinks=True)
    shutil.rmtree(tmp_path / "r")
    (tmp_path / "copy").rename(tmp_path / "r")
    assert (await opened(tmp_path / "r", known)).had_marker is True


async def test_read_root_is_known_by_file_system_and_inode(tmp_path: Path) -> None:
    for name in ("r", "other"):
        (tmp_path / name).mkdir()
    known = await opened(tmp_path / "r", is_written=False)
    # Device numbers change over a reboot: that alone says nothing.
    assert await opened(tmp_path / "r", RootIdentity(1, known.inode, known.filesystem_id), is_written=False)
    elsewhere = RootIdentity(known.device, known.inode, "ext4:0")
    assert await refused(tmp_path / "r", elsewhere, is_written=False) is Reason.ROOT_CHANGED
    (tmp_path / "r").rename(tmp_path / "away")
    (tmp_path / "other").rename(tmp_path / "r")
    assert await refused(tmp_path / "r", known, is_written=False) is Reason.ROOT_CHANGED


async def test_root_that_is_missing_a_file_or_a_link(tmp_path: Path) -> None:
    """ROO-02, ROO-06."""
    assert await refused(tmp_path / "none") is Reason.ROOT_MISSING
    (tmp_path / "file").write_bytes(b"")
    assert await refused(tmp_path / "file") is Reason.ROOT_CHANGED
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert await refused(tmp_path / "link") is Reason.ROOT_CHANGED


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
async def test_root_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    fail(monkeypatch, "mkdir", number)
    assert await refused(tmp_path) is Reason.ROOT_NOT_WRITABLE


async def test_full_disk_at_start_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(monkeypatch, "write", errno.ENOSPC)
    assert await refused(tmp_path) is Reason.DISK_FULL
    monkeypatch.undo()
    assert (await opened(tmp_path)).had_marker is False


async def test_control_directory_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "r").mkdir()
    (tmp_path / "r/.syncd").symlink_to(tmp_path / "outside")
    assert await refused(tmp_path / "r") is Reason.ROOT_NOT_WRITABLE
    assert list((tmp_path / "outside").iterdir()) == []


async def test_check_root_while_it_runs(tmp_path: Path) -> None:
    kit = await Kit(tmp_path).open()
    assert await kit.target.check_root() is None
    os.rename(kit.b, kit.b + b".away")
    gone = await kit.target.check_root()
    assert gone is not None
    assert gone.reason is Reason.ROOT_MISSING
    os.mkdir(kit.b)
    other = await kit.target.check_root()
    assert other is not None
    assert other.reason is Reason.ROOT_CHANGED
    os.rmdir(kit.b)
    os.symlink(kit.b + b".away", kit.b)
    link = await kit.target.check_root()
    assert link is not None
    assert link.reason is Reason.ROOT_CHANGED
    os.unlink(kit.b)
    os.rename(kit.b + b".away", kit.b)
    assert await kit.target.check_root() is None
    shutil.rmtree(kit.at(b".syncd"))
    unmarked = await kit.target.check_root()
    assert unmarked is not None
    assert unmarked.reason is Reason.ROOT_CHANGED


async def test_released_root_is_opened_again_and_must_be_the_same(tmp_path: Path) -> None:
    kit = await Kit(tmp_path).open()
    kit.write(b"f", b"1")
    assert await kit.names() == [b"f"]
    await kit.target.release()
    assert not [fd for fd in os.listdir("/proc/self/fd") if _points_to(fd, kit.b)]
    assert await kit.names() == [b"f"]
    await kit.target.release()
    os.rename(kit.b, kit.b + b".away")
    with pytest.raises(SyncdError):
        await kit.names()
    os.mkdir(kit.b)
    with pytest.raises(NeedsUser) as caught:
        await kit.do(await kit.put(b"g", b"2"))
    assert caught.value.reason is Reason.ROOT_CHANGED
    assert os.listdir(kit.b) == []


def _points_to(fd: str, root: bytes) -> bool:
    try:
        return os.fsencode(os.readlink(f"/proc/self/fd/{fd}")).startswith(root)
    except OSError:
        return False


@needs_root
async def test_idle_root_can_be_unmounted(tmp_path: Path) -> None:
    with mounted(tmp_path / "b", "size=4m"):
        kit = await Kit(tmp_path).open()
        await kit.do(await kit.put(b"f", b"1"))
        await kit.names()
        await kit.target.digest([b"f"])
        await kit.target.release()
        assert not [fd for fd in os.listdir("/proc/self/fd") if _points_to(fd, kit.b)]


async def test_capabilities_are_probed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kit = await Kit(tmp_path).open()
    found = kit.target.capabilities
    assert (found.is_writable, found.is_case_sensitive, found.has_symlinks) == (True, True, True)
    assert found.mode_mask == 0o777
    assert found.is_normalisation_preserving
    assert found.filesystem
    monkeypatch.setattr(sc, "fchmod", lambda fd, mode: None)
    fail(monkeypatch, "symlink", errno.EPERM)
    real = sc.utime

    def whole_seconds(target: Any, **named: Any) -> None:
        if "ns" in named:
            named["ns"] = tuple(stamp // 2_000_000_000 * 2_000_000_000 for stamp in named["ns"])
        real(target, **named)

    monkeypatch.setattr(sc, "utime", whole_seconds)
    monkeypatch.setattr("syncd.tree.local.probe._exists", lambda stage, name: True)
    await kit.target.open(known=None, adopt=False)
    poor = kit.target.capabilities
    assert (poor.mode_mask, poor.has_symlinks, poor.is_case_sensitive) == (0, False, False)
    assert poor.time_granularity_ns == 2_000_000_000
    assert not poor.is_normalisation_preserving


async def test_source_and_destination_may_be_one_kind_only(tmp_path: Path) -> None:
    tree = LocalTree(tmp_path, S, pair_key=KEY, is_written=True)
    assert (await tree.open(known=None, adopt=False)).marker == KEY
    assert (tree.side, tree.recovered) == (S, ())
    await tree.close()
    assert OLD_NS


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
async def test_the_attachment_is_the_same_for_a_boot_and_another_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = (await opened(tmp_path)).attachment
    assert now.startswith(Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", ""))
    assert (await opened(tmp_path)).attachment == now
    monkeypatch.setattr(identity, "_BOOT", str(tmp_path / "hidden"))
    monkeypatch.setenv("SYNCD_BOOT_ID", "1-2a-b")
    assert (await opened(tmp_path)).attachment.startswith("12ab:")
    monkeypatch.delenv("SYNCD_BOOT_ID")
    assert (await opened(tmp_path)).attachment == ""


@pytest.mark.parametrize("is_partition", [False, True])
def test_a_block_device_that_is_attached_anew_has_another_attachment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_partition: bool
) -> None:
    disk = tmp_path / "disk"
    place = disk / "part" if is_partition else disk
    place.mkdir(parents=True)
    link = tmp_path / f"{os.major(1)}:{os.minor(1)}"
    link.symlink_to(place)
    monkeypatch.setattr(identity, "_BLOCK", str(tmp_path))
    found = []
    for number in (3, 3, 4):
        (disk / "diskseq").write_text(f"{number}\n")
        found.append(identity.attachment(1))
    assert found[0] == found[1] != found[2]
