"""How values of the core become columns and back. Nothing above the index may be imported here."""

from typing import Any

from syncd.core.entry import Entry, Kind
from syncd.core.state import Damage

ENTRY_COLUMNS = "kind, mode, size, mtime_ns, digest, target"

KIND_OF: tuple[Kind | None, ...] = (None, Kind.FILE, Kind.DIRECTORY, Kind.SYMLINK, Kind.SPECIAL)
CODE_OF: dict[Kind, int] = {Kind.FILE: 1, Kind.DIRECTORY: 2, Kind.SYMLINK: 3, Kind.SPECIAL: 4}
FILE_CODE = 1
DIRECTORY_CODE = 2
HOLLOW_CODE = 0
"""A base row without an entry: it only carries descendants."""

PARKED_PREFIX = b"\x00"
"""Nodes whose place is taken while an observation sorts out renames are parked beneath the root under such a
name, which no file can have."""
FIRST_NAME = b"\x00\xff"
"""Every real name sorts after it, every parked one before it."""

LISTED = 1
HAS_IGNORED = 2
LEARNT = 4
DAMAGE = Damage.CUT_SHORT | Damage.ZEROED | Damage.ROLLED_BACK | Damage.ALTERED
RECHECK = 256
"""The directory could not be listed when every name had to be judged again."""

Row = tuple[Any, ...]


def entry_of(row: Row, at: int = 0) -> Entry | None:
    """The entry in the six columns of `ENTRY_COLUMNS` from index `at`; None for a hollow base row."""
    kind = KIND_OF[row[at]]
    if kind is None:
        return None
    return Entry(kind, row[at + 1], row[at + 2], row[at + 3], row[at + 4], row[at + 5])


def damage_in(flags: int) -> Damage:
    """The damage that a node is marked with."""
    return Damage(flags & DAMAGE) if flags & DAMAGE else Damage.NONE


def values_of(entry: Entry) -> tuple[int, int, int, int, bytes | None, bytes | None]:
    """The six columns of `ENTRY_COLUMNS`."""
    return (CODE_OF[entry.kind], entry.mode, entry.size, entry.mtime_ns, entry.digest, entry.target)


def signed(inode: int) -> int:
    """SQLite integers are signed: the upper half of the inode numbers wraps."""
    return inode - (1 << 64) if inode >= 1 << 63 else inode


def order_of(path: bytes) -> list[bytes]:
    """The sort key of the depth-first order: a directory, then what is beneath it, then its next sibling."""
    return path.split(b"/") if path else []
