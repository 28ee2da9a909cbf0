"""The rows of the semantics page as trials: what was shared, who changed what, how both sides must end.

Data only; `test_modes.py` lays the trees out, runs them and compares. A tree is written in the words of
`kit.contents`: `{"f": "text", "d/": "", "l@": "target"}`. Every trial also has a file `keep` that nobody
touches, unless it is `bare`.
"""

import os
import shutil
import socket
import time
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
Edit = Callable[[Path, float], None]
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

# Adding, modifying, deleting.

row(
    "add at S",
    NONE,
    [MODIFY],
    [],
    both(NEW),
    both(NEW),
    both(NEW),
    both(NONE, ["new text"]),
    apart(NEW, NONE),
)
row(
    "add at D",
    NONE,
    [],
    [MODIFY],
    both(NEW),
    both(NONE, [], ["new text"]),
    apart(NONE, NEW),
    both(NEW),
    both(NEW),
)
row(
    "added at both, differently",
    NONE,
    [PUT_ONE],
    [PUT_TWO],
    both(ONE, [], ["number two"], ("f.txt", ADDED, *S_WON)),
    both(ONE, [], ["number two"]),
    both(ONE, [], ["number two"]),
    both(TWO, ["one"]),
    both(TWO, ["one"]),
)
row(
    "modify at S",
    F,
    [MODIFY],
    [],
    *[both(NEW, [], ["old"])] * 3,
    *[both(F, ["new text"])] * 2,
)
row(
    "modify at D",
    F,
    [],
    [MODIFY],
    both(NEW, ["old"]),
    *[both(F, [], ["new text"])] * 2,
    *[both(NEW, ["old"])] * 2,
)
row(
    "modify at S, same size",
    F,
    [put("f.txt", "OLD")],
    [],
    *[both({"f.txt": "OLD"}, [], ["old"])] * 3,
    *[both(F, ["OLD"])] * 2,
)
row(
    "delete at S",
    F,
    [DELETE],
    [],
    *[both(NONE, [], ["old"])] * 2,
    apart(NONE, F),
    *[both(F)] * 2,
)
row(
    "delete at D",
    F,
    [],
    [DELETE],
    both(NONE, ["old"]),
    *[both(F)] * 2,
    both(NONE, ["old"]),
    apart(F, NONE),
)
row("deleted at both", F, [DELETE], [DELETE], *[both(NONE)] * 5)
row(
    "modified at both, differently",
    F,
    [PUT_ONE],
    [PUT_TWO],
    both(ONE, [], ["number two"], ("f.txt", MODIFIED, *S_WON)),
    *[both(ONE, [], ["number two"])] * 2,
    *[both(TWO, ["one"])] * 2,
)
row("modified at both, same bytes", F, [MODIFY], [MODIFY], *[both(NEW)] * 5)
row("added at both, same bytes", NONE, [MODIFY], [MODIFY], *[both(NEW)] * 5)
row("touched at both", F, [touch("f.txt")], [touch("f.txt")], *[both(F)] * 5)
row(
    "modified at S, deleted at D",
    F,
    [MODIFY],
    [DELETE],
    both(NEW, [], [], ("f.txt", "edit-beats-delete", *S_WON)),
    *[both(NEW)] * 2,
    both(NONE, ["new text"]),
    apart(NEW, NONE),
)
row(
    "deleted at S, modified at D",
    F,
    [DELETE],
    [MODIFY],
    both(NEW, [], [], ("f.txt", "edit-beats-delete", *D_WON)),
    both(NONE, [], ["new text"]),
    apart(NONE, NEW),
    *[both(NEW)] * 2,
)

# Renames.

