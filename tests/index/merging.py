"""Listings made from rows, merged into one tree; answers are given by hand. No tree here."""

import sqlite3

from syncd.core.entry import Entry, Kind, StatHint
from syncd.core.listing import Child, pack, unpack
from syncd.core.path import is_reserved
from syncd.index import displaced, nodes, records
from syncd.index.merge import Merge
from syncd.index.observed import Listed, Looked, Question, Wanted
from tests.index.kit import SOURCE

DB = sqlite3.Connection


def child(
    name: str,
    inode: int,
    *,
    size: int = 5,
    mtime: int = 1,
    ctime: int = 1,
    mode: int = 0o644,
    kind: Kind = Kind.FILE,
) -> Child:
    return Child(name.encode(), kind, mode, StatHint(inode, size, mtime, ctime))


def folder(name: str, inode: int, mode: int = 0o755, *, ctime: int = 1) -> Child:
    return Child(name.encode(), Kind.DIRECTORY, mode, StatHint(inode, 4096, 1, ctime))


def listed(path: str, inode: int, *children: Child, racy_after_ns: int = 2**62) -> Listed:
    return Listed(path.encode(), inode, pack(sorted(children, key=lambda one: one.name)), racy_after_ns)


def ignored_by(*names: bytes):  # type: ignore[no-untyped-def]
    def is_ignored(path: bytes, is_directory: bool) -> bool:
        return is_reserved(path) or any(part in names for part in path.split(b"/"))

    return is_ignored


class Bench:
    """Merges into one tree; `observe` is a whole observation whose answers are given by `digests`."""

    def __init__(self, db: DB) -> None:
        self.db = db
        self.ignored = ignored_by()
        self.fingerprint = "rules"

    def merge(self) -> Merge:
        return Merge(SOURCE, self.ignored, self.fingerprint)

    def observe(self, *listings: Listed) -> tuple[Merge, Wanted]:
        merging = self.merge()
        wanted = merging.merge_listings(self.db, listings)
        while displaced.remove_missed(self.db, SOURCE, 100):
            pass
        merging.settle(self.db)
        return merging, wanted

    def entry(self, path: bytes) -> Entry:
        node = nodes.find(self.db, SOURCE, path)
        assert node is not None
        return node.entry

    def node_id(self, path: bytes) -> int:
        node = nodes.find(self.db, SOURCE, path)
        assert node is not None
        return node.node_id

    def learn(self, path: bytes, digest: bytes = b"d" * 32) -> None:
        nodes.learn_digest(self.db, self.node_id(path), digest)

    def stored(self, node_id: int = 1) -> list[Child]:
        record = records.get(self.db, node_id)
        return unpack(record) if record else []


def question_of(wanted: Wanted) -> Question:
    (question,) = wanted.digests
    return question


# Looks.


def look(path: str, found: Child | None) -> Looked:
    return Looked(path.encode(), found)
