"""JSON-RPC without I/O: whatever bytes arrive, calls or error replies come out (CTL-01, 03, 10)."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.control import protocol
from syncd.control.protocol import Call, Code, LineBuffer, LineTooLong, Message, Rejected


def only(line: bytes) -> Call | Rejected:
    message = protocol.parse(line)
    assert len(message.calls) == 1
    return message.calls[0]


def code(line: bytes) -> Code:
    call = only(line)
    assert isinstance(call, Rejected)
    return call.code


def call_text(**changes: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "status", **changes}).encode()


def test_a_request_is_a_call() -> None:
    assert only(call_text(params={"pairs": ["a"]})) == Call("status", {"pairs": ["a"]}, 1, False)


def test_params_may_be_absent_or_positional() -> None:
    assert only(call_text()) == Call("status", {}, 1, False)
    assert only(call_text(params=[["a"]])) == Call("status", [["a"]], 1, False)


def test_no_id_is_a_notification_and_a_null_id_is_not() -> None:
    first = only(b'{"jsonrpc":"2.0","method":"x"}')
    second = only(b'{"jsonrpc":"2.0","method":"x","id":null}')
    assert isinstance(first, Call)
    assert first.is_notification
    assert isinstance(second, Call)
    assert not second.is_notification


@pytest.mark.parametrize("request_id", ["abc", 7, -7, 1.5, None, ""])
def test_ids_that_are_allowed(request_id: Any) -> None:
    call = only(call_text(id=request_id))
    assert isinstance(call, Call)
    assert call.request_id == request_id


@pytest.mark.parametrize("request_id", [True, False, {}, [], {"a": 1}])
def test_ids_that_are_not(request_id: Any) -> None:
    assert only(call_text(id=request_id)) == Rejected(
        Code.INVALID_REQUEST, "an id is a string, a number or null"
    )


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"nonsense",
        b"\xff\xfe",
        b'"\xc3"',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e400}',
        b'{"a":-1e400}',
        b'{"a":1,"a":2}',
        b'{"b":{"a":1,"a":2}}',
        b'{"\\u0061":1,"a":2}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\udc00x"}',
        b'{"\\ud800":1}',
        b'{"a":%s}' % (b"1" * 400),
        b'{"a":9223372036854775808}',
        b'{"a":-9223372036854775809}',
        b'{"a":1}{"a":2}',
        b"[" * 65 + b"]" * 65,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\x00",
        b"'single'",
        b"[1,]",
    ],
)
def test_what_is_no_acceptable_json(line: bytes) -> None:
    assert code(line) is Code.PARSE_ERROR


def test_the_depth_limit_counts_brackets_outside_strings() -> None:
    within = b"[" * 64 + b"]" * 64
    assert code(within) is Code.INVALID_REQUEST
    call = only(call_text(method="[" * 500 + '"{{{\\' * 100))
    assert isinstance(call, Call)


def test_the_largest_integers_pass() -> None:
    call = only(b'{"jsonrpc":"2.0","id":9223372036854775807,"method":"x","params":[-9223372036854775808]}')
    assert call == Call("x", [-(2**63)], 2**63 - 1, False)


@pytest.mark.parametrize(
    "line",
    [
        b"1",
        b"null",
        b'"x"',
        b"[]",
        b"{}",
        b'{"jsonrpc":"1.0","method":"x","id":1}',
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"2.0","id":1,"method":7}',
        b'{"jsonrpc":"2.0","id":1,"method":"x","params":3}',
        b'{"jsonrpc":"2.0","id":1,"method":"x","params":null}',
    ],
)
def test_what_is_json_but_no_request(line: bytes) -> None:
    assert code(line) is Code.INVALID_REQUEST


def test_a_rejected_request_keeps_its_id() -> None:
    call = only(b'{"jsonrpc":"2.0","id":"q","method":7}')
    assert isinstance(call, Rejected)
    assert call.request_id == "q"


def test_a_batch_is_taken_apart() -> None:
    message = protocol.parse(b"[" + call_text() + b",1," + call_text(id=2) + b"]")
    assert message.is_batch
    assert [type(call) for call in message.calls] == [Call, Rejected, Call]


def test_a_batch_is_bounded() -> None:
    def batch(count: int) -> bytes:
        return b"[" + b",".join([call_text()] * count) + b"]"

    assert len(protocol.parse(batch(1000)).calls) == 1000
    assert code(batch(1001)) is Code.INVALID_REQUEST
    assert not protocol.parse(batch(10_000)).is_batch


@given(st.binary(max_size=400))
def test_any_bytes_are_answered(line: bytes) -> None:
    message = protocol.parse(line)
    assert isinstance(message, Message)
    assert message.calls


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_any_json_value_is_answered(value: Any) -> None:
    message = protocol.parse(json.dumps(value).encode("utf-8", "surrogatepass"))
    for call in message.calls:
        if isinstance(call, Rejected):
            reply = protocol.failure(call.request_id, call.code, call.message)
            assert msgspec.json.decode(reply)["error"]["code"] == call.code


@given(st.text(), st.dictionaries(st.text(), st.integers(-(2**63), 2**63 - 1)), st.integers(0, 2**31))
def test_what_the_client_sends_is_read_back(method: str, params: dict[str, int], number: int) -> None:
    line = protocol.request(method, params, number)
    assert line.endswith(b"\n")
    assert only(line[:-1]) == Call(method, params, number, False)


@given(st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"")), max_size=8), st.data())
def test_lines_do_not_depend_on_how_bytes_arrive(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    buffer, found = LineBuffer(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += list(buffer.feed(stream[start:end]))
    assert found == [line for line in lines if line.strip()]


def test_a_line_at_the_limit_passes_and_one_beyond_does_not() -> None:
    assert list(LineBuffer(8).feed(b"x" * 8 + b"\n")) == [b"x" * 8]
    with pytest.raises(LineTooLong):
        list(LineBuffer(8).feed(b"x" * 9))
    with pytest.raises(LineTooLong):
        list(LineBuffer(8).feed(b"x" * 9 + b"\n"))


def test_an_endless_line_is_refused_without_being_kept() -> None:
    buffer = LineBuffer(1000)
    for _ in range(10):
        assert not list(buffer.feed(b"x" * 100))
    with pytest.raises(LineTooLong):
        list(buffer.feed(b"x"))


def test_replies() -> None:
    assert protocol.frame([], is_batch=True) == b""
    one = protocol.success(1, {"a": 1})
    assert protocol.frame([one], is_batch=False) == b'{"result":{"a":1},"id":1,"jsonrpc":"2.0"}\n'
    assert msgspec.json.decode(protocol.frame([one, one], is_batch=True))[1]["id"] == 1
    refused = protocol.failure(None, Code.SYNCD, "no", protocol.ErrorData("no-such-pair", "look"))
    assert msgspec.json.decode(refused) == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": -32000, "message": "no", "data": {"reason": "no-such-pair", "fix": "look"}},
    }


@settings(max_examples=30)
@given(st.integers(0, 200))
def test_nesting_is_accepted_up_to_the_limit_only(depth: int) -> None:
    line = b'{"jsonrpc":"2.0","id":1,"method":"x","params":[' + b"[" * depth + b"]" * depth + b"]}"
    assert isinstance(only(line), Call) == (depth + 2 <= protocol.MAX_DEPTH)
