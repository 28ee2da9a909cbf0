"""The base: what both sides were last known to share, and by which nodes.

A row of a node that moved stays at its base path. A hollow row (kind 0) has no entry: its directory is no
longer shared, but rows beneath it still are. Nothing above the index may be imported.
"""

import sqlite3
from collections.abc import Callable, Sequence

import msgspec

from syncd.core.entry import Entry, Kind, Same, Side, same_entry
from syncd.core.path import join
from syncd.core.path import name as name_of
from syncd.core.path import parent as parent_of
from syncd.index import bulk, nodes
from syncd.index.rows import ENTRY_COLUMNS, FIRST_NAME, HOLLOW_CODE, PARKED_PREFIX, Row, entry_of, values_of

ROOT_ID = 1

BASE_COLUMNS = f"base_id, parent_id, name, source_node, destination_node, unverified, {ENTRY_COLUMNS}"
_SELECT = f"SELECT {BASE_COLUMNS} FROM base"  # noqa: S608
_BY_NAME = f"{_SELECT} WHERE parent_id = ? AND name = ?"
_PAGE = f"{_SELECT} WHERE parent_id = ? AND name > ? ORDER BY name LIMIT ?"
_INTO = f"INTO base (parent_id, name, source_node, destination_node, unverified, {ENTRY_COLUMNS})"
_UPSERT = (
    f"INSERT {_INTO} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
    " ON CONFLICT (parent_id, name) DO UPDATE SET"
    " source_node = excluded.source_node, destination_node = excluded.destination_node,"
    " unverified = excluded.unverified, kind = excluded.kind, mode = excluded.mode, size = excluded.size,"
    " mtime_ns = excluded.mtime_ns, digest = excluded.digest, target = excluded.target"
)
_VALUES = ", ".join(f"v.column{number}" for number in range(5, 11))
_INSERT_BESIDE = {
    # Rows for nodes whose counterparts on the other side are found by the way.
    side: f"INSERT OR FAIL {_INTO} SELECT v.column1, v.column2, {ids}, 0, {_VALUES} FROM ("  # noqa: S608
    for side, ids in ((Side.SOURCE, "v.column3, n.node_id"), (Side.DESTINATION, "n.node_id, v.column3"))
}
_BESIDE = ") v CROSS JOIN nodes n ON n.parent_id = v.column4 AND n.name = v.column2"
_NODE_COLUMN = {Side.SOURCE: "source_node", Side.DESTINATION: "destination_node"}


class Base(msgspec.Struct, frozen=True, gc=False):
    """One row. `entry` None: a hollow row. Node ids 0: none. `unverified`: judged equal unread."""

    base_id: int
    parent_id: int
    name: bytes
    entry: Entry | None
    source_node: int = 0
    destination_node: int = 0
    unverified: bool = False

    def node(self, side: Side) -> int:
        return self.source_node if side is Side.SOURCE else self.destination_node


