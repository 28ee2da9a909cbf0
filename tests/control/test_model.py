"""The table of methods, the Structs and the backend agree; paths travel exactly."""

import inspect
import typing
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.control import model as m
from syncd.control.backend import Backend
from syncd.control.methods import METHODS, SUBSCRIBE
from syncd.control.model.common import path_params
from syncd.core.entry import Entry, Kind, Side
from syncd.core.error import SyncdError
from tests.control.fake import FakeBackend

FROM_INTERFACES = """
    status pair.list pair.show pair.add pair.remove pair.pause pair.resume pair.sync pair.rescan
    pair.notify pair.wait path.explain plan.show plan.approve plan.reject conflict.list conflict.show
    conflict.resolve issue.list history.list config.show config.reload events.subscribe daemon.stop
    daemon.version
"""
STATUS_KEYS = """
    name source destination mode state lag_s pending conflicts issues hold last_synced_at
    next_attempt_at progress watcher totals
"""


def test_the_promised_methods_are_there() -> None:
    assert set(FROM_INTERFACES.split()) <= set(METHODS)


@pytest.mark.parametrize("backend", [Backend, FakeBackend])
def test_the_backend_has_a_function_for_each_method(backend: type) -> None:
    for method in METHODS.values():
        function = getattr(backend, method.handler)
        assert inspect.iscoroutinefunction(function)
        hints = typing.get_type_hints(function)
        assert hints["params"] is method.params, method.name
        if method.name != SUBSCRIBE:
            assert hints["return"] is method.result, method.name


def test_the_backend_has_nothing_else() -> None:
    names = {name for name in vars(Backend) if not name.startswith("_")}
    assert names == {method.handler for method in METHODS.values()}


def test_every_method_is_documented_and_frozen() -> None:
    for method in METHODS.values():
        assert method.doc.endswith(".")
        for struct in (method.params, method.result):
            assert struct.__struct_config__.frozen, struct
        assert method.params.__struct_config__.forbid_unknown_fields, method.params


def test_no_method_takes_a_command() -> None:
    """S-L9: nothing that comes over the socket can name a program to run."""
    names = {
        field.name
        for method in METHODS.values()
        for struct in (method.params, m.PairOptions)
        for field in msgspec.structs.fields(struct)
    }
    assert not {name for name in names if "hook" in name or "command" in name or "argv" in name}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"hooks": {"post_batch": ["/bin/sh"]}}, m.PairOptions)


def test_status_has_the_keys_of_the_interface() -> None:
    keys = {field.name for field in msgspec.structs.fields(m.PairStatus)}
    assert keys == {*STATUS_KEYS.split(), "manual_conflicts"}
    for struct, names in (
        (m.DaemonInfo, "version pid started_at uptime_s"),
        (m.Pending, "files bytes"),
        (m.HoldView, "reason detail plan_id fix"),
        (m.Progress, "phase done total bytes_done bytes_total"),
        (m.WatcherInfo, "kind alive watched"),
        (m.Status, "daemon pairs"),
    ):
        assert {field.name for field in msgspec.structs.fields(struct)} == set(names.split())


@given(st.binary(max_size=300).filter(lambda raw: b"\0" not in raw))
def test_a_path_of_a_result_is_a_valid_parameter(raw: bytes) -> None:
    shown = msgspec.to_builtins(m.PathText.of(raw))
    assert shown["path"].isprintable()
    assert m.PathExplainParams(**shown).raw == raw
    assert msgspec.convert(shown, m.PathText).raw == raw


@given(st.binary(max_size=300).filter(lambda raw: b"\0" not in raw))
def test_a_path_parameter_travels_exactly(raw: bytes) -> None:
    text, encoded = path_params(raw)
    params = m.PathExplainParams(path=text, path_b64=encoded)
    sent = msgspec.json.decode(msgspec.json.encode(params), type=m.PathExplainParams)
    assert sent.raw == raw


def test_no_path_is_none() -> None:
    assert m.PairRescanParams().raw is None
    assert path_params(None) == (None, None)
    assert m.PairNotifyParams(pair="a", new="b").raw_old is None
    assert m.PairNotifyParams(pair="a", new="b", old_b64="/w==").raw_old == b"\xff"
    assert m.PairNotifyParams(pair="a", new="b").raw_new == b"b"


@pytest.mark.parametrize(
    "params",
    [
        m.PathExplainParams(path_b64="*"),
        m.PathExplainParams(path_b64="ä"),
        m.PathExplainParams(path="a\0"),
        m.PathExplainParams(path="x" * 8193),
    ],
)
def test_paths_that_are_refused(params: m.PathExplainParams) -> None:
    with pytest.raises(SyncdError, match="bad-request"):
        _ = params.raw


def test_stamps() -> None:
    assert m.stamp(1_700_000_000_123_456_789) == datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC)
    assert m.stamp(10**30).year == 9999
    assert m.stamp(-(10**30)).year == 1


def test_an_entry_in_words() -> None:
    link = m.EntryView.of(Entry(kind=Kind.SYMLINK, mode=0o777, target=b"to\n\xff"))
    assert (link.kind, link.mode, link.target, link.digest) == ("symlink", "0777", "to\\n\\xff", None)
    file = m.EntryView.of(Entry(kind=Kind.FILE, mode=0o644, size=3, digest=b"\x01\xab"))
    assert (file.mode, file.digest) == ("0644", "01ab")
    assert m.EntryView.maybe(None) is None
    assert m.PathText.maybe(None) is None
    assert m.side_name(Side.DESTINATION) == "destination"
