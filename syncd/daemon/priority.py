"""A background service gives way: whoever sits at the machine, and `syncctl`, come first."""

import os
from contextlib import suppress
from pathlib import Path

NICE = 10
"""A tenth of an ordinary process's share while others want the processor; all of it while none does."""


def give_way(session: Path = Path("/proc/self/autogroup")) -> None:
    """Lower the priority of this process and of those it begins, unless somebody chose one already.

    The leader of a session also lowers the session: where Linux shares the processor out by session
    (sched(7), "The autogroup feature"), a nice value counts only within. Where that is not allowed (the
    sandbox of the unit, which says `Nice=` itself) all stays as it is.
    """
    if os.getpriority(os.PRIO_PROCESS, 0) != 0:
        return
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
        if os.getsid(0) == os.getpid():
            session.write_text(f"{NICE}")
