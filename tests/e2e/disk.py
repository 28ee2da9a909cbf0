"""What lies on the disk of a tree: pictures, what the trash keeps, what a finished run must not leave."""

import os
import stat
from collections.abc import Iterator

import msgspec

from tests.e2e.kit import CONTROL, MANIFEST

STAGE = CONTROL + b"/stage"
IN_FLIGHT = CONTROL + b"/in-flight"
TRASH = CONTROL + b"/trash"


class Item(msgspec.Struct, frozen=True):
    """One name of a tree. `data`: the bytes of a file, the target of a link."""

    kind: str
    data: bytes
    mode: int


def walk(top: bytes, *, control: bool = False) -> Iterator[tuple[bytes, os.stat_result]]:
    """Every path beneath `top` with its status, parents first; `control`: `.syncd` too. Copes with edits."""
    stack = [b""]
    while stack:
        directory = stack.pop()
        for name in names(os.path.join(top, directory)):
            path = directory + b"/" + name if directory else name
            if path == CONTROL and not control:
                continue
            try:
                found = os.lstat(os.path.join(top, path))
            except FileNotFoundError:
                continue
            yield path, found
            if stat.S_ISDIR(found.st_mode):
                stack.append(path)


def picture(top: bytes) -> dict[bytes, Item]:
    """The visible tree."""
    items = {}
    for path, found in walk(top):
        full = os.path.join(top, path)
        if stat.S_ISDIR(found.st_mode):
            items[path] = Item("directory", b"", stat.S_IMODE(found.st_mode))
        elif stat.S_ISLNK(found.st_mode):
            items[path] = Item("link", os.readlink(full), 0)
        else:
            items[path] = Item("file", read(full), stat.S_IMODE(found.st_mode))
    return items


def read(full: bytes) -> bytes:
    with open(full, "rb") as file:
        return file.read()


def files(top: bytes, *, with_unfinished: bool = False) -> Iterator[tuple[bytes, os.stat_result]]:
    """Files of a tree and of the finished batches of its trash. Slots of a batch in flight hold what was
    displaced, or what syncd is about to put: nobody's version yet."""
    in_flight = () if with_unfinished else names(os.path.join(top, IN_FLIGHT))
    unfinished = tuple(TRASH + b"/" + batch + b"/" for batch in in_flight)
    for path, found in walk(top, control=True):
        is_own = path.startswith(CONTROL + b"/") and not path.startswith(TRASH + b"/")
        is_kept = (
            not is_own and not path.startswith(unfinished) and os.path.basename(path) != MANIFEST.encode()
        )
        if is_kept and stat.S_ISREG(found.st_mode):
            yield path, found


def names(directory: bytes) -> list[bytes]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []


def kept(top: bytes, *, with_unfinished: bool = False) -> dict[bytes, bytes]:
    """What the trash of a tree holds, by path below the tree. Links count as nothing."""
    found = files(top, with_unfinished=with_unfinished)
    return {path: read(os.path.join(top, path)) for path, _ in found if path.startswith(TRASH)}


def leftovers(top: bytes) -> list[bytes]:
    """What a finished run must not leave: staged files, batches in flight, trash folders that keep nothing,
    names of its own in the tree."""
    return [
        path
        for path, _ in walk(top, control=True)
        if path.startswith((STAGE + b"/", IN_FLIGHT + b"/"))
        or (
            os.path.dirname(path) == TRASH
            and os.listdir(os.path.join(top, path)) in ([], [MANIFEST.encode()])
        )
        or (not path.startswith(CONTROL) and os.path.basename(path).startswith(b".syncd"))
    ]


def difference(one: dict[bytes, Item], other: dict[bytes, Item]) -> list[str]:
    """Paths at which two pictures differ, in words."""
    return [
        f"{path!r}: {brief(one.get(path))} / {brief(other.get(path))}"
        for path in sorted({*one, *other})
        if one.get(path) != other.get(path)
    ]


def brief(item: Item | None) -> str:
    return "-" if item is None else f"{item.kind} {item.mode:o} {len(item.data)} {item.data[:24]!r}"
