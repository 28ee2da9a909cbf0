"""`syncctl explain PATH` and `ignore test PATH`: why one path is treated as it is."""

import os
from collections.abc import Callable
from typing import TypeVar

import click

from syncd.cli.output import Output, ago, local_time, size
from syncd.cli.syncctl.app import App, LazyGroup, command, common, pair_option
from syncd.cli.syncctl.exits import Exit
from syncd.control import model as m
from syncd.control.client import CallError
from syncd.control.model.common import path_params

T = TypeVar("T")


def find_path(path: str, pair: str | None, ask: Callable[[bytes], T]) -> T:
    """Ask about a path as a person means it: relative to a pair's roots when a pair is named, else to the
    current directory. Where links lead into a root, its real name is tried as well."""
    raw = os.fsencode(path)
    if pair is not None and not os.path.isabs(raw):
        return ask(os.path.normpath(raw) if raw not in (b"", b".") else b"")
    absolute = os.path.abspath(raw)
    real = os.path.join(os.path.realpath(os.path.dirname(absolute)), os.path.basename(absolute))
    try:
        return ask(absolute)
    except CallError as error:
        if error.reason != "no-such-path" or real == absolute:
            raise
        return ask(real)


@command("explain")
@click.argument("path")
@pair_option
def explain(app: App, path: str, pair: str | None) -> int:
    """Why PATH is, or is not, in sync: both sides, the base, the rule, the reason and the next step."""

    def ask(raw: bytes) -> m.Explanations:
        text, encoded = path_params(raw)
        params = m.PathExplainParams(path=text, path_b64=encoded, pair=pair)
        return app.call("path.explain", params, m.Explanations)

    answer = find_path(path, pair, ask)
    if app.is_json:
        app.out.emit("syncctl.explain/1", answer)
    else:
        for number, found in enumerate(answer.explanations):
            if number:
                app.out.line()
            _render(app.out, found)
    return Exit.OK


def _render(out: Output, found: m.Explanation) -> None:
    verdict = ("in sync", "green") if found.is_synced else ("not in sync", "yellow")
    out.line((found.path or ".", "bold"), f"  ({found.pair})  ", verdict)
    ignored = found.ignored
    attempts = f"{found.attempts}, since {local_time(found.since)}" if found.attempts else ""
    out.fields(
        (
            ("source", _entry(found.source)),
            ("destination", _entry(found.destination)),
            ("base", _entry(found.base)),
            ("rule", found.rule),
            ("reason", found.reason + (f": {found.detail}" if found.detail else "")),
            ("ignored by", _rule(ignored) if ignored is not None and ignored.is_ignored else ""),
            ("conflict", found.conflict_id or ""),
            ("attempts", attempts),
            ("next attempt", ago(found.next_attempt_at) if found.next_attempt_at else ""),
            ("next step", found.next_step),
            ("what to do", found.fix),
        ),
        indent="  ",
    )


def _entry(entry: m.EntryView | None) -> str:
    if entry is None:
        return "absent"
    if entry.kind == "symlink":
        return f"symlink to {entry.target}"
    if entry.kind != "file":
        return f"{entry.kind}, mode {entry.mode}"
    digest = f", {entry.digest[:12]}" if entry.digest else ""
    return f"file, {size(entry.size)}, mode {entry.mode}, modified {local_time(entry.mtime)}{digest}"


def _rule(verdict: m.IgnoreVerdict) -> str:
    place = verdict.origin or ""
    if verdict.line is not None:
        place = f"{place}:{verdict.line}"
    return f"{verdict.rule or 'a built-in rule'}" + (f"  ({place})" if place else "")


@click.group(
    "ignore", cls=LazyGroup, lazy={"test": (f"{__name__}:ignore_test", "Whether a rule hides a path.")}
)
@common
def ignore() -> None:
    """Test the ignore rules."""


@command("test")
@click.argument("path")
@pair_option
@click.option("--directory", is_flag=True, help="Take PATH for a directory, even if there is none.")
def ignore_test(app: App, path: str, pair: str | None, directory: bool) -> None:
    """Whether a rule hides PATH, and which."""

    def ask(raw: bytes) -> m.IgnoreVerdicts:
        text, encoded = path_params(raw)
        params = m.IgnoreTestParams(path=text, path_b64=encoded, pair=pair, is_directory=directory or None)
        return app.call("ignore.test", params, m.IgnoreVerdicts)

    answer = find_path(path, pair, ask)
    if app.is_json:
        app.out.emit("syncctl.ignore-test/1", answer)
        return
    for verdict in answer.verdicts:
        said = f"ignored by {_rule(verdict)}" if verdict.is_ignored else "not ignored"
        if not verdict.is_ignored and verdict.rule:
            said += f": {_rule(verdict)}"
        app.out.line((verdict.path or ".", "bold"), f"  ({verdict.pair})  {said}")