row(
    "rename at S",
    F,
    [RENAME],
    [],
    *[both(G)] * 2,
    apart(G, {**F, **G}),
    both(F),
    apart({**F, **G}, F),
)
row(
    "rename at D",
    F,
    [],
    [RENAME],
    both(G),
    both(F),
    apart(F, {**F, **G}),
    both(G),
    apart({**F, **G}, G),
)
G_NEW = {"g.txt": "new text"}
RENAME_MODIFY = [RENAME, put("g.txt", "new text")]
row(
    "renamed and modified at S",
    F,
    RENAME_MODIFY,
    [],
    *[both(G_NEW, [], ["old"])] * 2,
    apart(G_NEW, {**F, **G_NEW}),
    both(F, ["new text"]),
    apart({**F, **G_NEW}, F),
)
row(
    "renamed and modified at D",
    F,
    [],
    RENAME_MODIFY,
    both(G_NEW, ["old"]),
    both(F, [], ["new text"]),
    apart(F, {**F, **G_NEW}),
    both(G_NEW, ["old"]),
    apart({**F, **G_NEW}, G_NEW),
)
row(
    "renamed at S, modified at D",
    F,
    [RENAME],
    [MODIFY],
    both(G_NEW, ["old"]),
    both(G, [], ["new text"]),
    apart(G, {**NEW, **G}),
    both(NEW, ["old"]),
    apart({**NEW, **G}, NEW),
)
row(
    "modified at S, renamed at D",
    F,
    [MODIFY],
    [RENAME],
    both(G_NEW, [], ["old"]),
    both(NEW, [], ["old"]),
    apart(NEW, {**NEW, **G}),
    both(G, ["new text"]),
    apart({**NEW, **G}, G),
)
row(
    "renamed at S, deleted at D",
    F,
    [RENAME],
    [DELETE],
    both(G, [], [], ("g.txt", "edit-beats-delete", *S_WON)),
    *[both(G)] * 2,
    both(NONE, ["old"]),
    apart(G, NONE),
)
row(
    "deleted at S, renamed at D",
    F,
    [DELETE],
    [RENAME],
    both(G, [], [], ("g.txt", "edit-beats-delete", *D_WON)),
    both(NONE, [], ["old"]),
    apart(NONE, G),
    *[both(G)] * 2,
)
A, B = {"a.txt": "old"}, {"b.txt": "old"}
row(
    "renamed at both, differently",
    F,
    [mv("f.txt", "a.txt")],
    [mv("f.txt", "b.txt")],
    both(A, [], [], ("b.txt", MOVED, *S_WON)),
    both(A),
    apart(A, {**A, **B}),
    both(B),
    apart({**A, **B}, B),
)
row("renamed at both, alike", F, [RENAME], [RENAME], *[both(G)] * 5)
G_TWO = {"g.txt": "number two"}
ADD_G = put("g.txt", "number two")
row(
    "renamed at S onto a name that D added",
    F,
    [RENAME],
    [ADD_G],
    both(G_TWO, ["old"], ["old"], ("g.txt", ADDED, *D_WON)),
    both(G, [], ["number two", "old"]),
    apart(G, {**F, **G}, [], ["number two"]),
    *[both({**F, **G_TWO}, ["old"])] * 2,
)
row(
    "renamed at D onto a name that S added",
    F,
    [ADD_G],
    [RENAME],
    both(G_TWO, ["old"], ["old"], ("g.txt", ADDED, *S_WON)),
    *[both({**F, **G_TWO}, [], ["old"])] * 2,
    both(G, ["number two", "old"]),
    apart({**F, **G}, G, ["number two"]),
)

# Directories, links, type changes, mode bits.

