"""A long walk of a real tree goes on in a process, with the pair's own rules, and leaves none behind."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from syncd.core.entry import Side
from syncd.core.filter import Filter
from syncd.index import nodes
from syncd.index.database import Database
from syncd.index.driver import InlineDriver
from syncd.sync.observe import Observer
from syncd.tree.local import LocalTree, scan, walker


async def test_the_observers_walk_is_handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[Any] = []
    real = subprocess.Popen

    def popen(*args: Any, **named: Any) -> Any:
        children.append(real(*args, **named))
        return children[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setattr(walker, "HAND_OVER", 20)
    monkeypatch.setattr(scan, "PAGE_DIRECTORIES", 2)
    for number in range(30):
        (tmp_path / f"{number:02}" / "left-out").mkdir(parents=True)
        (tmp_path / f"{number:02}" / "f").write_bytes(b"1")
    rules = Filter.build(("left-out/",), {})
    assert rules.is_ignored(b"a/left-out", True), "and something is in the cache"
    database = await Database.open(None, driver=InlineDriver)
    tree = LocalTree(tmp_path, Side.SOURCE, pair_key="k", is_written=False)
    await tree.open(known=None, adopt=False)
    seen = await Observer(database, tree, Side.SOURCE).scan(rules)
    await tree.close()
    files, _ = await database.read(nodes.totals, Side.SOURCE)
    await database.close()
    assert (files, seen.listed) == (30, 31)
    assert len(children) == 1
    assert children[0].poll() is not None
