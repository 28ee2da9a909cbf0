"""Modes: the capability table of the semantics page and every accepted spelling; policies and rules."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.entry import Side
from syncd.core.mode import Mode, spellings_of, valid_spellings
from syncd.core.rules import Initial, Policy, Rules

TW, STD, SB, DTS, DB = (
    Mode.TWO_WAY,
    Mode.SOURCE_TO_DESTINATION,
    Mode.SOURCE_BACKUP,
    Mode.DESTINATION_TO_SOURCE,
    Mode.DESTINATION_BACKUP,
)

# The page's own words: upload, download, source delete, destination delete, bidirectional.
CAPABILITIES = [
    (TW, "yes yes yes yes yes"),
    (STD, "yes no no yes no"),
    (SB, "yes no no no no"),
    (DTS, "no yes yes no no"),
    (DB, "no yes no no no"),
]


@pytest.mark.parametrize(("mode", "row"), CAPABILITIES, ids=lambda v: str(v))
def test_capabilities_are_those_of_the_semantics_page(mode: Mode, row: str) -> None:
    found = (
        mode.allows_upload,
        mode.allows_download,
        mode.allows_source_delete,
        mode.allows_destination_delete,
        mode.is_bidirectional,
    )
    assert " ".join("yes" if flag else "no" for flag in found) == row


@pytest.mark.parametrize("mode", list(Mode))
def test_every_mode_scans_both_sides(mode: Mode) -> None:
    assert mode.requires_source_scan
    assert mode.requires_destination_scan


AUTHORITY = [
    (TW, None, False, False),
    (STD, Side.SOURCE, True, False),
    (SB, Side.SOURCE, False, True),
    (DTS, Side.DESTINATION, True, False),
    (DB, Side.DESTINATION, False, True),
]


@pytest.mark.parametrize(("mode", "authority", "is_mirror", "is_backup"), AUTHORITY)
def test_authority_mirror_and_backup(
    mode: Mode, authority: Side | None, is_mirror: bool, is_backup: bool
) -> None:
    assert mode.authority is authority
    assert mode.is_mirror is is_mirror
    assert mode.is_backup is is_backup


@pytest.mark.parametrize("mode", list(Mode))
def test_questions_by_side_agree_with_the_flags(mode: Mode) -> None:
    assert mode.may_write(Side.DESTINATION) is mode.allows_upload
    assert mode.may_write(Side.SOURCE) is mode.allows_download
    assert mode.may_delete(Side.SOURCE) is mode.allows_source_delete
    assert mode.may_delete(Side.DESTINATION) is mode.allows_destination_delete


@pytest.mark.parametrize("mode", list(Mode))
def test_nothing_is_deleted_where_nothing_may_be_written(mode: Mode) -> None:
    for side in Side:
        assert mode.may_write(side) or not mode.may_delete(side)


@pytest.mark.parametrize("mode", [STD, SB, DTS, DB])
def test_one_way_modes_never_touch_their_authority(mode: Mode) -> None:
    authority = mode.authority
    assert authority is not None
    assert not mode.may_write(authority)
    assert not mode.may_delete(authority)
    assert mode.may_write(authority.other)


def test_mirrored_modes_are_each_others_image() -> None:
    for ours, theirs in ((TW, TW), (STD, DTS), (SB, DB)):
        for side in Side:
            assert ours.may_write(side) is theirs.may_write(side.other)
            assert ours.may_delete(side) is theirs.may_delete(side.other)
        assert ours.is_backup is theirs.is_backup
        assert ours.is_mirror is theirs.is_mirror


SPELLINGS = [
    ("two-way", TW),
    ("source-to-destination", STD),
    ("source-backup", SB),
    ("destination-to-source", DTS),
    ("destination-backup", DB),
    ("tw", TW),
    ("std", STD),
    ("sb", SB),
    ("dts", DTS),
    ("db", DB),
    ("ltc", STD),
    ("ctl", DTS),
    ("lb", SB),
    ("cb", DB),
    ("local-to-cloud", STD),
    ("cloud-to-local", DTS),
    ("local-backup", SB),
    ("cloud-backup", DB),
    ("two_way", TW),
    ("twoWay", TW),
    ("TwoWay", TW),
    ("TWO_WAY", TW),
    ("TWO-WAY", TW),
    ("source_to_destination", STD),
    ("sourceToDestination", STD),
    ("SourceToDestination", STD),
    ("destination_backup", DB),
    ("localToCloud", STD),
    ("LOCAL_TO_CLOUD", STD),
    ("cloudBackup", DB),
    ("local_backup", SB),
    ("TW", TW),
    ("Std", STD),
]


@pytest.mark.parametrize(("text", "mode"), SPELLINGS)
def test_accepted_spellings(text: str, mode: Mode) -> None:
    assert Mode.parse(text) is mode


@pytest.mark.parametrize(
    "text",
    ["", " ", "two way", "two--way", "-tw", "t-w", "mirror", "sync", "two-way ", "both", "1", "ｔｗ"],
)
def test_anything_else_is_an_error_that_lists_what_is_valid(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        Mode.parse(text)
    message = str(caught.value)
    assert repr(text) in message
    for word in valid_spellings():
        assert word in message


def test_the_list_of_spellings_is_the_one_of_the_semantics_page() -> None:
    page = (
        "two-way source-to-destination source-backup destination-to-source destination-backup "
        "tw std sb dts db ltc ctl lb cb local-to-cloud cloud-to-local local-backup cloud-backup"
    )
    assert sorted(valid_spellings()) == sorted(page.split())


@given(st.sampled_from(SPELLINGS), st.integers(min_value=0))
def test_case_never_matters(case: tuple[str, Mode], bits: int) -> None:
    text, mode = case
    mixed = "".join(c.upper() if bits >> i & 1 else c.lower() for i, c in enumerate(text))
    assert Mode.parse(mixed) is mode


@given(st.text())
def test_parse_is_total(text: str) -> None:
    if text.lower() in {spelling for word in valid_spellings() for spelling in spellings_of(word)}:
        assert Mode.parse(text) in Mode
    else:
        with pytest.raises(ValueError, match="valid are"):
            Mode.parse(text)


def test_no_spelling_names_two_modes() -> None:
    seen: dict[str, Mode] = {}
    for word in valid_spellings():
        for spelling in spellings_of(word):
            assert seen.setdefault(spelling, Mode.parse(spelling)) is Mode.parse(spelling)


@pytest.mark.parametrize("mode", list(Mode))
def test_the_value_is_what_users_read(mode: Mode) -> None:
    assert str(mode) == mode.value
    assert Mode(mode.value) is mode


# Policies and first-sync preferences.


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("newest-wins", Policy.NEWEST_WINS),
        ("newest_wins", Policy.NEWEST_WINS),
        ("newestWins", Policy.NEWEST_WINS),
        ("SOURCE-WINS", Policy.SOURCE_WINS),
        ("destinationwins", Policy.DESTINATION_WINS),
        ("keep_both", Policy.KEEP_BOTH),
        ("Manual", Policy.MANUAL),
    ],
)
def test_policy_spellings(text: str, policy: Policy) -> None:
    assert Policy.parse(text) is policy


@pytest.mark.parametrize(
    ("text", "initial"),
    [
        ("merge", Initial.MERGE),
        ("source-wins", Initial.SOURCE_WINS),
        ("sourceWins", Initial.SOURCE_WINS),
        ("DESTINATION_WINS", Initial.DESTINATION_WINS),
    ],
)
def test_initial_spellings(text: str, initial: Initial) -> None:
    assert Initial.parse(text) is initial


@pytest.mark.parametrize("text", ["", "newest", "wins", "keep both", "merge "])
def test_unknown_policies_list_what_is_valid(text: str) -> None:
    with pytest.raises(ValueError, match=r"unknown policy .*newest-wins, source-wins.*manual"):
        Policy.parse(text)


def test_unknown_initial_lists_what_is_valid() -> None:
    with pytest.raises(ValueError, match="unknown initial 'x'; valid are merge, source-wins, destination"):
        Initial.parse("x")


def test_rules_default_to_the_documented_choices() -> None:
    rules = Rules(mode=Mode.TWO_WAY)
    assert rules.policy is Policy.NEWEST_WINS
    assert rules.initial is Initial.MERGE
    assert not rules.is_first_sync
    assert not rules.compares_content
    assert not rules.pulls_destination_changes
    assert rules.mode_mask == 0o777


def test_rules_cannot_be_changed() -> None:
    rules = Rules(mode=Mode.TWO_WAY)
    with pytest.raises(AttributeError):
        rules.mode = Mode.SOURCE_BACKUP  # type: ignore[misc]
    changed = msgspec.structs.replace(rules, mode=Mode.SOURCE_BACKUP)
    assert changed.mode is Mode.SOURCE_BACKUP
    assert rules.mode is Mode.TWO_WAY
