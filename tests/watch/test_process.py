"""Watches in the watching process: the same events, and what follows when the process dies or never lives."""

import contextlib
import io
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import pytest

from syncd.core.reason import Reason
from syncd.tree.local.helper import frame, read_frame
from syncd.watch import generation as generation_module
from syncd.watch import local as local_module
from syncd.watch import notify as notify_module
from syncd.watch.child import Began, Begin, Ended, Stop, Word, encode, serve_blocking
from syncd.watch.local import EVENTS_KIND
from syncd.watch.notify import Order, pace_for
from syncd.watch.port import Dirty, Rescan
from syncd.watch.process import WatchProcess, _decode
from syncd.watch.translate import LOST, Batch
from tests.watch.conftest import PATIENCE_S, local, running, write

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def watching() -> AsyncIterator[WatchProcess]:
    host = WatchProcess()
    async with anyio.create_task_group() as tasks:
        await tasks.start(host.run)
        yield host
        tasks.cancel_scope.cancel()


def inotify_instances(pid: int | None) -> int:
    found = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += os.readlink(link) == "anon_inode:inotify"
    return found


def order(path: bytes) -> Order:
    return Order(path, (os.fsdecode(path),), True, False, pace_for(0), b".syncd")


async def test_events_come_through(root: bytes) -> None:
    os.mkdir(os.path.join(root, b".syncd"))
    async with watching() as host, running(local(root, is_written=True, host=host)) as ear:
        write(root, b"f")
        await ear.wait_for(Dirty(b"f", is_gone=False))
        os.mkdir(os.path.join(root, b"d"))
        await ear.wait_for(Rescan(b"d", Reason.ADDED))
        assert host.pid is not None


async def test_a_cookie_comes_through(root: bytes) -> None:
    os.mkdir(os.path.join(root, b".syncd"))
    async with watching() as host:
        watcher = local(root, is_written=True, host=host)
        async with running(watcher):
            assert await watcher.cookie(PATIENCE_S)


async def test_two_roots_share_one_process(root: bytes) -> None:
    for name in (b"a", b"b"):
        os.mkdir(os.path.join(root, name))
    a, b = os.path.join(root, b"a"), os.path.join(root, b"b")
    async with watching() as host, running(local(a, host=host)) as one:
        first = host.pid
        async with running(local(b, host=host)) as other:
            write(a, b"f")
            await one.wait_for(Dirty(b"f", is_gone=False))
            write(b, b"g")
            await other.wait_for(Dirty(b"g", is_gone=False))
            assert Dirty(b"f", is_gone=False) not in other.events
        write(a, b"h")
        await one.wait_for(Dirty(b"h", is_gone=False))
        assert host.pid == first


async def test_a_killed_process_is_begun_anew_and_a_scan_asked_for(root: bytes) -> None:
    async with watching() as host:
        watcher = local(root, host=host)
        async with running(watcher) as ear:
            first = host.pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            await ear.wait_for(LOST[0])
            assert host.pid not in (None, first)
            assert watcher.kind == EVENTS_KIND
            write(root, b"f")
            await ear.wait_for(Dirty(b"f", is_gone=False))


async def test_wat_11_after_a_process_that_dies_again_the_watcher_rests_and_says_so(
    root: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_module, "BACKOFF_S", 3600.0)
    monkeypatch.setattr(local_module, "BACKOFF_LONGEST_S", 3600.0)
    async with watching() as host:
        watcher = local(root, host=host)
        async with running(watcher) as ear:
            first = host.pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            await ear.wait_for(LOST[0])
            assert (watcher.is_alive, watcher.problem, watcher.watched) == (True, None, 1)
            assert host.pid is not None
            os.kill(host.pid, signal.SIGKILL)
            with anyio.fail_after(PATIENCE_S):
                while watcher.problem is None:
                    await anyio.sleep(0.01)
            assert (watcher.is_alive, watcher.problem, watcher.watched) == (False, Reason.WATCH_LOST, 0)
            assert watcher.detail == "events were lost: the watching process has ended"
            assert not await watcher.cookie(PATIENCE_S), "nobody vouches for what happens now"
            assert host.pid is None


@pytest.mark.parametrize(
    ("failures", "pause_s"), [(0, 0.0), (1, 0.5), (2, 1.0), (3, 2.0), (7, 32.0), (8, 60.0), (100_000, 60.0)]
)
def test_wat_11_pauses_grow_up_to_a_minute(failures: int, pause_s: float) -> None:
    assert local_module.backoff_s(failures) == pause_s


