"""What must stay the same for a root to be the root. Pure; imports nothing of syncd."""

import msgspec


class RootIdentity(msgspec.Struct, frozen=True):
    """What must stay the same for a root to be the root."""

    device: int
    inode: int
    filesystem_id: str
    marker: str | None = None
    """The pair key in the marker, None where the tree has none (it is never written)."""
    had_marker: bool = False
    """The marker was there, and ours, before this run: a pair without a base has lost its state."""
    attachment: str = ""
    """The time for which the medium has been at the running system: another one after each boot. What was
    written but not synced in an earlier one may be lost. Empty where the system does not tell."""
