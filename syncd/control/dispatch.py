"""From a line to its reply: validate, check the peer's right, call the backend, map what it raises.

The one boundary where errors become JSON-RPC errors. A bug is logged and answered as `bug`; no traceback
and no message of an unexpected exception reaches a client.
"""

import contextlib
from typing import Any

import msgspec
import structlog

from syncd.control import methods, protocol
from syncd.control.backend import Backend, EventStream
from syncd.control.model import EventsSubscribeParams, Subscribed
from syncd.control.protocol import Call, Code, ErrorData, Rejected
from syncd.core.error import SyncdError
from syncd.core.reason import Reason

log = structlog.get_logger(__name__)


class Session(msgspec.Struct):
    """What one connection may do, and what it follows."""

    is_owner: bool
    stream: EventStream | None = None


class Dispatcher:
    """Answers lines with the help of a backend. Holds no state of its own."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def answer(self, line: bytes, session: Session) -> bytes:
        """The bytes to send back; nothing for notifications."""
        message = protocol.parse(line)
        replies = [reply for call in message.calls if (reply := await self._reply(call, session))]
        return protocol.frame(replies, is_batch=message.is_batch)

    async def _reply(self, call: Call | Rejected, session: Session) -> bytes:
        if isinstance(call, Rejected):
            return protocol.failure(call.request_id, call.code, call.message)
        try:
            result = await self._run(call, session)
            reply = protocol.success(call.request_id, result)
        except _Refused as refused:
            reply = protocol.failure(call.request_id, refused.code, refused.message, refused.data)
        except SyncdError as error:
            data = ErrorData(error.reason.value, error.reason.fix)
            text = error.detail or error.reason.explanation
            reply = _failure(call, Code.SYNCD, text, data)
        except Exception:
            log.exception("call.failed", method=call.method[:100])
            data = ErrorData(Reason.BUG.value, Reason.BUG.fix)
            reply = protocol.failure(call.request_id, Code.INTERNAL_ERROR, Reason.BUG.explanation, data)
        return b"" if call.is_notification else reply

    async def _run(self, call: Call, session: Session) -> Any:
        if call.method == "rpc.discover":
            return methods.discover()
        method = methods.METHODS.get(call.method)
        if method is None:
            raise _Refused(Code.METHOD_NOT_FOUND, "no such method; rpc.discover lists them")
        params = _params(method, call.params)
        if method.needs_owner and not session.is_owner:
            data = ErrorData(Reason.NOT_ALLOWED.value, Reason.NOT_ALLOWED.fix)
            raise _Refused(Code.SYNCD, Reason.NOT_ALLOWED.explanation, data)
        if isinstance(params, EventsSubscribeParams):
            return await self._subscribe(params, session)
        return await getattr(self._backend, method.handler)(params)

    async def _subscribe(self, params: EventsSubscribeParams, session: Session) -> Subscribed:
        if session.stream is not None:
            raise SyncdError(Reason.BAD_REQUEST, "this connection follows events already")
        session.stream = await self._backend.events_subscribe(params)
        return Subscribed(head=session.stream.head)


class _Refused(Exception):
    def __init__(self, code: Code, message: str, data: ErrorData | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


def _params(method: methods.Method, sent: dict[str, Any] | list[Any]) -> msgspec.Struct:
    """The parameters by name, or by position in the order of the Struct's fields."""
    if isinstance(sent, list):
        fields = method.params.__struct_fields__
        if len(sent) > len(fields):
            raise _Refused(Code.INVALID_PARAMS, f"{method.name} takes at most {len(fields)} parameters")
        sent = dict(zip(fields, sent, strict=False))
    try:
        return msgspec.convert(sent, method.params)
    except msgspec.ValidationError as error:
        raise _Refused(Code.INVALID_PARAMS, str(error)) from error


def _failure(call: Call, code: Code, text: str, data: ErrorData) -> bytes:
    """A detail may hold what UTF-8 cannot (a surrogate-escaped name): it is shown escaped."""
    with contextlib.suppress(UnicodeEncodeError):
        return protocol.failure(call.request_id, code, text, data)
    safe = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return protocol.failure(call.request_id, code, safe, data)
