"""Where watches cannot be had, or lose something: limits, storms, stalled threads, and what is said then."""

import os
import shutil
import subprocess
import sys

import anyio
import pytest
from watchfiles._rust_notify import RustNotify

from syncd.core.reason import Reason
from syncd.watch import generation as generation_module
from syncd.watch import notify as notify_module
from syncd.watch import translate as translate_module
from syncd.watch.generation import End, classify, suspect_directory
from syncd.watch.local import EVENTS_KIND, limit_fix
from syncd.watch.port import Dirty, Rescan
from tests.watch.conftest import PATIENCE_S, local, running, write

LOST = Rescan(b"", Reason.WATCH_LOST)
MISSING = Rescan(b"", Reason.ROOT_MISSING)


async def test_wat_02_no_more_watches_falls_back_to_polling_and_retries(
    root: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:

    def refuse(*_: object) -> None:
        raise OSError('OS file watch limit reached. about ["/x"]')

    monkeypatch.setattr(notify_module, "RustNotify", refuse)
    watcher = local(root, is_written=True, retry_s=0.2)
    async with running(watcher) as ear:
        assert (watcher.kind, watcher.problem) == ("poll", Reason.WATCH_LIMIT)
        assert "sysctl fs.inotify.max_user_watches=" in watcher.detail
        assert not await watcher.cookie(PATIENCE_S)
        await ear.wait(lambda events: events.count(Rescan(b"", Reason.WATCH_LIMIT)) >= 2)
        monkeypatch.setattr(notify_module, "RustNotify", RustNotify)
        await ear.wait_for(LOST)
        assert (watcher.kind, watcher.problem) == (EVENTS_KIND, None)


async def test_wat_02_limit_reached_by_new_directories(root: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("OS file watch limit reached.")

    monkeypatch.setattr(generation_module, "RustNotify", refuse)
    monkeypatch.setattr(generation_module, "CHECK_S", 0.05)
    watcher = local(root)
    async with running(watcher) as ear:
        os.mkdir(os.path.join(root, b"d"))
        await ear.wait_for(Rescan(b"", Reason.WATCH_LIMIT))
        assert watcher.problem is Reason.WATCH_LIMIT


async def test_a_directory_that_vanishes_while_starting_is_survived(
    root: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def refuse(*given: object) -> object:
        calls.append(given)
        if len(calls) < 3:
            raise FileNotFoundError("No path was found.")
        return RustNotify(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(notify_module, "RustNotify", refuse)
    async with running(local(root)) as ear:
        assert len(calls) == 3
        write(root, b"f")
        await ear.wait_for(Dirty(b"f", is_gone=False))


async def test_the_survey_leaves_out_what_may_not_be_read(root: bytes) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    os.mkdir(os.path.join(root, b"closed"), 0o000)
    async with running(local(root)) as ear:
        write(root, b"f")
        await ear.wait_for(Dirty(b"f", is_gone=False))
        os.chmod(os.path.join(root, b"closed"), 0o700)
        await ear.wait_for(LOST)
        write(root, b"closed/f")
        await ear.wait_for(Dirty(b"closed/f", is_gone=False))


async def test_a_storm_becomes_one_rescan(root: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkdir(os.path.join(root, b"d"))
    async with running(local(root, settle_s=0.3)) as ear:
        for number in range(20_000):
            os.close(os.open(os.path.join(root, b"d/%d" % number), os.O_CREAT | os.O_WRONLY))
        await ear.wait_for(Rescan(b"", Reason.WATCH_LOST))


async def test_a_storm_beside_a_linked_directory(root: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    os.symlink(b".", os.path.join(root, b"link"))
    os.mkdir(os.path.join(root, b"old"))
    monkeypatch.setattr(translate_module, "STORM_NAMES", 2)
    async with running(local(root, settle_s=0.3)) as ear:
        for name in (b"n1", b"n2", b"n3"):
            os.mkdir(os.path.join(root, name))
        for name in (b"n1", b"n2", b"n3"):
            await ear.wait_for(Rescan(name, Reason.ADDED))
        monkeypatch.setattr(translate_module, "STORM_NAMES", 4096)
        with anyio.fail_after(PATIENCE_S):
            # As long as the directory itself is news, what is in it is not told apart.
            while Dirty(b"n3/f", is_gone=False) not in ear.events:
                write(root, b"n3/f")
                await anyio.sleep(0.2)


def test_limit_fix_names_the_line() -> None:
    assert "max_user_instances=" in limit_fix(End.INSTANCES, 1)
    assert limit_fix(End.UNSUPPORTED, 1) == ""


_LIMITED = """
import sys, anyio
from syncd.watch.local import LocalWatcher

async def main():
    watcher = LocalWatcher(
        sys.argv[1].encode(), settle_s=0.0, is_written=False, control=b".syncd", poll_s=60.0
    )
    async with anyio.create_task_group() as tasks:
        await tasks.start(watcher.run, lambda events: None)
        print(watcher.kind, watcher.problem, watcher.detail)
        tasks.cancel_scope.cancel()

anyio.run(main)
"""


@pytest.mark.skipif(
    shutil.which("unshare") is None, reason="unshare is not installed (apt install util-linux)"
)
@pytest.mark.parametrize(
    ("limit", "name"), [("watches", "max_user_watches"), ("instances", "max_user_instances")]
)
def test_wat_02_03_the_kernels_own_limits(root: bytes, limit: str, name: str) -> None:
    for number in range(10):
        os.mkdir(os.path.join(root, b"%d" % number))
    script = f'echo 0 > /proc/sys/user/max_inotify_{limit} || exit 77; exec "$@"'
    command = ["unshare", "-Ur", "sh", "-c", script, "sh", sys.executable, "-c", _LIMITED, os.fsdecode(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("user namespaces are not allowed here")
    assert done.stdout.startswith("poll watch-limit")
    assert f"sysctl fs.inotify.{name}=" in done.stdout


@pytest.mark.parametrize(
    ("failure", "was_watching", "end"),
    [
        (OSError('OS file watch limit reached. about ["/x"]'), False, End.WATCHES),
        (
            RuntimeError("Error creating recommended watcher: Too many open files (os error 24)"),
            False,
            End.INSTANCES,
        ),
        (RuntimeError('Unable to decode path "/r/d/x\\xFF" to string'), True, End.NAME),
        (FileNotFoundError("No path was found."), False, End.VANISHED),
        (PermissionError('Permission denied (os error 13) about ["/x"]'), False, End.VANISHED),
        (RuntimeError("error in underlying watcher"), True, End.EVENTS_LOST),
        (RuntimeError("something new"), False, End.UNSUPPORTED),
    ],
)
def test_causes_are_told_from_texts(failure: Exception, was_watching: bool, end: End) -> None:
    assert classify(failure, was_watching=was_watching) is end


def test_the_directory_of_an_odd_name_is_told_from_the_text() -> None:
    assert suspect_directory(RuntimeError('Unable to decode path "/r/d/x\\xFF" to string')) == b"/r/d"
    assert suspect_directory(RuntimeError('Unable to decode path "/r/\\xFE/x\\xFF" to string')) == b"/r"
    assert suspect_directory(RuntimeError("something new")) is None


async def test_a_stalled_thread_asks_for_a_scan(root: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process was stopped: what the kernel dropped meanwhile is not told by anybody."""
    monkeypatch.setattr(notify_module, "STALLED_S", 0.0)
    async with running(local(root, settle_s=0.3)) as ear:
        await ear.wait_for(Rescan(b"", Reason.WATCH_LOST))
