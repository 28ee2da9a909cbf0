"""`syncd` in this process, over real directories: what it prints, its exit codes, what it leaves alone."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog
from click.testing import CliRunner

from syncd.cli import sync_report
from syncd.cli.output import Output
from syncd.cli.sync_report import Narrator
from syncd.cli.syncctl.app import run
from syncd.cli.syncctl.exits import Exit
from syncd.cli.syncd import EX_CONFIG, cli
from syncd.daemon import logging as daemon_logging
from syncd.daemon.app import DaemonLock
from syncd.daemon.config import adhoc_pair
from syncd.daemon.engine import PairState
from syncd.sync.settings import Progress
from tests.cli.conftest import Result
from tests.daemon.desk import OLD_NS, contents
from tests.daemon.life import pair_toml
from tests.e2e.mounts import mounted, needs_root


class Shell:
    """`shell("sync", …)` over `a` and `b` beneath `home`, with the state beside them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.a, self.b = home / "a", home / "b"
        self.a.mkdir()
        self.state_dir = home / "state"

    def __call__(self, *arguments: str) -> Result:
        runner = CliRunner(env={"HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / "config")})
        with runner.isolation() as (out, err, _):
            code = run(cli, list(arguments), name="syncd")
            sys.stderr.flush()
            return Result(int(code), out.getvalue().decode(), err.getvalue().decode())

    def sync(self, *options: str) -> Result:
        return self("sync", str(self.a), str(self.b), "--state-dir", str(self.state_dir), *options)

    def write(self, path: Path, data: bytes, mtime_ns: int = OLD_NS) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, ns=(mtime_ns, mtime_ns))


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    # What the daemon's logging sets up for a process would outlive the test.
    monkeypatch.setattr(daemon_logging, "configure_logging", lambda **_: None)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    umask = os.umask(0o022)
    os.umask(umask)
    monkeypatch.setattr(os, "umask", lambda mask: umask)
    yield Shell(tmp_path)
    structlog.reset_defaults()


# One run.


def test_a_run_says_what_it_did(shell: Shell) -> None:
    shell.write(shell.a / "d" / "f", b"1")
    first = shell.sync("--verbose")
    assert first.code == Exit.OK, first.err
    assert "destination: put d/f" in first.out
    assert "destination: made d" in first.out
    assert "1 made, 1 put" in first.out
    assert contents(shell.b) == {"d/f": b"1"}
    assert "nothing to do" in shell.sync().out


def test_a_run_in_json(shell: Shell) -> None:
    shell.write(shell.a / "f", b"1")
    done = shell.sync("--json")
    assert (done.code, done.data["is_synced"], done.data["done"]) == (Exit.OK, True, {"put": 1})
    assert (done.data["hold"], done.data["failed"], done.data["issues"]) == (None, [], 0)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_rehearsal_says_what_would_be_done_and_does_nothing(shell: Shell, options: tuple[str, ...]) -> None:
    shell.write(shell.a / "f", b"123")
    shell.b.mkdir()
    shell.sync()
    (shell.a / "f").rename(shell.a / "moved")
    shell.write(shell.a / "new", b"1234")
    before = [sorted(root.rglob("*")) for root in (shell.a, shell.b)]
    done = shell.sync("--dry-run", *options)
    assert done.code == Exit.OK, done.err
    assert [sorted(root.rglob("*")) for root in (shell.a, shell.b)] == before
    if options:
        rows = {(row["verb"], row["path"]) for row in done.data["actions"]}
        assert rows == {("move", "f"), ("put", "new")}
    else:
        assert "would move destination: f -> moved" in done.out
        assert "would put destination: new" in done.out
        assert "2 actions, nothing was done" in done.out


def test_a_held_run_needs_a_yes(shell: Shell) -> None:
    for number in range(40):
        shell.write(shell.a / str(number), b"1")
    shell.sync()
    for number in range(30):
        (shell.a / str(number)).unlink()
    held = shell.sync()
    assert held.code == Exit.HELD
    assert "held: mass-delete" in held.out
    assert "would delete destination: " in held.out
    assert "… and 20 more" in held.out
    assert shell.sync("--json").data["hold"]["actions"] == 30
    rehearsed = shell.sync("--dry-run")
    assert (rehearsed.code, "held: " in rehearsed.out) == (Exit.HELD, True)
    assert len(contents(shell.b)) == 40
    assert shell.sync("--yes").code == Exit.OK
    assert len(contents(shell.b)) == 10


def test_conflicts_and_reports_are_told(shell: Shell) -> None:
    for name in ("both", "gone"):
        shell.write(shell.a / name, b"base")
    shell.sync()
    shell.write(shell.a / "both", b"ours!", OLD_NS + 10**11)
    shell.write(shell.b / "both", b"theirs", OLD_NS + 10**10)
    (shell.a / "gone").unlink()
    shell.write(shell.b / "gone", b"edited", OLD_NS + 10**10)
    done = shell.sync()
    assert done.code == Exit.OK
    assert "conflict: both (conflict-modified)" in done.out
    assert "note: gone (edit-beats-delete)" in done.out


def test_what_stays_out_of_sync_is_counted(shell: Shell) -> None:
    shell.write(shell.a / "f", b"ours!")
    shell.write(shell.b / "f", b"theirs")
    shell.write(shell.a / ".SYNCD", b"reserved")
    done = shell.sync("--conflict", "manual")
    assert done.code == Exit.DEGRADED
    assert "not in sync: 1 path" in done.out
    assert "waiting for you: 1 conflict" in done.out


@needs_root
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_full_disk_breaks_a_run_off_and_the_next_goes_on(shell: Shell, options: tuple[str, ...]) -> None:
    with mounted(shell.b, "nr_inodes=60,mode=755") as root:
        for number in range(200):
            shell.write(shell.a / f"f{number}", b"1")
        full = shell.sync(*options)
        assert full.code == Exit.DEGRADED
        if options:
            assert (full.data["is_synced"], full.data["trouble"]["reason"]) == (False, "disk-full")
        else:
            assert "broken off: destination: No space left on device (disk-full)" in full.out
            assert "run it again once that is mended" in full.out
        subprocess.run(["mount", "-o", "remount,nr_inodes=5000", root], check=True)
        assert shell.sync().code == Exit.OK
        assert len(contents(shell.b)) == 200


def test_a_lopsided_mirror_is_warned_of(shell: Shell) -> None:
    shell.b.mkdir()
    for number in range(30):
        shell.write(shell.b / str(number), b"1")
    done = shell.sync("--mode", "source-to-destination")
    assert "warning: the source has 0 files, the destination 30" in done.out
    assert len(contents(shell.b)) == 30


def test_a_damaged_state_is_told(shell: Shell) -> None:
    shell.write(shell.a / "f", b"1")
    shell.sync()
    for state in shell.state_dir.rglob("state.db"):
        state.write_bytes(b"scrambled" * 1000)
    done = shell.sync()
    assert "the state was damaged and is begun anew" in done.out + done.err
    assert contents(shell.a) == contents(shell.b) == {"f": b"1"}


# Arguments.


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--mode", "sideways"), "sideways"),
        (("--conflict", "coin"), "coin"),
        (("--initial", "both"), "both"),
        (("--settle", "soon"), "soon"),
    ],
)
def test_words_that_mean_nothing_are_usage_errors(shell: Shell, options: tuple[str, str], word: str) -> None:
    done = shell.sync(*options)
    assert done.code == Exit.USAGE
    assert word in done.err
    assert not shell.state_dir.exists()


