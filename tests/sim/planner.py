"""The core planner alone, over two trees in memory and a base that is a dictionary: no index, no daemon.

One random tree is changed on both sides by people; then plan, apply, plan again, until there is nothing to
do. Digests are unknown until they are asked for, and a crash may come between a file and its base row. What
fails here is the planner's; what fails only under the whole engine is the engine's.
"""

import random
from itertools import count

import msgspec

from syncd.core.action import Done, Move, Put, Result, SetMode
from syncd.core.entry import Entry, Side, StatHint
from syncd.core.mode import Mode
from syncd.core.path import is_within
from syncd.core.plan import Plan, plan_round
from syncd.core.reconcile import Verb, reconcile
from syncd.core.rules import Initial, Policy, Rules
from syncd.core.state import PathState
from syncd.tree.memory import MemoryTree
from syncd.tree.memory_disk import Disk, Node
from syncd.tree.port import Batch, Step
from tests.sim.ledger import Ledger
from tests.sim.people import Person

BOTH = (Side.SOURCE, Side.DESTINATION)
MAX_ROUNDS = 40


class Row(msgspec.Struct, frozen=True):
    """A base row: the entry and the nodes that it was made from."""

    entry: Entry
    source_node: int
    destination_node: int


class Planner:
    """Two trees and their base. `settle` runs rounds until a plan is empty."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(f"planner {seed}")
        self._ticks = count(1_790_000_000_000_000_000, 3_000_000_000)
        is_two_way = rng.random() < 0.6
        self.rules = Rules(
            mode=Mode.TWO_WAY if is_two_way else rng.choice(list(Mode)),
            policy=rng.choice([policy for policy in Policy if policy is not Policy.MANUAL]),
            initial=rng.choice(list(Initial)),
            is_first_sync=True,
            now_ns=1_800_000_000_000_000_000,
        )
        self.ledger = Ledger()
        self.disks = {side: Disk(lambda: next(self._ticks)) for side in BOTH}
        self.trees = {side: MemoryTree(self.disks[side], side) for side in BOTH}
        self.people = {
            side: Person(side, self.disks[side], self.ledger, random.Random(f"{side.word} {seed}"))
            for side in BOTH
        }
        self.base: dict[bytes, Row] = {}
        self.log: list[str] = []
        self._rng = rng
        self._forgets = rng.choice((0.0, 0.0, 0.1))
        self._reads_all = rng.random() < 0.5
        self._read: dict[int, StatHint] = {}
        self._nodes: dict[int, Node] = {}
        self._batches = count(1)

    def edit(self, deeds: int) -> None:
        """Both people work, unseen by the planner."""
        for _ in range(deeds):
            for side in BOTH:
                if told := self.people[side].act():
                    self.log.append(f"{side.word} {told}")

    async def settle(self) -> int:
        """Plan and apply until nothing is left to do; the number of rounds."""
        for number in range(MAX_ROUNDS):
            plan = self.plan()
            self.log.append(f"round {number}: {len(plan.actions)} actions")
            if not plan.actions and not plan.adopt and not plan.forget:
                self.rules = msgspec.structs.replace(self.rules, is_first_sync=False)
                return number
            for path, entry, _ in plan.adopt:
                self._set_row(path, entry)
            for path in plan.forget:
                self.base.pop(path, None)
            await self._apply(plan)
        self.log.append("does not end")
        return MAX_ROUNDS

    def plan(self) -> Plan:
        """The planner's view of everything."""
        outcomes = [reconcile(state, self.rules) for state in self.states()]
        if any(outcome.verb is Verb.COMPARE for outcome in outcomes):
            for outcome in outcomes:
                for side in outcome.sides:
                    self._digest(self.disks[side].find(outcome.path))
            return self.plan()
        return plan_round(
            outcomes,
            self.rules,
            exists=lambda side, path: self.disks[side].at(path) is not None,
            may_move_directory=lambda side, old, new: True,
            taken=lambda side, path: self.disks[side].at(path) is not None,
        )

    def states(self) -> list[PathState]:
        seen = {side: dict(self.disks[side].walk()) for side in BOTH}
        source, destination = seen[Side.SOURCE], seen[Side.DESTINATION]
        return [
            PathState(
                path,
                base=row.entry if (row := self.base.get(path)) else None,
                source=self._entry(source.get(path)),
                destination=self._entry(destination.get(path)),
                source_node=self._node(source.get(path)),
                destination_node=self._node(destination.get(path)),
                base_source_node=row.source_node if row else 0,
                base_destination_node=row.destination_node if row else 0,
            )
            for path in sorted({*source, *destination, *self.base})
        ]

    def _entry(self, node: Node | None) -> Entry | None:
        if node is None:
            return None
        return node.entry(with_digest=self._reads_all or self._read.get(self._node(node)) == node.hint)

    def _digest(self, node: Node) -> None:
        self._read[self._node(node)] = node.hint

    def _node(self, node: Node | None) -> int:
        """An id of an inode object that is never used again (the object is kept alive)."""
        if node is None:
            return 0
        self._nodes[id(node)] = node
        return id(node)

    async def _apply(self, plan: Plan) -> None:
        for level, action in plan.actions:
            parked = [one for other, one in plan.actions if other is level and isinstance(one, Move)]
            if isinstance(action, Move):
                if action is parked[0]:
                    await self._batch(parked)
                continue
            await self._batch([action])

    async def _batch(self, actions: list) -> None:  # type: ignore[type-arg]
        for side in BOTH:
            chosen = [action for action in actions if action.side is side]
            if not chosen:
                continue
            steps = tuple(self._step(action) for action in chosen)
            batch = Batch(f"{next(self._batches):06d}", steps, stop=lambda: False)
            for result in await self.trees[side].apply(batch):
                self.log.append(f"  {type(result).__name__} {result.action}")
                if self._rng.random() < self._forgets:
                    self.log.append("  the result is lost in a crash")
                    continue
                self._store(result)

    def _step(self, action: "Put | Move") -> Step:
        target = self.disks[action.side].at(action.path)
        content = None
        if isinstance(action, Put):
            other = self.disks[action.side.other].at(action.origin)
            hint = other.hint if other else None
            content = self.trees[action.side.other].content(action.origin, action.entry, hint)
        return Step(action, target.hint if target else None, content)

    def _store(self, result: Result) -> None:
        """What `index.results` does."""
        if not isinstance(result, Done):
            return
        action = result.action
        if result.entry is None:
            self.base.pop(action.path, None)
        elif isinstance(action, Move):
            self._move_rows(action)
        elif isinstance(action, SetMode) and (row := self.base.get(action.path)) is not None:
            self._set_row(action.path, msgspec.structs.replace(row.entry, mode=result.entry.mode))
        else:
            self._set_row(action.path, result.entry)

    def _move_rows(self, action: Move) -> None:
        moved = {path: row for path, row in self.base.items() if is_within(path, action.path)}
        for path in moved:
            del self.base[path]
        if not action.is_conflict:
            for path, row in moved.items():
                self.base[action.to + path[len(action.path) :]] = row

    def _set_row(self, path: bytes, entry: Entry) -> None:
        ids = [self._node(self.disks[side].at(path)) for side in BOTH]
        self.base[path] = Row(entry, *ids)
