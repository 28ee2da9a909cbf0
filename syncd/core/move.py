"""Renames: a correct delete + create becomes one rename where the evidence allows it.

A rename is a decoration. Every path has been reconciled first, and leaving a rename out is always right, only
dearer. Evidence is the node of a base row at another path, or else a unique equal digest. The base follows a
rename with its old entry, so that a change of content on either side is found by the next round.

A directory's rename takes away all outcomes beneath both names; renames within it, into it or out of it wait
(BLOCKED) for the next round. Pure.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from syncd.core.change import unread_sides
from syncd.core.conflict import ConflictRecord, draft
from syncd.core.entry import Entry, Kind, Side
from syncd.core.evidence import find_renamed, is_same_kind
from syncd.core.path import ancestors, is_beneath, is_within, parent
from syncd.core.reason import Reason
from syncd.core.reconcile import Outcome, Verb, leave
from syncd.core.rules import Policy, Rules
from syncd.core.state import PathState

Exists = Callable[[Side, bytes], bool]
MayMove = Callable[[Side, bytes, bytes], bool]


class MoveOutcome(msgspec.Struct, frozen=True):
    """Rename `path` to `to` at `side`. `base` is the row whose content it is.

    `is_parked`: first of a cycle, it leaves through a parking name. `is_only_record`: both sides renamed it
    and a person decides; nothing is done.
    """

    side: Side
    path: bytes
    to: bytes
    expect: Entry
    base: bytes
    reason: Reason = Reason.MOVED
    is_parked: bool = False
    record: ConflictRecord | None = None
    is_only_record: bool = False

    @property
    def is_directory(self) -> bool:
        return self.expect.kind is Kind.DIRECTORY


class MoveUpgrade(msgspec.Struct, frozen=True):
    """Renames, and the outcomes that are left beside them."""

    moves: tuple[MoveOutcome, ...]
    outcomes: tuple[Outcome, ...]


def upgrade(
    outcomes: Sequence[Outcome], rules: Rules, exists: Exists, may_move_directory: MayMove
) -> MoveUpgrade:
    """Find renames among `outcomes` and say how they reach the other side.

    `exists(side, path)`: is there anything in the index at a path that looks absent? `may_move_directory(
    side, path, to)`: would every unsynced child keep its verdict?
    """
    if all(outcome.state.base is None for outcome in outcomes):
        return MoveUpgrade((), tuple(outcomes))
    by_path = {outcome.path: outcome for outcome in outcomes}
    renamed = find_renamed(by_path)
    if not renamed:
        return MoveUpgrade((), tuple(outcomes))
    merged = {**_adopt_same(by_path, renamed), **_report_kept(by_path, renamed, rules)}
    wanted = [
        move
        for path in sorted(renamed)
        if (move := _propose(by_path, path, renamed[path], rules)) is not None
        and _has_room(by_path, move, exists)
        and (not move.is_directory or may_move_directory(move.side, move.path, move.to))
    ]
    taken, waiting = _choose(by_path, wanted)
    return MoveUpgrade(tuple(taken), _beside(outcomes, taken, waiting, merged))


def _choose(
    by_path: Mapping[bytes, Outcome], wanted: Sequence[MoveOutcome]
) -> tuple[list[MoveOutcome], list[MoveOutcome]]:
    """Which renames are done now and which wait; each try has fewer, so it ends."""
    while True:
        taken, waiting = _select(_consistent(by_path, wanted))
        named = {name for move in (*taken, *waiting) for name in (move.path, move.to, move.base)}
        homeless = [move for move in taken if _is_homeless(by_path, move, named)]
        if not homeless:
            return taken, waiting
        wanted = [move for move in wanted if move not in homeless]


def _beside(
    outcomes: Sequence[Outcome],
    taken: Sequence[MoveOutcome],
    waiting: Sequence[MoveOutcome],
    merged: Mapping[bytes, Outcome],
) -> tuple[Outcome, ...]:
    """The outcomes that are left: what a rename covers goes, what touches a waiting one waits too."""
    gone = _Covered(taken, lambda move: () if move.is_only_record else (move.path, move.to))
    manual = _Covered(taken, lambda move: (move.path, move.to) if move.is_only_record else ())
    evidence = _Covered(taken, lambda move: (move.base,))
    blocked = {name for move in waiting for name in (move.path, move.to, move.base)}
    kept = []
    for outcome in outcomes:
        path = outcome.path
        # The base row of what both sides renamed is the evidence of the next round.
        if gone.covers(path) or (outcome.verb is Verb.FORGET and evidence.covers(path)):
            continue
        if manual.covers(path):
            kept.append(leave(outcome.state, Reason.CONFLICT_MANUAL))
        elif path in blocked and outcome.verb is not Verb.NOTHING:
            kept.append(leave(outcome.state, Reason.BLOCKED))
        else:
            kept.append(merged.get(path, outcome))
    return tuple(kept)


# What becomes of one renamed base row.


def _adopt_same(
    by_path: Mapping[bytes, Outcome], renamed: Mapping[bytes, Mapping[Side, bytes]]
) -> dict[bytes, Outcome]:
    """Both sides renamed to one name: the base goes there too, with its old entry.

    Where a side was not read since it changed, the row goes without its digest, as one that was judged
    unread: new content must not pass for the old.
    """
    merged = {}
    for path, where in renamed.items():
        names = set(where.values())
        base = by_path[path].state.base
        if len(where) < 2 or len(names) > 1 or base is None:
            continue
        outcome = by_path[names.pop()]
        state = outcome.state
        is_same = all(is_same_kind(state.at(side), base) for side in Side)
        if not is_same or state.base is not None or outcome.verb in (Verb.ADOPT, Verb.NOTHING):
            continue
        is_unread = bool(unread_sides(state))
        if is_unread:
            base = msgspec.structs.replace(base, digest=None)
        is_unverified = is_unread or by_path[path].state.unverified
        merged[state.path] = Outcome(state, Verb.ADOPT, None, base, Reason.MOVED, is_unverified=is_unverified)
    return merged


def _report_kept(
    by_path: Mapping[bytes, Outcome], renamed: Mapping[bytes, Mapping[Side, bytes]], rules: Rules
) -> dict[bytes, Outcome]:
    """What one side renamed and the other deleted is put back under its new name, and a person is told."""
    told: dict[bytes, Outcome] = {}
    if not rules.mode.is_bidirectional:
        return told
    for path, where in renamed.items():
        state = by_path[path].state
        side, to = next(iter(where.items()))
        outcome = by_path[to]
        is_deleted = len(where) == 1 and state.at(side.other) is None and not state.is_unknown(side.other)
        is_put = outcome.verb in (Verb.PUT, Verb.MKDIR) and outcome.side is side.other
        if is_deleted and is_put and outcome.reason is Reason.ADDED:
            told[to] = msgspec.structs.replace(outcome, reason=Reason.EDIT_BEATS_DELETE, is_report=True)
    return told


def _propose(
    by_path: Mapping[bytes, Outcome], path: bytes, where: Mapping[Side, bytes], rules: Rules
) -> MoveOutcome | None:
    """The rename that the mode wants for one base row, whether or not there is room for it."""
    mode, state = rules.mode, by_path[path].state
    if mode.is_backup:
        return None
    if len(where) == 2:
        return _propose_for_both(by_path, path, where, rules)
    side, to = next(iter(where.items()))
    other = side.other
    expect = state.at(other)
    if expect is None or not is_same_kind(expect, state.base):
        return None
    if mode.may_write(other) and mode.may_delete(other):
        return MoveOutcome(other, path, to, expect, path)
    undone = by_path[to].state.at(side)
    is_free = state.at(side) is None and by_path[to].state.base is None
    if undone is None or not is_free or not mode.may_delete(side):
        return None
    return MoveOutcome(side, to, path, undone, path, Reason.UNDONE)


def _propose_for_both(
    by_path: Mapping[bytes, Outcome], path: bytes, where: Mapping[Side, bytes], rules: Rules
) -> MoveOutcome | None:
    """Renamed differently: one name wins, or a person decides."""
    authority = rules.mode.authority
    policy = rules.policy_at(where[Side.DESTINATION])
    if authority is None:
        wins = Side.DESTINATION if policy is Policy.DESTINATION_WINS else Side.SOURCE
    else:
        wins = authority
    loser = wins.other
    states = [by_path[where[side]].state for side in Side]
    expect, winner = by_path[where[loser]].state.at(loser), by_path[where[wins]].state.at(wins)
    if where[wins] == where[loser] or expect is None or winner is None:
        return None
    if any(state.base is not None for state in states):
        return None
    move = MoveOutcome(loser, where[loser], where[wins], expect, path, Reason.CONFLICT_MOVED)
    if authority is not None:
        return move
    is_manual = policy is Policy.MANUAL
    at_names = PathState(
        path=move.path,
        base=by_path[path].state.base,
        source=states[0].source,
        destination=states[1].destination,
    )
    record = draft(
        at_names,
        rules,
        Reason.CONFLICT_MOVED,
        None if is_manual else wins,
        loser_copy=None if is_manual else move.to,
        is_open=is_manual,
    )
    return msgspec.structs.replace(move, record=record, is_only_record=is_manual)


def _has_room(by_path: Mapping[bytes, Outcome], move: MoveOutcome, exists: Exists) -> bool:
    """Nothing unseen at the target, and its directory is or will be there."""
    target = by_path[move.to].state.at(move.side)
    if target is None and exists(move.side, move.to):
        return False
    if is_within(move.to, move.path) or is_within(move.path, move.to):
        return False
    above = by_path.get(parent(move.to))
    if above is None:
        return True
    if above.verb is Verb.MKDIR and above.side is move.side:
        return True
    entry = above.state.at(move.side)
    stays = not (above.side is move.side and above.verb in (Verb.RMDIR, Verb.DELETE, Verb.PUT))
    return entry is not None and entry.kind is Kind.DIRECTORY and stays


def _is_homeless(by_path: Mapping[bytes, Outcome], move: MoveOutcome, named: set[bytes]) -> bool:
    """Would the target's directory have to be made at a name whose outcome a rename replaces?"""
    for above in ancestors(move.to):
        outcome = by_path.get(above)
        if outcome is not None and above in named:
            entry = outcome.state.at(move.side)
            if entry is None or entry.kind is not Kind.DIRECTORY:
                return True
    return False


