"""Two real directories with a LocalTree each, and short words to change them: for the tests of this room."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from syncd.core.action import Delete, Move, Put, Result
from syncd.core.entry import Entry, Kind, Side, StatHint
from syncd.core.listing import Child, unpack
from syncd.tree.local import LocalTree
from syncd.tree.local import syscalls as sc
from syncd.tree.port import Batch, Listing, Step

S, D = Side.SOURCE, Side.DESTINATION
OLD_NS = 1_600_000_000_123_456_789
KEY = "pair"
MANIFEST = "manifest.jsonl"

is_root = os.geteuid() == 0
needs_root = pytest.mark.skipif(not is_root, reason="needs root")


class Kit:
    """`a` is read, `b` is written. Paths are bytes beneath the two roots."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.a, self.b = os.fsencode(folder / "a"), os.fsencode(folder / "b")
        for root in (self.a, self.b):
            os.makedirs(root, exist_ok=True)
        self.source = LocalTree(self.a, S, pair_key=KEY, is_written=False)
        self.target = LocalTree(self.b, D, pair_key=KEY, is_written=True, **options)
        self.batches = 0

    async def open(self) -> "Kit":
        await self.source.open(known=None, adopt=False)
        await self.target.open(known=None, adopt=False)
        return self

    def at(self, path: bytes) -> bytes:
        return os.path.join(self.b, path)

    def read(self, path: bytes) -> bytes:
        with open(self.at(path), "rb") as file:
            return file.read()

    def write(
        self, path: bytes, data: bytes, *, mtime_ns: int | None = OLD_NS, root: bytes | None = None
    ) -> None:
        full = os.path.join(root or self.b, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(data)
        if mtime_ns is not None:
            os.utime(full, ns=(mtime_ns, mtime_ns))

    async def child(self, path: bytes, tree: LocalTree | None = None) -> Child | None:
        (look,) = await (tree or self.target).look([path])
        assert look.problem is None, look
        return look.child

    async def entry(self, path: bytes) -> tuple[Entry, StatHint]:
        """What is at the target now, digest included, as an index would know it."""
        child = await self.child(path)
        assert child is not None
        if child.kind is Kind.FILE:
            digest = blake3(self.read(path)).digest()
            return Entry(Kind.FILE, child.mode, child.hint.size, child.hint.mtime_ns, digest), child.hint
        target = os.readlink(self.at(path)) if child.kind is Kind.SYMLINK else None
        return Entry(child.kind, child.mode, target=target), child.hint

    async def put(self, path: bytes, data: bytes, *, mode: int = 0o644, knows_digest: bool = True) -> Step:
        """A step that puts `data`, over whatever is at the target now."""
        origin = b"o%d" % len(os.listdir(self.a))
        self.write(origin, data, root=self.a)
        os.chmod(os.path.join(self.a, origin), mode)
        hint = await self.child(origin, self.source)
        assert hint is not None
        digest = blake3(data).digest() if knows_digest else None
        wanted = Entry(Kind.FILE, mode, len(data), OLD_NS, digest)
        expect = here = None
        if os.path.lexists(self.at(path)):
            expect, here = await self.entry(path)
        content = self.source.content(origin, wanted, hint.hint)
        return Step(Put(D, path, wanted, expect, origin), here, content)

    async def delete(self, path: bytes) -> Step:
        expect, hint = await self.entry(path)
        return Step(Delete(D, path, expect), hint)

    async def move(self, path: bytes, to: bytes, *, parked: bool = False) -> Step:
        expect, hint = await self.entry(path)
        return Step(Move(D, path, to, expect, parked), hint)

    async def run(self, *steps: Step, stop: Callable[[], bool] = lambda: False) -> list[Result]:
        self.batches += 1
        return list(await self.target.apply(Batch(f"batch-{self.batches}", steps, stop)))

    async def do(self, step: Step) -> Result:
        (result,) = await self.run(step)
        return result

    async def listings(self, tree: LocalTree | None = None, *paths: bytes) -> dict[bytes, Listing]:
        found: dict[bytes, Listing] = {}
        scan = (tree or self.target).scan(paths or (b"",), recursive=True, prune=lambda path: False)
        async for page in scan:
            found.update((listing.path, listing) for listing in page)
        return found

    async def names(self, path: bytes = b"") -> list[bytes]:
        return [child.name for child in unpack((await self.listings(None, path))[path].record)]

    def tree(self) -> dict[bytes, bytes]:
        """Every file of the target that users see, with its content."""
        found = {}
        for folder, below, files in os.walk(self.b):
            below[:] = [name for name in below if name != b".syncd"]
            for name in files:
                full = os.path.join(folder, name)
                with open(full, "rb") as file:
                    found[os.path.relpath(full, self.b)] = file.read()
        return found

    def leftovers(self) -> list[str]:
        """Staged files, in-flight marks and trash folders that keep nothing: none may be left behind."""
        control = os.path.join(os.fsdecode(self.b), ".syncd")
        found = [name for part in ("stage", "in-flight") for name in os.listdir(f"{control}/{part}")]
        trash = f"{control}/trash"
        return found + [name for name in os.listdir(trash) if os.listdir(f"{trash}/{name}") == [MANIFEST]]

    def trash(self) -> list[bytes]:
        """The content of everything in the trash but the manifests."""
        found = []
        for folder, _, files in os.walk(os.path.join(self.b, b".syncd", b"trash")):
            for name in files:
                if name != MANIFEST.encode():
                    with open(os.path.join(folder, name), "rb") as file:
                        found.append(file.read())
        return sorted(found)


class Killed(BaseException):
    """The process is gone: from here on no call of its changes anything."""


MUTATING = (
    "write", "utime", "fchmod", "fchown", "ftruncate", "fsync", "mkdir", "rmdir", "unlink", "rename", "link",
    "symlink", "rename_noreplace", "rename_exchange", "link_descriptor", "syncfs",
)  # fmt: skip


@contextlib.contextmanager
def killed_before(number: int) -> Iterator[list[str]]:
    """Fail the calls that change something from the `number`th on, clean-ups too. Yields the calls."""
    calls: list[str] = []

    def wrap(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            calls.append(name)
            if len(calls) >= number:
                raise Killed(name)
            return real(*args, **named)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in MUTATING:
            patch.setattr(sc, name, wrap(name, getattr(sc, name)))
        yield calls


def fail(
    patch: pytest.MonkeyPatch, name: str, number: int, *, only: Callable[..., bool] | None = None
) -> None:
    """Let the call `name` fail with an errno, always or where `only` says so of its arguments."""
    real = getattr(sc, name)

    def call(*args: Any, **named: Any) -> Any:
        if only is None or only(*args, **named):
            raise OSError(number, os.strerror(number))
        return real(*args, **named)

    patch.setattr(sc, name, call)


@contextlib.contextmanager
def mounted(where: Path, options: str) -> Iterator[Path]:
    """A small tmpfs. Skips by name where mounting is not possible."""
    where.mkdir(parents=True, exist_ok=True)
    tool = shutil.which("mount")
    if tool is None or not is_root:
        pytest.skip("mounting needs root")
    done = subprocess.run(
        [tool, "-t", "tmpfs", "-o", options, "tmpfs", where], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"cannot mount here: {done.stderr.decode().strip()}")
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", where], check=True)


def kinds(results: Sequence[Result]) -> list[str]:
    return [type(result).__name__ for result in results]
