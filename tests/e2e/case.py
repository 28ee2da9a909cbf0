"""One scenario of the catalogue as a test: two directories, a pair in the shared daemon, the promises asked.

`scenario("BAS-01", mode="...")` gives a test its id and its pair's options. Whatever a test does, `Case.sync`
asks for the first promise: bytes that were in a tree or in a trash before are in a tree or in a trash after.
"""

import contextlib
import hashlib
import os
import stat
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from syncd.control.methods import METHODS
from tests.e2e.kit import CONTROL, MANIFEST, PATIENCE_S, Daemon

OLD_NS = 1_600_000_000_123_456_789


class Found(NamedTuple):
    """What is at a path: `data` of files only."""

    label: str
    data: bytes | None


def survey(root: bytes) -> dict[bytes, Found]:
    """Everything beneath `root` by relative path. Goes through descriptors: no path is too long."""
    found: dict[bytes, Found] = {}
    for directory, below, names, here in os.fwalk(root, follow_symlinks=False):
        above = b"" if directory == root else directory[len(root) + 1 :] + b"/"
        for name in (*below, *names):
            with contextlib.suppress(FileNotFoundError):
                found[above + name] = look(name, here)
    return found


def is_control(path: bytes) -> bool:
    return path == CONTROL or path.startswith(CONTROL + b"/")


def is_content(path: bytes) -> bool:
    """Bytes of a user: what is visible, and what lies in the trash."""
    if not is_control(path):
        return True
    return path.startswith(CONTROL + b"/trash/") and os.path.basename(path) != MANIFEST.encode()


def look(name: bytes, directory: int) -> Found:
    status = os.lstat(name, dir_fd=directory)
    bits = f"{stat.S_IMODE(status.st_mode):o}"
    if stat.S_ISLNK(status.st_mode):
        return Found(f"link {os.readlink(name, dir_fd=directory)!r}", None)
    if stat.S_ISDIR(status.st_mode):
        return Found(f"directory {bits}", None)
    if not stat.S_ISREG(status.st_mode):
        return Found(f"special {stat.S_IFMT(status.st_mode):o}", None)
    with open(os.open(name, os.O_RDONLY, dir_fd=directory), "rb") as file:
        data = file.read()
    shown = repr(data) if len(data) < 60 else hashlib.blake2b(data).hexdigest()[:16]
    return Found(f"file {bits} {shown}", data)


def scenario(*names: str, **options: Any) -> pytest.MarkDecorator:
    """Run a test once for each scenario id, with these options for the pair."""
    return pytest.mark.parametrize("case", [options] * len(names), indirect=True, ids=names)


