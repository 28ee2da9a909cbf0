"""Files that must never be half there: their writer is killed at each step, and what it renames is synced."""

import contextlib
import os
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

_STEPS = ("fsync", "fchmod", "rename", "replace", "unlink")


class Killed(BaseException):
    """The process is gone: from here on no step of its changes anything, clean-ups too."""


def each_kill(write: Callable[[], object]) -> Iterator[None]:
    """Run `write`, killed before its first step, then (on what that left) before its second, and so on; the
    last time it comes to its end. Yields after each. Whatever it renames must have been synced as it is, and
    in the end the directories of the new names too: a power cut leaves no empty file either."""
    for number in count(1):
        steps = _Steps(number)
        with pytest.MonkeyPatch.context() as patch:
            for name in _STEPS:
                patch.setattr(os, name, steps.wrapped(name))
            with contextlib.suppress(Killed):
                write()
        yield
        if not steps.is_killed:
            assert number > 1, "it did nothing"
            assert not steps.unsynced, "a directory with a new name was not synced"
            return


class _Steps:
    def __init__(self, last: int) -> None:
        self.is_killed = False
        self.unsynced: set[tuple[int, int]] = set()
        self._left = last
        self._synced: set[tuple[int, int, int]] = set()

    def wrapped(self, name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def step(*args: Any, **named: Any) -> Any:
            self._left -= 1
            if self._left <= 0:
                self.is_killed = True
                raise Killed(name)
            if name in ("rename", "replace"):
                found = os.lstat(args[0])
                is_synced = (found.st_dev, found.st_ino, found.st_size) in self._synced
                assert is_synced, f"{args[0]} is renamed and was not synced"
                directory = os.stat(os.path.dirname(args[1]))
                self.unsynced.add((directory.st_dev, directory.st_ino))
            result = real(*args, **named)
            if name == "fsync":
                found = os.fstat(args[0])
                self._synced.add((found.st_dev, found.st_ino, found.st_size))
                self.unsynced.discard((found.st_dev, found.st_ino))
            return result

        return step
