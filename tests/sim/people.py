"""People who work in the trees while syncd runs: random edits on few names, so that they collide."""

import random

from syncd.core.entry import Kind, Side
from syncd.tree.memory_disk import Disk, Node
from syncd.tree.memory_user import Handle, User
from tests.sim.ledger import Ledger
from tests.sim.promise import Image, beneath

NAMES = (b"a", b"b", b"c.txt", b"d", b"caf\xe9", "e\u0301".encode())
MAX_DEPTH = 3


class Person:
    """Works on one side. `act` does one thing; what it does follows from the seed and the tree alone.

    `home`: a directory of this person alone (of nobody: the whole tree). What is beneath it changes by
    `act` only.
    """

    def __init__(self, side: Side, disk: Disk, ledger: Ledger, rng: random.Random, home: bytes = b"") -> None:
        self.side = side
        self.disk = disk
        self.home = home
        self.user = User(disk)
        if home:
            self.user.mkdir(home)
        self.told: list[str] = []
        self._ledger = ledger
        self._rng = rng
        self._handles: list[Handle] = []
        self.meddled: list[str] = []
        self._left: Image = {}

    def act(self) -> str | None:
        """One random operation; None when it made no sense here."""
        deeds = (
            (self._write, 8),
            (self._edit, 6),
            (self._delete, 3),
            (self._rename, 5),
            (self._mkdir, 3),
            (self._symlink, 1),
            (self._chmod, 1),
            (self._save_by_rename, 3),
            (self._append_through_handle, 2),
            (self._swap, 1),
        )
        deed = self._rng.choices([one for one, _ in deeds], [weight for _, weight in deeds])[0]
        self.check_home()
        try:
            told = deed()
        except OSError as error:
            told = None
            del error
        self.remember_home()
        if told is not None:
            self.told.append(told)
        return told

    def at_home(self) -> Image:
        """What is beneath `home` at this side."""
        return beneath(self.disk.image(), self.home) if self.home else {}

    def remember_home(self) -> None:
        self._left = self.at_home()

    def check_home(self) -> None:
        """Note in `meddled` what somebody else did there."""
        now = self.at_home()
        for path in sorted({*now, *self._left}):
            if now.get(path) != self._left.get(path):
                was, found = self._left.get(path), now.get(path)
                self.meddled.append(f"{self.side.word} left {path!r} as {was}, now it is {found}")
        self._left = now

    def leave(self) -> None:
        """Close what is open."""
        for handle in self._handles:
            handle.close()
        self._handles.clear()

    def change_one(self, path: bytes) -> bytes:
        """Write to a file and nothing else; the new content."""
        data = self._ledger.fresh(f"{self.side.word} last {path!r}", 60)
        self._put(path, data)
        self.remember_home()
        return data

    # Where.

    def _paths(self, *kinds: Kind) -> list[bytes]:
        found = self.disk.walk(self.home)
        return [path for path, node in found if not kinds or node.kind in kinds]

    def _some(self, *kinds: Kind) -> bytes | None:
        paths = self._paths(*kinds)
        return self._rng.choice(paths) if paths else None

    def _place(self) -> bytes:
        """A path that may or may not be taken, in a directory that exists."""
        deepest = MAX_DEPTH - 1 + bool(self.home)
        folders = [
            self.home,
            self.home,
            *(p for p in self._paths(Kind.DIRECTORY) if p.count(b"/") < deepest),
        ]
        folder = self._rng.choice(folders)
        name = self._rng.choice(NAMES)
        return folder + b"/" + name if folder else name

    # What.

    def _content(self, path: bytes) -> bytes:
        size = self._rng.choice((0, 24, 24, 40, 40, 100, 5000))
        if size == 0 and self._rng.random() < 0.7:
            size = 40
        story = f"{self.side.word} {path!r}"
        return self._ledger.fresh(story, size) if size else b""

    def _lose(self, node: Node | None) -> None:
        """What this person destroys is no longer asked for, unless it has another name."""
        if node is None:
            return
        if node.kind is Kind.FILE:
            self._ledger.destroyed(node.data)
        for child in node.children.values():
            self._lose(child)

    def _put(self, path: bytes, data: bytes) -> str:
        self._lose(self.disk.at(path))
        self.user.write(path, data)
        self._ledger.wrote(data, f"{self.side.word} {path!r}")
        return f"write {path!r} {data[:24]!r}"

    def _write(self) -> str | None:
        path = self._place()
        node = self.disk.at(path)
        if node is not None and node.kind is not Kind.FILE:
            return None
        return self._put(path, self._content(path))

    def _edit(self) -> str | None:
        path = self._some(Kind.FILE)
        if path is None:
            return None
        data = self._content(path)
        old = self.user.read(path)
        if old and self._rng.random() < 0.4:
            data = data[: len(old)].ljust(len(old), b"=")
        return self._put(path, data)

    def _append_through_handle(self) -> str | None:
        """Open a file now, write to it at some later time, wherever it is by then."""
        if self._handles and self._rng.random() < 0.6:
            handle = self._handles.pop(self._rng.randrange(len(self._handles)))
            data = self._ledger.fresh(f"{self.side.word} handle", 40)
            if handle.node.links > 0:
                self._ledger.destroyed(handle.node.data)
                handle.write(data)
                self._ledger.wrote(data, f"{self.side.word} through a handle")
            handle.close()
            return f"write through handle {data[:24]!r}"
        path = self._some(Kind.FILE)
        if path is None:
            return None
        self._handles.append(self.user.open(path))
        return f"open {path!r}"

    def _save_by_rename(self) -> str | None:
        """As editors save: write beside it, rename over it."""
        path = self._some(Kind.FILE)
        if path is None:
            return None
        draft = path + b"~"
        if self.disk.at(draft) is not None:
            return None
        data = self._content(path)
        self._put(draft, data)
        self._lose(self.disk.at(path))
        self.user.rename(draft, path)
        return f"save {path!r} {data[:24]!r}"

    def _delete(self) -> str | None:
        path = self._some()
        if path is None:
            return None
        self._lose(self.disk.at(path))
        self.user.delete(path)
        return f"delete {path!r}"

    def _rename(self) -> str | None:
        path, to = self._some(), self._place()
        if path is None or to == path or (to + b"/").startswith(path + b"/"):
            return None
        node, old = self.disk.find(path), self.disk.at(to)
        if old is not None and (old.kind is Kind.DIRECTORY or node.kind is Kind.DIRECTORY):
            return None
        self._lose(old)
        self.user.rename(path, to)
        return f"rename {path!r} {to!r}"

    def _swap(self) -> str | None:
        """Two files exchange their names."""
        a, b = self._some(Kind.FILE), self._some(Kind.FILE)
        if a is None or b is None or a == b or self.disk.at(a + b"~swap") is not None:
            return None
        self.user.rename(a, a + b"~swap")
        self.user.rename(b, a)
        self.user.rename(a + b"~swap", b)
        return f"swap {a!r} {b!r}"

    def _mkdir(self) -> str:
        path = self._place()
        self.user.mkdir(path)
        return f"mkdir {path!r}"

    def _symlink(self) -> str:
        path = self._place()
        self.user.symlink(path, self._rng.choice((b"a", b"../x", b"/nowhere", b"caf\xe9")))
        return f"symlink {path!r}"

    def _chmod(self) -> str | None:
        path = self._some(Kind.FILE)
        if path is None:
            return None
        mode = self._rng.choice((0o644, 0o755, 0o600))
        self.user.chmod(path, mode)
        return f"chmod {path!r} {mode:o}"
