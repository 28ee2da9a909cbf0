"""What the daemon asks of the kernel, and of the interpreter, for its own process."""

import gc
import resource
from contextlib import suppress

MOST_FILES = 65_536
"""More would only make it slower to start programs that close every possible descriptor."""


def raise_file_limit() -> int:
    """Lift the soft limit of open files to the hard one, within reason. Returns the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    wanted = MOST_FILES if hard == unlimited else min(hard, MOST_FILES)
    if soft == unlimited or soft >= wanted:
        return soft
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft


def collect_seldom() -> None:
    """Look for reference cycles seldom: plans and pages are many objects without any, and to look through
    them at the interpreter's own pace takes a twelfth of a first copy."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
