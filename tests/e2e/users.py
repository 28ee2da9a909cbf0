"""Seeded users who edit real directories, and the ledger of every content that they ever wrote.

A content is required until a user destroys, with his own hands, the last copy that there is. What is seen of
syncd is only what lies on the disk: trees and trash.
"""

import contextlib
import os
import random
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.e2e.disk import files, kept, picture, read, walk

NAMES = (b"a", b"b", b"c.txt", b"d", b"caf\xe9", "e\u0301 f".encode(), b".h")
MAX_DEPTH = 4
ANCHORS = ("anchor one", "anchor two")
"""Files that nobody touches, so that no side is ever emptied."""


class Ledger:
    """Every content that users of these trees wrote; `required` must be in a tree or in a trash."""

    def __init__(self, *tops: bytes) -> None:
        self.tops = tops
        self.written: set[bytes] = {b""}
        self.required: dict[bytes, str] = {}
        self._count = 0

    def fresh(self, story: str, size: int) -> bytes:
        """A content that was never written before, of `size` bytes or a few more."""
        self._count += 1
        head = f"{self._count} {story} ".encode()
        return (head * (1 + size // len(head)))[: max(size, len(head))]

    def wrote(self, data: bytes, story: str) -> None:
        if data:
            self.written.add(data)
            self.required[data] = story

    def will_destroy(self, full: bytes) -> None:
        """A user is about to destroy what is at `full` (a file or a whole directory)."""
        try:
            found = os.lstat(full)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(found.st_mode):
            for path, below in walk(full):
                if stat.S_ISREG(below.st_mode):
                    self._will_destroy_file(os.path.join(full, path), below, beneath=full)
        elif stat.S_ISREG(found.st_mode):
            self._will_destroy_file(full, found, beneath=full)

    def will_destroy_bytes(self, data: bytes, found: os.stat_result, beneath: bytes = b"") -> None:
        """A user is about to write over these bytes, the content of the file with this status."""
        if data and not self._is_elsewhere(data, found, beneath):
            self.required.pop(data, None)

    def _will_destroy_file(self, full: bytes, found: os.stat_result, beneath: bytes) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.will_destroy_bytes(read(full), found, beneath)

    def _is_elsewhere(self, data: bytes, found: os.stat_result, beneath: bytes) -> bool:
        """Is there another copy, in a tree or in a trash, which is not destroyed at the same time?"""
        for top in self.tops:
            for path, status in files(top):
                full = os.path.join(top, path)
                is_destroyed = beneath and full.startswith(beneath + b"/")
                if status.st_size != len(data) or status.st_ino == found.st_ino or is_destroyed:
                    continue
                with contextlib.suppress(FileNotFoundError):
                    if read(full) == data:
                        return True
        return False

    def missing(self) -> list[str]:
        """S1: stories of required contents that are in no tree and in no trash."""
        there: set[bytes] = set()
        for top in self.tops:
            there.update(item.data for item in picture(top).values())
            there.update(kept(top).values())
        return [story for data, story in self.required.items() if data not in there]

    def unheard_of(self) -> list[str]:
        """S2: names, in trees and trash, with bytes that nobody wrote: torn, mixed or partial."""
        return [
            f"{path!r}: {data[:40]!r}"
            for top in self.tops
            for path, data in (
                *((path, item.data) for path, item in picture(top).items() if item.kind == "file"),
                *kept(top).items(),
            )
            if data not in self.written
        ]


class User:
    """Edits what is beneath `home` of the tree `top`, and at the same path of `twin`, which nobody syncs.

    What is done follows from the generator and the tree (of the twin, if there is one). `is_careful`: every
    edit is on the device when it returns, as far as this user's own files go.
    """

    def __init__(
        self,
        name: str,
        top: Path,
        ledger: Ledger,
        rng: random.Random,
        *,
        home: str = "",
        twin: Path | None = None,
        is_careful: bool = False,
        sizes: Sequence[int] = (0, 30, 30, 60, 60, 300, 5000, 70_000),
    ) -> None:
        self.name = name
        self.told: list[str] = []
        self._ledger = ledger
        self._rng = rng
        self._real = os.path.join(os.fsencode(top), home.encode()) if home else os.fsencode(top)
        self._roots = [self._real]
        if twin is not None:
            self._roots.append(os.path.join(os.fsencode(twin), home.encode()) if home else os.fsencode(twin))
        self._seen = self._roots[-1]
        self._is_careful = is_careful
        self._sizes = sizes
        for root in self._roots:
            os.makedirs(root, exist_ok=True)

    def act(self) -> str | None:
        """One random deed; None when it made no sense here, or came too late."""
        deeds: tuple[tuple[Callable[[], str | None], int], ...] = (
            (self._write, 8),
            (self._edit, 5),
            (self._append, 3),
            (self._save, 4),
            (self._rename, 5),
            (self._rename_directory, 2),
            (self._delete, 3),
            (self._delete_directory, 1),
            (self._mkdir, 3),
            (self._symlink, 1),
            (self._chmod, 1),
            (self._swap, 1),
            (self._copy, 1),
            (self._touch, 1),
            (self._change_kind, 1),
            (self._burst, 1),
        )
        deed = self._rng.choices([one for one, _ in deeds], [weight for _, weight in deeds])[0]
        try:
            told = deed()
        except OSError as error:
            # It makes no sense here, or what the other user did and syncd carried over was faster.
            told = f"({deed.__name__[1:]}: {error.strerror})"
        if told is not None:
            self.told.append(f"{self.name} {told}")
        return told

    # Where.

    def _paths(self, is_wanted: Callable[[int], bool]) -> list[bytes]:
        found = [path for path, status in walk(self._seen) if is_wanted(status.st_mode)]
        return [path for path in found if not os.path.basename(path).startswith(b"anchor")]

    def _file(self) -> bytes | None:
        paths = self._paths(stat.S_ISREG)
        return self._rng.choice(paths) if paths else None

    def _directory(self) -> bytes | None:
        paths = self._paths(stat.S_ISDIR)
        return self._rng.choice(paths) if paths else None

    def place(self) -> bytes:
        """A path that may or may not be taken, in a directory that exists."""
        directories = [path for path in self._paths(stat.S_ISDIR) if path.count(b"/") < MAX_DEPTH - 2]
        directory = self._rng.choice([b"", b"", *directories])
        name = self._rng.choice(NAMES)
        return directory + b"/" + name if directory else name

    # How. Every method does one thing to the real tree and to its twin.

    def put(self, path: bytes, data: bytes, *, appends: bool = False) -> None:
        """Write in place, over what is there or behind it."""
        for root in self._roots:
            fd = os.open(os.path.join(root, path), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
            try:
                # Whatever was done to the name since, this is the file that is written.
                found = os.fstat(fd)
                old = os.read(fd, found.st_size) if found.st_size else b""
                new = old + data if appends else data
                self._ledger.wrote(new, f"{self.name} {path!r} {data[:24]!r}")
                if root is self._real and old != new:
                    self._ledger.will_destroy_bytes(old, found)
                if not appends:
                    os.ftruncate(fd, 0)
                    os.lseek(fd, 0, os.SEEK_SET)
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(fd, rest) :]
                if self._is_careful:
                    os.fsync(fd)
            finally:
                os.close(fd)
        self._sync_above(path)

    def _move(self, path: bytes, to: bytes) -> None:
        for root in self._roots:
            os.rename(os.path.join(root, path), os.path.join(root, to))
        self._sync_above(path, to)

    def _remove(self, path: bytes) -> None:
        """A file, a link, or a directory with all beneath, in whatever order they are found."""
        self._ledger.will_destroy(os.path.join(self._real, path))
        for root in self._roots:
            full = os.path.join(root, path)
            if not stat.S_ISDIR(os.lstat(full).st_mode):
                os.unlink(full)
                continue
            for below, found in reversed(list(walk(full))):
                if stat.S_ISDIR(found.st_mode):
                    os.rmdir(os.path.join(full, below))
                else:
                    self._ledger.will_destroy(os.path.join(full, below))
                    os.unlink(os.path.join(full, below))
            os.rmdir(full)
        self._sync_above(path)

    def _each(self, act: Callable[[bytes], object], path: bytes) -> None:
        for root in self._roots:
            act(os.path.join(root, path))
        self._sync_above(path)

    def _sync_above(self, *paths: bytes) -> None:
        for path in paths if self._is_careful else ():
            fd = os.open(os.path.dirname(os.path.join(self._real, path)), os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    # What.

    def _content(self, path: bytes) -> bytes:
        size = self._rng.choice(self._sizes)
        return self._ledger.fresh(f"{self.name} {path!r}", size) if size else b""

    def _write(self) -> str:
        path = self.place()
        data = self._content(path)
        self.put(path, data)
        return f"write {path!r} {data[:24]!r}"

    def _edit(self) -> str | None:
        """In place; often with as many bytes as before."""
        path = self._file()
        if path is None:
            return None
        data = self._content(path)
        size = os.lstat(os.path.join(self._seen, path)).st_size
        if size > len(data) or self._rng.random() < 0.4:
            data = self._ledger.fresh(f"{self.name} {path!r}", size)
        self.put(path, data)
        return f"edit {path!r} {data[:24]!r}"

    def _append(self) -> str | None:
        path = self._file()
        if path is None:
            return None
        more = self._ledger.fresh(f"{self.name} more", 40)
        self.put(path, more, appends=True)
        return f"append {path!r} {more[:24]!r}"

    def _save(self) -> str | None:
        """As editors save: write beside it, rename over it."""
        path = self._file()
        if path is None:
            return None
        data = self._content(path)
        self.put(path + b"~", data)
        self._ledger.will_destroy(os.path.join(self._real, path))
        self._move(path + b"~", path)
        return f"save {path!r} {data[:24]!r}"

    def _rename(self) -> str | None:
        path, to = self._file(), self.place()
        if path is None or path == to or os.path.isdir(os.path.join(self._seen, to)):
            return None
        self._ledger.will_destroy(os.path.join(self._real, to))
        self._move(path, to)
        return f"rename {path!r} {to!r}"

    def _rename_directory(self) -> str | None:
        path, to = self._directory(), self.place()
        if (
            path is None
            or (to + b"/").startswith(path + b"/")
            or os.path.lexists(os.path.join(self._seen, to))
        ):
            return None
        self._move(path, to)
        return f"rename directory {path!r} {to!r}"

    def _delete(self) -> str | None:
        path = self._file()
        if path is None:
            return None
        self._remove(path)
        return f"delete {path!r}"

    def _delete_directory(self) -> str | None:
        path = self._directory()
        if path is None:
            return None
        self._remove(path)
        return f"delete directory {path!r}"

    def _mkdir(self) -> str:
        path = self.place()
        self._each(os.mkdir, path)
        return f"mkdir {path!r}"

    def _symlink(self) -> str:
        path, target = self.place(), self._rng.choice((b"a", b"../x", b"/nowhere", b"caf\xe9"))
        self._each(lambda full: os.symlink(target, full), path)
        return f"symlink {path!r}"

    def _chmod(self) -> str | None:
        path = self._file() if self._rng.random() < 0.7 else self._directory()
        if path is None:
            return None
        is_directory = os.path.isdir(os.path.join(self._seen, path))
        mode = self._rng.choice((0o755, 0o700, 0o750) if is_directory else (0o644, 0o755, 0o600, 0o444))
        self._each(lambda full: os.chmod(full, mode), path)
        if self._is_careful:
            fd = os.open(os.path.join(self._real, path), os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
        return f"chmod {path!r} {mode:o}"

    def _swap(self) -> str | None:
        """Two files exchange their names."""
        one, other = self._file(), self._file()
        if one is None or other is None or one == other:
            return None
        self._move(one, one + b"~swap")
        self._move(other, one)
        self._move(one + b"~swap", other)
        return f"swap {one!r} {other!r}"

    def _copy(self) -> str | None:
        """The same content under another name."""
        path, to = self._file(), self.place()
        if path is None or path == to:
            return None
        self.put(to, read(os.path.join(self._seen, path)))
        return f"copy {path!r} {to!r}"

    def _touch(self) -> str | None:
        path = self._file()
        if path is None:
            return None
        self._each(os.utime, path)
        return f"touch {path!r}"

    def _change_kind(self) -> str | None:
        """A file becomes a directory with a file, a link, or is made again under its name."""
        path = self._file()
        if path is None:
            return None
        self._remove(path)
        kind = self._rng.choice(("directory", "link", "file"))
        if kind == "directory":
            self._each(os.mkdir, path)
            self.put(path + b"/inside", self._content(path))
        elif kind == "link":
            self._each(lambda full: os.symlink(b"elsewhere", full), path)
        else:
            self.put(path, self._content(path))
        return f"{path!r} becomes a {kind}"

    def _burst(self) -> str:
        """Many small files at once in a new directory."""
        path = self.place()
        self._each(os.mkdir, path)
        count = self._rng.choice((3, 8, 20))
        for number in range(count):
            self.put(b"%s/%d" % (path, number), self._ledger.fresh(f"{self.name} {path!r}", 40))
        return f"burst of {count} in {path!r}"


def anchor(*tops: Path) -> None:
    """The files that stay, the same on every side."""
    for name in ANCHORS:
        for top in tops:
            (top / name).write_text(name)
            os.utime(top / name, (1_600_000_000, 1_600_000_000))


def tell(figures: str) -> None:
    """What a run came to, for who asks with `-s`."""
    sys.stdout.write(f"\n{figures}\n")
