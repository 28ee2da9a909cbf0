"""Fit outcomes that were judged path by path together: parents first, nothing removed beneath what stays.

Three rules. What is put needs its directories there: a directory that goes because the other side deleted it
is put back instead. A directory is removed or replaced only if everything beneath it goes. A file that
replaced a directory gives way where something beneath that directory is kept: it is moved beside it. All
ancestors of the outcomes must be among them where they differ. Pure.
"""

from collections.abc import Iterable, Sequence

import msgspec

from syncd.core.conflict import decide, kind_of
from syncd.core.entry import SIDES, Kind, Side
from syncd.core.move import MoveOutcome
from syncd.core.path import ancestors, is_beneath, parent
from syncd.core.reason import Reason
from syncd.core.reconcile import Outcome, Verb, leave, place
from syncd.core.rules import Rules
from syncd.core.state import PathState

_LASTING = {Reason.SPECIAL_FILE, Reason.UNREADABLE, Reason.KEPT_FOR_IGNORED, Reason.NOT_EMPTY}
"""Reasons of a child that explain why its directory stays; any other child only blocks it for now."""


_PUT, _MKDIR, _DIRECTORY = Verb.PUT, Verb.MKDIR, Kind.DIRECTORY
"""Members of enumerations cost more to look up than to compare."""


class Arranged(msgspec.Struct, frozen=True):
    """Outcomes in path order; `moved_aside` are directories to rename so that a file takes their name."""

    outcomes: tuple[Outcome, ...]
    moved_aside: frozenset[tuple[Side, bytes]]
    cleared: frozenset[tuple[Side, bytes]]
    """Directories that are removed at once, to make room for a file."""


def order_key(path: bytes) -> bytes:
    """Sorts paths depth first: a directory, what is beneath it, then its next sibling."""
    return path.replace(b"/", b"\0")


def is_present_directory(state: PathState, side: Side) -> bool:
    entry = state.at(side)
    return entry is not None and entry.kind is _DIRECTORY


def removed_side(outcome: Outcome) -> Side | None:
    """The side on which `outcome` leaves nothing at its path."""
    return outcome.side if outcome.verb in (Verb.DELETE, Verb.RMDIR) else None


def arrange(outcomes: Iterable[Outcome], moves: Sequence[MoveOutcome], rules: Rules) -> Arranged:
    """Apply the three rules. Deterministic; the order of `outcomes` does not matter."""
    by_path = {outcome.path: outcome for outcome in outcomes}
    if all(outcome.verb in (Verb.NOTHING, Verb.ADOPT) for outcome in by_path.values()):
        return Arranged(_sorted(by_path), frozenset(), frozenset())
    _resolve_winners(by_path, rules)
    _make_way_for_all(by_path, rules)
    for move in moves:
        for above in ancestors(move.to):
            _ensure_directory(by_path, above, move.side, rules)
    moved_aside = _keep_what_holds(by_path, moves, rules)
    cleared = frozenset(
        (outcome.side, outcome.path)
        for outcome in by_path.values()
        if outcome.side is not None
        and is_present_directory(outcome.state, outcome.side)
        and outcome.verb is Verb.PUT
        and (outcome.side, outcome.path) not in moved_aside
    )
    return Arranged(_sorted(by_path), moved_aside, cleared)


def _sorted(by_path: dict[bytes, Outcome]) -> tuple[Outcome, ...]:
    return tuple(by_path[path] for path in sorted(by_path, key=order_key))


def _resolve_winners(by_path: dict[bytes, Outcome], rules: Rules) -> None:
    """A conflict between kinds that one side simply wins is an ordinary put over the other kind."""
    for path, outcome in by_path.items():
        if outcome.verb is not Verb.CONFLICT or outcome.side is None:
            continue
        kinds = {is_present_directory(outcome.state, side) for side in SIDES}
        if len(kinds) == 2 and not decide(outcome.state, rules).keeps_both:
            by_path[path] = place(outcome.state, outcome.side, rules, Reason.FIRST_SYNC_WINS)


def _make_way_for_all(by_path: dict[bytes, Outcome], rules: Rules) -> None:
    """The first rule. Siblings come one after the other: what was ensured for one holds for the next."""
    ensured: tuple[bytes, Side] | None = None
    for path in sorted(by_path, key=order_key):
        outcome = by_path[path]
        side, verb = outcome.side, outcome.verb
        if side is None or (verb is not _PUT and verb is not _MKDIR):
            continue
        above = parent(path)
        if ensured != (above, side):
            ensured = (above, side) if _make_way(by_path, path, side, rules) else None


