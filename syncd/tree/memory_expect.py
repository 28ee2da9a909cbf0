"""Is it what the plan saw? The checks before a name changes and the look after it, and how to say no.

May import the core and `memory_disk` only.
"""

from syncd.core.action import Action, Move, Put, Stale, TrashRef
from syncd.core.entry import Entry, Kind, Side, StatHint
from syncd.tree.memory_disk import Disk, Node


class OtherError(Exception):
    """The target is something else than planned."""


class Expectations:
    """Compares inodes with entries on one disk, under the permission bits that it keeps."""

    def __init__(self, disk: Disk, mode_mask: int) -> None:
        self._disk = disk
        self._mode_mask = mode_mask

    def checked(self, node: Node | None, expect: Entry, hint: StatHint | None) -> StatHint:
        """The stat of what the plan saw; raises OtherError when it is something else, or may be."""
        if node is None or not self._has_kind_and_mode(node, expect):
            raise OtherError
        if node.kind is Kind.SYMLINK and node.target != expect.target:
            raise OtherError
        is_read = node.kind is Kind.FILE and (hint != node.hint or self.is_racy(node))
        if is_read and (expect.digest is None or node.digest() != expect.digest):
            raise OtherError
        return node.hint

    def is_same(self, node: Node, expect: Entry, before: StatHint) -> bool:
        """Is what left its name what was checked? Its ctime was just changed by the rename itself."""
        if not self._has_kind_and_mode(node, expect):
            return False
        if node.kind is Kind.SYMLINK:
            return node.target == expect.target
        if node.kind is not Kind.FILE:
            return node.number == before.inode
        seen = (node.number, node.size, node.mtime_ns)
        if seen == (before.inode, before.size, before.mtime_ns) and not self.is_racy(node):
            return True
        return expect.digest is not None and node.digest() == expect.digest

    def _has_kind_and_mode(self, node: Node, expect: Entry) -> bool:
        if node.kind is not expect.kind or node.kind is Kind.SPECIAL:
            return False
        mask = 0 if node.kind is Kind.SYMLINK else self._mode_mask
        return (node.mode ^ expect.mode) & mask == 0

    def is_racy(self, node: Node) -> bool:
        """A change in the running tick of the clock leaves no trace in the stat."""
        return node.mtime_ns >= self._disk.now_ns()

    def fresh_hint(self, node: Node) -> StatHint:
        """The stat to store; smudged while a further change would leave no trace in it."""
        return smudged(node.hint) if node.kind is Kind.FILE and self.is_racy(node) else node.hint


def smudged(hint: StatHint) -> StatHint:
    """A hint that no lstat will ever equal, so that the next observation reads again."""
    return StatHint(hint.inode, hint.size, hint.mtime_ns, 0)


def stale(action: Action, kept: TrashRef | None = None) -> Stale:
    """The target is not what was planned: look at it, at its parent and at a move's new name again."""
    paths = [action.path, action.path.rpartition(b"/")[0]]
    if isinstance(action, Move):
        paths += [action.to, action.to.rpartition(b"/")[0]]
    return stale_at(action, action.side, tuple(dict.fromkeys(paths)), kept)


def stale_content(action: Put) -> Stale:
    """The content to put is not what was planned: look at its origin again."""
    return stale_at(action, action.side.other, (action.origin,))


def stale_at(action: Action, side: Side, paths: tuple[bytes, ...], kept: TrashRef | None = None) -> Stale:
    if side is Side.SOURCE:
        return Stale(action, source_paths=paths, kept=kept)
    return Stale(action, destination_paths=paths, kept=kept)
