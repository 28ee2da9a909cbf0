"""Somebody works in the tree while a batch is applied: no edit is lost, nothing outside is touched.

The window between the look and the rename is a few microseconds, so most cases put the other's hand into it
by wrapping the call; two of them run real threads.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from syncd.core.action import Done, MakeDirectory, RemoveDirectory, SetMode, Stale
from syncd.core.entry import Entry, Kind
from syncd.tree.local import names
from syncd.tree.local import syscalls as sc
from syncd.tree.port import Step
from tests.contract.localkit import OLD_NS, D, Kit, kinds


@pytest.fixture
async def kit(tmp_path: Path) -> Kit:
    return await Kit(tmp_path).open()


def before(patch: pytest.MonkeyPatch, call: str, *hands: Callable[[], None] | None) -> None:
    """Let somebody act just before the first, second … time that `call` is made."""
    real, left = getattr(sc, call), list(hands)

    def wrapped(*args: Any, **named: Any) -> Any:
        hand = left.pop(0) if left else None
        if hand:
            hand()
        return real(*args, **named)

    patch.setattr(sc, call, wrapped)


def replaces(kit: Kit, path: bytes, data: bytes) -> Callable[[], None]:
    def act() -> None:
        kit.write(b"other", data)
        os.rename(kit.at(b"other"), kit.at(path))

    return act


async def test_target_replaced_before_the_exchange_gets_its_name_back(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.write(b"f", b"old")
    step = await kit.put(b"f", b"new")
    before(monkeypatch, "rename_exchange", replaces(kit, b"f", b"edit"))
    result = await kit.do(step)
    assert isinstance(result, Stale)
    assert (result.destination_paths, result.kept) == ((b"f", b""), None)
    assert (kit.tree(), kit.trash(), kit.leftovers()) == ({b"f": b"edit"}, [], [])


async def test_edit_in_place_before_the_exchange_is_seen(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.write(b"f", b"old")
    step = await kit.put(b"f", b"new")
    before(monkeypatch, "rename_exchange", lambda: kit.write(b"f", b"fix", mtime_ns=None))
    assert isinstance(await kit.do(step), Stale)
    assert (kit.tree(), kit.trash()) == ({b"f": b"fix"}, [])


async def test_edit_in_the_running_tick_is_seen_by_its_digest(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same inode, size and mtime: only the content tells, and it is read because the stamp is racy."""
    kit.write(b"f", b"old", mtime_ns=None)
    stamp = os.stat(kit.at(b"f")).st_mtime_ns + 10**9
    os.utime(kit.at(b"f"), ns=(stamp, stamp))
    step = await kit.put(b"f", b"new")
    before(monkeypatch, "rename_exchange", lambda: kit.write(b"f", b"fix", mtime_ns=stamp))
    assert isinstance(await kit.do(step), Stale)
    assert (kit.tree(), kit.trash()) == ({b"f": b"fix"}, [])


