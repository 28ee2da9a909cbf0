"""A process that has imported `syncd` and forks for every command line that it reads (see `kit.Zygote`).

One JSON list of arguments a line on standard input; answers one JSON object a line: exit code and output.
"""

import importlib
import json
import os
import sys
import tempfile
import traceback

import syncd.cli.syncd

LAZY = (
    "anyio._backends._asyncio",
    "syncd.cli.sync_report",
    "syncd.daemon.logging",
    "syncd.daemon.oneshot",
)
"""What a run imports when it needs it."""


def run_forked(arguments: list[str]) -> dict[str, object]:
    """Run one command in a child and collect what it says."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(output.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            os._exit(run_here(arguments))
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read().decode(errors="backslashreplace"))
        return {"code": code, "output": texts[0], "errors": texts[1]}


def run_here(arguments: list[str]) -> int:
    """The program, to its exit code."""
    code = 1
    try:
        syncd.cli.syncd.main(arguments)
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else 1
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def main() -> None:
    for name in LAZY:
        importlib.import_module(name)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(run_forked(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