def _make_way(by_path: dict[bytes, Outcome], path: bytes, side: Side, rules: Rules) -> bool:
    """For one path: its directories exist on the side where it is put, or it waits."""
    for above in ancestors(path):
        if not _ensure_directory(by_path, above, side, rules):
            by_path[path] = leave(by_path[path].state, Reason.BLOCKED)
            return False
    return True


def _ensure_directory(by_path: dict[bytes, Outcome], path: bytes, side: Side, rules: Rules) -> bool:
    """See to it that `path` will be a directory at `side`; False when it cannot."""
    outcome = by_path.get(path)
    if outcome is None:
        return True
    state = outcome.state
    if outcome.verb is Verb.MKDIR and outcome.side is side:
        return True
    if is_present_directory(state, side):
        if removed_side(outcome) is side:
            by_path[path] = leave(state, Reason.BLOCKED)
        return not (outcome.verb is Verb.PUT and outcome.side is side)
    if not is_present_directory(state, side.other):
        return False
    if state.at(side) is None:
        return _put_back(by_path, outcome, side, rules)
    return _gives_way(by_path, outcome, side, rules)


def _put_back(by_path: dict[bytes, Outcome], outcome: Outcome, side: Side, rules: Rules) -> bool:
    """A directory that is missing at `side` is made there, and so it stays on the other side."""
    if outcome.verb is Verb.LEAVE and outcome.reason not in (Reason.LEFT_ALONE, Reason.KEPT_FOR_IGNORED):
        return False
    reason = Reason.EDIT_BEATS_DELETE if outcome.verb is Verb.RMDIR else Reason.ADDED
    made = place(outcome.state, side, rules, reason)
    by_path[outcome.path] = made
    return made.verb is Verb.MKDIR


def _gives_way(by_path: dict[bytes, Outcome], outcome: Outcome, side: Side, rules: Rules) -> bool:
    """A file at `side` is in the way of what is kept beneath the other side's directory."""
    if outcome.verb is Verb.CONFLICT:
        return outcome.side is side
    if outcome.verb is not Verb.PUT or outcome.side is not side.other:
        return False
    decision = decide(outcome.state, rules)
    if decision.mover is not side:
        manual = Outcome(outcome.state, Verb.CONFLICT, reason=Reason.CONFLICT_MANUAL)
        by_path[outcome.path] = manual
        return False
    entry = outcome.state.at(side.other)
    by_path[outcome.path] = Outcome(
        outcome.state, Verb.CONFLICT, side, entry, kind_of(outcome.state), winner=side.other
    )
    return True


def _keep_what_holds(
    by_path: dict[bytes, Outcome], moves: Sequence[MoveOutcome], rules: Rules
) -> frozenset[tuple[Side, bytes]]:
    """The second rule: a directory stays where something beneath it does."""
    going = {
        (outcome.side, path)
        for path, outcome in by_path.items()
        if outcome.side is not None
        and is_present_directory(outcome.state, outcome.side)
        and outcome.verb in (Verb.RMDIR, Verb.PUT)
    }
    if not going:
        return frozenset()
    moved_aside = set()
    for key, reason in sorted(_holders(by_path, moves, going).items()):
        path = key[1]
        outcome = by_path[path]
        if outcome.verb is Verb.PUT and reason is Reason.LEFT_ALONE and rules.mode.is_backup:
            moved_aside.add(key)
        else:
            by_path[path] = leave(outcome.state, reason if reason in _LASTING else Reason.BLOCKED)
    return frozenset(moved_aside)


def _holders(
    by_path: dict[bytes, Outcome], moves: Sequence[MoveOutcome], going: set[tuple[Side, bytes]]
) -> dict[tuple[Side, bytes], Reason]:
    """The directories among `going` that must stay, each with the reason of the first child that stays."""
    found: dict[tuple[Side, bytes], Reason] = {}
    for path in sorted(by_path, key=order_key):
        outcome = by_path[path]
        for side in SIDES:
            if outcome.state.at(side) is None or removed_side(outcome) is side:
                continue
            for above in ancestors(path):
                if (side, above) in going:
                    found.setdefault((side, above), outcome.reason)
    for move in moves:
        for side, path in going:
            leaves = by_path[path].verb is Verb.PUT and is_beneath(move.path, path)
            if side is move.side and (leaves or is_beneath(move.to, path)):
                found.setdefault((side, path), Reason.BLOCKED)
    return found
