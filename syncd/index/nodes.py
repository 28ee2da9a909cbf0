"""The nodes of both trees: what is where, by id and by path.

Plain functions over a connection, run by `Database`. The feed and the totals are kept by triggers, so no
change made here can miss them. Nothing above the index may be imported.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence

import msgspec

from syncd.core.entry import Entry, Kind, Side
from syncd.core.path import is_within, join
from syncd.core.path import name as name_of
from syncd.core.path import parent as parent_of
from syncd.core.state import Damage
from syncd.index import bulk
from syncd.index.rows import (
    DAMAGE,
    DIRECTORY_CODE,
    ENTRY_COLUMNS,
    FILE_CODE,
    FIRST_NAME,
    HAS_IGNORED,
    KIND_OF,
    LEARNT,
    LISTED,
    PARKED_PREFIX,
    RECHECK,
    Row,
    values_of,
)

NODE_COLUMNS = f"node_id, parent_id, name, flags, {ENTRY_COLUMNS}"

_SELECT = f"SELECT {NODE_COLUMNS} FROM nodes"  # noqa: S608
_BY_ID = f"{_SELECT} WHERE node_id = ?"
_BY_NAME = f"{_SELECT} WHERE parent_id = ? AND name = ?"
_PAGE = f"{_SELECT} WHERE parent_id = ? AND name > ? ORDER BY name LIMIT ?"
_DIRECTORY = f"SELECT node_id FROM nodes WHERE parent_id = ? AND name = ? AND kind = {DIRECTORY_CODE}"  # noqa: S608
# The flag LEARNT must go with every ordinary write, or the next digest would miss the feed.
_UPDATE = (
    "UPDATE nodes SET kind = ?, mode = ?, size = ?, mtime_ns = ?, digest = ?, target = ?,"
    " flags = flags & ~4 WHERE node_id = ?"
)
_OVERWRITE = (
    "UPDATE nodes SET kind = ?, mode = ?, size = ?, mtime_ns = ?, digest = ?, target = ?,"
    " flags = flags & ~4 WHERE parent_id = ? AND name = ? RETURNING node_id"
)
"""Not an upsert: its conflict clause would hold inside the triggers, which replace feed rows."""
INSERT = f"INSERT OR FAIL INTO nodes (tree, parent_id, name, {ENTRY_COLUMNS})"
"""This clause does hold inside its trigger, which only inserts feed rows of nodes that are new."""
_INSERT_FILES = "INSERT OR FAIL INTO nodes (tree, parent_id, name, kind, mode, size, mtime_ns)"
_INSERT = f"{INSERT} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Node(msgspec.Struct, frozen=True, gc=False):
    """One row. `parent_id` 0: a root. `is_listed`: absent names in this directory are really absent."""

    node_id: int
    parent_id: int
    name: bytes
    entry: Entry
    is_listed: bool = False
    has_ignored: bool = False


class Directories:
    """Directory paths of one tree to node ids, cached: for one call in the database thread."""

    def __init__(self, db: sqlite3.Connection, side: Side) -> None:
        self._db = db
        self._ids: dict[bytes, int | None] = {b"": int(side)}

    def find(self, path: bytes) -> int | None:
        """The node of a directory; None when there is none."""
        if path in self._ids:
            return self._ids[path]
        above = self.find(parent_of(path))
        found: int | None = None
        if above is not None:
            row = self._db.execute(_DIRECTORY, (above, name_of(path))).fetchone()
            found = None if row is None else row[0]
        self._ids[path] = found
        return found

    def add(self, path: bytes, node_id: int) -> None:
        self._ids[path] = node_id

    def forget(self) -> None:
        """Directories were moved or removed: start anew."""
        root = self._ids[b""]
        self._ids = {b"": root}


def node_of(row: Row) -> Node:
    """The node in a row of `NODE_COLUMNS`."""
    node_id, parent_id, name, flags, kind, mode, size, mtime_ns, digest, target = row
    entry = Entry(_kind(kind), mode, size, mtime_ns, digest, target)
    return Node(node_id, parent_id or 0, name, entry, bool(flags & LISTED), bool(flags & HAS_IGNORED))


def _kind(code: int) -> Kind:
    kind = KIND_OF[code]
    if kind is None:
        raise ValueError("a node without a kind")
    return kind


def get(db: sqlite3.Connection, node_id: int) -> Node | None:
    row = db.execute(_BY_ID, (node_id,)).fetchone()
    return None if row is None else node_of(row)


def child(db: sqlite3.Connection, parent_id: int, name: bytes) -> Node | None:
    row = db.execute(_BY_NAME, (parent_id, name)).fetchone()
    return None if row is None else node_of(row)


def find(db: sqlite3.Connection, side: Side, path: bytes) -> Node | None:
    """The node at `path`, the root for `b""`."""
    node_id = int(side)
    if not path:
        return get(db, node_id)
    *above, last = path.split(b"/")
    for name in above:
        row = db.execute(_DIRECTORY, (node_id, name)).fetchone()
        if row is None:
            return None
        node_id = row[0]
    return child(db, node_id, last)


def path_of(db: sqlite3.Connection, node_id: int) -> bytes | None:
    """Where a node is now; None when it is gone (or parked in the middle of an observation)."""
    names: list[bytes] = []
    while True:
        row = db.execute("SELECT parent_id, name FROM nodes WHERE node_id = ?", (node_id,)).fetchone()
        if row is None:
            return None
        parent_id, name = row
        if parent_id is None:
            return b"/".join(reversed(names))
        if name.startswith(PARKED_PREFIX):
            return None
        names.append(name)
        node_id = parent_id


def has_children(db: sqlite3.Connection, node_id: int) -> bool:
    return db.execute("SELECT 1 FROM nodes WHERE parent_id = ? LIMIT 1", (node_id,)).fetchone() is not None


def children(db: sqlite3.Connection, node_id: int) -> list[Node]:
    """All children of a directory, sorted by name."""
    return list(iterate_children(db, node_id))


def iterate_children(db: sqlite3.Connection, node_id: int, page: int = 1000) -> Iterator[Node]:
    """The children of a directory in pages: memory stays bounded for huge ones."""
    after = FIRST_NAME
    while True:
        rows = db.execute(_PAGE, (node_id, after, page)).fetchall()
        yield from map(node_of, rows)
        if len(rows) < page:
            return
        after = rows[-1][2]


def put(db: sqlite3.Connection, side: Side, path: bytes, entry: Entry) -> int:
    """Create or overwrite the node at `path`. Raises LookupError when its directory is unknown."""
    parent_id = Directories(db, side).find(parent_of(path))
    if parent_id is None or not path:
        raise LookupError(f"no directory for {path!r}")
    return put_child(db, side, parent_id, name_of(path), entry)


def put_child(db: sqlite3.Connection, side: Side, parent_id: int, name: bytes, entry: Entry) -> int:
    values = values_of(entry)
    row = db.execute(_OVERWRITE, (*values, parent_id, name)).fetchone()
    if row is None:
        row = db.execute(f"{_INSERT} RETURNING node_id", (int(side), parent_id, name, *values)).fetchone()
    return int(row[0])


def insert_children(
    db: sqlite3.Connection, side: Side, parent_id: int, rows: Sequence[tuple[bytes, Entry]]
) -> None:
    """Many new names in one directory that holds none of them: the fast way of a first scan."""
    tree = int(side)
    bulk.execute(db, INSERT, [(tree, parent_id, name, *values_of(entry)) for name, entry in rows])


def insert_files(
    db: sqlite3.Connection, side: Side, parent_id: int, rows: Sequence[tuple[bytes, int, int, int]]
) -> None:
    """The same for files of which a listing told name, mode, size and mtime."""
    tree = int(side)
    bulk.execute(
        db,
        _INSERT_FILES,
        [(tree, parent_id, name, FILE_CODE, mode, size, mtime) for name, mode, size, mtime in rows],
    )


def mark_damage(db: sqlite3.Connection, node_id: int, damage: Damage) -> None:
    """What a crash did to the file; the last judgement counts."""
    db.execute(
        "UPDATE nodes SET flags = flags & ~:all | :new WHERE node_id = :node AND flags & :all IS NOT :new",
        {"all": DAMAGE, "new": int(damage), "node": node_id},
    )


def set_entry(db: sqlite3.Connection, node_id: int, entry: Entry) -> None:
    """What is at this node now. The feed hears of it when a synchronised field changed."""
    db.execute(_UPDATE, (*values_of(entry), node_id))


def learn_digest(db: sqlite3.Connection, node_id: int, digest: bytes) -> None:
    """The digest of the very content that the feed announced: no change, so no feed row."""
    db.execute(
        f"UPDATE nodes SET digest = ?, flags = flags | {LEARNT} WHERE node_id = ? AND digest IS NULL",  # noqa: S608
        (digest, node_id),
    )


def set_flags(db: sqlite3.Connection, node_id: int, *, is_listed: bool, has_ignored: bool) -> None:
    flags = LISTED * is_listed | HAS_IGNORED * has_ignored
    db.execute(
        "UPDATE nodes SET flags = flags & ~:all | :new WHERE node_id = :node AND flags & :all IS NOT :new",
        {"all": LISTED | HAS_IGNORED | RECHECK, "new": flags, "node": node_id},
    )


def move(db: sqlite3.Connection, side: Side, path: bytes, to: bytes) -> None:
    """Re-parent or rename the node at `path`: one row. Raises LookupError without it or a directory for
    `to`, sqlite3.IntegrityError when `to` is taken or lies beneath `path`."""
    node = find(db, side, path)
    parent_id = Directories(db, side).find(parent_of(to))
    if node is None or not path or not to or parent_id is None:
        raise LookupError(f"cannot move {path!r} to {to!r}")
    move_node(db, node.node_id, parent_id, name_of(to))


def move_node(db: sqlite3.Connection, node_id: int, parent_id: int, name: bytes) -> None:
    db.execute("UPDATE nodes SET parent_id = ?, name = ? WHERE node_id = ?", (parent_id, name, node_id))


def remove(db: sqlite3.Connection, side: Side, path: bytes) -> int:
    """Remove what is at `path` with everything beneath; returns how many nodes went."""
    node = find(db, side, path)
    return 0 if node is None or not path else remove_subtree(db, node.node_id)


def remove_subtree(db: sqlite3.Connection, node_id: int, limit: int | None = None) -> int:
    """Remove a node and its descendants, children first (a tombstone can name its place as long as its
    directory's is kept). Stops after about `limit` nodes, the node itself then still being there."""
    removed = 0
    stack = [node_id]
    while stack:
        top = stack[-1]
        inner = [row[0] for row in db.execute(_INNER, (top,))]
        if inner:
            stack.extend(inner)
            continue
        stack.pop()
        removed += db.execute("DELETE FROM nodes WHERE parent_id = ?", (top,)).rowcount
        removed += db.execute("DELETE FROM nodes WHERE node_id = ?", (top,)).rowcount
        if limit is not None and removed >= limit and stack:
            break
    return removed


_INNER = f"SELECT node_id FROM nodes WHERE parent_id = ? AND kind = {DIRECTORY_CODE} LIMIT 100"  # noqa: S608


def exists(db: sqlite3.Connection, node_id: int) -> bool:
    return db.execute("SELECT 1 FROM nodes WHERE node_id = ?", (node_id,)).fetchone() is not None


def walk(
    db: sqlite3.Connection, side: Side, path: bytes, visit: Callable[[bytes, Node], bool | None]
) -> None:
    """Visit everything beneath `path`, depth first and sorted; False from `visit` leaves a subtree out."""
    top = find(db, side, path)
    if top is None:
        return
    stack = [(path, iterate_children(db, top.node_id))]
    while stack:
        above, rest = stack[-1]
        node = next(rest, None)
        if node is None:
            stack.pop()
            continue
        here = join(above, node.name)
        if visit(here, node) is not False and node.entry.kind is Kind.DIRECTORY:
            stack.append((here, iterate_children(db, node.node_id)))


def unlisted_beneath(db: sqlite3.Connection, side: Side, tops: Sequence[bytes], limit: int) -> list[bytes]:
    """Directories within `tops` that nobody has listed yet."""
    rows = db.execute(
        f"SELECT node_id FROM nodes WHERE tree = ? AND kind = 2 AND flags & {LISTED} = 0 LIMIT ?",  # noqa: S608
        (int(side), limit),
    ).fetchall()
    found = (path_of(db, row[0]) for row in rows)
    return sorted(path for path in found if path and any(is_within(path, top) for top in tops))


def directories_with(db: sqlite3.Connection, side: Side, name: bytes) -> list[bytes]:
    """The directories that hold a file called `name` (reads every node: for rare questions)."""
    rows = db.execute(
        "SELECT parent_id FROM nodes WHERE name = ? AND tree = ? AND kind = 1", (name, int(side))
    ).fetchall()
    found = (path_of(db, row[0]) for row in rows)
    return sorted(path for path in found if path is not None)


def totals(db: sqlite3.Connection, side: Side) -> tuple[int, int]:
    """Visible files (links included) and their bytes; kept by triggers."""
    files, size = db.execute("SELECT files, bytes FROM totals WHERE tree = ?", (int(side),)).fetchone()
    return files, size
