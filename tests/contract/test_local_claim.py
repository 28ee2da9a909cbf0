"""Whose tree it is: a claim stands for as long as its owner can be told to exist."""

from pathlib import Path

import pytest

from syncd.tree.local import claim
from syncd.tree.local.claim import Claim, machine_id


def state(home: Path, pair: str) -> str:
    """A state directory that remembers `pair`."""
    database = home / "pairs" / pair / "state.db"
    database.parent.mkdir(parents=True)
    database.touch()
    return str(home)


def test_the_pairs_of_one_state_share_a_tree(tmp_path: Path) -> None:
    home = state(tmp_path, "p")
    assert not Claim.of("p", home).excludes(Claim.of("q", home))
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert not Claim.of("p", home).excludes(Claim.of("q", str(link)))


def test_another_state_excludes_while_it_exists(tmp_path: Path) -> None:
    ours = Claim.of("p", state(tmp_path / "ours", "p"))
    theirs = Claim.of("p", str(tmp_path / "theirs"))
    assert ours.excludes(theirs)
    assert not theirs.excludes(ours), "a state that is gone claims nothing"


@pytest.mark.parametrize(("pair", "excludes"), [("p", False), ("q", True)])
def test_another_machine_is_told_by_the_pair_only(pair: str, excludes: bool, tmp_path: Path) -> None:
    here = Claim("p", str(tmp_path), "here")
    assert here.excludes(Claim(pair, str(tmp_path), "elsewhere")) is excludes
    assert Claim("p").excludes(Claim(pair)) is excludes


def test_machines_are_told_apart_somehow(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine_id()

    def absent(name: str, **_: object) -> None:
        raise FileNotFoundError(name)

    monkeypatch.setattr(claim, "open", absent, raising=False)
    assert machine_id()
