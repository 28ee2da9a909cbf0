"""Fixtures for every layer."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The daemon runs on anyio's asyncio backend (aiosqlite needs it)."""
    return "asyncio"
