"""Packed directory records by directory node: the stat hints that let a scan skip reading.

A record larger than `PATCHED_FROM` is not rewritten for a few children: their rows wait in
`record_patches` and are folded in on reading.
"""

import sqlite3
from collections.abc import Collection, Iterable, Mapping

from syncd.core import listing
from syncd.core.entry import Kind, Side, StatHint
from syncd.core.listing import Child
from syncd.core.path import join
from syncd.index import nodes
from syncd.index.rows import RECHECK, signed

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
    # One by one, each change would move the rest of a huge record.
    children = {child.name: child for child in listing.unpack(record)}
    for name, packed in rows:
        child = _only_child(packed)
        if child is None:
            children.pop(name, None)
        else:
            children[name] = child
    return listing.pack([children[name] for name in sorted(children)])


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
    return children_named(db, node_id, (name,)).get(name)


def children_named(db: sqlite3.Connection, node_id: int, names: Collection[bytes]) -> dict[bytes, Child]:
    """Some children as they were last observed, without unpacking the others."""
    row = db.execute("SELECT record FROM records WHERE node_id = ?", (node_id,)).fetchone()
    if row is None:
        return {}
    if len(row[0]) < PATCHED_FROM:
        return listing.find_many(row[0], names)
    found = listing.find_many(row[0], names)
    for name in names:
        patch = db.execute(
            "SELECT child FROM record_patches WHERE node_id = ? AND name = ?", (node_id, name)
        ).fetchone()
        if patch is not None:
            child = _only_child(patch[0])
            found.pop(name, None)
            if child is not None:
                found[name] = child
    return found


def doubt_recent(
    db: sqlite3.Connection, side: Side, within_ns: int, now_ns: int, *, has_ctimes: bool = True
) -> None:
    """Doubt whatever changed within this time before the last change in the tree, or was too fresh to have a
    ctime that counts. Stamps past `now_ns` (a clock was set back) tell nothing, nor do any of a file system
    without ctimes of its own."""
    rows = db.execute("SELECT r.* FROM records r JOIN nodes n USING (node_id) WHERE n.tree = ?", (int(side),))
    spans = {node_id: _span(db, node_id, record) for node_id, _, record in rows}
    limit = min(max((latest for _, latest in spans.values()), default=0), now_ns) - within_ns
    for node_id, (earliest, latest) in spans.items():
        if latest < 0 or (earliest and latest < limit):
            continue
        children = listing.unpack(get(db, node_id) or EMPTY)
        doubted = [
            listing.doubt(one, knows_ctime=has_ctimes and listing.ctime_of(one) <= now_ns)
            if _is_recent(one, limit)
            else one
            for one in children
        ]
        db.execute("UPDATE records SET record = ? WHERE node_id = ?", (listing.pack(doubted), node_id))
        db.execute("DELETE FROM record_patches WHERE node_id = ?", (node_id,))


def _is_recent(child: Child, limit_ns: int) -> bool:
    return listing.ctime_of(child) >= limit_ns or not listing.ctime_of(child)


def _span(db: sqlite3.Connection, node_id: int, record: bytes) -> tuple[int, int]:
    """The earliest and latest ctime in it; -1 where it is empty, or no record (a scan replaces it)."""
    try:
        stamps = [listing.ctime_of(one) for one in listing.unpack(folded(db, node_id, record))]
    except ValueError:
        stamps = []
    return min(stamps, default=-1), max(stamps, default=-1)


def hints(db: sqlite3.Connection, wanted: Iterable[tuple[Side, bytes]]) -> dict[tuple[Side, bytes], StatHint]:
    """Stat hints of many paths; each directory's record is read once."""
    by_directory: dict[tuple[Side, bytes], set[bytes]] = {}
    for side, path in wanted:
        directory, _, name = path.rpartition(b"/")
        by_directory.setdefault((side, directory), set()).add(name)
    places = {side: nodes.Directories(db, side) for side in Side}
    found: dict[tuple[Side, bytes], StatHint] = {}
    for (side, directory), names in by_directory.items():
        node_id = places[side].find(directory)
        if node_id is not None:
            for name, child in children_named(db, node_id, names).items():
                found[side, join(directory, name)] = child.hint
    return found


def hint(db: sqlite3.Connection, side: Side, path: bytes) -> StatHint | None:
    """The stat hint of a path as it was last observed."""
    return hints(db, [(side, path)]).get((side, path))


def recheck_beneath(db: sqlite3.Connection, side: Side, path: bytes) -> None:
    """What could not be listed is compared name by name when it can be again."""
    top = nodes.find(db, side, path)
    stack = [] if top is None or top.entry.kind is not Kind.DIRECTORY else [top.node_id]
    while stack:
        node_id = stack.pop()
        db.execute("UPDATE nodes SET flags = flags | ? WHERE node_id = ?", (RECHECK, node_id))
        rows = db.execute("SELECT node_id FROM nodes WHERE parent_id = ? AND kind = 2", (node_id,))
        stack.extend(row[0] for row in rows)
