"""What `syncd sync` says: a line of progress while it works, the sum at the end."""

import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from syncd.cli.output import Output, plural, size
from syncd.cli.syncctl.exits import Exit
from syncd.core.action import Action, Move, Put
from syncd.core.error import SyncdError
from syncd.core.guard import Hold
from syncd.core.path import escape
from syncd.daemon.oneshot import Outcome, Rehearsed
from syncd.daemon.views import VERBS
from syncd.sync.settings import Progress

PROGRESS_EVERY_S = 0.5

WORDS = {
    "file.put": "put",
    "link.put": "put",
    "directory.made": "made",
    "file.moved": "moved",
    "directory.moved": "moved",
    "file.deleted": "deleted",
    "directory.removed": "removed",
    "file.mode_set": "mode set",
    "directory.mode_set": "mode set",
}


class Narrator:
    """Counts what happens and says what must be heard."""

    def __init__(self, out: Output, *, is_verbose: bool) -> None:
        self.counts: Counter[str] = Counter()
        self.bytes_put = 0
        self.failures: list[tuple[str, str, str]] = []
        self.conflicts: list[tuple[str, str]] = []
        self.reports: list[tuple[str, str]] = []
        self.is_stopped = False
        self._out = out
        self._is_verbose = is_verbose
        self._progress: Progress | None = None
        self._has_line = False

    def publish(self, kind: str, path: bytes | None = None, /, **data: object) -> None:
        """The pair's voice."""
        word = WORDS.get(kind)
        if word is not None:
            self.counts[word] += 1
            if not self._is_verbose or self._out.is_json:
                return
        name = "" if path is None else escape(path)
        if word is not None:
            self._out.line(f"{data.get('side', '')}: {word} {name}")
        elif kind == "path.failed":
            self.failures.append((name, str(data.get("reason", "")), str(data.get("detail", ""))))
        elif kind == "conflict.recorded":
            self.conflicts.append((name, str(data.get("reason", ""))))
        elif kind == "path.reported":
            self.reports.append((name, str(data.get("reason", ""))))
        elif kind == "state.rebuilt":
            self._out.note(f"the state was damaged and is begun anew: {data.get('detail', '')}")

    def follow(self, progress: Progress) -> None:
        self._progress = progress

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """Show progress and heed signals while the body runs."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._heed_signals)
            tasks.start_soon(self._show_progress)
            yield
            tasks.cancel_scope.cancel()

    async def _heed_signals(self) -> None:
        """The first SIGINT or SIGTERM ends the run after the step at hand, the second one now."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                if self.is_stopped:
                    os._exit(Exit.INTERRUPTED)
                self.is_stopped = True

    async def _show_progress(self) -> None:
        """One line, written over again, on a terminal only."""
        while self._out.is_terminal and not self._out.is_json:
            await anyio.sleep(PROGRESS_EVERY_S)
            step = self._progress
            if step is not None and step.phase:
                of = f" of {step.total}" if step.total else ""
                amount = f", {size(step.bytes_done)} of {size(step.bytes_total)}" if step.bytes_total else ""
                self._out.stream.write(f"\r\x1b[K{step.phase} {step.done}{of}{amount}")
                self._out.stream.flush()
                self._has_line = True

    def close(self) -> None:
        if self._has_line:
            self._out.stream.write("\r\x1b[K")


def report(out: Output, outcome: Outcome, told: Narrator) -> int:
    """The sum of a run, and its exit code."""
    code = exit_code(outcome, told)
    if out.is_json:
        out.emit("syncd.sync/1", summary(outcome, told, code))
        return code
    if outcome.warning:
        out.line(("warning: ", "yellow"), outcome.warning)
    for name, reason in told.conflicts:
        out.line(("conflict: ", "yellow"), f"{name} ({reason})")
    for name, reason in told.reports:
        out.line(f"note: {name} ({reason})")
    for name, reason, detail in told.failures:
        out.line(("failed: ", "red"), f"{name}: {detail or reason} ({reason})")
    if outcome.hold is not None:
        say_hold(out, outcome.hold)
    done = ", ".join(f"{count} {word}" for word, count in sorted(told.counts.items()))
    out.line(done or "nothing to do")
    if outcome.trouble is not None:
        say_trouble(out, outcome.trouble)
    elif outcome.overview.issues:
        out.line(("not in sync: ", "yellow"), plural(outcome.overview.issues, "path"))
    if outcome.overview.manual_conflicts:
        out.line(("waiting for you: ", "yellow"), plural(outcome.overview.manual_conflicts, "conflict"))
    return code


