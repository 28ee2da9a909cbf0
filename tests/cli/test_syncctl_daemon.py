"""`syncctl` about records, configuration and the daemon itself."""

import json
from pathlib import Path

import msgspec
import pytest

from syncd.cli.syncctl.exits import Exit
from syncd.cli.syncctl.schema import SCHEMAS, schema_of
from syncd.control import model as m
from tests.cli.conftest import Syncctl
from tests.cli.schema_check import check
from tests.control.fake import conflict

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
        "--ignore", "/cache/", "--settle", "1s", "--max-delete-files", "5",
        "--max-delete-bytes-percent", "40", "--trash-keep", "9d", "--paused",
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
            max_delete=m.MaxDelete(files=5, bytes_percent=40),
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
