"""The live view: calm lines in a pipe, bars on a terminal, nothing unprintable in either."""

import io
import re

import msgspec
import pytest

from syncd.cli.live import PlainView, Rate, TerminalView, event_line, open_view
from syncd.cli.output import Output
from syncd.control import model as m
from tests.control.fake import AT, HOLD, pair_status

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def event(kind: str = "file.put", path: str | None = "a", **data: str | int) -> m.Event:
    return m.Event(seq=1, at=AT, kind=kind, pair="docs", path=path, data=dict(data))


def progress(done: int, total: int = 10, *, bytes_total: int = 10_000) -> m.Progress:
    return m.Progress(
        phase="copying", done=done, total=total, bytes_done=done * 1000, bytes_total=bytes_total
    )


def test_a_rate_and_what_remains() -> None:
    rate = Rate(window_s=10)
    assert rate.per_s == 0
    assert rate.remaining_s(100) is None
    rate.add(0, 0)
    assert rate.remaining_s(100) is None
    rate.add(2, 20)
    assert rate.per_s == 10
    assert rate.remaining_s(100) == 8
    assert rate.remaining_s(5) == 0
    rate.add(3, 0)
    assert rate.per_s == 0


def test_an_old_sample_leaves_the_window() -> None:
    rate = Rate(window_s=10)
    for second in range(0, 30, 2):
        rate.add(second, 0 if second < 16 else (second - 16) * 100)
    assert rate.per_s == pytest.approx(100, rel=0.2)


def test_the_plain_view_speaks_when_something_changed() -> None:
    stream, clock = io.StringIO(), Clock()
    with PlainView(Output(stream), clock=clock) as view:
        view.update([pair_status("docs")])
        view.update([pair_status("docs")])
        view.update([pair_status("docs", state="held", hold=HOLD)])
        view.event(event(side="source"))
    assert stream.getvalue() == (
        "docs  idle\n"
        "docs  held  mass-delete: 412 of 500 files would be deleted at the destination\n"
        "file.put  docs: a  side=source\n"
    )


def test_the_plain_view_tells_of_an_idle_pair_when_nothing_settles_any_more() -> None:
    """What settles for a moment is mostly the pair's own doing."""
    stream = io.StringIO()
    view = PlainView(Output(stream), clock=Clock())
    view.update([pair_status("docs", state="syncing")])
    for files in (1, 1, 0, 0, 1, 0):
        view.update([pair_status("docs", pending=m.Pending(files=files, bytes=0))])
    view.update([pair_status("docs", pending=m.Pending(files=1, bytes=0), issues=1)])
    assert stream.getvalue() == "docs  syncing\ndocs  idle\ndocs  idle  1 file (0B) to go  1 issue\n"


def test_the_plain_view_reports_progress_now_and_then() -> None:
    stream, clock = io.StringIO(), Clock()
    view = PlainView(Output(stream), clock=clock)
    for second in range(25):
        clock.now_s = 100.0 + second
        view.update(
            [pair_status("docs", state="syncing", progress=progress(second, 100, bytes_total=100_000))]
        )
    lines = stream.getvalue().splitlines()
    assert lines[0] == "docs  syncing"
    assert len(lines) == 3
    assert lines[1] == "docs  copying  10 of 100, 9.8KiB of 97.7KiB, 1000B/s, 1m30s left"
    view.update([pair_status("docs")])
    assert stream.getvalue().splitlines()[-1] == "docs  idle"


def test_events_in_words() -> None:
    assert event_line(event("gap", None)) == "gap  docs"
    bare = msgspec.structs.replace(event("x.y", None), pair=None)
    assert event_line(bare) == "x.y"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def test_the_terminal_view_shows_bars_and_events(terminal: Terminal) -> None:
    clock = Clock()
    out = Output(terminal)
    view = TerminalView(out, clock=clock)
    with view:
        view.update([pair_status("docs", state="syncing", progress=progress(3)), pair_status("other")])
        view.event(event(path="b/c"))
        view.update(
            [
                pair_status("docs", state="scanning"),
                pair_status("held", state="held", hold=HOLD, conflicts=1, issues=2),
                pair_status("torn", conflicts=1, issues=2, pending=m.Pending(files=3, bytes=1)),
                pair_status("seen", state="scanning", progress=progress(3, 0, bytes_total=0)),
            ]
        )
    text = ANSI.sub("", terminal.getvalue())
    assert "file.put  docs: b/c" in text
    assert "scanning" in text
    assert "mass-delete: syncctl plan show held" in text
    assert "3 files to go, 1 conflict, 2 issues" in text


def test_the_terminal_view_counts_what_it_does_not_show(terminal: Terminal) -> None:
    clock = Clock()
    with TerminalView(Output(terminal), clock=clock) as view:
        for number in range(100):
            view.event(event(path=f"f{number}"))
        view.event(event("conflict.recorded", path="loud"))
        clock.now_s += 1
        view.event(event(path="next"))
    text = ANSI.sub("", terminal.getvalue())
    assert "f19" in text
    assert "f20" not in text
    assert "loud" in text
    assert "and 80 events more" in text
    assert "next" in text


def test_names_cannot_act_on_the_terminal(terminal: Terminal) -> None:
    with TerminalView(Output(terminal), clock=Clock()) as view:
        view.update([pair_status("[red]x\x1b]0;t\x07")])
        view.event(event(path="\x1b]0;t\x07[bold]"))
    assert "\x1b]0;" not in terminal.getvalue()
    assert "\x07" not in terminal.getvalue()
    assert "[red]x" in terminal.getvalue()
    assert "[bold]" in terminal.getvalue()


def test_the_view_that_fits(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(open_view(Output(io.StringIO())), PlainView)
    assert isinstance(open_view(Output(terminal)), TerminalView)
    monkeypatch.setenv("NO_COLOR", "1")
    assert isinstance(open_view(Output(terminal)), PlainView)
