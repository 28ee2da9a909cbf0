"""What shall become of one path: a total function of its state and the rules.

Who changed is decided by source against base and destination against base, never by clocks; then the row of
the mode table (semantics page) says what to do. Outcomes are judged path by path; `plan.make` fits them
together (parents, type changes), `move.upgrade` turns delete + create into renames. Pure: nothing outside
`syncd.core` may be imported here. Ways through it: untouchable, absent on a side, present on both.
"""

import enum

import msgspec

from syncd.core.change import (
    Change,
    change_of,
    damage_of,
    looks_equal_unread,
    masked_into,
    merge_modes,
    new_mode,
    unread_sides,
    with_mode,
)
from syncd.core.conflict import decide, first_sync_winner, kind_of
from syncd.core.entry import Entry, Kind, Same, Side, same_content, same_mode
from syncd.core.reason import Reason
from syncd.core.rules import Rules
from syncd.core.state import Damage, PathState


class Verb(enum.StrEnum):
    """What an outcome asks for. NOTHING is in sync; LEAVE differs but must stay, the reason says why."""

    NOTHING = "nothing"
    PUT = "put"
    MKDIR = "mkdir"
    DELETE = "delete"
    RMDIR = "rmdir"
    SET_MODE = "set-mode"
    ADOPT = "adopt"
    FORGET = "forget"
    COMPARE = "compare"
    CONFLICT = "conflict"
    LEAVE = "leave"


_NOTHING, _PUT, _MKDIR, _ADD = Verb.NOTHING, Verb.PUT, Verb.MKDIR, Change.ADD
_DIRECTORY, _SPECIAL = Kind.DIRECTORY, Kind.SPECIAL
_SOURCE, _DESTINATION = Side.SOURCE, Side.DESTINATION
"""Members of enumerations cost more to look up than to compare: these are what the many of a first copy
meet."""


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """The verdict on one path.

    `side` is the side that is changed; None under SET_MODE: each side whose bits differ from `entry`.
    `entry` is what that side, or the base under ADOPT, shall hold. `winner` is for CONFLICT (None: a person
    decides). `sides` are the files to read under COMPARE. `is_unverified`: adopted without being read.
    """

    state: PathState
    verb: Verb
    side: Side | None = None
    entry: Entry | None = None
    reason: Reason = Reason.IN_SYNC
    winner: Side | None = None
    is_report: bool = False
    sides: tuple[Side, ...] = ()
    is_unverified: bool = False

    @property
    def path(self) -> bytes:
        return self.state.path


def reconcile(state: PathState, rules: Rules) -> Outcome:
    """The mode table, for one path. Never raises."""
    source, destination = state.source, state.destination
    if source is not None and destination is not None:
        if source == state.base == destination:
            return Outcome(state, _NOTHING)
        return (
            _untouchable(state)
            or _suspect(state, rules)
            or _present_on_both(state, source, destination, rules)
        )
    if source is None and destination is None and not (state.source_unknown or state.destination_unknown):
        return _gone(state)
    return _untouchable(state) or _suspect(state, rules) or _present_on_one(state, rules)


def leave(state: PathState, reason: Reason, *, is_report: bool = False) -> Outcome:
    """It differs, and stays."""
    return Outcome(state, Verb.LEAVE, reason=reason, is_report=is_report)


def place(state: PathState, side: Side, rules: Rules, reason: Reason, *, is_report: bool = False) -> Outcome:
    """Make `side` hold what the other side holds, which is present there."""
    entry = state.at(side.other)
    here = state.at(side)
    if entry is None:
        return leave(state, reason)
    if here is not None and state.holds_only_ignored(side) and here.kind is not entry.kind:
        # The directory cannot be removed, and its content is invisible: only a person can make room.
        return leave(state, Reason.NOT_EMPTY, is_report=True)
    if here is not None and here.kind is entry.kind:
        entry = with_mode(entry, masked_into(here, entry.mode, rules.mode_mask))
    else:
        entry = with_mode(entry, new_mode(entry.kind, entry.mode, rules.mode_mask))
    verb = _MKDIR if entry.kind is _DIRECTORY else _PUT
    return Outcome(state, verb, side, entry, reason, is_report=is_report)


def remove(state: PathState, side: Side, reason: Reason) -> Outcome:
    """Make `side` hold nothing."""
    entry = state.at(side)
    is_directory = entry is not None and entry.kind is Kind.DIRECTORY
    return Outcome(state, Verb.RMDIR if is_directory else Verb.DELETE, side, None, reason)


def compare(state: PathState, sides: tuple[Side, ...]) -> Outcome:
    """Content must be read before anything can be said."""
    return Outcome(state, Verb.COMPARE, reason=Reason.COMPARING, sides=sides)


def _gone(state: PathState) -> Outcome:
    verb = Verb.NOTHING if state.base is None else Verb.FORGET
    return Outcome(state, verb, reason=Reason.ABSENT)


