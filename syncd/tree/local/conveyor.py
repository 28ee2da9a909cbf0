"""Batches one behind the other: while the device takes what one has staged, the next one is staged.

One sync of the file system serves two of them, the content of the one and the names of the one before.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from syncd.core.action import Result
from syncd.tree.local.apply import Site, Work, synced
from syncd.tree.local.occupancy import occupied
from syncd.tree.port import Batch

Answer = Callable[[Batch, Sequence[Result]], None]


class Conveyor:
    """Gives each batch's results to `answer`, in the order in which the batches came. For one thread;
    `close` always."""

    def __init__(self, site: Site, answer: Answer) -> None:
        self._site = site
        self._answer = answer
        self._held = ExitStack()
        self._root = -1
        self._staged: Work | None = None
        self._placed: Work | None = None

    @property
    def is_empty(self) -> bool:
        return self._staged is None and self._placed is None

    def move(self, batch: Batch | None = None) -> None:
        """Stage `batch`, and bring those before it one step on. Raises NeedsUser when the root is gone."""
        if self.is_empty:
            self._root = self._held.enter_context(self._site.root.use())
            self._held.enter_context(occupied(self._site.root.control.stage))
        before = [work for work in (self._staged, self._placed) if work is not None and work.is_unsynced]
        sync = _Sync(self._root) if before else None
        fresh = None
        if batch is not None:
            fresh = Work(self._site, batch, self._root)
            fresh.stage()
        error = None if sync is None else sync.end()
        if self._placed is not None:
            self._placed.settle(error)
            self._placed.end()
            self._answer(self._placed.batch, self._placed.results())
        self._placed, self._staged = self._staged, fresh
        if self._placed is not None:
            self._placed.place(error)
        if self.is_empty:
            self._held.close()

    def close(self) -> None:
        """Drop what is under way: what was put in place stays, and is not answered."""
        for work in (self._staged, self._placed):
            if work is not None:
                work.end()
        self._staged = self._placed = None
        self._held.close()


class _Sync(threading.Thread):
    """A sync of the file system that has begun; it keeps neither the interpreter's lock nor its caller."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self._root = root
        self._error: OSError | None = None
        self._failure: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._error = synced(self._root)
        except BaseException as failure:
            self._failure = failure

    def end(self) -> OSError | None:
        """Wait for it; what went wrong. Raises what is no verdict of the file system."""
        self.join()
        if self._failure is not None:
            raise self._failure
        return self._error
