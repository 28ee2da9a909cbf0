"""Turn dirty paths into outcomes: load what three trees say, reconcile, read digests where sizes do not tell.

Nothing is done to a tree here but reading. Memory is bounded by windows of plain additions: a first copy of
any size is planned piece by piece, while everything that deletes, moves or conflicts is seen together.
"""

import contextlib
import sqlite3
from collections.abc import Mapping, Sequence

import msgspec

from syncd.core import path as paths
from syncd.core.entry import Kind, Side
from syncd.core.error import SyncdError
from syncd.core.reason import Reason
from syncd.core.reconcile import Outcome, Verb, reconcile
from syncd.core.rules import Rules
from syncd.core.state import PathState
from syncd.index import nodes, pending, records, triples
from syncd.index.database import Database
from syncd.index.dirty import DirtyPath
from syncd.sync.settings import BOTH, SYNCING, Progress, World
from syncd.tree.port import Digested, Tree

PAGE = 2000
WINDOW = 10_000
"""Plain additions and adoptions that are planned at once."""
DIGESTS = 256
_NOTHING, _PUT, _MKDIR, _COMPARE = Verb.NOTHING, Verb.PUT, Verb.MKDIR, Verb.COMPARE
"""Members of an enumeration cost more to look up than to compare."""


class Walk(msgspec.Struct, frozen=True):
    """A subtree to reconcile, from `after` on (None: from its beginning)."""

    root: bytes
    after: bytes | None = None


class Gathered(msgspec.Struct):
    """Outcomes with work or a verdict worth keeping. `later` and `walks` are what the window left: paths and
    subtrees for the rounds that follow."""

    outcomes: list[Outcome] = msgspec.field(default_factory=list)
    asked: list[bytes] = msgspec.field(default_factory=list)
    """The paths named by the scope that were looked up, whatever is left of what is beneath them."""
    later: list[bytes] = msgspec.field(default_factory=list)
    walks: list[Walk] = msgspec.field(default_factory=list)
    stale: dict[Side, set[bytes]] = msgspec.field(
        default_factory=lambda: {Side.SOURCE: set(), Side.DESTINATION: set()}
    )
    unread: set[bytes] = msgspec.field(default_factory=set)
    """Paths whose content must be read before anything can be said, and could not be read now."""
    unsettled: set[bytes] = msgspec.field(default_factory=set)
    """Directories of one side whose own fate is not an addition: they go, or come instead of something."""
    beneath: list[Outcome] = msgspec.field(default_factory=list)
    """What could be done in any order but for such a directory above: it is decided with that. A window of
    them; `waiting` are the others."""
    waiting: list[bytes] = msgspec.field(default_factory=list)
    additions: int = 0
    seen: int = 0

    @property
    def is_full(self) -> bool:
        """Has the window of plain additions been filled?"""
        return self.additions >= WINDOW

    @property
    def is_partial(self) -> bool:
        """Is anything of the scope left for another round?"""
        return bool(self.walks or self.later)


class Ahead(msgspec.Struct, frozen=True):
    """A window that was gathered before it was asked for."""

    walks: tuple[Walk, ...]
    rules: Rules
    gathered: Gathered

    def is_for(self, walks: Sequence[Walk], rules: Rules) -> bool:
        """Is it the wanted one, under the same rules but for the time?"""
        then = msgspec.structs.replace(self.rules, now_ns=rules.now_ns)
        return self.walks == tuple(walks) and then == rules


