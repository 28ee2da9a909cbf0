"""Small file systems for scenarios that need one of their own. Only root can mount; others skip by name."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")


@contextmanager
def mounted(at: Path, options: str = "size=16m,mode=755") -> Iterator[Path]:
    """A tmpfs at `at` (made if it is missing), unmounted afterwards if it still is mounted."""
    at.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", at], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"cannot mount: {done.stderr.decode().strip()}")
    try:
        yield at
    finally:
        unmount(at)


def unmount(at: Path) -> None:
    """Unmount; at once if nothing uses it, else as soon as nothing does."""
    if os.path.ismount(at) and subprocess.run(["umount", at], capture_output=True, check=False).returncode:
        subprocess.run(["umount", "-l", at], capture_output=True, check=True)
