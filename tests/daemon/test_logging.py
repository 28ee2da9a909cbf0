"""Log lines: one a line whatever the names, no secrets, the right format, the last ones in memory."""

import io
import json
import logging
import os
import threading
import unicodedata
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from syncd.daemon import logging as module
from syncd.daemon.log_render import stamp
from syncd.daemon.log_safe import LONGEST, Redactor, plain
from syncd.daemon.logging import LogRing, configure_logging, pick_format

CANARY = "canary-5b1f0c2d9e"


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def start(log_format: str = "json", level: str = "info", ring: LogRing | None = None) -> io.StringIO:
    out = io.StringIO()
    assert configure_logging(level=level, log_format=log_format, ring=ring, stream=out, environment={})
    return out


def test_json_is_one_object_a_line() -> None:
    out = start()
    structlog.get_logger("x").info("file.pulled", pair="docs", path=b"a\n\xff", size=3, ok=True, none=None)
    line = json.loads(out.getvalue())
    assert line.pop("at").endswith("Z")
    assert line == {
        "level": "info", "event": "file.pulled", "pair": "docs", "path": "a\\n\\xff", "size": 3, "ok": True,
        "none": None,
    }  # fmt: skip


def test_the_journal_gets_priorities() -> None:
    out = start("journal", level="debug")
    log = structlog.get_logger("x")
    log.debug("a.b")
    log.info("a.b", text='say "hi"', empty="")
    log.warning("a.b", ok=False)
    log.error("a.b", n=1)
    assert out.getvalue().splitlines() == [
        "<7>a.b",
        '<6>a.b text="say \\"hi\\"" empty=""',
        "<4>a.b ok=false",
        "<3>a.b n=1",
    ]


def test_the_console_has_no_colour_without_a_terminal() -> None:
    out = start("console")
    structlog.get_logger("x").warning("a.b", n=1)
    assert out.getvalue().endswith("Z warning a.b n=1\n")
    assert "\x1b" not in out.getvalue()


def test_the_console_on_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    configure_logging(log_format="console", stream=out, environment={})
    structlog.get_logger("x").warning("a.b")
    assert out.getvalue().startswith("\x1b[33m")
    out = Terminal()
    configure_logging(log_format="console", stream=out, environment={"NO_COLOR": "1"})
    structlog.get_logger("x").warning("a.b")
    assert "\x1b" not in out.getvalue()


def test_auto_asks_whether_this_very_stream_is_the_journals() -> None:
    reading, writing = os.pipe()
    with open(reading), open(writing, "w") as stream:
        found = os.fstat(writing)
        ours = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        assert pick_format(stream, ours) == "journal"
        assert pick_format(stream, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino + 1}"}) == "console"
        assert pick_format(stream, {}) == "console"
        assert pick_format(io.StringIO(), ours) == "console"
        assert configure_logging(stream=stream, environment=ours) == "journal"


@pytest.mark.parametrize("wrong", [{"log_format": "xml"}, {"level": "loud"}])
def test_unknown_words_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        configure_logging(stream=io.StringIO(), **wrong)  # type: ignore[arg-type]


def test_levels_below_are_not_written() -> None:
    ring = LogRing()
    out = start(level="warning", ring=ring)
    structlog.get_logger("x").info("a.b")
    assert out.getvalue() == ""
    assert ring.tail(10) == ()


def test_keys_are_bound_by_context() -> None:
    out = start()
    with structlog.contextvars.bound_contextvars(pair="docs"):
        structlog.get_logger("x").info("a.b")
    structlog.get_logger("x").info("a.c")
    first, second = map(json.loads, out.getvalue().splitlines())
    assert first["pair"] == "docs"
    assert "pair" not in second


def test_exceptions_are_one_line() -> None:
    out = start("journal")
    log = structlog.get_logger("x")
    try:
        raise OSError("bad\x1b[2J")
    except OSError as error:
        log.exception("a.failed")
        log.error("a.failed", exc_info=error)
    log.error("a.failed", exc_info=True)  # noqa: LOG014
    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    assert all("OSError: bad\\x1b[2J" in line for line in lines[:2])
    assert lines[2] == '<3>a.failed traceback=""'


