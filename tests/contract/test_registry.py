"""What names a tree, and which tree serves it."""

from pathlib import Path

import pytest

from syncd.core.entry import Side
from syncd.core.error import PathProblem
from syncd.core.reason import Reason
from syncd.tree.local import LocalTree, TrashEntry
from syncd.tree.registry import is_local, local_path, make_tree, scheme_of


@pytest.mark.parametrize(
    ("location", "scheme"),
    [
        ("/srv/data", "file"),
        ("data", "file"),
        ("file:///srv/data", "file"),
        ("hub+https://host/w", "hub+https"),
        ("SFTP://host/p", "sftp"),
        ("odd name://x", "file"),
    ],
)
def test_scheme(location: str, scheme: str) -> None:
    assert scheme_of(location) == scheme
    assert is_local(location) is (scheme == "file")


def test_local_paths_are_absolute_and_keep_their_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    (tmp_path / "link").symlink_to("/etc")
    assert local_path("link") == tmp_path / "link"
    assert local_path("~/d") == Path("/home/me/d")
    assert local_path("file:///srv/data") == Path("/srv/data")


async def test_local_tree_is_made_and_others_are_refused(tmp_path: Path) -> None:
    tree = make_tree(str(tmp_path), Side.SOURCE, pair_key="k", state_dir=str(tmp_path), is_written=False)
    assert isinstance(tree, LocalTree)
    await tree.open(known=None, adopt=False)
    await tree.close()
    with pytest.raises(PathProblem) as caught:
        make_tree("gopher://host", Side.SOURCE, pair_key="k", state_dir="/s", is_written=True)
    assert caught.value.reason is Reason.BAD_REQUEST


def test_package_names_only_its_door() -> None:
    import syncd.tree.local as package

    assert TrashEntry.__name__ in package.__all__
    with pytest.raises(AttributeError):
        _ = package.apply_everything
