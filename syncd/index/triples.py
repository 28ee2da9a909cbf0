"""Three trees side by side: what source, destination and base say about the same paths.

`load` answers for single paths, `walk` streams a subtree, `dirty` says where to look. Order is depth-first,
siblings sorted as bytes. Reads only. Nothing above the index may be imported.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice

from syncd.core.entry import Entry, Kind, Side
from syncd.core.path import join
from syncd.core.state import Damage, PathState
from syncd.index.base import BASE_COLUMNS, ROOT_ID
from syncd.index.dirty import DirtyPath as DirtyPath
from syncd.index.dirty import dirty as dirty
from syncd.index.dirty import merge as merge
from syncd.index.rows import (
    DIRECTORY_CODE,
    ENTRY_COLUMNS,
    FILE_CODE,
    FIRST_NAME,
    HAS_IGNORED,
    LISTED,
    Row,
    damage_in,
    entry_of,
)

_PAGE = 1000

_NODE = f"SELECT name, node_id, flags, {ENTRY_COLUMNS} FROM nodes WHERE parent_id = ?"  # noqa: S608
_NODE_AT = f"{_NODE} AND name = ?"
_NODES = f"{_NODE} AND name > ? ORDER BY name LIMIT {_PAGE}"
_BASE = f"SELECT name, {BASE_COLUMNS} FROM base WHERE parent_id = ?"  # noqa: S608
_BASE_AT = f"{_BASE} AND name = ?"
_BASES = f"{_BASE} AND name > ? ORDER BY name LIMIT {_PAGE}"

_Place = tuple[int | None, int | None, int | None, bool, bool]
"""A directory on the three trees: source, destination and base ids; is the source, the destination unknown
beneath?"""

_ROOT: _Place = (int(Side.SOURCE), int(Side.DESTINATION), ROOT_ID, False, False)
_Named = tuple[bytes, Row | None, Row | None, Row | None]
_Frame = tuple[bytes, _Place, Iterator[_Named]]


def load(db: sqlite3.Connection, paths: Sequence[bytes]) -> list[PathState]:
    """The states of single paths, in the order asked. Directories on the way are looked up once."""
    reader = _Reader(db)
    return [reader.state(path) for path in paths]


def walk(
    db: sqlite3.Connection, root: bytes, after: bytes | None, limit: int
) -> tuple[list[PathState], bytes | None]:
    """Up to `limit` states of the union of the three trees from `root` (itself included, but for b"")
    downwards, and where to go on: pass that path as `after`; None at the end."""
    reader = _Reader(db)
    stream = reader.stream(root, after)
    states = list(islice(stream, limit))
    return states, states[-1].path if len(states) == limit else None


class _Reader:
    """One call's look-ups. Places of directories are cached by path."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._places: dict[bytes, _Place] = {b"": _with_flags(db, _ROOT)}
        self._any_ignored = (
            db.execute("SELECT 1 FROM nodes WHERE flags & 2 OR kind = 4 LIMIT 1").fetchone() is not None
        )

    def state(self, path: bytes) -> PathState:
        if not path:
            return _root_state(self._db)
        directory, _, name = path.rpartition(b"/")
        place = self.place(directory)
        return self._assemble(path, place, *self._rows(place, name))

    def place(self, path: bytes) -> _Place:
        """Where a directory is on the three trees."""
        known = self._places.get(path)
        if known is None:
            directory, _, name = path.rpartition(b"/")
            above = self.place(directory)
            known = self._places[path] = _beneath(above, *self._rows(above, name)) if any(above) else above
        return known

    def _rows(self, place: _Place, name: bytes) -> tuple[Row | None, Row | None, Row | None]:
        one = self._db.execute
        source = one(_NODE_AT, (place[0], name)).fetchone() if place[0] else None
        destination = one(_NODE_AT, (place[1], name)).fetchone() if place[1] else None
        base = one(_BASE_AT, (place[2], name)).fetchone() if place[2] else None
        return source, destination, base

    def stream(self, root: bytes, after: bytes | None) -> Iterator[PathState]:
        """Depth first from `root`, past `after`."""
        stack: list[_Frame] = []
        if after is None:
            if root:
                yield self.state(root)
            self._push(stack, root, FIRST_NAME)
        else:
            self._resume(stack, root, after)
        while stack:
            directory, place, names = stack[-1]
            found = next(names, None)
            if found is None:
                stack.pop()
                continue
            name, source, destination, base = found
            path = join(directory, name)
            yield self._assemble(path, place, source, destination, base)
            if destination is None and base is None and source is not None and source[3] == FILE_CODE:
                continue  # the many of a first copy
            inner = _beneath(place, source, destination, base)
            if inner[0] or inner[1] or inner[2]:
                stack.append((path, inner, self._names(inner, FIRST_NAME)))

    def _push(self, stack: list[_Frame], path: bytes, after: bytes) -> None:
        place = self.place(path)
        stack.append((path, place, self._names(place, after)))

    def _resume(self, stack: list[_Frame], root: bytes, after: bytes) -> None:
        """Stand right behind `after`, which need not exist any more: what is beneath it comes next."""
        names = after[len(root) :].lstrip(b"/").split(b"/") if after != root else []
        path = root
        for name in names:
            self._push(stack, path, name)
            path = join(path, name)
        self._push(stack, path, FIRST_NAME)

    def _names(self, place: _Place, after: bytes) -> Iterator[_Named]:
        """The union of the names of a directory, sorted, with the rows of each tree."""
        source = self._pages(_NODES, place[0], after)
        destination = self._pages(_NODES, place[1], after)
        base = self._pages(_BASES, place[2], after)
        s, d, b = next(source, None), next(destination, None), next(base, None)
        while s is not None and d is None and b is None:
            yield s[0], s, None, None
            s = next(source, None)
        while s is not None or d is not None or b is not None:
            name: bytes = min(row[0] for row in (s, d, b) if row is not None)
            at_s = s if s is not None and s[0] == name else None
            at_d = d if d is not None and d[0] == name else None
            at_b = b if b is not None and b[0] == name else None
            yield name, at_s, at_d, at_b
            if at_s is not None:
                s = next(source, None)
            if at_d is not None:
                d = next(destination, None)
            if at_b is not None:
                b = next(base, None)

    def _pages(self, sql: str, parent_id: int | None, after: bytes) -> Iterator[Row]:
        if parent_id is None:
            return
        while True:
            rows = self._db.execute(sql, (parent_id, after)).fetchall()
            yield from rows
            if len(rows) < _PAGE:
                return
            after = rows[-1][0]

    def _assemble(
        self, path: bytes, place: _Place, source: Row | None, destination: Row | None, base: Row | None
    ) -> PathState:
        at_source = None if source is None else entry_of(source, 3)
        if destination is None and base is None and source is not None and source[3] == FILE_CODE:
            return PathState(
                path=path,
                source=at_source,
                source_unknown=place[3],
                destination_unknown=place[4],
                source_node=source[1],
                source_damage=damage_in(source[2]),
            )
        at_destination = None if destination is None else entry_of(destination, 3)
        at_base = None if base is None else entry_of(base, 7)
        return PathState(
            path=path,
            base=at_base,
            source=at_source,
            destination=at_destination,
            source_unknown=place[3],
            destination_unknown=place[4],
            source_node=0 if source is None else source[1],
            destination_node=0 if destination is None else destination[1],
            base_source_node=0 if at_base is None or base is None else base[4] or 0,
            base_destination_node=0 if at_base is None or base is None else base[5] or 0,
            source_only_ignored=self._is_only_ignored(source, at_destination),
            destination_only_ignored=self._is_only_ignored(destination, at_source),
            unverified=base is not None and bool(base[6]),
            source_damage=Damage.NONE if source is None else damage_in(source[2]),
            destination_damage=Damage.NONE if destination is None else damage_in(destination[2]),
        )

    def _is_only_ignored(self, row: Row | None, other: Entry | None) -> bool:
        """Does this directory, which the other side has not, hold nothing but ignored content?"""
        if not self._any_ignored or row is None or row[3] != DIRECTORY_CODE:
            return False
        if other is not None and other.kind is Kind.DIRECTORY:
            return False
        return holds_only_ignored(self._db, row[1])


