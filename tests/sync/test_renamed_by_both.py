"""Both sides rename one directory and edit in it: neither the names nor the edits may be forgotten.

What follows a rename keeps its old base entry, so it is compared once more after the base has followed.
"""

from collections.abc import Sequence

import pytest

from syncd.core.action import Result
from syncd.core.error import TransientError
from syncd.core.reason import Reason
from syncd.tree.port import Batch
from tests.sync.desk import D, Desk, S


@pytest.mark.parametrize("names", [(b"new", b"new"), (b"one", b"other")])
@pytest.mark.parametrize("edit", [b"longer", b"edit"])
async def test_edits_beneath_a_directory_that_both_sides_renamed(
    names: tuple[bytes, bytes], edit: bytes
) -> None:
    async with Desk.open() as desk:
        desk.users[S].mkdir(b"old")
        for name in (b"mine", b"his", b"ours"):
            desk.users[S].write(b"old/" + name, b"data")
        await desk.sync()
        for side, name, edited in zip((S, D), names, (b"mine", b"his"), strict=True):
            desk.users[side].rename(b"old", name)
            desk.users[side].write(name + b"/" + edited, edit)
        await desk.sync()
        found = [{path: node.data for path, node in desk.disks[side].walk()} for side in (S, D)]
        name = names[0] if names[0] in found[0] else names[1]
        wanted = {name: b"", name + b"/his": edit, name + b"/mine": edit, name + b"/ours": b"data"}
        assert found == [wanted, wanted]
        assert (await desk.sync()).done == 0


async def test_an_edit_that_no_feed_names_any_more_outlives_a_round_that_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Desk.open() as desk:
        desk.users[S].mkdir(b"old")
        desk.users[S].write(b"old/f", b"data")
        await desk.sync()
        for side in (S, D):
            desk.users[side].rename(b"old", b"new")
        desk.users[S].write(b"new/f", b"edited")
        await desk.cycle.observe_all()
        with monkeypatch.context() as patch:
            patch.setattr(desk.trees[D], "apply", refuse)
            with pytest.raises((TransientError, BaseExceptionGroup)):
                await desk.cycle.synchronise(lambda: False)
        await desk.cycle.synchronise(lambda: False)
        assert desk.users[D].read(b"new/f") == b"edited"


async def refuse(batch: Batch) -> Sequence[Result]:
    raise TransientError(Reason.STATE_UNWRITABLE, "no space left")
