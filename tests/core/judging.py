"""One path in three trees, judged by the rules of a mode."""

import msgspec

from syncd.core.entry import Entry
from syncd.core.mode import Mode
from syncd.core.reconcile import Outcome, reconcile
from syncd.core.rules import Rules
from syncd.core.state import PathState
from tests.core.model import NOW_NS, file

OLD = file("old")
NEW_S = file("new at source", mtime_s=200)
NEW_D = file("new at the destination", mtime_s=100)
MIRROR = Mode.SOURCE_TO_DESTINATION
COLUMNS = (
    Mode.TWO_WAY,
    Mode.SOURCE_TO_DESTINATION,
    Mode.SOURCE_BACKUP,
    Mode.DESTINATION_TO_SOURCE,
    Mode.DESTINATION_BACKUP,
)


def state(base: Entry | None, source: Entry | None, destination: Entry | None, **more: object) -> PathState:
    return msgspec.structs.replace(PathState(b"p", base=base, source=source, destination=destination), **more)


def rules(mode: Mode = Mode.TWO_WAY, **more: object) -> Rules:
    return msgspec.structs.replace(Rules(mode, now_ns=NOW_NS), **more)


def judge(
    base: Entry | None,
    source: Entry | None,
    destination: Entry | None,
    mode: Mode = Mode.TWO_WAY,
    **more: object,
) -> Outcome:
    return reconcile(state(base, source, destination), rules(mode, **more))


# One row per line of the table: the change, base, source, destination, then the five columns.

S_KEEPS, D_KEEPS = "conflict, S keeps the name", "conflict, D keeps the name"


# Content that was not read.


def unread(text: str, mtime_s: float = 0) -> Entry:
    return file(text, mtime_s=mtime_s, is_read=False)
