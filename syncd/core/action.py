"""What may be done to one tree, each with the state that it expects to find: the words of a plan.

An action changes exactly one side. `expect` is what the plan saw at its target (None: nothing there); the
tree checks it immediately before the name changes, and answers `Stale` when it is something else.
"""

import enum

import msgspec

from syncd.core.entry import Entry, Side, StatHint
from syncd.core.reason import Reason


class MakeDirectory(msgspec.Struct, frozen=True, gc=False, tag="mkdir"):
    """Create a directory where nothing is."""

    side: Side
    path: bytes
    entry: Entry


class Put(msgspec.Struct, frozen=True, gc=False, tag="put"):
    """Create or replace a file or a link with the other side's version `entry`.

    `origin` is the path on the other side that the content is read from (a conflict copy is put from
    another name). `mode` bits to set are in `entry`.
    """

    side: Side
    path: bytes
    entry: Entry
    expect: Entry | None
    origin: bytes


class Move(msgspec.Struct, frozen=True, gc=False, tag="move"):
    """Rename `path` to `to` (nothing is there). `parked` moves go through a parking name first."""

    side: Side
    path: bytes
    to: bytes
    expect: Entry
    parked: bool = False
    is_conflict: bool = False
    """A conflict rename: the base row of `path` is dropped, not moved."""


class Delete(msgspec.Struct, frozen=True, gc=False, tag="delete"):
    """Move a file or a link into the trash."""

    side: Side
    path: bytes
    expect: Entry


class RemoveDirectory(msgspec.Struct, frozen=True, gc=False, tag="rmdir"):
    """Remove a directory that has become empty. Not empty is Stale, never an error."""

    side: Side
    path: bytes
    expect: Entry


class SetMode(msgspec.Struct, frozen=True, gc=False, tag="chmod"):
    """Change permission bits only."""

    side: Side
    path: bytes
    mode: int
    expect: Entry


Action = MakeDirectory | Put | Move | Delete | RemoveDirectory | SetMode


class Level(enum.IntEnum):
    """The order of a plan. Within a level actions are independent, but for the orders named here."""

    CONFLICT_RENAME = 0
    CLEAR = 1  # deletes, then rmdirs bottom-up, that make room for another kind at the same name
    DIRECTORY = 2  # parents first
    MOVE = 3  # in the plan's own order; parked ones first leave, last arrive
    PUT = 4
    DELETE = 5
    REMOVE_DIRECTORY = 6  # children first
    METADATA = 7  # children first, so that a read-only directory is filled before


class TrashRef(msgspec.Struct, frozen=True):
    """Where displaced bytes lie: the batch and the slot in one tree's trash."""

    side: Side
    batch: str
    slot: str


class Done(msgspec.Struct, frozen=True, gc=False, tag="done"):
    """The action holds. `entry` and `hint` are what is at the target now (None after a removal)."""

    action: Action
    entry: Entry | None
    hint: StatHint | None
    trash: TrashRef | None = None
    """What was replaced or removed, kept in the trash."""


class Stale(msgspec.Struct, frozen=True, gc=False, tag="stale"):
    """The target, the content or a parent is not what the plan saw. Observe `paths` again, plan again.

    `kept` is set in the one case where foreign bytes ended in the trash (an edit that raced twice with
    an exchange): it becomes a conflict record. `is_in_doubt`: it may have been done all the same.
    """

    action: Action
    source_paths: tuple[bytes, ...] = ()
    destination_paths: tuple[bytes, ...] = ()
    kept: TrashRef | None = None
    is_in_doubt: bool = False


class Failed(msgspec.Struct, frozen=True, gc=False, tag="failed"):
    """The action could not be done; the path gets an issue. `is_fatal` stops the batch's side (disk
    full, read-only file system, root gone). `is_in_doubt`: it was done, and may not last; `trash` is what it
    displaced then."""

    action: Action
    reason: Reason
    detail: str
    is_fatal: bool = False
    is_in_doubt: bool = False
    trash: TrashRef | None = None


Result = Done | Stale | Failed


def displaced_bytes(result: Result) -> int:
    """What a result put into the trash."""
    if isinstance(result, Stale) or result.trash is None:
        return 0
    expect = result.action.expect if isinstance(result.action, Put | Delete) else None
    return 0 if expect is None else expect.size
