"""Conflicts: who keeps the name, what a conflict copy is called, and the record that is kept of it.

A conflict exists in two-way pairs only: both sides changed or added a path differently. Pure; the clock and
what is taken come in as arguments.

A directory against a file or link is settled like `keep-both` whatever the policy says, `manual` excepted:
the directory keeps the name, so that nothing beneath it is touched, and the other is moved beside it.
"""

import datetime as dt
import hashlib
from collections.abc import Callable

import msgspec

from syncd.core.action import TrashRef
from syncd.core.entry import Entry, Kind, Side
from syncd.core.path import MAX_NAME
from syncd.core.reason import Reason
from syncd.core.rules import Initial, Policy, Rules
from syncd.core.state import PathState

CLOSE_NS = 2 * 10**9
"""Time stamps as close as this name no newer version."""
FUTURE_NS = 300 * 10**9
"""A time stamp as far ahead as this proves nothing."""

OPEN = "open"
SETTLED = "settled"


class ConflictDecision(msgspec.Struct, frozen=True):
    """`winner` keeps the name (None: a person decides). `mover` is the side whose version is renamed
    beside it under `keeps_both`."""

    winner: Side | None
    keeps_both: bool = False
    mover: Side | None = None


class ConflictRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one conflict for ever. `kind` is a CONFLICT_* reason.

    `loser_copy` is the name beside `path` that holds the losing version, `trash` where it lies otherwise.
    """

    id: str
    path: bytes
    kind: Reason
    policy: str = ""
    source: Entry | None = None
    destination: Entry | None = None
    at_ns: int = 0
    winner: Side | None = None
    loser_copy: bytes | None = None
    trash: TrashRef | None = None
    state: str = OPEN


def decide(state: PathState, rules: Rules) -> ConflictDecision:
    """Who keeps the name of a path that both sides hold differently."""
    source, destination = state.source, state.destination
    preferred = first_sync_winner(rules)
    if preferred is not None:
        return ConflictDecision(preferred)
    policy = rules.policy_at(state.path)
    if policy is Policy.MANUAL or source is None or destination is None:
        return ConflictDecision(None)
    if (source.kind is Kind.DIRECTORY) is not (destination.kind is Kind.DIRECTORY):
        winner = Side.SOURCE if source.kind is Kind.DIRECTORY else Side.DESTINATION
        return ConflictDecision(winner, keeps_both=True, mover=winner.other)
    if policy is Policy.SOURCE_WINS:
        return ConflictDecision(Side.SOURCE)
    if policy is Policy.DESTINATION_WINS:
        return ConflictDecision(Side.DESTINATION)
    newer = _newer(source, destination, rules.now_ns) if policy is Policy.NEWEST_WINS else None
    if newer is not None:
        return ConflictDecision(newer)
    return ConflictDecision(Side.SOURCE, keeps_both=True, mover=Side.DESTINATION)


def first_sync_winner(rules: Rules) -> Side | None:
    """The side that the initial preference makes authoritative: first sync of a two-way pair only."""
    if not rules.is_first_sync or not rules.mode.is_bidirectional or rules.initial is Initial.MERGE:
        return None
    return Side.SOURCE if rules.initial is Initial.SOURCE_WINS else Side.DESTINATION


def _newer(source: Entry, destination: Entry, now_ns: int) -> Side | None:
    """The side with the newer mtime; None where the stamps are too close or lie in the future."""
    if abs(source.mtime_ns - destination.mtime_ns) <= CLOSE_NS:
        return None
    if max(source.mtime_ns, destination.mtime_ns) > now_ns + FUTURE_NS:
        return None
    return Side.SOURCE if source.mtime_ns > destination.mtime_ns else Side.DESTINATION


def kind_of(state: PathState) -> Reason:
    """Both added, or both modified."""
    return Reason.CONFLICT_ADDED if state.base is None else Reason.CONFLICT_MODIFIED


def draft(
    state: PathState,
    rules: Rules,
    kind: Reason,
    winner: Side | None,
    *,
    loser_copy: bytes | None = None,
    is_open: bool = False,
) -> ConflictRecord:
    """The record of a conflict as planned; the executor adds the trash. The same conflict has the same id."""
    return ConflictRecord(
        id=record_id(state.path, kind, state.source, state.destination),
        path=state.path,
        kind=kind,
        policy=rules.policy_at(state.path).value,
        source=state.source,
        destination=state.destination,
        at_ns=rules.now_ns,
        winner=winner,
        loser_copy=loser_copy,
        state=OPEN if is_open else SETTLED,
    )


def record_id(path: bytes, kind: Reason, source: Entry | None, destination: Entry | None) -> str:
    """Sixteen hex digits, from what is in conflict: planning it again does not make another record."""
    versions = [
        None if one is None else [one.kind.value, one.size, one.mtime_ns, one.target]
        for one in (source, destination)
    ]
    return hashlib.sha256(msgspec.json.encode([path, kind.value, versions])).hexdigest()[:16]


def conflict_name(name: bytes, mtime_ns: int, host: str, taken: Callable[[bytes], bool]) -> bytes:
    """`stem (conflict YYYY-MM-DD HHMMSS host).ext`, then ` 2`, ` 3` …, until `taken(name)` is false.

    The stamp is the moved version's mtime in UTC, so every device makes the same name. A dotfile is all
    stem. What is too long is shortened at a character boundary: the stem first, the extension kept.
    """
    stem, extension = _split_extension(name)
    label = f" (conflict {_stamp(mtime_ns)} {_clean_host(host)})".encode()
    number = 1
    while True:
        tail = label + (b"" if number == 1 else b" %d" % number) + extension
        candidate = _shorten(stem, MAX_NAME - len(tail)) + tail
        if not taken(candidate):
            return candidate
        number += 1


def _split_extension(name: bytes) -> tuple[bytes, bytes]:
    """Stem and `.ext`. An extension that would not leave half of the name to the stem counts as stem."""
    stem, dot, extension = name.rpartition(b".")
    if not dot or not stem.strip(b".") or not extension or len(extension) > MAX_NAME // 4:
        return name, b""
    return (name, b"") if name.startswith(b".") and b"." not in name[1:] else (stem, dot + extension)


def _stamp(mtime_ns: int) -> str:
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    try:
        moment = epoch + dt.timedelta(seconds=mtime_ns // 10**9)
    except OverflowError:
        moment = epoch
    return f"{moment:%Y-%m-%d %H%M%S}"


def _clean_host(host: str) -> str:
    """A host name fit for a file name: no separators, no control characters, at most 40 bytes."""
    kept = "".join(char for char in host if char.isprintable() and char not in "/\\")
    return _shorten(kept.encode("utf-8", "ignore"), 40).decode() or "host"


def _shorten(raw: bytes, room: int) -> bytes:
    """At most `room` bytes; a UTF-8 sequence is not cut, other bytes are cut anywhere."""
    if len(raw) <= room:
        return raw
    cut = raw[:room]
    for back in range(min(3, len(cut))):
        at = len(cut) - 1 - back
        if cut[at] & 0xC0 != 0x80:
            needed = _sequence_length(cut[at])
            return cut if needed <= back + 1 else cut[:at]
    return cut


def _sequence_length(lead: int) -> int:
    """Bytes of the UTF-8 sequence that `lead` begins; 1 for anything that is no lead byte."""
    if lead >= 0xF0:
        return 4
    if lead >= 0xE0:
        return 3
    return 2 if lead >= 0xC0 else 1
