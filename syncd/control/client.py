"""The control socket from the other end: a small blocking client for the command line.

A plain socket and msgspec, so that `syncctl status` starts fast: no anyio, no event loop. Errors:
`Unreachable` (nobody answers; it says what was tried), `NotPermitted`, `CallError` (the daemon's answer),
`TimedOut`.
"""

import contextlib
import os
import socket
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec

from syncd.control.model import Event, EventsSubscribeParams, Subscribed

T = TypeVar("T")

MAX_REPLY = 64 << 20
CALL_TIMEOUT_S = 60.0
_SUN_PATH = 103


class ClientError(Exception):
    """Base of what this module raises."""


class Unreachable(ClientError):
    """No daemon answers. `tried` has a line for every socket."""

    def __init__(self, tried: Sequence[str]) -> None:
        super().__init__("no daemon answers; tried " + ", ".join(tried))
        self.tried = tuple(tried)


class NotPermitted(ClientError):
    """The socket is there but not for this user."""


class TimedOut(ClientError):
    """The daemon did not answer in time."""


class CallError(ClientError):
    """The daemon's error. `reason` and `fix` are empty for errors of the protocol itself."""

    def __init__(self, code: int, message: str, reason: str = "", fix: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason
        self.fix = fix


class _ErrorData(msgspec.Struct):
    reason: str = ""
    fix: str = ""


class _Error(msgspec.Struct):
    code: int
    message: str
    data: _ErrorData | None = None


class _Reply(msgspec.Struct):
    id: str | int | float | None = None
    result: msgspec.Raw = msgspec.Raw()
    error: _Error | None = None
    method: str = ""
    params: msgspec.Raw = msgspec.Raw()


_decode_reply = msgspec.json.Decoder(_Reply).decode
_decode_event = msgspec.json.Decoder(Event).decode


class Client:
    """One connection. Make it with `connect`; use it as a context manager."""

    def __init__(self, sock: socket.socket, path: str) -> None:
        self._sock = sock
        self._path = path
        self._buffer = bytearray()
        self._last_id = 0

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._sock.close()

    def call(
        self,
        method: str,
        params: msgspec.Struct,
        result: type[T],
        *,
        timeout_s: float | None = CALL_TIMEOUT_S,
    ) -> T:
        """Ask and wait for the answer. `timeout_s` None waits for ever."""
        self._last_id += 1
        line = msgspec.json.encode(
            {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": _sent(params)}
        )
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._send(line + b"\n", deadline)
        while True:
            reply = self._reply(self._line(deadline))
            if reply.error is not None:
                data = reply.error.data or _ErrorData()
                if reply.id is None and data.reason == "not-allowed":
                    raise NotPermitted(f"{self._path}: {reply.error.message}")
                raise CallError(reply.error.code, reply.error.message, data.reason, data.fix)
            if reply.id == self._last_id:
                return self._convert(reply.result, result)

    def subscribe(self, params: EventsSubscribeParams) -> Subscribed:
        """Begin to follow events; `next_event` or `events` gives them."""
        return self.call("events.subscribe", params, Subscribed)

    def next_event(self, timeout_s: float | None = None) -> Event | None:
        """The next event, None when none came in time. Raises Unreachable when the daemon is gone."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            try:
                line = self._line(deadline)
            except TimedOut:
                return None
            reply = self._reply(line)
            if reply.method == "event":
                with contextlib.suppress(msgspec.DecodeError):
                    return _decode_event(reply.params)

    def events(self) -> Iterator[Event]:
        """Events until the daemon closes the connection."""
        while (event := self.next_event()) is not None:
            yield event

    def _convert(self, raw: msgspec.Raw, result: type[T]) -> T:
        try:
            return msgspec.json.decode(raw, type=result)
        except msgspec.DecodeError as error:
            raise CallError(0, f"an answer that this syncctl does not understand: {error}") from error

    def _reply(self, line: bytes) -> _Reply:
        try:
            return _decode_reply(line)
        except msgspec.DecodeError as error:
            raise CallError(0, "what listens there does not speak syncd's protocol") from error

    def _gone(self) -> Unreachable:
        return Unreachable([f"{self._path} (the daemon closed the connection)"])

    def _send(self, data: bytes, deadline: float | None) -> None:
        self._arm(deadline)
        try:
            self._sock.sendall(data)
        except TimeoutError as error:
            raise TimedOut("the daemon does not read") from error
        except (BrokenPipeError, ConnectionResetError):
            return  # it may have said why before it closed: the answer is read next
        except OSError as error:
            raise self._gone() from error

    def _line(self, deadline: float | None) -> bytes:
        start = 0
        while (end := self._buffer.find(b"\n", start)) < 0:
            start = len(self._buffer)
            if start > MAX_REPLY:
                raise CallError(0, "the answer is too long")
            self._arm(deadline)
            try:
                data = self._sock.recv(1 << 18)
            except TimeoutError as error:
                raise TimedOut("the daemon did not answer in time") from error
            except OSError as error:
                raise self._gone() from error
            if not data:
                raise self._gone()
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def _arm(self, deadline: float | None) -> None:
        self._sock.settimeout(None if deadline is None else max(0.001, deadline - time.monotonic()))


def _sent(params: msgspec.Struct) -> object:
    """Fields at their default are not sent: an older daemon need not know them."""
    defaults = type(params)
    fields = {}
    for field in msgspec.structs.fields(defaults):
        value = getattr(params, field.name)
        if field.required or value != field.default:
            fields[field.name] = value
    return fields


def connect(candidates: Sequence[str | os.PathLike[str]], *, timeout_s: float = 5.0) -> Client:
    """The first socket that answers. Raises Unreachable, or NotPermitted if one refused this user."""
    tried: list[str] = []
    refused: list[str] = []
    for candidate in candidates:
        path = os.fspath(candidate)
        try:
            return Client(_connect(path, timeout_s), path)
        except FileNotFoundError:
            tried.append(f"{path} (not there)")
        except ConnectionRefusedError:
            tried.append(f"{path} (nobody listens)")
        except PermissionError:
            refused.append(path)
            tried.append(f"{path} (not permitted)")
        except OSError as error:
            tried.append(f"{path} ({error.strerror or error})")
    if refused:
        raise NotPermitted(f"{refused[0]}: this user may not use the control socket")
    raise Unreachable(tried)


def _connect(path: str, timeout_s: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        raw = os.fsencode(path)
        if len(raw) <= _SUN_PATH:
            sock.connect(raw)
        else:
            directory = os.open(os.path.dirname(raw), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                sock.connect(f"/proc/self/fd/{directory}/".encode() + os.path.basename(raw))
            finally:
                os.close(directory)
    except BaseException:
        sock.close()
        raise
    return sock