async def test_third_version_that_races_with_the_exchange_back_is_kept(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.write(b"f", b"old")
    step = await kit.put(b"f", b"new")
    before(monkeypatch, "rename_exchange", replaces(kit, b"f", b"edit"), replaces(kit, b"f", b"third"))
    result = await kit.do(step)
    assert isinstance(result, Stale)
    assert result.kept is not None
    assert (kit.tree(), kit.trash()) == ({b"f": b"edit"}, [b"third"])
    (entry,) = await kit.target.trash_entries(result.kept.batch)
    assert (entry.ref, entry.path, entry.size) == (result.kept, b"f", 5)


async def test_edit_of_our_file_before_the_exchange_back_is_kept(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.write(b"f", b"old")
    step = await kit.put(b"f", b"new")
    edit = lambda: kit.write(b"f", b"NEW", mtime_ns=None)  # noqa: E731
    before(monkeypatch, "rename_exchange", replaces(kit, b"f", b"edit"), edit)
    result = await kit.do(step)
    assert isinstance(result, Stale)
    assert result.kept is not None
    assert (kit.tree(), kit.trash()) == ({b"f": b"edit"}, [b"NEW"])


async def test_name_deleted_before_the_exchange_back(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.write(b"f", b"old")
    step = await kit.put(b"f", b"new")
    delete = lambda: os.unlink(kit.at(b"f"))  # noqa: E731
    before(monkeypatch, "rename_exchange", replaces(kit, b"f", b"edit"), delete)
    assert isinstance(await kit.do(step), Stale)
    assert (kit.tree(), kit.trash()) == ({b"f": b"edit"}, [])


async def test_target_deleted_before_the_exchange(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.write(b"f", b"old")
    step = await kit.put(b"f", b"new")
    before(monkeypatch, "rename_exchange", lambda: os.unlink(kit.at(b"f")))
    assert isinstance(await kit.do(step), Stale)
    assert (kit.tree(), kit.trash(), kit.leftovers()) == ({}, [], [])


async def test_directory_that_appeared_at_the_target_is_not_kept_in_the_trash(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RAC-12."""
    kit.write(b"f", b"old")
    step = await kit.put(b"f", b"new")

    def become_directory() -> None:
        os.unlink(kit.at(b"f"))
        kit.write(b"f/child", b"1")

    before(monkeypatch, "rename_exchange", become_directory)
    assert isinstance(await kit.do(step), Stale)
    assert (kit.tree(), kit.trash()) == ({b"f/child": b"1"}, [])


@pytest.mark.parametrize("call", ["link_descriptor", "rename_noreplace"])
async def test_name_taken_before_a_new_file_arrives(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:

    if call == "rename_noreplace":
        monkeypatch.setattr(names.Nameless, "is_possible", property(lambda self: False))
    step = await kit.put(b"f", b"new")
    before(monkeypatch, call, lambda: kit.write(b"f", b"mine"))
    assert isinstance(await kit.do(step), Stale)
    assert (kit.tree(), kit.trash(), kit.leftovers()) == ({b"f": b"mine"}, [], [])


async def test_newer_file_at_the_name_does_not_pass_for_ours(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RAC-16: the hint of what was put must not be that of somebody's file that replaced it at once."""
    step = await kit.put(b"f", b"new")
    real = sc.link_descriptor

    def link(*args: Any, **named: Any) -> None:
        real(*args, **named)
        replaces(kit, b"f", b"edit")()

    monkeypatch.setattr(sc, "link_descriptor", link)
    done = await kit.do(step)
    assert isinstance(done, Done)
    assert done.hint is not None
    assert done.hint.ctime_ns == 0
    assert kit.tree() == {b"f": b"edit"}


async def test_replaced_before_the_delete_gets_its_name_back(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.write(b"f", b"old")
    step = await kit.delete(b"f")
    real = sc.rename

    def rename(name: Any, to: Any, **named: Any) -> None:
        if name == b"f":
            replaces_f()
        real(name, to, **named)

    replaces_f = replaces(kit, b"f", b"edit")
    monkeypatch.setattr(sc, "rename", rename)
    assert isinstance(await kit.do(step), Stale)
    assert (kit.tree(), kit.trash()) == ({b"f": b"edit"}, [])


async def test_replaced_before_the_delete_and_the_name_taken_again(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.write(b"f", b"old")
    step = await kit.delete(b"f")
    real = sc.rename

    def rename(name: Any, to: Any, **named: Any) -> None:
        if name == b"f":
            kit.write(b"f", b"edit", mtime_ns=None)
        real(name, to, **named)
        if name == b"f":
            kit.write(b"f", b"third")

    monkeypatch.setattr(sc, "rename", rename)
    result = await kit.do(step)
    assert isinstance(result, Stale)
    assert result.kept is not None
    assert (kit.tree(), kit.trash()) == ({b"f": b"third"}, [b"edit"])


async def test_replaced_before_the_move_goes_back(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.write(b"f", b"old")
    step = await kit.move(b"f", b"g")
    before(monkeypatch, "rename_noreplace", lambda: kit.write(b"f", b"edit", mtime_ns=None))
    assert isinstance(await kit.do(step), Stale)
    assert kit.tree() == {b"f": b"edit"}


async def test_target_of_a_move_taken(kit: Kit) -> None:
    kit.write(b"f", b"1")
    step = await kit.move(b"f", b"g")
    kit.write(b"g", b"2")
    result = await kit.do(step)
    assert isinstance(result, Stale)
    assert set(result.destination_paths) >= {b"f", b"g"}
    assert kit.tree() == {b"f": b"1", b"g": b"2"}


async def test_parked_moves_swap_names_and_fall_back(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """MOV-04; and where one of the two cannot arrive, it is back at its old name."""
    kit.write(b"a", b"1")
    kit.write(b"b", b"2")
    results = await kit.run(await kit.move(b"a", b"b", parked=True), await kit.move(b"b", b"a"))
    assert kinds(results) == ["Done", "Done"]
    assert (kit.tree(), kit.trash()) == ({b"a": b"2", b"b": b"1"}, [])
    assert os.listdir(kit.at(b".syncd/trash")) == []
    step = await kit.move(b"a", b"c", parked=True)
    before(monkeypatch, "rename_noreplace", lambda: kit.write(b"c", b"taken"))
    assert isinstance(await kit.do(step), Stale)
    assert kit.tree() == {b"a": b"2", b"b": b"1", b"c": b"taken"}


async def test_parked_that_can_go_nowhere_is_kept(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.write(b"a", b"1")
    step = await kit.move(b"a", b"c", parked=True)

    def take_both() -> None:
        kit.write(b"a", b"new a")
        kit.write(b"c", b"new c")

    before(monkeypatch, "rename_noreplace", take_both)
    result = await kit.do(step)
    assert isinstance(result, Stale)
    assert result.kept is not None
    assert (kit.tree(), kit.trash()) == ({b"a": b"new a", b"c": b"new c"}, [b"1"])


async def test_directory_moves_whole_and_only_if_it_is_the_one(kit: Kit) -> None:
    kit.write(b"d/f", b"1")
    step = await kit.move(b"d", b"e")
    assert isinstance(await kit.do(step), Done)
    assert kit.tree() == {b"e/f": b"1"}
    os.mkdir(kit.at(b"d"))
    assert isinstance(await kit.do(step), Stale)


async def test_directory_that_is_not_empty_or_another_one_stays(kit: Kit) -> None:
    kit.write(b"d/f", b"1")
    entry, hint = await kit.entry(b"d")
    assert isinstance(await kit.do(Step(RemoveDirectory(D, b"d", entry), hint)), Stale)
    os.unlink(kit.at(b"d/f"))
    os.rename(kit.at(b"d"), kit.at(b"kept"))
    os.mkdir(kit.at(b"d"))
    assert isinstance(await kit.do(Step(RemoveDirectory(D, b"d", entry), hint)), Stale)
    assert isinstance(await kit.do(Step(RemoveDirectory(D, b"kept", entry), hint)), Done)


async def test_mode_changed_by_somebody_is_stale(kit: Kit) -> None:
    kit.write(b"f", b"1")
    entry, hint = await kit.entry(b"f")
    os.chmod(kit.at(b"f"), 0o600)
    assert isinstance(await kit.do(Step(SetMode(D, b"f", 0o755, entry), hint)), Stale)
    assert isinstance(await kit.do(await kit.put(b"f", b"2")), Done)


async def test_existing_directory_is_stale(kit: Kit) -> None:
    os.mkdir(kit.at(b"d"))
    assert isinstance(await kit.do(Step(MakeDirectory(D, b"d", Entry(Kind.DIRECTORY, 0o755)))), Stale)


async def test_touched_file_with_the_known_digest_is_still_the_expected_one(kit: Kit) -> None:
    kit.write(b"f", b"old")
    steps = [await kit.put(b"f", b"new")]
    os.utime(kit.at(b"f"), ns=(OLD_NS + 5, OLD_NS + 5))
    assert kinds(await kit.run(*steps)) == ["Done"]
    assert kit.trash() == [b"old"]


async def test_directory_in_use_is_not_closed_for_others(kit: Kit) -> None:
    """More directories than are held open, and one that every step needs."""
    for index in range(40):
        os.mkdir(kit.at(b"d%d" % index))
        kit.write(b"f%d" % index, b"%d" % index)
    moves = [await kit.move(b"f%d" % index, b"d%d/f" % index) for index in range(40)]
    assert set(kinds(await kit.run(*moves))) == {"Done"}
    assert kit.tree() == {b"d%d/f" % index: b"%d" % index for index in range(40)}
