"""Packed directory records: what lstat said about all children of one directory, in one byte string.

The hot path of a scan: a record is built while walking, compared as bytes with the stored one, and looked
into only where it differs. Layout, little-endian: a count (u32), then one row of 34 bytes a child (code,
inode, size, mtime, ctime), then the names, each ended by NUL, sorted as bytes. A record is never empty
(an empty directory is a count of 0): `b""` stands for "nothing known", and is no result of a listing.
Pure; may import only `syncd.core.entry`.
"""

import stat
import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeGuard

import msgspec

from syncd.core.entry import Kind, StatHint

StatRow = tuple[bytes, int, int, int, int, int]
"""name, st_mode, size, mtime_ns, ctime_ns, inode: what the walker has in hand."""

_COUNT = struct.Struct("<I")
_ROW = struct.Struct("<HQqqq")
_WIDTH = _ROW.size
_START = _COUNT.size
_INT64_MAX = 2**63 - 1
_DOUBTED = -(2**62)
"""What the ctimes of doubted children are counted from, downwards: any real one is far less."""
_PERMISSIONS = 0o777
_KINDS = (Kind.FILE, Kind.DIRECTORY, Kind.SYMLINK, Kind.SPECIAL)
_KIND_SHIFT = 9
_FEW = 4


class Child(msgspec.Struct, frozen=True, gc=False):
    """One name in a directory. `mode` holds permission bits only."""

    name: bytes
    kind: Kind
    mode: int
    hint: StatHint


def kind_of(st_mode: int) -> Kind:
    """The kind that an lstat mode tells."""
    if stat.S_ISREG(st_mode):
        return Kind.FILE
    if stat.S_ISDIR(st_mode):
        return Kind.DIRECTORY
    return Kind.SYMLINK if stat.S_ISLNK(st_mode) else Kind.SPECIAL


def _code(kind: Kind, mode: int) -> int:
    return _KINDS.index(kind) << _KIND_SHIFT | mode & _PERMISSIONS


class _Codes(dict[int, int]):
    """Row codes by st_mode; few modes occur, so the walker pays one look-up a file."""

    def __missing__(self, st_mode: int) -> int:
        code = self[st_mode] = _code(kind_of(st_mode), st_mode)
        return code


_CODES = _Codes()


def pack(children: Sequence[Child]) -> bytes:
    """Pack children that are sorted by name."""
    return _assemble([c.name for c in children], [_pack_child(c) for c in children])


def pack_stats(rows: Sequence[StatRow]) -> bytes:
    """Pack lstat results that are sorted by name. Stamps past 64 bits (tmpfs, btrfs) are clamped."""
    codes, pack_row = _CODES, _ROW.pack
    try:
        packed = [pack_row(codes[m], inode, size, mtime, ctime) for _, m, size, mtime, ctime, inode in rows]
    except struct.error:
        packed = [pack_row(codes[m], i, s, clamp_ns(t), clamp_ns(c)) for _, m, s, t, c, i in rows]
    return _assemble([row[0] for row in rows], packed)


def unpack(record: bytes) -> list[Child]:
    """All children, sorted by name. Raises ValueError for bytes that are no record."""
    names, rows = _split(record)
    return [_child(name, rows, i) for i, name in enumerate(names)]


def rows(record: bytes) -> Iterator[tuple[bytes, tuple[int, int, int, int, int]]]:
    """Names with their rows, sorted by name: code, inode, size, mtime, ctime (see `child_of_row`)."""
    names, packed = _split(record)
    return zip(names, _ROW.iter_unpack(packed), strict=True)


def is_file(code: int) -> bool:
    """Is it the code of a regular file? Then it is its mode, too."""
    return code <= _PERMISSIONS


def find(record: bytes, name: bytes) -> Child | None:
    """One child, without unpacking the others."""
    start = _names_start(record)
    key = name + b"\0"
    if record.startswith(key, start):
        index = 0
    else:
        at = record.find(b"\0" + key, start)
        if at < 0:
            return None
        index = record.count(b"\0", start, at) + 1
    return _child(name, record[_START:start], index)


def find_many(record: bytes, wanted: Iterable[bytes]) -> dict[bytes, Child]:
    """Some children by name, the names split once, the others' rows left packed."""
    names, rows = _split(record)
    found = {}
    for name in wanted:
        i = bisect_left(names, name)
        if i < len(names) and names[i] == name:
            found[name] = _child(name, rows, i)
    return found


def diff(old: bytes, new: bytes) -> list[tuple[bytes, Child | None, Child | None]]:
    """The names that differ, sorted: (name, before, after), None being absent.

    `old` may be `b""` (nothing known). `new` may not: a failed listing is never an empty directory.
    """
    if old == new and new:
        return []
    if not new:
        raise ValueError("a failed listing cannot be compared")
    old_names, old_rows = _split(old)
    new_names, new_rows = _split(new)
    if old_names == new_names:
        return [
            (name, _child(name, old_rows, i), _child(name, new_rows, i))
            for i, name in enumerate(new_names)
            if old_rows[i * _WIDTH : (i + 1) * _WIDTH] != new_rows[i * _WIDTH : (i + 1) * _WIDTH]
        ]
    return _merge(old_names, old_rows, new_names, new_rows)


