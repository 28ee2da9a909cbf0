"""Why a path is, or is not, in sync: the same state and the same rules that the cycle uses, read only.

Works for any path, known or not, ignored or not. Reads from a connection of its own, so that an answer
never waits for a batch.
"""

import sqlite3

import msgspec

from syncd.core.conflict import ConflictRecord
from syncd.core.entry import Entry, Kind
from syncd.core.filter import Filter, Verdict
from syncd.core.reason import Reason
from syncd.core.reconcile import Outcome, Verb, reconcile
from syncd.core.rules import Rules
from syncd.index import conflicts, pending, triples
from syncd.index.pending import PendingRow


class Explained(msgspec.Struct, frozen=True):
    """Everything that is known about one path and what it leads to. `next_step` is for people."""

    path: bytes
    is_synced: bool
    source: Entry | None
    destination: Entry | None
    base: Entry | None
    reason: Reason
    rule: str
    next_step: str
    detail: str = ""
    pending: PendingRow | None = None
    ignored: Verdict | None = None
    conflict: ConflictRecord | None = None


def explain(
    db: sqlite3.Connection,
    path: bytes,
    rules: Rules,
    ignore: Filter,
    is_settling: bool,
) -> Explained:
    """Judge `path` as the next cycle would. `is_settling`: an event for it waits in the debounce queue."""
    state = triples.load(db, [path])[0]
    seen = state.source or state.destination or state.base
    verdict = ignore.match(path, seen is not None and seen.kind is Kind.DIRECTORY)
    outcome = reconcile(state, rules)
    row = pending.get(db, path)
    record = conflicts.newest_at(db, path)
    reason, next_step = judge(outcome, row, verdict, is_settling=is_settling, exists=seen is not None)
    return Explained(
        path=path,
        is_synced=reason in (Reason.IN_SYNC, Reason.IGNORED, Reason.SAME_CHANGE, Reason.ABSENT),
        source=state.source,
        destination=state.destination,
        base=state.base,
        reason=reason,
        rule=f"{rules.mode.value}: {outcome.reason.explanation}",
        next_step=next_step,
        detail=row.shown_detail if row is not None else "",
        pending=row,
        ignored=verdict if verdict.ignored else None,
        conflict=record,
    )


def judge(
    outcome: Outcome, row: PendingRow | None, verdict: Verdict, *, is_settling: bool, exists: bool
) -> tuple[Reason, str]:
    """The reason code that decides, most specific first, and what happens next."""
    if verdict.ignored and (row is None or row.reason is not Reason.RESERVED_NAME):
        return Reason.IGNORED, "nothing: ignored paths are invisible"
    if row is not None:
        return (
            row.shown_reason,
            "it is tried again" if row.next_attempt_ns is not None else "it waits for you",
        )
    if is_settling:
        return Reason.SETTLING, "it is looked at once nothing has happened to it for the settle time"
    if not exists:
        return Reason.ABSENT, "nothing"
    if outcome.verb is Verb.NOTHING:
        return outcome.reason, "nothing"
    if outcome.verb is Verb.LEAVE:
        return outcome.reason, outcome.reason.fix or "nothing: it stays as it is"
    if outcome.verb is Verb.COMPARE:
        return Reason.COMPARING, "both files are read and compared in the next cycle"
    if outcome.verb is Verb.CONFLICT:
        if outcome.winner is None:
            return outcome.reason, "it waits for you"
        return outcome.reason, f"in the next cycle the version of the {outcome.winner.word} gets the name"
    return outcome.reason, f"the next cycle will {outcome.verb.value} it" + (
        f" at the {outcome.side.word}" if outcome.side is not None else ""
    )
