"""Where to look: the paths that the feed names since a position, and those that wait for another attempt.

A live node's feed row carries no old path, and a directory rename is one row: so the base paths of a named
node, the places it left and the last place of a tombstone are dirty too, whole subtrees where a directory
appeared, moved or vanished. Reads only.
"""

import sqlite3
from collections.abc import Iterable, Iterator

import msgspec

from syncd.core.entry import Kind, Side
from syncd.index import nodes, pending
from syncd.index.base import path_of as base_path_of
from syncd.index.rows import DIRECTORY_CODE, PARKED_PREFIX, order_of

ROWS_LIMIT = 200_000
"""Past as many named paths, everything is looked at instead: cheaper than a list of it."""


class DirtyPath(msgspec.Struct, frozen=True, gc=False):
    """A path to reconcile; `is_deep`: with everything beneath."""

    path: bytes
    is_deep: bool


def dirty(
    db: sqlite3.Connection, after_seq: int, now_ns: int | None = None, retries_all: bool = False
) -> list[DirtyPath]:
    """Paths named by the feed past `after_seq`, and pending ones: those due at `now_ns` (None: none), or all
    with `retries_all`. Sorted depth first, each once, nothing beneath a deep one."""
    places = _Places(db)
    found = _from_feed(db, places, after_seq)
    if found is None:
        return [DirtyPath(b"", is_deep=True)]
    for path in pending.due(db, now_ns, retries_all):
        # What failed may have been a whole directory's rename: nothing else names what is beneath it.
        found[path] = found.get(path, False) or _is_directory(db, path)
    return merge(DirtyPath(path, is_deep) for path, is_deep in found.items())


def _is_directory(db: sqlite3.Connection, path: bytes) -> bool:
    found = (nodes.find(db, side, path) for side in Side)
    return any(node is not None and node.entry.kind is Kind.DIRECTORY for node in found)


def merge(items: Iterable[DirtyPath]) -> list[DirtyPath]:
    """Each path once, sorted depth first; deep ones swallow what is beneath."""
    deepest: dict[bytes, bool] = {}
    for item in items:
        deepest[item.path] = deepest.get(item.path, False) or item.is_deep
    merged: list[DirtyPath] = []
    swallowing: list[bytes] | None = None
    for path in sorted(deepest, key=order_of):
        parts = order_of(path)
        if swallowing is not None and parts[: len(swallowing)] == swallowing:
            continue
        if deepest[path]:
            swallowing = parts
        merged.append(DirtyPath(path, deepest[path]))
    return merged


def _from_feed(db: sqlite3.Connection, places: "_Places", after_seq: int) -> dict[bytes, bool] | None:
    """Path to is-deep; None when there are too many to name."""
    found: dict[bytes, bool] = {}

    def name(path: bytes | None, is_deep: bool) -> None:
        if path is not None:
            found[path] = found.get(path, False) or is_deep

    rows = db.execute(_CHANGED, (after_seq,))
    for node_id, created_seq, deleted, parent_id, last_name, kind, base_id, base_kind in rows:
        is_new = created_seq is None or created_seq > after_seq
        if deleted:
            name(places.of(parent_id, last_name), kind == DIRECTORY_CODE)
        elif parent_id not in places.deep:
            is_deep = kind == DIRECTORY_CODE and is_new
            if is_deep:
                places.deep.add(node_id)
            name(places.of(parent_id, last_name), is_deep)
        elif kind == DIRECTORY_CODE and is_new:
            places.deep.add(node_id)
        if base_id is not None:
            name(base_path_of(db, base_id), DIRECTORY_CODE in (kind, base_kind) and bool(deleted))
        if len(found) > ROWS_LIMIT:
            return None
    for path, is_deep in _vacated(db, places, after_seq):
        name(path, is_deep)
    return found


# One row a changed node: its place now (or last place), and the base row that was made from it.
_CHANGED = """
    SELECT c.node_id, c.created_seq, c.deleted,
           coalesce(n.parent_id, c.last_parent_id), coalesce(n.name, c.last_name),
           coalesce(n.kind, c.last_kind), b.base_id, b.kind
      FROM changes c
      LEFT JOIN nodes n ON n.node_id = c.node_id
      LEFT JOIN base b ON b.base_id = coalesce(
            (SELECT base_id FROM base WHERE source_node = c.node_id AND c.tree = 1),
            (SELECT base_id FROM base WHERE destination_node = c.node_id AND c.tree = 2))
     WHERE c.seq > ?
     ORDER BY c.seq
"""


def _vacated(
    db: sqlite3.Connection, places: "_Places", after_seq: int
) -> Iterator[tuple[bytes | None, bool]]:
    """The places that moved nodes left, where those nodes are now and where the base knows them: whole
    subtrees for directories, since nothing beneath them has a feed row of its own."""
    rows = db.execute(
        "SELECT node_id, tree, parent_id, name, kind FROM vacated WHERE seq > ?", (after_seq,)
    ).fetchall()
    for node_id, tree, parent_id, name, kind in rows:
        is_deep = kind == DIRECTORY_CODE
        yield places.of(parent_id, name), is_deep
        yield places.of_node(node_id), is_deep
        for path in _base_paths(db, tree, node_id):
            yield path, is_deep


def _base_paths(db: sqlite3.Connection, tree: int, node_id: int) -> list[bytes]:
    column = "source_node" if tree == Side.SOURCE else "destination_node"
    rows = db.execute(f"SELECT base_id FROM base WHERE {column} = ?", (node_id,)).fetchall()  # noqa: S608
    return [base_path_of(db, row[0]) for row in rows]


class _Places:
    """Paths of directories, now or when they were last seen; `deep` are those that are looked at whole."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._paths: dict[int, bytes | None] = {1: b"", 2: b""}
        self.deep: set[int] = set()

    def of_node(self, node_id: int) -> bytes | None:
        return self._path(node_id)

    def of(self, parent_id: int, name: bytes) -> bytes | None:
        """The path of a name in a directory; the directory's last one when it is gone. None when it is
        parked or nobody knows."""
        above = self._path(parent_id)
        if above is None or name.startswith(PARKED_PREFIX):
            return None
        return above + b"/" + name if above else name

    def _path(self, node_id: int) -> bytes | None:
        if node_id in self._paths:
            return self._paths[node_id]
        row = self._db.execute("SELECT parent_id, name FROM nodes WHERE node_id = ?", (node_id,)).fetchone()
        if row is None:
            row = self._db.execute(
                "SELECT last_parent_id, last_name FROM changes WHERE node_id = ? AND deleted", (node_id,)
            ).fetchone()
        found = None if row is None or row[0] is None else self.of(row[0], row[1])
        self._paths[node_id] = found
        return found
