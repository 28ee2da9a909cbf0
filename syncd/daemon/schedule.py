"""When a pair has something to do without being woken: rescans, retries, letting its roots go.

Deadlines are monotonic ns. Nothing waits here, and no task is known.
"""

import math
from collections.abc import Callable

from syncd.sync.settings import Clock

ROOT_POLL_S = 2.0
RETRY_FIRST_S = 5.0
RETRY_MOST_S = 600.0
RELEASE_NS = 2 * 10**9
"""Roots are kept open this long after the last turn."""
STUCK_S = 600
"""A call to a file system that takes longer is taken for one that never returns."""


class Schedule:
    """The deadlines of one pair. `rescan_s` None: never. `jitter` draws from [0, 1)."""

    def __init__(self, clock: Clock, rescan_s: float | None, jitter: Callable[[], float]) -> None:
        self.rescan_at_ns: int | None = None
        self.attempt_at_ns: int | None = None
        self.retry_at_ns = 0
        self.release_at_ns: int | None = None
        self._clock = clock
        self._rescan_s = None if rescan_s is None or math.isinf(rescan_s) else rescan_s
        self._jitter = jitter
        self._attempt = 0

    def plan_rescan(self) -> None:
        """The next whole scan, counted from now; the spread keeps pairs from scanning in step."""
        if self._rescan_s is not None:
            spread = 0.9 + 0.2 * self._jitter()
            self.rescan_at_ns = self._clock.monotonic_ns() + int(self._rescan_s * spread * 1e9)

    def is_rescan_due(self, now_ns: int) -> bool:
        return self.rescan_at_ns is not None and now_ns >= self.rescan_at_ns

    def plan_retry(self, *, is_polled: bool) -> None:
        """The next attempt after a failure: at a steady pace, or with growing pauses."""
        self._attempt += 1
        growing = min(RETRY_MOST_S, RETRY_FIRST_S * 2 ** min(self._attempt - 1, 10))
        self.retry_at_ns = self._clock.monotonic_ns() + int((ROOT_POLL_S if is_polled else growing) * 1e9)

    def forgive(self) -> None:
        """What went wrong before does not count any more."""
        self._attempt = 0

    def plan_release(self) -> None:
        self.release_at_ns = self._clock.monotonic_ns() + RELEASE_NS

    def plan_attempt(self, at_ns: int | None) -> None:
        """The next attempt at what waits, at a wall time. Setting the clock does not put it off any more."""
        self.attempt_at_ns = (
            None if at_ns is None else self._clock.monotonic_ns() + max(0, at_ns - self._clock.now_ns())
        )


class Pulse:
    """Does a task get on? Asked from time to time by the watchdog."""

    def __init__(self) -> None:
        self._last: tuple[object, ...] = ()
        self._at_ns = 0

    def is_felt(self, signs: tuple[object, ...], now_ns: int, *, is_busy: bool) -> bool:
        """Idle, or some sign has changed since STUCK_S."""
        if signs != self._last or not is_busy:
            self._last, self._at_ns = signs, now_ns
        return now_ns - self._at_ns < STUCK_S * 10**9
