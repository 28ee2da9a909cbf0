"""The mode table of the semantics page, row by row: `row` adds five trials, one for each column."""

from tests.e2e.modes_words import (
    ADD_G,
    ADDED,
    D_WON,
    DELETE,
    G_TWO,
    MODIFIED,
    MODIFY,
    MOVED,
    NEW,
    NONE,
    ONE,
    PUT_ONE,
    PUT_TWO,
    RENAME,
    ROOM,
    S_WON,
    TWO,
    A,
    B,
    F,
    G,
    apart,
    bits,
    both,
    chmod,
    empty,
    held,
    kept_beside,
    link,
    mkdir,
    mv,
    put,
    rm,
    row,
    touch,
)

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
# A backup deletes nothing: a directory that gives way to a file is kept beside it.
BESIDE_F = {**F, "f (conflict *).txt/": "", "f (conflict *).txt/x": "inside"}
BESIDE_D = {"d": "flat", **{f"d (conflict *){name[1:]}": text for name, text in ROOM.items()}}
TO_DIRECTORY = [DELETE, put("f.txt/x", "inside")]
INSIDE = {"f.txt/": "", "f.txt/x": "inside"}
row(
    "file to directory at S",
    F,
    TO_DIRECTORY,
    [],
    *[both(INSIDE, [], ["old"])] * 3,
    both(F, ["inside"]),
    kept_beside(BESIDE_F, F, ("f.txt", MODIFIED, "open", "destination")),
)
row(
    "file to directory at D",
    F,
    [],
    TO_DIRECTORY,
    both(INSIDE, ["old"]),
    both(F, [], ["inside"]),
    kept_beside(F, BESIDE_F, ("f.txt", MODIFIED, "open", "source")),
    *[both(INSIDE, ["old"])] * 2,
)
TO_FILE = [rm("d"), put("d", "flat")]
row(
    "directory to file at S",
    ROOM,
    TO_FILE,
    [],
    *[both({"d": "flat"}, [], ["old x", "old y"])] * 2,
    kept_beside({"d": "flat"}, BESIDE_D, ("d", MODIFIED, "open", "source")),
    *[both(ROOM, ["flat"])] * 2,
)
row(
    "directory to file at D",
    ROOM,
    [],
    TO_FILE,
    both({"d": "flat"}, ["old x", "old y"]),
    *[both(ROOM, [], ["flat"])] * 2,
    both({"d": "flat"}, ["old x", "old y"]),
    kept_beside(BESIDE_D, {"d": "flat"}, ("d", MODIFIED, "open", "destination")),
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
