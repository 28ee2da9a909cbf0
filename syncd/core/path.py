r"""Relative paths as bytes: checked at every trust border, escaped for people, folded for collisions.

A path is `/`-joined, has no leading or trailing slash, and the root is `b""`. Any byte but NUL and `/` may
occur in a name; nothing here assumes UTF-8. Pure; imports nothing of syncd.

The escaped form is printable and reversible: a backslash is doubled, a newline is `\n`, `\xNN` is one byte
(other control characters, bytes that are not UTF-8), `\uNNNN` and `\UNNNNNNNN` are invisible characters.
"""

import base64
import re
import unicodedata

RelPath = bytes

CONTROL_NAME = b".syncd"
IGNORE_FILE = b".syncignore"

MAX_NAME = 255
MAX_PATH = 4096
MAX_DEPTH = 128


class InvalidPath(ValueError):
    """The bytes are no path that may be used beneath a root."""


def parse(raw: bytes) -> bytes:
    """Check bytes that crossed a trust border (rule S-F1) and return them. Raises InvalidPath.

    What passes resolves beneath its root by construction: no empty, `.` or `..` component, no NUL, within
    the limits. Control names pass (`is_reserved` tells), and so does every other byte.
    """
    if len(raw) > MAX_PATH:
        raise InvalidPath(f"longer than {MAX_PATH} bytes")
    if b"\0" in raw:
        raise InvalidPath("contains NUL")
    parts = raw.split(b"/")
    if len(parts) > MAX_DEPTH:
        raise InvalidPath(f"more than {MAX_DEPTH} components")
    for part in parts:
        if not part:
            raise InvalidPath("has an empty component")
        if part in (b".", b".."):
            raise InvalidPath(f"has the component {part.decode()!r}")
        if len(part) > MAX_NAME:
            raise InvalidPath(f"has a name longer than {MAX_NAME} bytes")
    return raw


def join(parent: bytes, name: bytes) -> bytes:
    return parent + b"/" + name if parent else name


def split(path: bytes) -> tuple[bytes, ...]:
    """The names of a path; none for the root."""
    return tuple(path.split(b"/")) if path else ()


def parent(path: bytes) -> bytes:
    """The directory that holds `path`. The root is its own parent."""
    return path.rpartition(b"/")[0]


def name(path: bytes) -> bytes:
    """The last component; empty for the root."""
    return path.rpartition(b"/")[2]


def is_beneath(path: bytes, ancestor: bytes) -> bool:
    """Is `path` strictly beneath `ancestor`?"""
    return path.startswith(ancestor + b"/") if ancestor else bool(path)


def is_within(path: bytes, ancestor: bytes) -> bool:
    """Is `path` the same as `ancestor` or beneath it?"""
    return path == ancestor or is_beneath(path, ancestor)


def ancestors(path: bytes) -> tuple[bytes, ...]:
    """The proper ancestors, the root first; none for the root."""
    if not path:
        return ()
    found = [b""]
    at = path.find(b"/")
    while at >= 0:
        found.append(path[:at])
        at = path.find(b"/", at + 1)
    return tuple(found)


def fold_key(name: bytes) -> bytes:
    """Equal for names that a case-folding or normalising file system may take for one.

    For detecting collisions only, never an identity: two different names may live side by side.
    """
    if name.isascii():
        return name.lower()
    return _fold(_decode(name)).encode("utf-8", "surrogateescape")


def is_reserved(path: bytes) -> bool:
    """Does `path` name syncd's control directory, or pretend to?

    Exactly `.syncd` is reserved at the top of a tree. What some file system could take for it (other
    case, compatibility forms, trailing dots and spaces, invisible characters) is reserved anywhere.
    """
    if path.isascii() and CONTROL_NAME not in path.lower():
        return False
    parts = path.split(b"/")
    return parts[0] == CONTROL_NAME or any(_is_disguised(part) for part in parts)


def _is_disguised(part: bytes) -> bool:
    if part == CONTROL_NAME:
        return False
    folded = part.lower().decode() if part.isascii() else _IGNORABLE.sub("", _fold(_decode(part)))
    return folded.rstrip(". ") == ".syncd"


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _fold(text: str) -> str:
    # Twice: folding may undo normalisation and the reverse (U+0345, U+1E9E and their kin).
    for _ in range(2):
        text = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", text)


# Characters of Default_Ignorable_Code_Point: shown as nothing, and dropped by some file systems. The format
# characters (Cf) among them, bidi controls included, are not printable for `str.isprintable` either.
_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
_PLAIN = re.compile(rb"[ -\[\]-~]*")
_ESCAPED = re.compile(r"\\(?:\\|n|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})|[^\\]|\\")


def escape(path: bytes) -> str:
    """The path as printable text: safe for terminals and logs, and reversible by `unescape`."""
    if _PLAIN.fullmatch(path):
        return path.decode("ascii")
    return "".join(map(_escape_character, _decode(path)))


def _escape_character(char: str) -> str:
    code = ord(char)
    if char == "\\":
        return "\\\\"
    if char == "\n":
        return "\\n"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if char.isprintable() and not _IGNORABLE.match(char):
        return char
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def unescape(text: str) -> bytes:
    """The bytes that `escape` made `text` from. Raises InvalidPath for a stray backslash."""
    if "\\" not in text:
        return _encode(text)
    return b"".join(map(_unescape_token, _ESCAPED.findall(text)))


def _unescape_token(escaped: str) -> bytes:
    if escaped[0] != "\\":
        return _encode(escaped)
    if escaped == "\\":
        raise InvalidPath("has a backslash that escapes nothing")
    if escaped == "\\\\":
        return b"\\"
    if escaped == "\\n":
        return b"\n"
    code = int(escaped[2:], 16)
    if escaped[1] == "x":
        return bytes([code])
    if code > 0x10FFFF:
        raise InvalidPath("has an escape past the last character")
    return _encode(chr(code))


def _encode(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidPath("has a lone surrogate") from error


def to_json(path: bytes) -> dict[str, str]:
    """The path as JSON members: escaped text, and base64 beside it where that text is not the bytes."""
    text = escape(path)
    if text.encode("utf-8") == path:
        return {"path": text}
    return {"path": text, "path_b64": base64.b64encode(path).decode("ascii")}
