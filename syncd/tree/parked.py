"""Circles of names that a kill cut open: which renames go back, so that what was parked gets its name again.

Of a circle one file is parked, the others move up one by one, and the parked one arrives last. In between
both of its names are taken: what moved is moved back, the last one first. Pure.
"""

from collections.abc import Callable, Iterable

import msgspec


class Rename(msgspec.Struct, frozen=True):
    """`path` was to become `to`; `inode` is what was at `path`."""

    path: bytes
    to: bytes
    inode: int


def to_undo(
    parked: bytes, renames: Iterable[Rename], inode_at: Callable[[bytes], int | None]
) -> list[Rename]:
    """The renames to take back, in that order, after which the name `parked` is free. Empty when that
    cannot be had: somebody else has taken a name since. `inode_at` is None for a free name."""
    by_target = {rename.to: rename for rename in renames if rename.inode}
    done: list[Rename] = []
    name = parked
    while (inode := inode_at(name)) is not None:
        rename = by_target.pop(name, None)
        if rename is None or rename.inode != inode:
            return []
        done.append(rename)
        name = rename.path
    return done[::-1]