def _untouchable(state: PathState) -> Outcome | None:
    """Special files, sides that could not be listed, directories that live for ignored content only."""
    source, destination = state.source, state.destination
    if (source is not None and source.kind is _SPECIAL) or (
        destination is not None and destination.kind is _SPECIAL
    ):
        return leave(state, Reason.SPECIAL_FILE)
    if (source is None and state.source_unknown) or (destination is None and state.destination_unknown):
        is_nothing = state.base is None and source is None and destination is None
        return _gone(state) if is_nothing else leave(state, Reason.UNREADABLE)
    if (destination is None and state.source_only_ignored) or (
        source is None and state.destination_only_ignored
    ):
        verb = Verb.LEAVE if state.base is None else Verb.FORGET
        return Outcome(state, verb, reason=Reason.KEPT_FOR_IGNORED)
    return None


_TOLD = (Damage.ROLLED_BACK, Damage.ALTERED)
"""The bytes may be somebody's: a clock that was behind, a data base that syncs its data and not its stamp."""


def _suspect(state: PathState, rules: Rules) -> Outcome | None:
    """A file that a crash seems to have damaged is put nowhere. Two-way, an unchanged other side puts its
    version back, and tells where the bytes may be somebody's; where the mode puts the other side's version
    here anyway, the table holds."""
    if not (state.source_damage or state.destination_damage):
        return None
    suspects = [(side, damage) for side in Side if (damage := damage_of(state, side))]
    if not suspects:
        return None
    side, damage = suspects[0]
    reason = Reason.SUSPECT_TRUNCATED if damage is Damage.CUT_SHORT else Reason.SUSPECT_TORN
    if len(suspects) > 1:
        return leave(state, reason)
    here, there = state.at(side), state.at(side.other)
    reads_both = rules.mode.authority is None or rules.pulls_destination_changes
    if not reads_both and rules.mode.authority is side.other:
        return None
    if here is not None and there is not None and same_content(here, there) is Same.EQUAL:
        return None
    if reads_both:
        change = change_of(state, side.other, rules.mode_mask)
        if change is Change.MAYBE:
            return compare(state, (side.other,))
        if change in (Change.NONE, Change.MODE):
            return place(state, side, rules, reason, is_report=damage in _TOLD)
    return leave(state, reason)


# Present on one side.


def _present_on_one(state: PathState, rules: Rules) -> Outcome:
    side = _DESTINATION if state.source is None else _SOURCE
    change = change_of(state, side, rules.mode_mask)
    authority = rules.mode.authority
    if authority is None:
        return _one_sided_two_way(state, side, change, rules)
    if authority is side:
        if change is Change.ADD:
            return place(state, side.other, rules, Reason.ADDED)
        is_changed = change in (Change.MODIFY, Change.MODE)
        return place(state, side.other, rules, Reason.MODIFIED if is_changed else Reason.UNDONE)
    if rules.mode.may_delete(side):
        is_own = change in (Change.ADD, Change.MODIFY, Change.MODE)
        return remove(state, side, Reason.UNDONE if is_own else Reason.DELETED)
    if rules.pulls_destination_changes:
        return _pulled(state, side, change, rules)
    return leave(state, Reason.LEFT_ALONE)


def _one_sided_two_way(state: PathState, side: Side, change: Change, rules: Rules) -> Outcome:
    """Added here, or deleted there. A modification beats a deletion."""
    if change is _ADD:
        if first_sync_winner(rules) is side.other:
            return remove(state, side, Reason.FIRST_SYNC_WINS)
        return place(state, side.other, rules, Reason.ADDED)
    if change is Change.MAYBE:
        return compare(state, (side,))
    if change is Change.NONE:
        return remove(state, side, Reason.DELETED)
    return place(state, side.other, rules, Reason.EDIT_BEATS_DELETE, is_report=True)


def _pulled(state: PathState, side: Side, change: Change, rules: Rules) -> Outcome:
    """A backup that reads changes of the receiving side back; what the other side deleted stays kept."""
    if change is Change.MAYBE:
        return compare(state, (side,))
    if change is Change.NONE:
        return leave(state, Reason.LEFT_ALONE)
    return place(state, side.other, rules, Reason.ADDED if change is Change.ADD else Reason.MODIFIED)


# Present on both sides.


def _present_on_both(state: PathState, source: Entry, destination: Entry, rules: Rules) -> Outcome:
    agree = same_content(source, destination)
    if agree is Same.EQUAL:
        return _same_content(state, source, destination, rules)
    ours = change_of(state, Side.SOURCE, rules.mode_mask)
    theirs = change_of(state, Side.DESTINATION, rules.mode_mask)
    if agree is Same.UNKNOWN:
        if {ours, theirs} <= {Change.NONE, Change.MODE}:
            return _same_content(state, source, destination, rules)
        if state.base is None and not rules.compares_content and looks_equal_unread(source, destination):
            return _same_content(state, source, destination, rules, is_unverified=True)
        return compare(state, unread_sides(state))
    return _different_content(state, ours, theirs, rules)