ROOM = {"d/": "", "d/x": "old x", "d/y": "old y"}
HALL = {"e/": "", "e/x": "old x", "e/y": "old y"}
row(
    "add an empty directory at S",
    NONE,
    [mkdir("d")],
    [],
    *[both({"d/": ""})] * 3,
    both(NONE),
    apart({"d/": ""}, NONE),
)
row(
    "add a directory at D",
    NONE,
    [],
    [put("d/x", "new x")],
    both({"d/": "", "d/x": "new x"}),
    both(NONE, [], ["new x"]),
    apart(NONE, {"d/": "", "d/x": "new x"}),
    *[both({"d/": "", "d/x": "new x"})] * 2,
)
row(
    "delete a directory at S",
    ROOM,
    [rm("d")],
    [],
    *[both(NONE, [], ["old x", "old y"])] * 2,
    apart(NONE, ROOM),
    *[both(ROOM)] * 2,
)
row(
    "delete a directory at D",
    ROOM,
    [],
    [rm("d")],
    both(NONE, ["old x", "old y"]),
    *[both(ROOM)] * 2,
    both(NONE, ["old x", "old y"]),
    apart(ROOM, NONE),
)
row(
    "rename a directory at S",
    ROOM,
    [mv("d", "e")],
    [],
    *[both(HALL)] * 2,
    apart(HALL, {**ROOM, **HALL}),
    both(ROOM),
    apart({**ROOM, **HALL}, ROOM),
)
row(
    "rename a directory at D",
    ROOM,
    [],
    [mv("d", "e")],
    both(HALL),
    both(ROOM),
    apart(ROOM, {**ROOM, **HALL}),
    both(HALL),
    apart({**ROOM, **HALL}, HALL),
)
L = {"l@": "nowhere/a"}
row(
    "add a link at S",
    NONE,
    [link("l", "nowhere/a")],
    [],
    *[both(L)] * 3,
    both(NONE, ["nowhere/a"]),
    apart(L, NONE),
)
row(
    "retarget a link at D",
    L,
    [],
    [rm("l"), link("l", "b")],
    both({"l@": "b"}, ["nowhere/a"]),
    *[both(L, [], ["b"])] * 2,
    *[both({"l@": "b"}, ["nowhere/a"])] * 2,
)
TO_DIRECTORY = [DELETE, put("f.txt/x", "inside")]
INSIDE = {"f.txt/": "", "f.txt/x": "inside"}
row(
    "file to directory at S",
    F,
    TO_DIRECTORY,
    [],
    *[both(INSIDE, [], ["old"])] * 3,
    *[both(F, ["inside"])] * 2,
)
row(
    "file to directory at D",
    F,
    [],
    TO_DIRECTORY,
    both(INSIDE, ["old"]),
    *[both(F, [], ["inside"])] * 2,
    *[both(INSIDE, ["old"])] * 2,
)
TO_FILE = [rm("d"), put("d", "flat")]
row(
    "directory to file at S",
    ROOM,
    TO_FILE,
    [],
    *[both({"d": "flat"}, [], ["old x", "old y"])] * 3,
    *[both(ROOM, ["flat"])] * 2,
)
row(
    "directory to file at D",
    ROOM,
    [],
    TO_FILE,
    both({"d": "flat"}, ["old x", "old y"]),
    *[both(ROOM, [], ["flat"])] * 2,
    *[both({"d": "flat"}, ["old x", "old y"])] * 2,
)
row(
    "file to link at S",
    F,
    [DELETE, link("f.txt", "z")],
    [],
    *[both({"f.txt@": "z"}, [], ["old"])] * 3,
    *[both(F, ["z"])] * 2,
)
X, PLAIN = 0o755, 0o644
row(
    "mode bits at S",
    F,
    [chmod("f.txt", X)],
    [],
    *[bits(both(F), **{"f.txt": X})] * 3,
    *[bits(both(F), **{"f.txt": PLAIN})] * 2,
)
row(
    "mode bits at D",
    F,
    [],
    [chmod("f.txt", X)],
    bits(both(F), **{"f.txt": X}),
    *[bits(both(F), **{"f.txt": PLAIN})] * 2,
    *[bits(both(F), **{"f.txt": X})] * 2,
)
row(
    "mode bits at both",
    F,
    [chmod("f.txt", 0o600)],
    [chmod("f.txt", 0o744)],
    bits(both(F), **{"f.txt": 0o744}),
    *[bits(both(F), **{"f.txt": 0o600})] * 2,
    *[bits(both(F), **{"f.txt": 0o744})] * 2,
)
row(
    "mode bits of a directory at S",
    ROOM,
    [chmod("d", 0o700)],
    [],
    *[bits(both(ROOM), d=0o700)] * 3,
    *[bits(both(ROOM), d=X)] * 2,
)

