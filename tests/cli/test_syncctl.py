"""Every command of `syncctl` against a fake daemon: text, JSON against its schema, exit codes."""

import importlib
import json
import os
import sys
import types
from pathlib import Path
from typing import Any

import msgspec
import pytest

from syncd.cli.syncctl import COMMANDS, cli
from syncd.cli.syncctl.app import Exit
from syncd.cli.syncctl.schema import SCHEMAS, schema_of
from syncd.control import model as m
from syncd.core.error import SyncdError
from syncd.core.reason import Reason
from tests.cli.conftest import Syncctl
from tests.cli.schema_check import check
from tests.control.fake import HOLD, conflict, pair_status

JSON_COMMANDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("status", ("status",)),
    ("list", ("list",)),
    ("show", ("show", "documents")),
    ("explain", ("explain", "a")),
    ("ignore-test", ("ignore", "test", "a.tmp")),
    ("wait", ("wait", "documents")),
    ("sync", ("sync",)),
    ("rescan", ("rescan", "documents", "--path", "a")),
    ("pause", ("pause",)),
    ("resume", ("resume", "documents")),
    ("notify", ("notify", "documents", "--new", "a")),
    ("plan", ("plan", "photos")),
    ("plan-decision", ("plan", "approve", "photos", "5ad1c0ffee")),
    ("conflicts", ("conflicts",)),
    ("conflict", ("conflicts", "show", "c1")),
    ("conflicts-resolved", ("conflicts", "resolve", "c1", "--keep", "newest")),
    ("conflict-restored", ("conflicts", "restore", "documents", "c1")),
    ("issues", ("issues",)),
    ("history", ("history",)),
    ("pair-change", ("pair", "add", "new", "/a", "/b")),
    ("pair-adopt", ("pair", "adopt", "documents")),
    ("check-config", ("check-config",)),
    ("reload", ("reload",)),
    ("log", ("log",)),
    ("version", ("version",)),
    ("stop", ("stop", "--timeout", "0")),
)


@pytest.mark.parametrize(("name", "arguments"), JSON_COMMANDS)
def test_json_fits_its_schema(syncctl: Syncctl, name: str, arguments: tuple[str, ...]) -> None:
    result = syncctl(*arguments, "--json")
    assert result.err == ""
    lines = result.out.splitlines()
    assert lines
    for line in lines:
        assert line.isprintable()
        check(json.loads(line), schema_of(f"syncctl.{name}/1"))
    first = syncctl("--json", *arguments)
    if name not in ("stop", "log"):
        assert first.out == result.out


@pytest.mark.parametrize(("name", "arguments"), JSON_COMMANDS)
def test_text_is_printable_and_not_json(syncctl: Syncctl, name: str, arguments: tuple[str, ...]) -> None:
    result = syncctl(*arguments)
    assert result.err == ""
    assert result.out.strip()
    assert not result.out.startswith("{")
    assert all(line.isprintable() for line in result.out.split("\n"))


def test_every_schema_is_printed_by_some_command() -> None:
    tested = {f"syncctl.{name}/1" for name, _ in JSON_COMMANDS}
    elsewhere = {"syncctl.event/1", "syncctl.conflict-diff/1", "syncctl.service-install/1", "syncctl.error/1"}
    assert tested | elsewhere == set(SCHEMAS)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help(syncctl: Syncctl, name: str) -> None:
    result = syncctl(name, "--help")
    assert result.code == 0
    assert result.out.startswith("Usage: syncctl " + name)
    assert "--json" in result.out


def test_help_names_the_commands_and_the_exit_codes(syncctl: Syncctl) -> None:
    result = syncctl("--help")
    assert result.code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in result.out
    assert "130 interrupted" in " ".join(result.out.split())
    assert syncctl("--version").out.startswith("syncctl ")


def test_no_command_is_help(syncctl: Syncctl) -> None:
    result = syncctl()
    assert "Usage: syncctl" in result.out + result.err
    assert result.code in (0, 2)


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
        ({"conflicts": 1}, 3),
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


# records


def test_issues_show_the_way_out(syncctl: Syncctl) -> None:
    text = syncctl("issues", "documents", "--notes").out
    assert "secret\\n.key" in text
    assert "unreadable  → give the daemon's user read permission" in text
    assert syncctl.called == m.IssueListParams(pair="documents", include_notes=True)


