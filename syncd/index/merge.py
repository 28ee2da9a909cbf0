"""What was listed or looked at, merged into nodes and directory records.

A `Merge` lives for one observation of one tree. Its methods run in the data base's thread, in transactions of
bounded size. What cannot be decided from the index (the digest of a file whose stat changed, a link's target,
whether a directory was renamed) is asked for and merged by a second call; until then the directory record
keeps the old state, so that a kill in between is healed by the next scan.
"""

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from syncd.core.entry import Entry, Kind
from syncd.core.listing import (
    Child,
    child_of_row,
    ctime_of,
    diff,
    is_doubted,
    is_file,
    rows,
    smudge,
    trust,
    unpack,
)
from syncd.core.listing import replace as replaced
from syncd.core.path import CONTROL_NAME, IGNORE_FILE, MAX_PATH, is_within, join
from syncd.core.path import name as name_of
from syncd.core.path import parent as parent_of
from syncd.index import displaced, nodes, records
from syncd.index.answers import Answers
from syncd.index.nodes import Node
from syncd.index.observed import (
    Listed,
    Looked,
    Question,
    Wanted,
    agrees,
    entry_of_child,
    unseen,
)
from syncd.index.rows import HAS_IGNORED, RECHECK, signed


class _Here(msgspec.Struct):
    """The directory that is being merged."""

    path: bytes
    node_id: int
    racy_after_ns: int
    changed_ns: int = 0
    """The ctime of the directory; 0: unknown."""
    is_recheck: bool = False
    is_new: bool = False
    """Nothing in it is known: nobody needs to be asked about its names."""
    has_ignored: bool = False
    overrides: dict[bytes, Child | None] = msgspec.field(default_factory=dict)
    """What the record shall say instead of what was listed."""
    inserts: list[tuple[Child, Entry]] = msgspec.field(default_factory=list)


