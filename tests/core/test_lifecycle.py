"""The life of a pair: every state with every event, and what one never gets stuck in."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.error import SyncdError
from syncd.core.lifecycle import TABLE, Event, IllegalEvent, PairState, mermaid, next_state
from syncd.core.reason import Reason

E, S = Event, PairState
STATES = "starting scanning syncing idle waiting paused held failed"

# One line a state, its cells in the order of Event: start, scan begun and done, work found and done, hold and
# release, root lost and back, error and retry, budget spent, pause, resume, stop. A cell is the next state,
# `-` where the event is refused, `.` where nothing changes.
EVENTS = [event.value for event in Event]
EXPECTED = {
    "starting": ". scanning - syncing - held - held . waiting - failed paused . .",
    "scanning": "starting . syncing syncing - held - held - waiting - failed paused . .",
    "syncing": "starting scanning - . idle held . held - waiting - failed paused . .",
    "idle": "starting scanning - syncing - held . held - waiting - failed paused . .",
    "waiting": "starting scanning - syncing - held . held starting . syncing failed paused syncing .",
    "held": "starting . . . idle . syncing . starting waiting . failed paused . .",
    "paused": ". - - - - - . . . - . failed . starting .",
    "failed": "starting - - - - - . . . - . . paused starting .",
}


def test_the_states_are_those_of_the_interfaces_page() -> None:
    assert [state.value for state in PairState] == STATES.split()


def test_the_expectations_name_every_event() -> None:
    assert set(EXPECTED) == set(STATES.split())
    assert all(len(row.split()) == len(EVENTS) for row in EXPECTED.values())


CASES = [
    (state, event, cell)
    for state, row in EXPECTED.items()
    for event, cell in zip(EVENTS, row.split(), strict=True)
]


@pytest.mark.parametrize(("state", "event", "cell"), CASES)
def test_every_state_with_every_event(state: str, event: str, cell: str) -> None:
    if cell == "-":
        with pytest.raises(IllegalEvent):
            next_state(PairState(state), Event(event))
        return
    expected = PairState(state) if cell == "." else PairState(cell)
    assert next_state(PairState(state), Event(event)) is expected


def test_the_table_covers_every_combination() -> None:
    assert set(TABLE) == set(itertools.product(PairState, Event))


@pytest.mark.parametrize(("state", "event"), [pair for pair, found in TABLE.items() if found is None])
def test_a_refusal_names_both(state: PairState, event: Event) -> None:
    with pytest.raises(IllegalEvent) as caught:
        next_state(state, event)
    error = caught.value
    assert (error.state, error.event) == (state, event)
    assert state.value in str(error)
    assert event.value in str(error)
    assert isinstance(error, SyncdError)
    assert error.reason is Reason.BUG


# What may be said at any time: by people, by the file system, by the supervisor.
ANY_TIME = [E.START, E.ROOT_LOST, E.BUDGET_SPENT, E.PAUSE, E.RESUME, E.STOP]


@pytest.mark.parametrize("event", ANY_TIME)
@pytest.mark.parametrize("state", list(PairState))
def test_what_may_be_said_at_any_time(state: PairState, event: Event) -> None:
    assert next_state(state, event) in PairState


@pytest.mark.parametrize("state", [S.PAUSED, S.FAILED])
def test_only_people_and_restarts_wake_a_pair_that_rests(state: PairState) -> None:
    for event in Event:
        if TABLE[state, event] not in (None, S.PAUSED, S.FAILED):
            assert event in (E.RESUME, E.START)


def test_a_paused_pair_stays_paused_over_a_restart() -> None:
    assert next_state(S.PAUSED, E.START) is S.PAUSED


@pytest.mark.parametrize("state", list(PairState))
def test_stopping_keeps_the_state_that_status_shows(state: PairState) -> None:
    assert next_state(state, E.STOP) is state


@pytest.mark.parametrize("state", list(PairState))
def test_pause_always_pauses(state: PairState) -> None:
    assert next_state(state, E.PAUSE) is S.PAUSED


# Stories.

STORIES = [
    ("a first run", [E.SCAN_BEGUN, E.SCAN_DONE, E.WORK_DONE], S.IDLE),
    ("scanned, then worked", [E.SCAN_BEGUN, E.WORK_FOUND, E.WORK_DONE], S.IDLE),
    ("work without end", [E.SCAN_BEGUN, E.SCAN_DONE, E.WORK_FOUND, E.WORK_FOUND, E.WORK_DONE], S.IDLE),
    ("a change while idle", [E.SCAN_BEGUN, E.SCAN_DONE, E.WORK_DONE, E.WORK_FOUND], S.SYNCING),
    ("an error and its retry", [E.SCAN_BEGUN, E.ERROR, E.RETRY_DUE, E.WORK_DONE], S.IDLE),
    ("an error, then a scan", [E.SCAN_BEGUN, E.ERROR, E.SCAN_BEGUN, E.WORK_FOUND, E.WORK_DONE], S.IDLE),
    ("a held first run", [E.SCAN_BEGUN, E.SCAN_DONE, E.HOLD, E.WORK_FOUND, E.HOLD], S.HELD),
    ("approved", [E.SCAN_BEGUN, E.SCAN_DONE, E.HOLD, E.HOLD_RELEASED, E.WORK_DONE], S.IDLE),
    ("the files came back", [E.SCAN_BEGUN, E.WORK_FOUND, E.HOLD, E.WORK_FOUND, E.WORK_DONE], S.IDLE),
    ("no root at start", [E.HOLD], S.HELD),
    ("the root returns", [E.ROOT_LOST, E.ROOT_BACK, E.SCAN_BEGUN, E.SCAN_DONE, E.WORK_DONE], S.IDLE),
    ("the root returns unannounced", [E.HOLD, E.SCAN_BEGUN, E.WORK_FOUND, E.WORK_DONE], S.IDLE),
    ("idle, and the root is gone", [E.SCAN_BEGUN, E.SCAN_DONE, E.WORK_DONE, E.HOLD], S.HELD),
    ("paused in mid-work", [E.SCAN_BEGUN, E.WORK_FOUND, E.PAUSE, E.RESUME], S.STARTING),
    ("paused while held", [E.HOLD, E.PAUSE, E.ROOT_BACK, E.RESUME, E.SCAN_BEGUN], S.SCANNING),
    ("paused from the start", [E.PAUSE, E.PAUSE], S.PAUSED),
    ("given up, then resumed", [E.ERROR, E.BUDGET_SPENT, E.RESUME], S.STARTING),
    ("given up, then restarted", [E.BUDGET_SPENT, E.START, E.SCAN_BEGUN], S.SCANNING),
    ("a stale plan scans again", [E.SCAN_BEGUN, E.WORK_FOUND, E.SCAN_BEGUN, E.WORK_FOUND], S.SYNCING),
]


@pytest.mark.parametrize(("events", "end"), [s[1:] for s in STORIES], ids=[s[0] for s in STORIES])
def test_stories(events: list[Event], end: PairState) -> None:
    state = S.STARTING
    for event in events:
        state = next_state(state, event)
    assert state is end


def reachable(start: PairState) -> set[PairState]:
    found, open_ones = {start}, [start]
    while open_ones:
        at = open_ones.pop()
        for event in Event:
            to = TABLE[at, event]
            if to is not None and to not in found:
                found.add(to)
                open_ones.append(to)
    return found


@pytest.mark.parametrize("state", list(PairState))
def test_from_everywhere_every_state_can_be_reached(state: PairState) -> None:
    assert reachable(state) == set(PairState)


@given(st.lists(st.sampled_from(Event)))
def test_any_events_leave_a_pair_in_a_known_state(events: list[Event]) -> None:
    state = S.STARTING
    for event in events:
        try:
            state = next_state(state, event)
        except IllegalEvent:
            assert TABLE[state, event] is None
    assert state in PairState


@given(st.lists(st.sampled_from(Event)), st.sampled_from(PairState))
def test_resume_start_and_a_scan_revive_every_pair(events: list[Event], state: PairState) -> None:
    for event in events:
        state = TABLE[state, event] or state
    for event in (E.RESUME, E.START):
        state = next_state(state, event)
    assert next_state(state, E.SCAN_BEGUN) is S.SCANNING


# The diagram.


def test_the_diagram_shows_every_change_of_state() -> None:
    lines = mermaid().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert lines[1] == "    [*] --> starting"
    drawn: set[tuple[str, str, str]] = set()
    for line in lines[2:]:
        arrow, _, events = line.strip().partition(": ")
        state, _, to = arrow.partition(" --> ")
        drawn |= {(state, event, to) for event in events.split(", ")}
    assert drawn == {
        (state.value, event.value, to.value)
        for (state, event), to in TABLE.items()
        if to is not None and to is not state
    }


def test_the_diagram_is_stable() -> None:
    assert mermaid() == mermaid()
    assert "    syncing --> idle: work-done\n" in mermaid()
    assert mermaid().endswith("\n")
