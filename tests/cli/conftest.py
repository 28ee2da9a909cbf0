"""Run `syncctl` in this process against a fake daemon in a thread."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from syncd.cli.syncctl import main
from syncd.cli.syncctl.app import run
from syncd.cli.syncctl.group import cli
from tests.control.fake import FakeBackend
from tests.control.running import daemon


class Result:
    """How a command line ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def data(self) -> Any:
        """The data of the one JSON object on stdout."""
        return json.loads(self.out)["data"]


class Syncctl:
    """`syncctl("status", "--check")` with the fake daemon's socket in the environment."""

    def __init__(self, socket: Path, backend: FakeBackend) -> None:
        self.socket = socket
        self.backend = backend

    def __call__(self, *arguments: str, socket: Path | None = None) -> Result:
        """What the program does with these arguments."""
        return self._run(main, arguments, socket or self.socket)

    def by_the_group(self, *arguments: str) -> Result:
        """The same by the command group alone, whatever has a quicker way."""
        return self._run(lambda words: sys.exit(run(cli, words, name="syncctl")), arguments, self.socket)

    def _run(self, program: Callable[[Sequence[str]], None], words: Sequence[str], socket: Path) -> Result:
        runner = CliRunner(env={"SYNCD_SOCKET": str(socket)})
        with runner.isolation() as (out, err, _):
            with pytest.raises(SystemExit) as ended:
                program(words)
            sys.stderr.flush()
            return Result(int(ended.value.code or 0), out.getvalue().decode(), err.getvalue().decode())

    @property
    def called(self) -> Any:
        """The parameters of the last call."""
        return self.backend.calls[-1][1]


@pytest.fixture
def syncctl(tmp_path: Path) -> Iterator[Syncctl]:
    with daemon(tmp_path) as (path, backend):
        yield Syncctl(path, backend)


@pytest.fixture(autouse=True)
def no_lower_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    """`syncd run` in this process would lower that of the tests, for good."""
    monkeypatch.setattr("syncd.daemon.priority.give_way", lambda: None)


@pytest.fixture
def subprocess_environment(syncctl: Syncctl) -> dict[str, str]:
    return {**os.environ, "SYNCD_SOCKET": str(syncctl.socket), "PYTHONPATH": str(Path.cwd())}
