"""On which line of a TOML text a key stands, and where a syntax error is.

`tomllib` gives no lines for keys. The scan here runs only over text that tomllib has accepted, so it
needs no error handling of its own; it returns lines, never values.
"""

import bisect
import re
import tomllib

KeyPath = tuple[str, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_PLAIN_VALUE = re.compile(r"[^,\]}#\n]*")
_STRINGS = (
    re.compile(r'"""(?:[^"\\]|\\[\s\S]|"{1,2}(?!"))*"{3,5}'),
    re.compile(r"'''(?:[^']|'{1,2}(?!'))*'{3,5}"),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)
_AT_LINE = re.compile(r"\s*\(at line (\d+), column \d+\)\s*$")
_AT_END = re.compile(r"\s*\(at end of document\)\s*$")


def key_lines(text: str) -> dict[KeyPath, int]:
    """The 1-based line of every table and key of a valid TOML text; the first mention counts."""
    return _Scan(text).run()


def syntax_error(text: str, error: tomllib.TOMLDecodeError) -> tuple[int, str]:
    """Line and message of what tomllib refused."""
    message = str(error)
    found = _AT_LINE.search(message)
    if found:
        return int(found[1]), message[: found.start()]
    found = _AT_END.search(message)
    return text.count("\n") + 1, message[: found.start()] if found else message


class _Scan:
    """One pass over the text; `at` is the position, `table` the path of the open table."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.table: KeyPath = ()
        self.lines: dict[KeyPath, int] = {}
        self.ends = [found.start() for found in re.finditer("\n", text)]

    def run(self) -> dict[KeyPath, int]:
        while True:
            self.skip(_GAP)
            if self.at >= len(self.text):
                return self.lines
            if self.text[self.at] == "[":
                self.header()
            else:
                self.assignment(self.table)

    def header(self) -> None:
        while self.text[self.at] == "[":
            self.at += 1
        self.table = self.key(())
        while self.at < len(self.text) and self.text[self.at] == "]":
            self.at += 1

    def assignment(self, table: KeyPath) -> None:
        path = self.key(table)
        self.at += 1  # the equals sign
        self.skip(_BLANK)
        self.value(path)

    def key(self, table: KeyPath) -> KeyPath:
        """Read a dotted key and note the line of each of its parts."""
        path = table
        while True:
            self.skip(_BLANK)
            path = (*path, self.key_part())
            self.lines.setdefault(path, bisect.bisect_left(self.ends, self.at) + 1)
            self.skip(_BLANK)
            if self.at >= len(self.text) or self.text[self.at] != ".":
                return path
            self.at += 1

    def key_part(self) -> str:
        if self.text[self.at] in "\"'":
            quoted = self.string()
            parsed = tomllib.loads(f"k = {quoted}")["k"]
            return str(parsed)
        found = _BARE.match(self.text, self.at)
        self.at = found.end() if found else self.at + 1
        return found[0] if found else ""

    def value(self, path: KeyPath) -> None:
        start = self.text[self.at]
        if start in "\"'":
            self.string()
        elif start == "[":
            self.sequence("]", path)
        elif start == "{":
            self.sequence("}", path)
        else:
            self.skip(_PLAIN_VALUE)

    def sequence(self, end: str, path: KeyPath) -> None:
        """An array or an inline table, nested values included."""
        self.at += 1
        while True:
            self.skip(_GAP)
            if self.text[self.at] == ",":
                self.at += 1
            elif self.text[self.at] == end:
                self.at += 1
                return
            elif end == "}":
                self.assignment(path)
            else:
                self.value(path)

    def string(self) -> str:
        for form in _STRINGS:
            found = form.match(self.text, self.at)
            if found:
                self.at = found.end()
                return found[0]
        self.at = len(self.text)
        return '""'

    def skip(self, form: re.Pattern[str]) -> None:
        found = form.match(self.text, self.at)
        if found:
            self.at = found.end()
