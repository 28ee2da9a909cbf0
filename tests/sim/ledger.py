"""What must never be lost: every content that a user ever wrote, and what must never be seen.

S1: a content is in a tree or in a trash, at every instant, unless a user destroyed it with his own hands.
S2: a name in a tree never shows a content that no user wrote (a torn or a partial file).
"""

from collections.abc import Iterator

from syncd.core.entry import Kind
from syncd.tree.memory_disk import Disk, Node


class Ledger:
    """Contents by their bytes: each is written once, so bytes tell who wrote them and when."""

    def __init__(self) -> None:
        self.written: set[bytes] = set()
        self.required: dict[bytes, str] = {}
        """What must still be somewhere, and who wrote it where."""
        self._count = 0

    def fresh(self, story: str, size: int) -> bytes:
        """A new content of about `size` bytes, entered in the ledger when it is written."""
        self._count += 1
        head = b"%d %s " % (self._count, story.encode("utf-8", "backslashreplace"))
        return head + b"." * max(0, size - len(head))

    def wrote(self, data: bytes, story: str) -> None:
        if data:
            self.written.add(data)
            self.required[data] = story

    def destroyed(self, data: bytes) -> None:
        """A user overwrote or deleted this himself."""
        self.required.pop(data, None)

    def missing(self, disks: list[Disk]) -> list[str]:
        """S1: stories of contents that are nowhere any more."""
        there = {node.data for disk in disks for node in everything(disk)}
        return [story for data, story in self.required.items() if data not in there]

    def unheard(self, disk: Disk) -> list[bytes]:
        """S2: paths that show what nobody wrote."""
        return [
            path
            for path, node in disk.walk()
            if node.kind is Kind.FILE and node.data and node.data not in self.written
        ]


def everything(disk: Disk) -> Iterator[Node]:
    """All files of a disk, tree and trash."""
    stack = [disk.root, disk.control]
    while stack:
        node = stack.pop()
        if node.kind is Kind.FILE:
            yield node
        stack.extend(node.children.values())
