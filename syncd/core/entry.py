"""What a path is: kinds, entries, stat hints and three-valued equality.

An `Entry` is what is synchronised. A `StatHint` only lets an observation skip reading. Pure: no I/O, no
clock. Nothing outside `syncd.core` may be imported here.
"""

import enum

import msgspec


class Side(enum.IntEnum):
    """One of the two trees of a pair. The value is the tree number in the index."""

    SOURCE = 1
    DESTINATION = 2

    other: "Side"
    word: str
    """`source` or `destination`, as users read it."""


# Plain attributes: looked up for every path.
for _side in Side:
    _side.other = Side(3 - _side)
    _side.word = _side.name.lower()


SIDES = (Side.SOURCE, Side.DESTINATION)
"""Both sides; quicker to go through than the enumeration."""


class Kind(enum.StrEnum):
    """The kind of a path. `SPECIAL` is a socket, pipe or device: seen, never synchronised."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    SPECIAL = "special"


class Same(enum.Enum):
    """The answer of a comparison that may lack evidence."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


class Entry(msgspec.Struct, frozen=True, gc=False):
    """The synchronised state of one path.

    `mode` holds permission bits only (0o777; setuid, setgid and sticky are not carried). `digest` is the
    32-byte BLAKE3 of a file's content, None while unknown. `target` is a link's target, byte for byte.
    `mtime_ns` travels with content and picks the winner under `newest-wins`; it never makes a difference.
    """

    kind: Kind
    mode: int = 0
    size: int = 0
    mtime_ns: int = 0
    digest: bytes | None = None
    target: bytes | None = None


class StatHint(msgspec.Struct, frozen=True, gc=False):
    """What lstat said when an entry was observed. Equal hints let a scan skip reading; times in ns."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


def same_content(a: Entry, b: Entry) -> Same:
    """Compare kind and content, not mode. Files without both digests and of one size are UNKNOWN."""
    if a.kind is not b.kind:
        return Same.DIFFERENT
    if a.kind is Kind.SYMLINK:
        return Same.EQUAL if a.target == b.target else Same.DIFFERENT
    if a.kind is not Kind.FILE:
        return Same.EQUAL
    if a.size != b.size:
        return Same.DIFFERENT
    if a.digest is None or b.digest is None:
        return Same.EQUAL if a.size == 0 else Same.UNKNOWN
    return Same.EQUAL if a.digest == b.digest else Same.DIFFERENT


def same_mode(a: Entry, b: Entry, mask: int = 0o777) -> bool:
    """Compare the permission bits that both trees can hold (`mask`). Links have none."""
    if a.kind is Kind.SYMLINK or b.kind is Kind.SYMLINK:
        return True
    return (a.mode ^ b.mode) & mask == 0


def same_entry(a: Entry | None, b: Entry | None, mask: int = 0o777) -> Same:
    """Compare two entries, None being absent."""
    if a is None or b is None:
        return Same.EQUAL if a is b else Same.DIFFERENT
    if not same_mode(a, b, mask):
        return Same.DIFFERENT
    return same_content(a, b)
