"""A file system in memory: what `MemoryTree` stands on and what the simulation's user edits.

Inodes are recycled (lowest free number first, as ext4 does), times come from an injected clock and are cut
to a granularity, names are bytes. Everything has two images: what a running system sees, and what survives a
power cut. A cut drops a random part of the directory operations that were not synced, closed under
dependency (no file system loses an inode by reordering), and tears content that was not synced. The user's
own operations are durable at once, so that whatever a cut destroys is the fault of the program under test.

No syncd code but the core may be imported here: this is the ground, not the tree.
"""

import errno
import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

from blake3 import blake3

from syncd.core.entry import Entry, Kind, StatHint

Listener = Callable[[str, bytes], None]
"""Called with the kind of change and the path beneath the root, after the change."""


class Saved(NamedTuple):
    """What of an inode survives a power cut."""

    data: bytes
    mode: int
    mtime_ns: int
    ctime_ns: int


class Node:
    """An inode. `children` is what runs, `durable` what survives; `links` counts names."""

    __slots__ = (
        "children", "ctime_ns", "data", "durable", "kind", "links", "mode", "mtime_ns", "name", "number",
        "opened", "parent", "saved", "target",
    )  # fmt: skip

    def __init__(self, number: int, kind: Kind, mode: int, now_ns: int) -> None:
        self.number = number
        self.kind = kind
        self.mode = mode
        self.mtime_ns = now_ns
        self.ctime_ns = now_ns
        self.data = b""
        self.target = b""
        self.children: dict[bytes, Node] = {}
        self.durable: dict[bytes, Node] = {}
        self.saved: Saved | None = None
        self.links = 0
        self.opened = 0
        self.parent: Node | None = None
        self.name = b""

    @property
    def size(self) -> int:
        return len(self.data) if self.kind is Kind.FILE else len(self.target)

    @property
    def image(self) -> Saved:
        return Saved(self.data, self.mode, self.mtime_ns, self.ctime_ns)

    @property
    def hint(self) -> StatHint:
        return StatHint(self.number, self.size, self.mtime_ns, self.ctime_ns)

    def digest(self) -> bytes:
        return blake3(self.data).digest()

    def entry(self, *, with_digest: bool = True) -> Entry:
        if self.kind is Kind.SYMLINK:
            return Entry(Kind.SYMLINK, size=self.size, mtime_ns=self.mtime_ns, target=self.target)
        if self.kind is not Kind.FILE:
            return Entry(self.kind, mode=self.mode)
        digest = self.digest() if with_digest else None
        return Entry(Kind.FILE, self.mode, self.size, self.mtime_ns, digest)


class Change(NamedTuple):
    """One name of one directory: what it held and what it holds now."""

    directory: Node
    name: bytes
    before: Node | None
    after: Node | None


Key = tuple[str, int, bytes]


class Operation:
    """Changes that reach the disk together or not at all, and what they depend on.

    A later operation depends on an earlier one that wrote the same name, that gave it its inode or its
    directory, or that took something out of a directory which it removes.
    """

    __slots__ = ("changes", "needs", "writes")

    def __init__(self, changes: tuple[Change, ...]) -> None:
        self.changes = changes
        self.writes: set[Key] = set()
        needs: set[Key] = set()
        for directory, name, before, after in changes:
            self.writes |= {("name", directory.number, name), ("in", directory.number, b"")}
            needs |= {("name", directory.number, name), ("node", directory.number, b"")}
            for node in (before, after):
                if node is not None:
                    self.writes.add(("node", node.number, b""))
                    needs |= {("node", node.number, b""), ("in", node.number, b"")}
        self.needs = needs


def split(path: bytes) -> list[bytes]:
    return path.split(b"/") if path else []