# Renames together.


def _consistent(by_path: Mapping[bytes, Outcome], wanted: Iterable[MoveOutcome]) -> list[MoveOutcome]:
    """The largest subset in which every target is free or vacated, and every old name given up or refilled.

    Hard links fall out here: their old name is still there, and no rename of the plan put it there.
    """
    moves = list(wanted)
    while True:
        sources = {(move.side, move.path) for move in moves}
        targets = {(move.side, move.to) for move in moves if move.reason is Reason.MOVED}
        kept = [move for move in moves if _fits(by_path, move, sources, targets)]
        if len(kept) == len(moves):
            return kept
        moves = kept


def _fits(
    by_path: Mapping[bytes, Outcome],
    move: MoveOutcome,
    sources: set[tuple[Side, bytes]],
    targets: set[tuple[Side, bytes]],
) -> bool:
    at, to = by_path[move.path].state, by_path[move.to].state
    is_vacated = (move.side, move.to) in sources
    if to.at(move.side) is not None and not is_vacated:
        return False
    if move.reason is not Reason.MOVED:
        return at.at(move.side.other) is None or move.reason is Reason.CONFLICT_MOVED
    if to.base is not None and not is_vacated:
        return False
    return at.at(move.side.other) is None or (move.side, move.path) in targets


def _select(moves: Sequence[MoveOutcome]) -> tuple[list[MoveOutcome], list[MoveOutcome]]:
    """Top-most directories first; what touches the inside of one of them waits."""
    taken: list[MoveOutcome] = []
    waiting: list[MoveOutcome] = []
    claimed: list[bytes] = []
    for move in sorted(moves, key=lambda move: (not move.is_directory, move.base.count(b"/"), move.base)):
        names = (move.path, move.to, move.base)
        if any(is_beneath(one, other) for one in names for other in claimed):
            waiting.append(move)
            continue
        taken.append(move)
        if move.is_directory:
            claimed += names
    while True:
        late = [move for move in taken if any(_is_linked(move, other) for other in waiting)]
        if not late:
            return taken, waiting
        waiting += late
        taken = [move for move in taken if move not in late]