def replace(record: bytes, changes: Mapping[bytes, Child | None]) -> bytes:
    """The record with some children set, or removed (None). Removing an absent name changes nothing."""
    names, packed = _split(record)
    if len(changes) > _FEW:
        return _replace_many(names, packed, changes)
    rows = bytearray(packed)
    for name, child in changes.items():
        i = bisect_left(names, name)
        known = i < len(names) and names[i] == name
        rows[i * _WIDTH : (i + known) * _WIDTH] = b"" if child is None else _pack_child(child)
        names[i : i + known] = [] if child is None else [name]
    return _assemble(names, [bytes(rows)])


def _replace_many(names: list[bytes], packed: bytes, changes: Mapping[bytes, Child | None]) -> bytes:
    rows = {name: packed[i * _WIDTH : (i + 1) * _WIDTH] for i, name in enumerate(names)}
    for name, child in changes.items():
        if child is None:
            rows.pop(name, None)
        else:
            rows[name] = _pack_child(child)
    names = sorted(rows)
    return _assemble(names, [rows[name] for name in names])


def smudge(child: Child) -> Child:
    """A child whose hint equals no fresh lstat, so that the next observation reads it (racy-git rule). The
    ctime stays known, as a negative number."""
    return child if child.hint.ctime_ns <= 0 else _with_ctime(child, max(-child.hint.ctime_ns, _DOUBTED + 1))


def doubt(child: Child, *, knows_ctime: bool = True) -> Child:
    """The same for what a power cut may have taken back: what is found there is judged, too. Without a ctime
    that can be believed, by its content alone."""
    if is_doubted(child):
        return child
    return _with_ctime(child, _DOUBTED - (min(ctime_of(child), -_DOUBTED) if knows_ctime else 0))


def trust(child: Child | None) -> Child | None:
    """No doubt any more; the next observation reads it all the same."""
    return _with_ctime(child, -min(ctime_of(child), -_DOUBTED - 1)) if is_doubted(child) else child


def is_doubted(child: Child | None) -> TypeGuard[Child]:
    return child is not None and child.hint.ctime_ns <= _DOUBTED


def ctime_of(child: Child) -> int:
    """The ctime that was seen, whatever the hint is marked with; 0: unknown."""
    marked = child.hint.ctime_ns
    return _DOUBTED - marked if marked <= _DOUBTED else abs(marked)


def _with_ctime(child: Child, ctime_ns: int) -> Child:
    return msgspec.structs.replace(child, hint=msgspec.structs.replace(child.hint, ctime_ns=ctime_ns))


def _merge(
    old_names: list[bytes], old_rows: bytes, new_names: list[bytes], new_rows: bytes
) -> list[tuple[bytes, Child | None, Child | None]]:
    before = {name: i for i, name in enumerate(old_names)}
    found: list[tuple[bytes, Child | None, Child | None]] = []
    for i, name in enumerate(new_names):
        j = before.pop(name, None)
        if j is None:
            found.append((name, None, _child(name, new_rows, i)))
        elif old_rows[j * _WIDTH : (j + 1) * _WIDTH] != new_rows[i * _WIDTH : (i + 1) * _WIDTH]:
            found.append((name, _child(name, old_rows, j), _child(name, new_rows, i)))
    found.extend((name, _child(name, old_rows, j), None) for name, j in before.items())
    found.sort(key=lambda change: change[0])
    return found


def _pack_child(child: Child) -> bytes:
    hint = child.hint
    code = _code(child.kind, child.mode)
    try:
        return _ROW.pack(code, hint.inode, hint.size, hint.mtime_ns, hint.ctime_ns)
    except struct.error:
        return _ROW.pack(code, hint.inode, hint.size, clamp_ns(hint.mtime_ns), clamp_ns(hint.ctime_ns))


def _child(name: bytes, rows: bytes, index: int) -> Child:
    return child_of_row(name, _ROW.unpack_from(rows, index * _WIDTH))


def child_of_row(name: bytes, row: tuple[int, int, int, int, int]) -> Child:
    """The child in one of `rows`. Raises ValueError for a code that is none."""
    code, inode, size, mtime_ns, ctime_ns = row
    if code >> _KIND_SHIFT >= len(_KINDS):
        raise ValueError("the directory record is damaged")
    return Child(
        name, _KINDS[code >> _KIND_SHIFT], code & _PERMISSIONS, StatHint(inode, size, mtime_ns, ctime_ns)
    )


def clamp_ns(stamp_ns: int) -> int:
    """A time stamp that a record and the index can hold: years 1677 to 2262. File systems can do more."""
    if -_INT64_MAX <= stamp_ns <= _INT64_MAX:
        return stamp_ns
    return _INT64_MAX if stamp_ns > 0 else -_INT64_MAX


def _assemble(names: list[bytes], rows: list[bytes]) -> bytes:
    tail = b"\0".join(names) + b"\0" if names else b""
    return b"".join((_COUNT.pack(len(names)), *rows, tail))


def _names_start(record: bytes) -> int:
    """Where the names begin. The one check of a stored record: its length must fit its count."""
    if not record:
        return 0
    if len(record) < _START:
        raise ValueError("the directory record is truncated")
    count: int = _COUNT.unpack_from(record)[0]
    start = _START + count * _WIDTH
    if len(record) < start or record.count(b"\0", start) != count or not record.endswith(b"\0"):
        raise ValueError("the directory record is damaged")
    return start


def _split(record: bytes) -> tuple[list[bytes], bytes]:
    """Names and rows of a record; nothing for `b""`."""
    start = _names_start(record)
    names = record[start:].split(b"\0")[:-1] if record else []
    return names, record[_START:start]
