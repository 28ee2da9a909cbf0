"""What is known about one path on three trees: the input of reconcile."""

import enum

import msgspec

from syncd.core.entry import Entry, Side

_SOURCE = Side.SOURCE
"""A member of an enumeration costs more to look up than to compare."""


class Damage(enum.IntEnum):
    """What a crash seems to have done to a file. The values are flags of the index."""

    NONE = 0
    CUT_SHORT = 16
    """It shrank in place, without a new time stamp."""
    ZEROED = 32
    """It kept its size and its stamp, and holds nothing but zeros."""
    ROLLED_BACK = 64
    """It is older than it was: its last version did not reach the disk."""
    ALTERED = 128
    """Other bytes in place under the same stamp: torn, or what a data base had synced without one."""


class PathState(msgspec.Struct, frozen=True, gc=False):
    """Source, destination and base of one path, with the identity evidence that a move needs.

    None is absent. `*_unknown` says that the side could not be listed here: its absence proves nothing.
    Node ids are the index's; 0 is none. `base_source_node` is the node that the base row was made from:
    the same node under another path is a move. `*_only_ignored` marks a directory that holds nothing but
    ignored content (at any depth). `unverified` marks a base judged equal unread. `*_damage`: what the
    first look after a crash found it to have suffered.
    """

    path: bytes
    base: Entry | None = None
    source: Entry | None = None
    destination: Entry | None = None
    source_unknown: bool = False
    destination_unknown: bool = False
    source_node: int = 0
    destination_node: int = 0
    base_source_node: int = 0
    base_destination_node: int = 0
    source_only_ignored: bool = False
    destination_only_ignored: bool = False
    unverified: bool = False
    source_damage: Damage = Damage.NONE
    destination_damage: Damage = Damage.NONE

    def at(self, side: Side) -> Entry | None:
        return self.source if side is _SOURCE else self.destination

    def is_unknown(self, side: Side) -> bool:
        return self.source_unknown if side is _SOURCE else self.destination_unknown

    def node(self, side: Side) -> int:
        return self.source_node if side is _SOURCE else self.destination_node

    def base_node(self, side: Side) -> int:
        return self.base_source_node if side is _SOURCE else self.base_destination_node

    def damage(self, side: Side) -> Damage:
        return self.source_damage if side is _SOURCE else self.destination_damage

    def holds_only_ignored(self, side: Side) -> bool:
        return self.source_only_ignored if side is _SOURCE else self.destination_only_ignored