def test_history_collects_pages(syncctl: Syncctl, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = m.HistoryEntry(
        path="a", entry_id=0, pair="p", batch="b", at=conflict().at, side="source", verb="put",
        reason="added", size=1,
    )  # fmt: skip

    async def history(params: m.HistoryListParams) -> m.HistoryPage:
        syncctl.backend.calls.append(("history.list", params))
        top = 2500 if params.before is None else params.before
        ids = range(top - 1, max(-1, top - 1 - params.limit), -1)
        entries = tuple(msgspec.structs.replace(entry, entry_id=number) for number in ids)
        return m.HistoryPage(entries=entries, has_more=bool(entries) and entries[-1].entry_id > 0)

    monkeypatch.setattr(syncctl.backend, "history_list", history)
    page = syncctl("history", "-n", "2200", "--json").data
    assert [row["entry_id"] for row in page["entries"]] == list(range(2499, 299, -1))
    assert page["has_more"]
    assert len(syncctl("history", "-n", "9999", "--json").data["entries"]) == 2500
    assert syncctl("history", "x", "-n", "5").code == 0
    assert syncctl.called.path == f"{Path.cwd()}/x"


# pair, config, daemon


def test_pair_add_parameters(syncctl: Syncctl) -> None:
    result = syncctl(
        "pair", "add", "new", "rel/source", "hub+https://host/ws", "--mode", "tw", "--ignore", "*.tmp",
        "--ignore", "/cache/", "--settle", "1s", "--max-delete-files", "5", "--trash-keep", "9d", "--paused",
        "--no-cross-mounts",
    )  # fmt: skip
    assert result.code == 0
    assert syncctl.called == m.PairAddParams(
        name="new",
        source=f"{Path.cwd()}/rel/source",
        destination="hub+https://host/ws",
        options=m.PairOptions(
            mode="tw",
            ignore=("*.tmp", "/cache/"),
            settle="1s",
            max_delete=m.MaxDelete(files=5),
            trash=m.TrashOption(keep="9d"),
            paused=True,
            cross_mounts=False,
        ),
    )


def test_pair_edit_remove_adopt(syncctl: Syncctl) -> None:
    result = syncctl("pair", "edit", "documents", "--mode", "std", "--unset", "settle")
    assert "warning: a first sync" in result.out
    assert syncctl.called == m.PairEditParams(
        pair="documents", options=m.PairOptions(mode="std"), unset=("settle",)
    )
    assert syncctl("pair", "edit", "documents").code == 2
    assert syncctl("pair", "remove", "documents", "--purge").code == 0
    assert syncctl.called == m.PairRemoveParams(pair="documents", purge=True)
    assert syncctl("pair", "adopt", "documents", "--side", "source").code == 0
    assert syncctl.called == m.PairAdoptParams(pair="documents", side="source")


def test_a_bad_config_is_exit_8(syncctl: Syncctl) -> None:
    syncctl.backend.problems = (
        m.ConfigProblem(severity="error", file="/x.toml", line=3, key="pair.a.mode", message="no such mode"),
        m.ConfigProblem(severity="warning", file="/x.toml", line=None, key="", message="loose"),
    )
    for command in ("check-config", "reload"):
        result = syncctl(command)
        assert result.code == 8
        assert "error  /x.toml:3: pair.a.mode: no such mode" in result.out
        assert "warning  /x.toml: loose" in result.out
        assert syncctl(command, "--json").code == 8


def test_check_config_without_a_daemon(syncctl: Syncctl, tmp_path: Path) -> None:
    good = tmp_path / "good.toml"
    good.write_text(f'[pair.a]\nsource = "{tmp_path}/a"\ndestination = "{tmp_path}/b"\n')
    result = syncctl("check-config", "-c", str(good))
    assert result.code == 0, result.out
    assert "pairs: a" in result.out
    assert "warning" in result.out
    bad = tmp_path / "bad.toml"
    bad.write_text('[pair.a]\nsource = "/a"\ndestination = "/b"\nmood = "x"\n')
    result = syncctl("check-config", "-c", str(bad), "--json")
    assert result.code == 8
    check(json.loads(result.out), schema_of("syncctl.check-config/1"))
    assert any("mood" in problem["key"] + problem["message"] for problem in result.data["problems"])
    assert not syncctl.backend.calls


def test_check_config_falls_back_when_no_daemon_runs(syncctl: Syncctl, tmp_path: Path) -> None:
    assert syncctl("check-config", socket=tmp_path / "none").code == 0
    assert syncctl("--socket", str(tmp_path / "none"), "check-config").code == 4


def test_version_without_a_daemon(syncctl: Syncctl, tmp_path: Path) -> None:
    result = syncctl("version", "--json", socket=tmp_path / "none")
    assert result.code == 0
    check(json.loads(result.out), schema_of("syncctl.version/1"))
    assert result.data["daemon"] is None
    assert "not reachable" in syncctl("version", socket=tmp_path / "none").out


def test_log_parameters(syncctl: Syncctl) -> None:
    assert "file.put" in syncctl("log", "-n", "7", "--level", "error", "--pair", "documents").out
    assert syncctl.called == m.LogTailParams(limit=7, level="error", pair="documents")


def test_stop_waits_for_the_end(syncctl: Syncctl) -> None:
    result = syncctl("stop", "--timeout", "0.05")
    assert result.code == Exit.TIMED_OUT
    assert result.out == "the daemon stops\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(syncctl: Syncctl, shell: str) -> None:
    result = syncctl("completion", shell)
    assert result.code == 0
    assert "_SYNCCTL_COMPLETE" in result.out


def test_pair_names_are_completed(syncctl: Syncctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_SYNCCTL_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "syncctl show pho")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert syncctl().out == "plain,photos\n"
    monkeypatch.setenv("COMP_WORDS", "syncctl plan approve photos 5a")
    monkeypatch.setenv("COMP_CWORD", "4")
    assert syncctl().out == "plain,5ad1c0ffee\n"
    assert syncctl(socket=Path("/nonexistent")).out == "\n"


def test_schemas(syncctl: Syncctl) -> None:
    assert json.loads(syncctl("schema").out).keys() == SCHEMAS.keys()
    for name in ("status", "syncctl.status", "syncctl.status/1"):
        assert json.loads(syncctl("schema", name).out)["$id"] == "syncctl.status/1"
    assert syncctl("schema", "nope").code == 10


# errors


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (Reason.NO_SUCH_PAIR, 10),
        (Reason.NO_SUCH_PATH, 10),
        (Reason.NO_SUCH_ID, 10),
        (Reason.NOT_ALLOWED, 9),
        (Reason.BAD_REQUEST, 2),
        (Reason.CONFIG_INVALID, 8),
        (Reason.STATE_BUSY, 75),
        (Reason.MASS_DELETE, 5),
        (Reason.ROOT_MISSING, 5),
        (Reason.IO_ERROR, 1),
    ],
)
def test_reasons_become_exit_codes(syncctl: Syncctl, reason: Reason, code: int) -> None:
    syncctl.backend.fails["pair.list"] = SyncdError(reason, "evil\x1b[2J")
    result = syncctl("list")
    assert result.code == code
    assert result.out == ""
    assert "Error: evil\\x1b[2J" in result.err
    assert reason.fix in result.err
    shown = json.loads(syncctl("list", "--json").err)
    check(shown, schema_of("syncctl.error/1"))
    assert shown["data"] == {"exit": code, "message": "evil\x1b[2J", "reason": reason, "fix": reason.fix}


