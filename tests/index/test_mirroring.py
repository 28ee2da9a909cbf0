"""A mirror made of results alone: storing what was done makes three trees one, whatever the source does."""

import random
import sqlite3

import pytest

from syncd.core.action import Delete, Done, MakeDirectory, Move, Put, RemoveDirectory, Result
from syncd.core.entry import Entry, Kind, Side, StatHint
from syncd.core.listing import unpack
from syncd.core.move import MoveOutcome, in_sequence
from syncd.core.state import PathState
from syncd.index import base, dirty, feed, history, nodes, records, results
from tests.index.kit import (
    DESTINATION,
    DIRECTORY,
    SOURCE,
    base_paths,
    file,
    listed,
    mutate,
    paths_of,
    states,
)

DB = sqlite3.Connection


class Copier:
    """Carries the source to the destination, path by path, as an executor would report it."""

    def __init__(self, db: DB) -> None:
        self.db = db
        self.inodes = 1000
        self.batches = 0

    def hint(self, entry: Entry) -> StatHint:
        self.inodes += 1
        return StatHint(self.inodes, entry.size, entry.mtime_ns, 9)

    def removals(self, found: dict[bytes, PathState]) -> list[Result]:
        done: list[Result] = []
        for state in reversed(list(found.values())):
            there = state.destination
            if there is None or (state.source is not None and state.source.kind is there.kind):
                continue
            if there.kind is Kind.DIRECTORY:
                done.append(Done(RemoveDirectory(DESTINATION, state.path, there), None, None))
            else:
                done.append(Done(Delete(DESTINATION, state.path, there), None, None))
        return done

    def additions(self, found: dict[bytes, PathState]) -> list[Result]:
        done: list[Result] = []
        for state in found.values():
            entry, there = state.source, state.destination
            if entry is None or (there is not None and (entry, entry.kind) == (there, there.kind)):
                continue
            if entry.kind is Kind.DIRECTORY:
                done.append(Done(MakeDirectory(DESTINATION, state.path, entry), entry, self.hint(entry)))
                continue
            expect = there if there is not None and there.kind is entry.kind else None
            action = Put(DESTINATION, state.path, entry, expect, state.path)
            done.append(Done(action, entry, self.hint(entry)))
        return done

    def record(self, done: list[Result]) -> None:
        self.batches += 1
        results.record(self.db, f"batch-{self.batches}", self.batches, done)

    def mirror(self) -> None:
        self.record(self.removals(states(self.db)))
        self.record(self.additions(states(self.db)))
        found = states(self.db)
        results.forget(self.db, [path for path, state in found.items() if state.source is None])
        # Another node with the same content came to a name: nothing to copy, but the row is linked anew.
        results.adopt(
            self.db,
            [
                (path, state.source, False)
                for path, state in found.items()
                if state.source is not None and state.source_node != state.base_source_node
            ],
        )

    def assert_one(self) -> None:
        """Source, destination and base say the same, and each row knows its nodes."""
        found = states(self.db)
        for path, state in found.items():
            assert state.source is not None, path
            assert state.source == state.destination, path
            assert state.base is not None, path
            assert (state.base.kind, state.base.digest) == (state.source.kind, state.source.digest)
            assert state.source_node == state.base_source_node
            assert state.destination_node == state.base_destination_node
        assert set(found) == set(base_paths(self.db))
        assert nodes.totals(self.db, SOURCE) == nodes.totals(self.db, DESTINATION)
        files = sum(state.source is not None and state.source.kind is Kind.FILE for state in found.values())
        assert base.count_files(self.db) == files == nodes.totals(self.db, SOURCE)[0]

    def assert_records(self) -> None:
        """The destination's directory records name what its nodes name: a rescan will find nothing."""
        for node in [nodes.get(self.db, 2), *paths_of(self.db, DESTINATION).values()]:
            if node is not None and node.entry.kind is Kind.DIRECTORY:
                record = records.get(self.db, node.node_id)
                named = [child.name for child in unpack(record)] if record else []
                assert named == [child.name for child in nodes.children(self.db, node.node_id)]


@pytest.fixture
def copier(db: DB) -> Copier:
    for side in Side:
        records.put(db, int(side), int(side), records.EMPTY)
    db.execute("UPDATE nodes SET flags = 1")
    return Copier(db)


@pytest.mark.parametrize("seed", range(30))
def test_the_trees_become_one(copier: Copier, seed: int) -> None:
    db, rng = copier.db, random.Random(seed)
    for _ in range(12):
        for _ in range(rng.randrange(1, 10)):
            mutate(db, rng, SOURCE)
        copier.mirror()
        copier.assert_one()
        copier.assert_records()
    position = feed.head(db)
    assert dirty.dirty(db, position) == []
    feed.ack(db, "cycle", position)
    feed.compact(db, 1, min_age_ns=0)
    assert db.execute("SELECT count(*) FROM changes WHERE deleted").fetchone()[0] == 0
    live = db.execute("SELECT count(*) FROM nodes WHERE parent_id IS NOT NULL").fetchone()[0]
    assert db.execute("SELECT count(*) FROM changes").fetchone()[0] == live


