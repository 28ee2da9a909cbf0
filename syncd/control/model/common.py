"""Pieces that parameters and results share: paths as JSON, stamps, entries.

A path is bytes. JSON shows `path` (escaped, printable) and, only where that is not simply the name,
`path_b64` (the exact bytes). As a parameter `path` is the plain name, and `path_b64` wins when both are
sent; so the two fields of a result are valid parameters again. Nothing of the daemon is imported here.
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import msgspec

from syncd.core.entry import Entry, Kind, Side
from syncd.core.error import SyncdError
from syncd.core.path import escape
from syncd.core.reason import Reason

SideName = Literal["source", "destination"]
Keep = Literal["source", "destination", "both", "newest"]
Decision = Literal["approved", "rejected", "reverting"]
WaitOutcome = Literal["synced", "degraded", "held", "timeout"]
IssueClass = Literal["issue", "note"]
Stamp = Annotated[datetime, msgspec.Meta(tz=True)]

MAX_PATH = 4096 * 2
"""Bytes of a path parameter: a root and a relative path, each of at most 4096."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = datetime(1, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, tzinfo=UTC)


def stamp(ns: int) -> datetime:
    """The UTC time of nanoseconds since the epoch, to the microsecond. Out of range is clamped."""
    try:
        return _EPOCH + timedelta(microseconds=ns // 1000)
    except OverflowError:
        return _LAST if ns > 0 else _FIRST


def side_name(side: Side) -> SideName:
    return "source" if side is Side.SOURCE else "destination"


def raw_path(path: str | None, path_b64: str | None) -> bytes | None:
    """The bytes that a path parameter names; None when neither field was sent."""
    if path_b64 is not None:
        try:
            raw = base64.b64decode(path_b64, validate=True)
        except (binascii.Error, ValueError) as error:
            raise SyncdError(Reason.BAD_REQUEST, "path_b64 is not base64") from error
    elif path is not None:
        raw = path.encode("utf-8", "surrogateescape")
    else:
        return None
    if b"\0" in raw or len(raw) > MAX_PATH:
        raise SyncdError(Reason.BAD_REQUEST, "a path holds NUL or is too long")
    return raw


def path_fields(raw: bytes) -> tuple[str, str | msgspec.UnsetType]:
    """`path` and `path_b64` of a result."""
    text = escape(raw)
    if text.encode() == raw:
        return text, msgspec.UNSET
    return text, base64.b64encode(raw).decode("ascii")


def path_params(raw: bytes | None) -> tuple[str | None, str | None]:
    """`path` and `path_b64` of parameters."""
    if raw is None:
        return None, None
    try:
        return raw.decode("utf-8"), None
    except UnicodeDecodeError:
        return None, base64.b64encode(raw).decode("ascii")


class PathText(msgspec.Struct, frozen=True, kw_only=True):
    """A path in a result. Make it with `PathText.of(raw)`."""

    path: str
    path_b64: str | msgspec.UnsetType = msgspec.UNSET

    @property
    def raw(self) -> bytes:
        """The exact bytes."""
        encoded = self.path_b64 if isinstance(self.path_b64, str) else None
        return raw_path(self.path, encoded) or b""

    @classmethod
    def of(cls, raw: bytes) -> "PathText":
        text, encoded = path_fields(raw)
        return PathText(path=text, path_b64=encoded)

    @classmethod
    def maybe(cls, raw: bytes | None) -> "PathText | None":
        return None if raw is None else cls.of(raw)


_KINDS: Mapping[Kind, str] = {kind: kind.value for kind in Kind}


class EntryView(msgspec.Struct, frozen=True, kw_only=True):
    """One side's version of a path. `mode` is octal text, `digest` hexadecimal, `target` escaped."""

    kind: str
    mode: str
    size: int
    mtime: Stamp
    digest: str | None = None
    target: str | None = None

    @classmethod
    def of(cls, entry: Entry) -> "EntryView":
        return cls(
            kind=_KINDS[entry.kind],
            mode=f"{entry.mode:04o}",
            size=entry.size,
            mtime=stamp(entry.mtime_ns),
            digest=None if entry.digest is None else entry.digest.hex(),
            target=None if entry.target is None else escape(entry.target),
        )

    @classmethod
    def maybe(cls, entry: Entry | None) -> "EntryView | None":
        return None if entry is None else cls.of(entry)
