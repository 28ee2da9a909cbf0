"""What is known about one path on three trees: the input of reconcile."""

import msgspec

from syncd.core.entry import Entry, Side

_SOURCE = Side.SOURCE
"""A member of an enumeration costs more to look up than to compare."""


class PathState(msgspec.Struct, frozen=True, gc=False):
    """Source, destination and base of one path, with the identity evidence that a move needs.

    None is absent. `*_unknown` says that the side could not be listed here: its absence proves nothing.
    Node ids are the index's; 0 is none. `base_source_node` is the node that the base row was made from:
    the same node under another path is a move. `*_only_ignored` marks a directory that holds nothing but
    ignored content (at any depth). `unverified` marks a base judged equal unread. `*_is_unstamped`: its
    content last changed in place, and without a new time stamp.
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
    source_is_unstamped: bool = False
    destination_is_unstamped: bool = False

    def at(self, side: Side) -> Entry | None:
        return self.source if side is _SOURCE else self.destination

    def is_unknown(self, side: Side) -> bool:
        return self.source_unknown if side is _SOURCE else self.destination_unknown

    def node(self, side: Side) -> int:
        return self.source_node if side is _SOURCE else self.destination_node

    def base_node(self, side: Side) -> int:
        return self.base_source_node if side is _SOURCE else self.base_destination_node

    def is_unstamped(self, side: Side) -> bool:
        return self.source_is_unstamped if side is _SOURCE else self.destination_is_unstamped

    def holds_only_ignored(self, side: Side) -> bool:
        return self.source_only_ignored if side is _SOURCE else self.destination_only_ignored