@pytest.mark.parametrize("seed", range(15))
def test_renames_are_followed(copier: Copier, seed: int) -> None:
    """Moves at the source are moved at the destination: ids stay, and the base follows."""
    db, rng = copier.db, random.Random(seed)
    for _ in range(25):
        mutate(db, rng, SOURCE)
    copier.mirror()
    names = sorted(path for path in paths_of(db, SOURCE) if b"/" not in path)
    for i, path in enumerate(names):
        to = b"moved-%d" % i
        source, destination = nodes.find(db, SOURCE, path), nodes.find(db, DESTINATION, path)
        assert source is not None
        assert destination is not None
        nodes.move(db, SOURCE, path, to)
        move = Move(DESTINATION, path, to, destination.entry)
        copier.record([Done(move, destination.entry, copier.hint(destination.entry))])
        after = nodes.find(db, DESTINATION, to)
        assert after is not None
        assert after.node_id == destination.node_id
        row = base.find(db, to)
        assert row is not None
        assert (row.source_node, row.destination_node) == (source.node_id, destination.node_id)
    copier.assert_one()
    copier.assert_records()
    copier.mirror()
    copier.assert_one()


def test_a_copy_in_batches_is_the_same_as_in_one(db: DB, copier: Copier) -> None:
    rng = random.Random(7)
    for _ in range(60):
        mutate(db, rng, SOURCE)
    for result in copier.additions(states(db)):
        copier.record([result])
    copier.assert_one()
    assert len(history.batches(db, 1000)) == copier.batches
    assert all(batch.actions == 1 for batch in history.batches(db, 1000))


def test_a_batch_that_was_recorded_twice_changes_nothing(db: DB, copier: Copier) -> None:
    """A crash between the commit and the caller's note: the same results may come again."""
    rng = random.Random(3)
    for _ in range(40):
        mutate(db, rng, SOURCE)
    done = copier.additions(states(db))
    copier.record(done)
    before, base_before = paths_of(db, DESTINATION), base_paths(db)
    copier.record(done)
    assert paths_of(db, DESTINATION) == before
    assert base_paths(db) == base_before
    copier.assert_one()


@pytest.mark.parametrize("seed", range(40))
def test_names_that_change_places(copier: Copier, seed: int) -> None:
    """Swaps, longer cycles and chains of files and directories, in an order that the core chose: nothing
    beneath them is lost, ids stay, and the three trees agree."""
    db, rng = copier.db, random.Random(seed)
    for directory in (b"x", b"y"):
        nodes.put(db, SOURCE, directory, DIRECTORY)
    names = [b"%s%d" % (rng.choice((b"", b"x/", b"y/")), number) for number in range(rng.randrange(2, 9))]
    for name in names:
        if rng.random() < 0.4:
            nodes.put(db, SOURCE, name, DIRECTORY)
            nodes.put(db, SOURCE, name + b"/inside", file(name.decode()))
        else:
            nodes.put(db, SOURCE, name, file(name.decode()))
    listed(db)
    copier.mirror()
    copier.assert_one()
    before = {path: node.node_id for path, node in paths_of(db, DESTINATION).items()}

    places = [*names, *(b"x/new-%d" % number for number in range(rng.randrange(3)))]
    rng.shuffle(places)
    renames = {old: new for old, new in zip(names, places, strict=False) if old != new}
    moved = {old: nodes.find(db, SOURCE, old) for old in renames}
    for number, node in enumerate(moved.values()):
        assert node is not None
        nodes.move_node(db, node.node_id, 1, b"aside-%d" % number)
    for old, new in renames.items():
        node = moved[old]
        assert node is not None
        nodes.move(db, SOURCE, paths_of_id(db, node.node_id), new)

    moves = [MoveOutcome(DESTINATION, old, new, entry_at(db, new), old) for old, new in renames.items()]
    ordered = in_sequence(moves)
    copier.record([done_of(copier, move) for move in ordered])
    after = {path: node.node_id for path, node in paths_of(db, DESTINATION).items()}
    assert after == {moved_path(path, renames): node_id for path, node_id in before.items()}
    copier.assert_one()
    copier.assert_records()
    assert not db.execute("SELECT 1 FROM nodes WHERE name < x'01' AND parent_id IS NOT NULL").fetchall()
    assert not db.execute("SELECT 1 FROM base WHERE name < x'01' AND parent_id IS NOT NULL").fetchall()


def moved_path(path: bytes, renames: dict[bytes, bytes]) -> bytes:
    """Where a path is after all renames of what it is or lies beneath."""
    for old, new in renames.items():
        if path == old or path.startswith(old + b"/"):
            return new + path[len(old) :]
    return path


def entry_at(db: DB, path: bytes) -> Entry:
    found = nodes.find(db, SOURCE, path)
    assert found is not None
    return found.entry


def paths_of_id(db: DB, node_id: int) -> bytes:
    path = nodes.path_of(db, node_id)
    assert path is not None
    return path


def done_of(copier: Copier, move: MoveOutcome) -> Done:
    action = Move(move.side, move.path, move.to, move.expect, parked=move.is_parked)
    return Done(action, move.expect, copier.hint(move.expect))
