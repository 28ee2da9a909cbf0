"""A run is killed between a tree and the index, and users go on: what it did is not taken for an edit."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from syncd.core.action import Delete, Done, MakeDirectory, Move, Put, Result, SetMode
from syncd.core.entry import Entry, Kind, Side, StatHint
from syncd.core.listing import Child
from syncd.core.rules import Policy
from syncd.index import conflicts, meta
from syncd.index.database import Database
from syncd.index.driver import InlineDriver
from syncd.sync import intents
from syncd.sync.cycle import Cycle
from syncd.sync.intents import Found, Intent, done_of
from syncd.sync.settings import BOTH, PairSettings, World
from syncd.tree.memory import MemoryTree
from syncd.tree.memory_disk import Disk
from syncd.tree.memory_user import User
from syncd.tree.port import Batch
from tests.sync.lab import START_NS, Clock

S, D = Side.SOURCE, Side.DESTINATION
FILE = Entry(Kind.FILE, 0o644, 3, 5)
DIRECTORY = Entry(Kind.DIRECTORY, 0o755)


Apply = Callable[[Batch], Coroutine[Any, Any, Sequence[Result]]]


class Killed(BaseException):
    """Nothing of this process runs any more."""


class Desk:
    """Two disks with their users, an index, and daemons that follow one another."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.disks = {side: Disk(Clock()) for side in BOTH}
        self.users = {side: User(self.disks[side]) for side in BOTH}
        self._ids = iter(range(100, 1000))

    def now_ns(self) -> int:
        return START_NS

    def monotonic_ns(self) -> int:
        return 0

    async def run(self, *, dies_after_batch: bool = False) -> None:
        """One daemon, until all is in sync, or until it is killed before it has stored its first batch."""
        world = World(self, lambda: f"id-{next(self._ids)}", lambda *_, **__: None)
        trees = {side: MemoryTree(self.disks[side], side) for side in BOTH}
        cycle = Cycle(PairSettings("pair", policy=Policy.KEEP_BOTH), self.database, trees, world)
        await cycle.open()
        await cycle.observe_all()
        if not dies_after_batch:
            await cycle.synchronise(lambda: False)
            return
        for tree in trees.values():
            tree.apply = dying(tree.apply, self.database)  # type: ignore[assignment, method-assign]
        with pytest.raises((BaseExceptionGroup, Killed)):
            await cycle.synchronise(lambda: False)
        self.database.write = type(self.database).write.__get__(self.database)  # type: ignore[method-assign]

    def tree(self, side: Side) -> dict[bytes, bytes]:
        return {path: node.data for path, node in self.disks[side].walk()}


def dying(apply: Apply, database: Database) -> Apply:
    async def act(batch: Batch) -> Sequence[Result]:
        await apply(batch)

        async def nothing(*_: object, **__: object) -> None:
            """A dead process writes nothing."""

        database.write = nothing  # type: ignore[assignment, method-assign]
        raise Killed

    return act


@pytest.fixture
async def desk() -> Desk:
    return Desk(await Database.open(None, driver=InlineDriver))


async def test_an_edit_after_a_put_that_was_not_stored_is_an_edit(desk: Desk) -> None:
    desk.users[S].write(b"f", b"one")
    await desk.run()
    desk.users[S].write(b"f", b"two")
    await desk.run(dies_after_batch=True)
    desk.users[S].write(b"f", b"three")
    await desk.run()
    assert desk.tree(S) == desk.tree(D) == {b"f": b"three"}
    assert (await desk.database.read(conflicts.counts)).open == 0


async def test_a_new_file_that_was_put_and_deleted_again_stays_deleted(desk: Desk) -> None:
    await desk.run()
    desk.users[S].write(b"f", b"one")
    await desk.run(dies_after_batch=True)
    desk.users[S].delete(b"f")
    await desk.run()
    assert desk.tree(S) == desk.tree(D) == {}


