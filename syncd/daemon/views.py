"""From the daemon's own values to what travels over the control socket. No decisions, no I/O."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from syncd.control import model as m
from syncd.control.model.common import side_name
from syncd.core.action import Action, Delete, MakeDirectory, Move, Put, RemoveDirectory, SetMode
from syncd.core.conflict import ConflictRecord
from syncd.core.entry import Kind, Side
from syncd.core.guard import Hold
from syncd.core.plan import Destructive
from syncd.core.reason import Reason
from syncd.daemon.overview import Overview
from syncd.index.history import HistoryRow
from syncd.index.pending import NOTES, PendingRow
from syncd.sync.explain import Explained
from syncd.sync.settings import SYNCING

if TYPE_CHECKING:
    # A single run uses some of these words, and needs no supervisor for them.
    from syncd.daemon.config import PairConfig
    from syncd.daemon.log_ring import LogRing
    from syncd.daemon.pair import Pair
    from syncd.daemon.supervisor import Supervised

VERBS: Mapping[type, str] = {
    MakeDirectory: "mkdir",
    Put: "put",
    Move: "move",
    Delete: "delete",
    RemoveDirectory: "rmdir",
    SetMode: "chmod",
}


def pair_brief(one: "Supervised") -> m.PairBrief:
    config = one.config
    return m.PairBrief(
        name=config.name,
        source=config.source,
        destination=config.destination,
        mode=config.mode.value,
        state=one.state.value,
    )


def pair_status(one: "Supervised", now_ns: int) -> m.PairStatus:
    """One pair's line of `status`, from memory."""
    config, pair = one.config, one.pair
    seen = pair.overview if pair is not None else Overview()
    return m.PairStatus(
        name=config.name,
        source=config.source,
        destination=config.destination,
        mode=config.mode.value,
        state=one.state.value,
        lag_s=lag_s(pair, now_ns),
        pending=pending_of(pair),
        conflicts=seen.open_conflicts,
        issues=seen.issues,
        hold=hold_of(one),
        last_synced_at=None if pair is None or pair.last_synced_ns is None else m.stamp(pair.last_synced_ns),
        next_attempt_at=next_attempt_of(pair),
        progress=progress_of(pair),
        watcher=watcher_of(pair),
        totals=m.Totals(source=side_count(seen, Side.SOURCE), destination=side_count(seen, Side.DESTINATION)),
        manual_conflicts=seen.manual_conflicts,
    )


def next_attempt_of(pair: "Pair | None") -> m.Stamp | None:
    return None if pair is None or pair.next_attempt_ns is None else m.stamp(pair.next_attempt_ns)


def side_count(seen: "Overview", side: Side) -> m.SideCount:
    return m.SideCount(files=seen.files.get(side, 0), bytes=seen.bytes.get(side, 0))


def lag_s(pair: "Pair | None", now_ns: int) -> float:
    """The age of the oldest change that is not on the other side yet, 0 without any."""
    if pair is None:
        return 0.0
    since = [at for at in (pair.oldest_change_ns(), pair.overview.oldest_ns) if at is not None]
    return round(max(0.0, (now_ns - min(since)) / 1e9), 3) if since else 0.0


def pending_of(pair: "Pair | None") -> m.Pending:
    """What a running plan has left, and what waits to settle or to be retried."""
    if pair is None:
        return m.Pending(files=0, bytes=0)
    progress = pair.cycle.progress
    left = max(0, progress.total - progress.done) if progress.phase == SYNCING else 0
    size = max(0, progress.bytes_total - progress.bytes_done) if progress.phase == SYNCING else 0
    return m.Pending(files=left + pair.settling + pair.overview.waiting, bytes=size)


def progress_of(pair: "Pair | None") -> m.Progress | None:
    if pair is None or not pair.cycle.progress.phase:
        return None
    progress = pair.cycle.progress
    return m.Progress(
        phase=progress.phase,
        done=progress.done,
        total=progress.total,
        bytes_done=progress.bytes_done,
        bytes_total=progress.bytes_total,
    )


