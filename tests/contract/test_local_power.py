"""A power cut right after a batch was answered: a copy of the mounted image holds all that was done.

kill -9 loses no page cache, so only this finds a missing fsync: what the file system has not written to its
image is not in the copy.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.core.action import Failed, MakeDirectory
from syncd.core.entry import Entry, Kind
from syncd.tree.local import LocalTree, names
from syncd.tree.port import Step
from tests.contract.localkit import KEY, D, Kit, is_root, kinds


def call(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"{command[0]}: {done.stderr.decode(errors='replace').strip()}")


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Path]:
    """A small ext4 image, mounted at `b`."""
    if not is_root or shutil.which("mkfs.ext4") is None:
        pytest.skip("needs root and mkfs.ext4")
    made = tmp_path / "image"
    with made.open("wb") as file:
        file.truncate(24 << 20)
    call("mkfs.ext4", "-q", "-F", made)
    (tmp_path / "b").mkdir()
    call("mount", "-o", "loop", made, tmp_path / "b")
    try:
        yield made
    finally:
        subprocess.run(["umount", "-l", tmp_path / "b"], check=False)


@pytest.mark.parametrize("count", [2, 20])
@pytest.mark.parametrize("staging", ["nameless", "named"])
async def test_what_was_answered_survives(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, staging: str
) -> None:
    """CRA-05: one by one, and with syncfs."""
    if staging == "named":
        monkeypatch.setattr(names.Nameless, "is_possible", property(lambda self: False))
    kit = await Kit(tmp_path).open()
    for index in range(count):
        kit.write(b"r%d" % index, b"old %d" % index)
        kit.write(b"x%d" % index, b"gone %d" % index)
        kit.write(b"m%d" % index, b"moved %d" % index)
    os.sync()
    places = [b"d%d" % index for index in range(count)]
    results = await kit.run(*[Step(MakeDirectory(D, path, Entry(Kind.DIRECTORY, 0o755))) for path in places])
    results += await kit.run(*[await kit.move(b"m%d" % index, b"d%d/m" % index) for index in range(count)])
    results += await kit.run(
        *[await kit.put(b"r%d" % index, b"new %d" % index) for index in range(count)],
        *[await kit.put(b"d%d/n" % index, b"made %d" % index) for index in range(count)],
    )
    results += await kit.run(*[await kit.delete(b"x%d" % index) for index in range(count)])
    assert set(kinds(results)) == {"Done"}, [one for one in results if isinstance(one, Failed)][:1]
    cut = tmp_path / "cut"
    call("cp", "--sparse=always", image, cut)
    tree, trash = kit.tree(), kit.trash()
    await kit.target.close()
    after = tmp_path / "after" / "b"
    after.mkdir(parents=True)
    call("mount", "-o", "loop", cut, after)
    try:
        survivor = Kit(tmp_path / "after")
        tree_after = survivor.tree()
        tree_after.pop(b"lost+found", None)
        assert tree_after == tree
        assert survivor.trash() == trash
        assert len(trash) == 2 * count
        reopened = LocalTree(after, D, pair_key=KEY, is_written=True)
        await reopened.open(known=None, adopt=False)
        assert {entry.path for entry in await reopened.trash_entries()} == {
            b"%s%d" % (letter, index) for letter in (b"r", b"x") for index in range(count)
        }
        await reopened.close()
    finally:
        subprocess.run(["umount", "-l", after], check=False)