class Gatherer:
    """Reads and reconciles for one pair."""

    def __init__(
        self, database: Database, trees: Mapping[Side, Tree], world: World, progress: Progress
    ) -> None:
        self._database = database
        self._trees = trees
        self._world = world
        self._progress = progress
        self._ahead: Ahead | None = None
        self._unsettled: set[bytes] = set()
        """Those of earlier windows that the walks that are left go on beneath."""

    async def gather(self, dirty: Sequence[DirtyPath], rules: Rules) -> Gathered:
        """Outcomes for `dirty` and its ancestors, digests read where they were needed."""
        gathered = Gathered()
        self._unsettled = set()
        shallow = [item.path for item in dirty if not item.is_deep]
        deep = [item.path for item in dirty if item.is_deep]
        asked: set[bytes] = set()
        for start in range(0, len(shallow), PAGE):
            if gathered.is_full:
                gathered.later += shallow[start:]
                break
            wanted = [path for path in with_ancestors(shallow[start : start + PAGE]) if path not in asked]
            asked.update(wanted)
            gathered.asked += shallow[start : start + PAGE]
            await self._reconcile(gathered, wanted, rules)
        if deep:
            wanted = [path for path in with_ancestors(deep, include_self=False) if path not in asked]
            await self._reconcile(gathered, wanted, rules)
        await self._walk_all(gathered, [Walk(root) for root in deep], rules)
        return gathered

    async def resume(self, walks: Sequence[Walk], rules: Rules) -> Gathered:
        """The next window of what an earlier one left."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead.is_for(walks, rules):
            return ahead.gathered
        gathered = Gathered()
        await self._walk_all(gathered, walks, rules)
        return gathered

    async def look_ahead(self, walks: Sequence[Walk], rules: Rules) -> None:
        """Gather the window that `resume` will be asked for, while the one before it is being applied: its
        paths are others. What goes wrong is left to `resume`."""
        gathered = Gathered()
        with contextlib.suppress(SyncdError):
            await self._walk_all(gathered, walks, rules)
            self._ahead = Ahead(tuple(walks), rules, gathered)

    def forget_ahead(self) -> None:
        """Something was observed: what was gathered ahead may be out of date."""
        self._ahead = None

    async def _walk_all(self, gathered: Gathered, walks: Sequence[Walk], rules: Rules) -> None:
        """Subtrees page by page, until the window is full. What deletes, moves or conflicts is then left
        to the end, when all of it is known."""
        left = list(walks)
        gathered.unsettled |= self._unsettled
        while left and not gathered.is_full:
            walk = left.pop(0)
            if walk.after is None:
                gathered.asked.append(walk.root)
            page = await self._database.read(reconcile_walk, walk.root, walk.after, PAGE, rules)
            outcomes, after, count = page
            gathered.seen += count
            if self._progress.phase != SYNCING:
                self._progress.done = gathered.seen
            await self._keep(gathered, outcomes, rules)
            if after is not None:
                left.insert(0, Walk(walk.root, after))
        gathered.walks = left
        self._unsettled = gathered.unsettled & above(left)
        if gathered.walks or gathered.later:
            gathered.later += [one.path for one in gathered.outcomes if not is_independent(one)]
            gathered.later += [one.path for one in gathered.beneath]
            gathered.outcomes = [one for one in gathered.outcomes if is_independent(one)]
        else:
            gathered.outcomes += gathered.beneath
        gathered.later += gathered.waiting

    async def _reconcile(self, gathered: Gathered, wanted: Sequence[bytes], rules: Rules) -> None:
        await self._keep(gathered, await self._database.read(reconcile_paths, wanted, rules), rules)

    async def _keep(self, gathered: Gathered, outcomes: Sequence[Outcome], rules: Rules) -> None:
        wanting = [outcome for outcome in outcomes if outcome.verb is _COMPARE]
        kept = [outcome for outcome in outcomes if outcome.verb is not _COMPARE]
        if wanting:
            await self._digest(wanting, gathered)
            again = [outcome.path for outcome in wanting]
            answers = await self._database.read(reconcile_paths, again, rules)
            kept += [outcome for outcome in answers if outcome.verb is not Verb.COMPARE]
            gathered.unread.update(outcome.path for outcome in answers if outcome.verb is Verb.COMPARE)
        add(gathered, kept)

    async def _digest(self, wanting: Sequence[Outcome], gathered: Gathered) -> None:
        """Read the digests that the comparison lacks and store them where the stat still agrees."""
        for side in BOTH:
            files = [outcome.path for outcome in wanting if lacks_digest(outcome.state, side)]
            for start in range(0, len(files), DIGESTS):
                read = await self._trees[side].digest(files[start : start + DIGESTS])
                gone = await self._gone(side, read)
                told = tuple(one for one in read if one.path not in gone)
                stale = await self._database.write(store_digests, side, told, self._world.clock.now_ns())
                gathered.stale[side].update(stale, gone)

    async def _gone(self, side: Side, read: Sequence[Digested]) -> set[bytes]:
        """What could not be read because it is not there any more: no issue, but another state."""
        failed = [one.path for one in read if one.problem is Reason.CHANGING]
        if not failed:
            return set()
        looks = await self._trees[side].look(failed)
        return {one.path for one in looks if one.child is None and one.problem is None}


def with_ancestors(wanted: Sequence[bytes], *, include_self: bool = True) -> list[bytes]:
    """`wanted` and every directory above, each once, parents first."""
    every: set[bytes] = set(wanted) if include_self else set()
    for path in wanted:
        every.update(paths.ancestors(path))
    every.discard(b"")
    return sorted(every)


def lacks_digest(state: PathState, side: Side) -> bool:
    entry = state.at(side)
    return entry is not None and entry.kind is Kind.FILE and entry.digest is None


def is_independent(outcome: Outcome) -> bool:
    """May it be done in any order, in any round? A plain addition, or what needs no action at all."""
    verb = outcome.verb
    if verb is _PUT or verb is _MKDIR:
        state = outcome.state
        return state.base is None and (state.source is None or state.destination is None)
    return verb in (Verb.ADOPT, Verb.LEAVE)


def add(gathered: Gathered, kept: Sequence[Outcome]) -> None:
    """Take outcomes into the window, parents first."""
    unsettled = gathered.unsettled
    for outcome in kept:
        if not is_independent(outcome):
            gathered.outcomes.append(outcome)
            if is_directory_of_one(outcome.state):
                unsettled.add(outcome.path)
        elif not unsettled or unsettled.isdisjoint(paths.ancestors(outcome.path)):
            gathered.outcomes.append(outcome)
            gathered.additions += 1
        elif len(gathered.beneath) < WINDOW:
            gathered.beneath.append(outcome)
        else:
            gathered.waiting.append(outcome.path)


def is_directory_of_one(state: PathState) -> bool:
    """Is there a directory on one side, and none on the other?"""
    here = [entry is not None and entry.kind is Kind.DIRECTORY for entry in (state.source, state.destination)]
    return here[0] is not here[1]


def above(walks: Sequence[Walk]) -> set[bytes]:
    """Where `walks` go on, and every directory above."""
    ends = {walk.root if walk.after is None else walk.after for walk in walks}
    return ends.union(*map(paths.ancestors, ends))


def reconcile_paths(db: sqlite3.Connection, wanted: Sequence[bytes], rules: Rules) -> list[Outcome]:
    """Outcomes of single paths that are not plainly in sync."""
    return worth_keeping(triples.load(db, wanted), rules)


def reconcile_walk(
    db: sqlite3.Connection,
    root: bytes,
    after: bytes | None,
    limit: int,
    rules: Rules,
) -> tuple[list[Outcome], bytes | None, int]:
    """One page of a subtree: outcomes, where to go on, how many paths were seen."""
    states, rest = triples.walk(db, root, after, limit)
    return worth_keeping(states, rules), rest, len(states)


def worth_keeping(states: Sequence[PathState], rules: Rules) -> list[Outcome]:
    outcomes = (reconcile(state, rules) for state in states)
    return [outcome for outcome in outcomes if outcome.verb is not _NOTHING]


def store_digests(db: sqlite3.Connection, side: Side, read: Sequence[Digested], now_ns: int) -> list[bytes]:
    """Write digests whose stat is still the observed one; the others' paths are returned as stale."""
    hints = records.hints(db, [(side, item.path) for item in read])
    stale = []
    for item in read:
        node = nodes.find(db, side, item.path)
        hint = hints.get((side, item.path))
        if item.problem is not None:
            pending.put(db, item.path, side, item.problem, item.detail, now_ns)
        elif (
            node is None
            or hint is None
            or item.hint is None
            or item.digest is None
            or (hint.inode, hint.size, hint.mtime_ns) != (item.hint.inode, item.hint.size, item.hint.mtime_ns)
        ):
            stale.append(item.path)
        else:
            nodes.learn_digest(db, node.node_id, item.digest)
    return stale