def watcher_of(pair: "Pair | None") -> m.WatcherInfo:
    """Both watchers in one line: the weaker kind, alive only if both are."""
    watchers = [] if pair is None else list(pair.watchers.values())
    if not watchers:
        return m.WatcherInfo(kind="none", alive=False, watched=0)
    kinds = {watcher.kind for watcher in watchers}
    kind = "poll" if "poll" in kinds else watchers[0].kind
    return m.WatcherInfo(
        kind=kind,
        alive=all(watcher.is_alive for watcher in watchers),
        watched=sum(watcher.watched for watcher in watchers),
    )


def hold_of(one: "Supervised") -> m.HoldView | None:
    """Why the pair is held or waits, and the way out."""
    pair = one.pair
    trouble = one.trouble if pair is None else pair.trouble
    if trouble is not None:
        return hold_view(trouble.reason, trouble.detail, None)
    if pair is not None and pair.cycle.hold is not None:
        return hold_of_plan(pair.cycle.hold)
    return None


def hold_of_plan(hold: Hold) -> m.HoldView:
    return hold_view(hold.reason, hold.detail, hold.plan_id)


def hold_view(reason: Reason, detail: str, plan_id: str | None) -> m.HoldView:
    return m.HoldView(
        reason=reason.value, detail=detail or reason.explanation, plan_id=plan_id, fix=reason.fix
    )


def root_info(pair: "Pair", side: Side, config: "PairConfig") -> m.RootInfo:
    """One root as it was probed, with what its watcher has to say."""
    found = pair.cycle.trees[side].capabilities
    watcher = pair.watchers[side]
    words = [
        ("case-sensitive", found.is_case_sensitive),
        ("exchange", found.has_exchange),
        ("reflink", found.has_reflink),
        ("symlinks", found.has_symlinks),
        ("events", found.has_events),
        ("written", found.is_writable),
    ]
    notes = []
    if not found.has_exchange and found.is_writable:
        notes.append("weak-replace: this file system cannot exchange names atomically")
    if watcher.problem is not None:
        notes.append(f"{watcher.problem.value}: {watcher.detail or watcher.problem.explanation}")
    return m.RootInfo(
        side=side_name(side),
        url=config.source if side is Side.SOURCE else config.destination,
        filesystem=found.filesystem,
        capabilities=tuple(word for word, has in words if has),
        notes=tuple(notes),
    )


def settings_of(config: "PairConfig", value_of: Mapping[str, object]) -> tuple[m.Setting, ...]:
    """Effective settings with the place that each comes from."""
    return tuple(
        m.Setting(key=key, value=value, origin=config.origins.get(key, "default"))
        for key, value in value_of.items()
    )


def plan_action(
    action: Action, destructive_paths: frozenset[tuple[Side, bytes]], reason: str
) -> m.PlanAction:
    size = action.entry.size if isinstance(action, Put) else 0
    expect = getattr(action, "expect", None)
    if isinstance(action, Delete) and expect is not None:
        size = expect.size
    path = m.PathText.of(action.path)
    return m.PlanAction(
        path=path.path,
        path_b64=path.path_b64,
        side=side_name(action.side),
        verb=VERBS[type(action)],
        reason=reason,
        is_destructive=isinstance(action, Delete | RemoveDirectory)
        or (action.side, action.path) in destructive_paths,
        size=size,
        to=m.PathText.of(action.to) if isinstance(action, Move) else None,
    )


def held_action(item: Destructive, reason: Reason) -> m.PlanAction:
    """What a held plan would destroy."""
    path = m.PathText.of(item.path)
    return m.PlanAction(
        path=path.path,
        path_b64=path.path_b64,
        side=side_name(item.side),
        verb=held_verb(item),
        reason=reason.value,
        is_destructive=True,
        size=item.expect.size,
    )


def held_verb(item: Destructive) -> str:
    if item.is_overwrite:
        return "put"
    return "rmdir" if item.expect.kind is Kind.DIRECTORY else "delete"


