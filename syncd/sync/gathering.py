"""Turn dirty paths into outcomes: load what three trees say, reconcile, read digests where sizes do not tell.

Nothing is done to a tree here but reading. Memory is bounded by windows of plain additions: a first copy of
any size is planned piece by piece, while everything that deletes, moves or conflicts is seen together.
"""

import sqlite3
from collections.abc import Mapping, Sequence

import msgspec

from syncd.core import path as paths
from syncd.core.entry import Kind, Side
from syncd.core.reconcile import Outcome, Verb, reconcile
from syncd.core.rules import Rules
from syncd.core.state import PathState
from syncd.index import nodes, pending, triples
from syncd.index.database import Database
from syncd.index.dirty import DirtyPath
from syncd.sync.executor import read_hints
from syncd.sync.settings import BOTH, Progress, World
from syncd.tree.port import Digested, Tree

PAGE = 2000
ADDITIONS = 20_000
"""Plain additions that are planned at once."""
DIGESTS = 256


class Gathered(msgspec.Struct):
    """Outcomes with work or a verdict worth keeping. `rest` are plain additions left for later rounds."""

    outcomes: list[Outcome] = msgspec.field(default_factory=list)
    rest: list[bytes] = msgspec.field(default_factory=list)
    stale: dict[Side, set[bytes]] = msgspec.field(
        default_factory=lambda: {Side.SOURCE: set(), Side.DESTINATION: set()}
    )
    unread: set[bytes] = msgspec.field(default_factory=set)
    """Paths whose content must be read before anything can be said, and could not be read now."""
    additions: int = 0
    seen: int = 0


class Gatherer:
    """Reads and reconciles for one pair."""

    def __init__(
        self, database: Database, trees: Mapping[Side, Tree], world: World, progress: Progress
    ) -> None:
        self._database = database
        self._trees = trees
        self._world = world
        self._progress = progress

    async def gather(self, dirty: Sequence[DirtyPath], rules: Rules) -> Gathered:
        """Outcomes for `dirty` and its ancestors, digests read where they were needed."""
        gathered = Gathered()
        shallow = [item.path for item in dirty if not item.is_deep]
        for start in range(0, len(shallow), PAGE):
            chunk = with_ancestors(shallow[start : start + PAGE])
            outcomes = await self._database.read(reconcile_paths, chunk, rules)
            await self._keep(gathered, outcomes, rules)
        deep = [item.path for item in dirty if item.is_deep]
        if deep:
            above = with_ancestors(deep, include_self=False)
            outcomes = await self._database.read(reconcile_paths, above, rules)
            await self._keep(gathered, outcomes, rules)
        for root in deep:
            await self._walk(gathered, root, rules)
        return gathered

    async def _walk(self, gathered: Gathered, root: bytes, rules: Rules) -> None:
        """A whole subtree, page by page; past the window of additions only the rest is collected."""
        after: bytes | None = None
        is_first = True
        while is_first or after is not None:
            is_first = False
            page = await self._database.read(reconcile_walk, root, after, PAGE, rules)
            outcomes, after, count = page
            gathered.seen += count
            self._progress.done = gathered.seen
            await self._keep(gathered, outcomes, rules)

    async def _keep(self, gathered: Gathered, outcomes: Sequence[Outcome], rules: Rules) -> None:
        wanting = [outcome for outcome in outcomes if outcome.verb is Verb.COMPARE]
        kept = [outcome for outcome in outcomes if outcome.verb is not Verb.COMPARE]
        if wanting:
            await self._digest(wanting, gathered)
            again = [outcome.path for outcome in wanting]
            answers = await self._database.read(reconcile_paths, again, rules)
            kept += [outcome for outcome in answers if outcome.verb is not Verb.COMPARE]
            gathered.unread.update(outcome.path for outcome in answers if outcome.verb is Verb.COMPARE)
        for outcome in kept:
            if is_plain_addition(outcome):
                gathered.additions += 1
                if gathered.additions > ADDITIONS:
                    gathered.rest.append(outcome.path)
                    continue
            gathered.outcomes.append(outcome)

    async def _digest(self, wanting: Sequence[Outcome], gathered: Gathered) -> None:
        """Read the digests that the comparison lacks and store them where the stat still agrees."""
        for side in BOTH:
            files = [outcome.path for outcome in wanting if lacks_digest(outcome.state, side)]
            for start in range(0, len(files), DIGESTS):
                read = await self._trees[side].digest(files[start : start + DIGESTS])
                stale = await self._database.write(
                    store_digests, side, tuple(read), self._world.clock.now_ns()
                )
                gathered.stale[side].update(stale)


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


def is_plain_addition(outcome: Outcome) -> bool:
    """Nothing at the target, no base, no conflict: it can be done in any order, in any round."""
    state = outcome.state
    return (
        outcome.verb in (Verb.PUT, Verb.MKDIR)
        and state.base is None
        and (state.source is None or state.destination is None)
    )


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
    return [outcome for outcome in outcomes if outcome.verb is not Verb.NOTHING]


def store_digests(db: sqlite3.Connection, side: Side, read: Sequence[Digested], now_ns: int) -> list[bytes]:
    """Write digests whose stat is still the observed one; the others' paths are returned as stale."""
    hints = read_hints(db, [(side, item.path) for item in read])
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
