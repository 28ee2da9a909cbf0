"""A seeded event loop in virtual time: the scheduler of the simulation.

Nothing waits: with no callback ready the clock jumps to the next timer. What is ready runs in an order that
the seed draws, and every round costs a few microseconds, so that time stamps differ as they do in life. The
same seed gives the same run. anyio runs on it through `backend_options={"loop_factory": …}`.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import anyio

T = TypeVar("T")

ROUND_NS = 20_000
"""At most what one round of the loop costs."""


class DeadlockError(BaseException):
    """Nothing is ready and no timer is set: whoever waits would wait for ever."""


class SeededLoop(asyncio.SelectorEventLoop):
    """One run in virtual time; `now_ns` counts from 0."""

    _ready: "deque[asyncio.Handle]"
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, seed: int, max_rounds: int = 150_000) -> None:
        super().__init__()
        self.now_ns = 0
        self._random = random.Random(seed)
        self._rounds_left = max_rounds

    def time(self) -> float:
        return self.now_ns / 1e9

    def begin_anew(self, seed: str) -> None:
        """After a crash: the order in which tasks were cancelled (anyio keeps them in sets, by address) must
        not show in what follows."""
        self._random = random.Random(seed)
        self.now_ns = (self.now_ns // 10**9 + 1) * 10**9

    def _run_once(self) -> None:
        self._rounds_left -= 1
        if self._rounds_left < 0:
            raise DeadlockError("the run does not end")
        if not self._ready:
            self._jump()
        self.now_ns += self._random.randrange(1, ROUND_NS)
        if len(self._ready) > 1:
            order = list(self._ready)
            self._random.shuffle(order)
            self._ready.clear()
            self._ready.extend(order)
        super()._run_once()  # type: ignore[misc]

    def _jump(self) -> None:
        """To the next timer that still counts."""
        due = [timer.when() for timer in self._scheduled if not timer.cancelled()]
        if not due:
            raise DeadlockError("nothing is ready and no timer is set")
        self.now_ns = max(self.now_ns, int(min(due) * 1e9) + 1)


def run(seed: int, work: Callable[[SeededLoop], Coroutine[Any, Any, T]]) -> T:
    """Run `work` to its end on a fresh loop."""
    loops: list[SeededLoop] = []

    def make() -> SeededLoop:
        loops.append(SeededLoop(seed))
        return loops[-1]

    async def main() -> T:
        return await work(loops[-1])

    return anyio.run(main, backend="asyncio", backend_options={"loop_factory": make})
