"""Survey a tree before it is watched: which directories one recursive watch may take, and which not.

watchfiles follows links to directories (and then reports their events under the link's name), gives up at
the first directory that it may not read, and dies of a name that is not UTF-8. So a subtree without any of
these gets one recursive watch, and the directories above trouble get a watch each. Blocking code: call it in
a worker thread.
"""

import os
import stat
from collections.abc import Collection, Set

import msgspec


class Cover(msgspec.Struct, frozen=True):
    """How to watch a tree. Absolute paths, as text for watchfiles and as bytes otherwise.

    `recursive` subtrees are clean. `single` directories have trouble somewhere beneath. `polled` ones hold a
    name that is not UTF-8 (or lie beneath one). `unreadable` ones cannot be watched, nor scanned.
    """

    recursive: tuple[str, ...]
    single: tuple[str, ...]
    polled: tuple[bytes, ...]
    unreadable: tuple[bytes, ...]
    directories: int

    @property
    def is_clean(self) -> bool:
        return not (self.single or self.polled or self.unreadable)


class _Directory:
    __slots__ = ("has_trouble", "is_gone", "is_polled", "is_unreadable", "parent", "path")

    def __init__(self, path: str, parent: int) -> None:
        self.path = path
        self.parent = parent
        self.has_trouble = False
        self.is_gone = False
        self.is_polled = False
        self.is_unreadable = False


def is_nameable(path: str) -> bool:
    """Can watchfiles speak this path? (It must be UTF-8; `path` comes from `os.fsdecode`.)"""
    if path.isascii():
        return True
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def survey_blocking(top: bytes, device: int | None, suspects: Collection[bytes] = ()) -> Cover:
    """Walk all directories beneath `top`. Other file systems than `device` are left out (None: entered).

    `suspects` are directories where a name that is not UTF-8 was seen lately: they are polled even when it
    is gone, since it may come again.
    """
    text = os.fsdecode(top)
    found = [_Directory(text, -1)]
    found[0].is_polled = not is_nameable(text)
    done = 0
    while done < len(found):
        _list(found, done, device)
        done += 1
    for number in range(len(found) - 1, -1, -1):
        directory = found[number]
        if suspects and os.fsencode(directory.path) in suspects:
            directory.is_polled = True
        if (directory.has_trouble or directory.is_polled or directory.is_unreadable) and number:
            found[directory.parent].has_trouble = True
    return _sort(found)


def _list(found: list[_Directory], number: int, device: int | None) -> None:
    directory = found[number]
    try:
        with os.scandir(directory.path) as entries:
            for entry in entries:
                if not is_nameable(entry.name):
                    directory.is_polled = True
                if entry.is_dir(follow_symlinks=False):
                    if device is not None and _device(entry) != device:
                        directory.has_trouble = True
                        continue
                    child = _Directory(entry.path, number)
                    child.is_polled = not is_nameable(entry.path)
                    found.append(child)
                elif entry.is_symlink() and _leads_to_directory(entry):
                    directory.has_trouble = True
    except FileNotFoundError:
        # It vanished under the survey, which its parent's watch reports.
        directory.is_gone = True
    except OSError:
        directory.is_unreadable = True


def _device(entry: "os.DirEntry[str]") -> int | None:
    try:
        return entry.stat(follow_symlinks=False).st_dev
    except OSError:
        return None


def _leads_to_directory(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return True


def _sort(found: list[_Directory]) -> Cover:
    recursive, single = [], []
    polled, unreadable = [], []
    for number, directory in enumerate(found):
        if directory.is_gone:
            continue
        if directory.is_unreadable:
            unreadable.append(os.fsencode(directory.path))
        elif directory.is_polled:
            polled.append(os.fsencode(directory.path))
        elif directory.has_trouble:
            single.append(directory.path)
        elif number == 0 or _is_troubled(found[directory.parent]):
            recursive.append(directory.path)
    return Cover(
        recursive=tuple(recursive),
        single=tuple(single),
        polled=tuple(polled),
        unreadable=tuple(unreadable),
        directories=len(found),
    )


def _is_troubled(directory: _Directory) -> bool:
    return directory.has_trouble or directory.is_polled


def unknown_blocking(beside: Set[bytes], known: Set[bytes], device: int | None) -> set[bytes]:
    """Directories directly in one of `beside` that are not `known`."""
    found = set()
    for parent in beside:
        try:
            names = os.listdir(parent)
        except OSError:
            continue
        for path in (os.path.join(parent, name) for name in names):
            try:
                seen = os.lstat(path)
            except OSError:
                continue
            if stat.S_ISDIR(seen.st_mode) and device in (None, seen.st_dev) and path not in known:
                found.add(path)
    return found
