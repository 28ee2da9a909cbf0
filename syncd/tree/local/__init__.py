"""A local directory as a tree: everything beneath one root descriptor, changed atomically and durably.

`tree.py` is the door; read then `scan.py`, `apply.py`, `stage.py`, `place.py`, `recover.py`. Nothing
outside this package may use more than what is named here, and the marker's `claim.py`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from syncd.tree.local.trash import TrashEntry
    from syncd.tree.local.tree import LocalTree

__all__ = ["LocalTree", "TrashEntry"]


def __getattr__(name: str) -> Any:
    """Import on demand: the walker's process needs little of this package, and starts the sooner."""
    if name == "LocalTree":
        from syncd.tree.local.tree import LocalTree

        return LocalTree
    if name == "TrashEntry":
        from syncd.tree.local.trash import TrashEntry

        return TrashEntry
    raise AttributeError(name)
