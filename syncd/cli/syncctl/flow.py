"""`syncctl wait`, `sync`, `rescan`, `notify`, `pause`, `resume`: what makes pairs move or stop."""

import os

import click

from syncd.cli.output import Output, amount
from syncd.cli.syncctl.app import App, command, pair_argument, pairs_argument
from syncd.cli.syncctl.exits import Exit
from syncd.cli.syncctl.status_view import STATE_STYLES, render_pairs
from syncd.control import model as m
from syncd.control.client import CALL_TIMEOUT_S
from syncd.control.model.common import path_params
from syncd.core.units import parse_duration

WAIT_EXITS = {
    "synced": Exit.OK,
    "degraded": Exit.DEGRADED,
    "held": Exit.HELD,
    "timeout": Exit.TIMED_OUT,
}
_GRACE_S = 10.0


def read_duration(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    """`90s`, `1h30m`; a bare number is seconds."""
    if value is None:
        return None
    try:
        return parse_duration(value + "s" if value.replace(".", "", 1).isdigit() else value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@command("wait")
@pairs_argument
@click.option("--all", "is_all", is_flag=True, help="All pairs (as when none is named).")
@click.option("--timeout", callback=read_duration, metavar="DURATION", help="Give up after this: exit 7.")
def wait(app: App, pairs: tuple[str, ...], is_all: bool, timeout: float | None) -> int:
    """Wait until every change made before this call is on the other side.

    Exit 0: it is. 3: it is, but for open issues or conflicts, or a pair is paused or failed. 5: a pair is
    held. 7: timed out.
    """
    if is_all and pairs:
        raise click.UsageError("name pairs or say --all, not both")
    params = m.PairWaitParams(pairs=pairs, timeout_s=timeout)
    limit = None if timeout is None else timeout + _GRACE_S
    answer = app.call("pair.wait", params, m.WaitResult, timeout_s=limit)
    if app.is_json:
        app.out.emit("syncctl.wait/1", answer)
    else:
        _render_wait(app.out, answer)
    return WAIT_EXITS.get(answer.outcome, Exit.FAILED)


def _render_wait(out: Output, answer: m.WaitResult) -> None:
    rows = [
        (pair.name, pair.outcome, pair.state, amount(pair.conflicts), amount(pair.issues), pair.detail)
        for pair in answer.pairs
    ]
    styles = {**STATE_STYLES, "synced": "green", "degraded": "yellow", "timeout": "red"}
    out.table(("PAIR", "OUTCOME", "STATE", "CONFLICTS", "ISSUES", ""), rows, styles=styles)


def _show_pairs(app: App, name: str, answer: m.Pairs) -> None:
    if app.is_json:
        app.out.emit(f"syncctl.{name}/1", answer)
    else:
        render_pairs(app.out, answer)


_wait_option = click.option("--wait", "is_waiting", is_flag=True, help="Come back when it is done.")


@command("sync")
@pairs_argument
@_wait_option
def sync(app: App, pairs: tuple[str, ...], is_waiting: bool) -> None:
    """Run a cycle now, without waiting for the next event, poll or rescan."""
    params = m.PairSyncParams(pairs=pairs, wait=is_waiting)
    limit = None if is_waiting else CALL_TIMEOUT_S
    _show_pairs(app, "sync", app.call("pair.sync", params, m.Pairs, timeout_s=limit))


@command("rescan")
@pairs_argument
@click.option("--path", metavar="PATH", help="Only at and beneath this path (in a root, or relative to it).")
@_wait_option
def rescan(app: App, pairs: tuple[str, ...], path: str | None, is_waiting: bool) -> None:
    """Scan the trees again now: all of them, or one path."""
    text, encoded = path_params(None if path is None else os.fsencode(path))
    params = m.PairRescanParams(pairs=pairs, path=text, path_b64=encoded, wait=is_waiting)
    limit = None if is_waiting else CALL_TIMEOUT_S
    _show_pairs(app, "rescan", app.call("pair.rescan", params, m.Pairs, timeout_s=limit))


@command("notify")
@pair_argument
@click.option("--old", metavar="PATH", help="The name that is gone, or was renamed or copied from.")
@click.option("--new", metavar="PATH", help="The name that was written, or was renamed or copied to.")
@click.option("--copy", "is_copy", is_flag=True, help="--old was copied to --new, not renamed.")
def notify(app: App, pair: str, old: str | None, new: str | None, is_copy: bool) -> None:
    """Tell one change: --new written, --old deleted, or --old renamed to --new."""
    if old is None and new is None:
        raise click.UsageError("say --old, --new or both")
    if is_copy and (old is None or new is None):
        raise click.UsageError("--copy needs both --old and --new")
    old_text, old_b64 = path_params(None if old is None else os.fsencode(old))
    new_text, new_b64 = path_params(None if new is None else os.fsencode(new))
    params = m.PairNotifyParams(
        pair=pair, old=old_text, old_b64=old_b64, new=new_text, new_b64=new_b64, is_copy=is_copy
    )
    acknowledge(app, "notify", app.call("pair.notify", params, m.Ack))


def acknowledge(app: App, name: str, answer: m.Ack) -> None:
    if app.is_json:
        app.out.emit(f"syncctl.{name}/1", answer)
    else:
        app.out.line(answer.detail or "done")


@command("pause")
@pairs_argument
def pause(app: App, pairs: tuple[str, ...]) -> None:
    """Pause pairs (all when none is named); they stay paused over restarts."""
    _show_pairs(app, "pause", app.call("pair.pause", m.PairsParams(pairs=pairs), m.Pairs))


@command("resume")
@pairs_argument
def resume(app: App, pairs: tuple[str, ...]) -> None:
    """Resume paused or failed pairs (all when none is named)."""
    _show_pairs(app, "resume", app.call("pair.resume", m.PairsParams(pairs=pairs), m.Pairs))
