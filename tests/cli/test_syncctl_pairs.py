"""`syncctl` about a pair: status, wait, sync, explain, plan."""

import os
from pathlib import Path
from typing import Any

import pytest

from syncd.control import model as m
from syncd.core.error import SyncdError
from syncd.core.reason import Reason
from tests.cli.conftest import Syncctl
from tests.control.fake import HOLD, pair_status

# status


def test_status_says_what_is_wrong_and_what_to_do(syncctl: Syncctl) -> None:
    backend = syncctl.backend
    backend.pairs = [
        pair_status("fine"),
        pair_status("held", state="held", hold=HOLD),
        pair_status("torn", conflicts=2, issues=1),
        pair_status("broken", state="failed"),
        pair_status("still", state="paused"),
        pair_status("later", state="waiting", watcher=m.WatcherInfo(kind="none", alive=False, watched=0)),
        pair_status(
            "busy",
            state="syncing",
            lag_s=12.5,
            pending=m.Pending(files=3, bytes=4096),
            progress=m.Progress(phase="copying", done=1, total=3, bytes_done=1024, bytes_total=4096),
        ),
    ]
    text = syncctl("status").out
    assert "7 pairs" in text
    assert "412 of 500 files" in text
    assert "→ syncctl plan show photos" in text
    assert "2 conflicts to decide" in text
    assert "→ syncctl conflicts list torn" in text
    assert "→ syncctl issues torn" in text
    assert "→ syncctl resume still" in text
    assert "syncctl log --pair broken" in text
    assert "no watcher" in text
    assert "3 files, 4KiB" in text
    assert "copying: 1/3, 1KiB of 4KiB" in text
    assert "2 idle, 1 held" in text


def test_status_without_pairs_says_how_to_begin(syncctl: Syncctl) -> None:
    syncctl.backend.pairs = []
    assert "syncctl pair add" in syncctl("status").out


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"state": "syncing"}, 0),
        ({"conflicts": 1}, 0),
        ({"conflicts": 2, "manual_conflicts": 1}, 3),
        ({"issues": 1}, 3),
        ({"lag_s": 1.0}, 3),
        ({"pending": m.Pending(files=1, bytes=1)}, 3),
        ({"state": "paused"}, 3),
        ({"state": "failed"}, 3),
        ({"state": "waiting"}, 3),
        ({"state": "held"}, 5),
        ({"state": "held", "hold": HOLD, "issues": 3}, 5),
    ],
)
def test_status_check(syncctl: Syncctl, changes: dict[str, Any], code: int) -> None:
    syncctl.backend.pairs = [pair_status("a"), pair_status("b", **changes)]
    assert syncctl("status", "--check").code == code
    assert syncctl("status").code == 0
    assert syncctl("status", "--check", "a").code == 0


def test_names_cannot_act_on_the_terminal(syncctl: Syncctl) -> None:
    evil = "x\x1b[2J\u202ey"
    syncctl.backend.pairs = [pair_status(evil, source="/\x07", state="held", hold=HOLD)]
    for arguments in (("status",), ("list",), ("status", "--json")):
        text = syncctl(*arguments).out
        assert all(line.isprintable() for line in text.split("\n"))
    assert syncctl("status", "--json").data["pairs"][0]["name"] == evil


def test_show_names_where_settings_come_from(syncctl: Syncctl) -> None:
    text = syncctl("show", "documents").out
    assert '"two-way"  /etc/syncd/syncd.toml:7' in text
    assert "3 files, 36B" in text


# flow


@pytest.mark.parametrize(("outcome", "code"), [("synced", 0), ("degraded", 3), ("held", 5), ("timeout", 7)])
def test_wait_exits(
    syncctl: Syncctl, monkeypatch: pytest.MonkeyPatch, outcome: m.WaitOutcome, code: int
) -> None:
    async def wait(params: m.PairWaitParams) -> m.WaitResult:
        syncctl.backend.calls.append(("pair.wait", params))
        pair = m.PairOutcome(name="a", outcome=outcome, state="idle", conflicts=0, issues=0)
        return m.WaitResult(outcome=outcome, pairs=(pair,))

    monkeypatch.setattr(syncctl.backend, "pair_wait", wait)
    assert syncctl("wait", "--all", "--timeout", "1m30s").code == code
    assert syncctl.called == m.PairWaitParams(timeout_s=90.0)
    assert syncctl("wait", "a", "--timeout", "2").code == code
    assert syncctl.called == m.PairWaitParams(pairs=("a",), timeout_s=2.0)


