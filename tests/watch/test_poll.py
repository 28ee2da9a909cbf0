"""Polling: the spacing adapts, the root's absence is told once."""

import os

import anyio
import pytest

from syncd.core.reason import Reason
from syncd.watch.fake import FakeWatcher
from syncd.watch.local import LocalWatcher
from syncd.watch.make import make_watcher
from syncd.watch.notify import pace_for
from syncd.watch.poll import LONGEST_S, PollWatcher, Spacing, signature_blocking
from syncd.watch.port import Dirty, Rescan
from tests.watch.conftest import PATIENCE_S, running, write


class Events:
    def __init__(self, has_events: bool) -> None:
        self.has_events = has_events


def test_spacing_grows_until_a_cost_is_known() -> None:
    spacing = Spacing(2.0)
    seen = []
    for _ in range(20):
        seen.append(spacing.interval_s)
        spacing.advance()
    assert seen[0] == 2.0
    assert seen == sorted(seen)
    assert seen[-1] == LONGEST_S
    spacing.note(0.1)
    assert spacing.interval_s == pytest.approx(5.0)
    spacing.advance()
    assert spacing.interval_s == pytest.approx(5.0)
    spacing.note(0.0)
    assert spacing.interval_s == 2.0
    spacing.note(1e9)
    assert spacing.interval_s == LONGEST_S


async def test_wat_09_without_events_scans_are_asked_for(root: bytes) -> None:
    watcher = make_watcher(root, settle_s=0.3, capabilities=Events(False), is_written=True, poll_s=0.01)
    assert isinstance(watcher, PollWatcher)
    async with running(watcher) as ear:
        assert watcher.problem is Reason.WATCH_UNSUPPORTED
        watcher.scanned(0.0)
        await ear.wait(lambda events: len(events) >= 2)
        assert set(ear.events) == {Rescan(b"", Reason.WATCH_UNSUPPORTED)}
        assert not await watcher.cookie(PATIENCE_S)
        os.rmdir(root)
        await ear.wait_for(Rescan(b"", Reason.ROOT_MISSING))
        os.mkdir(root)
        ear.events.clear()
        await ear.wait_for(Rescan(b"", Reason.WATCH_UNSUPPORTED))
        assert Rescan(b"", Reason.ROOT_MISSING) not in ear.events
    assert not watcher.is_alive


def test_make_watcher_takes_events_where_there_are_any(root: bytes) -> None:
    watcher = make_watcher(os.fsdecode(root), settle_s=0.3, capabilities=Events(True), is_written=True)
    assert isinstance(watcher, LocalWatcher)


def test_a_signature_tells_changes(root: bytes) -> None:
    before = signature_blocking(root)
    write(root, b"\xff")
    after = signature_blocking(root)
    assert before != after
    assert signature_blocking(root) == after
    assert signature_blocking(os.path.join(root, b"none")) == ()


@pytest.mark.parametrize(("settle_s", "idle_ms"), [(0.0, 5), (0.03, 5), (0.15, 25), (0.3, 50), (5.0, 50)])
def test_pace(settle_s: float, idle_ms: int) -> None:
    assert pace_for(settle_s).idle_ms == idle_ms


async def test_the_fake_reports_what_it_is_told() -> None:
    watcher = FakeWatcher()
    assert not watcher.emit([Dirty(b"a", False)])
    async with running(watcher) as ear:
        assert watcher.emit([Dirty(b"b", False)])
        assert await watcher.cookie(1.0)
        watcher.scanned(0.5)
        assert ear.events == [Dirty(b"b", False)]
    assert not await watcher.cookie(1.0)
    assert watcher.scan_costs_s == [0.5]
    await anyio.lowlevel.checkpoint()