def test_no_daemon_is_exit_4_and_names_the_sockets(syncctl: Syncctl, tmp_path: Path) -> None:
    result = syncctl("status", socket=tmp_path / "none")
    assert result.code == 4
    assert f"{tmp_path}/none (not there)" in result.err
    assert json.loads(syncctl("status", "--json", socket=tmp_path / "none").err)["data"]["exit"] == 4


@pytest.mark.parametrize(
    "arguments", [("bogus",), ("statsu",), ("status", "--bogus"), ("show",), ("pair", "x")]
)
def test_usage_errors_are_exit_2(syncctl: Syncctl, arguments: tuple[str, ...]) -> None:
    result = syncctl(*arguments)
    assert result.code == 2
    assert "Error: " in result.err
    assert json.loads(syncctl(*arguments, "--json").err)["data"]["exit"] == 2


def test_a_near_miss_gets_a_hint(syncctl: Syncctl) -> None:
    assert "Did you mean 'status'?" in syncctl("statsu").err


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), 130), (BrokenPipeError(), 0), (RuntimeError("boom"), 1), (OSError(5, "I/O"), 1)],
)
def test_whatever_happens_there_is_no_traceback(
    syncctl: Syncctl, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("syncd.cli.syncctl.app.App.connect", fail)
    result = syncctl("status")
    assert result.code == code
    assert "Traceback" not in result.out + result.err


def test_the_service_installer_may_be_missing(syncctl: Syncctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "syncd.daemon.install", None)
    result = syncctl("service", "install", "--dry-run")
    assert result.code == 1
    assert "installer" in result.err


def test_service_install_says_what_it_wrote(syncctl: Syncctl, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, bool]] = []

    def install(**options: bool) -> tuple[tuple[Path, ...], tuple[str, ...]]:
        asked.append(options)
        return (Path("/etc/systemd/system/syncd.service"),), ("systemctl enable --now syncd",)

    installer = types.ModuleType("syncd.daemon.install")
    installer.install = install  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "syncd.daemon.install", installer)
    dry = syncctl("service", "install", "--user", "--dry-run")
    assert "would write  /etc/systemd/system/syncd.service" in dry.out
    assert "→ systemctl enable --now syncd" in dry.out
    shown = syncctl("service", "install", "--json")
    check(json.loads(shown.out), schema_of("syncctl.service-install/1"))
    assert asked == [{"is_user": True, "is_dry_run": True}, {"is_user": False, "is_dry_run": False}]


def test_the_real_installer_has_the_shape_that_is_called() -> None:
    import inspect

    installer = importlib.import_module("syncd.daemon.install")
    assert list(inspect.signature(installer.install).parameters) == ["is_user", "is_dry_run"]


def test_commands_are_named_in_one_place() -> None:
    import click

    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name
