"""`syncctl conflicts list|show|diff|resolve|restore`: work on conflict records."""

import difflib
import os
from typing import Literal

import click
import msgspec

from syncd.cli.output import Output, ago, local_time, safe, size
from syncd.cli.syncctl.app import App, LazyGroup, command, common, optional_pair
from syncd.cli.syncctl.exits import Exit
from syncd.control import model as m
from syncd.core.error import SyncdError
from syncd.core.reason import Reason

_MAX_DIFF = 8 << 20

_match = click.option("--match", metavar="GLOB", help="Only paths that match.")
_reference = click.argument("reference", nargs=-1, required=True, metavar="[PAIR] ID")


@click.group(
    "conflicts",
    cls=LazyGroup,
    default="list",
    lazy={
        "list": (f"{__name__}:list_conflicts", "The records (the default)."),
        "show": (f"{__name__}:show", "One record, and where its versions are."),
        "diff": (f"{__name__}:diff", "How the two versions differ."),
        "resolve": (f"{__name__}:resolve", "Choose what to keep."),
        "restore": (f"{__name__}:restore", "Put the losing version back beside the winner."),
    },
)
@common
def conflicts() -> None:
    """List, look at and settle conflicts. Every version is kept until a record is settled."""


@command("list")
@optional_pair
@_match
@click.option("--settled", "--all", "settled", is_flag=True, help="Settled records too.")
@click.option("--check", is_flag=True, help="Exit 6 if there are open ones.")
def list_conflicts(app: App, pair: str | None, match: str | None, settled: bool, check: bool) -> int:
    """The conflict records, of PAIR or of all pairs."""
    params = m.ConflictListParams(pair=pair, match=match, include_settled=settled)
    page = app.call("conflict.list", params, m.ConflictsPage)
    if app.is_json:
        app.out.emit("syncctl.conflicts/1", page)
    else:
        _render_list(app.out, page)
    is_open = any(record.state == "open" for record in page.conflicts)
    return Exit.CONFLICTS if check and is_open else Exit.OK


def _render_list(out: Output, page: m.ConflictsPage) -> None:
    if not page.conflicts:
        out.line("No conflicts.")
        return
    rows = [
        (c.conflict_id, c.pair, c.state, c.path, c.kind, c.winner or "–", ago(c.at)) for c in page.conflicts
    ]
    styles = {"open": "yellow", "settled": "green"}
    out.table(("ID", "PAIR", "STATE", "PATH", "KIND", "WINNER", "WHEN"), rows, styles=styles)
    if page.total > len(rows):
        out.line(f"… and {page.total - len(rows)} more (narrow it with PAIR or --match)")


def _split(reference: tuple[str, ...]) -> tuple[str | None, str]:
    """`[PAIR] ID`."""
    if len(reference) > 2:
        raise click.UsageError("say ID, or PAIR and ID")
    return (reference[0], reference[1]) if len(reference) == 2 else (None, reference[0])


def _detail(app: App, reference: tuple[str, ...]) -> m.ConflictDetail:
    pair, conflict_id = _split(reference)
    params = m.ConflictShowParams(conflict_id=conflict_id, pair=pair)
    return app.call("conflict.show", params, m.ConflictDetail)


@command("show")
@_reference
def show(app: App, reference: tuple[str, ...]) -> None:
    """One record in full: both versions, when, who won, where each version can be read."""
    found = _detail(app, reference)
    if app.is_json:
        app.out.emit("syncctl.conflict/1", found)
        return
    record, out = found.conflict, app.out
    out.line((record.path, "bold"), f"  ({record.pair})  {record.state}")
    out.fields(
        (
            ("kind", record.kind),
            ("policy", record.policy),
            ("when", local_time(record.at)),
            ("winner", record.winner or "none yet"),
            ("copy", record.copy.path if record.copy is not None else ""),
            ("source", _version(record.source, found.source_file)),
            ("destination", _version(record.destination, found.destination_file)),
        ),
        indent="  ",
    )
    if record.state == "open":
        command_line = f"syncctl conflicts resolve {record.pair} {record.conflict_id}"
        out.line(f"→ {command_line} --keep source|destination|both|newest")


def _version(entry: m.EntryView | None, file: m.FileRef | None) -> str:
    if entry is None:
        return "absent"
    place = f", at {file.path}" if file is not None else ""
    return f"{entry.kind}, {size(entry.size)}, modified {local_time(entry.mtime)}{place}"


