"""What commands print: JSON envelopes, aligned tables, and the one place where text is made safe.

Names, details and log lines come from files and other machines. `safe` lets nothing through that a
terminal would act on or a reader could not see; every function here applies it. No rich, no anyio, and
msgspec only where JSON is printed: this is on the path of `syncctl status`.
"""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from syncd.core.units import format_duration, format_size

_STYLES: Mapping[str, str] = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "cyan": "36",
}
_UNSAFE = re.compile(r"[^ -~]")
_DASH = "–"


def safe(text: str) -> str:
    """`text` with every character that is not printable shown as an escape. Idempotent."""
    if text.isprintable():
        return text
    return _UNSAFE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    if char.isprintable():
        return char
    code = ord(char)
    if char == "\n":
        return "\\n"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def json_text(value: Any) -> str:
    """One line of JSON in which every character that is not printable is a `\\u` escape."""
    import msgspec

    return safe_json(msgspec.json.encode(value).decode())


def safe_json(text: str) -> str:
    """JSON text with every character that is not printable as a `\\u` escape."""
    if text.isprintable():
        return text
    return _UNSAFE.sub(_json_escape, text)


def _json_escape(found: re.Match[str]) -> str:
    char = found[0]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def envelope(schema: str, data: Any) -> str:
    """`{"schema": "syncctl.status/1", "data": …}`"""
    return json_text({"schema": schema, "data": data})


def wants_colour(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """On a terminal, unless NO_COLOR is set (no-color.org) or the terminal is dumb."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


class Output:
    """Where a command prints: text with or without colour, or JSON."""

    def __init__(self, stream: TextIO | None = None, *, is_json: bool = False) -> None:
        self.stream = sys.stdout if stream is None else stream
        self.is_json = is_json
        self.is_terminal = self.stream.isatty()
        self.has_colour = wants_colour(self.stream, os.environ)

    def emit(self, schema: str, data: Any) -> None:
        """One JSON object on one line."""
        self.stream.write(envelope(schema, data) + "\n")
        self.stream.flush()

    def style(self, text: str, style: str) -> str:
        """Safe text, coloured where that is wanted."""
        text = safe(text)
        if not self.has_colour or not style or not text:
            return text
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"

    def line(self, *parts: str | tuple[str, str]) -> None:
        """One line; a part is text or (text, style). Every part is made safe."""
        pieces = [self.style(*part) if isinstance(part, tuple) else safe(part) for part in parts]
        self.stream.write("".join(pieces).rstrip() + "\n")

    def note(self, text: str) -> None:
        """A remark beside the data: to stderr."""
        sys.stderr.write(safe(text) + "\n")

    def table(
        self,
        headers: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        styles: Mapping[str, str] | None = None,
    ) -> None:
        """Aligned columns. `styles` colours cells by their text. Numbers are right-aligned."""
        cells = [[safe(cell) for cell in row] for row in rows]
        widths = [
            max(display_width(row[column]) for row in [list(headers), *cells])
            for column in range(len(headers))
        ]
        is_number = [
            any(row[column][:1].isdigit() for row in cells) and all(_is_number(row[column]) for row in cells)
            for column in range(len(headers))
        ]
        self.line((_align(headers, widths, is_number), "dim"))
        for row in cells:
            padded = _cells(row, widths, is_number)
            styled = [self.style(cell, (styles or {}).get(cell.strip(), "")) for cell in padded]
            self.stream.write("  ".join(styled).rstrip() + "\n")

    def fields(self, rows: Sequence[tuple[str, str]], *, indent: str = "") -> None:
        """`name  value` lines, names in one column; rows without a value are left out."""
        shown = [(name, value) for name, value in rows if value]
        width = max((display_width(name) for name, _ in shown), default=0)
        for name, value in shown:
            self.line(indent, (name.ljust(width), "dim"), "  ", value)


def display_width(text: str) -> int:
    """Columns that a terminal gives to printable text."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def _cells(row: Sequence[str], widths: Sequence[int], is_number: Sequence[bool]) -> list[str]:
    padded = []
    for cell, width, right in zip(row, widths, is_number, strict=True):
        space = " " * (width - display_width(cell))
        padded.append(space + cell if right else cell + space)
    return padded


def _align(row: Sequence[str], widths: Sequence[int], is_number: Sequence[bool]) -> str:
    return "  ".join(_cells(row, widths, is_number)).rstrip()


def _is_number(cell: str) -> bool:
    return cell in ("", _DASH) or (cell[0].isdigit() and " " not in cell)


def ago(then: datetime | None, now: datetime | None = None) -> str:
    """`3m ago`, `in 2s`, or a dash."""
    if then is None:
        return _DASH
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    if abs(seconds) < 1:
        return "now"
    return f"{format_duration(seconds)} ago" if seconds > 0 else f"in {format_duration(-seconds)}"


def local_time(then: datetime | None) -> str:
    """The wall-clock time here, to the second."""
    return _DASH if then is None else then.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float) -> str:
    """A lag or an age; a dash when it is nothing."""
    return format_duration(seconds) if seconds >= 0.001 else _DASH


def size(count: int) -> str:
    return format_size(count)


def amount(count: int) -> str:
    """A count, a dash for none."""
    return f"{count}" if count else _DASH


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
