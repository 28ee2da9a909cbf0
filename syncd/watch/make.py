"""Pick the watcher that fits a tree."""

import os

from syncd.watch.local import LocalWatcher
from syncd.watch.poll import PollWatcher
from syncd.watch.port import HasEvents, Watcher
from syncd.watch.pump import Host
from syncd.watch.translate import CONTROL


def make_watcher(
    root: bytes | str,
    *,
    settle_s: float,
    capabilities: HasEvents,
    is_written: bool,
    ignore_prefix: bytes = CONTROL,
    poll_s: float = 2.0,
    cross_mounts: bool = False,
    host: Host | None = None,
) -> Watcher:
    """A watcher of the directory `root` (need not be there yet). `poll_s` is the shortest time between two
    polls, where polling it must be. `is_written`: cookies may be written beneath `ignore_prefix`."""
    path = os.fsencode(root)
    if not capabilities.has_events:
        return PollWatcher(path, poll_s=poll_s)
    return LocalWatcher(
        path,
        settle_s=settle_s,
        is_written=is_written,
        control=ignore_prefix,
        poll_s=poll_s,
        cross_mounts=cross_mounts,
        host=host,
    )
