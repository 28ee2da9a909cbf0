"""What is printed is safe for a terminal (S-L12), aligned, and plain JSON where JSON is asked for."""

import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncd.cli import output
from syncd.cli.output import Output, safe
from syncd.core.path import escape


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@given(st.text())
@example("a\x1b[2J\x07\u202e\x85\ud800\U000e0001")
def test_nothing_unprintable_passes(text: str) -> None:
    assert safe(text).isprintable()
    assert safe(safe(text)) == safe(text)


@given(st.binary())
def test_an_escaped_path_is_left_as_it_is(raw: bytes) -> None:
    assert safe(escape(raw)) == escape(raw)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_json_is_printable_and_exact(text: str) -> None:
    line = output.envelope("x/1", text)
    assert line.isprintable()
    assert json.loads(line) == {"schema": "x/1", "data": text}


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), min_size=1, max_size=4))
def test_a_table_of_anything_is_one_line_a_row(rows: list[tuple[str, str]]) -> None:
    stream = io.StringIO()
    Output(stream).table(("A", "B"), rows)
    lines = stream.getvalue().split("\n")
    assert len(lines) == len(rows) + 2
    assert all(line.isprintable() for line in lines)


def test_columns_are_aligned_numbers_to_the_right_wide_characters_counted() -> None:
    stream = io.StringIO()
    Output(stream).table(("NAME", "N", "X"), [("a", "7", "x"), ("日本語", "1234", "–")])
    assert stream.getvalue() == "NAME       N  X\na          7  x\n日本語  1234  –\n"


@pytest.mark.parametrize(
    ("environment", "expected"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_only_where_it_is_wanted(environment: dict[str, str], expected: bool) -> None:
    assert output.wants_colour(Terminal(), environment) is expected
    assert not output.wants_colour(io.StringIO(), {})


def test_styles_never_carry_text_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    out = Output(stream)
    out.line(("evil\x1b]0;title\x07", "red"), " rest\n")
    out.table(("A",), [("held",)], styles={"held": "red"})
    assert stream.getvalue() == (
        "\x1b[31mevil\\x1b]0;title\\x07\x1b[0m rest\\n\n\x1b[2mA\x1b[0m\n\x1b[31mheld\x1b[0m\n"
    )


def test_fields_leave_out_what_is_empty() -> None:
    stream = io.StringIO()
    Output(stream).fields((("a", "1"), ("longer", ""), ("bc", "2")), indent=" ")
    assert stream.getvalue() == " a   1\n bc  2\n"


def test_times_and_amounts() -> None:
    now = datetime(2026, 3, 4, tzinfo=UTC)
    assert output.ago(None) == "–"
    assert output.ago(now, now) == "now"
    assert output.ago(now - timedelta(seconds=90), now) == "1m30s ago"
    assert output.ago(now + timedelta(hours=2), now) == "in 2h"
    assert output.duration(0) == "–"
    assert output.duration(61) == "1m1s"
    assert output.amount(0) == "–"
    assert output.plural(1, "file") == "1 file"
    assert output.plural(0, "file") == "0 files"
    assert output.local_time(None) == "–"
