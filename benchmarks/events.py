"""The cases with a running daemon: one file, a burst, and a directory rename, by events."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.cases import Sizes
from benchmarks.data import make_tree

TIMEOUT_S = 60.0
STEP_S = 0.0005

CONFIG = """
[pair.bench]
source = "{base}/source"
destination = "{base}/destination"
settle = "{settle}"
"""


@contextlib.contextmanager
def daemon(base: Path, settle: str) -> Iterator[tuple[Path, Path]]:
    """A daemon with one pair under `base`, ready: its first file has arrived."""
    source, destination = base / "source", base / "destination"
    for path in (source, destination):
        path.mkdir(parents=True, exist_ok=True)
    config = base / "syncd.toml"
    config.write_text(CONFIG.format(base=base, settle=settle))
    command = [sys.executable, "-m", "syncd", "run", "-c", str(config)]
    command += ["--socket", str(base / "sock"), "--state-dir", str(base / "state")]
    with (base / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        (source / "ready").write_text("1")
        await_true((destination / "ready").exists)
        time.sleep(2)
        yield source, destination
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def await_true(is_done: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + TIMEOUT_S
    while not is_done():
        if time.perf_counter() > deadline:
            raise RuntimeError("the daemon did not carry a change within a minute")
        time.sleep(STEP_S)


def measure_events(base: Path, settle: str, sizes: Sizes) -> dict[str, list[float]]:
    """Seconds from the write on one side until the name is on the other."""
    found: dict[str, list[float]] = {"one file": [], "burst": [], "directory rename": []}
    with daemon(base, settle) as (source, destination):
        for number in range(sizes.events):
            name = f"event{number}"
            begin = time.perf_counter()
            (source / name).write_bytes(b"x" * 1000)
            await_true((destination / name).exists)
            found["one file"].append(time.perf_counter() - begin)
            time.sleep(0.05)
        found["burst"].append(_burst(source, destination, sizes.burst))
        found["directory rename"].append(_rename(source, destination, sizes.renamed_files))
    return found


def _burst(source: Path, destination: Path, count: int) -> float:
    (source / "burst").mkdir()
    await_true((destination / "burst").exists)
    time.sleep(1)
    begin = time.perf_counter()
    for number in range(count):
        (source / "burst" / str(number)).write_bytes(b"x" * 1000)
    await_true(lambda: len(os.listdir(destination / "burst")) == count)
    return time.perf_counter() - begin


def _rename(source: Path, destination: Path, count: int) -> float:
    make_tree(source / "old", files=count, directories=max(1, count // 50), seed=1)
    await_true(lambda: _count(destination / "old") == count)
    time.sleep(2)
    begin = time.perf_counter()
    (source / "old").rename(source / "new")
    await_true(lambda: (destination / "new").exists() and not (destination / "old").exists())
    took = time.perf_counter() - begin
    if _count(destination / "new") != count:
        await_true(lambda: _count(destination / "new") == count)
        took = time.perf_counter() - begin
    return took


def _count(root: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(root))