# A side that had at least two visible files has none.

FULL = {"a": "1", "b": "22", "d/": "", "d/c": "333"}
GONE = "side-emptied"
row(
    "S emptied",
    FULL,
    [empty],
    [],
    *[held(NONE, FULL, GONE)] * 2,
    apart(NONE, FULL),
    *[both(FULL)] * 2,
    bare=True,
)
row(
    "D emptied",
    FULL,
    [],
    [empty],
    held(FULL, NONE, GONE),
    *[both(FULL)] * 2,
    held(FULL, NONE, GONE),
    apart(FULL, NONE),
    bare=True,
)

# Conflict policies.

TWO_COPY = {**ONE, copy_of("f.txt", DESTINATION_S): "number two"}
for start, kind in ((NONE, ADDED), (F, MODIFIED)):
    won = "added" if kind == ADDED else "modified"
    policies(
        f"{won} at both",
        start,
        [PUT_ONE],
        [PUT_TWO],
        source_wins=both(ONE, [], ["number two"], ("f.txt", kind, *S_WON)),
        destination_wins=both(TWO, ["one"], [], ("f.txt", kind, *D_WON)),
        keep_both=both(TWO_COPY, [], [], ("f.txt", kind, "open", "source")),
        manual=waits(ONE, TWO, ("f.txt", kind, "open", None)),
    )
    policies(
        f"{won} at both, D newer",
        start,
        [put("f.txt", "one", SOURCE_S)],
        [put("f.txt", "number two", SOURCE_S + 3)],
        newest_wins=both(TWO, ["one"], [], ("f.txt", kind, *D_WON)),
        source_wins=both(ONE, [], ["number two"], ("f.txt", kind, *S_WON)),
    )
    policies(
        f"{won} at both within 2 s",
        start,
        [put("f.txt", "one", SOURCE_S)],
        [put("f.txt", "number two", SOURCE_S + 1.5)],
        newest_wins=both(
            {**ONE, copy_of("f.txt", SOURCE_S + 1.5): "number two"}, [], [], ("f.txt", kind, "open", "source")
        ),
    )
FUTURE_S = float(int(time.time()) + 86400)
policies(
    "modified at both, a stamp of the future",
    F,
    [PUT_ONE],
    [put("f.txt", "number two", FUTURE_S)],
    newest_wins=both(
        {**ONE, copy_of("f.txt", FUTURE_S): "number two"}, [], [], ("f.txt", MODIFIED, "open", "source")
    ),
)
policies(
    "renamed at both",
    F,
    [mv("f.txt", "a.txt")],
    [mv("f.txt", "b.txt")],
    source_wins=both(A, [], [], ("b.txt", MOVED, *S_WON)),
    destination_wins=both(B, [], [], ("a.txt", MOVED, *D_WON)),
    keep_both=both(A, [], [], ("b.txt", MOVED, *S_WON)),
    manual=waits(A, B, ("b.txt", MOVED, "open", None)),
)
policies(
    "renamed at S onto an added name",
    F,
    [RENAME],
    [ADD_G],
    source_wins=both(G, [], ["number two", "old"], ("g.txt", ADDED, *S_WON)),
    destination_wins=both(G_TWO, ["old"], ["old"], ("g.txt", ADDED, *D_WON)),
    keep_both=both(
        {**G, copy_of("g.txt", DESTINATION_S): "number two"}, [], ["old"], ("g.txt", ADDED, "open", "source")
    ),
    manual=waits(G, G_TWO, ("g.txt", ADDED, "open", None), d=["old"]),
)

