"""The quick way of `syncctl status` shows what the command group shows, and leaves the rest to it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from syncd.cli.syncctl import quick
from syncd.control import model as m
from syncd.core.error import SyncdError
from syncd.core.reason import Reason
from tests.cli.conftest import Syncctl
from tests.control.fake import HOLD, pair_status
from tests.control.test_client import scripted

ODD = [
    pair_status("documents", conflicts=3, issues=1, manual_conflicts=1, lag_s=61.5),
    pair_status("photos", state="held", hold=HOLD, last_synced_at=None),
    pair_status("mail", state="waiting", next_attempt_at=datetime.now(UTC) + timedelta(days=400, minutes=9)),
    pair_status("vm", watcher=m.WatcherInfo(kind="polling", alive=False, watched=0), state="paused"),
    pair_status(
        "web",
        state="syncing",
        source="/srv/naïve \x1b[31m☃ 𝄞",
        pending=m.Pending(files=7, bytes=1 << 40),
        progress=m.Progress(phase="apply", done=3, total=10, bytes_done=5, bytes_total=50),
    ),
]


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("status", "--json"),
        ("--json", "status"),
        ("status", "--check"),
        ("status", "--check", "documents", "--json"),
        ("status", "vm", "mail"),
    ],
)
@pytest.mark.parametrize("pairs", [[], ODD], ids=["none", "odd"])
def test_it_shows_what_the_group_shows(
    syncctl: Syncctl, words: tuple[str, ...], pairs: list[m.PairStatus], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCD_SOCKET", str(syncctl.socket))
    syncctl.backend.pairs = pairs
    slow = syncctl.by_the_group(*words)
    quickly = syncctl(*words)
    assert (quickly.code, quickly.out, quickly.err) == (slow.code, slow.out, slow.err)
    answered_quickly = quick.status(words) is not None
    assert answered_quickly == (slow.code in (0, 3, 5)), "the long way was needed for an ordinary question"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("list",),
        ("--check", "status"),
        ("status", "--help"),
        ("status", "--"),
        ("status", "--socket"),
        ("status", "--socket="),
        ("documents", "status"),
    ],
)
def test_it_leaves_other_questions_alone(
    syncctl: Syncctl, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCD_SOCKET", str(syncctl.socket))
    assert quick.status(words) is None
    assert syncctl.backend.calls == []


def test_the_socket_may_be_named(syncctl: Syncctl, tmp_path: Path) -> None:
    words = ("--socket", str(syncctl.socket), "status")
    assert "documents" in syncctl(*words, socket=tmp_path / "none").out
    assert syncctl("status", "--socket", str(tmp_path / "none")).code == 4


def test_an_error_of_the_daemon_is_reported_by_the_group(syncctl: Syncctl) -> None:
    syncctl.backend.fails["status"] = SyncdError(Reason.BUG, "it broke")
    result = syncctl("status")
    assert (result.code, result.out) == (1, "")
    assert "it broke" in result.err


@pytest.mark.parametrize(
    "reply",
    [
        b'{"jsonrpc":"2.0","id":1,"result":null}',
        b'{"jsonrpc":"2.0","id":1,"result":{"pairs":[{}],"daemon":{}}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"pairs":[{"last_synced_at":7}],"daemon":{}}}',
        b"[" * 100_000,
        b"HTTP/1.1 400",
    ],
)
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_an_answer_that_cannot_be_shown_leaves_no_half(
    tmp_path: Path, reply: bytes, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "odd.sock"
    with scripted(path, reply + b"\n"):
        assert quick.status(("status", "--socket", str(path), *options)) is None
    assert capsys.readouterr().out == ""
