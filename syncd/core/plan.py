"""A plan: what shall be done to both trees, in order, each action with the state that it expects.

`make` turns outcomes and moves into actions by level. The same outcomes give the same plan, in whatever order
they come. Pure; nothing outside `syncd.core` may be imported here.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence

import msgspec

from syncd.core.action import (
    Action,
    Delete,
    Level,
    MakeDirectory,
    Move,
    Put,
    RemoveDirectory,
    SetMode,
)
from syncd.core.arrange import Arranged, arrange, order_key
from syncd.core.change import masked_into, with_mode
from syncd.core.conflict import ConflictRecord, conflict_name, decide, draft, kind_of
from syncd.core.entry import SIDES, Entry, Kind, Side
from syncd.core.move import Exists, MayMove, MoveOutcome, in_sequence, upgrade
from syncd.core.path import ancestors, join, name, parent
from syncd.core.reason import Reason
from syncd.core.reconcile import Outcome, Verb, place
from syncd.core.rules import Rules
from syncd.core.state import PathState

Taken = Callable[[Side, bytes], bool]
_OWNER = 0o700


_REMOVALS = (Delete, RemoveDirectory)
_PUT = Level.PUT


class Plan(msgspec.Struct, frozen=True):
    """Everything that one round decided.

    `adopt` rows are (path, entry, unverified); those in `followed` came along with a rename, as they were:
    the next round compares them. `compare` are files to read, `left` differ and stay.
    `conflicts` are drafts: open ones need no action, the others are settled by the action at their path.
    """

    actions: tuple[tuple[Level, Action], ...] = ()
    adopt: tuple[tuple[bytes, Entry, bool], ...] = ()
    forget: tuple[bytes, ...] = ()
    compare: tuple[tuple[Side, bytes], ...] = ()
    conflicts: tuple[ConflictRecord, ...] = ()
    left: tuple[tuple[bytes, Reason], ...] = ()
    reports: tuple[tuple[bytes, Reason], ...] = ()
    followed: tuple[bytes, ...] = ()


class Destructive(msgspec.Struct, frozen=True):
    """One thing that a person may have to approve: what is lost at `path`. Overwrites count after a loss of
    state only."""

    side: Side
    path: bytes
    expect: Entry
    is_overwrite: bool = False


def make(outcomes: Iterable[Outcome], moves: Sequence[MoveOutcome], rules: Rules, *, taken: Taken) -> Plan:
    """The plan of one round. `taken(side, path)` tells names in use, ignored ones included."""
    arranged = arrange(outcomes, moves, rules)
    builder = _Builder(arranged, rules, taken)
    for outcome in arranged.outcomes:
        builder.add(outcome)
    for move in in_sequence(moves):
        builder.add_move(move)
    return builder.finish()


def plan_round(
    outcomes: Sequence[Outcome], rules: Rules, *, exists: Exists, may_move_directory: MayMove, taken: Taken
) -> Plan:
    """The plan of one round, with the renames that are found (see `move.upgrade`).

    Renames that wait for one another would wait for ever when nothing else is left to do. Then each path goes
    by itself: a rename is a decoration.
    """
    found = upgrade(outcomes, rules, exists, may_move_directory)
    plan = make(found.outcomes, found.moves, rules, taken=taken)
    return make(outcomes, (), rules, taken=taken) if is_stuck(plan) else plan


def is_stuck(plan: Plan) -> bool:
    """Is there something left that waits for others, and nothing that these could be?"""
    is_idle = not (plan.actions or plan.adopt or plan.forget or plan.compare or plan.conflicts)
    return is_idle and any(reason is Reason.BLOCKED for _, reason in plan.left)


def destructive(plan: Plan, *, with_overwrites: bool = False) -> tuple[Destructive, ...]:
    """What the plan removes, sorted by side and path."""
    found = []
    for level, action in plan.actions:
        if level is _PUT and not with_overwrites:
            continue
        if isinstance(action, _REMOVALS):
            found.append(Destructive(action.side, action.path, action.expect))
        elif with_overwrites and isinstance(action, Put) and action.expect is not None:
            found.append(Destructive(action.side, action.path, action.expect, is_overwrite=True))
    return tuple(sorted(found, key=lambda item: (item.side, order_key(item.path))))


def touched(plan: Plan) -> set[bytes]:
    """Every path that an action of the plan changes, new names included."""
    paths = {action.path for _, action in plan.actions}
    return paths | {action.to for _, action in plan.actions if isinstance(action, Move)}


def digest_of(item: Destructive) -> str:
    """The digest that an approval remembers: side, path and expected state.

    Digests and mode bits stay out: reading a file, or a chmod, does not take an approval back.
    """
    expect = item.expect
    state = [expect.kind.value, expect.size, expect.mtime_ns, expect.target]
    if expect.kind is Kind.DIRECTORY:
        state = [expect.kind.value]
    fields = [item.side.word, item.path, item.is_overwrite, *state]
    return hashlib.sha256(msgspec.json.encode(fields)).hexdigest()


def plan_id(items: Iterable[Destructive]) -> str:
    """The digest of the sorted set: sixteen hex digits."""
    digests = sorted({digest_of(item) for item in items})
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()[:16]


class _Builder:
    """Collects one plan. Each method adds what one verb needs, to the levels where it belongs."""

    def __init__(self, arranged: Arranged, rules: Rules, taken: Taken) -> None:
        self._arranged = arranged
        self._rules = rules
        self._taken = taken
        self._named: set[bytes] = set()
        self._levels: dict[Level, list[Action]] = {level: [] for level in Level}
        self._adopt: list[tuple[bytes, Entry, bool]] = []
        self._forget: list[bytes] = []
        self._compare: list[tuple[Side, bytes]] = []
        self._conflicts: list[ConflictRecord] = []
        self._left: list[tuple[bytes, Reason]] = []
        self._reports: list[tuple[bytes, Reason]] = []
        self._followed: list[bytes] = []

    def add(self, outcome: Outcome) -> None:
        """One arranged outcome."""
        if outcome.is_report:
            self._reports.append((outcome.path, outcome.reason))
        match outcome.verb:
            case Verb.PUT | Verb.MKDIR:
                self._place(outcome)
            case Verb.DELETE | Verb.RMDIR:
                self._remove(outcome)
            case Verb.SET_MODE:
                self._set_mode(outcome)
            case Verb.CONFLICT:
                self._conflict(outcome)
            case Verb.ADOPT if outcome.entry is not None:
                self._adopt.append((outcome.path, outcome.entry, outcome.is_unverified))
                if outcome.reason is Reason.MOVED:
                    self._followed.append(outcome.path)
            case Verb.FORGET:
                self._forget.append(outcome.path)
                if outcome.reason is Reason.KEPT_FOR_IGNORED:
                    self._left.append((outcome.path, outcome.reason))
            case Verb.COMPARE:
                self._compare += [(side, outcome.path) for side in outcome.sides]
            case Verb.LEAVE:
                self._left.append((outcome.path, outcome.reason))

    def add_move(self, move: MoveOutcome) -> None:
        """One rename, in sequence already."""
        if move.record is not None:
            self._conflicts.append(move.record)
        if not move.is_only_record:
            self._levels[Level.MOVE].append(
                Move(move.side, move.path, move.to, move.expect, parked=move.is_parked)
            )

    def finish(self) -> Plan:
        """Levels in order, each one side after the other; removals and mode bits children first.

        No action needs one of the same level on the other side, and a tree likes its steps together.
        """
        clear = self._levels[Level.CLEAR]
        self._levels[Level.CLEAR] = [
            *(action for action in clear if isinstance(action, Delete)),
            *reversed([action for action in clear if isinstance(action, RemoveDirectory)]),
        ]
        self._levels[Level.REMOVE_DIRECTORY].reverse()
        self._levels[Level.METADATA].reverse()
        for actions in self._levels.values():
            actions.sort(key=lambda action: -action.side)
        return Plan(
            actions=tuple((level, action) for level, actions in self._levels.items() for action in actions),
            adopt=tuple(self._adopt),
            forget=tuple(self._forget),
            compare=tuple(self._compare),
            conflicts=tuple(self._conflicts),
            left=tuple(self._left),
            reports=tuple(self._reports),
            followed=tuple(self._followed),
        )

    def _place(self, outcome: Outcome) -> None:
        """Put or make what the other side holds; another kind at the name is cleared first."""
        side, entry = outcome.side, outcome.entry
        if side is None or entry is None:
            return
        here = outcome.state.at(side)
        if entry.kind is Kind.DIRECTORY:
            if here is not None:
                self._levels[Level.CLEAR].append(Delete(side, outcome.path, here))
            self._make_directory(side, outcome.path, entry)
            return
        if here is not None and here.kind is Kind.DIRECTORY:
            if (side, outcome.path) in self._arranged.moved_aside:
                self._move_aside(outcome.state, side)
            else:
                self._levels[Level.CLEAR].append(RemoveDirectory(side, outcome.path, here))
            here = None
        self._levels[Level.PUT].append(Put(side, outcome.path, entry, here, outcome.path))

    def _make_directory(self, side: Side, path: bytes, entry: Entry) -> None:
        """A directory that its owner may not write to gets its bits once it is filled."""
        made = with_mode(entry, entry.mode | _OWNER)
        self._levels[Level.DIRECTORY].append(MakeDirectory(side, path, made))
        if made is not entry:
            self._levels[Level.METADATA].append(SetMode(side, path, entry.mode, made))

    def _remove(self, outcome: Outcome) -> None:
        side = outcome.side
        expect = None if side is None else outcome.state.at(side)
        if side is None or expect is None:
            return
        makes_room = any((side, above) in self._arranged.cleared for above in ancestors(outcome.path))
        if outcome.verb is Verb.RMDIR:
            level = Level.CLEAR if makes_room else Level.REMOVE_DIRECTORY
            self._levels[level].append(RemoveDirectory(side, outcome.path, expect))
        else:
            level = Level.CLEAR if makes_room else Level.DELETE
            self._levels[level].append(Delete(side, outcome.path, expect))

    def _set_mode(self, outcome: Outcome) -> None:
        """Each side whose bits differ from the outcome's, the destination first: it follows more often."""
        entry, mask = outcome.entry, self._rules.mode_mask
        for side in (Side.DESTINATION, Side.SOURCE):
            here = outcome.state.at(side)
            if entry is not None and here is not None and (here.mode ^ entry.mode) & mask:
                mode = masked_into(here, entry.mode, mask)
                self._levels[Level.METADATA].append(SetMode(side, outcome.path, mode, here))

    def _conflict(self, outcome: Outcome) -> None:
        state = outcome.state
        decision = decide(state, self._rules)
        if outcome.winner is None or decision.winner is None:
            self._left.append((state.path, Reason.CONFLICT_MANUAL))
            self._conflicts.append(draft(state, self._rules, kind_of(state), None, is_open=True))
        elif decision.keeps_both and decision.mover is not None:
            self._keep_both(state, decision.mover)
        else:
            self._conflicts.append(draft(state, self._rules, kind_of(state), decision.winner))
            self._place(place(state, decision.winner.other, self._rules, outcome.reason))

    def _keep_both(self, state: PathState, mover: Side) -> None:
        """The mover's version gets a name beside it, on both sides; then the winner's takes the name."""
        moved, kept = state.at(mover), state.at(mover.other)
        if moved is None or kept is None:
            return
        copy = self._copy_path(state.path, moved)
        self._levels[Level.CONFLICT_RENAME].append(Move(mover, state.path, copy, moved, is_conflict=True))
        if kept.kind is Kind.DIRECTORY:
            self._make_directory(mover, state.path, kept)
        else:
            self._levels[Level.PUT].append(Put(mover, state.path, kept, None, state.path))
        self._levels[Level.PUT].append(Put(mover.other, copy, moved, None, copy))
        self._conflicts.append(
            draft(state, self._rules, kind_of(state), mover.other, loser_copy=copy, is_open=True)
        )

    def _move_aside(self, state: PathState, side: Side) -> None:
        """A backup deletes nothing: the directory that a file replaced is kept under a conflict name."""
        directory = state.at(side)
        if directory is None:
            return
        copy = self._copy_path(state.path, directory)
        self._levels[Level.CONFLICT_RENAME].append(Move(side, state.path, copy, directory, is_conflict=True))
        self._conflicts.append(
            draft(state, self._rules, kind_of(state), side.other, loser_copy=copy, is_open=True)
        )

    def _copy_path(self, path: bytes, moved: Entry) -> bytes:
        """A conflict name that neither side uses and this plan has not given away."""
        above = parent(path)

        def is_taken(candidate: bytes) -> bool:
            full = join(above, candidate)
            return full in self._named or any(self._taken(side, full) for side in SIDES)

        stamp = moved.mtime_ns or self._rules.now_ns
        copy = join(above, conflict_name(name(path), stamp, self._rules.host, is_taken))
        self._named.add(copy)
        return copy