# First sync.

ONLY_S, ONLY_D, EQUAL = put("s", "at S"), put("d", "at D"), put("same", "equal", OLD_S)
MIXED_S = [ONLY_S, EQUAL, PUT_ONE]
MIXED_D = [ONLY_D, EQUAL, PUT_TWO]
SAME = {"same": "equal"}
ALL = {"s": "at S", "d": "at D", **SAME}
DIFFER_S, DIFFER_D = ("f.txt", ADDED, *S_WON), ("f.txt", ADDED, *D_WON)
for initial, end in {
    "merge": both({**ALL, **ONE}, [], ["number two"], DIFFER_S),
    "source-wins": both({"s": "at S", **SAME, **ONE}, [], ["at D", "number two"], DIFFER_S),
    "destination-wins": both({"d": "at D", **SAME, **TWO}, ["at S", "one"], [], DIFFER_D),
}.items():
    row(f"first sync, {initial}", None, MIXED_S, MIXED_D, end, columns=(TW,), initial=initial)
for policy, end in {
    "destination-wins": both({**ALL, **TWO}, ["one"], [], DIFFER_D),
    "keep-both": both({**ALL, **TWO_COPY}, [], [], ("f.txt", ADDED, "open", "source")),
    "manual": waits({**ALL, **ONE}, {**ALL, **TWO}, ("f.txt", ADDED, "open", None)),
}.items():
    row(f"first sync, merge, {policy}", None, MIXED_S, MIXED_D, end, columns=(TW,), conflict=policy)
row(
    "first sync of one way",
    None,
    MIXED_S,
    MIXED_D,
    both({"s": "at S", **SAME, **ONE}, [], ["at D", "number two"]),
    apart({"s": "at S", **SAME, **ONE}, {**ALL, **ONE}, [], ["number two"]),
    both({"d": "at D", **SAME, **TWO}, ["at S", "one"]),
    apart({**ALL, **TWO}, {"d": "at D", **SAME, **TWO}, ["one"]),
    columns=(SD, SB, DS, DB),
)
for initial in ("merge", "source-wins", "destination-wins"):
    tree = both({"s": "at S"}) if initial != "destination-wins" else both(NONE, ["at S"])
    row(f"first sync, S only, {initial}", None, [ONLY_S], [], tree, columns=(TW,), initial=initial)
    tree = both({"d": "at D"}) if initial != "source-wins" else both(NONE, [], ["at D"])
    row(f"first sync, D only, {initial}", None, [], [ONLY_D], tree, columns=(TW,), initial=initial)
    row(f"first sync, equal, {initial}", None, [MODIFY], [MODIFY], both(NEW), columns=(TW,), initial=initial)

# A source backup that pulls changes of the destination.

PULL: dict[str, Setting] = {"pull_destination_changes": True}
for name, start, at_source, at_destination, end in (
    ("add at D", NONE, [], [MODIFY], both(NEW)),
    ("modify at D", F, [], [MODIFY], both(NEW, ["old"])),
    ("delete at D", F, [], [DELETE], both(F)),
    ("delete at S", F, [DELETE], [], apart(NONE, F)),
    ("modify at S", F, [MODIFY], [], both(NEW, [], ["old"])),
    ("rename at D", F, [], [RENAME], both({**F, **G})),
    ("modified at both", F, [PUT_ONE], [PUT_TWO], both(ONE, [], ["number two"])),
    ("deleted at S, modified at D", F, [DELETE], [MODIFY], both(NEW)),
    ("modified at S, deleted at D", F, [MODIFY], [DELETE], both(NEW)),
):
    row(f"pull: {name}", start, at_source, at_destination, end, columns=(SB,), **PULL)

# Filters.

