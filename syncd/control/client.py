"""The control socket from the other end: a small blocking client for the command line.

A plain socket and the standard library's JSON, so that `syncctl status` starts fast: no anyio, no event
loop, and msgspec with the control model only once an answer is to be typed. Errors: `Unreachable` (nobody
answers; it says what was tried), `NotPermitted`, `CallError` (the daemon's answer), `TimedOut`.
"""

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
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
        params: "msgspec.Struct",
        result: type[T],
        *,
        timeout_s: float | None = CALL_TIMEOUT_S,
    ) -> T:
        """Ask and wait for the answer. `timeout_s` None waits for ever."""
        return _typed(self.ask(method, _sent(params), timeout_s=timeout_s), result)

    def ask(self, method: str, params: Mapping[str, Any], *, timeout_s: float | None = CALL_TIMEOUT_S) -> Any:
        """`call` with plain JSON values: nothing of the model is loaded."""
        self._last_id += 1
        line = json.dumps({"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params})
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._send(line.encode() + b"\n", deadline)
        while True:
            reply = _reply(self._line(deadline))
            if reply.get("error") is not None:
                raise _refusal(reply, self._path)
            if reply.get("id") == self._last_id:
                return reply.get("result")

    def subscribe(self, params: "EventsSubscribeParams") -> "Subscribed":
        """Begin to follow events; `next_event` or `events` gives them."""
        from syncd.control.model import Subscribed

        return self.call("events.subscribe", params, Subscribed)

    def next_event(self, timeout_s: float | None = None) -> "Event | None":
        """The next event, None when none came in time. Raises Unreachable when the daemon is gone."""
        from syncd.control.model import Event

        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            try:
                line = self._line(deadline)
            except TimedOut:
                return None
            reply = _reply(line)
            if reply.get("method") == "event":
                with contextlib.suppress(CallError):
                    return _typed(reply.get("params"), Event)

    def events(self) -> "Iterator[Event]":
        """Events until the daemon closes the connection."""
        while (event := self.next_event()) is not None:
            yield event

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


def _reply(line: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(line)
    except (ValueError, RecursionError):
        reply = None
    if not isinstance(reply, dict):
        raise CallError(0, "what listens there does not speak syncd's protocol")
    return reply


def _refusal(reply: Mapping[str, Any], path: str) -> ClientError:
    """The error object of a reply as an exception."""
    error = reply["error"]
    match error:
        case {"code": int(code), "message": str(message)}:
            data = error.get("data")
        case _:
            return CallError(0, "what listens there does not speak syncd's protocol")
    reason, fix = (
        (str(data.get(key, "")) for key in ("reason", "fix")) if isinstance(data, dict) else ("", "")
    )
    if reply.get("id") is None and reason == "not-allowed":
        return NotPermitted(f"{path}: {message}")
    return CallError(code, message, reason, fix)


def _typed(value: Any, result: type[T]) -> T:
    import msgspec

    try:
        return msgspec.convert(value, result)
    except msgspec.ValidationError as error:
        raise CallError(0, f"an answer that this syncctl does not understand: {error}") from error


def _sent(params: "msgspec.Struct") -> dict[str, Any]:
    """Fields at their default are not sent: an older daemon need not know them."""
    import msgspec

    fields = {}
    for field in msgspec.structs.fields(type(params)):
        value = getattr(params, field.name)
        if field.required or value != field.default:
            fields[field.name] = msgspec.to_builtins(value)
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
