"""A backend for tests: two pairs, fixed answers, a record of every call."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import anyio
import msgspec

from syncd.control import model as m
from syncd.control.backend import EventStream
from syncd.control.events import EventHub
from syncd.core.entry import Entry, Kind
from syncd.core.error import SyncdError
from syncd.core.reason import Reason

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
ENTRY = m.EntryView.of(Entry(kind=Kind.FILE, mode=0o644, size=12, mtime_ns=1_700_000_000_000_000_000))
HOLD = m.HoldView(
    reason="mass-delete",
    detail="412 of 500 files would be deleted at the destination",
    plan_id="5ad1c0ffee",
    fix="syncctl plan show photos, then plan approve, reject or revert",
)


def pair_status(name: str, **changes: Any) -> m.PairStatus:
    """A healthy, idle pair with some fields replaced."""
    status = m.PairStatus(
        name=name,
        source=f"/srv/{name}",
        destination=f"/mnt/nas/{name}",
        mode="two-way",
        state="idle",
        lag_s=0.0,
        pending=m.Pending(files=0, bytes=0),
        conflicts=0,
        issues=0,
        hold=None,
        last_synced_at=AT,
        next_attempt_at=None,
        progress=None,
        watcher=m.WatcherInfo(kind="inotify", alive=True, watched=12),
        totals=m.Totals(source=m.SideCount(files=3, bytes=36), destination=m.SideCount(files=3, bytes=36)),
    )
    return msgspec.structs.replace(status, **changes)


def conflict(conflict_id: str = "c1", path: bytes = b"a/report.odt") -> m.ConflictView:
    where = m.PathText.of(path)
    return m.ConflictView(
        path=where.path,
        path_b64=where.path_b64,
        conflict_id=conflict_id,
        pair="documents",
        kind="conflict-modified",
        policy="manual",
        state="open",
        at=AT,
        winner=None,
        source=ENTRY,
        destination=ENTRY,
    )


class FakeBackend:
    """Every method answers; `calls` lists (method, params). Set `fails[method]` to make one raise."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, msgspec.Struct]] = []
        self.fails: dict[str, Exception] = {}
        self.pairs = [pair_status("documents"), pair_status("photos", state="held", hold=HOLD)]
        self.hub = EventHub(time.time_ns)
        self.publish: Callable[..., m.Event] = self.hub.publish
        self.stop = anyio.Event()
        self.wait_started = anyio.Event()
        self.wait_cancelled = anyio.Event()
        self.wait_forever = False
        self.files: tuple[m.FileRef | None, m.FileRef | None] = (None, None)
        self.problems: tuple[m.ConfigProblem, ...] = ()

    def _called(self, method: str, params: msgspec.Struct) -> None:
        self.calls.append((method, params))
        if method in self.fails:
            raise self.fails[method]

    def _find(self, name: str) -> m.PairStatus:
        for pair in self.pairs:
            if pair.name == name:
                return pair
        raise SyncdError(Reason.NO_SUCH_PAIR, f"no pair is called {name}")

    def _chosen(self, names: tuple[str, ...]) -> list[m.PairStatus]:
        return [self._find(name) for name in names] if names else list(self.pairs)

    def _briefs(self, names: tuple[str, ...] = ()) -> m.Pairs:
        return m.Pairs(
            pairs=tuple(
                m.PairBrief(
                    name=p.name, source=p.source, destination=p.destination, mode=p.mode, state=p.state
                )
                for p in self._chosen(names)
            )
        )

    async def status(self, params: m.StatusParams) -> m.Status:
        self._called("status", params)
        daemon = m.DaemonInfo(version="0.1.0", pid=4711, started_at=AT, uptime_s=3720.0)
        return m.Status(daemon=daemon, pairs=tuple(self._chosen(params.pairs)))

    async def pair_list(self, params: m.NoParams) -> m.Pairs:
        self._called("pair.list", params)
        return self._briefs()

    async def pair_show(self, params: m.PairShowParams) -> m.PairDetail:
        self._called("pair.show", params)
        return m.PairDetail(
            status=self._find(params.pair),
            settings=(
                m.Setting(key="mode", value="two-way", origin="/etc/syncd/syncd.toml:7"),
                m.Setting(key="ignore", value=["*.tmp"], origin="default"),
            ),
            roots=(
                m.RootInfo(
                    side="source", url="/srv/documents", filesystem="ext4", capabilities=("exchange",)
                ),
            ),
        )

    async def pair_add(self, params: m.PairAddParams) -> m.PairChange:
        self._called("pair.add", params)
        return m.PairChange(pair=params.name, file=f"/etc/syncd/pairs.d/{params.name}.toml")

    async def pair_remove(self, params: m.PairRemoveParams) -> m.PairChange:
        self._called("pair.remove", params)
        return m.PairChange(pair=self._find(params.pair).name, file="/etc/syncd/pairs.d/x.toml")

    async def pair_edit(self, params: m.PairEditParams) -> m.PairChange:
        self._called("pair.edit", params)
        return m.PairChange(pair=self._find(params.pair).name, file="x.toml", warnings=("a first sync",))

    async def pair_adopt(self, params: m.PairAdoptParams) -> m.Ack:
        self._called("pair.adopt", params)
        self._find(params.pair)
        return m.Ack(detail="both roots are adopted")

    async def pair_pause(self, params: m.PairsParams) -> m.Pairs:
        self._called("pair.pause", params)
        return self._briefs(params.pairs)

    async def pair_resume(self, params: m.PairsParams) -> m.Pairs:
        self._called("pair.resume", params)
        return self._briefs(params.pairs)

    async def pair_sync(self, params: m.PairSyncParams) -> m.Pairs:
        self._called("pair.sync", params)
        return self._briefs(params.pairs)

    async def pair_rescan(self, params: m.PairRescanParams) -> m.Pairs:
        self._called("pair.rescan", params)
        return self._briefs(params.pairs)

    async def pair_notify(self, params: m.PairNotifyParams) -> m.Ack:
        self._called("pair.notify", params)
        self._find(params.pair)
        return m.Ack(detail="noted")

    async def pair_wait(self, params: m.PairWaitParams) -> m.WaitResult:
        self._called("pair.wait", params)
        self.wait_started.set()
        if self.wait_forever:
            try:
                await anyio.sleep_forever()
            finally:
                self.wait_cancelled.set()
        chosen = self._chosen(params.pairs)
        outcome: m.WaitOutcome = "held" if any(p.hold for p in chosen) else "synced"
        outcomes = tuple(
            m.PairOutcome(
                name=p.name, outcome="held" if p.hold else "synced", state=p.state, conflicts=0, issues=0
            )
            for p in chosen
        )
        return m.WaitResult(outcome=outcome, pairs=outcomes)

    async def path_explain(self, params: m.PathExplainParams) -> m.Explanations:
        self._called("path.explain", params)
        where = m.PathText.of(params.raw or b"")
        return m.Explanations(
            explanations=(
                m.Explanation(
                    path=where.path,
                    path_b64=where.path_b64,
                    pair="documents",
                    is_synced=False,
                    source=ENTRY,
                    destination=None,
                    base=None,
                    rule="add at S: put D",
                    reason="unreadable",
                    detail="permission denied",
                    next_step="tried again at 05:07",
                    fix=Reason.UNREADABLE.fix,
                    attempts=3,
                    since=AT,
                    next_attempt_at=AT,
                ),
            )
        )

    async def plan_show(self, params: m.PlanShowParams) -> m.PlanView:
        self._called("plan.show", params)
        pair = self._find(params.pair)
        action = m.PlanAction(
            path="old.txt", side="destination", verb="delete", reason="deleted", is_destructive=True, size=12
        )
        actions = tuple(msgspec.structs.replace(action, path=f"old-{number}.txt") for number in range(1500))
        return m.PlanView(
            pair=pair.name,
            plan_id=pair.hold.plan_id if pair.hold else None,
            hold=pair.hold,
            counts=(m.PlanCount(side="destination", verb="delete", files=1500, bytes=18000),),
            total=len(actions),
            offset=params.offset,
            actions=actions[params.offset : params.offset + params.limit],
        )

    def _decided(self, params: m.PlanDecideParams, decision: m.Decision) -> m.PlanDecision:
        if self._find(params.pair).hold is None or params.plan_id != HOLD.plan_id:
            raise SyncdError(Reason.NO_SUCH_ID, "no plan of this pair has this id")
        return m.PlanDecision(pair=params.pair, plan_id=params.plan_id, decision=decision)

    async def plan_approve(self, params: m.PlanDecideParams) -> m.PlanDecision:
        self._called("plan.approve", params)
        return self._decided(params, "approved")

    async def plan_reject(self, params: m.PlanDecideParams) -> m.PlanDecision:
        self._called("plan.reject", params)
        return self._decided(params, "rejected")

    async def plan_revert(self, params: m.PlanDecideParams) -> m.PlanDecision:
        self._called("plan.revert", params)
        return self._decided(params, "reverting")

    async def conflict_list(self, params: m.ConflictListParams) -> m.ConflictsPage:
        self._called("conflict.list", params)
        return m.ConflictsPage(conflicts=(conflict(), conflict("c2", b"evil\x1b[2J\xff.txt")), total=2)

    async def conflict_show(self, params: m.ConflictShowParams) -> m.ConflictDetail:
        self._called("conflict.show", params)
        return m.ConflictDetail(
            conflict=conflict(params.conflict_id), source_file=self.files[0], destination_file=self.files[1]
        )

    async def conflict_resolve(self, params: m.ConflictResolveParams) -> m.ConflictsResolved:
        self._called("conflict.resolve", params)
        failed = tuple(
            m.ConflictFailure(conflict_id=c, reason="no-such-id", detail="no such conflict")
            for c in params.conflict_ids
            if c == "nope"
        )
        resolved = tuple(conflict(c) for c in params.conflict_ids if c != "nope")
        return m.ConflictsResolved(resolved=resolved, failed=failed)

    async def conflict_restore(self, params: m.ConflictRestoreParams) -> m.ConflictRestored:
        self._called("conflict.restore", params)
        return m.ConflictRestored(conflict=conflict(params.conflict_id), restored=m.PathText.of(b"a/copy"))

    async def issue_list(self, params: m.IssueListParams) -> m.IssuesPage:
        self._called("issue.list", params)
        where = m.PathText.of(b"secret\n.key")
        issue = m.IssueView(
            path=where.path,
            path_b64=where.path_b64,
            pair="documents",
            severity="issue",
            reason="unreadable",
            detail="permission denied",
            fix=Reason.UNREADABLE.fix,
            side="source",
            since=AT,
            attempts=2,
            next_attempt_at=None,
        )
        return m.IssuesPage(issues=(issue,), total=1)

    async def history_list(self, params: m.HistoryListParams) -> m.HistoryPage:
        self._called("history.list", params)
        entry = m.HistoryEntry(
            path="a.txt",
            entry_id=9,
            pair="documents",
            batch="b7",
            at=AT,
            side="destination",
            verb="move",
            reason="moved",
            size=12,
            to=m.PathText.of(b"b.txt"),
        )
        return m.HistoryPage(entries=(entry,), has_more=False)

    async def ignore_test(self, params: m.IgnoreTestParams) -> m.IgnoreVerdicts:
        self._called("ignore.test", params)
        where = m.PathText.of(params.raw or b"")
        ignored = where.path.endswith(".tmp")
        verdict = m.IgnoreVerdict(
            path=where.path,
            path_b64=where.path_b64,
            pair="documents",
            is_ignored=ignored,
            rule="*.tmp" if ignored else None,
            origin="config" if ignored else None,
        )
        return m.IgnoreVerdicts(verdicts=(verdict,))

    async def config_show(self, params: m.ConfigShowParams) -> m.ConfigView:
        self._called("config.show", params)
        setting = m.Setting(key="daemon.log_level", value="info", origin="default")
        return m.ConfigView(files=("/etc/syncd/syncd.toml",), settings=(setting,))

    async def config_check(self, params: m.ConfigCheckParams) -> m.ConfigCheck:
        self._called("config.check", params)
        return m.ConfigCheck(
            is_valid=not self.problems,
            files=("/etc/syncd/syncd.toml",),
            pairs=("documents", "photos"),
            problems=self.problems,
        )

    async def config_reload(self, params: m.ConfigReloadParams) -> m.ReloadResult:
        self._called("config.reload", params)
        if self.problems:
            return m.ReloadResult(is_applied=False, problems=self.problems)
        return m.ReloadResult(is_applied=True, changed=("documents",))

    async def log_tail(self, params: m.LogTailParams) -> m.LogPage:
        self._called("log.tail", params)
        line = m.LogLine(number=1, at=AT, level="info", event="file.put", pair="documents", text="path=a.txt")
        lines = (line,) if params.after is None else ()
        return m.LogPage(lines=lines, last=1)

    async def events_subscribe(self, params: m.EventsSubscribeParams) -> EventStream:
        self._called("events.subscribe", params)
        return self.hub.subscribe(params, queue=64)

    async def daemon_stop(self, params: m.NoParams) -> m.Ack:
        self._called("daemon.stop", params)
        self.stop.set()
        return m.Ack(detail="the daemon stops")

    async def daemon_version(self, params: m.NoParams) -> m.VersionInfo:
        self._called("daemon.version", params)
        return m.VersionInfo(version="0.1.0", python="3.11.7", sqlite="3.40.1", platform="linux", pid=4711)
