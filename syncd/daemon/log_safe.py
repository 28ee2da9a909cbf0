"""What may stand in a log line: printable characters, bounded length, no secrets. Pure."""

import re
from collections.abc import Mapping

from syncd.core.path import escape

LONGEST = 4096
HIDDEN = "***"
_SECRET_KEY = re.compile(
    r"(?i)(^|_)(token|password|passwd|passphrase|secret|authorization|cookie|api_?key)s?$"
)
_HEADER = re.compile(r"(?i)\b(authorization['\"]?\s*[:=]\s*['\"]?)((?:basic|bearer|digest)\s+)?[^\s'\",]+")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}")
_URL = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^/\s:@]*):[^/\s@]+@")
_PLAIN = re.compile(r"[ -~]*")

Plain = str | int | float | bool | None


def plain(text: str) -> str:
    """`text` with every character escaped that could move a cursor or hide; backslashes stay."""
    if _PLAIN.fullmatch(text):
        return text
    return "".join(char if char == "\\" else _visible(char) for char in text)


def _visible(char: str) -> str:
    return escape(char.encode("utf-8", "surrogateescape" if "\udc80" <= char <= "\udcff" else "replace"))


class Redactor:
    """Hides secrets by the name of their key, by their look, and those it was told by their value."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def tell(self, secret: str) -> None:
        """From now on `secret` is hidden wherever it occurs. Very short ones would hide half the log."""
        if len(secret) >= 6:
            self._secrets.add(secret)

    def clean(self, key: str, value: object) -> Plain:
        """`value` as it may be shown under `key`."""
        if _SECRET_KEY.search(key):
            return HIDDEN
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, bytes):
            return self.clean_text(escape(value))
        if isinstance(value, Mapping):
            return self.clean_text(", ".join(f"{k}={self.clean(str(k), one)}" for k, one in value.items()))
        if isinstance(value, list | tuple | set | frozenset):
            return self.clean_text(", ".join(str(self.clean("", one)) for one in value))
        return self.clean_text(plain(str(value)))

    def clean_text(self, text: str) -> str:
        """`text` without known secrets, credentials in URLs and authorization headers; cut when too long."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        text = _HEADER.sub(rf"\1{HIDDEN}", text)
        text = _BEARER.sub(rf"\1 {HIDDEN}", text)
        text = _URL.sub(rf"\1:{HIDDEN}@", text)
        return text if len(text) <= LONGEST else text[:LONGEST] + "…"
