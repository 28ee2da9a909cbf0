"""What the daemon asks of the kernel, and of the interpreter, for its own process."""

import resource
from contextlib import suppress

from syncd.tree.local.helper import collect_seldom as collect_seldom

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
