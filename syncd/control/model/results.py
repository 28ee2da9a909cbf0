"""What the daemon answers. Paths are `PathText`, times are UTC; names in here are not yet trusted by a
terminal (roots, details): the CLI escapes what it prints. Secrets never get here: the backend redacts.
"""

from typing import Any

import msgspec

from syncd.control.model.common import (
    Decision,
    EntryView,
    IssueClass,
    PathText,
    SideName,
    Stamp,
    WaitOutcome,
)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all results."""


class Ack(Result, frozen=True):
    """Done or begun; `detail` says which, in a few words."""

    detail: str = ""


# status


class DaemonInfo(Result, frozen=True):
    version: str
    pid: int
    started_at: Stamp
    uptime_s: float


class Pending(Result, frozen=True):
    files: int
    bytes: int


class HoldView(Result, frozen=True):
    """Why a pair is held. `plan_id` is set where a decision about a plan ends it."""

    reason: str
    detail: str
    plan_id: str | None
    fix: str


class Progress(Result, frozen=True):
    """What a pair is at. `total` and `bytes_total` are 0 while unknown."""

    phase: str
    done: int
    total: int
    bytes_done: int
    bytes_total: int


class WatcherInfo(Result, frozen=True):
    """`kind` is `inotify`, `fsevents`, `polling` … or `none`; `watched` counts directories or roots."""

    kind: str
    alive: bool
    watched: int


class SideCount(Result, frozen=True):
    files: int
    bytes: int


class Totals(Result, frozen=True):
    source: SideCount
    destination: SideCount


class PairStatus(Result, frozen=True):
    """`lag_s` is the age of the oldest change that is not on the other side yet (0: none)."""

    name: str
    source: str
    destination: str
    mode: str
    state: str
    lag_s: float
    pending: Pending
    conflicts: int
    issues: int
    hold: HoldView | None
    last_synced_at: Stamp | None
    next_attempt_at: Stamp | None
    progress: Progress | None
    watcher: WatcherInfo
    totals: Totals


class Status(Result, frozen=True):
    daemon: DaemonInfo
    pairs: tuple[PairStatus, ...]


# pair.*


class PairBrief(Result, frozen=True):
    name: str
    source: str
    destination: str
    mode: str
    state: str


class Pairs(Result, frozen=True):
    pairs: tuple[PairBrief, ...]


class Setting(Result, frozen=True):
    """One effective setting and where it comes from (`FILE:LINE`, `default`, `flag`). Secrets are `***`."""

    key: str
    value: Any
    origin: str


class RootInfo(Result, frozen=True):
    """One root as it was last probed."""

    side: SideName
    url: str
    filesystem: str
    capabilities: tuple[str, ...]
    notes: tuple[str, ...] = ()


class PairDetail(Result, frozen=True):
    status: PairStatus
    settings: tuple[Setting, ...]
    roots: tuple[RootInfo, ...]


class PairChange(Result, frozen=True):
    """A pair's file was written, changed or removed."""

    pair: str
    file: str
    warnings: tuple[str, ...] = ()


class PairOutcome(Result, frozen=True):
    """How one pair stands at the end of a wait."""

    name: str
    outcome: WaitOutcome
    state: str
    conflicts: int
    issues: int
    detail: str = ""


class WaitResult(Result, frozen=True):
    """`outcome` is the worst of the pairs': timeout, held, degraded, synced."""

    outcome: WaitOutcome
    pairs: tuple[PairOutcome, ...]


# path.explain and ignore.test


class IgnoreVerdict(PathText, frozen=True):
    """Whether a rule hides the path, and which: its text, its file (or `config`) and its line."""

    pair: str
    is_ignored: bool
    rule: str | None = None
    origin: str | None = None
    line: int | None = None


class IgnoreVerdicts(Result, frozen=True):
    verdicts: tuple[IgnoreVerdict, ...]


class Explanation(PathText, frozen=True):
    """Why a path is (not) in sync. `rule` is the row of the mode table in words, `next_step` what syncd
    does next, `fix` what a person may do."""

    pair: str
    is_synced: bool
    source: EntryView | None
    destination: EntryView | None
    base: EntryView | None
    rule: str
    reason: str
    detail: str
    next_step: str
    fix: str
    attempts: int = 0
    since: Stamp | None = None
    next_attempt_at: Stamp | None = None
    ignored: IgnoreVerdict | None = None
    conflict_id: str | None = None


class Explanations(Result, frozen=True):
    explanations: tuple[Explanation, ...]


# plan.*


