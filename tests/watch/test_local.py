"""The watcher on real directories: what must arrive, and what must be admitted as lost."""

import os
import shutil
import threading
from typing import Any

import anyio
import pytest

from syncd.core.reason import Reason
from syncd.watch import generation as generation_module
from syncd.watch import local as local_module
from syncd.watch import notify as notify_module
from syncd.watch.cover import survey_blocking
from syncd.watch.port import Dirty, Rescan
from syncd.watch.translate import translate_blocking
from tests.watch.conftest import PATIENCE_S, local, running, write

LOST = Rescan(b"", Reason.WATCH_LOST)
MISSING = Rescan(b"", Reason.ROOT_MISSING)


async def test_create_modify_delete(root: bytes) -> None:
    async with running(local(root)) as ear:
        write(root, b"a")
        await ear.wait_for(Dirty(b"a", is_gone=False))
        ear.events.clear()
        os.chmod(os.path.join(root, b"a"), 0o600)
        await ear.wait_for(Dirty(b"a", is_gone=False))
        os.unlink(os.path.join(root, b"a"))
        await ear.wait_for(Dirty(b"a", is_gone=True))


async def test_rename_is_gone_and_there(root: bytes) -> None:
    write(root, b"a")
    async with running(local(root)) as ear:
        os.rename(os.path.join(root, b"a"), os.path.join(root, b"b"))
        await ear.wait_for(Dirty(b"a", is_gone=True))
        await ear.wait_for(Dirty(b"b", is_gone=False))


async def test_wat_06_new_nested_directories_are_rescanned(root: bytes) -> None:
    async with running(local(root)) as ear:
        os.makedirs(os.path.join(root, b"n1/n2/n3"))
        write(root, b"n1/n2/n3/f")
        await ear.wait_for(Rescan(b"n1", Reason.ADDED))


async def test_wat_07_edits_in_a_moved_directory_have_the_new_path(root: bytes) -> None:
    os.makedirs(os.path.join(root, b"a/deep"))
    async with running(local(root)) as ear:
        os.rename(os.path.join(root, b"a"), os.path.join(root, b"c"))
        await ear.wait_for(Rescan(b"c", Reason.ADDED))
        write(root, b"c/deep/f")
        await ear.wait(lambda events: any(event.path in (b"c/deep", b"c/deep/f") for event in events))


async def test_wat_13_a_name_that_is_not_utf8_is_survived_and_polled(
    root: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation_module, "NAMES_SHORTEST_S", 0.01)
    os.mkdir(os.path.join(root, b"odd"))
    os.mkdir(os.path.join(root, b"plain"))
    watcher = local(root)
    async with running(watcher) as ear:
        write(root, b"odd/\xff")
        await ear.wait_for(LOST)
        with anyio.fail_after(PATIENCE_S):
            while not watcher.is_alive:
                await anyio.sleep(0.01)
        assert watcher.problem is None
        assert "1 directories" in watcher.detail
        ear.events.clear()
        write(root, b"odd/\xff", b"longer")
        await ear.wait_for(Rescan(b"odd", Reason.WATCH_UNSUPPORTED))
        write(root, b"plain/f")
        await ear.wait_for(Dirty(b"plain/f", is_gone=False))
        assert LOST not in ear.events


async def test_directories_below_a_polled_one_are_watched(root: bytes) -> None:
    write(root, b"\xfe")
    os.makedirs(os.path.join(root, b"sub/deep"))
    async with running(local(root)) as ear:
        write(root, b"sub/deep/f")
        await ear.wait_for(Dirty(b"sub/deep/f", is_gone=False))


async def test_a_linked_directory_is_not_followed(root: bytes) -> None:
    """watchfiles alone would report `d/f` as `link/f`."""
    os.mkdir(os.path.join(root, b"d"))
    os.symlink(b"d", os.path.join(root, b"link"))
    async with running(local(root)) as ear:
        write(root, b"d/f")
        await ear.wait_for(Dirty(b"d/f", is_gone=False))
        assert not any(event.path.startswith(b"link/") for event in ear.events)


async def test_a_new_directory_beside_a_linked_one_is_watched(root: bytes) -> None:
    os.symlink(b".", os.path.join(root, b"link"))
    async with running(local(root)) as ear:
        for name in (b"new1", b"new2"):
            os.mkdir(os.path.join(root, name))
            await ear.wait_for(Rescan(name, Reason.ADDED))
            with anyio.fail_after(PATIENCE_S):
                while Dirty(name + b"/f", is_gone=False) not in ear.events:
                    write(root, name + b"/f")
                    await anyio.sleep(0.02)
        write(root, b"new1/g")
        await ear.wait_for(Dirty(b"new1/g", is_gone=False))


