"""What an observation brings: listings, looks, questions that need evidence, and the answers.

Values and pure helpers only; `merge` writes them into the index.
"""

import msgspec
from blake3 import blake3

from syncd.core.entry import Entry, Kind, StatHint
from syncd.core.listing import Child, unpack
from syncd.core.reason import Reason
from syncd.index.nodes import Node

NEVER_RACY = 2**63 - 1
_BLOCK = 1 << 20
_ZEROS_MOST = 256 << 20
"""0.1 s of hashing."""


class Listed(msgspec.Struct, frozen=True, gc=False):
    """One directory as it was read (the fields of `tree.port.Listing` that matter here)."""

    path: bytes
    inode: int
    record: bytes
    racy_after_ns: int = NEVER_RACY
    changed_ns: int = 0


class Looked(msgspec.Struct, frozen=True, gc=False):
    """One path as it was looked at; no child: it is absent."""

    path: bytes
    child: Child | None
    racy_after_ns: int = NEVER_RACY


class Question(msgspec.Struct, frozen=True, gc=False):
    """A name whose new state needs evidence. `candidate`: the directory node that may have been renamed to
    it, `old_path` its last place (None: parked)."""

    path: bytes
    parent_id: int
    old: Child | None
    new: Child
    racy_after_ns: int
    candidate: int = 0
    old_path: bytes | None = None


class Wanted(msgspec.Struct):
    """Evidence to gather before the rest can be merged. `orphans` are listings of directories that the
    index does not know (yet)."""

    digests: list[Question] = msgspec.field(default_factory=list)
    links: list[Question] = msgspec.field(default_factory=list)
    arrivals: list[Question] = msgspec.field(default_factory=list)
    hidden: list[Question] = msgspec.field(default_factory=list)
    """Ignored directories that came up with the inode of a known one."""
    orphans: list[Listed] = msgspec.field(default_factory=list)
    missing: set[bytes] = msgspec.field(default_factory=set)
    """Directories above looked-at paths that the index does not know."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """Evidence for one question: digest and stat of a file, or the target of a link, or why there is none."""

    digest: bytes | None = None
    hint: StatHint | None = None
    target: bytes | None = None
    problem: Reason | None = None
    detail: str = ""


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """Evidence about a directory: was it renamed, and what is at its old place now?"""

    is_renamed: bool
    left_behind: Child | None = None


def is_zeros(entry: Entry) -> bool:
    """Is the content of a file, whose digest is known, nothing but zeros? Of a huge one that is not asked:
    its zeros would keep the data base waiting."""
    if not 0 < entry.size <= _ZEROS_MOST or entry.digest is None:
        return False
    zeros, hasher = bytes(min(entry.size, _BLOCK)), blake3()
    for _ in range(entry.size // _BLOCK):
        hasher.update(zeros)
    hasher.update(zeros[: entry.size % _BLOCK])
    return hasher.digest() == entry.digest


def entry_of_child(child: Child) -> Entry:
    """What a listing tells of a path: no digest, no target."""
    if child.kind is Kind.FILE:
        return Entry(Kind.FILE, child.mode, child.hint.size, child.hint.mtime_ns)
    return Entry(child.kind, child.mode)


def is_same_directory(before: bytes | None, now: bytes) -> bool:
    """Does a listing show the directory that `before` is the record of? An inode number alone proves
    nothing (they are recycled at once): half of the known children must be there, by name and inode."""
    try:
        known = {(child.name, child.hint.inode) for child in unpack(before)} if before else set()
    except ValueError:
        return False
    shared = sum((child.name, child.hint.inode) in known for child in unpack(now))
    return shared > 0 and 2 * shared >= len(known)


def agrees(entry: Entry, child: Child) -> bool:
    """Does a node say what a listing says?"""
    if entry.kind is not child.kind:
        return False
    if child.kind is Kind.FILE:
        return (entry.size, entry.mode, entry.mtime_ns) == (child.hint.size, child.mode, child.hint.mtime_ns)
    return child.kind is Kind.SYMLINK or entry.mode == child.mode


def unseen(node: Node) -> Child:
    """A child for a node whose stat was never recorded; it equals no listing."""
    entry = node.entry
    return Child(node.name, entry.kind, entry.mode, StatHint(0, entry.size, entry.mtime_ns, 0))
