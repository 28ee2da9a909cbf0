"""A pair's voice: every event goes to whoever follows, the notable ones to the log as well."""

import os
from contextlib import suppress

import structlog

from syncd.control.events import EventHub
from syncd.daemon.config import PairConfig
from syncd.sync.settings import Publish

WARNINGS = frozenset(
    {
        "conflict.recorded",
        "pair.held",
        "pair.risk_found",
        "pair.troubled",
        "path.failed",
        "state.rebuilt",
        "watch.lost",
    }
)
NOTABLE = frozenset({"pair.recovered", "path.reported", "rules.changed"})
BUSY = frozenset({"starting", "scanning", "syncing", "idle"})
"""States that come and go with every change: for followers, not for the log."""

log = structlog.get_logger("syncd.pair")


def publisher(hub: EventHub, name: str) -> Publish:
    """The voice of the pair `name`."""

    def publish(kind: str, path: bytes | None = None, /, **data: object) -> None:
        plain = {key: value for key, value in data.items() if isinstance(value, str | int | float | bool)}
        hub.publish(kind, pair=name, path=path, data=plain)
        is_notable = kind in NOTABLE or (kind == "pair.state" and plain.get("state") not in BUSY)
        level = log.warning if kind in WARNINGS else log.info if is_notable else log.debug
        level(kind, pair=name, **({} if path is None else {"path": path}), **plain)

    return publish


def devices(config: PairConfig) -> list[int]:
    """The devices that a pair's roots are on now."""
    found = []
    for root in (config.source, config.destination):
        with suppress(OSError):
            found.append(os.stat(root).st_dev)
    return found