async def test_a_hung_process_is_replaced(root: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkdir(os.path.join(root, b".syncd"))
    monkeypatch.setattr(generation_module, "VERIFY_TIMEOUT_S", 0.3)
    async with watching() as host, running(local(root, is_written=True, verify_s=0.05, host=host)) as ear:
        first = host.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        await ear.wait_for(LOST[0])
        assert host.pid not in (None, first)
        write(root, b"f")
        await ear.wait_for(Dirty(b"f", is_gone=False))


async def test_a_process_that_dies_while_watches_are_placed_is_no_reason_to_poll(root: bytes) -> None:
    host = WatchProcess()
    watcher = local(root, host=host)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(host.run)

        async def kill() -> None:
            while host.pid is None:
                await anyio.sleep(0)
            os.kill(host.pid, signal.SIGKILL)

        tasks.start_soon(kill)
        async with running(watcher) as ear:
            assert watcher.kind == EVENTS_KIND
            write(root, b"f")
            await ear.wait_for(Dirty(b"f", is_gone=False))
        tasks.cancel_scope.cancel()


async def test_a_process_that_cannot_be_begun_means_threads(
    root: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    async with watching() as host:
        watcher = local(root, host=host)
        async with running(watcher) as ear:
            assert (watcher.kind, host.pid) == (EVENTS_KIND, None)
            write(root, b"f")
            await ear.wait_for(Dirty(b"f", is_gone=False))


async def test_the_process_ends_with_its_daemon(root: bytes) -> None:
    async with watching() as host, running(local(root, host=host)):
        pid = host.pid
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_an_error_of_a_receiver_is_its_own(root: bytes) -> None:
    def fail(_batch: Batch) -> None:
        raise ValueError("of the receiver")

    async with watching() as host, running(local(root, host=host)) as ear:
        with pytest.raises(ValueError, match="of the receiver"), anyio.fail_after(PATIENCE_S):
            await host.pump(order(root), anyio.Event(), lambda: write(root, b"f"), fail)
        if sys.platform == "linux":
            with anyio.fail_after(PATIENCE_S):
                while inotify_instances(host.pid) > 1:  # one is the ear's
                    await anyio.sleep(0.01)
        write(root, b"g")
        await ear.wait_for(Dirty(b"g", is_gone=False))


async def test_a_failure_keeps_its_kind(root: bytes) -> None:
    async with watching() as host:
        gone = order(os.path.join(root, b"gone"))
        failure = await host.pump(gone, anyio.Event(), lambda: None, lambda batch: None)
    assert isinstance(failure, FileNotFoundError)


async def test_a_stopped_pump_ends_without_failure(root: bytes) -> None:
    stop = anyio.Event()
    async with watching() as host:
        assert await host.pump(order(root), stop, stop.set, lambda batch: None) is None


def words_of(requests: bytes, until: Callable[[Word], bool]) -> list[Word]:
    """What the child says to `requests`, up to the word that `until` holds for."""
    reading, writing = os.pipe()
    given, giving = os.pipe()
    said: list[Word] = []
    with os.fdopen(reading, "rb") as words, os.fdopen(writing, "wb") as sink:
        os.write(giving, requests)
        os.close(giving)
        with os.fdopen(given, "rb") as source:
            serve_blocking(source, sink)
        while not said or not until(said[-1]):
            said.append(_decode(read_frame(words)))
    return said


def test_the_child_does_what_it_is_asked(root: bytes) -> None:
    asked = [Begin(1, order(root)), Stop(1), Stop(7)]
    said = words_of(b"".join(frame(encode(one)) for one in asked), lambda word: isinstance(word, Ended))
    assert said == [Began(1), Ended(1, None)]


def test_the_child_tells_what_broke(root: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("unforeseen")

    monkeypatch.setattr(notify_module, "RustNotify", refuse)
    said = words_of(frame(encode(Begin(1, order(root)))), lambda word: isinstance(word, Ended))
    assert said == [Ended(1, ("RuntimeError", "ValueError: unforeseen"))]


def test_the_child_ends_with_its_requests() -> None:
    serve_blocking(io.BytesIO(b""), io.BytesIO())


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="scheduling policies are Linux's")
async def test_the_process_is_patient(root: bytes) -> None:
    async with watching() as host, running(local(root, host=host)):
        assert host.pid is not None
        assert os.sched_getscheduler(host.pid) == os.SCHED_BATCH
