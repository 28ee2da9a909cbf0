"""`syncctl conflicts`: list, resolve, diff."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from syncd.cli.syncctl.schema import schema_of
from syncd.control import model as m
from tests.cli.conftest import Syncctl
from tests.cli.schema_check import check
from tests.control.fake import conflict

# conflicts


def test_conflicts_are_listed(syncctl: Syncctl) -> None:
    result = syncctl("conflicts", "list", "documents", "--match", "*.odt", "--settled", "--check")
    assert result.code == 6
    assert "evil\\x1b[2J\\xff.txt" in result.out
    assert syncctl.called == m.ConflictListParams(pair="documents", match="*.odt", include_settled=True)
    assert syncctl("conflicts").code == 0


@pytest.mark.parametrize(
    ("arguments", "params"),
    [
        (("c1",), {"conflict_ids": ("c1",)}),
        (("documents", "c1", "c2"), {"pair": "documents", "conflict_ids": ("c1", "c2")}),
        (("--all",), {"all": True}),
        (("documents", "--all", "--match", "*.x"), {"all": True, "pair": "documents", "match": "*.x"}),
    ],
)
def test_conflicts_resolve(syncctl: Syncctl, arguments: tuple[str, ...], params: dict[str, Any]) -> None:
    assert syncctl("conflicts", "resolve", *arguments, "--keep", "both").code == 0
    assert syncctl.called == m.ConflictResolveParams(keep="both", **params)


@pytest.mark.parametrize(
    "arguments",
    [("--keep", "both"), ("c1",), ("c1", "--keep", "mine"), ("a", "b", "--all", "--keep", "both")],
)
def test_conflicts_resolve_usage(syncctl: Syncctl, arguments: tuple[str, ...]) -> None:
    assert syncctl("conflicts", "resolve", *arguments).code == 2


def test_a_conflict_that_cannot_be_resolved(syncctl: Syncctl) -> None:
    result = syncctl("conflicts", "resolve", "documents", "c1", "nope", "--keep", "source")
    assert result.code == 1
    assert "failed" in result.out


def put_versions(syncctl: Syncctl, directory: Path, source: bytes, destination: bytes) -> None:
    files = []
    for name, content in ((b"s\xff", source), (b"d", destination)):
        path = os.path.join(os.fsencode(directory), name)
        with open(path, "wb") as stream:
            stream.write(content)
        where = m.PathText.of(path)
        files.append(m.FileRef(path=where.path, path_b64=where.path_b64))
    syncctl.backend.files = (files[0], files[1])


def test_conflicts_diff(syncctl: Syncctl, tmp_path: Path) -> None:
    put_versions(syncctl, tmp_path, b"one\ntwo\x1b[2J\n", b"one\nthree\n")
    result = syncctl("conflicts", "diff", "c1")
    assert result.code == 0
    assert "-two\\x1b[2J\n+three\n" in result.out
    shown = syncctl("conflicts", "diff", "c1", "--json")
    check(json.loads(shown.out), schema_of("syncctl.conflict-diff/1"))
    put_versions(syncctl, tmp_path, b"\xff\x00", b"x")
    assert "not text" in syncctl("conflicts", "diff", "c1").out
    put_versions(syncctl, tmp_path, b"\x00a", b"\x00b")
    assert syncctl("conflicts", "diff", "c1", "--json").data["verdict"] == "binary"
    put_versions(syncctl, tmp_path, b"x", b"x")
    assert "are equal" in syncctl("conflicts", "diff", "c1").out


def test_conflicts_diff_of_what_is_gone(syncctl: Syncctl, tmp_path: Path) -> None:
    assert syncctl("conflicts", "diff", "c1").code == 10
    put_versions(syncctl, tmp_path, b"x", b"y")
    (tmp_path / "d").unlink()
    result = syncctl("conflicts", "diff", "c1")
    assert result.code == 1
    assert "No such file" in result.err


def test_no_conflicts(syncctl: Syncctl, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(_params: m.ConflictListParams) -> m.ConflictsPage:
        return m.ConflictsPage(conflicts=(), total=0)

    monkeypatch.setattr(syncctl.backend, "conflict_list", none)
    assert syncctl("conflicts").out == "No conflicts.\n"
    assert syncctl("conflicts", "list", "--check").code == 0


def test_a_conflict_shows_its_versions(syncctl: Syncctl, tmp_path: Path) -> None:
    put_versions(syncctl, tmp_path, b"x", b"y")
    text = syncctl("conflicts", "show", "documents", "c1").out
    assert f"at {tmp_path}/s\\xff" in text
    assert "--keep source|destination|both|newest" in text
    assert conflict().path in text
    assert syncctl("conflicts", "show", "a", "b", "c").code == 2
