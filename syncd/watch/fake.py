"""A watcher for simulations: it reports what the test says, when the test says so. No I/O."""

from collections.abc import Sequence

import anyio
from anyio.abc import TaskStatus

from syncd.core.reason import Reason
from syncd.watch.port import Deliver, Event


class FakeWatcher:
    """`emit` hands events over at once while running; before and after they are lost, as in life."""

    kind = "fake"

    def __init__(self) -> None:
        self.is_alive = False
        self.watched = 0
        self.problem: Reason | None = None
        self.detail = ""
        self.delay_s = 0.0
        self.scan_costs_s: list[float] = []
        self._deliver: Deliver | None = None

    async def run(
        self, deliver: Deliver, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        self._deliver = deliver
        self.is_alive = True
        task_status.started()
        try:
            await anyio.sleep_forever()
        finally:
            self._deliver = None
            self.is_alive = False

    def emit(self, events: Sequence[Event]) -> bool:
        """Deliver `events`; False when nobody listens."""
        if self._deliver is None:
            return False
        self._deliver(events)
        return True

    async def cookie(self, timeout_s: float) -> bool:  # noqa: ARG002
        """`emit` is synchronous, so whatever was emitted has been delivered."""
        await anyio.lowlevel.checkpoint()
        return self.is_alive

    def scanned(self, cost_s: float) -> None:
        self.scan_costs_s.append(cost_s)