@pytest.mark.parametrize("arguments", [("a", "--all"), ("--timeout", "soon")])
def test_wait_usage(syncctl: Syncctl, arguments: tuple[str, ...]) -> None:
    assert syncctl("wait", *arguments).code == 2
    assert not syncctl.backend.calls


def test_sync_and_rescan_parameters(syncctl: Syncctl) -> None:
    assert syncctl("sync", "documents", "--wait").code == 0
    assert syncctl.called == m.PairSyncParams(pairs=("documents",), wait=True)
    assert syncctl("rescan", "documents", "--path", "ä/b").code == 0
    assert syncctl.called == m.PairRescanParams(pairs=("documents",), path="ä/b")
    assert syncctl("rescan", "--path", os.fsdecode(b"\xff")).code == 0
    assert syncctl.called.raw == b"\xff"


def test_notify_parameters(syncctl: Syncctl) -> None:
    assert syncctl("notify", "documents", "--old", "a", "--new", "b", "--copy").code == 0
    assert syncctl.called == m.PairNotifyParams(pair="documents", old="a", new="b", is_copy=True)
    assert syncctl("notify", "documents").code == 2
    assert syncctl("notify", "documents", "--new", "a", "--copy").code == 2
    assert syncctl("notify", "nope", "--new", "a").code == 10


# explain


def test_explain_shows_the_evidence(syncctl: Syncctl) -> None:
    text = syncctl("explain", "a/b").out
    assert syncctl.called == m.PathExplainParams(path=f"{Path.cwd()}/a/b")
    for part in ("source", "destination", "base", "absent", "add at S: put D", "unreadable", "attempts"):
        assert part in text
    assert "give the daemon's user read permission" in text


def test_explain_takes_a_path_of_a_pair(syncctl: Syncctl) -> None:
    assert syncctl("explain", "--pair", "documents", "a/./b").code == 0
    assert syncctl.called == m.PathExplainParams(path="a/b", pair="documents")


def test_explain_tries_the_real_name_of_a_link(
    syncctl: Syncctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    asked: list[bytes] = []

    async def explain(params: m.PathExplainParams) -> m.Explanations:
        asked.append(params.raw or b"")
        raise SyncdError(Reason.NO_SUCH_PATH, "no pair holds it")

    monkeypatch.setattr(syncctl.backend, "path_explain", explain)
    assert syncctl("explain", str(tmp_path / "link" / "x")).code == 10
    assert asked == [os.fsencode(tmp_path / "link/x"), os.fsencode(tmp_path / "real/x")]


def test_ignore_test(syncctl: Syncctl) -> None:
    assert "ignored by *.tmp  (config)" in syncctl("ignore", "test", "a.tmp").out
    assert "not ignored" in syncctl("ignore", "test", "a.txt", "--directory").out
    assert syncctl.called.is_directory is True


# plan


def test_plan_shows_one_screen_or_all(syncctl: Syncctl) -> None:
    short = syncctl("plan", "photos")
    assert short.code == 5
    assert "and 1460 more" in short.out
    assert "syncctl plan approve|reject|revert photos 5ad1c0ffee" in short.out
    full = syncctl("plan", "show", "photos", "--all")
    assert "old-1499.txt" in full.out
    assert len(syncctl("plan", "photos", "--all", "--json").data["actions"]) == 1500
    assert syncctl("plan", "documents").code == 0
    assert len(syncctl("plan", "--json").out.splitlines()) == 2


@pytest.mark.parametrize("verb", ["approve", "reject", "revert"])
def test_plan_decisions(syncctl: Syncctl, verb: str) -> None:
    assert syncctl("plan", verb, "photos", "5ad1c0ffee").code == 0
    assert syncctl.backend.calls[-1][0] == f"plan.{verb}"
    assert syncctl("plan", verb, "photos", "other").code == 10
    assert syncctl("plan", verb, "photos").code == 2


def test_the_default_of_a_group_stands_after_shared_options(syncctl: Syncctl) -> None:
    result = syncctl("plan", "--socket", str(syncctl.socket), "--json", "documents")
    assert result.code == 0
    assert result.data["pair"] == "documents"
    assert "approve" in syncctl("plan", "--help").out
