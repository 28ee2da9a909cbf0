"""Tasks of one cycle, side by side: what goes wrong in one of them comes out as itself, not as a group."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup

from syncd.core.error import first_known


@asynccontextmanager
async def task_group() -> AsyncIterator[TaskGroup]:
    """As anyio's, but for an error of our own tree: that is raised alone, for those who wait for its kind."""
    try:
        async with anyio.create_task_group() as tasks:
            yield tasks
    except BaseExceptionGroup as group:
        known = first_known(group)
        if known is None:
            raise
        raise known from None
