"""Where a SQLite connection lives: in aiosqlite's thread (production), or inline (simulation).

A driver runs plain functions over its connection, one after the other. Nothing above the index may be
imported here.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, Self, TypeVar

import aiosqlite
import anyio
from anyio.lowlevel import cancel_shielded_checkpoint

T = TypeVar("T")
Connect = Callable[[], sqlite3.Connection]


class Driver(Protocol):
    """One connection, and the place where functions over it run."""

    @classmethod
    async def open(cls, connect: Connect) -> Self: ...

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` to its end, whatever happens to the caller, and only then return or raise."""
        ...

    async def close(self) -> None: ...


class _Connection(aiosqlite.Connection):
    """An aiosqlite connection that runs whole functions in its thread: one hop instead of one a statement."""

    def join(self) -> None:
        self._thread.join()

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> "asyncio.Future[T]":
        if not self._running or self._connection is None:
            raise ValueError("the connection is closed")
        connection = self._connection
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._tx.put_nowait((future, lambda: work(connection)))
        return future


class ThreadDriver:
    """The production driver. It ties the index to asyncio, as aiosqlite does."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, connect: Connect) -> Self:
        connection = _Connection(connect, iter_chunk_size=64)
        with anyio.CancelScope(shield=True):
            try:
                await connection
            except BaseException:
                # The thread still has an answer to deliver; the loop may be closed right after this.
                connection.join()
                raise
        return cls(connection)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        # anyio's shield holds back a cancelled scope; asyncio's own task.cancel() passes it. The thread
        # cannot be interrupted half-way, so both wait until the transaction has ended one way or the other.
        future = self._connection.submit(work)
        with anyio.CancelScope(shield=True):
            try:
                await asyncio.wait([future])
            except asyncio.CancelledError:
                while not future.done():
                    with suppress(asyncio.CancelledError):
                        await asyncio.wait([future])
                future.exception()
                raise
        return future.result()

    async def close(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._connection.close()


class InlineDriver:
    """The simulation's driver: the same thread, one yield to the event loop a call, no chance anywhere."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, connect: Connect) -> Self:
        await cancel_shielded_checkpoint()
        return cls(connect())

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        await cancel_shielded_checkpoint()
        return work(self._connection)

    async def close(self) -> None:
        await cancel_shielded_checkpoint()
        self._connection.close()
