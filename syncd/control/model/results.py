"""What the daemon answers. Paths are `PathText`, times are UTC; names in here are not yet trusted by a
terminal (roots, details): the CLI escapes what it prints. Secrets never get here: the backend redacts.
"""

from typing import Any

import msgspec

from syncd.control.model.common import (
    Decision,
    EntryView,
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
    """`lag_s` is the age of the oldest change that is not on the other side yet (0: none).

    `conflicts` counts all open ones; those among them that wait for a person (`manual_conflicts`) keep the
    pair out of sync, kept copies do not.
    """

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
    manual_conflicts: int = 0


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
