"""LocalTree.apply on real directories: what is kept, what is refused, what an error leaves behind."""

import errno
import os
import resource
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import msgspec
import pytest

from syncd.core.action import (
    Delete,
    Done,
    Failed,
    MakeDirectory,
    Put,
    RemoveDirectory,
    Result,
    SetMode,
    Stale,
    displaced_bytes,
)
from syncd.core.entry import Entry, Kind
from syncd.core.error import TransientError
from syncd.core.reason import Reason
from syncd.tree.local import apply, copying, names
from syncd.tree.local import syscalls as sc
from syncd.tree.port import Step
from tests.contract.localkit import OLD_NS, D, Kit, fail, kinds, mounted, needs_root


@pytest.fixture
async def kit(tmp_path: Path) -> Kit:
    return await Kit(tmp_path).open()


@pytest.fixture(params=["nameless", "named"])
def staging(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to stage: O_TMPFILE, and names in the staging directory."""
    if request.param == "named":
        monkeypatch.setattr(names.Nameless, "is_possible", property(lambda self: False))
    return str(request.param)


async def test_new_and_replaced_files_are_whole_and_carry_mode_and_stamp(kit: Kit, staging: str) -> None:
    done = await kit.do(await kit.put(b"f", b"one", mode=0o640))
    assert isinstance(done, Done)
    assert done.trash is None
    found = os.lstat(kit.at(b"f"))
    assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns) == (0o640, OLD_NS)
    assert done.hint is not None
    assert (done.hint.inode, done.hint.ctime_ns) == (found.st_ino, found.st_ctime_ns)
    replaced = await kit.do(await kit.put(b"f", b"two", mode=0o755))
    assert isinstance(replaced, Done)
    assert replaced.trash is not None
    assert kit.read(b"f") == b"two"
    assert stat.S_IMODE(os.lstat(kit.at(b"f")).st_mode) == 0o755
    assert kit.trash() == [b"one"]
    assert kit.leftovers() == []


async def test_many_small_files_in_one_batch_share_a_sync(kit: Kit, staging: str) -> None:
    steps = [await kit.put(b"f%d" % index, b"%d" % index) for index in range(20)]
    assert kinds(await kit.run(*steps)) == ["Done"] * 20
    assert kit.tree() == {b"f%d" % index: b"%d" % index for index in range(20)}
    steps = [await kit.put(b"f%d" % index, b"new %d" % index) for index in range(20)]
    assert kinds(await kit.run(*steps)) == ["Done"] * 20
    assert kit.trash() == sorted(b"%d" % index for index in range(20))
    assert kit.leftovers() == []


async def test_large_file_is_copied_in_blocks_and_stops_when_told(kit: Kit) -> None:
    data = os.urandom(5 << 20)
    assert isinstance(await kit.do(await kit.put(b"f", data, knows_digest=False)), Done)
    assert kit.read(b"f") == data
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 3

    assert await kit.run(await kit.put(b"g", data), stop=stop) == []
    assert not os.path.lexists(kit.at(b"g"))
    assert kit.leftovers() == []


async def test_stopped_batch_leaves_the_rest_out(kit: Kit) -> None:
    steps = [await kit.put(b"f%d" % index, b"x") for index in range(3)]
    assert await kit.run(*steps, stop=lambda: True) == []
    assert kit.tree() == {}


async def test_source_that_changes_while_it_is_read_is_stale(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RAC-02, BAS-14: nothing half-read is ever put in place."""
    step = await kit.put(b"f", b"x" * 1000, knows_digest=False)
    real = copying.copy_small

    def touched(source: int, target: int, size: int) -> bytes:
        digest = real(source, target, size)
        assert isinstance(step.action, Put)
        kit.write(step.action.origin, b"y" * 1000, mtime_ns=None, root=kit.a)
        return digest

    monkeypatch.setattr("syncd.tree.local.stage.copy_small", touched)
    result = await kit.do(step)
    assert isinstance(result, Stale)
    assert isinstance(step.action, Put)
    assert result.source_paths == (step.action.origin,)
    assert kit.tree() == {}


@pytest.mark.parametrize("change", ["grown", "shrunk", "gone", "link", "other bytes"])
async def test_source_that_changed_before_it_is_read_is_stale(kit: Kit, change: str) -> None:
    step = await kit.put(b"f", b"x" * 1000)
    assert isinstance(step.action, Put)
    origin = os.path.join(kit.a, step.action.origin)
    if change == "gone":
        os.unlink(origin)
    elif change == "link":
        os.unlink(origin)
        os.symlink(b"/etc/passwd", origin)
    else:
        data = {"grown": b"x" * 1001, "shrunk": b"x", "other bytes": b"y" * 1000}[change]
        kit.write(step.action.origin, data, root=kit.a)
    result = await kit.do(step)
    assert isinstance(result, Stale)
    assert result.source_paths == (step.action.origin,)
    assert (result.destination_paths, kit.tree()) == ((), {})


async def test_unreadable_source_is_an_issue_of_the_path(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """ERR-08, ERR-09."""
    steps = [await kit.put(b"f", b"1"), await kit.put(b"g", b"22")]
    fail(monkeypatch, "read", errno.EIO, only=lambda fd, count: count == 2)
    failed, done = await kit.run(*steps)
    assert isinstance(failed, Failed)
    assert (failed.reason, failed.is_fatal) == (Reason.IO_ERROR, False)
    assert isinstance(done, Done)
    assert kit.tree() == {b"g": b"22"}


@pytest.mark.parametrize(
    ("number", "reason", "is_fatal"),
    [
        (errno.ENOSPC, Reason.DISK_FULL, True),
        (errno.EDQUOT, Reason.DISK_FULL, True),
        (errno.EFBIG, Reason.DISK_FULL, False),
        (errno.EIO, Reason.IO_ERROR, False),
        (errno.EROFS, Reason.READ_ONLY, True),
        (errno.EPERM, Reason.NOT_PERMITTED, False),
    ],
)
async def test_error_while_staging_leaves_the_old_version(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, staging: str, number: int, reason: Reason, is_fatal: bool
) -> None:
    """ERR-01, ERR-10."""
    kit.write(b"f", b"old")
    step = await kit.put(b"f", b"new")
    fail(monkeypatch, "write", number, only=lambda fd, data: bytes(data) == b"new")
    result = await kit.do(step)
    assert isinstance(result, Failed)
    assert (result.reason, result.is_fatal) == (reason, is_fatal)
    assert kit.tree() == {b"f": b"old"}
    assert (kit.trash(), kit.leftovers()) == ([], [])


@pytest.mark.parametrize("call", ["fsync", "write"])
async def test_manifest_that_cannot_be_written_stops_the_batch(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    kit.write(b"f", b"old")
    step = await kit.delete(b"f")
    fail(monkeypatch, call, errno.ENOSPC)
    result = await kit.do(step)
    assert isinstance(result, Failed)
    assert (result.reason, result.is_fatal) == (Reason.DISK_FULL, True)
    assert kit.tree() == {b"f": b"old"}


async def test_names_that_do_not_reach_the_device_are_not_done(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [await kit.put(b"f%d" % index, b"x") for index in range(8)]
    calls: list[int] = []
    real = sc.fsync

    def fsync(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            calls.append(fd)
            raise OSError(errno.EIO, "EIO")
        real(fd)

    monkeypatch.setattr(sc, "fsync", fsync)
    results = await kit.run(*steps)
    assert calls
    assert {type(result) for result in results} == {Failed}
    assert all(isinstance(result, Failed) and result.is_in_doubt for result in results)


async def test_persisting_brings_everything_to_the_device(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """By one sync of the file system; of all of them, where there is no such call. Errors are told."""
    synced: list[str] = []
    monkeypatch.setattr(sc, "syncfs", lambda fd: synced.append("one"))
    monkeypatch.setattr(os, "sync", lambda: synced.append("all"))
    await kit.target.persist()
    with monkeypatch.context() as patch:
        patch.setattr(sc, "has_syncfs", lambda: False)
        await kit.target.persist()
    assert synced == ["one", "all"]

    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "EIO")

    monkeypatch.setattr(sc, "syncfs", fail)
    with pytest.raises(TransientError) as caught:
        await kit.target.persist()
    assert caught.value.reason is Reason.IO_ERROR


async def test_a_batch_whose_sync_failed_is_ended_when_another_works(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it displaced is a trash entry like any other; it is not taken for one that a kill left."""
    kit.write(b"f", b"old")

    def fail(work: apply.Work) -> None:
        raise OSError(errno.EIO, "EIO")

    with monkeypatch.context() as patch:
        patch.setattr(apply.Work, "_sync_names", fail)
        result = await kit.do(await kit.put(b"f", b"new"))
    assert isinstance(result, Failed)
    assert (result.is_in_doubt, result.trash is not None) == (True, True)
    assert kit.leftovers() == ["batch-1"]
    assert displaced_bytes(result) == len(b"old")
    await kit.target.persist("batch-1")
    assert kit.leftovers() == []
    assert kit.trash() == [b"old"]
    await kit.target.persist("batch-1")
    await kit.target.persist("one that displaced nothing")


async def test_short_writes_are_completed(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """ERR-14."""
    real = sc.write
    monkeypatch.setattr(sc, "write", lambda fd, data: real(fd, data[: max(1, len(data) // 3)]))
    small, large = os.urandom(1000), os.urandom(300_000)
    kit.write(b"small", b"old")
    results = await kit.run(await kit.put(b"small", small), await kit.put(b"large", large))
    assert kinds(results) == ["Done", "Done"]
    assert kit.tree() == {b"small": small, b"large": large}


async def test_real_full_disk_keeps_the_old_version(tmp_path: Path) -> None:
    """ERR-01, ERR-02."""
    with mounted(tmp_path / "b", "size=1m,nr_inodes=40"):
        kit = await Kit(tmp_path).open()
        kit.write(b"f", b"old")
        big = await kit.put(b"f", os.urandom(900_000))
        bigger = await kit.put(b"g", os.urandom(2_000_000))
        (full,) = await kit.run(bigger)
        assert isinstance(full, Failed)
        assert (full.reason, full.is_fatal) == (Reason.DISK_FULL, True)
        kit.write(b"ballast", b"x" * 300_000)
        (full,) = await kit.run(big)
        assert isinstance(full, Failed)
        assert full.reason is Reason.DISK_FULL
        assert kit.read(b"f") == b"old"
        os.unlink(kit.at(b"ballast"))
        before, after = await kit.put(b"before", b"1"), await kit.put(b"later", b"2")
        results = await kit.run(before, bigger, after)
        assert kinds(results) == ["Done", "Failed"], "what was staged is put in place, the rest not tried"
        assert kit.tree() == {b"f": b"old", b"before": b"1"}
        results = await kit.run(*[await kit.put(b"n%d" % index, b"x") for index in range(60)])
        assert isinstance(results[-1], Failed)
        assert results[-1].is_fatal
        assert len(results) < 60
        assert kit.leftovers() == []
        await kit.target.close()


@needs_root
async def test_immutable_target_fails_alone(kit: Kit) -> None:
    """ERR-04."""
    kit.write(b"f", b"old")
    kit.write(b"g", b"old")
    steps = [await kit.put(b"f", b"new"), await kit.put(b"g", b"new"), await kit.delete(b"f")]
    if subprocess.run(["chattr", "+i", kit.at(b"f")], capture_output=True, check=False).returncode:
        pytest.skip("no chattr here")
    try:
        results = await kit.run(*steps)
    finally:
        subprocess.run(["chattr", "-i", kit.at(b"f")], check=True)
    assert kinds(results) == ["Failed", "Done", "Failed"]
    assert isinstance(results[0], Failed)
    assert (results[0].reason, results[0].is_fatal) == (Reason.NOT_PERMITTED, False)
    assert kit.tree() == {b"f": b"old", b"g": b"new"}
    assert kit.trash() == [b"old"]


@pytest.mark.parametrize(
    "path", [b".syncd", b".syncd/marker", b"d/.SYNCD", b".syncd./x", b"..", b"a/..", b"a/\0"]
)
async def test_control_names_and_no_names_are_refused(kit: Kit, path: bytes) -> None:
    marker = kit.read(b".syncd/marker")
    step = await kit.put(b"f", b"evil")
    assert isinstance(step.action, Put)
    step = msgspec.structs.replace(step, action=msgspec.structs.replace(step.action, path=path))
    for refused in (
        step,
        Step(MakeDirectory(D, path, Entry(Kind.DIRECTORY, 0o755))),
        Step(Delete(D, path, Entry(Kind.FILE))),
        Step(RemoveDirectory(D, path, Entry(Kind.DIRECTORY))),
        Step(SetMode(D, path, 0o777, Entry(Kind.FILE))),
    ):
        result = await kit.do(refused)
        assert isinstance(result, Failed), result
        assert result.reason in (Reason.RESERVED_NAME, Reason.NAME_NOT_POSSIBLE)
    assert kit.read(b".syncd/marker") == marker
    assert kit.tree() == {}


async def test_missing_parent_and_parent_that_became_a_file_are_stale(kit: Kit) -> None:
    step = await kit.put(b"d/f", b"1")
    result = await kit.do(step)
    assert isinstance(result, Stale)
    assert b"d" in result.destination_paths
    kit.write(b"d", b"a file now")
    assert isinstance(await kit.do(step), Stale)
    assert kit.tree() == {b"d": b"a file now"}
    assert kit.leftovers() == []


async def test_other_spelling_of_a_name_is_a_collision_where_names_are_folded(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NAM-15: told once, not planned for ever."""
    kit.target.capabilities = msgspec.structs.replace(kit.target.capabilities, is_case_sensitive=False)
    kit.write(b"f", b"mine")
    real = sc.link_descriptor

    def folding(fd: int, directory: int, name: bytes, *, by_proc: bool) -> None:
        real(fd, directory, name.lower(), by_proc=by_proc)

    monkeypatch.setattr(sc, "link_descriptor", folding)
    result = await kit.do(await kit.put(b"F", b"theirs"))
    assert isinstance(result, Failed)
    assert result.reason is Reason.NAME_COLLISION
    assert kit.tree() == {b"f": b"mine"}


async def test_cancelled_task_waits_for_the_batch(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """RAC-18: a thread that changes names is never left unobserved."""
    step = await kit.put(b"f", b"new")
    began, results = anyio.Event(), list[Result]()
    real = sc.link_descriptor

    def slow(*args: Any, **named: Any) -> None:
        anyio.from_thread.run_sync(began.set)
        time.sleep(0.05)
        real(*args, **named)

    monkeypatch.setattr(sc, "link_descriptor", slow)

    async def apply() -> None:
        results.extend(await kit.run(step))

    async with anyio.create_task_group() as group:
        group.start_soon(apply)
        await began.wait()
        group.cancel_scope.cancel()
    assert kinds(results) == ["Done"]
    assert kit.tree() == {b"f": b"new"}


async def test_few_descriptors_slow_a_batch_down_and_lose_nothing(kit: Kit) -> None:
    """ERR-11."""
    steps = [await kit.put(b"f%d" % index, b"%d" % index) for index in range(120)]
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 40, limits[1]))
    try:
        results = await kit.run(*steps)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    for result in results:
        assert isinstance(result, Done) or (isinstance(result, Failed) and result.reason is Reason.RETRY)
    assert sum(isinstance(result, Done) for result in results) > 30
    again = [steps[index] for index, result in enumerate(results) if isinstance(result, Failed)]
    assert kinds(await kit.run(*again)) == ["Done"] * len(again)
    assert kit.tree() == {b"f%d" % index: b"%d" % index for index in range(120)}
    assert kit.leftovers() == []
