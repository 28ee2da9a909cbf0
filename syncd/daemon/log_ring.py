"""The last log events, kept in memory for `syncctl log` and the support bundle."""

import threading
from collections import deque
from collections.abc import Mapping

import msgspec

from syncd.daemon.log_render import PRIORITIES, pairs


class LogRecord(msgspec.Struct, frozen=True):
    """One event. `number` only grows; `text` holds the keys as `key=value`."""

    number: int
    at_ns: int
    level: str
    event: str
    pair: str | None
    text: str


class LogRing:
    """Keeps the last `size` events. Written from any thread."""

    def __init__(self, size: int = 2000) -> None:
        self.last = 0
        self._records: deque[LogRecord] = deque(maxlen=size)
        self._lock = threading.Lock()

    def add(self, at_ns: int, level: str, fields: Mapping[str, object]) -> None:
        """Keep one event whose fields are safe to show."""
        pair = fields.get("pair")
        shown = {key: value for key, value in fields.items() if key != "pair"}
        with self._lock:
            self.last += 1
            self._records.append(
                LogRecord(
                    number=self.last,
                    at_ns=at_ns,
                    level=level,
                    event=str(fields.get("event", "")),
                    pair=None if pair is None else str(pair),
                    text=pairs(shown),
                )
            )

    def tail(
        self, limit: int, *, level: str = "debug", pair: str | None = None, after: int | None = None
    ) -> tuple[LogRecord, ...]:
        """The last `limit` records at `level` or above (the first ones after `after`, when given)."""
        least = PRIORITIES.get(level, 7)
        with self._lock:
            records = list(self._records)
        found = [
            record
            for record in records
            if PRIORITIES.get(record.level, 6) <= least
            and (pair is None or record.pair == pair)
            and (after is None or record.number > after)
        ]
        return tuple(found[:limit] if after is not None else found[-limit:])
