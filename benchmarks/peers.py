"""The programs that are compared, behind one small form: a command that brings `destination` to `source`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Peer(NamedTuple):
    """One program. `command` may hold {source}, {destination} and {state}; `renames` replaces it for the
    rename case; `is_copier` can only make a first copy; `syncs` puts its work on disk by itself."""

    name: str
    program: str
    command: tuple[str, ...]
    version: tuple[str, ...]
    renames: tuple[str, ...] = ()
    is_copier: bool = False
    syncs: bool = False

    def argv(self, source: Path, destination: Path, state: Path, *, is_rename: bool = False) -> list[str]:
        parts = self.renames if is_rename and self.renames else self.command
        return [part.format(source=source, destination=destination, state=state) for part in parts]

    def environment(self, state: Path) -> Mapping[str, str]:
        """State and configuration of every peer lie under `state`, never in the home directory."""
        places = {
            "HOME": state,
            "XDG_STATE_HOME": state,
            "XDG_CONFIG_HOME": state,
            "UNISON": state / "unison",
        }
        return {**os.environ, **{key: str(value) for key, value in places.items()}, "NO_COLOR": "1"}

    @property
    def is_installed(self) -> bool:
        return shutil.which(self.program) is not None

    def version_line(self) -> str:
        done = subprocess.run(self.version, capture_output=True, text=True, check=False)
        lines = (done.stdout or done.stderr).strip().splitlines()
        return " ".join(lines[0].split()[:3]) if lines else self.name


SYNCD = Peer(
    "syncd",
    sys.executable,
    (sys.executable, "-m", "syncd", "sync", "{source}", "{destination}", "--yes", "--state-dir", "{state}"),
    (sys.executable, "-m", "syncd", "--version"),
    syncs=True,
)
_RCLONE = ("rclone", "sync", "{source}", "{destination}", "--transfers", "8", "--quiet")
PEERS = (
    SYNCD,
    Peer(
        "rsync",
        "rsync",
        ("rsync", "-a", "--delete", "{source}/", "{destination}/"),
        ("rsync", "--version"),
    ),
    Peer(
        "rclone",
        "rclone",
        _RCLONE,
        ("rclone", "--version"),
        renames=(*_RCLONE, "--track-renames", "--track-renames-strategy", "modtime,leaf"),
    ),
    Peer(
        "unison",
        "unison",
        (
            "unison",
            "{source}",
            "{destination}",
            "-batch",
            "-ui",
            "text",
            "-fastcheck",
            "true",
            "-times",
            "-silent",
        ),
        ("unison", "-version"),
    ),
    Peer("cp", "cp", ("cp", "-a", "{source}/.", "{destination}"), ("cp", "--version"), is_copier=True),
    Peer(
        "tar",
        "tar",
        ("sh", "-c", "tar -C {source} -cf - . | tar -C {destination} -xpf -"),
        ("tar", "--version"),
        is_copier=True,
    ),
)


def build_walk(folder: Path) -> Peer | None:
    """The C yardstick, when there is a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    program = folder / "walk"
    subprocess.run([compiler, "-O2", "-o", str(program), str(Path(__file__).with_name("walk.c"))], check=True)
    return Peer("walk", str(program), (str(program), "{source}", "{destination}"), (str(program),))
