"""Nodes that an observation missed at their place, and files that it found at a new one.

They wait in temporary tables until everything was listed: then inode, size, mtime and digest tell which of
them are renames, and what is left is removed. A kill in between loses the tables only: directory records keep
what vanished until it is removed, and parked nodes are collected at the next beginning.
"""

import sqlite3
from collections.abc import Sequence

import msgspec

from syncd.core.entry import Entry, Kind, Side
from syncd.core.listing import Child, unpack
from syncd.index import base, nodes, records
from syncd.index.rows import DIRECTORY_CODE, FIRST_NAME, PARKED_PREFIX, signed

_TABLES = """
    -- stays: the node is at its place, but another inode is (a swap, or a new version by rename).
    -- digest: of what the node held. inner: beneath a directory that is gone. keeps_record: the name is
    -- there, but ignored now. lost: a power cut took it back.
    CREATE TEMP TABLE IF NOT EXISTS gone (
        node_id INTEGER PRIMARY KEY, tree INTEGER NOT NULL, parent_id INTEGER NOT NULL, name BLOB NOT NULL,
        kind INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
        digest BLOB, stays INTEGER NOT NULL DEFAULT 0, inner INTEGER NOT NULL DEFAULT 0,
        keeps_record INTEGER NOT NULL DEFAULT 0, is_expanded INTEGER NOT NULL DEFAULT 0,
        lost INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX IF NOT EXISTS temp.gone_by_inode ON gone (inode);
    -- replaced: the file came to a name that another node holds.
    CREATE TEMP TABLE IF NOT EXISTS fresh (
        node_id INTEGER PRIMARY KEY, tree INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL, replaced INTEGER NOT NULL DEFAULT 0
    );
    -- hidden: a name came up that the rules ignore.
    CREATE TEMP TABLE IF NOT EXISTS hidden (
        tree INTEGER NOT NULL, inode INTEGER NOT NULL, is_directory INTEGER NOT NULL, size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL
    );
"""
_NO_INODE = 0


class Rename(msgspec.Struct, frozen=True, gc=False):
    """Node `node_id` was probably renamed to where `fresh_id` is now (`path`). `replaces`: that node holds
    the name itself and must go elsewhere first. `digest` is what the file must have (None: unknown),
    `fresh_digest` what it has, where it was read already."""

    node_id: int
    fresh_id: int
    path: bytes
    replaces: bool
    digest: bytes | None
    fresh_digest: bytes | None


def begin(db: sqlite3.Connection, side: Side) -> bool:
    """Start an observation: nothing is missed yet but what a killed one had parked (True when it had)."""
    if not db.execute("SELECT 1 FROM temp.sqlite_schema WHERE name = 'fresh'").fetchone():
        for statement in _TABLES.split(";"):
            db.execute(statement)
    db.execute("DELETE FROM gone WHERE tree = ?", (int(side),))
    db.execute("DELETE FROM fresh WHERE tree = ?", (int(side),))
    db.execute("DELETE FROM hidden WHERE tree = ?", (int(side),))
    parked = db.execute(
        "INSERT INTO gone (node_id, tree, parent_id, name, kind, inode, size, mtime_ns)"
        " SELECT node_id, tree, parent_id, name, kind, 0, 0, 0 FROM nodes WHERE parent_id = ? AND name < ?",
        (int(side), FIRST_NAME),
    )
    return parked.rowcount > 0


def miss(
    db: sqlite3.Connection,
    side: Side,
    node: nodes.Node,
    old: Child | None,
    *,
    keeps_record: bool = False,
    is_lost: bool = False,
) -> None:
    """The node is not at its place any more (or, with `keeps_record`, not visible there). `is_lost`: nobody
    took it away, a power cut did."""
    _insert(db, side, node, old if not keeps_record else None, keeps_record=keeps_record)
    if is_lost:
        db.execute("UPDATE gone SET lost = 1 WHERE node_id = ?", (node.node_id,))


def replace(db: sqlite3.Connection, side: Side, node: nodes.Node, old: Child, new: Child) -> None:
    """Another inode is at the place of a file: its node may be found elsewhere, and another one here."""
    _insert(db, side, node, old, stays=True)
    add_fresh(db, side, node.node_id, new, replaced=True)


