"""A lab for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.sync.lab import Lab


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with Lab.open() as lab:
        yield lab