def test_roots_that_overlap_are_refused(shell: Shell) -> None:
    done = shell("sync", str(shell.a), str(shell.a / "inner"), "--state-dir", str(shell.state_dir))
    assert done.code == Exit.CONFIG
    assert not (shell.a / "inner").exists()


def test_a_destination_without_a_parent_is_refused(shell: Shell) -> None:
    done = shell("sync", str(shell.a), str(shell.home / "no" / "b"), "--state-dir", str(shell.state_dir))
    assert done.code != Exit.OK
    assert "does not exist" in done.err


def test_a_pair_that_is_in_use_is_busy(shell: Shell) -> None:
    shell.sync()
    pair = adhoc_pair(str(shell.a), str(shell.b), env={}, state_dir=shell.state_dir)
    with PairState(shell.state_dir, pair.key):
        assert shell.sync().code == Exit.BUSY


def test_version_and_help(shell: Shell) -> None:
    assert shell("--version").out.startswith("syncd ")
    assert "Keep trees of files in sync" in shell("--help").out


# Signals.


def test_a_signal_ends_the_run_after_the_step_at_hand(shell: Shell) -> None:
    """The next run does the rest."""
    for number in range(200):
        shell.write(shell.a / str(number), b"1")
    publish = Narrator.publish
    is_first = iter([True])

    def interrupted(self: Narrator, kind: str, path: bytes | None = None, /, **data: object) -> None:
        publish(self, kind, path, **data)
        if kind == "file.put" and next(is_first, False):
            signal.raise_signal(signal.SIGINT)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Narrator, "publish", interrupted)
        assert shell.sync().code == Exit.INTERRUPTED
    assert shell.sync("--json").code == Exit.OK
    assert len(contents(shell.b)) == 200


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def test_progress_is_one_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_report, "PROGRESS_EVERY_S", 0.001)
    screen = Terminal()
    narrator = Narrator(Output(screen), is_verbose=False)
    narrator.follow(Progress(phase="syncing", done=3, total=10, bytes_done=1024, bytes_total=4096))
    with anyio.fail_after(30):
        async with narrator.beside():
            while "3 of 10" not in screen.getvalue():
                await anyio.sleep(0.001)
    narrator.close()
    assert "syncing 3 of 10, 1 KiB of 4 KiB" in screen.getvalue().replace("KiB", " KiB").replace("  ", " ")
    assert "\n" not in screen.getvalue()


