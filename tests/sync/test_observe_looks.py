"""Looks at single paths, and scans of a subtree."""

import errno

from syncd.sync.observe import Observation
from tests.sync.lab import Lab, settled


async def test_look_at_single_paths(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.files(d_a=b"one", d_b=b"two", c=b"three")
    await settled(lab)
    lab.user.write(b"d/a", b"one and more")
    lab.user.delete(b"d/b")
    lab.user.write(b"d/new", b"n")
    seen = await lab.look(b"d/a", b"d/b", b"d/new", b"c", b"nothing")
    assert seen.changed == 3
    await lab.assert_agrees()
    assert await lab.look(b"c", b"nothing", b"") == Observation()
    assert (await lab.scan()).changed == 0


async def test_look_finds_a_new_directory_and_what_is_above(lab: Lab) -> None:
    lab.files(a=b"one")
    await settled(lab)
    lab.user.mkdir(b"p")
    lab.user.mkdir(b"p/q")
    lab.user.write(b"p/q/f", b"eff")
    seen = await lab.look(b"p/q/f")
    assert seen.new_directories == (b"p",)
    node = await lab.node(b"p")
    assert node is not None
    assert not node.is_listed
    assert (await lab.look(b"p")).new_directories == (b"p",), "as long as nobody has listed it"
    assert (await lab.scan(b"p")).new_directories == ()
    await lab.assert_agrees()
    assert (await lab.look(b"p")).new_directories == ()


async def test_look_recognises_a_rename_in_one_call(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.files(d_x=b"1", d_y=b"2", f=b"eff")
    await settled(lab)
    ids = await lab.node_id(b"d"), await lab.node_id(b"f"), await lab.node_id(b"d/x")
    lab.user.rename(b"d", b"e")
    lab.user.rename(b"f", b"g")
    seen = await lab.look(b"d", b"e", b"f", b"g")
    await lab.assert_agrees()
    assert (await lab.node_id(b"e"), await lab.node_id(b"g"), await lab.node_id(b"e/x")) == ids
    assert seen.new_directories == (b"e",)
    assert (await lab.scan()).changed == 0


async def test_look_that_fails_touches_nothing(lab: Lab) -> None:
    lab.files(a=b"one")
    await settled(lab)
    lab.user.delete(b"a")
    lab.fs.faults["look", b"a"] = errno.EIO
    seen = await lab.look(b"a")
    assert [path for path, _, _ in seen.problems] == [b"a"]
    assert sorted(await lab.tree()) == [b"a"]


async def test_look_at_an_ignored_path(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    await settled(lab)
    await lab.set_rules("*.tmp")
    await lab.scan()
    lab.user.write(b"d/x.tmp", b"t")
    assert (await lab.look(b"d/x.tmp")).changed == 0
    tree = await lab.tree()
    assert sorted(tree) == [b"d"]
    assert tree[b"d"].has_ignored


async def test_flat_scan_tells_new_directories(lab: Lab) -> None:
    lab.files(a=b"one")
    await settled(lab)
    lab.user.mkdir(b"d")
    lab.user.write(b"d/x", b"ex")
    seen = await lab.scan(b"", recursive=False)
    assert seen.new_directories == (b"d",)
    assert seen.listed == 1


async def test_scan_of_a_subtree_that_went(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.files(d_x=b"ex", y=b"why")
    await settled(lab)
    lab.user.delete(b"d")
    await lab.scan(b"d")
    await lab.assert_agrees()


async def test_scan_of_an_ignored_subtree_does_nothing(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    await lab.set_rules("d/")
    assert (await lab.scan(b"d")).listed == 0
    assert await lab.tree() == {}
