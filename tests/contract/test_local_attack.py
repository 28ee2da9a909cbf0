"""Real threads against a batch: an editor of the target, and an attacker who swaps directories for links."""

import errno
import os
import random
import tempfile
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from blake3 import blake3

from syncd.core.action import Delete, Done, MakeDirectory, Move, Put, SetMode, Stale
from syncd.core.entry import Entry, Kind
from syncd.tree.local import apply as batches
from syncd.tree.local import beneath
from syncd.tree.local import syscalls as sc
from syncd.tree.port import Batch, Step
from tests.contract.localkit import OLD_NS, D, Kit


@pytest.fixture
async def kit(tmp_path: Path) -> AsyncIterator[Kit]:
    """In memory where there is such a place: the rounds are many."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield await Kit(Path(folder)).open()


async def test_no_edit_is_lost_to_a_replacement(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread edits the target while it is replaced, 2000 times, in three ways."""
    monkeypatch.setattr(sc, "fsync", lambda fd: None)
    site, pick = kit.target._site(), random.Random(1)
    full = os.fsdecode(kit.at(b"f"))
    kit.write(b"f", b"start")
    start, done, stop = threading.Event(), threading.Event(), False
    edit: tuple[str, bytes] = ("", b"")

    def user() -> None:
        while start.wait() and not stop:
            start.clear()
            how, data = edit
            if how == "in place":
                with open(full, "r+b", buffering=0) as file:
                    file.write(data)
                    file.truncate()
            else:
                with open(full + ".new", "wb") as file:
                    file.write(data)
                os.replace(full + ".new", full)
            done.set()

    lost, stale = [], 0
    thread = threading.Thread(target=user)
    thread.start()
    try:
        for round_ in range(2000):
            here = kit.read(b"f")
            found = os.lstat(full)
            expect = Entry(
                Kind.FILE, found.st_mode & 0o777, found.st_size, found.st_mtime_ns, blake3(here).digest()
            )
            data = b"put %d" % round_
            kit.write(b"o", data, root=kit.a)
            wanted = Entry(Kind.FILE, 0o644, len(data), OLD_NS, blake3(data).digest())
            content = kit.source.content(b"o", wanted, None)

            step = Step(Put(D, b"f", wanted, expect, b"o"), None, content)
            edit = (pick.choice(["in place", "replace"]), b"edit %d" % round_)
            start.set()
            for _ in range(pick.randrange(400)):
                pass
            (result,) = batches.run(site, Batch(f"r{round_}", (step,), lambda: False))
            done.wait()
            done.clear()
            stale += isinstance(result, Stale)
            trash = kit.at(b".syncd/trash/r%d" % round_)
            kept = (
                [kit.read(b".syncd/trash/r%d/" % round_ + name) for name in os.listdir(trash)]
                if os.path.isdir(trash)
                else []
            )
            if edit[1] not in [kit.read(b"f"), *kept]:
                lost.append(round_)
    finally:
        stop = True
        start.set()
        thread.join()
    assert lost == []
    assert 0 < stale < 2000


async def test_nothing_outside_is_touched_through_a_directory_that_becomes_a_link(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RAC-07: a thread swaps a directory with a link to outside while batches write, move and delete."""
    monkeypatch.setattr(sc, "fsync", lambda fd: None)
    outside = tmp_path / "outside"
    (outside / "sub").mkdir(parents=True)
    for name in ("f", "g", "sub/f"):
        (outside / name).write_bytes(b"sentinel")
    for path in (b"d/f", b"d/g", b"d/sub/f"):
        kit.write(path, b"old")
    os.symlink(outside, kit.at(b"link"))
    root = os.open(kit.b, os.O_RDONLY)
    exchange, stop = sc.rename_exchange, threading.Event()

    def attacker() -> None:
        while not stop.is_set():
            exchange(root, b"d", root, b"link")

    def snapshot() -> list[tuple[str, bytes | None, int]]:
        return sorted(
            (str(path), path.read_bytes() if path.is_file() else None, path.lstat().st_mode)
            for path in outside.rglob("*")
        )

    sentinel = snapshot()
    old, hints = Entry(Kind.FILE, 0o644, 3, OLD_NS, blake3(b"old").digest()), None

    put = await kit.put(b"n", b"new")
    assert isinstance(put.action, Put)
    wanted = put.action.entry
    thread = threading.Thread(target=attacker)
    thread.start()
    fates: set[str] = set()
    try:
        for round_ in range(150):
            results = batches.run(
                kit.target._site(),
                Batch(
                    f"a{round_}",
                    (
                        Step(Put(D, b"d/n%d" % round_, wanted, None, b"o"), None, put.content),
                        Step(Put(D, b"d/sub/n%d" % round_, wanted, None, b"o"), None, put.content),
                        Step(Put(D, b"d/f", wanted, old, b"o"), hints, put.content),
                        Step(MakeDirectory(D, b"d/m%d" % round_, Entry(Kind.DIRECTORY, 0o755))),
                        Step(Move(D, b"d/g", b"d/g%d" % round_, old)),
                        Step(SetMode(D, b"d/sub/f", 0o600, old)),
                        Step(Delete(D, b"d/sub/f", old)),
                    ),
                    lambda: False,
                ),
            )
            fates.update(type(result).__name__ for result in results)
    finally:
        stop.set()
        thread.join()
        os.close(root)
    assert snapshot() == sentinel
    assert fates == {"Done", "Stale"}


async def test_component_by_component_where_openat2_is_missing(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def refuse(*args: Any, **named: Any) -> int:
        raise OSError(errno.ENOSYS, "ENOSYS")

    monkeypatch.setattr(sc, "openat2", refuse)
    monkeypatch.setattr(beneath, "_has_openat2", None)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_bytes(b"sentinel")
    kit.write(b"d/e/f", b"1")
    os.symlink(outside, kit.at(b"d/link"))
    assert isinstance(await kit.do(await kit.put(b"d/e/g", b"2")), Done)
    assert await kit.child(b"d/link/f") is None
    step = await kit.put(b"n", b"evil")
    assert isinstance(step.action, Put)
    through_link = msgspec.structs.replace(step.action, path=b"d/link/f")
    assert isinstance(await kit.do(msgspec.structs.replace(step, action=through_link)), Stale)
    assert kit.read(b"d/e/g") == b"2"
    assert (outside / "f").read_bytes() == b"sentinel"
    monkeypatch.setattr(beneath, "_has_openat2", None)
