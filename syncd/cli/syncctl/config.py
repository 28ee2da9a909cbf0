"""`syncctl check-config` and `reload`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from syncd.cli.output import Output
from syncd.cli.syncctl.app import App, command
from syncd.cli.syncctl.exits import Exit
from syncd.control import model as m
from syncd.control.client import Unreachable

if TYPE_CHECKING:
    from syncd.daemon.config import ConfigProblem as Found


@command("check-config")
@click.option("-c", "--config", "file", type=click.Path(), help="Check this file, without a daemon.")
def check_config(app: App, file: str | None) -> int:
    """Validate the config files: those of the running daemon, or the default ones when none runs."""
    answer = _ask(app) if file is None else None
    if answer is None:
        answer = check_locally(file)
    if app.is_json:
        app.out.emit("syncctl.check-config/1", answer)
    else:
        _render(app.out, answer.problems)
        if answer.is_valid:
            names = ", ".join(answer.pairs) or "none"
            app.out.line(("valid", "green"), f"  pairs: {names}")
    return Exit.OK if answer.is_valid else Exit.CONFIG


def _ask(app: App) -> m.ConfigCheck | None:
    try:
        return app.call("config.check", m.ConfigCheckParams(), m.ConfigCheck)
    except Unreachable:
        if app.socket is not None:
            raise
        return None


def check_locally(file: str | None) -> m.ConfigCheck:
    """What the daemon would say at start."""
    from syncd.daemon.config import ConfigInvalid, load_config, warnings

    try:
        config = load_config(
            None if file is None else Path(file), is_system=os.geteuid() == 0, env=os.environ
        )
    except ConfigInvalid as error:
        problems = tuple(_problem(found, "error") for found in error.problems)
        files = tuple(dict.fromkeys(found.file for found in error.problems))
        return m.ConfigCheck(is_valid=False, files=files, pairs=(), problems=problems)
    return m.ConfigCheck(
        is_valid=True,
        files=tuple(str(read.path) for read in config.files),
        pairs=tuple(pair.name for pair in config.pairs),
        problems=tuple(_problem(found, "warning") for found in warnings(config)),
    )


def _problem(found: "Found", severity: str) -> m.ConfigProblem:
    message = found.message + (f" ({found.hint})" if found.hint else "")
    return m.ConfigProblem(
        severity=severity, file=found.file, line=found.line or None, key=found.key, message=message
    )


def _render(out: Output, problems: Sequence[m.ConfigProblem]) -> None:
    for problem in problems:
        place = f"{problem.file}:{problem.line}" if problem.line is not None else problem.file
        text = ": ".join(part for part in (place, problem.key, problem.message) if part)
        style = "red" if problem.severity == "error" else "yellow"
        out.line((problem.severity, style), f"  {text}")


@command("reload")
def reload(app: App) -> int:
    """Read the config again and apply the pairs that changed; a bad file changes nothing."""
    answer = app.call("config.reload", m.ConfigReloadParams(), m.ReloadResult)
    if app.is_json:
        app.out.emit("syncctl.reload/1", answer)
    else:
        _render(app.out, answer.problems)
        if not answer.is_applied:
            app.out.line(("nothing was changed", "red"))
        else:
            changes = (("added", answer.added), ("changed", answer.changed), ("removed", answer.removed))
            said = [f"{verb}: {', '.join(names)}" for verb, names in changes if names]
            app.out.line("; ".join(said) or "nothing changed")
    return Exit.OK if answer.is_applied else Exit.CONFIG
