"""Packed directory records by directory node: the stat hints that let a scan skip reading.

A record larger than `PATCHED_FROM` is not rewritten for a few children: their rows wait in
`record_patches` and are folded in on reading.
"""

import sqlite3
from collections.abc import Mapping

from syncd.core import listing
from syncd.core.entry import Kind, Side, StatHint
from syncd.core.listing import Child
from syncd.index import nodes
from syncd.index.rows import signed

PATCHED_FROM = 64 * 1024
"""Bytes of a record from which on changes are kept beside it."""

EMPTY = listing.pack(())


def get(db: sqlite3.Connection, node_id: int) -> bytes | None:
    """The record of a directory, None when it was never listed."""
    row = db.execute("SELECT record FROM records WHERE node_id = ?", (node_id,)).fetchone()
    if row is None:
        return None
    return folded(db, node_id, row[0])


def folded(db: sqlite3.Connection, node_id: int, record: bytes) -> bytes:
    """`record` with the waiting patches of its directory."""
    if len(record) < PATCHED_FROM:
        return record
    rows = db.execute("SELECT name, child FROM record_patches WHERE node_id = ?", (node_id,)).fetchall()
    if not rows:
        return record
    return listing.replace(record, {name: _only_child(packed) for name, packed in rows})


def _only_child(packed: bytes | None) -> Child | None:
    return None if packed is None else listing.unpack(packed)[0]


def put(db: sqlite3.Connection, node_id: int, inode: int, record: bytes) -> None:
    """Store a whole record: what the directory held when it was listed."""
    db.execute(
        "INSERT INTO records VALUES (?, ?, ?)"
        " ON CONFLICT (node_id) DO UPDATE SET inode = excluded.inode, record = excluded.record",
        (node_id, signed(inode), record),
    )
    db.execute("DELETE FROM record_patches WHERE node_id = ?", (node_id,))


def set_inode(db: sqlite3.Connection, node_id: int, inode: int) -> None:
    db.execute("UPDATE records SET inode = ? WHERE node_id = ?", (signed(inode), node_id))


def find_directory(db: sqlite3.Connection, side: Side, inode: int) -> int | None:
    """The directory of this tree that was last seen with `inode`."""
    row = db.execute(
        "SELECT r.node_id FROM records r JOIN nodes n USING (node_id) WHERE r.inode = ? AND n.tree = ?",
        (signed(inode), int(side)),
    ).fetchone()
    return None if row is None else int(row[0])


def update_children(db: sqlite3.Connection, node_id: int, changes: Mapping[bytes, Child | None]) -> None:
    """Set or remove (None) single children. Does nothing for a directory that was never listed."""
    row = db.execute("SELECT record FROM records WHERE node_id = ?", (node_id,)).fetchone()
    if row is None or not changes:
        return
    if len(row[0]) < PATCHED_FROM:
        record = listing.replace(row[0], changes)
        db.execute("UPDATE records SET record = ? WHERE node_id = ?", (record, node_id))
        return
    db.executemany(
        "INSERT INTO record_patches VALUES (?, ?, ?)"
        " ON CONFLICT (node_id, name) DO UPDATE SET child = excluded.child",
        [(node_id, name, None if one is None else listing.pack((one,))) for name, one in changes.items()],
    )


def update_child(
    db: sqlite3.Connection, side: Side, directory: bytes, changes: Mapping[bytes, Child | None]
) -> None:
    """`update_children` by the directory's path."""
    node_id = nodes.Directories(db, side).find(directory)
    if node_id is not None:
        update_children(db, node_id, changes)


def child(db: sqlite3.Connection, node_id: int, name: bytes) -> Child | None:
    """One child as it was last observed."""
    record = get(db, node_id)
    return listing.find(record, name) if record else None


def hint(db: sqlite3.Connection, side: Side, path: bytes) -> StatHint | None:
    """The stat hint of a path as it was last observed."""
    directory, _, name = path.rpartition(b"/")
    node_id = nodes.Directories(db, side).find(directory)
    found = child(db, node_id, name) if node_id is not None else None
    return None if found is None else found.hint


def child_of(name: bytes, kind: Kind, mode: int, stat: StatHint) -> Child:
    """A child as a listing would pack it."""
    return Child(name, kind, mode, stat)


def forget_beneath(db: sqlite3.Connection, side: Side, path: bytes) -> None:
    """What could not be listed is compared name by name when it can be again."""
    top = nodes.find(db, side, path)
    stack = [] if top is None or top.entry.kind is not Kind.DIRECTORY else [top.node_id]
    while stack:
        node_id = stack.pop()
        db.execute("DELETE FROM records WHERE node_id = ?", (node_id,))
        db.execute("DELETE FROM record_patches WHERE node_id = ?", (node_id,))
        rows = db.execute("SELECT node_id FROM nodes WHERE parent_id = ? AND kind = 2", (node_id,))
        stack.extend(row[0] for row in rows)
