"""One pair's cycle: observe, pull, reconcile, guard, plan, apply, acknowledge.

Observations are stored, work is not: a round reads what the feeds name, plans it, applies the plan and looks
again at what turned out different, until a round finds nothing to do. The cycle decides nothing itself
(`syncd.core` does) and touches no file itself (trees do). Only the pair's task may call it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from syncd.core.entry import Side
from syncd.core.error import NeedsUser
from syncd.core.filter import Filter
from syncd.core.guard import Hold
from syncd.core.move import upgrade
from syncd.core.plan import Plan, destructive, make
from syncd.core.reconcile import Outcome, Verb
from syncd.core.rules import Policy, Rules
from syncd.index import feed, nodes, triples
from syncd.index.database import Database
from syncd.index.triples import DirtyPath
from syncd.sync import bookkeeping
from syncd.sync.executor import Executor
from syncd.sync.gate import Gate
from syncd.sync.gathering import Gathered, Gatherer
from syncd.sync.ignoring import IgnoreRules
from syncd.sync.observe import Observation, Observer
from syncd.sync.opening import Opened, open_pair, rules_of
from syncd.sync.settings import BOTH, PairSettings, Progress, World
from syncd.tree.port import Tree

MAX_ROUNDS = 64
QUIET_ROUNDS = 8
"""Rounds without a finished action before the rest is left to the next cycle."""


class Report(msgspec.Struct):
    """What one call of `synchronise` did and left."""

    done: int = 0
    failed: int = 0
    rounds: int = 0
    is_stopped: bool = False
    is_complete: bool = True
    hold: Hold | None = None


class Cycle:
    """The engine of one pair over an open index and two trees.

    Call order: `open`, `observe_all`, `synchronise`; then `observe` + `synchronise` for what watchers,
    timers and users name. `hold` is the plan that waits for approval, `progress` what status shows.
    """

    def __init__(
        self, settings: PairSettings, database: Database, trees: Mapping[Side, Tree], world: World
    ) -> None:
        self.settings = settings
        self.database = database
        self.trees = trees
        self.progress = Progress()
        self.hold: Hold | None = None
        self._world = world
        self._observers = {side: Observer(database, trees[side], side) for side in BOTH}
        self._gatherer = Gatherer(database, trees, world, self.progress)
        self._executor = Executor(database, trees, world, settings, self.progress)
        self._gate = Gate(settings, database, world)
        self._ignoring = IgnoreRules(settings, database, trees)
        self._opened = Opened()
        self._position = 0
        self._again: list[DirtyPath] = []
        self._reconciles_all = False

    @property
    def filter(self) -> Filter:
        """The ignore rules in force."""
        return self._ignoring.filter

    @property
    def is_first_sync(self) -> bool:
        return self._opened.is_first_sync

    async def open(self, *, adopts: bool = False) -> None:
        """Open both roots, recover what a killed run left, load ignore rules and the feed position.

        Raises NeedsUser when a root must not be trusted; the call can be repeated.
        """
        self._opened = await open_pair(self.settings, self.database, self.trees, adopts=adopts)
        await self._ignoring.load()
        self._position = await self.database.read(feed.acked, bookkeeping.READER)
        self._reconciles_all |= self._opened.rules_changed or self._opened.is_first_sync

    async def check_roots(self) -> None:
        """Raise NeedsUser when a root is not the one that was opened."""
        for side in BOTH:
            problem = await self.trees[side].check_root()
            if problem is not None:
                raise NeedsUser(problem.reason, f"{side.word}: {problem.detail}")

    async def observe_all(self) -> list[Observation]:
        """Scan both trees whole. Ignore files found on the way take effect before anything is decided."""
        self.progress.phase = "scanning"
        self.progress.done = self.progress.total = 0
        seen: list[Observation] = []
        for _ in range(QUIET_ROUNDS):
            await self.check_roots()
            seen = [await self._observers[side].scan(self.filter) for side in BOTH]
            if not any(one.ignore_files for one in seen) or not await self._reload_ignore_rules():
                break
        if self._opened.rules_changed:
            await self._forget_unequal()
        return seen

    async def observe(
        self, side: Side, looks: Iterable[bytes], scans: Iterable[bytes], *, recursive: bool = True
    ) -> list[Observation]:
        """Look at single paths and scan subtrees of one side."""
        await self.check_roots()
        seen = []
        single, subtrees = sorted(set(looks)), sorted(set(scans))
        if single:
            seen.append(await self._observers[side].look(self.filter, single))
        if subtrees:
            seen.append(await self._observers[side].scan(self.filter, subtrees, recursive=recursive))
        if any(one.ignore_files for one in seen) and await self._reload_ignore_rules():
            seen += await self.observe_all()
        return seen

    async def _reload_ignore_rules(self) -> bool:
        """Take changed ignore files into force; True when the rules differ, so that all must be observed."""
        if not await self._ignoring.reload():
            return False
        self._world.publish("rules.changed", None, fingerprint=self.filter.fingerprint)
        self._opened.rules_changed = self._reconciles_all = True
        for observer in self._observers.values():
            await observer.forget_records()
        return True

    async def _forget_unequal(self) -> None:
        """Mode, filter or root changed: base rows whose sides differ follow the first-sync rules."""
        stamp = rules_of(self.settings, self.filter)
        await self.database.write(bookkeeping.forget_unequal, self.filter.is_ignored, stamp)
        self._opened.rules_changed = False
        self._reconciles_all = True

    async def synchronise(self, stop: Callable[[], bool], *, retries_all: bool = False) -> Report:
        """Rounds until nothing is left to do that can be done now. Raises SyncdError."""
        report = Report()
        idle_rounds = 0
        while report.rounds < MAX_ROUNDS and idle_rounds < QUIET_ROUNDS:
            report.rounds += 1
            done_before = report.done
            is_settled = await self._round(report, stop, retries_all and report.rounds == 1)
            if is_settled or report.is_stopped:
                break
            idle_rounds = 0 if report.done > done_before else idle_rounds + 1
        else:
            report.is_complete = False
        await self._finish(report)
        return report

    async def _round(self, report: Report, stop: Callable[[], bool], retries_all: bool) -> bool:
        """One pass from dirty paths to stored results. True when nothing is left for another one."""
        now_ns = self._world.clock.now_ns()
        dirty = await self._dirty(now_ns, retries_all)
        head = await self.database.read(feed.head)
        if not dirty:
            self._position = head
            return True
        rules = self._rules(now_ns)
        resolutions = await self.database.read(bookkeeping.resolutions)
        moves_first = await self._plan_directory_moves(dirty, rules, resolutions)
        if moves_first is not None:
            gathered, plan = Gathered(rest=dirty), moves_first
        else:
            gathered = await self._gatherer.gather(dirty, rules, resolutions)
            plan = await self._plan(gathered, rules)
        report.hold = None
        if moves_first is None:
            plan = await self._guard(plan, report)
        return await self._apply(gathered, plan, dirty, report, stop, is_moves_only=moves_first is not None)

    async def _dirty(self, now_ns: int, retries_all: bool) -> list[DirtyPath]:
        """What the feed names since the position, what is open, what the last round left."""
        if self._reconciles_all:
            self._again = []
            return [DirtyPath(b"", is_deep=True)]
        named = await self.database.read(triples.dirty, self._position, now_ns, retries_all)
        if not self._again:
            return named
        again, self._again = self._again, []
        return triples.merge([*named, *again])

    async def _plan_directory_moves(
        self, dirty: Sequence[DirtyPath], rules: Rules, resolutions: Mapping[bytes, Policy]
    ) -> Plan | None:
        """Renamed directories first, before their subtrees are looked at: one rename instead of n."""
        deep = [DirtyPath(item.path, is_deep=False) for item in dirty if item.is_deep and item.path]
        if len(deep) < 2:
            return None
        gathered = await self._gatherer.gather(deep, rules, resolutions)
        found = await self._upgrade(gathered.outcomes, rules)
        if not found.moves:
            return None
        plan = await self.database.read(bookkeeping.plan_with_index, (), found.moves, rules)
        return plan if plan.actions else None

    async def _upgrade(self, outcomes: Sequence[Outcome], rules: Rules):  # type: ignore[no-untyped-def]
        exists = await self.database.read(bookkeeping.existing, [outcome.path for outcome in outcomes])
        movable = await self.database.read(bookkeeping.movable_directories, outcomes, self.filter)
        return upgrade(
            outcomes,
            rules,
            lambda side, path: (side, path) in exists,
            lambda side, old, new: (side, old, new) in movable,
        )

    async def _plan(self, gathered: Gathered, rules: Rules) -> Plan:
        upgraded = await self._upgrade(gathered.outcomes, rules)
        return await self.database.read(bookkeeping.plan_with_index, upgraded.outcomes, upgraded.moves, rules)

    async def _guard(self, plan: Plan, report: Report) -> Plan:
        """Hold what a person must see first; the rest goes on."""
        allowed, hold = await self._gate.review(
            plan, is_first_sync=self._opened.is_first_sync, is_state_lost=self._opened.is_state_lost
        )
        if hold is not None and (self.hold is None or self.hold.plan_id != hold.plan_id):
            self._world.publish("pair.held", None, reason=hold.reason.value, plan_id=hold.plan_id)
        report.hold = self.hold = hold
        return allowed

    async def _apply(
        self,
        gathered: Gathered,
        plan: Plan,
        dirty: Sequence[DirtyPath],
        report: Report,
        stop: Callable[[], bool],
        *,
        is_moves_only: bool,
    ) -> bool:
        """Store verdicts, run the plan, look again at what was stale. True when all is settled."""
        now_ns = self._world.clock.now_ns()
        if not is_moves_only:
            seen = [outcome for outcome in gathered.outcomes]
            reports = await self.database.write(
                bookkeeping.store_verdicts, plan, dirty, seen, report.hold, now_ns
            )
            for path, reason in reports:
                self._world.publish("path.reported", path, reason=reason.value)
        if destructive(plan):
            await self.check_roots()
        tally = await self._executor.run(plan, stop)
        report.done += tally.done
        report.failed += tally.failed
        report.is_stopped |= tally.is_stopped
        if report.is_stopped:
            self._again = list(dirty)
            return False
        self._position = await self.database.read(feed.head)
        self._reconciles_all &= bool(is_moves_only)
        self._again = [*gathered.rest, *(DirtyPath(path, is_deep=True) for path in tally.moved)]
        stale = {side: tally.stale[side] | gathered.stale[side] for side in BOTH}
        for side in BOTH:
            if stale[side]:
                await self._observers[side].look(self.filter, sorted(stale[side]))
                self._again += [DirtyPath(path, is_deep=False) for path in stale[side]]
        return not self._again and not plan.actions

    async def _finish(self, report: Report) -> None:
        """Acknowledge the feed up to what was reconciled to the end; the first sync ends when nothing waits."""
        self.progress.phase = ""
        if report.is_stopped or self._again or self._reconciles_all:
            return
        first_done = self._opened.is_first_sync and report.hold is None
        await self.database.write(bookkeeping.acknowledge, self._position, first_done, self._world.clock.now_ns())
        if first_done:
            self._opened.is_first_sync = self._opened.is_state_lost = False

    def _rules(self, now_ns: int) -> Rules:
        settings = self.settings
        mask = 0o777
        for side in BOTH:
            mask &= self.trees[side].capabilities.mode_mask
        return Rules(
            mode=settings.mode,
            policy=settings.policy,
            initial=settings.initial or Rules.initial_default(),
            is_first_sync=self._opened.is_first_sync and not self._opened.is_state_lost,
            compares_content=settings.compares_content,
            pulls_destination_changes=settings.pulls_destination_changes,
            mode_mask=mask,
            now_ns=now_ns,
            host=settings.host,
        )

    async def totals(self) -> dict[Side, tuple[int, int]]:
        """Visible files and bytes of each side."""
        return {side: await self.database.read(nodes.totals, side) for side in BOTH}


def has_work(outcome: Outcome) -> bool:
    """Does the outcome ask for anything at all?"""
    return outcome.verb not in (Verb.NOTHING, Verb.LEAVE)
