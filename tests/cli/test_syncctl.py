"""Every command of `syncctl` against a fake daemon: text, JSON against its schema, help, exit codes."""

import importlib
import json
import sys
import types
from pathlib import Path

import pytest

from syncd.cli.syncctl.group import COMMANDS, cli
from syncd.cli.syncctl.schema import SCHEMAS, schema_of
from syncd.core.error import SyncdError
from syncd.core.reason import Reason
from tests.cli.conftest import Syncctl
from tests.cli.schema_check import check

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
@pytest.mark.parametrize("command", ["list", "status"])
def test_whatever_happens_there_is_no_traceback(
    syncctl: Syncctl, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, command: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("syncd.cli.syncctl.app.App.connect", fail)
    monkeypatch.setattr("syncd.cli.syncctl.quick.connect", fail)
    result = syncctl(command)
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