class Difference(msgspec.Struct, frozen=True):
    """What `conflicts diff --json` prints. `lines` is a unified diff, empty unless both are text."""

    conflict_id: str
    verdict: Literal["equal", "text", "binary"]
    lines: tuple[str, ...]


@command("diff")
@_reference
def diff(app: App, reference: tuple[str, ...]) -> None:
    """How the two versions differ. Reads both files with your own rights."""
    found = _detail(app, reference)
    source, destination = _read(found.source_file), _read(found.destination_file)
    name = found.conflict.path
    difference = _compare(found.conflict.conflict_id, name, source, destination)
    if app.is_json:
        app.out.emit("syncctl.conflict-diff/1", difference)
    elif difference.verdict == "text":
        for line in difference.lines:
            app.out.line((line.rstrip("\n").replace("\t", "    "), _colour(line)))
    else:
        said = "are equal" if difference.verdict == "equal" else "differ and are not text"
        app.out.line(f"{name}: the versions {said} ({len(source)} and {len(destination)} bytes)")


def _read(file: m.FileRef | None) -> bytes:
    if file is None:
        raise SyncdError(Reason.NO_SUCH_ID, "one of the versions is not in a local tree, or is gone")
    with open(file.raw, "rb", opener=_no_follow) as stream:
        content = stream.read(_MAX_DIFF + 1)
    if len(content) > _MAX_DIFF:
        raise click.ClickException(f"{safe(file.path)} is too large to compare here")
    return content


def _no_follow(path: str | bytes, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _compare(conflict_id: str, name: str, source: bytes, destination: bytes) -> Difference:
    if source == destination:
        return Difference(conflict_id, "equal", ())
    try:
        texts = [content.decode("utf-8").splitlines(keepends=True) for content in (source, destination)]
    except UnicodeDecodeError:
        return Difference(conflict_id, "binary", ())
    if b"\0" in source or b"\0" in destination:
        return Difference(conflict_id, "binary", ())
    lines = difflib.unified_diff(texts[0], texts[1], f"{name} (source)", f"{name} (destination)")
    return Difference(conflict_id, "text", tuple(lines))


def _colour(line: str) -> str:
    if line.startswith(("+++", "---")):
        return "bold"
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")


@command("resolve")
@click.argument("reference", nargs=-1, metavar="[PAIR] [ID]...")
@click.option("--keep", type=click.Choice(["source", "destination", "both", "newest"]), required=True)
@click.option("--all", "is_all", is_flag=True, help="Every open record (of PAIR, matching --match).")
@_match
def resolve(app: App, reference: tuple[str, ...], keep: m.Keep, is_all: bool, match: str | None) -> int:
    """Choose what a conflict keeps: ID, or PAIR and IDs, or --all. It can be undone."""
    pair, ids = _chosen(reference, is_all=is_all or match is not None)
    params = m.ConflictResolveParams(keep=keep, conflict_ids=ids, all=not ids, pair=pair, match=match)
    answer = app.call("conflict.resolve", params, m.ConflictsResolved)
    if app.is_json:
        app.out.emit("syncctl.conflicts-resolved/1", answer)
    else:
        for record in answer.resolved:
            app.out.line(("settled", "green"), f"  {record.conflict_id}  {record.path}  keeps {keep}")
        for failure in answer.failed:
            text = f"  {failure.conflict_id}  {failure.reason}: {failure.detail}"
            app.out.line(("failed", "red"), text)
        if not answer.resolved and not answer.failed:
            app.out.line("No open conflict.")
    return Exit.FAILED if answer.failed else Exit.OK


def _chosen(reference: tuple[str, ...], *, is_all: bool) -> tuple[str | None, tuple[str, ...]]:
    """The pair and the ids that `[PAIR] [ID]...` means."""
    if is_all:
        if len(reference) > 1:
            raise click.UsageError("--all and --match take at most a PAIR")
        return (reference[0] if reference else None), ()
    if not reference:
        raise click.UsageError("say which: ID, PAIR and IDs, or --all")
    return (None, reference) if len(reference) == 1 else (reference[0], reference[1:])


@command("restore")
@_reference
def restore(app: App, reference: tuple[str, ...]) -> None:
    """Put the version that lost back, beside the one that won."""
    pair, conflict_id = _split(reference)
    params = m.ConflictRestoreParams(conflict_id=conflict_id, pair=pair)
    answer = app.call("conflict.restore", params, m.ConflictRestored)
    if app.is_json:
        app.out.emit("syncctl.conflict-restored/1", answer)
    else:
        app.out.line(f"the losing version of {answer.conflict.path} is now {answer.restored.path}")
