"""How one side differs from the base, and how permission bits of two sides merge.

Content and mode bits are judged apart; an mtime alone is never a change. Pure; may import only entries and
states.
"""

import enum

from syncd.core.entry import Entry, Kind, Same, Side, same_content, same_mode
from syncd.core.state import Damage, PathState

EXECUTABLE = 0o111
_NEW_FILE = 0o644
_NEW_DIRECTORY = 0o755


class Change(enum.Enum):
    """One side of a path against the base. `MAYBE`: its digest must be read to tell."""

    NONE = "none"
    ADD = "add"
    MODIFY = "modify"
    MODE = "mode"
    DELETE = "delete"
    MAYBE = "maybe"


def change_of(state: PathState, side: Side, mask: int) -> Change:
    """What happened at `side` since the base."""
    entry, base = state.at(side), state.base
    if entry is None:
        return Change.NONE if base is None else Change.DELETE
    if base is None:
        return Change.ADD
    same = content_against_base(entry, base)
    if same is Same.UNKNOWN:
        return Change.MAYBE
    if same is Same.DIFFERENT:
        return Change.MODIFY
    return Change.NONE if same_mode(entry, base, mask) else Change.MODE


def content_against_base(entry: Entry, base: Entry) -> Same:
    """Compare content with the base's; UNKNOWN only where reading `entry` gives the answer.

    A base without a digest was judged equal unread, by size and mtime: there is nothing to read it from,
    so the mtime stays the evidence until both sides have been read.
    """
    same = same_content(entry, base)
    if same is not Same.UNKNOWN or base.digest is not None:
        return same
    return Same.EQUAL if entry.mtime_ns == base.mtime_ns else Same.DIFFERENT


def damage_of(state: PathState, side: Side) -> Damage:
    """What a crash did to the file, as far as it shows in the content. Another file that came to the name did
    not suffer it."""
    damage = state.damage(side)
    if damage is Damage.NONE:
        return damage
    entry, base = state.at(side), state.base
    if entry is None or base is None or entry.kind is not Kind.FILE or base.kind is not Kind.FILE:
        return Damage.NONE
    if state.base_node(side) not in (0, state.node(side)):
        return Damage.NONE
    return Damage.NONE if content_against_base(entry, base) is Same.EQUAL else damage


def looks_equal_unread(a: Entry, b: Entry) -> bool:
    """The first-sync rule for files of one size: equal mtimes with a non-zero sub-second part."""
    return a.mtime_ns == b.mtime_ns and a.mtime_ns % 1_000_000_000 != 0


def unread_sides(state: PathState) -> tuple[Side, ...]:
    """The sides whose file has no digest yet."""
    return tuple(side for side in Side if is_unread(state.at(side)))


def is_unread(entry: Entry | None) -> bool:
    return entry is not None and entry.kind is Kind.FILE and entry.digest is None


def merge_modes(source: Entry, destination: Entry, base: Entry | None, mask: int) -> int:
    """The mode bits that both sides shall have, within `mask`.

    One side changed: its bits. Both changed: the one with executable bits; both executable: the source's
    with the destination's executable bits added; neither: the source's.
    """
    ours, theirs = source.mode & mask, destination.mode & mask
    if source.kind is Kind.SYMLINK or ours == theirs:
        return ours
    if base is not None and base.kind is source.kind:
        before = base.mode & mask
        if ours == before:
            return theirs
        if theirs == before:
            return ours
    if not ours & EXECUTABLE and theirs & EXECUTABLE:
        return theirs
    return ours | (theirs & EXECUTABLE)


def with_mode(entry: Entry, mode: int) -> Entry:
    """The same content with other permission bits."""
    if entry.mode == mode:
        return entry
    return Entry(entry.kind, mode, entry.size, entry.mtime_ns, entry.digest, entry.target)


def masked_into(entry: Entry, mode: int, mask: int) -> int:
    """`mode` for what `entry` already is: bits that not both trees can hold stay as they are."""
    return (entry.mode & ~mask & 0o777) | (mode & mask)


def new_mode(kind: Kind, mode: int, mask: int) -> int:
    """`mode` for a name that is new: bits that not both trees can hold get plain defaults."""
    if mask & 0o777 == 0o777 or kind is Kind.SYMLINK:
        return mode
    default = _NEW_DIRECTORY if kind is Kind.DIRECTORY or mode & mask & EXECUTABLE else _NEW_FILE
    return (default & ~mask) | (mode & mask)
