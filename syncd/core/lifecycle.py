"""The life of a pair as a table: (state, event) -> next state and what the pair has to do about it.

The table is data and covers every combination: what cannot happen is in it as well, and refused with both
names. The diagram of the docs is rendered from it. Pure; may import only `syncd.core`.
"""

import enum
from collections.abc import Mapping

import msgspec

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
    """A person (or the returning root) has to resolve something; harmless work goes on."""
    FAILED = "failed"


class Event(enum.StrEnum):
    """What happens to a pair."""

    START = "start"  # the supervisor starts (or restarts) the pair's task
    SCAN_BEGUN = "scan-begun"
    SCAN_DONE = "scan-done"
    WORK_FOUND = "work-found"  # dirty paths have settled, or the other side woke us
    WORK_DONE = "work-done"  # a cycle ended with nothing left to do now
    HOLD = "hold"  # the guard holds a plan
    HOLD_RELEASED = "hold-released"  # approved, reverted, or the next plan has nothing to hold
    ROOT_LOST = "root-lost"
    ROOT_BACK = "root-back"
    ERROR = "error"  # a transient error ended the cycle
    RETRY_DUE = "retry-due"
    BUDGET_SPENT = "budget-spent"  # the supervisor has restarted it too often
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"  # the daemon ends, or the pair was removed


class Effect(enum.StrEnum):
    """What the pair's task does when it enters the next state, in the order given."""

    CANCEL_WORK = "cancel work"
    OPEN_ROOTS = "open roots"
    SCAN = "scan"
    RUN_CYCLE = "run cycle"
    RUN_AGAIN = "run again"  # once what runs now is done
    ARM_RETRY = "arm retry"
    ARM_ROOT_PROBE = "arm root probe"
    RELEASE_ROOTS = "release roots"
    CLOSE = "close"


class Transition(msgspec.Struct, frozen=True):
    """What an event leads to."""

    state: PairState
    effects: tuple[Effect, ...] = ()


class IllegalEvent(SyncdError):
    """An event that cannot happen in this state: a bug of the caller, never of the user."""

    def __init__(self, state: PairState, event: Event) -> None:
        super().__init__(Reason.BUG, f"event {event.value!r} cannot happen to a pair that is {state.value!r}")
        self.state = state
        self.event = event


_S, _E, _F = PairState, Event, Effect
_STAY = None
"""The event is accepted and changes nothing."""
_OPEN = Transition(_S.STARTING, (_F.OPEN_ROOTS,))
_SCAN = Transition(_S.SCANNING, (_F.SCAN,))
_CYCLE = Transition(_S.SYNCING, (_F.RUN_CYCLE,))
_RETRY = Transition(_S.WAITING, (_F.ARM_RETRY,))
_HOLD = Transition(_S.HELD)
_LOST = Transition(_S.HELD, (_F.CANCEL_WORK, _F.RELEASE_ROOTS, _F.ARM_ROOT_PROBE))
_PAUSE = Transition(_S.PAUSED, (_F.CANCEL_WORK, _F.RELEASE_ROOTS))
_FAIL = Transition(_S.FAILED, (_F.CANCEL_WORK, _F.RELEASE_ROOTS))

