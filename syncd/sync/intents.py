"""What a batch is about to do, written down before it is done: a kill must not make it somebody's edit.

A killed batch may have changed a tree while the index does not know it. If a user then edits the other
side before the next scan, both sides seem to have changed: a conflict that nobody made, or a deleted file
that comes back. So the next opening looks at the targets of such a batch, and stores what is there as done.
The same goes for steps in doubt: what was done when a sync failed, or when a helper died.

The note is on the device before the batch begins: a user may edit and sync a file between a step and its
storing, and a power cut must not leave the step without its note.
"""

import contextlib
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from syncd.core.action import (
    Action,
    Delete,
    Done,
    Failed,
    MakeDirectory,
    Move,
    Put,
    RemoveDirectory,
    Result,
    SetMode,
    TrashRef,
)
from syncd.core.entry import Entry, Kind, Side, StatHint
from syncd.core.error import SyncdError, TransientError
from syncd.core.listing import Child
from syncd.core.reason import Reason
from syncd.index import meta, results
from syncd.index.database import Database
from syncd.index.records import EMPTY
from syncd.tree.port import Step, Tree

KEY = "intent."
HALF_MADE = 0o700
"""What a new directory has of its mode at first, under the umask of a daemon."""

_NEVER_THERE = (Reason.PATH_TOO_LONG, Reason.NAME_NOT_POSSIBLE)


class Intent(msgspec.Struct, frozen=True):
    """One step. `inode`: what a move takes along (0: unknown). `trash`: what it displaced, where that is
    known."""

    action: Action
    inode: int = 0
    trash: TrashRef | None = None


class Found(msgspec.Struct, frozen=True):
    """What is at a target now. `digest` of files, `target` of links; both only where they were asked for."""

    child: Child | None = None
    digest: bytes | None = None
    target: bytes | None = None
    is_half_made: bool = False
    """A new directory that has not got its mode yet."""


def note(db: sqlite3.Connection, batch_id: str, steps: Sequence[Step]) -> None:
    """A batch is about to begin."""
    keep(db, batch_id, intents_of(steps))


def intents_of(steps: Iterable[Step]) -> list[Intent]:
    return [Intent(step.action, step.hint.inode if step.hint else 0) for step in steps]


def forget(db: sqlite3.Connection, batch_id: str, outcome: Sequence[Result]) -> None:
    """The batch is over. What is in doubt stays noted."""
    doubtful = {one.action.path: one for one in outcome if is_doubtful(one)}
    intents = read(meta.get(db, KEY + batch_id)) if doubtful else []
    keep(db, batch_id, told(intents, doubtful))


def told(intents: Iterable[Intent], doubtful: Mapping[bytes, Result]) -> list[Intent]:
    """Those that are in doubt, with what they displaced."""
    return [
        msgspec.structs.replace(intent, trash=one.trash if isinstance(one, Failed) else None)
        for intent in intents
        if (one := doubtful.get(intent.action.path)) is not None
    ]


def is_doubtful(result: Result) -> bool:
    return not isinstance(result, Done) and result.is_in_doubt


async def resolve(
    tree: Tree, batch_id: str, steps: Sequence[Step], outcome: Sequence[Result]
) -> Sequence[Result]:
    """Look at what is in doubt, before anything stands on it and anybody learns what users did since: what
    was done is answered as done. As it was, where the device fails again."""
    doubtful = {one.action.path: one for one in outcome if is_doubtful(one)}
    if not doubtful:
        return outcome
    intents = told(intents_of(steps), doubtful)
    try:
        await tree.persist(ended(batch_id, intents))
    except TransientError:
        return outcome
    done = {one.action.path: one for one in done_of(intents, await look({tree.side: tree}, intents))}
    return [done.get(one.action.path, one) if one.action.path in doubtful else one for one in outcome]


def ended(batch_id: str, intents: Iterable[Intent]) -> str | None:
    """The batch, where it did all that it would, and only its last sync failed."""
    return batch_id if any(one.trash is not None for one in intents) else None


def keep(db: sqlite3.Connection, batch_id: str, intents: Sequence[Intent]) -> None:
    """Only these are still to be looked at."""
    if intents:
        meta.put(db, KEY + batch_id, msgspec.msgpack.encode(intents))
    else:
        meta.clear(db, KEY + batch_id)


