"""The sources of a batch of small files, some opened ahead of their turn.

Where one in so many is not in memory, the system is told that they will be read, so that a cold disk reads
them while the ones before are written.
"""

from collections import deque
from collections.abc import Iterable

from syncd.core.error import SyncdError
from syncd.tree.local import syscalls as sc
from syncd.tree.local.errors import SourceError
from syncd.tree.port import Content

AHEAD = 16


class Sources:
    """`take` each in order; one may be left out. `close` always."""

    def __init__(self, contents: Iterable[Content]) -> None:
        self._coming = iter(contents)
        self._ready: deque[tuple[Content, int | Exception]] = deque()
        self._opened = 0
        self._is_cold = False

    def take(self, content: Content) -> int:
        """A descriptor, which the caller closes. Raises what opening it raised."""
        self._open_ahead()
        while self._ready:
            found, opened = self._ready.popleft()
            if found is content:
                if isinstance(opened, Exception):
                    raise opened
                return opened
            _close(opened)
        return content.open_blocking()

    def close(self) -> None:
        while self._ready:
            _close(self._ready.popleft()[1])

    def _open_ahead(self) -> None:
        while len(self._ready) <= AHEAD and (content := next(self._coming, None)) is not None:
            try:
                descriptor = content.open_blocking()
            except (SyncdError, SourceError, OSError) as error:
                self._ready.append((content, error))
            else:
                self._ready.append((content, descriptor))
                if self._opened % AHEAD == 0:
                    self._is_cold = not sc.is_cached(descriptor)
                self._opened += 1
                if self._is_cold:
                    sc.will_read(descriptor)


def _close(opened: int | Exception) -> None:
    if isinstance(opened, int):
        sc.close(opened)
