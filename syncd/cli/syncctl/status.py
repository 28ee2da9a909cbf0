"""`syncctl status`, `list`, `show`: one screen of how things stand, and what to do about each."""

import click

from syncd.cli.output import ago, duration, json_text, plural, size
from syncd.cli.syncctl.app import App, command, pair_argument, pairs_argument
from syncd.cli.syncctl.exits import Exit
from syncd.cli.syncctl.status_view import STATE_STYLES, advise, render_pairs, render_status, verdict
from syncd.control.model import (
    NoParams,
    PairDetail,
    Pairs,
    PairShowParams,
    SideCount,
    Status,
    StatusParams,
)


@command("status")
@pairs_argument
@click.option("--check", is_flag=True, help="Exit 3 if a pair is not in sync or degraded, 5 if one is held.")
def status(app: App, pairs: tuple[str, ...], check: bool) -> int:
    """State, lag, pending changes, conflicts, issues and holds, and what to do about each."""
    answer = app.call("status", StatusParams(pairs=pairs), Status)
    if app.is_json:
        app.out.emit("syncctl.status/1", answer)
    else:
        render_status(app.out, answer)
    return verdict(answer.pairs) if check else Exit.OK


@command("list")
def list_pairs(app: App) -> None:
    """The pairs, their roots, modes and states."""
    answer = app.call("pair.list", NoParams(), Pairs)
    if app.is_json:
        app.out.emit("syncctl.list/1", answer)
    else:
        render_pairs(app.out, answer)


@command("show")
@pair_argument
def show(app: App, pair: str) -> None:
    """One pair in full: how it stands, its roots, its effective settings and where they come from."""
    answer = app.call("pair.show", PairShowParams(pair=pair), PairDetail)
    if app.is_json:
        app.out.emit("syncctl.show/1", answer)
        return
    out, now = app.out, answer.status
    totals = now.totals
    out.line((now.name, "bold"), "  ", (now.state, STATE_STYLES.get(now.state, "")))
    rows = [
        ("source", _tree(now.source, totals.source)),
        ("destination", _tree(now.destination, totals.destination)),
        ("mode", now.mode),
        ("lag", duration(now.lag_s)),
        ("last synced", ago(now.last_synced_at)),
        ("watcher", f"{now.watcher.kind}, {now.watcher.watched} watched"),
    ]
    for root in answer.roots:
        rows.append((f"{root.side} root", f"{root.filesystem}; {', '.join(root.capabilities) or 'plain'}"))
        rows += [("", note) for note in root.notes]
    out.fields(rows, indent="  ")
    out.line()
    settings = [(row.key, json_text(row.value), row.origin) for row in answer.settings]
    out.table(("SETTING", "VALUE", "FROM"), settings)
    advise(out, now)


def _tree(root: str, count: SideCount) -> str:
    return f"{root}  ({plural(count.files, 'file')}, {size(count.bytes)})"
