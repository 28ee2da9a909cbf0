"""`syncctl`: everything a person or a script asks of a running daemon, a file per noun.

An ordinary `syncctl status` is answered by `quick`; everything else goes through the command group.
"""

import contextlib
import sys
from collections.abc import Sequence

from syncd.cli.syncctl import quick
from syncd.cli.syncctl.exits import Exit


def main(arguments: Sequence[str] | None = None) -> None:
    """The program. Ends the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    words = sys.argv[1:] if arguments is None else arguments
    try:
        code: int | None = quick.status(words)
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    sys.exit(int(_long_way(words) if code is None else code))


def _long_way(words: Sequence[str]) -> int:
    from syncd.cli.syncctl.app import run
    from syncd.cli.syncctl.group import cli

    return run(cli, words, name="syncctl")
