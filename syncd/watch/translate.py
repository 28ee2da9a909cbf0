"""What watchfiles reports, said in the words of the port: paths relative to the root, collapsed, looked at.

A batch is an unordered set of (change, path), so what happened last is asked of the file system. Names are
looked at with lstat only; nothing is opened.
"""

import os
import stat
from collections.abc import Iterable, Sequence

import msgspec

from syncd.core.reason import Reason
from syncd.watch.port import Dirty, Event, Rescan

RawBatch = Iterable[tuple[int, str]]
RAW_ADDED = 1
STORM_NAMES = 4096
"""More names than this in one batch mean a scan of the root. The kernel's queue holds 16 384 events, about
four a name, and watchfiles does not tell when it has overflowed: what was lost may lie anywhere."""
CONTROL = b".syncd"
COOKIES = b".syncd/cookies"


LOST: Sequence[Event] = (Rescan(b"", Reason.WATCH_LOST),)


class Batch(msgspec.Struct, frozen=True):
    """One translated batch. `cookies` are names of markers that came through; `is_control_new`: the
    control directory appeared."""

    events: tuple[Event, ...]
    cookies: tuple[str, ...]
    is_control_new: bool


def translate_blocking(root: bytes, raw: RawBatch, control: bytes = CONTROL) -> Batch:
    """Translate one batch of a watcher of `root` (a real path). Paths outside of it are dropped."""
    changes: dict[bytes, bool] = {}
    cookies: list[str] = []
    is_control_new = False
    skip = 0 if root == b"/" else len(root)
    for change, text in raw:
        absolute = os.fsencode(text)
        if not (absolute.startswith(root) and absolute[skip : skip + 1] in (b"/", b"")):
            continue
        path = absolute[skip + 1 :]
        if path == control or path.startswith(control + b"/"):
            is_control_new |= path == control and change == RAW_ADDED
            if path.startswith(control + b"/cookies/"):
                cookies.append(os.fsdecode(path.rpartition(b"/")[2]))
            continue
        changes[path] = changes.get(path, False) or change == RAW_ADDED
    if len(changes) > STORM_NAMES:
        events: Sequence[Event] = LOST
    else:
        events = collapse(_look(root, path, is_new) for path, is_new in changes.items())
    return Batch(events=tuple(events), cookies=tuple(cookies), is_control_new=is_control_new)


def _look(root: bytes, path: bytes, is_new: bool) -> Event:
    try:
        found = os.lstat(os.path.join(root, path) if path else root)
    except OSError:
        return Dirty(path, is_gone=True)
    if is_new and stat.S_ISDIR(found.st_mode):
        return Rescan(path, Reason.ADDED)
    return Dirty(path, is_gone=False)


def collapse(events: Iterable[Event]) -> list[Event]:
    """Sort by path, removals last, and leave out what a rescan in the same batch covers."""
    ordered = sorted(events, key=lambda event: (event.path, isinstance(event, Dirty)))
    present: list[Event] = []
    gone: list[Event] = []
    above: bytes | None = None
    for event in ordered:
        if above is not None and (above == b"" or event.path == above or event.path.startswith(above + b"/")):
            continue
        if isinstance(event, Rescan):
            above = event.path
            present.append(event)
        else:
            (gone if event.is_gone else present).append(event)
    return present + gone
