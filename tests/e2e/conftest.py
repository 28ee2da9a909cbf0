"""The shared daemon of the scenarios, and a pair of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.case import Case
from tests.e2e.kit import Daemon


@pytest.fixture(scope="session")
def scenario_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon serves every scenario: a pair each."""
    with Daemon(tmp_path_factory.mktemp("scenarios"), ()) as daemon:
        yield daemon


@pytest.fixture
def case(scenario_daemon: Daemon, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    """A scenario's own pair, gone again afterwards."""
    one = Case(scenario_daemon, "case-" + tmp_path.name.lower()[:60], tmp_path, request.param)
    try:
        yield one
    finally:
        one.remove()