# Staying.


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_watching_keeps_both_in_sync_until_a_signal(shell: Shell, options: tuple[str, ...]) -> None:
    shell.write(shell.a / "f", b"1")

    def user() -> None:
        until(lambda: (shell.b / "f").exists())
        shell.write(shell.b / "g", b"2")
        until(lambda: (shell.a / "g").exists())
        os.kill(os.getpid(), signal.SIGINT)

    person = threading.Thread(target=user)
    person.start()
    done = shell.sync("--watch", "--settle", "10ms", *options)
    person.join()
    assert done.code == Exit.OK, done.err
    assert contents(shell.a) == contents(shell.b) == {"f": b"1", "g": b"2"}
    if options:
        events = [json.loads(line) for line in done.out.splitlines()]
        assert {"file.put", "pair.state"} <= {one["data"]["kind"] for one in events}


# The daemon and its configuration.


def configure(shell: Shell, text: str | None = None) -> str:
    shell.b.mkdir(exist_ok=True)
    path = shell.home / "syncd.toml"
    path.write_text(pair_toml(shell.home) if text is None else text)
    return str(path)


def test_a_configuration_is_checked(shell: Shell) -> None:
    good = shell("check-config", "-c", configure(shell))
    assert (good.code, good.out) == (Exit.OK, "valid: 1 files, pairs: p\n")
    assert shell("check-config", "--json", "-c", configure(shell)).data["is_valid"]
    shell.b.rmdir()
    warned = shell("check-config", "-c", str(shell.home / "syncd.toml"))
    assert (warned.code, warned.err.startswith("warning: ")) == (Exit.OK, True)
    bad = configure(shell, "[pair.p]\nsource = 1\n")
    refused = shell("check-config", "-c", bad)
    assert (refused.code, "syncd.toml:2" in refused.err) == (Exit.CONFIG, True)
    data = shell("check-config", "--json", "-c", bad).data
    assert not data["is_valid"]
    assert 2 in {problem["line"] for problem in data["problems"]}
    assert shell("run", "-c", bad).code == EX_CONFIG


def test_the_schema_is_json(shell: Shell) -> None:
    schema: dict[str, Any] = json.loads(shell("schema").out)
    assert schema["$id"] == "syncd.config/1"


def test_a_daemon_runs_until_it_is_told_to_stop(shell: Shell) -> None:
    arguments = ["run", "-c", configure(shell), "--state-dir", str(shell.state_dir)]
    arguments += ["--socket", str(shell.home / "s.sock")]
    shell.write(shell.a / "f", b"1")

    def user() -> None:
        until(lambda: (shell.b / "f").exists())
        os.kill(os.getpid(), signal.SIGTERM)

    person = threading.Thread(target=user)
    person.start()
    done = shell(*arguments)
    person.join()
    assert done.code == Exit.OK, done.err
    assert contents(shell.b) == {"f": b"1"}
    with DaemonLock(shell.state_dir):
        busy = shell(*arguments)
    assert busy.code == Exit.BUSY
    assert str(os.getpid()) in busy.err


def test_a_socket_that_cannot_be_made_is_told(shell: Shell) -> None:
    (shell.home / "file").write_text("")
    arguments = ["-c", configure(shell), "--state-dir", str(shell.state_dir)]
    done = shell("run", *arguments, "--socket", str(shell.home / "file" / "s.sock"))
    assert done.code == EX_CONFIG
    assert "file" in done.err