async def test_a_batch_is_noted_for_good_before_it_begins(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut can leave its steps, and what a user then synced, without the note."""
    durable: list[object] = []
    began: list[str] = []
    write, apply = desk.database.write, MemoryTree.apply

    async def written(fn: Callable[..., object], *args: object) -> object:
        result = await write(fn, *args)
        if fn is intents.note:
            durable.append(args[0])
        return result

    async def applied(tree: MemoryTree, batch: Batch) -> Sequence[Result]:
        assert batch.batch_id in durable
        began.append(batch.batch_id)
        return await apply(tree, batch)

    monkeypatch.setattr(desk.database, "write", written)
    monkeypatch.setattr(MemoryTree, "apply", applied)
    desk.users[S].write(b"f", b"one")
    await desk.run()
    assert began
    assert desk.tree(D) == {b"f": b"one"}


async def test_nothing_is_remembered_of_a_batch_that_was_stored(desk: Desk) -> None:
    desk.users[S].write(b"f", b"one")
    await desk.run()
    assert await desk.database.read(intents.unfinished) == []


async def test_a_note_that_cannot_be_read_is_dropped(desk: Desk) -> None:
    await desk.database.write(meta.put, intents.KEY + "torn", b"\xc1")
    await desk.run()
    assert await desk.database.read(meta.get, intents.KEY + "torn") is None


HINT = StatHint(7, 3, 5, 9)


def child(kind: Kind = Kind.FILE, mode: int = 0o644, hint: StatHint = HINT) -> Child:
    return Child(b"f", kind, mode, hint)


@pytest.mark.parametrize(
    ("intent", "found", "is_done"),
    [
        (Intent(Delete(D, b"f", FILE)), {(D, b"f"): Found()}, True),
        (Intent(Delete(D, b"f", FILE)), {(D, b"f"): Found(child())}, False),
        (Intent(Delete(D, b"f", FILE)), {}, False),
        (Intent(Put(D, b"f", FILE, None, b"f")), {(D, b"f"): Found(child(), b"digest")}, True),
        (Intent(Put(D, b"f", FILE, None, b"f")), {(D, b"f"): Found(child())}, False),
        (Intent(Put(D, b"f", FILE, None, b"f")), {(D, b"f"): Found()}, False),
        (Intent(MakeDirectory(D, b"f", DIRECTORY)), {(D, b"f"): Found(child(Kind.DIRECTORY))}, True),
        (Intent(MakeDirectory(D, b"f", DIRECTORY)), {(D, b"f"): Found(child())}, False),
        (Intent(SetMode(D, b"f", 0o755, FILE)), {(D, b"f"): Found(child(mode=0o755))}, True),
        (Intent(SetMode(D, b"f", 0o755, FILE)), {(D, b"f"): Found(child())}, False),
        (Intent(Move(D, b"f", b"g", FILE), 7), {(D, b"f"): Found(), (D, b"g"): Found(child())}, True),
        (Intent(Move(D, b"f", b"g", FILE), 8), {(D, b"f"): Found(), (D, b"g"): Found(child())}, False),
        (Intent(Move(D, b"f", b"g", FILE)), {(D, b"f"): Found(), (D, b"g"): Found(child())}, False),
        (Intent(Move(D, b"f", b"g", FILE), 7), {(D, b"f"): Found(child()), (D, b"g"): Found()}, False),
    ],
)
def test_what_counts_as_done(intent: Intent, found: dict[tuple[Side, bytes], Found], is_done: bool) -> None:
    done = done_of([intent], found)
    assert [type(one) for one in done] == [Done] * is_done


def numbered(inode: int) -> Found:
    return Found(child(hint=StatHint(inode, 3, 5, 9)))


def moves_done(found: dict[bytes, Found], *moves: Intent) -> list[bytes]:
    done = done_of(moves, {(D, path): what for path, what in found.items()})
    return [one.action.path for one in done]


def test_moves_to_free_names_count_one_by_one() -> None:
    moves = Intent(Move(D, b"f", b"g", FILE), 7), Intent(Move(D, b"h", b"i", FILE), 8)
    found = {b"f": Found(), b"g": numbered(7), b"h": numbered(8), b"i": Found()}
    assert moves_done(found, *moves) == [b"f"]


def test_a_move_tells_nothing_of_the_one_that_had_freed_its_name() -> None:
    """A user may have done that."""
    moves = Intent(Move(D, b"f", b"g", FILE), 7), Intent(Move(D, b"h", b"f", FILE), 8)
    for there in (numbered(9), Found()):
        found = {b"h": Found(), b"f": numbered(8), b"g": there}
        assert moves_done(found, *moves) == [b"h"]
    assert moves_done({b"h": numbered(8), b"f": Found(), b"g": numbered(9)}, *moves) == []


def test_a_circle_of_moves_counts_as_a_whole() -> None:
    parked = Intent(Move(D, b"f", b"g", FILE, parked=True), 7)
    moves = parked, Intent(Move(D, b"h", b"f", FILE), 8), Intent(Move(D, b"g", b"h", FILE), 9)
    everything = [b"f", b"h", b"g"]
    assert moves_done({b"f": numbered(8), b"g": numbered(7), b"h": numbered(9)}, *moves) == everything
    assert moves_done({b"f": numbered(1), b"g": numbered(7), b"h": numbered(9)}, *moves) == []
    assert moves_done({b"f": numbered(8), b"g": Found(), b"h": numbered(9)}, *moves) == []
    assert moves_done({b"f": numbered(7), b"g": numbered(9), b"h": numbered(8)}, *moves) == []


async def test_a_link_that_was_put_and_not_stored_is_known(desk: Desk) -> None:
    await desk.run()
    desk.users[S].symlink(b"l", b"to")
    await desk.run(dies_after_batch=True)
    desk.users[S].delete(b"l")
    desk.users[S].symlink(b"l", b"elsewhere")
    await desk.run()
    assert [desk.disks[side].find(b"l").target for side in BOTH] == [b"elsewhere", b"elsewhere"]
    assert (await desk.database.read(conflicts.counts)).open == 0
    desk.users[S].symlink(b"m", b"to")
    await desk.run(dies_after_batch=True)
    desk.users[S].delete(b"m")
    await desk.run()
    assert [desk.disks[side].at(b"m") for side in BOTH] == [None, None]


@pytest.mark.parametrize(
    ("found", "is_done"),
    [
        (None, False),
        (Found(None), False),
        (Found(Child(b"l", Kind.SYMLINK, 0, StatHint(7, 2, 5, 5)), None, b"to"), True),
        (Found(Child(b"l", Kind.SYMLINK, 0, StatHint(7, 2, 5, 5)), None, b"no"), False),
        (Found(Child(b"l", Kind.SYMLINK, 0, StatHint(7, 2, 5, 5))), False),
    ],
)
def test_a_link_is_done_when_it_leads_there(found: Found | None, is_done: bool) -> None:
    put = Put(D, b"l", Entry(Kind.SYMLINK, 0, 2, 5, None, b"to"), None, b"l")
    known = {} if found is None else {(D, b"l"): found}
    assert bool(done_of([Intent(put)], known)) is is_done


async def test_a_file_that_was_moved_and_edited_since_is_read_again(desk: Desk) -> None:
    desk.users[S].write(b"a", b"old", mtime_ns=5)
    await desk.run()
    desk.users[S].rename(b"a", b"b")
    await desk.run(dies_after_batch=True)
    desk.users[D].write(b"b", b"edited since")
    await desk.run()
    assert desk.tree(S) == desk.tree(D) == {b"b": b"edited since"}


async def test_a_file_whose_mode_was_set_and_that_was_edited_since_is_read_again(desk: Desk) -> None:
    desk.users[S].write(b"a", b"old", mtime_ns=5)
    await desk.run()
    desk.users[S].chmod(b"a", 0o755)
    await desk.run(dies_after_batch=True)
    desk.users[D].write(b"a", b"edited since")
    await desk.run()
    assert desk.tree(S) == desk.tree(D) == {b"a": b"edited since"}


async def test_a_mode_that_a_user_set_since_is_carried_over(desk: Desk) -> None:
    desk.users[S].write(b"f", b"one")
    desk.users[S].mkdir(b"d")
    await desk.run(dies_after_batch=True)
    await desk.run(dies_after_batch=True)
    for path in (b"f", b"d"):
        desk.users[D].chmod(path, 0o700)
    await desk.run()
    assert [desk.disks[S].find(path).mode for path in (b"f", b"d")] == [0o700, 0o700]


async def test_a_directory_that_a_user_closed_and_used_since_stays_closed(desk: Desk) -> None:
    desk.users[S].mkdir(b"d")
    await desk.run(dies_after_batch=True)
    desk.users[D].chmod(b"d", 0o700)
    desk.users[D].write(b"d/secret", b"mine")
    made = desk.disks[D].find(b"d")
    made.ctime_ns = made.mtime_ns
    await desk.run()
    assert [desk.disks[side].find(b"d").mode for side in BOTH] == [0o700, 0o700]


async def test_a_directory_that_was_only_half_made_gets_its_mode(desk: Desk) -> None:
    desk.users[S].mkdir(b"d")
    await desk.run(dies_after_batch=True)
    made = desk.disks[D].find(b"d")
    made.mode, made.ctime_ns = 0o700, made.mtime_ns
    await desk.run()
    assert [desk.disks[side].find(b"d").mode for side in BOTH] == [0o755, 0o755]


async def test_a_kill_that_took_the_ignore_rules_away_brings_others_into_force(desk: Desk) -> None:
    desk.users[S].write(b".syncignore", b"*.tmp\n")
    desk.users[S].write(b"x.tmp", b"not yet")
    await desk.run()
    desk.users[S].delete(b".syncignore")
    await desk.run(dies_after_batch=True)
    await desk.run()
    assert desk.tree(D) == {b"x.tmp": b"not yet"}
