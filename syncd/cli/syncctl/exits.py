"""What the exit codes of `syncctl` and `syncd` mean, and which reason gives which."""

import enum
from collections.abc import Mapping


class Exit(enum.IntEnum):
    """The exit codes of interfaces.md."""

    OK = 0
    FAILED = 1
    USAGE = 2
    DEGRADED = 3
    UNREACHABLE = 4
    HELD = 5
    CONFLICTS = 6
    TIMED_OUT = 7
    CONFIG = 8
    NOT_PERMITTED = 9
    NOT_FOUND = 10
    BUSY = 75
    INTERRUPTED = 130


REASON_EXITS: Mapping[str, Exit] = {
    "no-such-pair": Exit.NOT_FOUND,
    "no-such-path": Exit.NOT_FOUND,
    "no-such-id": Exit.NOT_FOUND,
    "not-allowed": Exit.NOT_PERMITTED,
    "bad-request": Exit.USAGE,
    "config-invalid": Exit.CONFIG,
    "state-busy": Exit.BUSY,
    "too-many-clients": Exit.BUSY,
    **dict.fromkeys(
        (
            "root-missing",
            "root-changed",
            "foreign-marker",
            "root-not-writable",
            "mass-delete",
            "mass-change",
            "side-emptied",
            "first-run",
            "state-lost",
        ),
        Exit.HELD,
    ),
}