class Disk:
    """One file system: `root` is the tree that is synchronised, `control` is beside it and never listed."""

    def __init__(self, clock: Callable[[], int], *, granularity_ns: int = 1, seed_inode: int = 2) -> None:
        self._clock = clock
        self.granularity_ns = granularity_ns
        self._free: list[int] = []
        self._next_inode = seed_inode
        self.journal: list[Operation] = []
        self._dirty: dict[int, Node] = {}
        self.listeners: list[Listener] = []
        self.is_mounted = True
        self.attachments = 1
        self.marker: str | None = None
        self.root = self.new_node(Kind.DIRECTORY, 0o755)
        self.control = self.new_node(Kind.DIRECTORY, 0o700)
        self.in_flight: set[bytes] = set()  # batches that were begun and not finished; durable at once
        self.root.links = self.control.links = 1

    # Time and inodes.

    def now_ns(self) -> int:
        """File-system time: the clock, cut to the granularity of time stamps."""
        now = self._clock()
        return now - now % self.granularity_ns

    def new_node(self, kind: Kind, mode: int) -> Node:
        if self._free:
            number = min(self._free)
            self._free.remove(number)
        else:
            number = self._next_inode
            self._next_inode += 1
        node = Node(number, kind, mode, self.now_ns())
        self._dirty[id(node)] = node
        return node

    def release(self, node: Node) -> None:
        """Give the inode number back once no name and no open file holds it."""
        if node.links <= 0 and node.opened <= 0:
            self._free.append(node.number)

    # Looking.

    def find(self, path: bytes, top: Node | None = None) -> Node:
        """The inode at `path`, links not followed. Raises ENOENT, ENOTDIR or ELOOP."""
        node = self.root if top is None else top
        for name in split(path):
            if node.kind is not Kind.DIRECTORY:
                raise OSError(errno.ELOOP if node.kind is Kind.SYMLINK else errno.ENOTDIR, "not a directory")
            child = node.children.get(name)
            if child is None:
                raise FileNotFoundError(errno.ENOENT, "no such name")
            node = child
        return node

    def at(self, path: bytes) -> Node | None:
        """The inode at `path`, None when there is none."""
        try:
            return self.find(path)
        except OSError:
            return None

    def parent_of(self, path: bytes) -> tuple[Node, bytes]:
        """The directory that holds `path`, and the name in it."""
        parent, _, name = path.rpartition(b"/")
        directory = self.find(parent)
        if directory.kind is not Kind.DIRECTORY:
            code = errno.ELOOP if directory.kind is Kind.SYMLINK else errno.ENOTDIR
            raise OSError(code, "not a directory")
        return directory, name

    def walk(self, top: bytes = b"") -> Iterator[tuple[bytes, Node]]:
        """Everything beneath `top`, parents first, sorted."""
        node = self.at(top)
        for name in sorted(node.children if node else ()):
            path = top + b"/" + name if top else name
            yield path, self.find(path)
            yield from self.walk(path)

    def image(self) -> dict[bytes, tuple[Kind, bytes, int]]:
        """The visible tree as a value: kind, content or target, mode by path."""
        return {
            path: (node.kind, node.target or node.data, 0 if node.kind is Kind.SYMLINK else node.mode)
            for path, node in self.walk()
        }

    def path_of(self, directory: Node, name: bytes) -> bytes | None:
        """The path beneath the root; None for what is in the control directory."""
        names = [name]
        node = directory
        while node.parent is not None:
            names.append(node.name)
            node = node.parent
        return b"/".join(reversed(names)) if node is self.root else None

    # Changing names: each call is atomic and lands in the journal.

    def link_new(self, directory: Node, name: bytes, node: Node) -> None:
        """Give `node` a name that is free. Raises EEXIST."""
        self._check_alive(directory)
        if name in directory.children:
            raise FileExistsError(errno.EEXIST, "name is taken")
        self._check_name(name)
        self._record("create", (Change(directory, name, None, node),))

    def unlink(self, directory: Node, name: bytes) -> None:
        """Remove a name; a directory must be empty."""
        node = directory.children.get(name)
        if node is None:
            raise FileNotFoundError(errno.ENOENT, "no such name")
        if node.children:
            raise OSError(errno.ENOTEMPTY, "directory is not empty")
        self._record("remove", (Change(directory, name, node, None),))
        self.release(node)

    def rename(self, source: Node, name: bytes, target: Node, to: bytes, *, replace: bool = False) -> None:
        """Rename; without `replace` a taken name is EEXIST (RENAME_NOREPLACE)."""
        node, old = source.children.get(name), target.children.get(to)
        if node is None:
            raise FileNotFoundError(errno.ENOENT, "no such name")
        self._check_alive(target)
        self._check_name(to)
        if old is not None and not replace:
            raise FileExistsError(errno.EEXIST, "name is taken")
        if old is node:
            return
        self._check_cycle(node, target)
        if old is not None:
            is_directory = node.kind is Kind.DIRECTORY
            if (old.kind is Kind.DIRECTORY) is not is_directory:
                raise OSError(errno.ENOTDIR if is_directory else errno.EISDIR, "kinds differ")
            if old.children:
                raise OSError(errno.ENOTEMPTY, "directory is not empty")
        self._record("rename", (Change(source, name, node, None), Change(target, to, old, node)))
        if old is not None:
            self.release(old)

    def exchange(self, source: Node, name: bytes, target: Node, to: bytes) -> None:
        """Swap two names (RENAME_EXCHANGE)."""
        a, b = source.children.get(name), target.children.get(to)
        if a is None or b is None:
            raise FileNotFoundError(errno.ENOENT, "no such name")
        self._check_cycle(a, target)
        self._check_cycle(b, source)
        self._record("exchange", (Change(source, name, a, b), Change(target, to, b, a)))

    def _check_alive(self, directory: Node) -> None:
        if directory.links <= 0:
            raise FileNotFoundError(errno.ENOENT, "the directory was removed")

    def _check_name(self, name: bytes) -> None:
        if not name or name in (b".", b"..") or b"/" in name or b"\0" in name:
            raise OSError(errno.EINVAL, "not a name")
        if len(name) > 255:
            raise OSError(errno.ENAMETOOLONG, "name is too long")

    def _check_cycle(self, node: Node, directory: Node) -> None:
        step: Node | None = directory
        while step is not None:
            if step is node:
                raise OSError(errno.EINVAL, "a directory cannot hold itself")
            step = step.parent

    def _record(self, what: str, changes: tuple[Change, ...]) -> None:
        now = self.now_ns()
        paths = [self.path_of(change.directory, change.name) for change in changes]
        for directory, name, before, after in changes:
            if before is not None:
                before.links -= 1
                before.ctime_ns = now
            if after is None:
                directory.children.pop(name, None)
            else:
                directory.children[name] = after
            directory.mtime_ns = directory.ctime_ns = now
        for directory, name, _, after in changes:
            if after is not None:
                after.links += 1
                after.ctime_ns = now
                after.parent, after.name = directory, name
        self.journal.append(Operation(changes))
        for path in paths:
            if path is not None:
                self._tell(what, path)

    def _tell(self, what: str, path: bytes) -> None:
        for listener in self.listeners:
            listener(what, path)

    # Changing inodes.

    def set_data(self, node: Node, data: bytes) -> None:
        node.data = data
        node.mtime_ns = node.ctime_ns = self.now_ns()
        self._touched(node, "write")

    def set_mode(self, node: Node, mode: int) -> None:
        node.mode = mode
        node.ctime_ns = self.now_ns()
        self._touched(node, "chmod")

    def set_mtime(self, node: Node, mtime_ns: int) -> None:
        node.mtime_ns = mtime_ns - mtime_ns % self.granularity_ns
        node.ctime_ns = self.now_ns()
        self._touched(node, "utime")

    def _touched(self, node: Node, what: str) -> None:
        self._dirty[id(node)] = node
        if node.links > 0 and node.parent is not None:
            path = self.path_of(node.parent, node.name)
            if path is not None:
                self._tell(what, path)

    # Durability.

    def sync(self) -> None:
        """syncfs: everything that was done until now survives a cut."""
        for operation in self.journal:
            self._settle(operation)
        self.journal.clear()
        for node in self._dirty.values():
            node.saved = node.image
        self._dirty.clear()

    def sync_node(self, node: Node) -> None:
        """fsync of a file: its content survives, its name only if the directory does."""
        node.saved = node.image
        self._dirty.pop(id(node), None)

    def sync_last(self) -> None:
        """Make the last operation durable, with what it depends on and nothing else."""
        if not self.journal:
            return
        wanted, needs = [self.journal[-1]], set(self.journal[-1].needs)
        for operation in reversed(self.journal[:-1]):
            if needs & operation.writes:
                wanted.append(operation)
                needs |= operation.needs
        for operation in reversed(wanted):
            self._settle(operation)
        chosen = {id(operation) for operation in wanted}
        self.journal = [operation for operation in self.journal if id(operation) not in chosen]

    def _settle(self, operation: Operation) -> None:
        for directory, name, _, after in operation.changes:
            if after is None:
                directory.durable.pop(name, None)
            else:
                directory.durable[name] = after

    def power_cut(self, rng: random.Random) -> None:
        """Come back with what was durable and a random part of what was not."""
        self.attachments += 1
        dropped: set[Key] = set()
        chance = rng.choice((0.1, 0.5, 0.9))
        for operation in self.journal:
            if operation.needs & dropped or rng.random() < chance:
                dropped |= operation.writes
            else:
                self._settle(operation)
        self.journal.clear()
        torn = {id(node) for node in self._dirty.values()}
        self._dirty.clear()
        numbers: set[int] = set()
        for top in (self.root, self.control):
            self._come_back(top, torn, rng, numbers)
        self._next_inode = max(numbers) + 1
        self._free = [number for number in range(2, self._next_inode) if number not in numbers]

    def _come_back(self, node: Node, torn: set[int], rng: random.Random, numbers: set[int]) -> None:
        numbers.add(node.number)
        node.opened, node.links = 0, 1
        node.children = dict(node.durable)
        if id(node) in torn and node.kind is Kind.FILE:
            saved = node.saved
            images = [saved] if saved else [node.image._replace(data=node.data[:half]) for half in (0, 3)]
            node.data, node.mode, node.mtime_ns, node.ctime_ns = rng.choice([*images, node.image])
        node.saved = node.image
        for name in sorted(node.children):
            child = node.children[name]
            child.parent, child.name = node, name
            self._come_back(child, torn, rng, numbers)