class BasePaths:
    """Paths to ids of base rows, cached: for one call in the database thread."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._ids: dict[bytes, int | None] = {b"": ROOT_ID}

    def find(self, path: bytes) -> int | None:
        if path in self._ids:
            return self._ids[path]
        above = self.find(parent_of(path))
        found: int | None = None
        if above is not None:
            row = self._db.execute(
                "SELECT base_id FROM base WHERE parent_id = ? AND name = ?", (above, name_of(path))
            ).fetchone()
            found = None if row is None else row[0]
        self._ids[path] = found
        return found

    def ensure(self, path: bytes) -> int:
        """The row of a directory, made hollow where there is none."""
        found = self.find(path)
        if found is None:
            found = int(
                self._db.execute(
                    "INSERT INTO base (parent_id, name, kind) VALUES (?, ?, ?)",
                    (self.ensure(parent_of(path)), name_of(path), HOLLOW_CODE),
                ).lastrowid
                or 0
            )
            self._ids[path] = found
        return found

    def forget(self) -> None:
        """Rows were moved or removed: start anew."""
        self._ids = {b"": ROOT_ID}


def base_of(row: Row) -> Base:
    """The value in a row of `BASE_COLUMNS`."""
    return Base(row[0], row[1] or 0, row[2], entry_of(row, 6), row[3] or 0, row[4] or 0, bool(row[5]))


def find(db: sqlite3.Connection, path: bytes) -> Base | None:
    """The row at a base path, hollow ones included."""
    base_id = BasePaths(db).find(path)
    return None if base_id is None else get(db, base_id)


def get(db: sqlite3.Connection, base_id: int) -> Base | None:
    row = db.execute(f"{_SELECT} WHERE base_id = ?", (base_id,)).fetchone()
    return None if row is None else base_of(row)


def children(db: sqlite3.Connection, base_id: int, after: bytes = FIRST_NAME, limit: int = -1) -> list[Base]:
    """The rows of a directory, sorted by name."""
    return [base_of(row) for row in db.execute(_PAGE, (base_id, after, limit))]


def path_of(db: sqlite3.Connection, base_id: int) -> bytes:
    """The base path of a row that exists."""
    names: list[bytes] = []
    while base_id != ROOT_ID:
        row = db.execute("SELECT parent_id, name FROM base WHERE base_id = ?", (base_id,)).fetchone()
        names.append(row[1])
        base_id = row[0]
    return b"/".join(reversed(names))


def paths_of_node(db: sqlite3.Connection, side: Side, node_id: int) -> list[bytes]:
    """Where the base knows a node of one side (at most one path)."""
    rows = db.execute(f"SELECT base_id FROM base WHERE {_NODE_COLUMN[side]} = ?", (node_id,)).fetchall()  # noqa: S608
    return [path_of(db, row[0]) for row in rows]


def put(
    db: sqlite3.Connection,
    path: bytes,
    entry: Entry,
    source_node: int,
    destination_node: int,
    *,
    unverified: bool = False,
    known: BasePaths | None = None,
) -> None:
    """Set the row at `path`. Rows above that are missing are made hollow. A node that another row claims is
    claimed anew: that row then says that its side has lost it."""
    parent_id = (known or BasePaths(db)).ensure(parent_of(path))
    values = (
        parent_id,
        name_of(path),
        source_node or None,
        destination_node or None,
        int(unverified),
        *values_of(entry),
    )
    try:
        db.execute(_UPSERT, values)
    except sqlite3.IntegrityError:
        release(db, Side.SOURCE, source_node)
        release(db, Side.DESTINATION, destination_node)
        db.execute(_UPSERT, values)


NewRow = tuple[int, bytes, int, Entry, int]
"""id of the base row above, name, node on the changed side, entry, directory node on the other side."""


def put_many(db: sqlite3.Connection, side: Side, rows: Sequence[NewRow]) -> None:
    """`put` for nodes that came to `side`, where the other side holds the same name; others are passed
    over. Raises sqlite3.IntegrityError, half-way, when there is such a row already, or another one claims
    one of the nodes: then the caller puts one by one. (A savepoint to undo the half costs three times the
    rows, and an upsert a copy of every page that it touches.)"""
    bulk.execute(
        db,
        _INSERT_BESIDE[side],
        [
            (parent_id, name, node_id, other_id, *values_of(entry))
            for parent_id, name, node_id, entry, other_id in rows
        ],
        _BESIDE,
    )


def release(db: sqlite3.Connection, side: Side, node_id: int) -> None:
    """No row claims this node any more."""
    column = _NODE_COLUMN[side]
    db.execute(f"UPDATE base SET {column} = NULL WHERE {column} = ?", (node_id,))  # noqa: S608


def link(db: sqlite3.Connection, base_id: int, source_node: int, destination_node: int) -> None:
    """The row was made from these nodes."""
    release(db, Side.SOURCE, source_node)
    release(db, Side.DESTINATION, destination_node)
    db.execute(
        "UPDATE base SET source_node = ?, destination_node = ? WHERE base_id = ?",
        (source_node or None, destination_node or None, base_id),
    )


def move(db: sqlite3.Connection, path: bytes, to: bytes) -> int | None:
    """Move a row with all beneath it to another base path; its id, or None when there is no such row."""
    known = BasePaths(db)
    base_id = known.find(path)
    if base_id is not None and base_id != ROOT_ID and path != to:
        arrive(db, base_id, path, to)
    return base_id


def park(db: sqlite3.Connection, path: bytes) -> int | None:
    """Make room at `path`: the row, with all beneath it, waits for its `arrive`."""
    base_id = BasePaths(db).find(path)
    if base_id is not None:
        values = (ROOT_ID, PARKED_PREFIX + b"%d" % base_id, base_id)
        db.execute("UPDATE base SET parent_id = ?, name = ? WHERE base_id = ?", values)
    return base_id


def arrive(db: sqlite3.Connection, base_id: int, path: bytes, to: bytes) -> None:
    """Give a row that was at `path` its new place."""
    remove(db, to)
    db.execute(
        "UPDATE base SET parent_id = ?, name = ? WHERE base_id = ?",
        (BasePaths(db).ensure(parent_of(to)), name_of(to), base_id),
    )
    prune(db, parent_of(path))


def remove(db: sqlite3.Connection, path: bytes) -> int:
    """Remove a row and everything beneath it; returns how many went."""
    base_id = BasePaths(db).find(path)
    if base_id is None or base_id == ROOT_ID:
        return 0
    removed = 0
    stack = [base_id]
    while stack:
        top = stack.pop()
        stack.extend(row[0] for row in db.execute("SELECT base_id FROM base WHERE parent_id = ?", (top,)))
        removed += db.execute("DELETE FROM base WHERE base_id = ?", (top,)).rowcount
    prune(db, parent_of(path))
    return removed


def forget(db: sqlite3.Connection, path: bytes, known: BasePaths | None = None) -> None:
    """Drop the row at `path` only: while rows lie beneath it (a node that moved away keeps its base path),
    it stays as a hollow one."""
    base_id = (known or BasePaths(db)).find(path)
    if base_id is None or base_id == ROOT_ID:
        return
    hollow(db, base_id)
    if known is not None:
        known.forget()
    prune(db, path)


def hollow(db: sqlite3.Connection, base_id: int) -> None:
    db.execute(
        "UPDATE base SET kind = ?, mode = 0, size = 0, mtime_ns = 0, digest = NULL, target = NULL,"
        " source_node = NULL, destination_node = NULL, unverified = 0 WHERE base_id = ?",
        (HOLLOW_CODE, base_id),
    )


def prune(db: sqlite3.Connection, path: bytes) -> None:
    """Remove hollow rows that carry nothing, from `path` upwards."""
    base_id = BasePaths(db).find(path)
    while base_id is not None and base_id != ROOT_ID:
        row = db.execute(
            "DELETE FROM base WHERE base_id = ? AND kind = ?"
            " AND NOT EXISTS (SELECT 1 FROM base AS beneath WHERE beneath.parent_id = base.base_id)"
            " RETURNING parent_id",
            (base_id, HOLLOW_CODE),
        ).fetchone()
        base_id = None if row is None else row[0]


def count_files(db: sqlite3.Connection) -> int:
    """Files and links that both sides share; kept by triggers."""
    return int(db.execute("SELECT files FROM totals WHERE tree = 3").fetchone()[0])


def drop_unequal(
    db: sqlite3.Connection, is_ignored: Callable[[bytes, bool], bool], mode_mask: int = 0o777
) -> int:
    """Mode, filter or a root changed: drop the rows that are ignored now and those whose two sides are not
    equal, so that these paths follow the first-sync rules. Returns how many were dropped."""
    dropped = 0
    stack: list[tuple[bytes, int, int | None, int | None]] = [(b"", ROOT_ID, 1, 2)]
    while stack:
        above, base_id, source_id, destination_id = stack.pop()
        after = FIRST_NAME
        while rows := children(db, base_id, after, 1000):
            after = rows[-1].name
            for row in rows:
                path = join(above, row.name)
                source, destination = _at(db, source_id, row.name), _at(db, destination_id, row.name)
                if row.entry is not None and not _stays(
                    row, path, _entry(source), _entry(destination), is_ignored, mode_mask
                ):
                    hollow(db, row.base_id)
                    dropped += 1
                stack.append((path, row.base_id, _directory(source), _directory(destination)))
    _prune_all(db)
    return dropped


def _at(db: sqlite3.Connection, parent_id: int | None, name: bytes) -> nodes.Node | None:
    return None if parent_id is None else nodes.child(db, parent_id, name)


def _entry(node: nodes.Node | None) -> Entry | None:
    return None if node is None else node.entry


def _directory(node: nodes.Node | None) -> int | None:
    return node.node_id if node is not None and node.entry.kind is Kind.DIRECTORY else None


def _stays(
    row: Base,
    path: bytes,
    source: Entry | None,
    destination: Entry | None,
    is_ignored: Callable[[bytes, bool], bool],
    mode_mask: int,
) -> bool:
    known = row.entry
    if known is None or source is None or destination is None:
        return False
    if is_ignored(path, Kind.DIRECTORY in (known.kind, source.kind, destination.kind)):
        return False
    same = same_entry(source, destination, mode_mask)
    if same is Same.UNKNOWN:
        # Judged equal unread: the stat that the judgement went by still holds on both sides.
        return row.unverified and source.mtime_ns == destination.mtime_ns == known.mtime_ns
    return same is Same.EQUAL


def _prune_all(db: sqlite3.Connection) -> None:
    while db.execute(
        "DELETE FROM base WHERE kind = ? AND base_id NOT IN"
        " (SELECT parent_id FROM base WHERE parent_id IS NOT NULL)",
        (HOLLOW_CODE,),
    ).rowcount:
        pass
