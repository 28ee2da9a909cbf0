"""The words in which the rows of the semantics page are written as trials: what was shared, who changed what,
how both sides must end. The rows are in `modes_table.py` and `modes_more.py`.

Data only; `test_modes.py` lays the trees out, runs them and compares. A tree is written in the words of
`kit.contents`: `{"f": "text", "d/": "", "l@": "target"}`. Every trial also has a file `keep` that nobody
touches, unless it is `bare`.
"""

import os
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tests.e2e.kit import Setting, remove, write

OLD_S = 1_600_000_000.25
"""When what is shared was written. The source's edits are 1000 s younger, the destination's 500 s."""
SOURCE_S, DESTINATION_S = OLD_S + 1000, OLD_S + 500

TW, SD, SB = "two-way", "source-to-destination", "source-backup"
DS, DB = "destination-to-source", "destination-backup"
COLUMNS = (TW, SD, SB, DS, DB)

Tree = Mapping[str, str]
Edit = Callable[[Path, float], object]
Record = tuple[str, str, str, str | None]
"""A conflict record: path, kind, state, winner."""


class End(msgspec.Struct, frozen=True):
    """How a trial ends. The trash is what was displaced at that side; `modes` are permission bits of both."""

    source: Tree
    destination: Tree
    source_trash: Sequence[str] = ()
    destination_trash: Sequence[str] = ()
    records: Sequence[Record] = ()
    outcome: str = "synced"
    hold: str = ""
    modes: Mapping[str, int] = {}


class Trial(msgspec.Struct, frozen=True):
    """One cell. `settings_before` are in force until `start` is shared; `start` None: the edits make the
    trees that the first sync meets. `late` edits (source, destination) are made between the old settings
    and the new ones, while nobody serves the pair."""

    name: str
    settings: Mapping[str, Setting]
    start: Tree | None
    at_source: Sequence[Edit]
    at_destination: Sequence[Edit]
    end: End
    settings_before: Mapping[str, Setting] | None = None
    late: tuple[Sequence[Edit], Sequence[Edit]] = ((), ())
    bare: bool = False

    @property
    def mode(self) -> str:
        return str(self.settings["mode"])

    @property
    def before(self) -> Mapping[str, Setting]:
        return self.settings if self.settings_before is None else self.settings_before


# Edits.


def put(path: str, text: str, at_s: float | None = None) -> Edit:
    """Write a file, in place when it is there."""
    return lambda root, when_s: write(root / path, text, mtime_s=when_s if at_s is None else at_s)


def rm(path: str) -> Edit:
    return lambda root, _: remove(root / path)


def mv(path: str, to: str) -> Edit:
    return lambda root, _: (root / path).rename(root / to)


def chmod(path: str, mode: int) -> Edit:
    return lambda root, _: (root / path).chmod(mode)


def mkdir(path: str) -> Edit:
    return lambda root, _: (root / path).mkdir()


def link(path: str, target: str) -> Edit:
    return lambda root, _: (root / path).symlink_to(target)


def touch(path: str) -> Edit:
    return lambda root, when_s: os.utime(root / path, (when_s, when_s))


def empty(root: Path, _: float) -> None:
    """Delete everything but syncd's own directory."""
    for name in os.listdir(root):
        if name != ".syncd":
            shutil.rmtree(root / name) if (root / name).is_dir() else (root / name).unlink()


def copy_of(path: str, at_s: float) -> str:
    """The name of a conflict copy of a version with that mtime."""
    stem, dot, extension = path.partition(".")
    host = socket.gethostname().split(".")[0]
    return f"{stem} (conflict {datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H%M%S} {host}){dot}{extension}"


# Ends.


def both(tree: Tree, s: Sequence[str] = (), d: Sequence[str] = (), *records: Record) -> End:
    """Both sides hold `tree`; `s` and `d` are what lies in their trash."""
    return End(tree, tree, s, d, records)


def apart(source: Tree, destination: Tree, s: Sequence[str] = (), d: Sequence[str] = ()) -> End:
    """The sides differ, and that is right."""
    return End(source, destination, s, d)


def kept_beside(source: Tree, destination: Tree, record: Record) -> End:
    """A backup kept what had to give way under a conflict name."""
    return End(source, destination, records=[record])


def waits(source: Tree, destination: Tree, *records: Record, d: Sequence[str] = ()) -> End:
    """A person must decide."""
    return End(source, destination, (), d, records, outcome="degraded")


def held(source: Tree, destination: Tree, reason: str) -> End:
    return End(source, destination, outcome="held", hold=reason)


def bits(end: End, **modes: int) -> End:
    return msgspec.structs.replace(end, modes=modes)


TRIALS: list[Trial] = []


def row(
    name: str,
    start: Tree | None,
    at_source: Sequence[Edit],
    at_destination: Sequence[Edit],
    *ends: End,
    columns: Sequence[str] = COLUMNS,
    bare: bool = False,
    **settings: Setting,
) -> None:
    """One line of the table: an end for each column."""
    for mode, end in zip(columns, ends, strict=True):
        settings_of = {"mode": mode, **settings}
        TRIALS.append(Trial(f"{name}:{mode}", settings_of, start, at_source, at_destination, end, bare=bare))


def policies(
    name: str, start: Tree | None, at_source: Sequence[Edit], at_destination: Sequence[Edit], **ends: End
) -> None:
    """One conflict under each policy named (two-way)."""
    for policy, end in ends.items():
        word = policy.replace("_", "-")
        settings: dict[str, Setting] = {"mode": TW, "conflict": word}
        TRIALS.append(Trial(f"{name}:{word}", settings, start, at_source, at_destination, end))


def switch(
    name: str,
    before: Mapping[str, Setting],
    after: Mapping[str, Setting],
    start: Tree,
    at_source: Sequence[Edit],
    at_destination: Sequence[Edit],
    end: End,
    late_source: Sequence[Edit] = (),
    late_destination: Sequence[Edit] = (),
) -> None:
    """Edits made under one setting, synchronised, then the setting changes (`Trial.settings_before`)."""
    late = (late_source, late_destination)
    TRIALS.append(Trial(f"switch:{name}", after, start, at_source, at_destination, end, before, late))


F = {"f.txt": "old"}
NEW = {"f.txt": "new text"}
G = {"g.txt": "old"}
ONE, TWO = {"f.txt": "one"}, {"f.txt": "number two"}
NONE: Tree = {}
PUT_ONE, PUT_TWO = put("f.txt", "one"), put("f.txt", "number two")
MODIFY, DELETE, RENAME = put("f.txt", "new text"), rm("f.txt"), mv("f.txt", "g.txt")
ADDED, MODIFIED, MOVED = "conflict-added", "conflict-modified", "conflict-moved"
S_WON, D_WON = ("settled", "source"), ("settled", "destination")
A, B = {"a.txt": "old"}, {"b.txt": "old"}
G_TWO = {"g.txt": "number two"}
ADD_G = put("g.txt", "number two")
ROOM = {"d/": "", "d/x": "old x", "d/y": "old y"}
