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
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    """A scenario's own pair, gone again afterwards. With `lone=True` in a daemon of its own."""
    options = dict(request.param)
    name = "case-" + tmp_path.name.lower()[:60]
    if options.pop("lone", False):
        with Daemon(tmp_path / "daemon", ()) as daemon:
            yield Case(daemon, name, tmp_path, options)
        return
    one = Case(request.getfixturevalue("scenario_daemon"), name, tmp_path, options)
    try:
        yield one
    finally:
        one.remove()
