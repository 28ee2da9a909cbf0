"""Short hands for tests of the index."""

import random
import sqlite3

from syncd.core.entry import Entry, Kind, Side
from syncd.core.path import is_within
from syncd.core.state import PathState
from syncd.index import base, nodes, triples
from syncd.index.dirty import DirtyPath

SOURCE, DESTINATION = Side.SOURCE, Side.DESTINATION
DIRECTORY = Entry(Kind.DIRECTORY, 0o755)


def file(text: str = "x", mtime_ns: int = 1, mode: int = 0o644) -> Entry:
    return Entry(Kind.FILE, mode, len(text), mtime_ns, text.encode().ljust(32, b"."))


def listed(db: sqlite3.Connection) -> None:
    """Every directory was listed."""
    db.execute("UPDATE nodes SET flags = flags | 1 WHERE kind = 2")


def put(db: sqlite3.Connection, side: Side, *paths: str) -> None:
    """Paths that end in `/` are directories; a file's content is its path, or what follows a `=`."""
    for path in paths:
        name, _, text = path.partition("=")
        if name.endswith("/"):
            nodes.put(db, side, name.rstrip("/").encode(), DIRECTORY)
        else:
            nodes.put(db, side, name.encode(), file(text or name))
    listed(db)


def share(db: sqlite3.Connection, *paths: str) -> None:
    """The same on source, destination and base."""
    for side in Side:
        put(db, side, *paths)
    for path in paths:
        raw = path.partition("=")[0].rstrip("/").encode()
        source, destination = nodes.find(db, SOURCE, raw), nodes.find(db, DESTINATION, raw)
        assert source is not None
        assert destination is not None
        base.put(db, raw, source.entry, source.node_id, destination.node_id)


def paths_of(db: sqlite3.Connection, side: Side) -> dict[bytes, nodes.Node]:
    found: dict[bytes, nodes.Node] = {}

    def keep(path: bytes, node: nodes.Node) -> None:
        found[path] = node

    nodes.walk(db, side, b"", keep)
    return found


def base_paths(db: sqlite3.Connection) -> dict[bytes, Entry | None]:
    """Path to entry of every base row, hollow ones included."""
    found: dict[bytes, Entry | None] = {}
    stack = [(b"", base.ROOT_ID)]
    while stack:
        above, base_id = stack.pop()
        for row in base.children(db, base_id):
            path = above + b"/" + row.name if above else row.name
            found[path] = row.entry
            stack.append((path, row.base_id))
    return found


def states(db: sqlite3.Connection, limit: int = 7) -> dict[bytes, PathState]:
    """Everything, walked in small pages."""
    found: dict[bytes, PathState] = {}
    after: bytes | None = None
    while True:
        page, after = triples.walk(db, b"", after, limit)
        for state in page:
            assert state.path not in found
            found[state.path] = state
        if after is None:
            return found


def is_named(path: bytes, dirty: list[DirtyPath]) -> bool:
    return any(item.path == path or (item.is_deep and is_within(path, item.path)) for item in dirty)


def random_path(rng: random.Random) -> bytes:
    return b"/".join(rng.choice([b"a", b"b", b"c"]) for _ in range(rng.choice([1, 1, 2, 2, 3])))


def mutate(db: sqlite3.Connection, rng: random.Random, side: Side) -> None:
    """One random change of one tree; impossible ones are passed over."""
    path, other = random_path(rng), random_path(rng)
    deed = rng.choice(["put", "put", "mkdir", "move", "move", "remove", "mode"])
    here = nodes.find(db, side, path)
    try:
        if deed == "put" and (here is None or here.entry.kind is Kind.FILE):
            nodes.put(db, side, path, file(rng.choice(["one", "two", "three"])))
        elif deed == "mkdir" and here is None:
            nodes.put(db, side, path, DIRECTORY)
        elif deed == "move" and nodes.find(db, side, other) is None:
            nodes.move(db, side, path, other)
        elif deed == "remove":
            nodes.remove(db, side, path)
        elif deed == "mode" and here is not None:
            nodes.set_entry(db, here.node_id, Entry(here.entry.kind, rng.choice([0o600, 0o700])))
    except (LookupError, sqlite3.IntegrityError):
        pass
    listed(db)