# A state's row: every event that may happen there. What people and watchers say may come at any time, so
# pause, resume, stop, work-found and root-lost are in every row; what the cycle says only while it runs.
_ROWS: dict[PairState, dict[Event, Transition | None]] = {
    _S.STARTING: {
        _E.START: _OPEN,
        _E.SCAN_BEGUN: _SCAN,
        _E.WORK_FOUND: _STAY,
        _E.HOLD: _HOLD,
        _E.ROOT_LOST: _LOST,
        _E.ROOT_BACK: _STAY,
        _E.ERROR: _RETRY,
        _E.BUDGET_SPENT: _FAIL,
        _E.PAUSE: _PAUSE,
        _E.RESUME: _STAY,
    },
    _S.SCANNING: {
        _E.START: _OPEN,
        _E.SCAN_BEGUN: _STAY,
        _E.SCAN_DONE: _CYCLE,
        _E.WORK_FOUND: _STAY,
        _E.HOLD: _HOLD,
        _E.ROOT_LOST: _LOST,
        _E.ERROR: _RETRY,
        _E.BUDGET_SPENT: _FAIL,
        _E.PAUSE: _PAUSE,
        _E.RESUME: _STAY,
    },
    _S.SYNCING: {
        _E.START: _OPEN,
        _E.SCAN_BEGUN: _SCAN,
        _E.WORK_FOUND: Transition(_S.SYNCING, (_F.RUN_AGAIN,)),
        _E.WORK_DONE: Transition(_S.IDLE, (_F.RELEASE_ROOTS,)),
        _E.HOLD: _HOLD,
        _E.HOLD_RELEASED: _STAY,
        _E.ROOT_LOST: _LOST,
        _E.ERROR: _RETRY,
        _E.BUDGET_SPENT: _FAIL,
        _E.PAUSE: _PAUSE,
        _E.RESUME: _STAY,
    },
    _S.IDLE: {
        _E.START: _OPEN,
        _E.SCAN_BEGUN: _SCAN,
        _E.WORK_FOUND: _CYCLE,
        _E.HOLD_RELEASED: _CYCLE,
        _E.ROOT_LOST: _LOST,
        _E.ERROR: _RETRY,
        _E.BUDGET_SPENT: _FAIL,
        _E.PAUSE: _PAUSE,
        _E.RESUME: _STAY,
    },
    _S.WAITING: {
        _E.START: _OPEN,
        _E.SCAN_BEGUN: _SCAN,
        _E.WORK_FOUND: _STAY,
        _E.HOLD_RELEASED: _CYCLE,
        _E.ROOT_LOST: _LOST,
        _E.ROOT_BACK: _OPEN,
        _E.ERROR: _RETRY,
        _E.RETRY_DUE: _CYCLE,
        _E.BUDGET_SPENT: _FAIL,
        _E.PAUSE: _PAUSE,
        _E.RESUME: _CYCLE,
    },
    _S.PAUSED: {
        _E.START: _STAY,
        _E.WORK_FOUND: _STAY,
        _E.HOLD_RELEASED: _STAY,
        _E.ROOT_LOST: _STAY,
        _E.ROOT_BACK: _STAY,
        _E.RETRY_DUE: _STAY,
        _E.BUDGET_SPENT: _FAIL,
        _E.PAUSE: _STAY,
        _E.RESUME: _OPEN,
    },
    _S.HELD: {
        _E.START: _OPEN,
        _E.SCAN_BEGUN: _STAY,
        _E.SCAN_DONE: Transition(_S.HELD, (_F.RUN_CYCLE,)),
        _E.WORK_FOUND: Transition(_S.HELD, (_F.RUN_CYCLE,)),
        _E.WORK_DONE: _STAY,
        _E.HOLD: _STAY,
        _E.HOLD_RELEASED: _CYCLE,
        _E.ROOT_LOST: _LOST,
        _E.ROOT_BACK: _OPEN,
        _E.ERROR: Transition(_S.HELD, (_F.ARM_RETRY,)),
        _E.RETRY_DUE: Transition(_S.HELD, (_F.RUN_CYCLE,)),
        _E.BUDGET_SPENT: _FAIL,
        _E.PAUSE: _PAUSE,
        _E.RESUME: _STAY,
    },
    _S.FAILED: {
        _E.START: _OPEN,
        _E.WORK_FOUND: _STAY,
        _E.HOLD_RELEASED: _STAY,
        _E.ROOT_LOST: _STAY,
        _E.ROOT_BACK: _STAY,
        _E.RETRY_DUE: _STAY,
        _E.BUDGET_SPENT: _STAY,
        _E.PAUSE: _PAUSE,
        _E.RESUME: _OPEN,
    },
}


def _fill() -> dict[tuple[PairState, Event], Transition | None]:
    """Every combination: a transition, or None where the event is refused."""
    table: dict[tuple[PairState, Event], Transition | None] = {}
    for state in PairState:
        row = {**_ROWS[state], Event.STOP: Transition(state, (Effect.CANCEL_WORK, Effect.CLOSE))}
        for event in Event:
            found = row.get(event) or Transition(state)
            table[state, event] = found if event in row else None
    return table


TABLE: Mapping[tuple[PairState, Event], Transition | None] = _fill()
"""None: refused. A stopped pair keeps the state that it had, until it is gone."""


def next_state(state: PairState, event: Event) -> Transition:
    """What `event` leads to. Raises IllegalEvent, which names both."""
    found = TABLE[state, event]
    if found is None:
        raise IllegalEvent(state, event)
    return found


def mermaid() -> str:
    """The table as a mermaid state diagram, for the docs: the events that lead to another state."""
    arrows: dict[tuple[PairState, PairState], list[str]] = {}
    for (state, event), found in TABLE.items():
        if found is not None and found.state is not state:
            arrows.setdefault((state, found.state), []).append(event.value)
    lines = ["stateDiagram-v2", f"    [*] --> {PairState.STARTING.value}"]
    lines += [f"    {state.value} --> {to.value}: {', '.join(e)}" for (state, to), e in arrows.items()]
    return "\n".join(lines) + "\n"
