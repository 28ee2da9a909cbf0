"""What the next turn of a pair has to do, and who waits for it. Pure bookkeeping on the event loop."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable

import anyio
import msgspec

from syncd.core.entry import Side
from syncd.core.error import SyncdError
from syncd.core.reason import Reason
from syncd.sync.cycle import Cycle
from syncd.sync.settings import BOTH


class Ticket:
    """Somebody waits for the turn that follows; `done` is set when it is over, whatever came of it."""

    def __init__(self) -> None:
        self.done = anyio.Event()


class Errand:
    """Something that a client asks for and that only the pair's own task may do."""

    def __init__(self, job: Callable[[Cycle], Awaitable[object]]) -> None:
        self.job = job
        self.done = anyio.Event()
        self.answer: object = None
        self.error: SyncdError | None = None

    async def run(self, cycle: Cycle) -> None:
        try:
            self.answer = await self.job(cycle)
        except SyncdError as error:
            self.error = error
        finally:
            self.done.set()

    def refuse(self) -> None:
        """The pair's task has ended."""
        self.error = SyncdError(Reason.FAILED, "the pair has ended, try again")
        self.done.set()


def both() -> dict[Side, set[bytes]]:
    return {side: set() for side in BOTH}


class Demand(msgspec.Struct):
    """Everything that one turn takes on. `flushes`: what is still settling is due now."""

    looks: dict[Side, set[bytes]] = msgspec.field(default_factory=both)
    scans: dict[Side, set[bytes]] = msgspec.field(default_factory=both)
    scans_all: bool = False
    flushes: bool = False
    retries_all: bool = False
    tickets: list[Ticket] = msgspec.field(default_factory=list)

    def finish(self) -> None:
        for ticket in self.tickets:
            ticket.done.set()

    @property
    def is_empty(self) -> bool:
        named = any(self.looks.values()) or any(self.scans.values())
        return not (named or self.scans_all or self.flushes or self.retries_all or self.tickets)


class Attention:
    """Collects demands between turns and wakes the pair's task."""

    def __init__(self) -> None:
        self._next = Demand()
        self._later: list[tuple[int, Side, tuple[bytes, ...]]] = []
        self._ask_at_ns: int | None = None
        self._late: list[Ticket] = []
        self._event = anyio.Event()
        self._errands: deque[Errand] = deque()
        self.is_closed = False

    def run_errand(self, errand: Errand) -> None:
        if self.is_closed:
            errand.refuse()
            return
        self._errands.append(errand)
        self.wake()

    def close(self) -> None:
        """No turn will ever come again: nobody is left waiting."""
        self.is_closed = True
        self.give_up()
        while self._errands:
            self._errands.popleft().refuse()

    async def run_errands(self, cycle: Cycle) -> int:
        """Do what clients asked for; how many there were."""
        count = 0
        while self._errands:
            await self._errands.popleft().run(cycle)
            count += 1
        return count

    def wake(self) -> None:
        self._event.set()

    def scan_all(self) -> None:
        self._next.scans_all = True
        self.wake()

    def add(self, side: Side, looks: Iterable[bytes] = (), scans: Iterable[bytes] = ()) -> None:
        self._next.looks[side].update(path for path in looks if path)
        self._next.scans[side].update(scans)
        self.wake()

    def add_later(self, side: Side, looks: tuple[bytes, ...], at_ns: int) -> None:
        """Look at these once more at a monotonic time."""
        self._later.append((at_ns, side, looks))

    def put_off(self, demand: Demand, at_ns: int) -> None:
        """Another turn at a monotonic time; who waits for this one waits for that."""
        self._ask_at_ns = at_ns if self._ask_at_ns is None else min(at_ns, self._ask_at_ns)
        self._late += demand.tickets

    def ask(self, *, retries_all: bool = False) -> Ticket:
        """A turn now, with everything that is still settling."""
        ticket = Ticket()
        if self.is_closed:
            ticket.done.set()
            return ticket
        self._next.tickets.append(ticket)
        self._next.flushes = True
        self._next.retries_all |= retries_all
        self.wake()
        return ticket

    @property
    def is_urgent(self) -> bool:
        return not self._next.is_empty

    @property
    def later_ns(self) -> int | None:
        """When the next postponed look is due."""
        deadlines = [at_ns for at_ns, _, _ in self._later]
        if self._ask_at_ns is not None:
            deadlines.append(self._ask_at_ns)
        return min(deadlines, default=None)

    def take(self, now_ns: int, holds: Callable[[Side, bytes], bool] = lambda *_: False) -> Demand:
        """Everything due by now; the caller finishes it or puts it back.

        A postponed look at a path of which an event waits (`holds`) is dropped: that is looked at with what
        else has happened. Looked at alone, half a rename would be a deletion.
        """
        demand, self._next = self._next, Demand()
        if self._ask_at_ns is not None and self._ask_at_ns <= now_ns:
            self._ask_at_ns = None
        if self._ask_at_ns is None:
            demand.tickets += self._late
            self._late = []
        for at_ns, side, looks in self._later:
            if at_ns <= now_ns or demand.flushes:
                demand.looks[side].update(path for path in looks if not holds(side, path))
        self._later = [item for item in self._later if not (item[0] <= now_ns or demand.flushes)]
        return demand

    def put_back(self, demand: Demand) -> None:
        """The turn did not go through (or not to the end): all of it is due again."""
        for side in BOTH:
            self._next.looks[side] |= demand.looks[side]
            self._next.scans[side] |= demand.scans[side]
        self._next.scans_all |= demand.scans_all
        self._next.flushes |= demand.flushes
        self._next.retries_all |= demand.retries_all
        self._next.tickets += demand.tickets

    def give_up(self) -> None:
        """No turn will come for now (paused, held): those who wait get their answer."""
        for ticket in (*self._next.tickets, *self._late):
            ticket.done.set()
        self._next.tickets.clear()
        self._late.clear()
        self._next.flushes = self._next.retries_all = False

    async def sleep_until(self, deadline_ns: int | None) -> None:
        """Until woken or until a monotonic time (in ns of the loop's clock)."""
        if self._errands:
            return
        if deadline_ns is None:
            await self._event.wait()
        else:
            with anyio.move_on_after(max(0.0, deadline_ns / 1e9 - anyio.current_time())):
                await self._event.wait()
        self._event = anyio.Event()
