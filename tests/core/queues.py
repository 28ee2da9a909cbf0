"""Settle queues filled with names; times are in ns."""

from syncd.core.settle import MAX_PATIENCE, SettleQueue

SETTLE = 100
LATEST = MAX_PATIENCE * SETTLE


def names(directory: bytes, count: int, prefix: bytes = b"n") -> list[bytes]:
    lead = directory + b"/" if directory else b""
    return [b"%s%s%04d" % (lead, prefix, i) for i in range(count)]


def filled(*paths: bytes, at: int = 0) -> SettleQueue:
    queue = SettleQueue(SETTLE)
    for path in paths:
        queue.push(path, at)
    return queue