class PlanAction(PathText, frozen=True):
    """One action: `verb` is put, mkdir, move, delete, rmdir or chmod, done at `side`."""

    side: SideName
    verb: str
    reason: str
    is_destructive: bool
    size: int = 0
    to: PathText | None = None


class PlanCount(Result, frozen=True):
    side: SideName
    verb: str
    files: int
    bytes: int


class PlanView(Result, frozen=True):
    """What would be done. `plan_id` is the digest of the destructive actions, None without any.
    `actions` is one page of `total`."""

    pair: str
    plan_id: str | None
    hold: HoldView | None
    counts: tuple[PlanCount, ...]
    total: int
    offset: int
    actions: tuple[PlanAction, ...]
    conflicts: int = 0


class PlanDecision(Result, frozen=True):
    pair: str
    plan_id: str
    decision: Decision
    detail: str = ""


# conflict.*


class ConflictView(PathText, frozen=True):
    """A conflict record. `state` is open or settled; `winner` None: both names are untouched."""

    conflict_id: str
    pair: str
    kind: str
    policy: str
    state: str
    at: Stamp
    winner: SideName | None
    source: EntryView | None
    destination: EntryView | None
    copy: PathText | None = None


class ConflictsPage(Result, frozen=True):
    conflicts: tuple[ConflictView, ...]
    total: int


class FileRef(PathText, frozen=True):
    """An absolute file name on the daemon's machine that holds one version now."""


class ConflictDetail(Result, frozen=True):
    """A record and where both versions can be read; None where a version is on no local tree or gone."""

    conflict: ConflictView
    source_file: FileRef | None
    destination_file: FileRef | None


class ConflictFailure(Result, frozen=True):
    conflict_id: str
    reason: str
    detail: str


class ConflictsResolved(Result, frozen=True):
    resolved: tuple[ConflictView, ...]
    failed: tuple[ConflictFailure, ...] = ()


class ConflictRestored(Result, frozen=True):
    """`restored` is where the losing version lies now, relative to the roots."""

    conflict: ConflictView
    restored: PathText


# issue.list, history.list


class IssueView(PathText, frozen=True):
    """A path that cannot be synchronised (`issue`), or a remark about one (`note`)."""

    pair: str
    severity: IssueClass
    reason: str
    detail: str
    fix: str
    side: SideName | None
    since: Stamp
    attempts: int
    next_attempt_at: Stamp | None


class IssuesPage(Result, frozen=True):
    issues: tuple[IssueView, ...]
    total: int


class HistoryEntry(PathText, frozen=True):
    """One action that was done. `is_kept`: what it replaced or removed is still in the trash."""

    entry_id: int
    pair: str
    batch: str
    at: Stamp
    side: SideName
    verb: str
    reason: str
    size: int
    to: PathText | None = None
    is_kept: bool = False


class HistoryPage(Result, frozen=True):
    """Newest first; `has_more`: ask again with `before` = the last `entry_id`."""

    entries: tuple[HistoryEntry, ...]
    has_more: bool


# config.*


class ConfigProblem(Result, frozen=True):
    """`severity` is error or warning; `line` is None where it is not known."""

    severity: str
    file: str
    line: int | None
    key: str
    message: str


class ConfigCheck(Result, frozen=True):
    is_valid: bool
    files: tuple[str, ...]
    pairs: tuple[str, ...]
    problems: tuple[ConfigProblem, ...]


class ConfigView(Result, frozen=True):
    files: tuple[str, ...]
    settings: tuple[Setting, ...]


class ReloadResult(Result, frozen=True):
    """`is_applied` False: a file is bad (`problems` says why) and nothing was changed."""

    is_applied: bool
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    problems: tuple[ConfigProblem, ...] = ()


# log.tail, events.subscribe, daemon.*


class LogLine(Result, frozen=True):
    number: int
    at: Stamp
    level: str
    event: str
    pair: str | None
    text: str
    """The bound keys, `key=value`."""


class LogPage(Result, frozen=True):
    lines: tuple[LogLine, ...]
    last: int


class Subscribed(Result, frozen=True):
    """`head` is the number of the last event before the subscription's first new one."""

    head: int


class Event(Result, frozen=True):
    """`kind` is a noun and a past verb (`file.put`, `pair.state`, `conflict.recorded`), or `gap`: events
    `data["from"]` … `data["to"]` were dropped for this reader. `data` holds plain values only."""

    seq: int
    at: Stamp
    kind: str
    pair: str | None = None
    path: str | None = None
    path_b64: str | msgspec.UnsetType = msgspec.UNSET
    data: dict[str, str | int | float | bool | None] = {}


class VersionInfo(Result, frozen=True):
    version: str
    python: str
    sqlite: str
    platform: str
    pid: int
