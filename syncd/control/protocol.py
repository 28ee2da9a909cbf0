"""JSON-RPC 2.0 without I/O: bytes in, calls out; replies in, bytes out. One message a line.

Everything here is bounded and total: whatever bytes arrive, `parse` returns calls or ready error replies
and never raises. Stricter than most: duplicate keys, NaN, numbers that are no finite double or 64-bit
integer, lone surrogates and nesting over 64 levels are parse errors, so that no two readers of a message
can disagree about what it says. Nothing of anyio, no sockets.
"""

import enum
import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import msgspec

MAX_LINE = 1 << 20
"""Bytes of one message, newline not counted."""
MAX_DEPTH = 64
MAX_BATCH = 1000

RequestId = str | int | float | None

_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


class Code(enum.IntEnum):
    """The standard error codes, and the one of syncd's own errors (their `data` has reason and fix)."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    SYNCD = -32000


class Call(msgspec.Struct, frozen=True):
    """A well-formed request. A notification has no id and gets no reply, not even an error."""

    method: str
    params: dict[str, Any] | list[Any]
    request_id: RequestId
    is_notification: bool


class Rejected(msgspec.Struct, frozen=True):
    """What stands in a message's place when it is no request."""

    code: Code
    message: str
    request_id: RequestId = None


class Message(msgspec.Struct, frozen=True):
    """One line: a single call, or a batch that is answered as one array."""

    calls: tuple[Call | Rejected, ...]
    is_batch: bool


class ErrorData(msgspec.Struct, frozen=True):
    """`data` of syncd's own errors: a reason code and the way out."""

    reason: str
    fix: str


class ErrorObject(msgspec.Struct, frozen=True, omit_defaults=True):
    code: int
    message: str
    data: ErrorData | None = None


class _Failure(msgspec.Struct, frozen=True):
    error: ErrorObject
    id: RequestId
    jsonrpc: str = "2.0"


class _Success(msgspec.Struct, frozen=True):
    result: Any
    id: RequestId
    jsonrpc: str = "2.0"


class _Notification(msgspec.Struct, frozen=True):
    method: str
    params: Any
    jsonrpc: str = "2.0"


class _Malformed(ValueError):
    """The line is no acceptable JSON text."""


class LineTooLong(Exception):
    """A line passed the limit; the connection cannot be brought back in step and is closed."""


class LineBuffer:
    """Cut a byte stream into lines. Holds at most one line of `limit` bytes."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._held = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that `data` completes, blank ones left out. Raises LineTooLong."""
        *complete, rest = data.split(b"\n")
        for piece in complete:
            self._hold(piece)
            line = b"".join(self._parts)
            self._parts, self._held = [], 0
            if line.strip():
                yield line
        self._hold(rest)

    def _hold(self, piece: bytes) -> None:
        self._held += len(piece)
        if self._held > self._limit:
            self._parts = []
            raise LineTooLong
        if piece:
            self._parts.append(piece)


def parse(line: bytes) -> Message:
    """The calls of one line. Never raises."""
    try:
        value = _decode(line)
    except _Malformed as error:
        return Message((Rejected(Code.PARSE_ERROR, str(error)),), is_batch=False)
    if not isinstance(value, list):
        return Message((_call(value),), is_batch=False)
    if not value:
        return Message((Rejected(Code.INVALID_REQUEST, "the batch is empty"),), is_batch=False)
    if len(value) > MAX_BATCH:
        text = f"the batch has more than {MAX_BATCH} calls"
        return Message((Rejected(Code.INVALID_REQUEST, text),), is_batch=False)
    return Message(tuple(_call(item) for item in value), is_batch=True)


def _call(value: Any) -> Call | Rejected:
    if not isinstance(value, dict):
        return Rejected(Code.INVALID_REQUEST, "a request is an object")
    request_id = value.get("id")
    if isinstance(request_id, (bool, list, dict)):
        return Rejected(Code.INVALID_REQUEST, "an id is a string, a number or null")
    if value.get("jsonrpc") != "2.0":
        return Rejected(Code.INVALID_REQUEST, 'jsonrpc must be "2.0"', request_id)
    method, params = value.get("method"), value.get("params", {})
    if not isinstance(method, str):
        return Rejected(Code.INVALID_REQUEST, "method must be a string", request_id)
    if not isinstance(params, (dict, list)):
        return Rejected(Code.INVALID_REQUEST, "params must be an object or an array", request_id)
    return Call(method, params, request_id, is_notification="id" not in value)


def _decode(line: bytes) -> Any:
    if _depth(line) > MAX_DEPTH:
        raise _Malformed(f"nested deeper than {MAX_DEPTH} levels")
    try:
        # msgspec refuses what the standard library lets through: lone surrogates, bad UTF-8, NaN.
        msgspec.json.decode(line)
        return json.loads(
            line,
            object_pairs_hook=_unique,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_constant,
        )
    except _Malformed:
        raise
    except (ValueError, RecursionError) as error:
        raise _Malformed("not valid JSON") from error


def _depth(line: bytes) -> int:
    """The deepest nesting of brackets outside strings; also right for what is no JSON at all."""
    depth = deepest = 0
    for match in _BRACKETS.finditer(line):
        token = match[0]
        if token in (b"[", b"{"):
            depth += 1
            deepest = max(deepest, depth)
            if deepest > MAX_DEPTH:
                break
        elif token in (b"]", b"}"):
            depth -= 1
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _Malformed("an object has the same key twice")
    return result


def _integer(text: str) -> int:
    if len(text) > 20 or not -(2**63) <= (value := int(text)) < 2**63:
        raise _Malformed("an integer does not fit into 64 bits")
    return value


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _Malformed("a number is out of range")
    return value


def _constant(_text: str) -> NoReturn:
    raise _Malformed("NaN and Infinity are not JSON")


_encode = msgspec.json.Encoder().encode


def success(request_id: RequestId, result: Any) -> bytes:
    """A reply without its newline. Raises what msgspec raises for a result that cannot be encoded."""
    return _encode(_Success(result, request_id))


def failure(request_id: RequestId, code: int, message: str, data: ErrorData | None = None) -> bytes:
    return _encode(_Failure(ErrorObject(int(code), message, data), request_id))


def notification(method: str, params: Any) -> bytes:
    """A message from the daemon that answers nothing, with its newline."""
    return _encode(_Notification(method, params)) + b"\n"


def frame(replies: Sequence[bytes], *, is_batch: bool) -> bytes:
    """One line of replies; nothing when there is nothing to say (notifications only)."""
    if not replies:
        return b""
    return b"[" + b",".join(replies) + b"]\n" if is_batch else replies[0] + b"\n"


def request(method: str, params: Any, request_id: int) -> bytes:
    """What a client sends, with its newline."""
    return _encode({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}) + b"\n"
