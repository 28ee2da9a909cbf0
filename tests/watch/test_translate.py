"""Batches become events: existence is asked, rescans swallow what is beneath, control names vanish."""

import os

import pytest

from syncd.core.reason import Reason
from syncd.watch import translate as module
from syncd.watch.port import Dirty, Event, Rescan
from syncd.watch.translate import collapse, translate_blocking

ADDED, MODIFIED, DELETED = 1, 2, 3


def test_what_is_there_decides(root: bytes) -> None:
    os.mkdir(os.path.join(root, b"new"))
    os.mkdir(os.path.join(root, b"old"))
    text = os.fsdecode(root)
    raw = {
        (ADDED, f"{text}/new"), (ADDED, f"{text}/new/below"), (MODIFIED, f"{text}/old"),
        (ADDED, f"{text}/short"), (DELETED, f"{text}/short"), (MODIFIED, text), (MODIFIED, f"{text}2/x"),
    }  # fmt: skip
    assert translate_blocking(root, raw).events == (
        Dirty(b"", is_gone=False),
        Rescan(b"new", Reason.ADDED),
        Dirty(b"old", is_gone=False),
        Dirty(b"short", is_gone=True),
    )


def test_control_names_are_dropped_but_for_cookies(root: bytes) -> None:
    text = os.fsdecode(root)
    raw = {(ADDED, f"{text}/.syncd"), (ADDED, f"{text}/.syncd/trash/1"), (ADDED, f"{text}/.syncd/cookies/c")}
    batch = translate_blocking(root, raw)
    assert (batch.events, batch.cookies, batch.is_control_new) == ((), ("c",), True)


def test_the_root_directory_of_the_machine() -> None:
    assert translate_blocking(b"/", {(DELETED, "/no-such-name")}).events == (Dirty(b"no-such-name", True),)


def test_a_storm_means_the_whole_root(root: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STORM_NAMES", 2)
    text = os.fsdecode(root)
    raw = {(ADDED, f"{text}/a/b/{name}") for name in "xyz"}
    assert translate_blocking(root, raw).events == (Rescan(b"", Reason.WATCH_LOST),)


def test_collapse_sorts_and_swallows() -> None:
    gone, rescan = Dirty(b"a", True), Rescan(b"b", Reason.ADDED)
    events: list[Event] = [Dirty(b"b/c", False), gone, rescan, Dirty(b"b-2", False), Dirty(b"b", False)]
    assert collapse(events) == [rescan, Dirty(b"b-2", False), gone] or collapse(events) == [
        Dirty(b"b-2", False), rescan, gone,
    ]  # fmt: skip
    assert collapse([Rescan(b"", Reason.ADDED), Dirty(b"x", False)]) == [Rescan(b"", Reason.ADDED)]