class Merge(Answers):
    """Listings and single looks, merged; then the answers to what was asked."""

    # Listings.

    def merge_listings(self, db: sqlite3.Connection, listings: Sequence[Listed]) -> Wanted:
        """Merge whole directories, parents first; returns what is still wanted."""
        self.begin(db)
        wanted = Wanted()
        for listing in listings:
            if wanted.arrivals or not self._merge_listing(db, listing, wanted):
                # A renamed directory must be in place before anything beneath its names is judged.
                wanted.orphans.append(listing)
        return wanted

    def _merge_listing(self, db: sqlite3.Connection, listing: Listed, wanted: Wanted) -> bool:
        found = self._find_directory(db, listing.path)
        if found is None:
            return False
        node_id, flags, inode, record = found
        if record is not None:
            whole = records.folded(db, node_id, record)
            if whole is not record:
                records.put(db, node_id, listing.inode, whole)
            record = whole
        is_recheck = bool(flags & RECHECK)
        if record == listing.record and not (self.is_thorough or is_recheck):
            if inode != listing.inode:
                records.set_inode(db, node_id, listing.inode)
            if flags & HAS_IGNORED:
                self._report_reserved(listing)
            nodes.set_flags(db, node_id, is_listed=True, has_ignored=bool(flags & HAS_IGNORED))
            return True
        here = _Here(listing.path, node_id, listing.racy_after_ns, listing.changed_ns, is_recheck)
        here.is_new = record is None and not nodes.has_children(db, node_id)
        if here.is_new:
            self._merge_new(db, here, listing.record, wanted)
        else:
            is_other = inode not in (None, 0, signed(listing.inode))
            for name, old, new in self._changes(db, here, record, listing.record):
                # Another directory at the name: what it holds was never seen there, let alone lost.
                self._classify(db, here, name, trust(old) if is_other else old, new, wanted)
        if flags & HAS_IGNORED and not here.has_ignored:
            here.has_ignored = self._holds_ignored(here.path, listing.record)
        self._insert(db, here)
        stored = replaced(listing.record, here.overrides) if here.overrides else listing.record
        records.put(db, node_id, listing.inode, stored)
        nodes.set_flags(db, node_id, is_listed=True, has_ignored=here.has_ignored)
        return True

    def _find_directory(
        self, db: sqlite3.Connection, path: bytes
    ) -> tuple[int, int, int | None, bytes | None] | None:
        """node id, flags, inode and record of a known directory."""
        if not path:
            row = db.execute(_DIRECTORY_BY_ID, (int(self.side),)).fetchone()
        else:
            parent_id = self._parent_id(db, parent_of(path))
            if parent_id is None:
                return None
            row = db.execute(_DIRECTORY_BY_NAME, (parent_id, name_of(path))).fetchone()
        if row is None:
            return None
        self._ids[path] = row[0]
        return row[0], row[1], row[2], row[3]

    def _parent_id(self, db: sqlite3.Connection, path: bytes) -> int | None:
        known = self._ids.get(path)
        if known is None:
            if len(self._ids) > _CACHED_DIRECTORIES:
                self._ids = {b"": int(self.side)}
            node = nodes.find(db, self.side, path)
            if node is None or node.entry.kind is not Kind.DIRECTORY:
                return None
            known = self._ids[path] = node.node_id
        return known

    def _merge_new(self, db: sqlite3.Connection, here: _Here, record: bytes, wanted: Wanted) -> None:
        """A directory of which nothing is known. In a first scan most of it are plain files, which need no
        judgement beyond this."""
        above = here.path + b"/" if here.path else b""
        longest = MAX_PATH - len(above) if self._is_first else -1
        is_ignored, racy_after_ns = self._is_ignored, here.racy_after_ns
        files = []
        for name, row in rows(record):
            code, _, size, mtime_ns, ctime_ns = row
            if (
                is_file(code)
                and (ctime_ns or mtime_ns) < racy_after_ns
                and len(name) <= longest
                and name != IGNORE_FILE
                and not is_ignored(above + name, False)
            ):
                files.append((name, code, size, mtime_ns))
            else:
                self._classify(db, here, name, None, child_of_row(name, row), wanted)
        nodes.insert_files(db, self.side, here.node_id, files)
        self.changed += len(files)

    def _changes(
        self, db: sqlite3.Connection, here: _Here, record: bytes | None, new: bytes
    ) -> Iterable[tuple[bytes, Child | None, Child | None]]:
        if record is not None and not (self.is_thorough or here.is_recheck):
            try:
                return diff(record, new)
            except ValueError:
                record = None
        return self._all_names(db, here, record, new)

    def _all_names(
        self, db: sqlite3.Connection, here: _Here, record: bytes | None, new: bytes
    ) -> Iterable[tuple[bytes, Child | None, Child | None]]:
        """Names, nodes and record compared one by one: whatever they disagree about is a change."""
        try:
            before = {child.name: child for child in unpack(record)} if record else {}
        except ValueError:
            before = {}
        known = {node.name: node for node in nodes.iterate_children(db, here.node_id)}
        for child in unpack(new):
            old, node = before.get(child.name), known.pop(child.name, None)
            is_visible = not self._is_invisible(join(here.path, child.name), child.kind)
            if not is_visible:
                here.has_ignored = True
            if old != child or is_visible is (node is None) or (node and not agrees(node.entry, child)):
                yield child.name, old, child
        for name, node in known.items():
            yield name, before.get(name) or unseen(node), None

    # One name.

    def _classify(
        self,
        db: sqlite3.Connection,
        here: _Here,
        name: bytes,
        old: Child | None,
        new: Child | None,
        wanted: Wanted,
    ) -> None:
        path = join(here.path, name)
        node = None if here.is_new else nodes.child(db, here.node_id, name)
        if name == IGNORE_FILE:
            self.has_ignore_files = True
        if new is None:
            if node is not None:
                self._miss(db, node, old, is_lost=is_doubted(old) and 0 < here.changed_ns < ctime_of(old))
                here.overrides[name] = smudge(old or unseen(node))
            return
        if self._is_invisible(path, new.kind):
            here.has_ignored |= path != CONTROL_NAME
            self._report_invisible(path)
            if node is not None:
                self._miss(db, node, old, keeps_record=True)
            else:
                self._hide(db, Question(path, here.node_id, old, new, here.racy_after_ns), wanted)
            return
        if node is not None and node.entry.kind is not new.kind:
            self._park(db, node, old)
            node = None
        question = Question(path, here.node_id, old, new, here.racy_after_ns)
        if node is None:
            self._appear(db, here, question, wanted)
        else:
            displaced.found_again(db, node.node_id)
            self._stay(db, here, node, question, wanted)

    def _hide(self, db: sqlite3.Connection, asked: Question, wanted: Wanted) -> None:
        """A name came up that the rules ignore: what was renamed to it was not deleted."""
        new, old = asked.new, asked.old
        if self._is_first or (old is not None and old.hint.inode == new.hint.inode):
            return
        if new.kind is not Kind.DIRECTORY:
            displaced.hide(db, self.side, [new])
            return
        candidate = records.find_directory(db, self.side, new.hint.inode)
        old_path = None if candidate is None else nodes.path_of(db, candidate)
        if candidate is not None and old_path:
            wanted.hidden.append(msgspec.structs.replace(asked, candidate=candidate, old_path=old_path))

    def _appear(self, db: sqlite3.Connection, here: _Here, asked: Question, wanted: Wanted) -> None:
        new = asked.new
        if new.kind is Kind.SYMLINK:
            wanted.links.append(asked)
            here.overrides[new.name] = asked.old
            return
        if new.kind is Kind.DIRECTORY:
            if self._ask_arrival(db, here, asked, 0, wanted):
                return
            self.appeared.append(asked.path)
        here.inserts.append((new, entry_of_child(new)))
        self._note_racy(here.overrides, asked, new)

    def _stay(self, db: sqlite3.Connection, here: _Here, node: Node, asked: Question, wanted: Wanted) -> None:
        """A name that held the same kind before."""
        new, old, entry = asked.new, asked.old, node.entry
        if new.kind is Kind.SYMLINK:
            wanted.links.append(asked)
            here.overrides[new.name] = old
        elif new.kind is Kind.DIRECTORY:
            is_other = old is None or old.hint.inode != new.hint.inode
            if is_other and self._ask_arrival(db, here, asked, node.node_id, wanted):
                return
            if entry.mode != new.mode:
                self._set(db, node.node_id, msgspec.structs.replace(entry, mode=new.mode))
        elif new.kind is Kind.FILE:
            self._stay_file(db, here, node, asked, wanted)
        elif entry.mode != new.mode:
            self._set(db, node.node_id, msgspec.structs.replace(entry, mode=new.mode))

    def _stay_file(
        self, db: sqlite3.Connection, here: _Here, node: Node, asked: Question, wanted: Wanted
    ) -> None:
        new, old, entry = asked.new, asked.old, node.entry
        is_other = old is not None and old.kind is Kind.FILE and old.hint.inode != new.hint.inode
        if old is not None and is_other:
            self.has_missed = True
            displaced.replace(db, self.side, node, old, new)
        if new.hint.size != entry.size:
            self._set_content(db, node, entry_of_child(new), old, new.hint)
            self._note_racy(here.overrides, asked, new)
        elif (old is not None and old.hint == new.hint) or not new.hint.size:
            updated = msgspec.structs.replace(entry, mode=new.mode, mtime_ns=new.hint.mtime_ns)
            if updated != entry:
                self._set_content(db, node, updated, old, new.hint)
            self._note_racy(here.overrides, asked, new)
        else:
            wanted.digests.append(asked)
            here.overrides[new.name] = smudge(old) if old is not None else None

    def _ask_arrival(
        self, db: sqlite3.Connection, here: _Here, asked: Question, node_id: int, wanted: Wanted
    ) -> bool:
        """Is this directory perhaps one that was known elsewhere?"""
        if self._is_first:
            return False
        candidate = records.find_directory(db, self.side, asked.new.hint.inode)
        if candidate is None or candidate == node_id:
            return False
        old_path = nodes.path_of(db, candidate)
        if old_path is not None and (not old_path or is_within(asked.path, old_path)):
            return False
        wanted.arrivals.append(msgspec.structs.replace(asked, candidate=candidate, old_path=old_path))
        here.overrides[asked.new.name] = asked.old
        return True

    def _insert(self, db: sqlite3.Connection, here: _Here) -> None:
        """All new names of a directory at once."""
        if not here.inserts:
            return
        rows = [(child.name, entry) for child, entry in here.inserts]
        nodes.insert_children(db, self.side, here.node_id, rows)
        self.changed += len(rows)
        if self._is_first:
            return
        for child, entry in here.inserts:
            if entry.kind is Kind.FILE:
                node = nodes.child(db, here.node_id, child.name)
                if node is not None:
                    displaced.add_fresh(db, self.side, node.node_id, child)

    # Single looks.

    def merge_looks(self, db: sqlite3.Connection, looks: Sequence[Looked]) -> Wanted:
        """Merge single paths. One in an unknown directory asks for the topmost directory that is missing."""
        self.begin(db)
        wanted = Wanted()
        for look in looks:
            parent_id = self._parent_id(db, parent_of(look.path))
            if parent_id is None:
                if look.child is not None:
                    if self._is_invisible(look.path, look.child.kind):
                        self._hide(db, Question(look.path, 0, None, look.child, look.racy_after_ns), wanted)
                    wanted.missing.add(self._topmost_missing(db, look.path))
                continue
            self._merge_look(db, look, parent_id, wanted)
        return wanted

    def _merge_look(self, db: sqlite3.Connection, look: Looked, parent_id: int, wanted: Wanted) -> None:
        name = name_of(look.path)
        old = records.child(db, parent_id, name)
        new = look.child
        if new is not None and new.name != name:
            new = msgspec.structs.replace(new, name=name)
        known = nodes.child(db, parent_id, name)
        if known is not None and known.entry.kind is Kind.DIRECTORY and not known.is_listed:
            self.appeared.append(look.path)
        if new == old and (new is None) is (known is None) and not self.is_thorough:
            return
        here = _Here(parent_of(look.path), parent_id, look.racy_after_ns)
        if new is not None or known is not None:
            self._classify(db, here, name, old, new, wanted)
        self._insert(db, here)
        if here.has_ignored:
            above = nodes.get(db, parent_id)
            nodes.set_flags(db, parent_id, is_listed=above is not None and above.is_listed, has_ignored=True)
        records.update_children(db, parent_id, {name: here.overrides.get(name, new)})
        if old is not None and new is None and known is None:
            self._ignored_left(db, parent_id, here.path)

    def _ignored_left(self, db: sqlite3.Connection, node_id: int, path: bytes) -> None:
        """An ignored name is gone from a directory: was it the last one?"""
        node, record = nodes.get(db, node_id), records.get(db, node_id)
        if node is not None and node.has_ignored and record is not None:
            is_left = self._holds_ignored(path, record)
            nodes.set_flags(db, node_id, is_listed=node.is_listed, has_ignored=is_left)

    def _topmost_missing(self, db: sqlite3.Connection, path: bytes) -> bytes:
        names = path.split(b"/")
        for depth in range(1, len(names)):
            above = b"/".join(names[:depth])
            if self._parent_id(db, above) is None:
                return above
        return path


_CACHED_DIRECTORIES = 10_000
_DIRECTORY = "SELECT n.node_id, n.flags, r.inode, r.record FROM nodes n LEFT JOIN records r USING (node_id)"
_DIRECTORY_BY_ID = f"{_DIRECTORY} WHERE n.node_id = ?"
_DIRECTORY_BY_NAME = f"{_DIRECTORY} WHERE n.parent_id = ? AND n.name = ? AND n.kind = 2"
