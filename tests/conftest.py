"""Fixtures for every layer."""

import signal

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The daemon runs on anyio's asyncio backend (aiosqlite needs it)."""
    return "asyncio"


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A suite begun in the background inherits an ignored SIGINT, and so would every program it tests.
    signal.signal(signal.SIGINT, signal.default_int_handler)