def test_a_closed_stream_is_no_crash() -> None:
    """LIF-05."""
    out = start()
    out.close()
    structlog.get_logger("x").info("a.b")
    assert configure_logging(stream=out, environment={"JOURNAL_STREAM": "1:2"}) == "console"


def test_libraries_come_along() -> None:
    out = start()
    logging.getLogger("some.library").warning("said %s", "boo\n")
    logging.getLogger("watchfiles").info("3 changes detected")
    (line,) = map(json.loads, out.getvalue().splitlines())
    assert (line["event"], line["logger"], line["detail"]) == (
        "library.logged",
        "some.library",
        "said boo\\n",
    )
    start()
    handlers = [one for one in logging.getLogger().handlers if isinstance(one, module._Library)]
    assert len(handlers) == 1


def test_the_ring_keeps_the_last() -> None:
    ring = LogRing(size=3)
    start(ring=ring, level="debug")
    log = structlog.get_logger("x")
    for number in range(4):
        log.info("a.b", pair="docs", n=number)
    log.debug("a.c", pair="mail")
    assert [record.number for record in ring.tail(10)] == [3, 4, 5]
    assert [record.text for record in ring.tail(10, pair="docs")] == ["n=2", "n=3"]
    assert [record.event for record in ring.tail(10, level="info")] == ["a.b", "a.b"]
    assert [record.number for record in ring.tail(1)] == [5]
    assert [record.number for record in ring.tail(1, after=3)] == [4]
    assert ring.last == 5


def test_the_ring_takes_from_threads() -> None:
    ring = LogRing(size=10_000)

    def add() -> None:
        for _ in range(500):
            ring.add(0, "info", {"event": "a.b"})

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [record.number for record in ring.tail(10_000)] == list(range(1, 2001))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("token", CANARY),
        ("hub_password", CANARY),
        ("Authorization", f"Bearer {CANARY}"),
        ("detail", f"Authorization: Bearer {CANARY}"),
        ("detail", {"authorization": CANARY}),
        ("detail", f"sent bearer {CANARY}"),
        ("url", f"hub+https://me:{CANARY}@host/ws"),
        ("detail", [f"https://me:{CANARY}@host"]),
        ("path", f"hub+https://me:{CANARY}@host/ws".encode()),
    ],
)
def test_secrets_are_hidden_by_their_look(key: str, value: object) -> None:
    shown = str(Redactor().clean(key, value))
    assert CANARY not in shown
    assert "***" in shown


def test_secrets_are_hidden_by_their_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "redactor", Redactor())
    module.redactor.tell(CANARY)
    module.redactor.tell("abc")
    ring = LogRing()
    out = start(ring=ring)
    structlog.get_logger("x").info("a.b", detail=f"x{CANARY}y", other="abc")
    assert json.loads(out.getvalue())["detail"] == "x***y"
    assert "abc" in out.getvalue()
    assert CANARY not in ring.tail(1)[0].text


def test_ordinary_words_are_not_hidden() -> None:
    redactor = Redactor()
    for value in ("https://host:8080/path", "user@host", "tokens of love", "basic idea", 7, None, True):
        assert redactor.clean("detail", value) == value
    assert redactor.clean("tokens_seen", 3) == 3


def test_long_values_are_cut() -> None:
    assert len(str(Redactor().clean("detail", "x" * 100_000))) == LONGEST + 1


def test_text_is_escaped_once() -> None:
    assert plain("a\\xff b\x07\u202e\udcff é") == "a\\xff b\\x07\\u202e\\xff é"


@given(st.text())
def test_whatever_comes_is_printable(text: str) -> None:
    """S-L12."""
    shown = plain(text)
    assert all(unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in shown)


def test_stamp() -> None:
    assert stamp(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123Z"