async def test_a_new_troubled_directory_beside_a_linked_one_refreshes(root: bytes) -> None:
    os.symlink(b".", os.path.join(root, b"link"))
    os.makedirs(root + b"-new/d")
    os.symlink(b".", root + b"-new/link")
    async with running(local(root)) as ear:
        os.rename(root + b"-new", os.path.join(root, b"new"))
        await ear.wait_for(LOST)
        write(root, b"new/d/f")
        await ear.wait_for(Dirty(b"new/d/f", is_gone=False))


async def test_wat_04_root_renamed_and_back(root: bytes) -> None:
    watcher = local(root)
    async with running(watcher) as ear:
        os.rename(root, root + b"-away")
        await ear.wait_for(MISSING)
        assert watcher.problem is Reason.ROOT_MISSING
        assert not watcher.is_alive
        os.rename(root + b"-away", root)
        await ear.wait_for(LOST)
        assert watcher.problem is None
        write(root, b"f")
        await ear.wait_for(Dirty(b"f", is_gone=False))


async def test_wat_04_root_replaced(root: bytes) -> None:
    async with running(local(root)) as ear:
        os.mkdir(root + b"-other")
        os.rename(root, root + b"-away")
        os.rename(root + b"-other", root)
        await ear.wait_for(MISSING)
        await ear.wait_for(LOST)
        write(root, b"f")
        await ear.wait_for(Dirty(b"f", is_gone=False))


async def test_root_deleted(root: bytes) -> None:
    async with running(local(root)) as ear:
        shutil.rmtree(root)
        await ear.wait_for(MISSING)


async def test_root_missing_at_start(root: bytes) -> None:
    os.rmdir(root)
    watcher = local(root)
    async with running(watcher) as ear:
        assert ear.events == [MISSING]
        os.mkdir(root)
        await ear.wait_for(LOST)


async def test_symlinked_root(root: bytes) -> None:
    os.symlink(root, root + b"-link")
    async with running(local(root + b"-link")) as ear:
        write(root, b"f")
        await ear.wait_for(Dirty(b"f", is_gone=False))


async def test_cookie_comes_through_and_is_not_delivered(root: bytes) -> None:
    os.mkdir(os.path.join(root, b".syncd"))
    watcher = local(root, is_written=True)
    async with running(watcher) as ear:
        write(root, b"before")
        assert await watcher.cookie(PATIENCE_S)
        assert Dirty(b"before", is_gone=False) in ear.events
        assert not any(event.path.startswith(b".syncd") for event in ear.events)
        assert os.listdir(os.path.join(root, b".syncd/cookies")) == []


async def test_cookie_goes_through_every_pump(root: bytes) -> None:
    os.mkdir(os.path.join(root, b".syncd"))
    os.mkdir(os.path.join(root, b"d"))
    os.symlink(b"d", os.path.join(root, b"link"))
    watcher = local(root, is_written=True)
    async with running(watcher) as ear:
        os.mkdir(os.path.join(root, b"new"))
        await ear.wait_for(Rescan(b"new", Reason.ADDED))
        write(root, b"top")
        write(root, b"d/f")
        assert await watcher.cookie(PATIENCE_S)
        assert {event.path for event in ear.events} >= {b"top", b"d/f"}


async def test_cookie_tells_what_changed_in_polled_directories(root: bytes) -> None:
    """Who waits for the cookie has heard of everything before it: polls are not waited for."""
    os.mkdir(os.path.join(root, b".syncd"))
    os.mkdir(os.path.join(root, b"odd"))
    write(root, b"odd/\xff")
    watcher = local(root, is_written=True)
    async with running(watcher) as ear:
        for content in (b"one", b"two", b"end"):
            write(root, b"odd/file", content)
            ear.events.clear()
            assert await watcher.cookie(PATIENCE_S)
            assert Rescan(b"odd", Reason.WATCH_UNSUPPORTED) in ear.events


