"""What the daemon answers, continued: conflict records, issues, history, config, log, events, versions.

The same rules as in `results`.
"""

import msgspec

from syncd.control.model.common import EntryView, IssueClass, PathText, SideName, Stamp
from syncd.control.model.results import Result, Setting

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
    data: dict[str, str | int | float | bool | None] = msgspec.field(default_factory=dict)


class VersionInfo(Result, frozen=True):
    version: str
    python: str
    sqlite: str
    platform: str
    pid: int
