"""A long walk that goes on in a process: the same pages as a thread's, and no process left behind."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from syncd.core.error import TransientError
from syncd.core.filter import Filter
from syncd.core.reason import Reason
from syncd.tree.local import scan, walker
from syncd.tree.port import Listing
from tests.contract.localkit import Kit

RULES = Filter.build(["left-out/"], {})
PRUNE = partial(RULES.is_ignored, is_directory=True)


@pytest.fixture
async def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kit:
    """Small pages, so that a small tree is a long walk."""
    monkeypatch.setattr(scan, "PAGE_DIRECTORIES", 4)
    kit = await Kit(tmp_path).open()
    for top in range(6):
        for below in range(5):
            kit.write(b"%d/%d/caf\xe9/f" % (top, below), b"1")
        kit.write(b"%d/left-out/f" % top, b"1")
    kit.write(b"5/x/y/z/f", b"1")
    return kit


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The processes that walks start, from the tenth entry on."""
    started: list[Any] = []
    real = subprocess.Popen

    def popen(*args: Any, **named: Any) -> Any:
        started.append(real(*args, **named))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setattr(walker, "HAND_OVER", 10)
    return started


async def walked(kit: Kit, prune: Any = PRUNE, starts: tuple[bytes, ...] = (b"",)) -> list[Listing]:
    pages = kit.target.scan(starts, recursive=True, prune=prune)
    return [listing async for page in pages for listing in page]


async def test_process_tells_what_the_thread_would(
    kit: Kit, children: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for starts in ((b"",), (b"0", b"2/3", b"5", b"gone")):
        handed = await walked(kit, starts=starts)
        assert len(children) == 1
        assert children.pop().poll() is not None
        with monkeypatch.context() as patch:
            patch.setattr(walker, "HAND_OVER", 10**9)
            alone = await walked(kit, starts=starts)
        assert children == []
        plain = [(one.path, one.inode, one.record, one.problem) for one in alone]
        assert [(one.path, one.inode, one.record, one.problem) for one in handed] == plain
        assert not any(b"left-out" in one.path for one in handed)
        assert max(one.racy_after_ns for one in handed if one.record) < 2**62
    assert alone[-1].problem is Reason.CHANGING


async def test_rules_that_cannot_be_sent_keep_the_walk_in_its_thread(kit: Kit, children: list[Any]) -> None:
    alone = await walked(kit, lambda path: b"left-out" in path)
    assert children == []
    handed = await walked(kit, PRUNE)
    assert len(children) == 1
    assert [one.path for one in alone] == [one.path for one in handed]


async def test_process_that_dies_is_no_end_of_the_tree(kit: Kit, children: list[Any]) -> None:
    pages: Any = kit.target.scan([b""], recursive=True, prune=PRUNE)
    while not children:
        await anext(pages)
    os.kill(children[0].pid, signal.SIGKILL)
    with pytest.raises(TransientError):
        await anext(pages)


async def test_abandoned_scan_ends_its_process(kit: Kit, children: list[Any]) -> None:
    pages: Any = kit.target.scan([b""], recursive=True, prune=PRUNE)
    while not children:
        await anext(pages)
    assert children[0].poll() is None
    await pages.aclose()
    assert children[0].poll() is not None


async def test_no_process_where_none_can_be_started(
    kit: Kit, children: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    assert len(await walked(kit)) > 60
    assert children == []
