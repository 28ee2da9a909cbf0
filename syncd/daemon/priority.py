"""A background service gives way: whoever sits at the machine, and `syncctl`, come first."""

import os
from contextlib import suppress

from syncd.tree.local.helper import lower_session

NICE = 10
"""A tenth of an ordinary process's share while others want the processor; all of it while none does."""


def give_way() -> None:
    """Lower the priority of this process and of those it begins, unless somebody chose one already. Where
    that is not allowed (the sandbox of the unit, which says `Nice=` itself) all stays as it is."""
    if os.getpriority(os.PRIO_PROCESS, 0) == 0:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, NICE)
            lower_session()
