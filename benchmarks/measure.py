"""Run a command and measure it: wall clock, CPU of the process and its children, peak memory."""

import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Run(NamedTuple):
    """One measured run. `rss_bytes` is that of the largest process."""

    wall_s: float
    cpu_s: float
    rss_bytes: int


class Figure(NamedTuple):
    """The median of some runs, with the least and the most."""

    median: float
    least: float
    most: float


class CommandFailed(Exception):
    """A measured command ended with an error: the figures would mean nothing."""


def run(command: Sequence[str], env: Mapping[str, str], log: Path, *, synced: Path | None = None) -> Run:
    """Run to the end. With `synced`, a `syncfs` of that tree belongs to the time (peers do not sync)."""
    begin = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=dict(env), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        tail = log.read_text(errors="replace")[-2000:]
        raise CommandFailed(f"{' '.join(command)} ended with {process.returncode}:\n{tail}")
    if synced is not None:
        subprocess.run(["sync", "-f", str(synced)], check=True)
    wall = time.perf_counter() - begin
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def figure(values: Sequence[float]) -> Figure:
    return Figure(statistics.median(values), min(values), max(values))


def ratio(mine: Sequence[float], other: Sequence[float]) -> Figure:
    """Ratios round by round: both ran within the same minute on the same machine."""
    return figure([a / b for a, b in zip(mine, other, strict=True) if b > 0])
