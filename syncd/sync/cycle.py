"""One pair's cycle: observe, pull, reconcile, guard, plan, apply, acknowledge.

Observations are stored, work is not: a round reads what the feeds name, plans it, applies the plan and looks
again at what turned out different, until a round finds nothing to do. The cycle decides nothing itself
(`syncd.core` does) and touches no file itself (trees do). Only the pair's task may call it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import msgspec

from syncd.core import path as paths
from syncd.core.action import Done
from syncd.core.entry import Side
from syncd.core.error import NeedsUser, TransientError
from syncd.core.filter import Filter
from syncd.core.guard import Hold, without_destructive
from syncd.core.plan import Plan, destructive, touched
from syncd.core.reason import Reason
from syncd.core.rules import Policy, Rules
from syncd.index import choices, dirty, feed, nodes, pending
from syncd.index.database import Database
from syncd.index.dirty import DirtyPath
from syncd.sync import bookkeeping, intents
from syncd.sync.executor import Executor, Tally, concerns_rules
from syncd.sync.gate import Gate
from syncd.sync.gathering import Gathered, Gatherer, Walk
from syncd.sync.ignoring import IgnoreRules
from syncd.sync.keeping import Keeper
from syncd.sync.observe import Observation, Observer
from syncd.sync.opening import Opened, open_pair, rules_now, rules_of
from syncd.sync.settings import BOTH, SCANNING, Extent, PairSettings, Progress, World
from syncd.sync.together import task_group
from syncd.tree.port import Tree

MAX_ROUNDS = 64
MANY = 5000
"""Changes that one side is ahead of the other while both are scanned, from which on its tree prepares."""
QUIET_ROUNDS = 8
"""Rounds without a finished action before the rest is left to the next cycle."""


class Report(msgspec.Struct):
    """What one call of `synchronise` did and left. Not complete: something changes faster than we look."""

    done: int = 0
    failed: int = 0
    rounds: int = 0
    is_stopped: bool = False
    is_complete: bool = True
    hold: Hold | None = None


def raise_halt(tally: Tally) -> None:
    """Raise TransientError when a side took nothing more: the pair waits, no single path is to blame."""
    for side, fatal in tally.halted.items():
        raise TransientError(fatal.reason, f"{side.word}: {fatal.detail}")


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
        self.rejected_plan = ""
        """The held plan that a person wants to hear no more of."""
        self.world = world
        self._observers = {side: Observer(database, trees[side], side) for side in BOTH}
        self._gatherer = Gatherer(database, trees, world, self.progress)
        self._executor = Executor(database, trees, world, settings, self.progress)
        self._gate = Gate(settings, database, trees, world)
        self._keeper = Keeper(settings, database, trees, world)
        self._ignoring = IgnoreRules(settings, database, trees)
        self._opened = Opened()
        self._position = 0
        self._again: list[DirtyPath] = []
        self._walks: list[Walk] = []
        self._reconciles_all = False
        self._moves_are_stuck = False

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
        self._opened = await open_pair(
            self.settings, self.database, self.trees, adopts=adopts, now_ns=self.world.clock.now_ns()
        )
        # Before the index learns what a killed run did: what that displaced is told by what was known then.
        await self._keeper.leftovers.look_at_known()
        settled: list[Done] = []
        if self._opened.rules_changed or self._opened.is_state_lost:
            await self.database.write(intents.forget_all)
        else:
            settled = await intents.settle(self.database, self.trees, self.world.clock.now_ns())
        await self._ignoring.load()
        if any(concerns_rules(one.action) for one in settled):
            await self._reload_ignore_rules()
        self._position = await self.database.read(feed.acked, bookkeeping.READER)
        # A choice that a killed run was told of and did not carry out: no feed row names its path.
        chosen = await self.database.read(choices.choices)
        self._again, self._walks = [DirtyPath(path, is_deep=False) for path in chosen], []
        self._reconciles_all = self._opened.rules_changed or self._opened.is_first_sync

    async def check_roots(self) -> None:
        """Raise NeedsUser when a root is not the one that was opened."""
        for side in BOTH:
            problem = await self.trees[side].check_root()
            if problem is not None:
                raise NeedsUser(problem.reason, f"{side.word}: {problem.detail}")

    # Observing.

    async def observe_all(self) -> dict[Side, Observation]:
        """Scan both trees whole. Ignore files found on the way take effect before anything is decided."""
        self.progress.phase = SCANNING
        self.progress.done = self.progress.total = 0
        seen: dict[Side, Observation] = {}
        for _ in range(QUIET_ROUNDS):
            await self.check_roots()
            await self._settle_doubts()
            seen = await self._observe_both()
            if not any(one.ignore_files for one in seen.values()):
                break
            if not await self._reload_ignore_rules():
                break
        await self.check_roots()
        if self._opened.rules_changed:
            await self._forget_unequal()
        await self._keeper.leftovers.look_at_all()
        return seen

    async def _observe_both(self) -> dict[Side, Observation]:
        """Both trees at once: each is walked by a process of its own, and they share no rows."""
        seen: dict[Side, Observation] = {}

        async def observe(side: Side) -> None:
            seen[side] = await self._observe(side, (), (b"",), tell=partial(prepare, side))

        def prepare(side: Side, changed: int) -> None:
            other = side.other
            ahead = changed - seen[other].changed if other in seen else 0
            if ahead >= MANY and self.settings.writes(other) and other not in prepared:
                prepared.add(other)
                tasks.start_soon(self.trees[other].prepare, self.trees[side])

        prepared: set[Side] = set()
        async with task_group() as tasks:
            for side in BOTH:
                tasks.start_soon(observe, side)
        return seen

    async def observe(
        self, side: Side, looks: Iterable[bytes], scans: Iterable[bytes], *, recursive: bool = True
    ) -> Observation:
        """Look at single paths and scan subtrees of one side."""
        await self.check_roots()
        if await self._settle_doubts():
            return (await self.observe_all())[side]
        looks, scans = set(looks), set(scans)
        for directory in await self.database.read(bookkeeping.not_empty):
            # Ignored names are not looked at; here they may be what had to go.
            if any(paths.is_within(path, directory) for path in looks):
                scans.add(directory)
                self.look_again(directory)
        seen = await self._observe(side, sorted(looks), sorted(scans), recursive=recursive)
        if seen.ignore_files and await self._reload_ignore_rules():
            seen = (await self.observe_all())[side]
        return seen

    async def _observe(
        self,
        side: Side,
        looks: Sequence[bytes],
        scans: Sequence[bytes],
        *,
        recursive: bool = True,
        tell: Callable[[int], None] = lambda _: None,
    ) -> Observation:
        observer = self._observers[side]
        self._gatherer.forget_ahead()
        seen = await observer.look(self.filter, looks) if looks else Observation()
        if scans:
            listed = await observer.scan(self.filter, scans, recursive=recursive, tell=tell)
            seen = seen.plus(listed)
        now_ns = self.world.clock.now_ns()
        scope = (*scans, *looks)
        if seen.problems or scope:
            gone = await self.database.write(bookkeeping.store_problems, side, seen, scope, now_ns)
            self._again += [DirtyPath(path, is_deep=True) for path in gone]
        return seen

    async def _reload_ignore_rules(self) -> bool:
        """Take changed ignore files into force; True when the rules differ, so that all must be observed."""
        if not await self._ignoring.reload():
            return False
        self.world.publish("rules.changed", None, fingerprint=self.filter.fingerprint)
        self._opened.rules_changed = self._reconciles_all = True
        return True

    async def _forget_unequal(self) -> None:
        """Mode, filter or root changed: base rows whose sides differ follow the first-sync rules."""
        stamp = rules_of(self.settings, self.filter)
        await self.database.write(bookkeeping.forget_unequal, self.filter.is_ignored, stamp)
        self._opened.rules_changed = False
        self._reconciles_all = True

    # Synchronising.

    async def synchronise(self, stop: Callable[[], bool], *, retries_all: bool = False) -> Report:
        """Rounds until nothing is left to do that can be done now. Raises SyncdError."""
        report = Report()
        idle_rounds = 0
        if await self._settle_doubts():
            await self.observe_all()
        await self._keeper.leftovers.look_at_recent()
        async with self._executor.at_work():
            while True:
                report.rounds += 1
                done_before, left_before = report.done, len(self._again)
                is_settled = await self._round(report, stop, retries_all)
                if is_settled or report.is_stopped:
                    break
                is_advancing = report.done > done_before or self._walks or len(self._again) < left_before
                idle_rounds = 0 if is_advancing else idle_rounds + 1
                if (report.rounds >= MAX_ROUNDS and not self._walks) or idle_rounds >= QUIET_ROUNDS:
                    report.is_complete = False
                    break
        await self._finish(report)
        return report

    async def _round(self, report: Report, stop: Callable[[], bool], retries_all: bool) -> bool:
        """One pass from dirty paths to stored results. True when nothing is left for another one."""
        now_ns = self.world.clock.now_ns()
        is_first = report.rounds == 1
        if is_first:
            await self._observe_again(now_ns, retries_all)
        scope = await self._scope(now_ns if is_first else None, retries_all and is_first)
        if not scope and not self._walks:
            self._position = await self.database.read(feed.head)
            if report.rounds == 1:
                self.hold = None
            return True
        is_walking = bool(self._walks)
        try:
            return await self._act(scope, report, stop, now_ns)
        except BaseException:
            self._reconciles_all |= is_walking
            self._break_off(scope)
            raise

    def _break_off(self, scope: Sequence[DirtyPath]) -> None:
        """A round ended in its middle: what it saw is due again, and a walk begins anew."""
        self._reconciles_all |= bool(self._walks)
        self._again += scope
        self._walks = []

    async def _act(
        self, scope: Sequence[DirtyPath], report: Report, stop: Callable[[], bool], now_ns: int
    ) -> bool:
        """Judge the scope (or the next window of a walk) and do what can be done. True as in `_round`."""
        is_resumed = bool(self._walks)
        rules = self._rules(now_ns, await self.database.read(choices.choices))
        if not self._moves_are_stuck and await self._move_directories(scope, rules, report, stop):
            return False
        gathered = await self._gather(scope, rules)
        plan = await self.database.read(bookkeeping.plan_all, gathered.outcomes, rules, self.filter)
        plan = await self._guard(plan, report, now_ns)
        is_whole = bool(scope) and not gathered.is_partial
        judged = scope if is_whole else [DirtyPath(path, is_deep=False) for path in gathered.asked]
        await self._store_verdicts(gathered, plan, judged, report, now_ns)
        await self._keeper.make_room(plan)
        async with task_group() as tasks:
            if gathered.walks:
                tasks.start_soon(self._gatherer.look_ahead, gathered.walks, rules)
            to_come = await self.database.read(bookkeeping.to_come) if gathered.walks else None
            tally = await self._execute(plan, report, stop, to_come=to_come)
            if tally.is_stopped or tally.halted:
                tasks.cancel_scope.cancel()
        if tally.is_stopped or tally.halted:
            self._reconciles_all |= gathered.is_partial
            raise_halt(tally)
            self._break_off(scope)
            return False
        self._position = await self.database.read(feed.head)
        # A window does not end what was begun anew since: rules that changed on the way.
        self._reconciles_all &= is_resumed
        self._moves_are_stuck = False
        self._walks = gathered.walks
        self._again += [DirtyPath(path, is_deep=False) for path in (*gathered.later, *plan.followed)]
        await self._look_again(tally, gathered)
        await self._wait_for_others(plan, tally, now_ns)
        return not self._again and not self._walks and not plan.actions

    async def _wait_for_others(self, plan: Plan, tally: Tally, now_ns: int) -> None:
        """Remember what was blocked by another path; ask again whenever something was done."""
        blocked = [path for path, reason in plan.left if reason is Reason.BLOCKED]
        if blocked:
            await self.database.write(pending.put_blocked, blocked, now_ns)
        unknown = [path for path, reason in plan.left if reason is Reason.UNREADABLE]
        if unknown:
            await self.database.write(bookkeeping.store_unlisted, unknown, now_ns)
        if tally.done:
            waiting = await self.database.read(pending.blocked)
            self._again += [DirtyPath(path, is_deep=False) for path in waiting]

    async def _gather(self, scope: Sequence[DirtyPath], rules: Rules) -> Gathered:
        """Outcomes of the scope, or the next window of a walk that an earlier round began."""
        if self._walks:
            return await self._gatherer.resume(self._walks, rules)
        return await self._gatherer.gather(scope, rules)

    async def _observe_again(self, now_ns: int, retries_all: bool) -> None:
        """Look at what could not be observed the last time and scan it, once it is due: names that cannot be
        synchronised show in a look only."""
        due = await self.database.read(bookkeeping.due_observations, now_ns, retries_all)
        for side in BOTH:
            failed = [path for at, path in due if at is side]
            if failed:
                await self._observe(side, failed, failed)

    async def _scope(self, retry_at_ns: int | None, retries_all: bool) -> list[DirtyPath]:
        """What the feed names since the position, what is due again, what the last round left."""
        if self._walks:
            return []
        if self._reconciles_all:
            self._again = []
            return [DirtyPath(b"", is_deep=True)]
        named = await self.database.read(dirty.dirty, self._position, retry_at_ns, retries_all)
        if retry_at_ns is not None:
            await self.database.write(pending.postpone, retry_at_ns)
            # A hold is judged as a whole: everything that is held is looked at again in every cycle.
            named = await self.database.read(bookkeeping.with_held, named)
        again, self._again = self._again, []
        return dirty.merge([*named, *again]) if again else named

    async def _move_directories(
        self, scope: Sequence[DirtyPath], rules: Rules, report: Report, stop: Callable[[], bool]
    ) -> bool:
        """Renamed directories first, before their subtrees are looked at: one rename instead of n.

        True when there were any; then the round begins anew. When none of them succeeds they are left to
        the plan of the round, so that they keep nothing else waiting.
        """
        deep = [DirtyPath(item.path, is_deep=False) for item in scope if item.is_deep and item.path]
        if len(deep) < 2 or self._opened.is_first_sync:
            return False
        gathered = await self._gatherer.gather(deep, rules)
        plan = await self.database.read(bookkeeping.plan_moves, gathered.outcomes, rules, self.filter)
        if plan is None:
            return False
        tally = await self._execute(plan, report, stop)
        self._moves_are_stuck = not tally.done
        self._again = list(scope)
        raise_halt(tally)
        if not tally.is_stopped:
            await self._look_again(tally, gathered)
        return True

    async def _guard(self, plan: Plan, report: Report, now_ns: int) -> Plan:
        """Hold what a person must see first; the rest goes on.

        The first round sees everything that is held. What a later one would destroy while there is a hold
        is put to it unjudged, and judged with the rest in the next cycle.
        """
        if report.rounds > 1 and report.hold is not None:
            late = destructive(plan, with_overwrites=report.hold.has_overwrites)
            if late:
                await self.database.write(bookkeeping.hold_late, late, report.hold.reason, now_ns)
            return without_destructive(plan, late)
        allowed, hold = await self._gate.review(
            plan, is_first_sync=self._opened.is_first_sync, is_state_lost=self._opened.is_state_lost
        )
        is_news = hold is not None and (self.hold is None or self.hold.plan_id != hold.plan_id)
        if hold is not None and is_news and hold.plan_id != self.rejected_plan:
            self.world.publish("pair.held", None, reason=hold.reason.value, plan_id=hold.plan_id)
        report.hold = self.hold = hold
        return allowed

    async def _store_verdicts(
        self, gathered: Gathered, plan: Plan, scope: Sequence[DirtyPath], report: Report, now_ns: int
    ) -> None:
        unsettled = {outcome.path for outcome in gathered.outcomes} | gathered.unread | set(gathered.later)
        found = await self.database.write(
            bookkeeping.store_verdicts, plan, scope, unsettled, report.hold, now_ns
        )
        for record in found:
            self.world.publish("conflict.recorded", record.path, id=record.id, reason=record.kind.value)

    async def _execute(
        self, plan: Plan, report: Report, stop: Callable[[], bool], *, to_come: Extent | None = None
    ) -> Tally:
        if destructive(plan):
            await self.check_roots()
        tally = await self._executor.run(plan, stop, to_come=to_come)
        self._keeper.leftovers.displaced(tally.displaced)
        report.done += tally.done
        report.failed += tally.failed
        report.is_stopped |= tally.is_stopped
        if tally.done:
            over = await self.database.read(bookkeeping.open_conflicts_at, touched(plan))
            self._again += [DirtyPath(path, is_deep=False) for path in over]
        return tally

    async def _settle_doubts(self) -> bool:
        """What may have been done is looked at before anything else is learnt of the trees. True where that
        has changed the ignore rules, so that all must be observed."""
        done = await intents.settle(self.database, self.trees, self.world.clock.now_ns())
        return any(concerns_rules(one.action) for one in done) and await self._reload_ignore_rules()

    async def _look_again(self, tally: Tally, gathered: Gathered) -> None:
        """Observe what was stale; what was moved is reconciled with all beneath."""
        self._again += [DirtyPath(path, is_deep=True) for path in tally.moved]
        self._again += [DirtyPath(path, is_deep=False) for path in tally.half_done]
        for side in BOTH:
            stale = sorted(tally.stale[side] | gathered.stale[side])
            if not stale:
                continue
            filled = sorted(tally.filled[side])
            seen = await self._observe(side, stale, filled)
            if filled and not seen.changed:
                # What keeps them is not synchronised (or too fresh to be seen): later, not at once.
                now_ns = self.world.clock.now_ns()
                kept = await self.database.write(bookkeeping.store_not_empty, side, filled, now_ns)
                stale = [path for path in stale if path not in kept]
            self._again += [DirtyPath(path, is_deep=False) for path in stale]
        if self._walks:
            # The rounds of a walk read no feed: what came to light by the way is named here.
            self._again += await self.database.read(dirty.dirty, self._position)
            self._position = await self.database.read(feed.head)
        if tally.may_change_rules and await self._reload_ignore_rules():
            await self.observe_all()

    async def _finish(self, report: Report) -> None:
        """Acknowledge the feed up to what was reconciled to the end. A first sync ends when nothing waits."""
        self.progress.phase = ""
        await self._gate.conclude(report.hold)
        if report.is_stopped or self._again or self._walks or self._reconciles_all:
            return
        first_done = self._opened.is_first_sync and report.hold is None
        if await self.database.read(feed.acked, bookkeeping.READER) == self._position and not first_done:
            return
        stamp = rules_of(self.settings, self.filter)
        await self.database.write(
            bookkeeping.acknowledge, self._position, first_done, stamp, self.world.clock.now_ns()
        )
        if first_done:
            self._opened.is_first_sync = self._opened.is_state_lost = False

    def _rules(self, now_ns: int, chosen: Mapping[bytes, Policy]) -> Rules:
        return rules_now(self.settings, self.trees, self._opened, now_ns, chosen)

    # Asked by the pair and by status.

    def look_again(self, path: bytes) -> None:
        """Reconcile `path` in the next cycle, though nothing happened to it."""
        self._again.append(DirtyPath(path, is_deep=False))

    def rules(self, chosen: Mapping[bytes, Policy]) -> Rules:
        """The rules as they are now, for explanations."""
        return self._rules(self.world.clock.now_ns(), chosen)

    async def totals(self) -> dict[Side, tuple[int, int]]:
        """Visible files and bytes of each side."""
        return {side: await self.database.read(nodes.totals, side) for side in BOTH}

    async def expire_trash(self) -> int:
        """Drop what the trash has kept long enough; returns the bytes freed."""
        return await self._keeper.expire()