TMP, TMP_D = {"x.tmp": "hidden"}, {"y.tmp": "hidden too"}
row(
    "ignored names at both sides",
    NONE,
    [put("x.tmp", "hidden")],
    [put("y.tmp", "hidden too")],
    *[apart(TMP, TMP_D)] * 5,
    ignore=["*.tmp"],
)
row(
    "ignored names differ",
    NONE,
    [put("x.tmp", "hidden")],
    [put("x.tmp", "other")],
    *[apart(TMP, {"x.tmp": "other"})] * 5,
    ignore=["*.tmp"],
)
row(
    "a directory with ignored content is deleted at S",
    ROOM,
    [rm("d")],
    [put("d/x.tmp", "hidden")],
    *[apart(NONE, {"d/": "", "d/x.tmp": "hidden"}, [], ["old x", "old y"])] * 2,
    columns=(TW, SD),
    ignore=["*.tmp"],
)
row(
    "renamed to an ignored name at S",
    F,
    [mv("f.txt", "f.tmp")],
    [],
    apart({**F, "f.tmp": "old"}, F),
    columns=(TW,),
    ignore=["*.tmp"],
)
RULES = {".syncignore": "*.tmp\n"}
row(
    "a new .syncignore hides what was shared",
    {"x.tmp": "hidden"},
    [put(".syncignore", "*.tmp\n"), put("x.tmp", "edited")],
    [],
    *[apart({**RULES, "x.tmp": "edited"}, {**RULES, "x.tmp": "hidden"})] * 3,
    columns=(TW, SD, SB),
)
row(
    "deleted with a new .syncignore",
    {"x.tmp": "hidden"},
    [put(".syncignore", "*.tmp\n"), rm("x.tmp")],
    [],
    *[apart(RULES, {**RULES, "x.tmp": "hidden"})] * 3,
    columns=(TW, SD, SB),
)

# Changing a pair. The edits are synchronised under the old settings first.

MODE: dict[str, dict[str, Setting]] = {mode: {"mode": mode} for mode in COLUMNS}
switch("source-backup to two-way", MODE[SB], MODE[TW], F, [DELETE], [], both(F))
switch("destination-backup to two-way", MODE[DB], MODE[TW], F, [], [DELETE], both(F))
switch("backup with a rename to two-way", MODE[SB], MODE[TW], F, [RENAME], [], both({**F, **G}))
switch("backup to mirror", MODE[SB], MODE[SD], F, [DELETE], [], both(NONE, [], ["old"]))
switch("backup to the other mirror", MODE[SB], MODE[DS], F, [DELETE], [], both(F))
switch("mirror to two-way", MODE[SD], MODE[TW], F, [MODIFY], [], both(NEW, [], ["old"]))
switch(
    "mirror to two-way, D differs",
    MODE[SD],
    MODE[TW],
    F,
    [],
    [],
    both({**NEW, "h": "added"}, ["old"], [], ("f.txt", ADDED, *D_WON)),
    late_destination=[MODIFY, put("h", "added")],
)
switch("mirror to two-way, S lacks", MODE[SD], MODE[TW], F, [], [], both(F), late_source=[DELETE])
switch(
    "two-way to mirror, S lacks", MODE[TW], MODE[SD], F, [], [], both(NONE, [], ["old"]), late_source=[DELETE]
)
switch("two-way to backup, S lacks", MODE[TW], MODE[SB], F, [], [], apart(NONE, F), late_source=[DELETE])
switch(
    "other rules, S lacks",
    MODE[TW],
    {"mode": TW, "ignore": ["*.o"]},
    F,
    [],
    [],
    both(F),
    late_source=[DELETE],
)
switch(
    "to rules that hide",
    MODE[TW],
    {"mode": TW, "ignore": ["*.txt"]},
    F,
    [MODIFY],
    [],
    both(NEW, [], ["old"]),
)
switch(
    "rules that hid go",
    {"mode": TW, "ignore": ["*.tmp"]},
    MODE[TW],
    NONE,
    [put("x.tmp", "hidden")],
    [put("y.tmp", "hidden too")],
    both({**TMP, **TMP_D}),
)
