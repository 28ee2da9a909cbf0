"""A local directory as a tree: everything beneath one root descriptor, changed atomically and durably.

`tree.py` is the door; read then `scan.py`, `apply.py`, `stage.py`, `place.py`, `recover.py`. Nothing
outside this package may use more than what is named here.
"""

from syncd.tree.local.trash import TrashEntry
from syncd.tree.local.tree import LocalTree

__all__ = ["LocalTree", "TrashEntry"]