async def test_directories_that_come_while_watches_are_placed_are_watched(
    root: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside trouble nothing is recursive: what comes after the survey may come before the watches."""
    os.mkdir(os.path.join(root, b"odd"))
    write(root, b"odd/\xff")

    def late(*args: Any) -> Any:
        cover = survey_blocking(*args)
        os.makedirs(os.path.join(root, b"late"), exist_ok=True)
        return cover

    monkeypatch.setattr(local_module, "survey_blocking", late)
    async with running(local(root)) as ear:
        await ear.wait_for(Rescan(b"late", Reason.ADDED))
        ear.events.clear()
        write(root, b"late/file")
        await ear.wait_for(Dirty(b"late/file", is_gone=False))


async def test_cookie_waits_for_the_watches_of_new_directories(
    root: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside trouble a new directory is watched a moment after it was told of: what comes in between is found
    by a second look, which the cookie must not overtake."""
    os.mkdir(os.path.join(root, b".syncd"))
    os.mkdir(os.path.join(root, b"odd"))
    write(root, b"odd/\xff")
    goes_on = threading.Event()

    def slow(*args: Any) -> Any:
        goes_on.wait(PATIENCE_S)
        return survey_blocking(*args)

    monkeypatch.setattr(generation_module, "survey_blocking", slow)
    watcher = local(root, is_written=True)
    async with running(watcher) as ear:
        os.mkdir(os.path.join(root, b"new"))
        await ear.wait_for(Rescan(b"new", Reason.ADDED))
        ear.events.clear()
        write(root, b"new/file")
        threading.Timer(0.3, goes_on.set).start()
        if await watcher.cookie(PATIENCE_S):
            assert Rescan(b"new", Reason.ADDED) in ear.events


async def replace_by_directory(root: bytes, old: bytes) -> None:
    """What is at `old` goes, and a directory comes under its name (on most file systems with its inode)."""
    if os.path.isdir(os.path.join(root, old)):
        shutil.rmtree(os.path.join(root, old))
    else:
        os.unlink(os.path.join(root, old))
    os.mkdir(os.path.join(root, old))


@pytest.mark.parametrize("was_directory", [True, False])
async def test_a_directory_made_anew_beside_a_name_that_is_not_utf8_is_watched(
    root: bytes, was_directory: bool
) -> None:
    os.mkdir(os.path.join(root, b".syncd"))
    write(root, b"\xff")
    if was_directory:
        os.mkdir(os.path.join(root, b"d"))
    else:
        write(root, b"d")
    watcher = local(root, is_written=True)
    async with running(watcher) as ear:
        await replace_by_directory(root, b"d")
        await watcher.cookie(PATIENCE_S)
        await ear.wait_for(LOST)
        ear.events.clear()
        write(root, b"d/file")
        await ear.wait(lambda events: any(event.path in (b"d", b"d/file") for event in events))


async def test_cookie_after_the_control_directory_appears(root: bytes) -> None:
    os.symlink(b".", os.path.join(root, b"link"))
    os.mkdir(os.path.join(root, b"d"))
    watcher = local(root, is_written=True)
    async with running(watcher) as ear:
        assert not await watcher.cookie(PATIENCE_S)
        os.mkdir(os.path.join(root, b".syncd"))
        await ear.wait_for(LOST)
        assert await watcher.cookie(PATIENCE_S)


async def test_no_cookie_without_control_directory_or_for_a_tree_that_is_not_written(root: bytes) -> None:
    watcher = local(root, is_written=True)
    async with running(watcher):
        assert not await watcher.cookie(PATIENCE_S)
    assert os.listdir(root) == []
    os.mkdir(os.path.join(root, b".syncd"))
    watcher = local(root, is_written=False)
    async with running(watcher):
        assert not await watcher.cookie(PATIENCE_S)
    assert os.listdir(os.path.join(root, b".syncd")) == []


async def test_no_cookie_through_a_link(root: bytes) -> None:
    os.mkdir(root + b"-elsewhere")
    os.symlink(root + b"-elsewhere", os.path.join(root, b".syncd"))
    watcher = local(root, is_written=True)
    async with running(watcher):
        assert not await watcher.cookie(PATIENCE_S)
    assert os.listdir(root + b"-elsewhere") == []


async def test_wat_11_a_deaf_watcher_is_found_by_its_canary(
    root: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkdir(os.path.join(root, b".syncd"))
    monkeypatch.setattr(generation_module, "VERIFY_TIMEOUT_S", 0.05)
    monkeypatch.setattr(
        notify_module, "translate_blocking", lambda top, raw, control: translate_blocking(top, (), control)
    )
    async with running(local(root, is_written=True, verify_s=0.01)) as ear:
        await ear.wait_for(LOST)
        monkeypatch.setattr(notify_module, "translate_blocking", translate_blocking)
        ear.events.clear()
        with anyio.fail_after(PATIENCE_S):
            while Dirty(b"f", is_gone=False) not in ear.events:
                write(root, b"f")
                await anyio.sleep(0.05)


async def test_cancelling_ends_the_thread(root: bytes) -> None:
    with anyio.fail_after(PATIENCE_S):
        for settle_s in (0.0, 0.3):
            async with running(local(root, settle_s=settle_s)):
                pass
