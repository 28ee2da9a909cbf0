"""Beside the mode table: conflict policies, first syncs, pulling backups, filters, changed settings."""

import time

from tests.e2e.kit import Setting
from tests.e2e.modes_words import (
    ADD_G,
    ADDED,
    COLUMNS,
    D_WON,
    DB,
    DELETE,
    DESTINATION_S,
    DS,
    G_TWO,
    MODIFIED,
    MODIFY,
    MOVED,
    NEW,
    NONE,
    OLD_S,
    ONE,
    PUT_ONE,
    PUT_TWO,
    RENAME,
    ROOM,
    S_WON,
    SB,
    SD,
    SOURCE_S,
    TW,
    TWO,
    A,
    B,
    F,
    G,
    apart,
    both,
    copy_of,
    mv,
    policies,
    put,
    rm,
    row,
    switch,
    waits,
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

PULL: dict[str, bool] = {"pull_destination_changes": True}
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
