"""`syncctl` as a program: what only a real process shows (signals, pipes, start, terminals)."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from syncd.control.model import Event
from tests.cli.conftest import Syncctl
from tests.cli.schema_check import check

COMMAND = [sys.executable, "-m", "syncd.cli.syncctl"]
HEAVY = ("anyio", "asyncio", "rich", "structlog", "aiosqlite", "watchfiles", "pathspec", "blake3", "ssl")
HEAVY_FOR_STATUS = (*HEAVY, "click", "msgspec", "inspect", "dataclasses", "hashlib", "pathlib")


def syncctl_process(environment: dict[str, str], *arguments: str, **options: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, *arguments],
        env=environment,
        text=True,
        stdout=options.get("stdout", subprocess.PIPE),
        stderr=options.get("stderr", subprocess.PIPE),
        stdin=subprocess.DEVNULL,
    )


@contextmanager
def ended(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def publish_until_seen(syncctl: Syncctl, process: "subprocess.Popen[str]") -> str:
    """Publish events until the process prints a line about one."""
    if process.stdout is None:
        raise AssertionError("no stdout")
    deadline = time.monotonic() + 20
    while not syncctl.backend.hub.readers and time.monotonic() < deadline:
        time.sleep(0.01)
    syncctl.backend.publish("file.put", pair="documents", path=b"a\xff")
    return process.stdout.readline()


def test_status_imports_nothing_heavy(subprocess_environment: dict[str, str]) -> None:
    """Status answers in 200 ms also on a busy machine. What is not imported costs nothing."""
    script = (
        "import sys\n"
        "before = set(sys.modules)\n"  # what measures coverage loads modules of its own
        "from syncd.cli.syncctl import main\n"
        "try: main(['status'])\n"
        "except SystemExit as end: code = end.code\n"
        f"print([name for name in {HEAVY_FOR_STATUS!r} if name in sys.modules.keys() - before], code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=subprocess_environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[] 0"
    assert "syncd 0.1.0" in done.stdout


def test_a_reader_that_goes_away_is_no_error(subprocess_environment: dict[str, str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with ended(syncctl_process(subprocess_environment, "plan", "photos", "--all", stdout=writing)) as process:
        os.close(writing)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert err == ""


def test_an_interrupt_is_exit_130(subprocess_environment: dict[str, str], syncctl: Syncctl) -> None:
    with ended(syncctl_process(subprocess_environment, "watch", "--json")) as process:
        line = publish_until_seen(syncctl, process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == ""
    check(json.loads(line)["data"], {"type": "object"})
    assert json.loads(line)["schema"] == "syncctl.event/1"
    assert json.loads(line)["data"]["path_b64"] == "Yf8="


def test_watch_events_fit_their_schema(subprocess_environment: dict[str, str], syncctl: Syncctl) -> None:
    from syncd.cli.syncctl.schema import SCHEMAS, schema_of

    for number in range(3):
        syncctl.backend.publish("pair.state", pair="documents", data={"n": number, "to": None})
    with ended(syncctl_process(subprocess_environment, "watch", "--json", "--since", "0")) as process:
        if process.stdout is None:
            raise AssertionError("no stdout")
        lines = [process.stdout.readline() for _ in range(3)]
    for line in lines:
        check(json.loads(line), schema_of("syncctl.event/1"))
    assert SCHEMAS["syncctl.event/1"] is Event


def test_watch_in_a_pipe_prints_lines(subprocess_environment: dict[str, str], syncctl: Syncctl) -> None:
    with ended(syncctl_process(subprocess_environment, "watch", "documents")) as process:
        first = publish_until_seen(syncctl, process)
        if process.stdout is None:
            raise AssertionError("no stdout")
        second = process.stdout.readline()
    assert first == "documents  idle\n"
    assert second == "file.put  documents: a\\xff\n"


def test_watch_ends_with_the_daemon(subprocess_environment: dict[str, str], syncctl: Syncctl) -> None:
    syncctl.backend.fails["status"] = RuntimeError("gone")
    with ended(syncctl_process(subprocess_environment, "watch")) as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "internal error" in err
    assert "Traceback" not in err


def test_watch_on_a_terminal_draws(subprocess_environment: dict[str, str], syncctl: Syncctl) -> None:
    master, slave = pty.openpty()
    environment = {**subprocess_environment, "TERM": "xterm", "COLUMNS": "120"}
    environment.pop("NO_COLOR", None)
    with ended(syncctl_process(environment, "watch", stdout=slave, stderr=slave)) as process:
        os.close(slave)
        deadline = time.monotonic() + 20
        while not syncctl.backend.hub.readers and time.monotonic() < deadline:
            time.sleep(0.01)
        syncctl.backend.publish("file.put", pair="documents", path=b"seen.txt")
        text = b""
        while b"seen.txt" not in text and time.monotonic() < deadline:
            text += os.read(master, 65536)
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):
            while os.read(master, 65536):
                pass
        assert process.wait(30) == 130
    os.close(master)
    assert b"documents" in text
    assert b"\x1b[" in text


def test_log_follows(subprocess_environment: dict[str, str], syncctl: Syncctl) -> None:
    with ended(syncctl_process(subprocess_environment, "log", "-f")) as process:
        if process.stdout is None:
            raise AssertionError("no stdout")
        assert "file.put" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130


def test_stop_ends_the_fake_daemon(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("run") / "s.sock"
    environment = {**os.environ, "SYNCD_SOCKET": str(path)}
    served = subprocess.Popen(
        [sys.executable, "-m", "tests.control.serve_fake", str(path)], stdout=subprocess.PIPE, text=True
    )
    with ended(served):
        if served.stdout is None:
            raise AssertionError("no stdout")
        assert served.stdout.readline() == "ready\n"
        with ended(syncctl_process(environment, "stop")) as process:
            out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (0, "the daemon stops\n", "")
        assert served.wait(30) == 0
    assert not path.exists()