def _insert(
    db: sqlite3.Connection,
    side: Side,
    node: nodes.Node,
    old: Child | None,
    *,
    stays: bool = False,
    inner: bool = False,
    keeps_record: bool = False,
) -> None:
    hint = None if old is None else old.hint
    db.execute(
        "INSERT INTO gone (node_id, tree, parent_id, name, kind, inode, size, mtime_ns, digest, stays, inner,"
        " keeps_record) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (node_id) DO NOTHING",
        (
            node.node_id,
            int(side),
            node.parent_id,
            node.name,
            DIRECTORY_CODE if node.entry.kind is Kind.DIRECTORY else 1,
            _NO_INODE if hint is None else signed(hint.inode),
            0 if hint is None else hint.size,
            0 if hint is None else hint.mtime_ns,
            node.entry.digest,
            stays,
            inner,
            keeps_record,
        ),
    )


def add_fresh(
    db: sqlite3.Connection, side: Side, node_id: int, child: Child, *, replaced: bool = False
) -> None:
    """A file came to a name. Only its inode can tell where from."""
    hint = child.hint
    db.execute(
        "INSERT INTO fresh VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (node_id) DO NOTHING",
        (node_id, int(side), signed(hint.inode), hint.size, hint.mtime_ns, replaced),
    )


def hide(db: sqlite3.Connection, side: Side, children: Sequence[Child]) -> None:
    """Ignored names came up. A missed node with the inode of one was renamed to it, so it was not deleted."""
    for child in children:
        hint = child.hint
        row = (int(side), signed(hint.inode), child.kind is Kind.DIRECTORY, hint.size, hint.mtime_ns)
        db.execute("INSERT INTO hidden VALUES (?, ?, ?, ?, ?)", row)


def _forget_undeleted(db: sqlite3.Connection, side: Side, node_id: int) -> None:
    """The base rows of what was renamed to an ignored name, or taken back by a power cut, are dropped: that
    deletes nothing elsewhere."""
    found = (
        db.execute("SELECT 1 FROM gone WHERE node_id = ? AND lost", (node_id,)).fetchone()
        or db.execute(
            "SELECT 1 FROM gone g JOIN hidden h ON h.tree = g.tree AND h.inode = g.inode"
            " WHERE g.node_id = ? AND g.inode <> 0 AND h.is_directory = (g.kind = ?)"
            " AND (h.is_directory OR (h.size, h.mtime_ns) = (g.size, g.mtime_ns))",
            (node_id, DIRECTORY_CODE),
        ).fetchone()
    )
    if found is not None:
        for path in base.paths_of_node(db, side, node_id):
            base.remove(db, path)


def found_again(db: sqlite3.Connection, node_id: int) -> None:
    """The node turned up (its directory was renamed, or it is there after all)."""
    db.execute("DELETE FROM gone WHERE node_id = ?", (node_id,))


def park(db: sqlite3.Connection, side: Side, node: nodes.Node, old: Child | None) -> None:
    """Make room at the node's place; it is gone unless it turns up elsewhere."""
    parked = PARKED_PREFIX + b"%d" % node.node_id
    nodes.move_node(db, node.node_id, int(side), parked)
    _insert(db, side, msgspec.structs.replace(node, parent_id=int(side), name=parked), old)


def expand(db: sqlite3.Connection, side: Side, limit: int) -> bool:
    """Miss what lies in `limit` missed directories too: a file may have left one before it went. False when
    there is nothing to expand, or nothing new that could come from there."""
    if db.execute("SELECT 1 FROM fresh WHERE tree = ? LIMIT 1", (int(side),)).fetchone() is None:
        return False
    rows = db.execute(
        "SELECT node_id FROM gone WHERE tree = ? AND kind = ? AND NOT is_expanded AND NOT keeps_record"
        " LIMIT ?",
        (int(side), DIRECTORY_CODE, limit),
    ).fetchall()
    for (node_id,) in rows:
        record = records.get(db, node_id)
        hints = {child.name: child for child in unpack(record)} if record else {}
        for node in nodes.iterate_children(db, node_id):
            _insert(db, side, node, hints.get(node.name), inner=True)
        db.execute("UPDATE gone SET is_expanded = 1 WHERE node_id = ?", (node_id,))
    return bool(rows)


