"""Who is at work beneath a root: a process of a killed daemon may still be, when the next one starts.

It holds a shared lock on the staging directory, so that nothing is cleaned up beneath it.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

_WAIT_S = 10.0


@contextlib.contextmanager
def occupied(directory: int) -> Iterator[None]:
    """Hold the staging directory while a batch is under way."""
    fcntl.flock(directory, fcntl.LOCK_SH)
    try:
        yield
    finally:
        fcntl.flock(directory, fcntl.LOCK_UN)


def wait_until_free(directory: int) -> None:
    """Wait, not for ever, until no process of a killed daemon is at work beneath a root."""
    deadline = time.monotonic() + _WAIT_S
    while not is_free(directory) and time.monotonic() < deadline:
        time.sleep(0.02)


def is_free(directory: int) -> bool:
    """Is no process at work? A descriptor of its own: a lock belongs to an open file, not to a process."""
    own = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(own)
    return True
