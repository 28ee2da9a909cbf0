"""`syncd` as a program: what its commands take from the environment."""

import os
import subprocess
import sys
from pathlib import Path


def syncd(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Without any XDG variable: the defaults hold."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "SYNCD_"))}
    return subprocess.run(
        [sys.executable, "-m", "syncd", *arguments],
        env={**kept, "HOME": str(home), "STATE_DIRECTORY": str(home / "system")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_sync_keeps_its_state_with_the_user_who_runs_it(tmp_path: Path) -> None:
    """Root too: the machine's state belongs to the daemon."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "f").write_bytes(b"1")
    done = syncd(tmp_path, "sync", str(tmp_path / "a"), str(tmp_path / "b"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "b" / "f").read_bytes() == b"1"
    assert len(list(tmp_path.glob(".local/state/syncd/pairs/@*/state.db"))) == 1
    assert not (tmp_path / "system").exists()
