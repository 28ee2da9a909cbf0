"""Run `syncctl` in this process against a fake daemon in a thread."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from syncd.cli.syncctl import cli
from syncd.cli.syncctl.app import run
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
        runner = CliRunner(env={"SYNCD_SOCKET": str(socket or self.socket)})
        with runner.isolation() as (out, err, _):
            code = run(cli, list(arguments), name="syncctl")
            sys.stderr.flush()
            return Result(int(code), out.getvalue().decode(), err.getvalue().decode())

    @property
    def called(self) -> Any:
        """The parameters of the last call."""
        return self.backend.calls[-1][1]


@pytest.fixture
def syncctl(tmp_path: Path) -> Iterator[Syncctl]:
    with daemon(tmp_path) as (path, backend):
        yield Syncctl(path, backend)


@pytest.fixture
def subprocess_environment(syncctl: Syncctl) -> dict[str, str]:
    return {**os.environ, "SYNCD_SOCKET": str(syncctl.socket), "PYTHONPATH": str(Path.cwd())}
