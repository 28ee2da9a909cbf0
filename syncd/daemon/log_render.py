"""One event as one line: for people, for machines, for the journal. Values are already safe (`log_safe`)."""

import datetime as dt
from collections.abc import Callable, Mapping

import msgspec

PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3}
"""syslog's numbers, which the journal takes from the start of a line."""
_COLOURS = {"debug": "\x1b[2m", "info": "", "warning": "\x1b[33m", "error": "\x1b[31m"}
_RESET = "\x1b[0m"

Fields = Mapping[str, object]


def stamp(at_ns: int) -> str:
    """UTC with milliseconds."""
    at = dt.datetime.fromtimestamp(at_ns // 1_000_000_000, dt.UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ns // 1_000_000 % 1000:03d}Z"


def pairs(fields: Fields) -> str:
    """`key=value` for all but the event, quoted where it is not one word."""
    return " ".join(f"{key}={_word(value)}" for key, value in fields.items() if key != "event")


def _word(value: object) -> str:
    text = "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    if text and not any(char in text for char in ' "='):
        return text
    return '"' + text.replace('"', '\\"') + '"'


def journal(_at_ns: int, level: str, fields: Fields) -> str:
    """`<N>event key=value`: the journal has the time and cuts off the priority."""
    return f"<{PRIORITIES.get(level, 6)}>{_text(fields)}"


def json_line(at_ns: int, level: str, fields: Fields) -> str:
    """One JSON object: at, level, event, then the keys."""
    return msgspec.json.encode({"at": stamp(at_ns), "level": level, **fields}).decode()


def console(*, is_coloured: bool) -> Callable[[int, str, Fields], str]:
    """`time level event key=value`."""

    def render(at_ns: int, level: str, fields: Fields) -> str:
        line = f"{stamp(at_ns)} {level:7} {_text(fields)}"
        return f"{_COLOURS.get(level, '')}{line}{_RESET}" if is_coloured and _COLOURS.get(level) else line

    return render


def _text(fields: Fields) -> str:
    return f"{fields.get('event', '')} {pairs(fields)}".rstrip()