def _same_content(
    state: PathState, source: Entry, destination: Entry, rules: Rules, *, is_unverified: bool = False
) -> Outcome:
    """Only mode bits may differ; else the base is brought up to date where it is not."""
    mask, base, authority = rules.mode_mask, state.base, rules.mode.authority
    if not same_mode(source, destination, mask):
        if authority is None or rules.pulls_destination_changes:
            mode = merge_modes(source, destination, base, mask)
        else:
            leading = state.at(authority)
            mode = leading.mode if leading is not None else source.mode
        entry = with_mode(source, masked_into(source, mode, mask))
        return Outcome(state, Verb.SET_MODE, _only_side(state, mode, mask), entry, Reason.MODE_CHANGED)
    if base is not None and _holds(base, source, destination, mask):
        return Outcome(state, Verb.NOTHING)
    entry = _known(source, destination, is_unverified)
    reason = Reason.IN_SYNC if base is not None and _is_read_again(base, source) else Reason.SAME_CHANGE
    return Outcome(state, Verb.ADOPT, None, entry, reason, is_unverified=is_unverified)


def _holds(base: Entry, source: Entry, destination: Entry, mask: int) -> bool:
    """Does the base say what both sides hold, with a digest once there is one?"""
    if not same_mode(base, source, mask) or same_content(base, source) is Same.DIFFERENT:
        return False
    if source.digest is None or destination.digest is None:
        return same_content(base, destination) is not Same.DIFFERENT
    return base.digest == source.digest


def _is_read_again(base: Entry, source: Entry) -> bool:
    return base.kind is source.kind and base.size == source.size and base.digest is None


def _known(source: Entry, destination: Entry, is_unverified: bool) -> Entry:
    """The entry that both sides share, with the digest that either knows, if it is known to be shared."""
    digest = None if is_unverified else source.digest or destination.digest
    return Entry(source.kind, source.mode, source.size, source.mtime_ns, digest, source.target)


def _only_side(state: PathState, mode: int, mask: int) -> Side | None:
    """The side whose bits are not `mode` yet; None when it is both."""
    sides = [side for side in Side if (entry := state.at(side)) is not None and (entry.mode ^ mode) & mask]
    return sides[0] if len(sides) == 1 else None


def _different_content(state: PathState, ours: Change, theirs: Change, rules: Rules) -> Outcome:
    authority = rules.mode.authority
    if authority is not None and not (rules.mode.is_backup and rules.pulls_destination_changes):
        own = ours if authority is Side.SOURCE else theirs
        return place(state, authority.other, rules, _follow_reason(state, own))
    if Change.MAYBE in (ours, theirs):
        unread = tuple(
            side for side, change in zip(Side, (ours, theirs), strict=True) if change is Change.MAYBE
        )
        return compare(state, unread)
    unchanged = {Change.NONE, Change.MODE}
    if ours in unchanged and theirs not in unchanged:
        return _carry(state, Side.SOURCE, rules)
    if theirs in unchanged and ours not in unchanged:
        return _carry(state, Side.DESTINATION, rules)
    # Both changed. (Neither: a base that was judged equal unread was wrong; both versions count as new.)
    if authority is not None:
        return place(state, authority.other, rules, Reason.MODIFIED)
    return _conflict(state, rules)


def _follow_reason(state: PathState, own: Change) -> Reason:
    """Why the following side is overwritten: the leading one changed, or it is undone."""
    if own in (Change.NONE, Change.MODE):
        return Reason.UNDONE
    return Reason.ADDED if state.base is None else Reason.MODIFIED


def _carry(state: PathState, side: Side, rules: Rules) -> Outcome:
    """Content changed at the other side only. Its mode bits merge apart from it.

    Where the other side must take bits from `side`, that is done first and alone: a base row that had the
    new content before `side` has it would make the old content look like the newer change.
    """
    here, there = state.at(side), state.at(side.other)
    if here is None or there is None or here.kind is not there.kind:
        return place(state, side, rules, Reason.MODIFIED)
    if state.source is None or state.destination is None:
        return place(state, side, rules, Reason.MODIFIED)
    mask = rules.mode_mask
    mode = merge_modes(state.source, state.destination, state.base, mask)
    if here.kind is Kind.FILE and (mode ^ there.mode) & mask:
        entry = with_mode(state.source, masked_into(state.source, mode, mask))
        return Outcome(state, Verb.SET_MODE, _only_side(state, mode, mask), entry, Reason.MODE_CHANGED)
    return place(state, side, rules, Reason.MODIFIED)


def _conflict(state: PathState, rules: Rules) -> Outcome:
    decision = decide(state, rules)
    if decision.winner is None:
        return Outcome(state, Verb.CONFLICT, reason=Reason.CONFLICT_MANUAL)
    if decision.keeps_both and (unread := unread_sides(state)):
        # One version leaves its name before the other is put there: both must prove readable first.
        return compare(state, unread)
    entry = state.at(decision.winner)
    return Outcome(state, Verb.CONFLICT, decision.winner.other, entry, kind_of(state), winner=decision.winner)
