"""watchfiles over one set of paths, and the blocking loop that empties it. Nothing is decided here.

The loop polls at `step`; watchfiles has no other way to wait. A step is the price of idling and, about one
and a half times, the latency of an event, so it may step faster for a second after an event.
"""

import threading
import time
from collections.abc import Callable

import msgspec
from watchfiles._rust_notify import RustNotify

from syncd.watch.translate import LOST, Batch, translate_blocking

BUSY_S = 1.0
LOOK_S = 1.0
"""The loop looks at the clock at least so often."""
STALLED_S = 3.0
"""It did not for so long: the process was stopped or starved, or nobody took what it told. The kernel's queue
may have overflowed, which watchfiles does not tell."""


class Pace(msgspec.Struct, frozen=True):
    """Steps in ms: while nothing happens, and just after something did. A batch is closed after one quiet
    step, at the latest after `gather_ms`."""

    idle_ms: int
    busy_ms: int
    gather_ms: int

    @property
    def delay_s(self) -> float:
        """How old an event is when it is handed on: half a step until it is met, one quiet step after."""
        return 1.5 * self.busy_ms / 1000


def pace_for(settle_s: float) -> Pace:
    """Who does not wait for quiet wants speed; who does cannot tell 5 ms from 50 (15 times the idle CPU)."""
    if settle_s <= 0:
        return Pace(idle_ms=5, busy_ms=1, gather_ms=10)
    step = max(5, min(50, int(settle_s * 1000 / 6)))
    return Pace(idle_ms=step, busy_ms=step, gather_ms=max(step, 50))


class Order(msgspec.Struct, frozen=True):
    """What to watch: `paths` within the real path `root`. `is_lenient` skips directories that cannot be."""

    root: bytes
    paths: tuple[str, ...]
    recursive: bool
    is_lenient: bool
    pace: Pace
    control: bytes


def pump_blocking(
    order: Order, stop: threading.Event, began: Callable[[], None], receive: Callable[[Batch], None]
) -> Exception | None:
    """Watch until `stop` (seen within a step, after a last look), or until watchfiles fails: then the answer
    is what it said. `began` is called once the watches are in place. Placing recursive ones holds the
    interpreter's lock for as long as it takes to look at every entry of the tree."""
    try:
        notify = RustNotify(list(order.paths), False, False, 0, order.recursive, order.is_lenient)
    except (OSError, RuntimeError) as error:
        return error
    try:
        began()
        return _empty_blocking(order, notify, stop, receive)
    finally:
        notify.close()


def _empty_blocking(
    order: Order, notify: RustNotify, stop: threading.Event, receive: Callable[[Batch], None]
) -> Exception | None:
    pace = order.pace
    busy_until = 0.0
    is_last = False
    looked = time.monotonic()
    while not is_last:
        is_last = stop.is_set()
        is_busy = time.monotonic() < busy_until
        step = pace.busy_ms if is_busy or is_last else pace.idle_ms
        # A busy step must be left again, and the last look is short.
        limit = 2 * step if is_last else int((BUSY_S if is_busy else LOOK_S) * 1000)
        try:
            raw = notify.watch(pace.gather_ms, step, limit, None if is_last else stop)
        except (OSError, RuntimeError) as error:
            return error
        before, looked = looked, time.monotonic()
        if looked - before > STALLED_S:
            receive(Batch(tuple(LOST), (), is_control_new=False))
        if isinstance(raw, set):
            receive(translate_blocking(order.root, raw, order.control))
            busy_until = time.monotonic() + BUSY_S
    return None