def plan_counts(actions: Sequence[Action], held: Sequence[Destructive]) -> tuple[m.PlanCount, ...]:
    """Files and bytes by side and verb."""
    counted: dict[tuple[Side, str], list[int]] = {}

    def count(side: Side, verb: str, size: int) -> None:
        row = counted.setdefault((side, verb), [0, 0])
        row[0] += 1
        row[1] += size

    for action in actions:
        size = action.entry.size if isinstance(action, Put) else 0
        size = action.expect.size if isinstance(action, Delete) else size
        count(action.side, VERBS[type(action)], size)
    for item in held:
        count(item.side, held_verb(item), item.expect.size)
    return tuple(
        m.PlanCount(side=side_name(side), verb=verb, files=files, bytes=size)
        for (side, verb), (files, size) in sorted(counted.items())
    )


def issue_view(name: str, row: PendingRow) -> m.IssueView:
    path = m.PathText.of(row.path)
    return m.IssueView(
        path=path.path,
        path_b64=path.path_b64,
        pair=name,
        severity="note" if row.reason in NOTES else "issue",
        reason=row.shown_reason.value,
        detail=row.shown_detail or row.reason.explanation,
        fix=row.shown_reason.fix,
        side=None if row.side is None else side_name(row.side),
        since=m.stamp(row.since_ns),
        attempts=row.attempts,
        next_attempt_at=None if row.next_attempt_ns is None else m.stamp(row.next_attempt_ns),
    )


def history_entry(name: str, row: HistoryRow) -> m.HistoryEntry:
    path = m.PathText.of(row.path)
    is_move = row.verb == "move"
    return m.HistoryEntry(
        path=path.path,
        path_b64=path.path_b64,
        entry_id=row.entry_id,
        pair=name,
        batch=row.batch,
        at=m.stamp(row.at_ns),
        side=side_name(row.side),
        verb=row.verb,
        reason="",
        size=row.size,
        to=m.PathText.maybe(row.other_path) if is_move else None,
        is_kept=row.trash is not None,
    )


def log_page(ring: "LogRing", params: m.LogTailParams) -> m.LogPage:
    records = ring.tail(params.limit, level=params.level, pair=params.pair, after=params.after)
    lines = tuple(
        m.LogLine(
            number=record.number,
            at=m.stamp(record.at_ns),
            level=record.level,
            event=record.event,
            pair=record.pair,
            text=record.text,
        )
        for record in records
    )
    return m.LogPage(lines=lines, last=ring.last)


def conflict_view(name: str, record: ConflictRecord) -> m.ConflictView:
    path = m.PathText.of(record.path)
    return m.ConflictView(
        path=path.path,
        path_b64=path.path_b64,
        conflict_id=record.id,
        pair=name,
        kind=record.kind.value,
        policy=record.policy,
        state=record.state,
        at=m.stamp(record.at_ns),
        winner=None if record.winner is None else side_name(record.winner),
        source=m.EntryView.maybe(record.source),
        destination=m.EntryView.maybe(record.destination),
        copy=m.PathText.maybe(record.loser_copy),
    )


def explanation(name: str, found: Explained) -> m.Explanation:
    path = m.PathText.of(found.path)
    row = found.pending
    ignored = None
    if found.ignored is not None:
        verdict = found.ignored
        ignored = m.IgnoreVerdict(
            path=path.path,
            path_b64=path.path_b64,
            pair=name,
            is_ignored=verdict.ignored,
            rule=verdict.rule,
            origin=verdict.origin,
            line=verdict.line,
        )
    return m.Explanation(
        path=path.path,
        path_b64=path.path_b64,
        pair=name,
        is_synced=found.is_synced,
        source=m.EntryView.maybe(found.source),
        destination=m.EntryView.maybe(found.destination),
        base=m.EntryView.maybe(found.base),
        rule=found.rule,
        reason=found.reason.value,
        detail=found.detail or found.reason.explanation,
        next_step=found.next_step,
        fix=found.reason.fix,
        attempts=row.attempts if row is not None else 0,
        since=m.stamp(row.since_ns) if row is not None else None,
        next_attempt_at=m.stamp(row.next_attempt_ns)
        if row is not None and row.next_attempt_ns is not None
        else None,
        ignored=ignored,
        conflict_id=found.conflict.id if found.conflict is not None else None,
    )
