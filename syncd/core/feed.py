"""The feed of an index as values: numbered changes, pages of them, and the cursor of a reader.

Pure; imports nothing of syncd. `seq` only grows within an epoch. A cursor of another epoch, or below the
floor, is answered `needs_resync`, never silently "from the start".
"""

import msgspec


class Cursor(msgspec.Struct, frozen=True):
    """How far a reader has come: every change up to and including `seq` of `epoch`."""

    epoch: str
    seq: int

    def __post_init__(self) -> None:
        if self.seq < 0:
            raise ValueError(f"a cursor cannot stand at seq {self.seq}")


class Change(msgspec.Struct, frozen=True, gc=False):
    """The latest change of one node; earlier ones of the same node are folded into it.

    `parent_id` and `name` are where the node is now (0 and empty once deleted); `last_parent_id` and
    `last_name` are where it was last seen. `created_seq` is the seq at which the node came to be: past a
    reader's cursor, the node is new to that reader, and a deleted one never existed for it.
    """

    seq: int
    node_id: int
    is_deleted: bool
    parent_id: int
    name: bytes
    last_parent_id: int
    last_name: bytes
    created_seq: int

    def is_new_to(self, cursor: Cursor) -> bool:
        """Did the node come to be after the reader's last visit?"""
        return self.created_seq > cursor.seq


class ChangePage(msgspec.Struct, frozen=True):
    """Changes in seq order, read in one snapshot with the `head` of the feed.

    `more`: further changes wait past the last of this page. `needs_resync`: the cursor is useless, the
    page holds nothing, and the reader must compare with a full listing and go on from `head`.
    """

    changes: tuple[Change, ...]
    head: Cursor
    more: bool = False
    needs_resync: bool = False

    @property
    def next(self) -> Cursor:
        """The cursor after this page has been taken in."""
        if self.more and self.changes:
            return Cursor(self.head.epoch, self.changes[-1].seq)
        return self.head
