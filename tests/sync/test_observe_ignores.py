"""Observation under rules that ignore names, and under new rules."""

import errno

import pytest

from syncd.index import base, nodes
from syncd.sync.observe import Observation
from tests.sync.lab import HERE, Lab, settled


async def test_ignored_names_have_no_nodes(lab: Lab) -> None:
    await lab.set_rules("*.tmp", "build/")
    lab.user.mkdir(b"build")
    lab.user.mkdir(b"src")
    lab.files(build_out=b"o", src_main=b"m")
    lab.user.write(b"src/x.tmp", b"t")
    seen = await lab.scan()
    assert seen.listed == 2, "an ignored directory is not entered"
    assert sorted(await lab.tree()) == [b"src", b"src/main"]
    tree = await lab.tree()
    assert tree[b"src"].has_ignored
    lab.user.delete(b"src/x.tmp")
    await lab.scan()
    assert not (await lab.tree())[b"src"].has_ignored


@pytest.mark.parametrize(
    ("old", "new", "by_look"),
    [
        ("f", "f.tmp", False),
        ("f", "f.tmp", True),
        ("d", "d.tmp", False),
        ("d", "d.tmp", True),
        ("f", "away.tmp/f", True),
    ],
)
async def test_what_is_renamed_to_an_ignored_name_leaves_no_base(
    lab: Lab, old: str, new: str, by_look: bool
) -> None:
    """The filter section: nothing is deleted at the other side."""
    await lab.set_rules("*.tmp")
    for directory in (b"d", b"away.tmp"):
        lab.user.mkdir(directory)
    lab.files(f=b"f", d_x=b"x", d_y=b"yy")
    await lab.scan()
    for path, node in (await lab.tree()).items():
        other = await lab.database.write(nodes.put, HERE.other, path, node.entry)
        await lab.database.write(base.put, path, node.entry, node.node_id, other)
    lab.user.rename(old.encode(), new.encode())
    await (lab.look(old.encode(), new.encode()) if by_look else lab.scan())
    kept = {path for path in (b"f", b"d", b"d/x") if await lab.database.read(base.find, path) is not None}
    gone = {path for path in (b"f", b"d", b"d/x") if path.split(b"/")[0] == old.encode()}
    assert kept == {b"f", b"d", b"d/x"} - gone
    await lab.assert_agrees()


async def test_newly_ignored_names_leave_and_come_back(lab: Lab) -> None:
    lab.user.mkdir(b"build")
    lab.user.mkdir(b"build/deep")
    lab.files(build_deep_out=b"o", keep=b"k")
    await settled(lab)
    await lab.set_rules("build/")
    await lab.scan()
    assert sorted(await lab.tree()) == [b"keep"]
    assert (await lab.scan()).changed == 0
    await lab.set_rules()
    await lab.scan()
    await lab.assert_agrees()


async def test_newly_ignored_in_an_unlisted_directory_is_judged_later(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.user.mkdir(b"d/in")
    lab.files(d_in_junk=b"j", d_x=b"x")
    await settled(lab)
    lab.fs.faults["scan", b"d"] = errno.EACCES
    await lab.set_rules("junk")
    await lab.scan()
    lab.fs.faults.clear()
    await lab.scan()
    assert sorted(await lab.tree()) == [b"d", b"d/in", b"d/x"]


async def test_partial_scan_with_new_rules_does_not_settle_them(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.user.mkdir(b"e")
    lab.files(d_junk=b"j", e_junk=b"k")
    await settled(lab)
    await lab.set_rules("junk")
    await lab.scan(b"d")
    assert sorted(await lab.tree()) == [b"d", b"e", b"e/junk"]
    await lab.scan()
    assert sorted(await lab.tree()) == [b"d", b"e"]


async def test_forget_records_judges_again(lab: Lab) -> None:
    lab.files(a=b"one")
    await settled(lab)
    await lab.database.write(nodes.remove, HERE, b"a")
    assert await lab.scan() == Observation(listed=1), "the record agrees"
    await lab.observer.forget_records()
    await lab.scan()
    await lab.assert_agrees()
