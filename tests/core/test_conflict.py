"""Conflict names, winners and records."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.conflict import conflict_name, decide, draft, first_sync_winner, record_id
from syncd.core.entry import Side
from syncd.core.mode import Mode
from syncd.core.path import MAX_NAME
from syncd.core.reason import Reason
from syncd.core.rules import Initial, Policy, Rules
from syncd.core.state import PathState
from tests.core.model import NOW_NS, START_NS, directory, file, link

STAMP = b"2023-11-14 221320"


def never(_: bytes) -> bool:
    return False


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param(b"a.txt", b"a (conflict 2023-11-14 221320 host).txt", id="stem and extension"),
        pytest.param(b"a", b"a (conflict 2023-11-14 221320 host)", id="no extension"),
        pytest.param(b".bashrc", b".bashrc (conflict 2023-11-14 221320 host)", id="a dotfile whole"),
        pytest.param(b".conf.d", b".conf (conflict 2023-11-14 221320 host).d", id="a dotfile with extension"),
        pytest.param(b"a.tar.gz", b"a.tar (conflict 2023-11-14 221320 host).gz", id="the last extension"),
        pytest.param(b"a.", b"a. (conflict 2023-11-14 221320 host)", id="a trailing dot"),
        pytest.param(b"..a", b"..a (conflict 2023-11-14 221320 host)", id="dots only before"),
        pytest.param(b"\xff\xfe.bin", b"\xff\xfe (conflict 2023-11-14 221320 host).bin", id="not UTF-8"),
    ],
)
def test_conflict_names(name: bytes, expected: bytes) -> None:
    assert conflict_name(name, START_NS, "host", never) == expected


def test_taken_names_are_numbered() -> None:
    used = {conflict_name(b"a.txt", START_NS, "host", never)}
    second = conflict_name(b"a.txt", START_NS, "host", used.__contains__)
    assert second == b"a (conflict 2023-11-14 221320 host) 2.txt"
    used.add(second)
    assert conflict_name(b"a.txt", START_NS, "host", used.__contains__).endswith(b" 3.txt")


def test_a_copy_of_a_copy_stays_within_the_limit() -> None:
    name = b"report.txt"
    for number in range(20):
        name = conflict_name(name, START_NS + number * 10**9, "host", never)
        assert len(name) <= MAX_NAME
        assert name.endswith(b".txt")


def test_a_long_name_is_cut_at_a_character_and_keeps_its_extension() -> None:
    made = conflict_name("é".encode() * 125 + b".txt", START_NS, "host", never)
    assert len(made) in (MAX_NAME, MAX_NAME - 1)
    assert made.decode().endswith("host).txt")


def test_a_long_extension_is_no_extension() -> None:
    made = conflict_name(b"a." + b"x" * 200, START_NS, "host", never)
    assert made.endswith(b"host)")
    assert len(made) <= MAX_NAME


@given(
    st.binary(min_size=1, max_size=255), st.integers(-(2**62), 2**62), st.text(max_size=80), st.integers(0, 3)
)
def test_any_name_gives_a_valid_new_one(raw: bytes, mtime_ns: int, host: str, used: int) -> None:
    name = raw.replace(b"/", b"_").replace(b"\0", b"_")
    left = [used]

    def taken(_: bytes) -> bool:
        left[0] -= 1
        return left[0] >= 0

    made = conflict_name(name, mtime_ns, host, taken)
    assert 0 < len(made) <= MAX_NAME
    assert b"/" not in made
    assert b"\0" not in made
    assert made not in (b".", b"..", name)
    assert b" (conflict " in made


@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=80))
def test_a_text_name_stays_text(name: str) -> None:
    made = conflict_name(name.encode()[:255].decode("utf-8", "ignore").encode(), START_NS, "höst", never)
    assert made.decode("utf-8")


def test_a_host_may_not_smuggle_separators() -> None:
    made = conflict_name(b"a", START_NS, "../x\n" + "y" * 100, never)
    assert made.startswith(b"a (conflict " + STAMP + b" ..xyyyy")
    assert len(made) < 80
    assert conflict_name(b"a", START_NS, "\n", never).endswith(b" host)")


def test_a_stamp_out_of_range_is_the_epoch() -> None:
    assert b"1970-01-01 000000" in conflict_name(b"a", 2**80, "host", never)


def both(ours_s: float, theirs_s: float) -> PathState:
    return PathState(b"p", None, file("ours", mtime_s=ours_s), file("theirs", mtime_s=theirs_s))


def rules(policy: Policy) -> Rules:
    return Rules(Mode.TWO_WAY, policy, now_ns=NOW_NS)


def test_the_newer_version_keeps_the_name_alone() -> None:
    decision = decide(both(10, 20), rules(Policy.NEWEST_WINS))
    assert (decision.winner, decision.keeps_both) == (Side.DESTINATION, False)


def test_close_stamps_keep_both_with_the_source_on_top() -> None:
    decision = decide(both(10, 12), rules(Policy.NEWEST_WINS))
    assert (decision.winner, decision.keeps_both, decision.mover) == (Side.SOURCE, True, Side.DESTINATION)


@pytest.mark.parametrize("policy", Policy)
def test_a_directory_keeps_its_name_and_the_file_moves(policy: Policy) -> None:
    for other in (file("x"), link("x")):
        decision = decide(PathState(b"p", None, other, directory()), rules(policy))
        if policy is Policy.MANUAL:
            assert decision.winner is None
        else:
            assert (decision.winner, decision.mover) == (Side.DESTINATION, Side.SOURCE)


def test_nothing_is_decided_where_a_side_is_absent() -> None:
    assert decide(PathState(b"p", None, file("x"), None), rules(Policy.SOURCE_WINS)).winner is None


@pytest.mark.parametrize(
    ("initial", "is_first", "mode", "winner"),
    [
        pytest.param(Initial.SOURCE_WINS, True, Mode.TWO_WAY, Side.SOURCE, id="source"),
        pytest.param(Initial.DESTINATION_WINS, True, Mode.TWO_WAY, Side.DESTINATION, id="destination"),
        pytest.param(Initial.MERGE, True, Mode.TWO_WAY, None, id="merge"),
        pytest.param(Initial.SOURCE_WINS, False, Mode.TWO_WAY, None, id="later"),
        pytest.param(Initial.SOURCE_WINS, True, Mode.SOURCE_BACKUP, None, id="another mode"),
    ],
)
def test_the_initial_preference(initial: Initial, is_first: bool, mode: Mode, winner: Side | None) -> None:
    preferred = Rules(mode, Policy.KEEP_BOTH, initial=initial, is_first_sync=is_first)
    assert first_sync_winner(preferred) is winner
    if winner is not None:
        decision = decide(both(10, 10), preferred)
        assert (decision.winner, decision.keeps_both) == (winner, False)


def test_the_same_conflict_has_the_same_record() -> None:
    one = draft(both(1, 9), rules(Policy.MANUAL), Reason.CONFLICT_ADDED, None, is_open=True)
    two = draft(both(1, 9), rules(Policy.MANUAL), Reason.CONFLICT_ADDED, None, is_open=True)
    assert one == two
    assert (one.state, one.policy, one.at_ns, one.trash) == ("open", "manual", NOW_NS, None)
    assert one.id != draft(both(1, 8), rules(Policy.MANUAL), Reason.CONFLICT_ADDED, None).id
    assert draft(both(1, 8), rules(Policy.SOURCE_WINS), Reason.CONFLICT_ADDED, Side.SOURCE).state == "settled"


def test_reading_a_file_does_not_make_another_record() -> None:
    read, unread = file("x"), file("x", is_read=False)
    assert record_id(b"p", Reason.CONFLICT_ADDED, read, None) == record_id(
        b"p", Reason.CONFLICT_ADDED, unread, None
    )
    assert record_id(b"p", Reason.CONFLICT_ADDED, read, None) != record_id(
        b"p", Reason.CONFLICT_ADDED, None, read
    )


def test_a_record_of_any_path_can_be_made() -> None:
    assert len(record_id(b"\xff/\n", Reason.CONFLICT_MODIFIED, link("x"), None)) == 16


def test_a_choice_rules_its_path_alone() -> None:
    rules = Rules(Mode.TWO_WAY, Policy.MANUAL, choices={b"f": Policy.DESTINATION_WINS})
    assert rules.policy_at(b"f") is Policy.DESTINATION_WINS
    assert rules.policy_at(b"g") is Policy.MANUAL
