"""The life of a pair as a table: what each event makes of each state.

The table is data and covers every combination: what cannot happen is in it as well, and refused with both
names. The diagram of the docs is rendered from it. Pure; may import only `syncd.core`.
"""

import enum
from collections.abc import Mapping

from syncd.core.error import SyncdError
from syncd.core.reason import Reason


class PairState(enum.StrEnum):
    """What a pair is doing, as status shows it."""

    STARTING = "starting"
    SCANNING = "scanning"
    SYNCING = "syncing"
    IDLE = "idle"
    WAITING = "waiting"
    """For the next attempt after a transient error."""
    PAUSED = "paused"
    HELD = "held"
    """A person (or the returning root) has to resolve something; harmless work goes on meanwhile."""
    FAILED = "failed"


class Event(enum.StrEnum):
    """What happens to a pair."""

    START = "start"  # the supervisor starts (or starts again) the pair
    SCAN_BEGUN = "scan-begun"
    SCAN_DONE = "scan-done"
    WORK_FOUND = "work-found"  # a cycle begins: paths have settled, or the other side woke us
    WORK_DONE = "work-done"  # a cycle ended, and nothing is held
    HOLD = "hold"  # the guard holds a plan, or a root must not be trusted
    HOLD_RELEASED = "hold-released"  # approved, reverted, or taken back
    ROOT_LOST = "root-lost"
    ROOT_BACK = "root-back"
    ERROR = "error"  # a transient error ended the cycle
    RETRY_DUE = "retry-due"
    BUDGET_SPENT = "budget-spent"  # it was started again too often
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"  # the daemon ends, or the pair was removed: it keeps its state until it is gone


class IllegalEvent(SyncdError):
    """An event that cannot happen in this state: a bug of the caller, never of the user."""

    def __init__(self, state: PairState, event: Event) -> None:
        super().__init__(Reason.BUG, f"event {event.value!r} cannot happen to a pair that is {state.value!r}")
        self.state = state
        self.event = event


_S, _E = PairState, Event

# What a running pair leads to, whatever it is doing.
_RUNNING: dict[Event, PairState] = {
    _E.START: _S.STARTING,
    _E.SCAN_BEGUN: _S.SCANNING,
    _E.WORK_FOUND: _S.SYNCING,
    _E.HOLD: _S.HELD,
    _E.ROOT_LOST: _S.HELD,
    _E.ERROR: _S.WAITING,
    _E.BUDGET_SPENT: _S.FAILED,
    _E.PAUSE: _S.PAUSED,
}
# Each state's own rows; an event that leads to the same state is accepted and changes nothing.
_ROWS: dict[PairState, dict[Event, PairState]] = {
    _S.STARTING: {**_RUNNING, _E.RESUME: _S.STARTING, _E.ROOT_BACK: _S.STARTING},
    _S.SCANNING: {**_RUNNING, _E.RESUME: _S.SCANNING, _E.SCAN_DONE: _S.SYNCING},
    _S.SYNCING: {
        **_RUNNING,
        _E.RESUME: _S.SYNCING,
        _E.WORK_DONE: _S.IDLE,
        _E.HOLD_RELEASED: _S.SYNCING,
    },
    _S.IDLE: {**_RUNNING, _E.RESUME: _S.IDLE, _E.HOLD_RELEASED: _S.IDLE},
    _S.WAITING: {
        **_RUNNING,
        _E.RESUME: _S.SYNCING,
        _E.RETRY_DUE: _S.SYNCING,
        _E.HOLD_RELEASED: _S.WAITING,
        _E.ROOT_BACK: _S.STARTING,
    },
    _S.HELD: {
        **_RUNNING,
        # What the hold does not concern goes on, and status says "held" all the while.
        _E.SCAN_BEGUN: _S.HELD,
        _E.SCAN_DONE: _S.HELD,
        _E.WORK_FOUND: _S.HELD,
        _E.WORK_DONE: _S.IDLE,
        _E.RETRY_DUE: _S.HELD,
        _E.RESUME: _S.HELD,
        _E.HOLD_RELEASED: _S.SYNCING,
        _E.ROOT_BACK: _S.STARTING,
    },
    _S.PAUSED: {
        # Roots are closed, nothing is looked at; roots may come and go.
        _E.START: _S.PAUSED,
        _E.ROOT_LOST: _S.PAUSED,
        _E.ROOT_BACK: _S.PAUSED,
        _E.RETRY_DUE: _S.PAUSED,
        _E.HOLD_RELEASED: _S.PAUSED,
        _E.BUDGET_SPENT: _S.FAILED,
        _E.PAUSE: _S.PAUSED,
        _E.RESUME: _S.STARTING,
    },
    _S.FAILED: {
        # Only a person, or a restart, gets it out of here.
        _E.START: _S.STARTING,
        _E.ROOT_LOST: _S.FAILED,
        _E.ROOT_BACK: _S.FAILED,
        _E.RETRY_DUE: _S.FAILED,
        _E.HOLD_RELEASED: _S.FAILED,
        _E.BUDGET_SPENT: _S.FAILED,
        _E.PAUSE: _S.PAUSED,
        _E.RESUME: _S.STARTING,
    },
}

TABLE: Mapping[tuple[PairState, Event], PairState | None] = {
    (state, event): state if event is Event.STOP else _ROWS[state].get(event)
    for state in PairState
    for event in Event
}
"""The next state of every combination; None where the event is refused."""


def next_state(state: PairState, event: Event) -> PairState:
    """What `event` makes of `state`. Raises IllegalEvent, which names both."""
    found = TABLE[state, event]
    if found is None:
        raise IllegalEvent(state, event)
    return found


def mermaid() -> str:
    """The table as a mermaid state diagram, for the docs: the events that lead to another state."""
    arrows: dict[tuple[PairState, PairState], list[str]] = {}
    for (state, event), found in TABLE.items():
        if found is not None and found is not state:
            arrows.setdefault((state, found), []).append(event.value)
    lines = ["stateDiagram-v2", f"    [*] --> {PairState.STARTING.value}"]
    lines += [f"    {state.value} --> {to.value}: {', '.join(e)}" for (state, to), e in arrows.items()]
    return "\n".join(lines) + "\n"