def holds_only_ignored(db: sqlite3.Connection, node_id: int) -> bool:
    """No visible descendants but directories of the same sort, and something ignored somewhere within.

    A special file counts as ignored: it is never synchronised, and its directory cannot be removed.
    """
    is_found = False
    stack = [node_id]
    while stack:
        top = stack.pop()
        flags = db.execute("SELECT flags FROM nodes WHERE node_id = ?", (top,)).fetchone()[0]
        if not flags & LISTED:
            return False
        if db.execute(
            "SELECT 1 FROM nodes WHERE parent_id = ? AND kind IN (1, 3) LIMIT 1", (top,)
        ).fetchone():
            return False
        is_found |= bool(flags & HAS_IGNORED)
        for inner, kind in db.execute("SELECT node_id, kind FROM nodes WHERE parent_id = ?", (top,)):
            if kind == DIRECTORY_CODE:
                stack.append(inner)
            else:
                is_found = True
    return is_found


def _beneath(place: _Place, source: Row | None, destination: Row | None, base: Row | None) -> _Place:
    """The place of a directory from its rows; what could not be listed stays unknown all the way down."""
    s_id, s_unknown = _descend(source, place[3])
    d_id, d_unknown = _descend(destination, place[4])
    b_id = base[1] if base is not None and base[7] in (0, DIRECTORY_CODE) else None
    return s_id, d_id, b_id, s_unknown, d_unknown


def _descend(row: Row | None, is_unknown: bool) -> tuple[int | None, bool]:
    if row is None or row[3] != DIRECTORY_CODE:
        return None, is_unknown
    return row[1], is_unknown or not row[2] & LISTED


def _with_flags(db: sqlite3.Connection, place: _Place) -> _Place:
    """The roots, unknown until they were listed."""
    flags = dict(db.execute("SELECT node_id, flags FROM nodes WHERE node_id IN (1, 2)").fetchall())
    return (*place[:3], not flags[1] & LISTED, not flags[2] & LISTED)


def _root_state(db: sqlite3.Connection) -> PathState:
    source, destination = (
        entry_of(db.execute(f"SELECT {ENTRY_COLUMNS} FROM nodes WHERE node_id = ?", (int(side),)).fetchone())  # noqa: S608
        for side in Side
    )
    return PathState(b"", source, source, destination, False, False, 1, 2, 1, 2)
