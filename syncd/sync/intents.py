"""What a batch is about to do, written down before it is done: a kill must not make it somebody's edit.

A killed batch may have changed a tree while the index does not know it. If a user then edits the other
side before the next scan, both sides seem to have changed: a conflict that nobody made, or a deleted file
that comes back. So the next opening looks at the targets of such a batch, and stores what is there as done.
The same goes for steps in doubt: what was done when a sync failed, or when a helper died.

The note itself needs no device: users cannot edit during a power cut. What is stored as done does.
"""

import contextlib
import sqlite3
from collections.abc import Mapping, Sequence

import msgspec

from syncd.core.action import (
    Action,
    Delete,
    Done,
    MakeDirectory,
    Move,
    Put,
    RemoveDirectory,
    Result,
    SetMode,
)
from syncd.core.entry import Entry, Kind, Side
from syncd.core.error import SyncdError
from syncd.core.listing import Child
from syncd.index import meta, results
from syncd.index.database import Database
from syncd.tree.port import Step, Tree

KEY = "intent."


class Intent(msgspec.Struct, frozen=True):
    """One step. `inode`: what a move takes along (0: unknown)."""

    action: Action
    inode: int = 0


class Found(msgspec.Struct, frozen=True):
    """What is at a target now. `digest` of files, `target` of links; both only where they were asked for."""

    child: Child | None = None
    digest: bytes | None = None
    target: bytes | None = None


def note(db: sqlite3.Connection, batch_id: str, steps: Sequence[Step]) -> None:
    """A batch is about to begin."""
    intents = [Intent(step.action, step.hint.inode if step.hint else 0) for step in steps]
    meta.put(db, KEY + batch_id, msgspec.msgpack.encode(intents))


def forget(db: sqlite3.Connection, batch_id: str, outcome: Sequence[Result]) -> list[Intent]:
    """The batch is over. What is in doubt stays noted, and is returned."""
    doubtful = {one.action.path for one in outcome if not isinstance(one, Done) and one.is_in_doubt}
    intents = read(meta.get(db, KEY + batch_id)) if doubtful else []
    left = [intent for intent in intents if intent.action.path in doubtful]
    keep(db, batch_id, left)
    return left


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


async def settle(database: Database, trees: Mapping[Side, Tree], now_ns: int) -> None:
    """Store what killed batches did, and what was left in doubt.

    No batch may be under way, and nothing may have been observed since. What cannot be looked at stays noted.
    Raises TransientError when it cannot be brought to the device, NeedsUser when a root is gone.
    """
    for batch_id, intents in await database.read(unfinished):
        await settle_batch(database, trees, batch_id, intents, now_ns)


async def settle_batch(
    database: Database, trees: Mapping[Side, Tree], batch_id: str, intents: Sequence[Intent], now_ns: int
) -> None:
    """As `settle`, for one batch."""
    for side in sorted({intent.action.side for intent in intents}):
        await trees[side].persist()
    found = await look(trees, intents)
    done = done_of(intents, found)
    unseen = [one for one in intents if (one.action.side, one.action.path) not in found]

    def store(db: sqlite3.Connection) -> None:
        results.record(db, batch_id, now_ns, done)
        keep(db, batch_id, unseen)

    await database.write(store)


async def look(trees: Mapping[Side, Tree], intents: Sequence[Intent]) -> dict[tuple[Side, bytes], Found]:
    """Everything that tells whether the steps were taken. What cannot be looked at is left out."""
    found: dict[tuple[Side, bytes], Found] = {}
    for side in Side:
        actions = [intent.action for intent in intents if intent.action.side is side]
        paths = [action.path for action in actions]
        paths += [action.to for action in actions if isinstance(action, Move)]
        if not paths:
            continue
        for seen in await trees[side].look(list(dict.fromkeys(paths))):
            if seen.problem is None:
                found[side, seen.path] = Found(seen.child)
        puts = [action for action in actions if isinstance(action, Put)]
        files = [put.path for put in puts if is_this_file(put, found.get((side, put.path)))]
        for read in await trees[side].digest(files) if files else ():
            child = found[side, read.path].child
            if read.problem is not None:
                del found[side, read.path]
            elif child is not None and read.hint == child.hint:
                found[side, read.path] = Found(child, read.digest)
        for put in puts:
            target = read_target(trees[side], put, found.get((side, put.path)))
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
    """The results of the steps that were taken. A move that found its name free tells of the move that had
    freed it, whatever a user has made of that since; so of a circle all count, or none."""
    done = {index: result for index, intent in enumerate(intents) if (result := judge(intent, found))}
    moves = {
        (action.side, action.path): index
        for index, intent in enumerate(intents)
        if isinstance(action := intent.action, Move)
    }
    told = [result.action for result in done.values()]
    while told:
        action = told.pop()
        before = moves.get((action.side, action.to)) if isinstance(action, Move) else None
        if before is not None and before not in done:
            done[before] = Done(intents[before].action, None, None)
            told.append(intents[before].action)
    return [done[index] for index in sorted(done)]


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
            return Done(action, msgspec.structs.replace(action.entry, mode=child.mode), child.hint)
        case SetMode():
            if child is None or child.kind is not action.expect.kind or child.mode != action.mode:
                return None
            return Done(action, msgspec.structs.replace(action.expect, mode=action.mode), child.hint)
        case Move():
            return judge_move(action, intent.inode, child, found.get((action.side, action.to)))


def judge_put(action: Put, here: Found) -> Done | None:
    child, entry = here.child, action.entry
    if child is None:
        return None
    if entry.kind is Kind.SYMLINK:
        is_done = here.target is not None and here.target == entry.target
        return Done(action, entry, child.hint) if is_done else None
    if here.digest is None or entry.digest not in (None, here.digest):
        return None
    return Done(action, msgspec.structs.replace(entry, mode=child.mode, digest=here.digest), child.hint)


def judge_move(action: Move, inode: int, child: Child | None, there: Found | None) -> Done | None:
    arrived = None if there is None else there.child
    if not inode or arrived is None or arrived.hint.inode != inode or arrived.kind is not action.expect.kind:
        return None
    if child is not None and child.hint.inode == inode:
        return None
    return Done(action, None, arrived.hint)