class Side:
    """One of the two directories, as its user sees it. Paths are relative; text or bytes."""

    def __init__(self, root: str) -> None:
        self.root = os.fsencode(root)
        self._clock = OLD_NS + zlib.crc32(self.root) % 10**9

    def at(self, path: str | bytes = b"") -> bytes:
        return os.path.join(self.root, os.fsencode(path)) if path else self.root

    def write(
        self, path: str | bytes, data: str | bytes, *, mtime_ns: int | None = None, mode: int = 0o644
    ) -> None:
        """A new file by writing in place; its stamp is in the past and differs from every other one."""
        full = self.at(path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(os.fsencode(data))
        os.chmod(full, mode)
        self.stamp(path, mtime_ns)

    def edit(self, path: str | bytes, data: str | bytes) -> None:
        """Write in place as an editor does: the time is now."""
        with open(self.at(path), "wb") as file:
            file.write(os.fsencode(data))

    def append(self, path: str | bytes, data: bytes) -> None:
        with open(self.at(path), "ab") as file:
            file.write(data)

    def replace(self, path: str | bytes, data: str | bytes) -> None:
        """Write a temporary file and rename it over the name: a new inode."""
        self.write(os.fsencode(path) + b".new", data)
        os.rename(self.at(os.fsencode(path) + b".new"), self.at(path))

    def stamp(self, path: str | bytes, mtime_ns: int | None = None) -> None:
        self._clock += 1_000_000_000
        when = self._clock if mtime_ns is None else mtime_ns
        os.utime(self.at(path), ns=(when, when))

    def mkdir(self, path: str | bytes) -> None:
        os.makedirs(self.at(path), exist_ok=True)

    def symlink(self, path: str | bytes, target: str | bytes) -> None:
        os.makedirs(os.path.dirname(self.at(path)), exist_ok=True)
        os.symlink(os.fsencode(target), self.at(path))

    def rename(self, old: str | bytes, new: str | bytes) -> None:
        os.makedirs(os.path.dirname(self.at(new)), exist_ok=True)
        os.rename(self.at(old), self.at(new))

    def delete(self, path: str | bytes) -> None:
        full = self.at(path)
        if os.path.isdir(full) and not os.path.islink(full):
            for name in os.listdir(full):
                self.delete(os.path.join(os.fsencode(path), name))
            os.rmdir(full)
        else:
            os.unlink(full)

    def read(self, path: str | bytes) -> bytes:
        with open(self.at(path), "rb") as file:
            return file.read()

    def exists(self, path: str | bytes) -> bool:
        return os.path.lexists(self.at(path))

    def stat(self, path: str | bytes) -> os.stat_result:
        return os.lstat(self.at(path))

    def visible(self) -> dict[bytes, Found]:
        return {path: found for path, found in survey(self.root).items() if not is_control(path)}

    def tree(self) -> dict[str, str]:
        """Every visible path: what it is, its content and its bits."""
        return {os.fsdecode(path): found.label for path, found in sorted(self.visible().items())}

    def files(self) -> dict[str, bytes | None]:
        """Content by path; None for what is no file. Of directories only those without children."""
        found = self.visible()
        parents = {os.path.dirname(path) for path in found}
        return {os.fsdecode(path): one.data for path, one in found.items() if path not in parents}

    def values(self) -> list[bytes]:
        """All visible contents, sorted."""
        return sorted(data for data in self.files().values() if data is not None)

    def trash(self) -> list[bytes]:
        """Every content that the trash keeps."""
        below = survey(self.root).items()
        return [one.data for path, one in below if is_control(path) and one.data and is_content(path)]

    def contents(self) -> set[bytes]:
        """Every content here, visible or kept."""
        return {one.data for path, one in survey(self.root).items() if one.data and is_content(path)}


class Case:
    """A pair of its own in the shared daemon. Nothing runs before `start`."""

    def __init__(self, daemon: Daemon, name: str, room: Path, options: Mapping[str, Any]) -> None:
        self.daemon, self.name, self.room = daemon, name, room
        self.options: dict[str, Any] = {"settle": "50ms", "rescan": "never", **options}
        for part in ("a", "b"):
            (room / part).mkdir()
        self.a, self.b = Side(str(room / "a")), Side(str(room / "b"))
        self.is_added = False

    def beside(self, name: str, **options: Any) -> "Case":
        """Another pair, in a room beneath this one's."""
        room = self.room / name
        room.mkdir()
        return Case(self.daemon, f"{self.name}-{name}", room, {**self.options, **options})

    # The pair.

    def start(self, expect: str = "synced") -> None:
        """Add the pair and wait for its first sync."""
        before = self.contents()
        self.call(
            "pair.add",
            name=self.name,
            source=str(self.room / "a"),
            destination=str(self.room / "b"),
            options=self.options,
        )
        self.is_added = True
        self.sync(expect, before=before)

    def given(self, files: Mapping[str, str | None]) -> "Case":
        """Lay these out at the source (None: a directory), start, and be in sync."""
        for path, data in files.items():
            self.a.mkdir(path) if data is None else self.a.write(path, data)
        self.start()
        self.assert_same()
        return self

    def sync(self, expect: str = "synced", *, before: set[bytes] | None = None) -> None:
        """Wait until everything is dealt with; no bytes may be gone afterwards."""
        kept = self.contents() if before is None else before
        outcome = self.wait()
        lost = kept - self.contents()
        assert not lost, f"UNSAFE: {len(lost)} contents are in no tree and no trash"
        assert outcome == expect, f"{outcome}, not {expect}: {self.trouble()}"

    def wait(self, timeout_s: float = PATIENCE_S / 2) -> str:
        answer = self.call("pair.wait", pairs=[self.name], timeout_s=timeout_s)
        return str(answer["outcome"])

    def rest(self, expect: str = "synced") -> None:
        """Two more syncs and a whole scan change nothing."""
        before = self.a.tree(), self.b.tree()
        self.sync(expect)
        self.call("pair.rescan", pairs=[self.name], wait=True)
        self.sync(expect)
        assert (self.a.tree(), self.b.tree()) == before

    def pause(self) -> None:
        self.call("pair.pause", pairs=[self.name])

    def resume(self) -> None:
        self.call("pair.resume", pairs=[self.name])

    def edit_pair(self, **options: Any) -> None:
        self.call("pair.edit", pair=self.name, options=options)

    def remove(self, *, purge: bool = True) -> None:
        if self.is_added:
            self.is_added = False
            self.call("pair.remove", pair=self.name, purge=purge)

    def call(self, method: str, **params: Any) -> Any:
        """One call over the control socket, in plain values."""
        row = METHODS[method]
        answer = self.daemon.call(method, msgspec.convert(params, row.params), row.result)
        return msgspec.to_builtins(answer)

    # What is.

    def contents(self) -> set[bytes]:
        return self.a.contents() | self.b.contents()

    def status(self) -> dict[str, Any]:
        return dict(self.call("status", pairs=[self.name])["pairs"][0])

    def hold(self) -> dict[str, Any] | None:
        hold: dict[str, Any] | None = self.status()["hold"]
        return hold

    def issues(self, *, notes: bool = False) -> dict[str, str]:
        """Reason by path."""
        page = self.call("issue.list", pair=self.name, include_notes=notes)
        return {item["path"]: item["reason"] for item in page["issues"]}

    def conflicts(self, *, settled: bool = True) -> list[dict[str, Any]]:
        return list(self.call("conflict.list", pair=self.name, include_settled=settled)["conflicts"])

    def history(self) -> list[dict[str, Any]]:
        """What was done, oldest first."""
        return list(self.call("history.list", pair=self.name, limit=1000)["entries"])[::-1]

    def trouble(self) -> str:
        status = self.status()
        return (
            f"{status['state']} hold={status['hold']} issues={self.issues()} conflicts={status['conflicts']}"
        )

    def assert_same(self) -> None:
        """Both sides hold the same names, contents and bits."""
        assert self.a.tree() == self.b.tree()

    def assert_both(self, files: Mapping[str, str | bytes | None]) -> None:
        """Exactly these on both sides (None: an empty directory, or no file)."""
        self.assert_same()
        assert self.a.files() == {
            path: None if data is None else os.fsencode(data) for path, data in files.items()
        }
