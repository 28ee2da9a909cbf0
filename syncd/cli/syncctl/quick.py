"""The ordinary `syncctl status`, answered with the standard library alone.

People and monitoring ask it most, and most urgently while the machine is busy: click, msgspec and the
control model would be two thirds of its time. Only a good answer to a plain question is shown from here;
whatever is unusual goes the long way, which alone knows usage and errors.
"""

import io
import json
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any, NamedTuple

from syncd.cli.output import Output, safe_json
from syncd.cli.syncctl.exits import Exit
from syncd.cli.syncctl.status_view import render_status, verdict
from syncd.control.client import connect
from syncd.daemon.paths import socket_candidates

PATIENCE_S = 5.0
"""Then the long way asks again, with all the time there is."""


class _Question(NamedTuple):
    pairs: list[str]
    socket: str | None
    is_json: bool
    check: bool


def status(words: Sequence[str]) -> Exit | None:
    """Answer `status` with its options; None, with nothing printed, when the long way must."""
    question = _parse(words)
    if question is None or "_SYNCCTL_COMPLETE" in os.environ:
        return None
    try:
        sockets = [question.socket] if question.socket else socket_candidates(os.environ)
        with connect(sockets) as client:
            asked = {"pairs": question.pairs} if question.pairs else {}
            answer = client.ask("status", asked, timeout_s=PATIENCE_S)
        shown = _attributes(answer)
        code = verdict(shown.pairs) if question.check else Exit.OK
        page = _page(shown)  # as JSON too only what could be shown
        text = _json(answer) if question.is_json else page
        sys.stdout.write(text)
        sys.stdout.flush()
    except Exception:
        return None
    return code


def _parse(words: Sequence[str]) -> _Question | None:
    names: list[str] = []
    socket = None
    flags = set()
    rest = iter(words)
    for word in rest:
        if word == "--socket":
            socket = next(rest, None) or ""
        elif word == "--json" or (word == "--check" and names):
            flags.add(word)
        elif word.startswith("-"):
            return None
        else:
            names.append(word)
    if names[:1] != ["status"] or socket == "":
        return None
    return _Question(names[1:], socket, "--json" in flags, "--check" in flags)


def _json(answer: Any) -> str:
    body = {"schema": "syncctl.status/1", "data": answer}
    return safe_json(json.dumps(body, ensure_ascii=False, separators=(",", ":"))) + "\n"


def _page(shown: Any) -> str:
    """The whole page before a word of it is printed: an answer that cannot be shown leaves no half."""
    out = Output()
    out.stream = io.StringIO()
    render_status(out, shown)
    return out.stream.getvalue()


def _attributes(value: Any) -> Any:
    """Objects as attributes, and stamps as times: what the view reads of the control model."""
    if isinstance(value, list):
        return [_attributes(item) for item in value]
    if not isinstance(value, dict):
        return value
    shown = {name: _attributes(item) for name, item in value.items()}
    for name, item in shown.items():
        if name.endswith("_at") and item is not None:
            shown[name] = datetime.fromisoformat(item)
    return SimpleNamespace(**shown)