def forget_all(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM meta WHERE key GLOB ?", (KEY + "*",))


def unfinished(db: sqlite3.Connection) -> list[tuple[str, list[Intent]]]:
    """The batches that a kill cut short or that left a doubt, oldest first."""
    rows = db.execute("SELECT key, value FROM meta WHERE key GLOB ? ORDER BY key", (KEY + "*",)).fetchall()
    return [(key.removeprefix(KEY), read(value)) for key, value in rows]


def read(value: bytes | None) -> list[Intent]:
    """A note; nothing where it cannot be read."""
    with contextlib.suppress(msgspec.MsgspecError):
        return msgspec.msgpack.decode(value or b"", type=list[Intent])
    return []


async def settle(database: Database, trees: Mapping[Side, Tree], now_ns: int) -> list[Done]:
    """Store what killed batches did, and what was left in doubt; that is returned.

    No batch may be under way, and nothing may have been observed since. What cannot be looked at stays noted.
    Raises TransientError when it cannot be brought to the device, NeedsUser when a root is gone.
    """
    settled: list[Done] = []
    for batch_id, intents in await database.read(unfinished):
        found = await look(trees, intents)
        done = done_of(intents, found)
        unseen = [one for one in intents if any(place not in found for place in places_of(one.action))]
        if not done and len(unseen) == len(intents) > 0:
            continue
        for side in sorted({one.action.side for one in done}):
            await trees[side].persist(ended(batch_id, intents))
        await database.write(store, batch_id, now_ns, done, unseen)
        settled += done
    return settled


def store(
    db: sqlite3.Connection, batch_id: str, now_ns: int, done: Sequence[Done], left: Sequence[Intent]
) -> None:
    """What a batch did, and what of it is still to be looked at."""
    results.record(db, batch_id, now_ns, done)
    keep(db, batch_id, left)


def places_of(action: Action) -> list[tuple[Side, bytes]]:
    """Where it shows whether a step was taken."""
    names = [action.path, action.to] if isinstance(action, Move) else [action.path]
    return [(action.side, name) for name in names]


async def look(trees: Mapping[Side, Tree], intents: Sequence[Intent]) -> dict[tuple[Side, bytes], Found]:
    """Everything that tells whether the steps were taken. What cannot be looked at is left out."""
    found: dict[tuple[Side, bytes], Found] = {}
    for side, tree in trees.items():
        actions = [intent.action for intent in intents if intent.action.side is side]
        paths = [action.path for action in actions]
        paths += [action.to for action in actions if isinstance(action, Move)]
        if not paths:
            continue
        for seen in await tree.look(list(dict.fromkeys(paths))):
            if seen.problem is None or seen.problem in _NEVER_THERE:
                found[side, seen.path] = Found(seen.child)
        puts = [action for action in actions if isinstance(action, Put)]
        files = [put.path for put in puts if is_this_file(put, found.get((side, put.path)))]
        for read in await tree.digest(files) if files else ():
            child = found[side, read.path].child
            if read.problem is not None:
                del found[side, read.path]
            elif child is not None and read.hint == child.hint:
                found[side, read.path] = Found(child, read.digest)
        for action in actions:
            here = found.get((side, action.path))
            if here and isinstance(action, MakeDirectory) and await is_half_made(tree, action.path, here):
                found[side, action.path] = Found(here.child, is_half_made=True)
        for put in puts:
            target = read_target(tree, put, found.get((side, put.path)))
            if target is not None:
                found[side, put.path] = Found(found[side, put.path].child, None, target)
    return found


def is_this_file(put: Put, found: Found | None) -> bool:
    """By its stat: the stamp travels with the content."""
    child = None if found is None else found.child
    return (
        child is not None
        and child.kind is put.entry.kind is Kind.FILE
        and (child.hint.size, child.hint.mtime_ns) == (put.entry.size, put.entry.mtime_ns)
    )


def read_target(tree: Tree, put: Put, found: Found | None) -> bytes | None:
    """Where the link leads that is there now."""
    child = None if found is None else found.child
    if child is None or not child.kind is put.entry.kind is Kind.SYMLINK:
        return None
    there = Entry(Kind.SYMLINK, 0, child.hint.size, child.hint.mtime_ns)
    try:
        return tree.content(put.path, there, child.hint).read_target_blocking()
    except (SyncdError, OSError):
        return None


def done_of(intents: Sequence[Intent], found: Mapping[tuple[Side, bytes], Found]) -> list[Done]:
    """The results of the steps that were taken. The moves of a circle of names count all, or none."""
    done = {
        index: msgspec.structs.replace(result, trash=intent.trash)
        for index, intent in enumerate(intents)
        if (result := judge(intent, found))
    }
    for circle in circles_of(intents):
        if not done.keys() >= set(circle):
            done = {index: result for index, result in done.items() if index not in circle}
    return [done[index] for index in sorted(done)]


def circles_of(intents: Sequence[Intent]) -> list[list[int]]:
    """Numbers of the moves that hand names on in a circle; one of them is parked meanwhile."""
    moves = {
        (action.side, action.to): index
        for index, intent in enumerate(intents)
        if isinstance(action := intent.action, Move)
    }
    circles = []
    for index, intent in enumerate(intents):
        circle: list[int] = []
        at: int | None = index if isinstance(intent.action, Move) and intent.action.parked else None
        while at is not None and at not in circle:
            circle.append(at)
            at = moves.get((intents[at].action.side, intents[at].action.path))
        circles += [circle] if circle else []
    return circles


def judge(intent: Intent, found: Mapping[tuple[Side, bytes], Found]) -> Done | None:
    """The result of one step, if what is there now is what it would have made."""
    action = intent.action
    here = found.get((action.side, action.path))
    if here is None:
        return None
    child = here.child
    match action:
        case Delete() | RemoveDirectory():
            return Done(action, None, None) if child is None else None
        case Put():
            return judge_put(action, here)
        case MakeDirectory():
            if child is None or child.kind is not Kind.DIRECTORY:
                return None
            # As it was made; what differs is a user's.
            mode = HALF_MADE if here.is_half_made else action.entry.mode & 0o777 | 0o700
            return Done(action, msgspec.structs.replace(action.entry, mode=mode), child.hint)
        case SetMode():
            if child is None or child.kind is not action.expect.kind or child.mode != action.mode:
                return None
            hint = unread(child, action.expect)
            return Done(action, msgspec.structs.replace(action.expect, mode=action.mode), hint)
        case Move():
            return judge_move(action, intent.inode, child, found.get((action.side, action.to)))


async def is_half_made(tree: Tree, path: bytes, found: Found) -> bool:
    """Was the run killed between making a directory, for its own eyes, and opening it to others? Then it
    holds nothing, and its stamps are those of its beginning: whoever sets a mode changes the ctime alone."""
    child = found.child
    if child is None or child.kind is not Kind.DIRECTORY or child.mode != HALF_MADE:
        return False
    if child.hint.ctime_ns != child.hint.mtime_ns:
        return False
    pages = [page async for page in tree.scan([path], recursive=False, prune=lambda _: True)]
    return [listing.record for page in pages for listing in page if listing.path == path] == [EMPTY]


def judge_put(action: Put, here: Found) -> Done | None:
    child, entry = here.child, action.entry
    if child is None:
        return None
    if entry.kind is Kind.SYMLINK:
        is_done = here.target is not None and here.target == entry.target
        return Done(action, entry, child.hint) if is_done else None
    if here.digest is None or entry.digest not in (None, here.digest):
        return None
    return Done(action, msgspec.structs.replace(entry, digest=here.digest), child.hint)


def judge_move(action: Move, inode: int, child: Child | None, there: Found | None) -> Done | None:
    arrived = None if there is None else there.child
    if not inode or arrived is None or arrived.hint.inode != inode or arrived.kind is not action.expect.kind:
        return None
    if child is not None and child.hint.inode == inode:
        return None
    return Done(action, None, unread(arrived, action.expect))


def unread(child: Child, expect: Entry) -> StatHint:
    """The hint of a file that a user may have written to since, so that the next observation looks."""
    if child.kind is Kind.DIRECTORY:
        return child.hint
    return StatHint(child.hint.inode, expect.size, expect.mtime_ns, 0)