def say_trouble(out: Output, trouble: SyncdError) -> None:
    """Why the rest was not tried."""
    out.line(("broken off: ", "red"), f"{trouble.detail} ({trouble.reason.value}); the rest was not tried")
    out.line("  run it again once that is mended: it goes on where it was")


def say_hold(out: Output, hold: Hold) -> None:
    out.line(("held: ", "yellow"), f"{hold.reason.value}: {hold.detail} (plan {hold.plan_id})")
    for item in hold.destructive[:10]:
        out.line(f"  would delete {item.side.word}: {escape(item.path)}")
    if len(hold.destructive) > 10:
        out.line(f"  … and {len(hold.destructive) - 10} more")
    out.line("  run it again with --yes to approve")


def exit_code(outcome: Outcome, told: Narrator) -> int:
    if told.is_stopped:
        return Exit.INTERRUPTED
    if outcome.hold is not None:
        return Exit.HELD
    seen = outcome.overview
    if outcome.trouble is not None or seen.issues or seen.manual_conflicts or not outcome.report.is_complete:
        return Exit.DEGRADED
    return Exit.OK


def summary(outcome: Outcome, told: Narrator, code: int) -> dict[str, Any]:
    hold = outcome.hold
    return {
        "exit": int(code),
        "is_synced": code == Exit.OK,
        "done": dict(sorted(told.counts.items())),
        "failed": [{"path": name, "reason": why, "detail": detail} for name, why, detail in told.failures],
        "conflicts": [{"path": name, "reason": why} for name, why in told.conflicts],
        "reports": [{"path": name, "reason": why} for name, why in told.reports],
        "issues": outcome.overview.issues,
        "open_conflicts": outcome.overview.open_conflicts,
        "warning": outcome.warning,
        "trouble": None if outcome.trouble is None else trouble_summary(outcome.trouble),
        "hold": None if hold is None else hold_summary(hold),
    }


def trouble_summary(trouble: SyncdError) -> dict[str, Any]:
    return {"reason": trouble.reason.value, "detail": trouble.detail, "fix": trouble.fix}


def hold_summary(hold: Hold) -> dict[str, Any]:
    return {
        "reason": hold.reason.value,
        "detail": hold.detail,
        "plan_id": hold.plan_id,
        "actions": len(hold.destructive),
    }


def report_rehearsal(out: Output, rehearsed: Rehearsed) -> int:
    """What would be done, in order."""
    code = Exit.HELD if rehearsed.hold is not None else Exit.OK
    if out.is_json:
        rows = [action_row(action) for action in rehearsed.actions]
        hold = None if rehearsed.hold is None else hold_summary(rehearsed.hold)
        out.emit("syncd.plan/1", {"actions": rows, "hold": hold, "warning": rehearsed.warning})
        return code
    if rehearsed.warning:
        out.line(("warning: ", "yellow"), rehearsed.warning)
    for action in rehearsed.actions:
        to = f" -> {escape(action.to)}" if isinstance(action, Move) else ""
        out.line(f"would {VERBS[type(action)]} {action.side.word}: {escape(action.path)}{to}")
    if rehearsed.hold is not None:
        say_hold(out, rehearsed.hold)
    out.line(plural(len(rehearsed.actions), "action") + ", nothing was done")
    return code


def action_row(action: Action) -> dict[str, Any]:
    row: dict[str, Any] = {"side": action.side.word, "verb": VERBS[type(action)], "path": escape(action.path)}
    if isinstance(action, Move):
        row["to"] = escape(action.to)
    if isinstance(action, Put):
        row["size"] = action.entry.size
    return row
