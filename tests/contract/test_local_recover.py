"""Killed at every call that changes something: after a restart nothing is lost, half-written or left over."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from syncd.core.action import Delete, MakeDirectory, Move, Put, SetMode
from syncd.core.entry import Entry, Kind
from syncd.tree.local import LocalTree, names
from syncd.tree.local import apply as batches
from syncd.tree.local import syscalls as sc
from syncd.tree.port import Batch, Step
from tests.contract.localkit import KEY, OLD_NS, D, Killed, Kit, killed_before, kinds

BEFORE = {
    b"f": b"old f",
    b"g": b"old g",
    b"h": b"old h",
    b"gone": b"old gone",
    b"a": b"swap a",
    b"b": b"swap b",
    b"c1": b"circle 1",
    b"c2": b"circle 2",
    b"c3": b"circle 3",
    b"ro/x": b"x",
}
AFTER = {
    b"f": b"new f",
    b"g": b"new g",
    b"h": b"old h",
    b"n": b"new n",
    b"d/m": b"new m",
    b"a": b"swap b",
    b"b": b"swap a",
    b"c1": b"circle 3",
    b"c2": b"circle 1",
    b"c3": b"circle 2",
    b"ro/x": b"x",
}
CIRCLES = ((b"a", b"b"), (b"c1", b"c2", b"c3"))
CUT_SHORT = b'{"type":"batch","batch":"lost","at_ns":1}\n{"type":"slot","slo'


async def prepare(folder: Path) -> tuple[Kit, list[Batch]]:
    kit = await Kit(folder).open()
    for path, data in BEFORE.items():
        kit.write(path, data)
    os.mkdir(kit.at(b"d"))
    levels = [
        [await kit.move(b"a", b"b", parked=True), await kit.move(b"b", b"a")],
        [
            await kit.move(b"c1", b"c2", parked=True),
            await kit.move(b"c3", b"c1"),
            await kit.move(b"c2", b"c3"),
        ],
        [
            await kit.put(b"f", b"new f"),
            await kit.put(b"g", b"new g"),
            await kit.put(b"n", b"new n"),
            await kit.put(b"d/m", b"new m"),
        ],
        [await kit.delete(b"gone")],
        [Step(MakeDirectory(D, b"e", Entry(Kind.DIRECTORY, 0o755)))],
        [Step(SetMode(D, b"h", 0o600, (await kit.entry(b"h"))[0]))],
    ]
    # All levels under one id, as a plan is: later ones find the folder of the earlier.
    return kit, [Batch("plan", tuple(steps), lambda: False) for steps in levels]


def run(kit: Kit, plan: list[Batch]) -> None:
    for batch in plan:
        assert set(kinds(batches.run(kit.target._site(), batch))) == {"Done"}


async def reopened(kit: Kit) -> LocalTree:
    tree = LocalTree(kit.b, D, pair_key=KEY, is_written=True)
    await tree.open(known=None, adopt=False)
    return tree


def check(kit: Kit) -> None:
    found, trash = kit.tree(), kit.trash()
    for path, data in found.items():
        assert data in (BEFORE.get(path), AFTER.get(path)), path
    for circle in CIRCLES:
        now = [found.get(path) for path in circle]
        assert now in ([BEFORE[path] for path in circle], [AFTER[path] for path in circle])
    for data in BEFORE.values():
        assert data in found.values() or data in trash, data
    assert kit.leftovers() == []
    # What the trash shows is only what left the tree.
    assert set(trash) <= {b"old f", b"old g", b"old gone"}
    assert len(set(trash)) == len(trash)


@pytest.mark.parametrize("staging", ["nameless", "named", "weak"])
async def test_killed_before_every_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, staging: str
) -> None:
    """CRA-04, CRA-10, CRA-15: the sweep, for both ways of staging and without the rename flags."""
    if staging != "nameless":
        monkeypatch.setattr(names.Nameless, "is_possible", property(lambda self: False))
    if staging == "weak":
        refuse_flags(monkeypatch)
    number, is_over = 0, False
    while not is_over:
        number += 1
        kit, plan = await prepare(tmp_path / str(number))
        with killed_before(number):
            try:
                run(kit, plan)
                is_over = True
            except Killed:
                pass
        tree = await reopened(kit)
        check(kit)
        assert {entry.ref.batch for entry in tree.recovered} <= {"plan"}
        again = await reopened(kit)
        assert again.recovered == ()
        check(kit)
    assert number > 40
    assert kit.tree() == AFTER
    assert kit.trash() == [b"old f", b"old g", b"old gone"]


async def test_recovery_killed_at_every_call_is_begun_again(tmp_path: Path) -> None:
    """CRA-15."""
    for number in range(1, 60):
        kit, plan = await prepare(tmp_path / str(number))
        with killed_before(34), pytest.raises(Killed):
            run(kit, plan)
        tree = LocalTree(kit.b, D, pair_key=KEY, is_written=True)
        try:
            with killed_before(number):
                tree._open(None, adopt=False)
        except Killed:
            await reopened(kit)
            check(kit)
        else:
            check(kit)
            return
    pytest.fail("the recovery never came to its end")


async def test_slot_without_a_record_is_kept(tmp_path: Path) -> None:
    """A leftover is never unlinked unless it is surely ours: not without the manifest."""
    kit = await Kit(tmp_path).open()
    kit.write(b".syncd/trash/lost/r1", b"somebody's")
    kit.write(b".syncd/trash/lost/manifest.jsonl", CUT_SHORT)
    kit.write(b".syncd/in-flight/lost", b"")
    tree = await reopened(kit)
    (entry,) = tree.recovered
    assert (entry.ref.slot, entry.path, entry.entry, entry.size, entry.at_ns) == ("r1", b"", None, 10, 1)
    assert kit.trash() == [b"somebody's"]


async def test_parked_name_is_put_back_unless_it_is_taken(tmp_path: Path) -> None:
    for taken in (False, True):
        kit, _ = await prepare(tmp_path / str(taken))
        step = await kit.move(b"a", b"c", parked=True)
        real = sc.rename_noreplace

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sc, "rename_noreplace", killed)
            with pytest.raises(Killed):
                batches.run(kit.target._site(), Batch("park", (step,), lambda: False))
        assert sc.rename_noreplace is real
        assert b"a" not in kit.tree()
        if taken:
            kit.write(b"a", b"new a")
            kit.write(b"c", b"new c")
        tree = await reopened(kit)
        assert kit.tree()[b"a"] == (b"new a" if taken else b"swap a")
        assert [entry.path for entry in tree.recovered] == ([b"a"] if taken else [])
        left = await tree.unaccounted()
        assert [(one.path, one.entry.size, one.expected) for one in left] == (
            [(b"a", 6, None)] if taken else []
        )
        assert await tree.unaccounted(["another"]) == []
        assert kit.trash() == ([b"swap a"] if taken else [])


async def test_a_parked_name_goes_back_into_a_read_only_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit, _ = await prepare(tmp_path)
    step = await kit.move(b"ro/x", b"ro/y", parked=True)
    real = sc.rename_noreplace
    with monkeypatch.context() as patch:
        patch.setattr(sc, "rename_noreplace", killed)
        with pytest.raises(Killed):
            batches.run(kit.target._site(), Batch("park", (step,), lambda: False))
    os.chmod(kit.at(b"ro"), 0o555)

    def as_a_user(source: int, name: bytes, target: int, to: bytes) -> None:
        if not all(os.fstat(directory).st_mode & 0o200 for directory in (source, target)):
            raise PermissionError(errno.EACCES, "EACCES")
        real(source, name, target, to)

    monkeypatch.setattr(sc, "rename_noreplace", as_a_user)
    await reopened(kit)
    assert kit.tree()[b"ro/x"] == b"x"
    assert os.stat(kit.at(b"ro")).st_mode & 0o777 == 0o555
    assert kit.leftovers() == []


def killed(*args: Any) -> None:
    raise Killed


async def test_lent_write_permission_is_taken_back(tmp_path: Path) -> None:
    """SPE-13: killed while a read-only directory was open for a moment."""
    kit, _ = await prepare(tmp_path)
    os.chmod(kit.at(b"ro"), 0o555)
    step = await kit.delete(b"ro/x")
    calls = 0

    def refused_then_killed(*args: Any, **named: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise PermissionError(errno.EACCES, "EACCES")
        os.chmod(kit.at(b"ro"), 0o755)
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sc, "rename", refused_then_killed)
        patch.setattr(sc, "fchmod", lambda fd, mode: None)
        with pytest.raises(Killed):
            batches.run(kit.target._site(), Batch("lent", (step,), lambda: False))
    assert os.stat(kit.at(b"ro")).st_mode & 0o777 == 0o755
    await reopened(kit)
    assert os.stat(kit.at(b"ro")).st_mode & 0o777 == 0o555


def refuse_flags(patch: pytest.MonkeyPatch) -> None:
    """A file system without RENAME_EXCHANGE and RENAME_NOREPLACE."""

    def refuse(*args: Any) -> None:
        raise OSError(errno.EINVAL, "EINVAL")

    patch.setattr(sc, "rename_exchange", refuse)
    patch.setattr(sc, "rename_noreplace", refuse)


@pytest.mark.parametrize("has_links", [True, False])
async def test_without_rename_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool) -> None:
    refuse_flags(monkeypatch)
    monkeypatch.setattr(names.Nameless, "is_possible", property(lambda self: False))
    if not has_links:

        def no_link(*args: Any, **named: Any) -> None:
            raise OSError(errno.EPERM, "EPERM")

        monkeypatch.setattr(sc, "link", no_link)
    kit, plan = await prepare(tmp_path)
    assert kit.target.capabilities.has_exchange is False
    run(kit, plan)
    assert kit.tree() == AFTER
    assert kit.trash() == [b"old f", b"old g", b"old gone"]
    kit.write(b"t", b"taken")
    step = await kit.put(b"u", b"new")
    assert isinstance(step.action, Put)
    onto = Put(D, b"t", step.action.entry, None, step.action.origin)
    moves = await kit.move(b"u2", b"t") if os.path.exists(kit.at(b"u2")) else await kit.move(b"f", b"t")
    assert isinstance(moves.action, Move)
    assert kinds(await kit.run(Step(onto, None, step.content), moves)) == ["Stale", "Stale"]
    assert kit.read(b"t") == b"taken"


async def test_without_rename_flags_a_race_is_still_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_flags(monkeypatch)
    kit = await Kit(tmp_path).open()
    kit.write(b"f", b"old")
    step = await kit.put(b"f", b"new")
    real = sc.rename

    def rename(name: Any, to: Any, **named: Any) -> None:
        if name == b"f":
            kit.write(b"f", b"fix", mtime_ns=None)
        real(name, to, **named)

    monkeypatch.setattr(sc, "rename", rename)
    assert kinds(await kit.run(step)) == ["Stale"]
    assert (kit.tree(), kit.trash()) == ({b"f": b"fix"}, [])
    monkeypatch.setattr(sc, "rename", real)
    step = await kit.put(b"f", b"new")
    link = sc.link_descriptor

    def taken(*args: Any, **named: Any) -> None:
        kit.write(b"f", b"mine")
        link(*args, **named)

    monkeypatch.setattr(sc, "link_descriptor", taken)
    assert kinds(await kit.run(step)) == ["Stale"]
    assert (kit.tree(), kit.trash()) == ({b"f": b"mine"}, [b"fix"])


async def test_delete_of_a_link_is_kept_as_a_link(tmp_path: Path) -> None:
    kit = await Kit(tmp_path).open()
    os.symlink(b"/nowhere", kit.at(b"l"))
    entry = Entry(Kind.SYMLINK, target=b"/nowhere", mtime_ns=OLD_NS)
    assert kinds(await kit.run(Step(Delete(D, b"l", entry)))) == ["Done"]
    assert os.readlink(kit.at(b".syncd/trash/batch-1/d1")) == b"/nowhere"
