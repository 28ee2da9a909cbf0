"""`syncctl issues` and `history`: what cannot be done, and what was done."""

import click
import msgspec

from syncd.cli.output import ago, amount, local_time, size
from syncd.cli.syncctl.app import App, command, optional_pair, pair_option
from syncd.cli.syncctl.explain import find_path
from syncd.control import model as m
from syncd.control.model.common import path_params

_PAGE = 1000


@command("issues")
@optional_pair
@click.option("--match", metavar="GLOB", help="Only paths that match.")
@click.option("--notes", is_flag=True, help="Notes too: special files, other file systems.")
def issues(app: App, pair: str | None, match: str | None, notes: bool) -> None:
    """Paths that cannot be synchronised, why, and what to do."""
    params = m.IssueListParams(pair=pair, match=match, include_notes=notes)
    page = app.call("issue.list", params, m.IssuesPage)
    if app.is_json:
        app.out.emit("syncctl.issues/1", page)
        return
    out = app.out
    if not page.issues:
        out.line("No issues.")
        return
    rows = [
        (
            issue.pair,
            issue.path,
            issue.side or "–",
            issue.reason,
            amount(issue.attempts),
            ago(issue.next_attempt_at) if issue.next_attempt_at else "–",
            issue.detail,
        )
        for issue in page.issues
    ]
    out.table(("PAIR", "PATH", "AT", "REASON", "ATTEMPTS", "NEXT", "DETAIL"), rows)
    if page.total > len(rows):
        out.line(f"… and {page.total - len(rows)} more (narrow it with PAIR or --match)")
    fixes = {issue.reason: issue.fix for issue in page.issues if issue.fix}
    if fixes:
        out.line()
        for reason, fix in sorted(fixes.items()):
            out.line((reason, "bold"), f"  → {fix}")


@command("history")
@click.argument("path", required=False)
@pair_option
@click.option("-n", "--limit", default=50, type=click.IntRange(1, 100_000), help="How many; 50 by default.")
def history(app: App, path: str | None, pair: str | None, limit: int) -> None:
    """What was done, newest first: everywhere, or at and beneath PATH."""

    def ask(raw: bytes | None) -> m.HistoryPage:
        return _collect(app, raw, pair, limit)

    page = ask(None) if path is None else find_path(path, pair, ask)
    if app.is_json:
        app.out.emit("syncctl.history/1", page)
        return
    if not page.entries:
        app.out.line("Nothing was done yet.")
        return
    rows = [
        (
            local_time(entry.at),
            entry.pair,
            entry.batch,
            entry.verb,
            entry.side,
            entry.path + (f" → {entry.to.path}" if entry.to is not None else ""),
            size(entry.size) if entry.size else "–",
            entry.reason,
            "in trash" if entry.is_kept else "",
        )
        for entry in page.entries
    ]
    app.out.table(("WHEN", "PAIR", "BATCH", "DID", "AT", "PATH", "SIZE", "REASON", "OLD BYTES"), rows)
    if page.has_more:
        app.out.line("… and more (-n)")


def _collect(app: App, raw: bytes | None, pair: str | None, limit: int) -> m.HistoryPage:
    """Pages until `limit` entries are there."""
    text, encoded = path_params(raw)
    params = m.HistoryListParams(path=text, path_b64=encoded, pair=pair, limit=min(limit, _PAGE))
    entries: list[m.HistoryEntry] = []
    with app.connect() as client:
        while True:
            page = client.call("history.list", params, m.HistoryPage)
            entries.extend(page.entries)
            rest = limit - len(entries)
            if rest <= 0 or not page.has_more or not page.entries:
                return m.HistoryPage(entries=tuple(entries[:limit]), has_more=page.has_more or rest < 0)
            params = msgspec.structs.replace(params, before=page.entries[-1].entry_id, limit=min(rest, _PAGE))
