"""Two trees and a base in memory: the engine's world without files, database or time.

`Model` observes itself perfectly, applies actions with the preconditions of the tree port, and updates the
base from results as the index does. Nothing is forgotten: `trash` keeps all that was displaced.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

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
from syncd.core.arrange import order_key
from syncd.core.entry import Entry, Kind, Same, Side, same_content
from syncd.core.path import ancestors, is_beneath, is_within, parent
from syncd.core.plan import Plan, make, plan_round
from syncd.core.reconcile import Outcome, reconcile
from syncd.core.rules import Rules
from syncd.core.state import PathState

T = TypeVar("T")

SECOND = 10**9
NOW_NS = 1_800_000_000 * SECOND
START_NS = 1_700_000_000 * SECOND


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def file(text: str, mode: int = 0o644, mtime_s: float = 0, *, is_read: bool = True) -> Entry:
    """A file; its mtime is `mtime_s` seconds after START_NS."""
    known = digest(text) if is_read else None
    return Entry(Kind.FILE, mode, len(text), START_NS + int(mtime_s * SECOND), known)


def directory(mode: int = 0o755) -> Entry:
    return Entry(Kind.DIRECTORY, mode)


def link(target: str) -> Entry:
    return Entry(Kind.SYMLINK, 0o777, len(target), START_NS, None, target.encode())


def special() -> Entry:
    return Entry(Kind.SPECIAL, 0o644)


class Node(msgspec.Struct):
    """One thing in a tree. `entry` always knows its digest; `is_read` says whether the engine does."""

    node_id: int
    entry: Entry
    is_read: bool = True

    @property
    def seen(self) -> Entry:
        """What an observation says."""
        return self.entry if self.is_read else msgspec.structs.replace(self.entry, digest=None)


class Row(msgspec.Struct):
    """One base row."""

    entry: Entry
    nodes: dict[Side, int]
    unverified: bool = False


class Model:
    """Both trees of a pair, the base, and what was displaced."""

    def __init__(self) -> None:
        self.trees: dict[Side, dict[bytes, Node]] = {side: {} for side in Side}
        self.base: dict[bytes, Row] = {}
        self.trash: list[tuple[Side, bytes, Entry]] = []
        self.deleted: list[tuple[Side, bytes]] = []
        self.copied: list[tuple[Side, bytes]] = []
        self.stale: list[Action] = []
        self._last_id = 0

    # What users do.

    def new_node(self, entry: Entry, *, is_read: bool = True) -> Node:
        self._last_id += 1
        return Node(self._last_id, entry, is_read)

    def write(self, side: Side, path: bytes, entry: Entry, *, is_read: bool = True) -> bool:
        """Create or overwrite. An overwritten file keeps its node. False where no user could."""
        tree = self.trees[side]
        above = parent(path)
        if above and (above not in tree or tree[above].entry.kind is not Kind.DIRECTORY):
            return False
        old = tree.get(path)
        if old is not None and old.entry.kind is entry.kind is not Kind.SYMLINK:
            old.entry, old.is_read = entry, is_read
        else:
            self.erase(side, path)
            tree[path] = self.new_node(entry, is_read=is_read)
        return True

    def erase(self, side: Side, path: bytes) -> bool:
        tree = self.trees[side]
        gone = [one for one in tree if is_within(one, path)]
        for one in gone:
            del tree[one]
        return bool(gone)

    def rename(self, side: Side, path: bytes, to: bytes) -> bool:
        """Rename as a user does: over a file, never over a directory or into itself."""
        tree = self.trees[side]
        above = parent(to)
        if path not in tree or is_within(to, path) or is_within(path, to):
            return False
        if above and (above not in tree or tree[above].entry.kind is not Kind.DIRECTORY):
            return False
        if to in tree:
            if Kind.DIRECTORY in (tree[to].entry.kind, tree[path].entry.kind):
                return False
            del tree[to]
        _move_keys(tree, path, to)
        return True

    def chmod(self, side: Side, path: bytes, mode: int) -> bool:
        node = self.trees[side].get(path)
        if node is None or node.entry.kind is Kind.SYMLINK:
            return False
        node.entry = msgspec.structs.replace(node.entry, mode=mode)
        return True

    def share(self) -> None:
        """Make the destination a copy of the source, and both the base."""
        self.trees[Side.DESTINATION] = {}
        self.base = {}
        for path, node in self.trees[Side.SOURCE].items():
            twin = self.new_node(node.entry, is_read=node.is_read)
            self.trees[Side.DESTINATION][path] = twin
            self.base[path] = Row(node.seen, {Side.SOURCE: node.node_id, Side.DESTINATION: twin.node_id})

    # What the engine sees.

    def state(self, path: bytes) -> PathState:
        row = self.base.get(path)
        source, destination = (self.trees[side].get(path) for side in Side)
        return PathState(
            path=path,
            base=row.entry if row else None,
            source=source.seen if source else None,
            destination=destination.seen if destination else None,
            source_node=source.node_id if source else 0,
            destination_node=destination.node_id if destination else 0,
            base_source_node=row.nodes[Side.SOURCE] if row else 0,
            base_destination_node=row.nodes[Side.DESTINATION] if row else 0,
            unverified=row.unverified if row else False,
        )

    def paths(self) -> list[bytes]:
        found = {*self.trees[Side.SOURCE], *self.trees[Side.DESTINATION], *self.base}
        return sorted(found, key=order_key)

    def is_dirty(self, path: bytes) -> bool:
        """Does the feed of either side name the path, by its current or its base name?"""
        state = self.state(path)
        if state.base is None:
            return True
        return any(
            state.at(side) is None
            or state.node(side) != state.base_node(side)
            or state.at(side) != state.base
            for side in Side
        )

    def dirty_paths(self) -> list[bytes]:
        dirty = {path for path in self.paths() if self.is_dirty(path)}
        dirty |= {above for path in dirty for above in ancestors(path) if above}
        return sorted(dirty, key=order_key)

    def outcomes(self, rules: Rules, paths: Iterable[bytes] | None = None) -> list[Outcome]:
        return [reconcile(self.state(path), rules) for path in (self.paths() if paths is None else paths)]

    def plan(self, rules: Rules, paths: Iterable[bytes] | None = None, *, finds_moves: bool = True) -> Plan:
        outcomes = self.outcomes(rules, paths)
        if not finds_moves:
            return make(outcomes, (), rules, taken=self.is_taken)
        return plan_round(
            outcomes,
            rules,
            exists=self.is_taken,
            may_move_directory=lambda _side, _path, _to: True,
            taken=self.is_taken,
        )

    def is_taken(self, side: Side, path: bytes) -> bool:
        return path in self.trees[side]

    # What the engine does.

    def apply(self, plan: Plan, shuffle: Callable[[list[Action]], None] = lambda _: None) -> int:
        """Carry a plan out; the number of things done. `shuffle` permutes what may be permuted."""
        for path, entry, unverified in plan.adopt:
            nodes = {side: self.trees[side][path].node_id for side in Side}
            self.base[path] = Row(entry, nodes, unverified)
        for path in plan.forget:
            _drop(self.base, path)
        for side, path in plan.compare:
            self.trees[side][path].is_read = True
        done = len(plan.adopt) + len(plan.forget) + len(plan.compare)
        for level in Level:
            actions = [action for at, action in plan.actions if at is level]
            if level is Level.MOVE:
                done += sum(self._move_all([one for one in actions if one.side is side]) for side in Side)
            else:
                done += sum(self.perform(action) for action in _shuffled(actions, shuffle))
        return done

    def perform(self, action: Action) -> bool:
        """One action, its precondition first. False (and noted in `stale`) where it does not hold."""
        match action:
            case MakeDirectory():
                is_done = self._make_directory(action)
            case Put():
                is_done = self._put(action)
            case Move():
                is_done = self._move_all([action]) == 1
            case Delete() | RemoveDirectory():
                is_done = self._remove(action)
            case SetMode():
                is_done = self._set_mode(action)
        if not is_done:
            self.stale.append(action)
        return is_done

    def _has_parent(self, side: Side, path: bytes) -> bool:
        above = parent(path)
        return not above or (
            (node := self.trees[side].get(above)) is not None and node.entry.kind is Kind.DIRECTORY
        )

    def _expects(self, side: Side, path: bytes, expect: Entry | None) -> bool:
        node = self.trees[side].get(path)
        if node is None or expect is None:
            return node is None and expect is None
        return same_content(node.entry, expect) is not Same.DIFFERENT

    def _make_directory(self, action: MakeDirectory) -> bool:
        if action.path in self.trees[action.side] or not self._has_parent(action.side, action.path):
            return False
        self.trees[action.side][action.path] = self.new_node(action.entry)
        self._record(action.path, action.entry)
        return True

    def _put(self, action: Put) -> bool:
        side, path = action.side, action.path
        content = self.trees[side.other].get(action.origin)
        if content is None or same_content(content.entry, action.entry) is Same.DIFFERENT:
            return False
        if not self._expects(side, path, action.expect) or not self._has_parent(side, path):
            return False
        entry = msgspec.structs.replace(action.entry, digest=content.entry.digest)
        content.is_read = True
        old = self.trees[side].get(path)
        if old is not None:
            self.trash.append((side, path, old.entry))
        self.trees[side][path] = self.new_node(entry)
        self.copied.append((side, path))
        self._record(path, entry)
        return True

    def _remove(self, action: Delete | RemoveDirectory) -> bool:
        side, path = action.side, action.path
        if not self._expects(side, path, action.expect):
            return False
        if any(is_beneath(one, path) for one in self.trees[side]):
            return False
        self.trash.append((side, path, self.trees[side].pop(path).entry))
        self.deleted.append((side, path))
        _drop(self.base, path)
        return True

    def _set_mode(self, action: SetMode) -> bool:
        if not self._expects(action.side, action.path, action.expect):
            return False
        self.chmod(action.side, action.path, action.mode)
        row = self.base.get(action.path)
        if row is not None:
            row.entry = msgspec.structs.replace(row.entry, mode=action.mode)
        return True

    def _record(self, path: bytes, entry: Entry) -> None:
        nodes = {side: self.trees[side][path].node_id for side in Side if path in self.trees[side]}
        if len(nodes) == 2:
            self.base[path] = Row(entry, nodes)

    def _move_all(self, actions: Sequence[Action]) -> int:
        """Moves of one side in order; parked ones leave at their place and arrive last."""
        moves = [action for action in actions if isinstance(action, Move)]
        arrivals: list[tuple[Move, bytes]] = []
        done = 0
        for number, move in enumerate(moves):
            parking = b"\0%d" % number
            if move.parked and self._rename(move, parking, is_parking=True):
                arrivals.append((move, parking))
            elif not move.parked:
                done += self._rename(move, move.to)
        for move, parking in arrivals:
            _move_keys(self.trees[move.side], parking, move.to)
            if not move.is_conflict:
                _move_keys(self.base, parking, move.to)
                self._link(move.to)
            done += 1
        return done

    def _rename(self, move: Move, to: bytes, *, is_parking: bool = False) -> bool:
        tree = self.trees[move.side]
        is_free = is_parking or (to not in tree and self._has_parent(move.side, to))
        if not is_free or not self._expects(move.side, move.path, move.expect):
            self.stale.append(move)
            return False
        _move_keys(tree, move.path, to)
        if move.is_conflict:
            _drop(self.base, move.path)
        else:
            _move_keys(self.base, move.path, to)
            if not is_parking:
                self._link(to)
        return True

    def _link(self, path: bytes) -> None:
        """A base row that has moved is claimed by the nodes that are at its new name."""
        if path in self.base:
            nodes = {side: self.trees[side].get(path) for side in Side}
            self.base[path].nodes = {side: node.node_id if node else 0 for side, node in nodes.items()}

    # What tests ask.

    def contents(self, *sides: Side) -> set[object]:
        """Every file content and link target that is alive in the trees of `sides` (default: both)."""
        return {
            node.entry.digest or node.entry.target
            for side in sides or tuple(Side)
            for node in self.trees[side].values()
            if node.entry.kind is not Kind.DIRECTORY
        }

    def trashed(self) -> set[object]:
        return {entry.digest or entry.target for _, _, entry in self.trash}

    def view(self, side: Side) -> dict[bytes, tuple[Kind, int, object]]:
        """What a user sees: kind, mode and content of each path."""
        return {
            path: (
                node.entry.kind,
                0 if node.entry.kind is Kind.SYMLINK else node.entry.mode,
                node.entry.digest or node.entry.target,
            )
            for path, node in sorted(self.trees[side].items())
        }


def _move_keys(rows: dict[bytes, T], path: bytes, to: bytes) -> None:
    for one in [one for one in rows if is_within(one, path)]:
        rows[to + one[len(path) :]] = rows.pop(one)


def _drop(rows: dict[bytes, Row], path: bytes) -> None:
    for one in [one for one in rows if is_within(one, path)]:
        del rows[one]


def _shuffled(actions: list[Action], shuffle: Callable[[list[Action]], None]) -> list[Action]:
    """Shuffled where the order is free; directories are made parents first and removed children first."""
    groups: dict[tuple[int, int], list[Action]] = {}
    for action in actions:
        depth = action.path.count(b"/")
        match action:
            case MakeDirectory():
                rank = depth
            case RemoveDirectory() | SetMode():
                rank = -depth
            case _:
                rank = 0
        groups.setdefault((isinstance(action, RemoveDirectory), rank), []).append(action)
    for group in groups.values():
        shuffle(group)
    return [action for key in sorted(groups) for action in groups[key]]
