"""How `syncctl` shows the state of pairs, and what it advises.

Of the control model only the names of fields are used, so that `quick` can show an answer without loading it.
"""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from syncd.cli.output import Output, ago, amount, duration, plural, size
from syncd.cli.syncctl.exits import Exit

if TYPE_CHECKING:
    from syncd.control.model import Pairs, PairStatus, Status

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


def verdict(pairs: "Sequence[PairStatus]") -> Exit:
    """What `--check` answers: held beats degraded beats fine."""
    if any(pair.state == "held" or (pair.hold is not None and pair.state != "waiting") for pair in pairs):
        return Exit.HELD
    return Exit.OK if all(is_in_sync(pair) for pair in pairs) else Exit.DEGRADED


def is_in_sync(pair: "PairStatus") -> bool:
    """Nothing on the way, nothing open, and able to work."""
    is_clear = not (pair.manual_conflicts or pair.issues or pair.pending.files or pair.lag_s)
    return is_clear and pair.state not in ("starting", "waiting", "paused", "failed", "held")


def render_status(out: Output, answer: "Status") -> None:
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
        advise(out, pair)


def _row(pair: "PairStatus") -> tuple[str, ...]:
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


def advise(out: Output, pair: "PairStatus") -> None:
    """What needs a person, or will be tried, with the command that helps."""
    lines = list(_advice(pair))
    if not lines:
        return
    out.line()
    for number, (style, text, fix) in enumerate(lines):
        out.line((pair.name if number == 0 else " " * len(pair.name), "bold"), "  ", (text, style))
        if fix:
            out.line(" " * len(pair.name), "  → ", fix)


def _advice(pair: "PairStatus") -> list[tuple[str, str, str]]:
    found = []
    if pair.hold is not None:
        word = "waiting" if pair.state == "waiting" else "held"
        found.append(("red", f"{word}: {pair.hold.reason}: {pair.hold.detail}", pair.hold.fix))
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


def render_pairs(out: Output, answer: "Pairs") -> None:
    rows = [(pair.name, pair.state, pair.mode, pair.source, pair.destination) for pair in answer.pairs]
    if rows:
        out.table(("PAIR", "STATE", "MODE", "SOURCE", "DESTINATION"), rows, styles=STATE_STYLES)
    else:
        out.line("No pairs.")