def _is_linked(move: MoveOutcome, other: MoveOutcome) -> bool:
    """Is the target of `move` vacated by `other`, which waits? (Where `other` goes may be vacated first.)"""
    return move.side is other.side and move.to == other.path


class _Covered:
    """Paths that renames speak for: the names given, and for directories all beneath them."""

    def __init__(
        self, moves: Iterable[MoveOutcome], names_of: Callable[[MoveOutcome], tuple[bytes, ...]]
    ) -> None:
        self._names: set[bytes] = set()
        self._directories: set[bytes] = set()
        for move in moves:
            names = names_of(move)
            self._names.update(names)
            if move.is_directory:
                self._directories.update(names)

    def covers(self, path: bytes) -> bool:
        if path in self._names:
            return True
        if not self._directories:
            return False
        at = path.rfind(b"/")
        while at > 0:
            if path[:at] in self._directories:
                return True
            at = path.rfind(b"/", 0, at)
        return False


def in_sequence(moves: Sequence[MoveOutcome]) -> tuple[MoveOutcome, ...]:
    """An order in which every target is vacated before it is taken; one move of each cycle is parked.

    Parked moves come first: they leave at their place in the order and arrive after all others.
    """
    by_source = {(move.side, move.path): move for move in moves}
    parked: list[MoveOutcome] = []
    ordered: list[MoveOutcome] = []
    seen: set[tuple[Side, bytes]] = set()
    for first in sorted(moves, key=lambda move: (move.side, move.path)):
        chain: list[MoveOutcome] = []
        move: MoveOutcome | None = first
        while move is not None and (move.side, move.path) not in seen:
            seen.add((move.side, move.path))
            chain.append(move)
            move = by_source.get((move.side, move.to))
        if chain and move is chain[0]:
            parked.append(msgspec.structs.replace(chain[0], is_parked=True))
            chain = chain[1:]
        ordered += reversed(chain)
    return (*parked, *ordered)
