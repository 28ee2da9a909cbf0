"""Both sides rename one directory and edit in it: neither the names nor the edits may be forgotten.

What follows a rename keeps its old base entry, so it is compared once more after the base has followed.
"""

import pytest

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
