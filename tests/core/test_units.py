"""Sizes, durations and percentages: what is read, what is refused, and the way back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.units import (
    format_duration,
    format_size,
    parse_duration,
    parse_percent,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("300ms", 0.3),
        ("0s", 0),
        ("90s", 90),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("30d", 2592000),
        ("2w", 1209600),
        ("1.5H", 5400),
        (" 5m ", 300),
    ],
)
def test_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "  ", "5", "m", "5 minutes", "-5s", "30m1h", "5s5s", "1e5s", "200w" * 9, "6000w", "٣s"]
)
def test_a_bad_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|longer than"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.3, "300ms"), (1, "1s"), (90, "1m30s"), (5400, "1h30m"), (90061, "1d1h"), (2592000, "30d")],
)
def test_duration_is_written(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(min_value=0, max_value=3599))
def test_a_written_duration_is_read_again(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("value", "count"),
    [
        ("10MiB", 10 * 1024**2),
        ("10 mib", 10 * 1024**2),
        ("1.5GB", 1_500_000_000),
        ("512", 512),
        ("512B", 512),
        ("4k", 4096),
        ("2T", 2 * 1024**4),
        (7, 7),
    ],
)
def test_size_is_read(value: str | int, count: int) -> None:
    assert parse_size(value) == count


@pytest.mark.parametrize("value", ["", "MiB", "10 apples", "-1", "1 2", "10XB", -1, "1e3"])
def test_a_bad_size_is_refused(value: str | int) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(value)


@given(st.integers(min_value=0, max_value=2**53))
def test_a_written_size_is_read_again_within_rounding(count: int) -> None:
    assert abs(parse_size(format_size(count)) - count) <= max(1, count * 0.06)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0B"), (1023, "1023B"), (1536, "1.5KiB"), (1024**2, "1MiB"), (1024**5, "1024TiB")]
)
def test_size_is_written(count: int, text: str) -> None:
    assert format_size(count) == text


@pytest.mark.parametrize(
    ("value", "percent"), [(25, 25), (12.5, 12.5), ("25%", 25), ("12.5 %", 12.5), (0, 0)]
)
def test_percent_is_read(value: str | float, percent: float) -> None:
    assert parse_percent(value) == percent


@pytest.mark.parametrize("value", [-1, 101, "200%", "much", "", float("nan")])
def test_a_bad_percent_is_refused(value: str | float) -> None:
    with pytest.raises(ValueError, match="percent"):
        parse_percent(value)
