"""`syncctl status`, `list`, `show`: one screen of how things stand, and what to do about each."""

from collections import Counter
from collections.abc import Sequence

import click

from syncd.cli.output import Output, ago, amount, duration, json_text, plural, size
from syncd.cli.syncctl.app import App, Exit, command, pair_argument, pairs_argument
from syncd.control.model import (
    NoParams,
    PairDetail,
    Pairs,
    PairShowParams,
    PairStatus,
    SideCount,
    Status,
    StatusParams,
)

STATE_STYLES = {
    "idle": "green",
    "syncing": "cyan",
    "scanning": "cyan",
    "starting": "cyan",
    "waiting": "yellow",
    "paused": "yellow",
    "held": "red",
    "failed": "red",
}


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


def verdict(pairs: Sequence[PairStatus]) -> Exit:
    """What `--check` answers: held beats degraded beats fine."""
    if any(pair.hold is not None or pair.state == "held" for pair in pairs):
        return Exit.HELD
    return Exit.OK if all(is_in_sync(pair) for pair in pairs) else Exit.DEGRADED


def is_in_sync(pair: PairStatus) -> bool:
    """Nothing on the way, nothing open, and able to work."""
    is_clear = not (pair.manual_conflicts or pair.issues or pair.pending.files or pair.lag_s)
    return is_clear and pair.state not in ("starting", "waiting", "paused", "failed", "held")


def render_status(out: Output, answer: Status) -> None:
    daemon = answer.daemon
    counts = Counter(pair.state for pair in answer.pairs)
    summary = ", ".join(f"{count} {state}" for state, count in counts.most_common())
    head = f" · up {duration(daemon.uptime_s)} · pid {daemon.pid} · {plural(len(answer.pairs), 'pair')}"
    out.line((f"syncd {daemon.version}", "bold"), head, f": {summary}" if summary else "")
    if not answer.pairs:
        out.line("No pair yet. Add one: syncctl pair add NAME SOURCE DESTINATION")
        return
    out.line()
    headers = ("PAIR", "STATE", "LAG", "PENDING", "CONFLICTS", "ISSUES", "LAST SYNCED")
    out.table(headers, [_row(pair) for pair in answer.pairs], styles=STATE_STYLES)
    for pair in answer.pairs:
        _advise(out, pair)


def _row(pair: PairStatus) -> tuple[str, ...]:
    pending = pair.pending
    return (
        pair.name,
        pair.state,
        duration(pair.lag_s),
        f"{plural(pending.files, 'file')}, {size(pending.bytes)}" if pending.files else "–",
        amount(pair.conflicts),
        amount(pair.issues),
        ago(pair.last_synced_at),
    )


def _advise(out: Output, pair: PairStatus) -> None:
    """What needs a person, or will be tried, with the command that helps."""
    lines = list(_advice(pair))
    if not lines:
        return
    out.line()
    for number, (style, text, fix) in enumerate(lines):
        out.line((pair.name if number == 0 else " " * len(pair.name), "bold"), "  ", (text, style))
        if fix:
            out.line(" " * len(pair.name), "  → ", fix)


def _advice(pair: PairStatus) -> list[tuple[str, str, str]]:
    found = []
    if pair.hold is not None:
        found.append(("red", f"held: {pair.hold.reason}: {pair.hold.detail}", pair.hold.fix))
    elif pair.state == "failed":
        fix = f"see 'syncctl log --pair {pair.name}', then 'syncctl resume {pair.name}'"
        found.append(("red", "failed: it stopped after repeated errors", fix))
    elif pair.state == "paused":
        found.append(("yellow", "paused", f"syncctl resume {pair.name}"))
    elif pair.state == "waiting":
        found.append(("yellow", f"waiting: next attempt {ago(pair.next_attempt_at)}", ""))
    if pair.conflicts:
        text = f"{plural(pair.conflicts, 'conflict')} to decide"
        found.append(("yellow", text, f"syncctl conflicts list {pair.name}"))
    if pair.issues:
        text = f"{plural(pair.issues, 'path')} cannot be synchronised"
        found.append(("yellow", text, f"syncctl issues {pair.name}"))
    if not pair.watcher.alive and pair.state not in ("paused", "held", "failed", "starting"):
        found.append(("yellow", "no watcher: changes are found by rescans", ""))
    if pair.progress is not None:
        step = pair.progress
        done = f"{step.done}/{step.total}" if step.total else f"{step.done}"
        volume = f", {size(step.bytes_done)} of {size(step.bytes_total)}" if step.bytes_total else ""
        found.append(("cyan", f"{step.phase}: {done}{volume}", ""))
    return found


@command("list")
def list_pairs(app: App) -> None:
    """The pairs, their roots, modes and states."""
    answer = app.call("pair.list", NoParams(), Pairs)
    if app.is_json:
        app.out.emit("syncctl.list/1", answer)
    else:
        render_pairs(app.out, answer)


def render_pairs(out: Output, answer: Pairs) -> None:
    rows = [(pair.name, pair.state, pair.mode, pair.source, pair.destination) for pair in answer.pairs]
    if rows:
        out.table(("PAIR", "STATE", "MODE", "SOURCE", "DESTINATION"), rows, styles=STATE_STYLES)
    else:
        out.line("No pairs.")


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
    _advise(out, now)


def _tree(root: str, count: SideCount) -> str:
    return f"{root}  ({plural(count.files, 'file')}, {size(count.bytes)})"