def renames(db: sqlite3.Connection, side: Side) -> list[Rename]:
    """Missed files that a fresh one has inode, size and mtime of, each at most once. A name that another
    node holds counts only if that node went elsewhere as well."""
    rows = db.execute(
        "SELECT g.node_id, f.node_id, f.replaced, g.digest, here.digest"
        " FROM gone g JOIN fresh f ON f.inode = g.inode AND f.size = g.size AND f.mtime_ns = g.mtime_ns"
        " JOIN nodes n ON n.node_id = g.node_id JOIN nodes here ON here.node_id = f.node_id"
        " WHERE g.tree = ? AND f.tree = ? AND g.kind = 1 AND g.inode <> 0 AND g.node_id <> f.node_id"
        " AND n.kind = 1 AND NOT g.keeps_record ORDER BY f.node_id, g.node_id",
        (int(side), int(side)),
    ).fetchall()
    taken: set[int] = set()
    found: dict[int, Rename] = {}
    for node_id, fresh_id, replaces, digest, fresh_digest in rows:
        path = None if fresh_id in taken or node_id in found else nodes.path_of(db, fresh_id)
        if path is not None:
            taken.add(fresh_id)
            found[node_id] = Rename(node_id, fresh_id, path, bool(replaces), digest, fresh_digest)
    return consistent(list(found.values()))


def consistent(pairs: Sequence[Rename]) -> list[Rename]:
    """Drop renames onto names whose node goes nowhere: that is a new version of that file."""
    kept = list(pairs)
    while True:
        moving = {pair.node_id for pair in kept}
        left = [pair for pair in kept if not pair.replaces or pair.fresh_id in moving]
        if len(left) == len(kept):
            return left
        kept = left


def take_over(db: sqlite3.Connection, side: Side, pairs: Sequence[Rename], digests: dict[int, bytes]) -> None:
    """Give each renamed node its new place and the entry that was observed there. `digests` are those that
    were read, by fresh node."""
    places: list[tuple[Rename, int, bytes, Entry]] = []
    for pair in pairs:
        here = nodes.get(db, pair.fresh_id)
        if here is None or not nodes.exists(db, pair.node_id):
            continue
        digest = digests.get(pair.fresh_id, here.entry.digest)
        entry = msgspec.structs.replace(here.entry, digest=digest)
        places.append((pair, here.parent_id, here.name, entry))
    taken = {pair.fresh_id for pair in pairs}
    left = [_vacate(db, side, pair) for pair, _, _, _ in places]
    for pair, parent_id, name, entry in places:
        nodes.move_node(db, pair.node_id, parent_id, name)
        nodes.set_entry(db, pair.node_id, entry)
        db.execute("DELETE FROM fresh WHERE node_id IN (?, ?)", (pair.fresh_id, pair.node_id))
    for behind in left:
        if behind is not None and behind.node_id not in taken:
            # What came to the old name is a file of its own.
            nodes.put_child(db, side, behind.parent_id, behind.name, behind.entry)


def _vacate(db: sqlite3.Connection, side: Side, pair: Rename) -> nodes.Node | None:
    """Free the new name, and take the node from the record of its old directory. Where another file came to
    the old name, that one is returned, under the number of the node that leaves."""
    row = db.execute("SELECT parent_id, name, stays FROM gone WHERE node_id = ?", (pair.node_id,)).fetchone()
    stays = row is not None and bool(row[2])
    if row is not None and not stays:
        records.update_children(db, row[0], {row[1]: None})
    found_again(db, pair.node_id)
    if not pair.replaces:
        db.execute("DELETE FROM nodes WHERE node_id = ?", (pair.fresh_id,))
    if not stays:
        return None
    behind = nodes.get(db, pair.node_id)
    nodes.move_node(db, pair.node_id, int(side), PARKED_PREFIX + b"%d" % pair.node_id)
    return behind


def remove_missed(db: sqlite3.Connection, side: Side, limit: int) -> int:
    """Remove up to about `limit` nodes that did not turn up; 0 when none is left."""
    rows = db.execute(
        "SELECT node_id, parent_id, name, keeps_record FROM gone"
        " WHERE tree = ? AND NOT stays AND NOT inner LIMIT ?",
        (int(side), limit),
    ).fetchall()
    removed = 0
    for node_id, parent_id, name, keeps_record in rows:
        node = nodes.get(db, node_id)
        if node is not None and (node.parent_id, node.name) == (parent_id, name):
            _forget_undeleted(db, side, node_id)
            removed += nodes.remove_subtree(db, node_id, limit - removed)
            if nodes.exists(db, node_id):
                return removed
            if not keeps_record:
                records.update_children(db, parent_id, {name: None})
        db.execute("DELETE FROM gone WHERE node_id = ?", (node_id,))
        removed += node is None
        if removed >= limit:
            break
    return max(removed, len(rows))
