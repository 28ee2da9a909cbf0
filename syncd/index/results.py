"""What was done, written down: nodes, directory records, base and journal, in the caller's transaction.

The base changes only here and in `base.drop_unequal`: from the result of an action, or by `adopt` when both
sides were observed equal. Nothing above the index may be imported.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from syncd.core.action import Delete, Done, MakeDirectory, Move, Put, RemoveDirectory, Result, SetMode
from syncd.core.entry import SIDES, Entry, Kind, Same, Side, StatHint, same_content
from syncd.core.listing import Child
from syncd.core.path import name as name_of
from syncd.core.path import parent as parent_of
from syncd.index import base, bulk, history, nodes, records
from syncd.index.base import BasePaths
from syncd.index.nodes import Directories
from syncd.index.rows import ENTRY_COLUMNS, LEARNT, PARKED_PREFIX, Row, entry_of, values_of


def record(db: sqlite3.Connection, batch_id: str, now_ns: int, results: Sequence[Result]) -> list[bytes]:
    """Store what the `Done` ones among `results` did, in order. `batch_id` names the batch in the journal.

    Returns the paths of what could not be stored, since its directory is not known: it is to be looked at.
    """
    done = [result for result in results if isinstance(result, Done)]
    writer = _Writer(db)
    # Of a cycle of names one leaves before all others and arrives after them, as it did in the tree.
    moves = [one for one in done if type(one.action) is Move and one.action.parked]
    parked = [writer.leave(one) for one in moves]
    for one in done:
        if not writer.store_new(one) and one not in moves:
            writer.flush_new()
            writer.store(one)
    writer.flush_new()
    for left in parked:
        if left is not None:
            writer.arrive(left)
    writer.flush()
    history.add(db, batch_id, now_ns, done)
    return writer.homeless


def adopt(db: sqlite3.Connection, rows: Iterable[tuple[bytes, Entry, bool]]) -> None:
    """(path, entry, unverified): both sides hold `entry`. A path that a side does not hold is passed over."""
    writer = _Writer(db)
    for path, entry, unverified in rows:
        writer.adopt(path, entry, unverified=unverified)


def forget(db: sqlite3.Connection, paths: Iterable[bytes]) -> None:
    """Both sides have lost these paths: the base forgets each (what is beneath is named by itself)."""
    known = BasePaths(db)
    for path in paths:
        base.forget(db, path, known)


_NODE_AT = f"SELECT node_id, {ENTRY_COLUMNS} FROM nodes WHERE parent_id = ? AND name = ?"  # noqa: S608
_INSERT = f"INSERT INTO nodes (tree, parent_id, name, {ENTRY_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608


class _New(NamedTuple):
    """A file that came to a free name: the directory's node, its counterpart's, and its base row."""

    done: Done
    action: Put
    entry: Entry
    name: bytes
    parent_id: int
    other_id: int
    base_id: int


class _Left(NamedTuple):
    """A node on its way from one name to another. `base_id`: its base row, where that is parked, too."""

    action: Move
    node_id: int
    entry: Entry
    hint: StatHint | None
    base_id: int | None


class _Writer:
    """One transaction's worth of results. Paths of directories and children of records are cached."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._directories = {side: Directories(db, side) for side in SIDES}
        self._bases = BasePaths(db)
        self._children: dict[int, dict[bytes, Child | None]] = {}
        self._new: list[_New] = []
        self.homeless: list[bytes] = []
        """Paths in directories that are not known."""
        self._places: dict[tuple[Side, bytes], tuple[int, int, int]] = {}
        """Where `store_new` puts the files of a directory: ids as in `_New`. `store` may make them wrong."""

    def store_new(self, done: Done) -> bool:
        """The many of a first copy, a file that came to a free name: taken down, written by `flush_new`.
        False for everything else."""
        action, entry = done.action, done.entry
        if type(action) is not Put or entry is None or action.expect is not None:
            return False
        if action.origin != action.path or entry.digest is None:
            return False
        side = action.side
        directory, _, name = action.path.rpartition(b"/")
        place = self._places.get((side, directory))
        if place is None:
            parent_id = self._directories[side].find(directory)
            other_id = self._directories[side.other].find(directory)
            if parent_id is None or other_id is None:
                return False
            place = self._places[side, directory] = parent_id, other_id, self._bases.ensure(directory)
        self._new.append(_New(done, action, entry, name, *place))
        return True

    def flush_new(self) -> None:
        """Nodes, base rows, and what the other side's content was found to be, in a few statements. If a
        name was not free after all, or a node is claimed by another row, one by one."""
        for side in SIDES:
            new = [one for one in self._new if one.action.side is side]
            if not new:
                continue
            first = self._last_node_id() + 1
            try:
                tree = int(side)
                bulk.execute(
                    self._db,
                    nodes.INSERT,
                    [(tree, one.parent_id, one.name, *values_of(one.entry)) for one in new],
                )
                base.put_many(
                    self._db,
                    side,
                    [
                        (one.base_id, one.name, first + i, one.entry, one.other_id)
                        for i, one in enumerate(new)
                    ],
                )
            except sqlite3.IntegrityError:
                for one in new:
                    self._put(one.action, one.entry, one.done.hint)
                continue
            bulk.execute(
                self._db,
                _LEARN,
                [(one.entry.digest, one.other_id, one.name, one.entry.size) for one in new],
                _LEARN_AT,
            )
            for one in new:
                self._note_child(one.parent_id, one.name, one.entry, one.done.hint)
        self._new.clear()

    def _last_node_id(self) -> int:
        """Ids are given in sequence: nobody else writes within this transaction."""
        return int(self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'nodes'").fetchone()[0])

    def store(self, done: Done) -> None:
        action, entry = done.action, done.entry
        self._places.clear()
        match action:
            case MakeDirectory() | Put() | SetMode():
                if entry is not None:
                    self._put(action, entry, done.hint)
            case Move():
                left = self.leave(done)
                if left is not None:
                    self.arrive(left)
            case Delete() | RemoveDirectory():
                self._remove(action.side, action.path)

    def flush(self) -> None:
        """Write the directory records, each once."""
        for node_id, changes in self._children.items():
            records.update_children(self._db, node_id, changes)
        self._children.clear()

    def adopt(self, path: bytes, entry: Entry, *, unverified: bool) -> None:
        found = {side: self._at(side, path) for side in SIDES}
        source, destination = found[Side.SOURCE], found[Side.DESTINATION]
        if source is None or destination is None:
            return
        if not unverified:
            self._learn(source, entry)
            self._learn(destination, entry)
        base.put(self._db, path, entry, source[0], destination[0], unverified=unverified, known=self._bases)

    def _put(self, action: MakeDirectory | Put | SetMode, entry: Entry, hint: StatHint | None) -> None:
        side, path = action.side, action.path
        parent_id = self._directories[side].find(parent_of(path))
        if parent_id is None:
            self.homeless.append(path)
            return
        before = self._db.execute(_NODE_AT, (parent_id, name_of(path))).fetchone()
        entry = _with_known_digest(entry, before)
        node_id = self._set_node(side, parent_id, name_of(path), before, entry)
        if isinstance(action, MakeDirectory):
            self._directories[side].add(path, node_id)
            self._list_new(node_id, hint)
        self._note_child(parent_id, name_of(path), entry, hint)
        self._put_base(action, entry, node_id)

    def _set_node(self, side: Side, parent_id: int, name: bytes, before: Row | None, entry: Entry) -> int:
        if before is None:
            values = (int(side), parent_id, name, *values_of(entry))
            return int(self._db.execute(_INSERT, values).lastrowid or 0)
        node_id = int(before[0])
        was = entry_of(before, 1)
        if was is not None and (was.kind is Kind.DIRECTORY) is not (entry.kind is Kind.DIRECTORY):
            nodes.remove_subtree(self._db, node_id)
            self._directories[side].forget()
            return self._set_node(side, parent_id, name, None, entry)
        nodes.set_entry(self._db, node_id, entry)
        return node_id

    def _list_new(self, node_id: int, hint: StatHint | None) -> None:
        """A directory that was just made holds nothing, and that is known."""
        if records.get(self._db, node_id) is None:
            records.put(self._db, node_id, 0 if hint is None else hint.inode, records.EMPTY)
            nodes.set_flags(self._db, node_id, is_listed=True, has_ignored=False)

    def _note_child(self, parent_id: int, name: bytes, entry: Entry, hint: StatHint | None) -> None:
        changes = self._children.setdefault(parent_id, {})
        if hint is None:
            # Unknown: the next observation looks at it.
            hint = StatHint(0, entry.size, entry.mtime_ns, 0)
        changes[name] = Child(name, entry.kind, entry.mode, hint)

    def _put_base(self, action: MakeDirectory | Put | SetMode, entry: Entry, node_id: int) -> None:
        """What `side` holds now is shared with the other side, where that holds the path too."""
        path, side = action.path, action.side
        other = self._at(side.other, path)
        if other is None:
            return
        there = entry_of(other, 1)
        is_from_there = not isinstance(action, Put) or action.origin == path
        if there is None or (not is_from_there and same_content(there, entry) is not Same.EQUAL):
            return
        unverified = False
        if isinstance(action, SetMode):
            known = base.find(self._db, path)
            if known is not None and known.entry is not None:
                unverified = known.unverified
                if same_content(known.entry, entry) is not Same.EQUAL:
                    entry = msgspec.structs.replace(known.entry, mode=entry.mode)
            elif same_content(there, entry) is not Same.EQUAL:
                return
        elif isinstance(action, Put):
            self._learn(other, entry)
        source, destination = (node_id, other[0]) if side is Side.SOURCE else (other[0], node_id)
        base.put(self._db, path, entry, source, destination, unverified=unverified, known=self._bases)

    def leave(self, done: Done) -> _Left | None:
        """Take a node from its old name; a parked one with its base row, since both names will be taken."""
        action = done.action
        if not isinstance(action, Move):
            return None
        side, path = action.side, action.path
        here = self._at(side, path)
        from_id = self._directories[side].find(parent_of(path))
        if here is None or from_id is None:
            return None
        entry = _with_known_digest(done.entry or action.expect, here)
        hint = done.hint or records.hint(self._db, side, path)
        self._children.setdefault(from_id, {})[name_of(path)] = None
        base_id = None
        if action.parked:
            nodes.move_node(self._db, here[0], int(side), PARKED_PREFIX + b"%d" % here[0])
            base_id = base.park(self._db, path)
            self._forget_paths(side)
        return _Left(action, here[0], entry, hint, base_id)

    def arrive(self, left: _Left) -> None:
        """Give a node that has left its new name. The base row follows with its old entry."""
        action, node_id = left.action, left.node_id
        side, path, to = action.side, action.path, action.to
        to_id = self._directories[side].find(parent_of(to))
        if to_id is None:
            self.homeless += [path, to]
            return
        taken = self._at(side, to)
        if taken is not None:
            nodes.remove_subtree(self._db, taken[0])
        nodes.move_node(self._db, node_id, to_id, name_of(to))
        nodes.set_entry(self._db, node_id, left.entry)
        self._note_child(to_id, name_of(to), left.entry, left.hint)
        self._forget_paths(side)
        base_id = left.base_id
        if base_id is not None:
            base.arrive(self._db, base_id, path, to)
        elif action.is_conflict:
            base.remove(self._db, path)
        else:
            base_id = base.move(self._db, path, to)
        if base_id is not None:
            # Claimed by the nodes that are at the new name now.
            other = self._at(side.other, to)
            other_id = 0 if other is None else other[0]
            source, destination = (node_id, other_id) if side is Side.SOURCE else (other_id, node_id)
            base.link(self._db, base_id, source, destination)

    def _forget_paths(self, side: Side) -> None:
        self._directories[side].forget()
        self._bases.forget()

    def _remove(self, side: Side, path: bytes) -> None:
        here = self._at(side, path)
        parent_id = self._directories[side].find(parent_of(path))
        if here is not None:
            nodes.remove_subtree(self._db, here[0])
            if entry_of(here, 1).kind is Kind.DIRECTORY:  # type: ignore[union-attr]
                self._directories[side].forget()
        if parent_id is not None:
            self._children.setdefault(parent_id, {})[name_of(path)] = None
        base.forget(self._db, path, self._bases)

    def _at(self, side: Side, path: bytes) -> Row | None:
        """node id and entry columns of a path."""
        parent_id = self._directories[side].find(parent_of(path))
        if parent_id is None:
            return None
        row: Row | None = self._db.execute(_NODE_AT, (parent_id, name_of(path))).fetchone()
        return row

    def _learn(self, row: Row, entry: Entry) -> None:
        """A file of the same size, unread so far, is known to be this one."""
        was = entry_of(row, 1)
        if was is not None and was.kind is entry.kind and was.size == entry.size and entry.digest is not None:
            nodes.learn_digest(self._db, row[0], entry.digest)


# What is learnt fires no trigger that replaces feed rows: the clause would hold in there, too.
_LEARN = f"UPDATE OR FAIL nodes SET digest = v.column1, flags = flags | {LEARNT} FROM ("  # noqa: S608
_LEARN_AT = (
    ") v WHERE parent_id = v.column2 AND name = v.column3"
    " AND kind = 1 AND size = v.column4 AND digest IS NULL"
)


def _with_known_digest(entry: Entry, before: Row | None) -> Entry:
    """A rename or a chmod does not tell the digest; the content is the same."""
    if before is None or entry.digest is not None or entry.kind is not Kind.FILE:
        return entry
    was = entry_of(before, 1)
    if was is None or was.kind is not Kind.FILE or was.size != entry.size:
        return entry
    return msgspec.structs.replace(entry, digest=was.digest)
