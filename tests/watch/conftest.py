"""A watcher running over a temporary directory, with what it delivered."""

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import anyio
import pytest

from syncd.watch.local import LocalWatcher
from syncd.watch.port import Event, Watcher
from syncd.watch.pump import Host

PATIENCE_S = 30.0


class Ear:
    """Collects events; `wait` until a condition over all of them holds."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._news = anyio.Event()

    def hear(self, events: Sequence[Event]) -> None:
        self.events.extend(events)
        self._news.set()

    async def wait(self, holds: Callable[[list[Event]], bool]) -> None:
        with anyio.fail_after(PATIENCE_S):
            while not holds(self.events):
                self._news = anyio.Event()
                await self._news.wait()

    async def wait_for(self, event: Event) -> None:
        await self.wait(lambda events: event in events)


@contextlib.asynccontextmanager
async def running(watcher: Watcher) -> AsyncIterator[Ear]:
    """Run `watcher` around the block."""
    ear = Ear()
    async with anyio.create_task_group() as tasks:
        with anyio.fail_after(PATIENCE_S):

            async def run(*, task_status: anyio.abc.TaskStatus[None]) -> None:
                await watcher.run(ear.hear, task_status=task_status)

            await tasks.start(run)
        yield ear
        tasks.cancel_scope.cancel()


def local(
    root: bytes,
    *,
    settle_s: float = 0.0,
    is_written: bool = False,
    verify_s: float = 900.0,
    retry_s: float = 600.0,
    host: Host | None = None,
) -> LocalWatcher:
    return LocalWatcher(
        root,
        settle_s=settle_s,
        is_written=is_written,
        control=b".syncd",
        poll_s=0.01,
        verify_s=verify_s,
        retry_s=retry_s,
        host=host,
    )


@pytest.fixture
def root(tmp_path: Path) -> bytes:
    path = tmp_path / "tree"
    path.mkdir()
    return os.fsencode(path)


def write(root: bytes, path: bytes, content: bytes = b"x") -> None:
    with open(os.path.join(root, path), "wb") as file:
        file.write(content)
