"""The precondition of a step: is what lies at the name what the plan saw, before and after it left it?

`prove` looks before anything changes, so that most surprises cost nothing. `confirm` looks at the inode
after it was displaced: only that closes the race with a writer (see the laws of the architecture).
"""

import os

import msgspec

from syncd.core.entry import Entry, Kind, StatHint
from syncd.core.listing import clamp_ns, kind_of
from syncd.tree.local import syscalls as sc
from syncd.tree.local.errors import Mismatch
from syncd.tree.local.reader import digest_descriptor, same_file


class Proof(msgspec.Struct, frozen=True):
    """What was found at a name. `digest` is set when the stat alone cannot prove the content."""

    found: os.stat_result
    digest: bytes | None = None
    target: bytes | None = None


def prove(
    directory: int, name: bytes, expect: Entry, hint: StatHint | None, *, mask: int, slack_ns: int
) -> Proof:
    """Look at `name`. Raises Mismatch when it is not `expect`, OSError when it cannot be looked at."""
    found = sc.stat(name, dir_fd=directory, follow_symlinks=False)
    kind = kind_of(found.st_mode)
    if kind is not expect.kind:
        raise Mismatch
    if kind is Kind.SYMLINK:
        target = sc.readlink(name, dir_fd=directory)
        if expect.target not in (None, target):
            raise Mismatch
        return Proof(found, target=target)
    if (found.st_mode ^ expect.mode) & mask:
        raise Mismatch
    if kind is Kind.DIRECTORY:
        if hint is not None and hint.inode != found.st_ino:
            raise Mismatch
        return Proof(found)
    return _prove_file(directory, name, expect, hint, found, slack_ns)


def _prove_file(
    directory: int, name: bytes, expect: Entry, hint: StatHint | None, found: os.stat_result, slack_ns: int
) -> Proof:
    if found.st_size != expect.size:
        raise Mismatch
    is_hinted = (
        hint is not None
        and hint.inode == found.st_ino
        and hint.mtime_ns == clamp_ns(found.st_mtime_ns)
        and hint.ctime_ns == clamp_ns(found.st_ctime_ns)
    )
    is_racy = found.st_mtime_ns >= sc.coarse_now_ns() - slack_ns
    if is_hinted and not is_racy:
        return Proof(found)
    if is_hinted or expect.digest is not None:
        digest = digest_name(directory, name, found)
        if expect.digest not in (None, digest):
            raise Mismatch
        return Proof(found, digest)
    if clamp_ns(found.st_mtime_ns) != expect.mtime_ns or (hint is not None and hint.ctime_ns > 0):
        raise Mismatch
    return Proof(found, digest_name(directory, name, found) if is_racy else None)


def confirm(directory: int, name: bytes, proof: Proof) -> bool:
    """Is the displaced inode, now at `name`, the one that was proven, untouched? (A rename changes the
    ctime, so that says nothing here.)"""
    before, now = proof.found, sc.stat(name, dir_fd=directory, follow_symlinks=False)
    if (before.st_ino, before.st_size, before.st_mtime_ns, before.st_mode) != (
        now.st_ino,
        now.st_size,
        now.st_mtime_ns,
        now.st_mode,
    ):
        return False
    if proof.target is not None:
        return sc.readlink(name, dir_fd=directory) == proof.target
    if proof.digest is None:
        return True
    try:
        return digest_name(directory, name, now) == proof.digest
    except Mismatch:
        return False


def digest_name(directory: int, name: bytes, expected: os.stat_result) -> bytes:
    """The digest of a file that is, before and after reading, the one that `expected` tells."""
    descriptor = sc.open(name, sc.READ_FILE, dir_fd=directory)
    try:
        if not same_file(expected, sc.fstat(descriptor)):
            raise Mismatch
        digest = digest_descriptor(descriptor)
        if not same_file(expected, sc.fstat(descriptor)):
            raise Mismatch
        return digest
    finally:
        sc.close(descriptor)
