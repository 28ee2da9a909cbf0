"""What was listed or looked at, merged into nodes and directory records.

A `Merge` lives for one observation of one tree. Its methods run in the data base's thread, in transactions of
bounded size. What cannot be decided from the index (the digest of a file whose stat changed, a link's target,
whether a directory was renamed) is asked for and merged by a second call; until then the directory record
keeps the old state, so that a kill in between is healed by the next scan.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence

import msgspec

from syncd.core.entry import Entry, Kind, Side
from syncd.core.listing import Child, diff, smudge, unpack
from syncd.core.listing import replace as replaced
from syncd.core.path import CONTROL_NAME, IGNORE_FILE, MAX_PATH, is_reserved, is_within, join
from syncd.core.path import name as name_of
from syncd.core.path import parent as parent_of
from syncd.core.reason import Reason
from syncd.index import displaced, meta, nodes, records
from syncd.index.nodes import Node
from syncd.index.observed import (
    Answer,
    Arrival,
    Listed,
    Looked,
    Question,
    Wanted,
    agrees,
    entry_of_child,
    unseen,
)
from syncd.index.rows import HAS_IGNORED, PARKED_PREFIX


class _Here(msgspec.Struct):
    """The directory that is being merged."""

    path: bytes
    node_id: int
    racy_after_ns: int
    is_new: bool = False
    """Nothing in it is known: nobody needs to be asked about its names."""
    has_ignored: bool = False
    overrides: dict[bytes, Child | None] = msgspec.field(default_factory=dict)
    """What the record shall say instead of what was listed."""
    inserts: list[tuple[Child, Entry]] = msgspec.field(default_factory=list)


class Merge:
    """One observation of one tree. `is_ignored(path, is_directory)` must be pure; `fingerprint` is the name
    of these rules."""

    def __init__(self, side: Side, is_ignored: Callable[[bytes, bool], bool], fingerprint: str) -> None:
        self.side = side
        self.is_thorough = False
        """Compare names and entries where the records agree, too: the filter changed, or the stop was
        unclean."""
        self.has_missed = False
        """Some nodes are not at their place: see `displaced`."""
        self.changed = 0
        self.problems: list[tuple[bytes, Reason, str]] = []
        self.racy: list[bytes] = []
        self.appeared: list[bytes] = []
        self.has_ignore_files = False
        self._is_ignored = is_ignored
        self._fingerprint = fingerprint
        self._has_begun = False
        self._is_first = False
        self._ids: dict[bytes, int] = {b"": int(side)}

    def begin(self, db: sqlite3.Connection) -> None:
        """Comes first in the first transaction, whichever that is."""
        if self._has_begun:
            return
        self._has_begun = True
        self.has_missed = displaced.begin(db, self.side)
        self._is_first = records.get(db, int(self.side)) is None
        self.is_thorough = not self._is_first and meta.observed_filter(db, self.side) != self._fingerprint

    def settle_filter(self, db: sqlite3.Connection) -> None:
        """The whole tree was judged by these rules."""
        if meta.observed_filter(db, self.side) != self._fingerprint:
            meta.set_observed_filter(db, self.side, self._fingerprint)

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
        if record == listing.record and not self.is_thorough:
            if inode != listing.inode:
                records.set_inode(db, node_id, listing.inode)
            if flags & HAS_IGNORED:
                self._report_reserved(listing)
            nodes.set_flags(db, node_id, is_listed=True, has_ignored=bool(flags & HAS_IGNORED))
            return True
        here = _Here(listing.path, node_id, listing.racy_after_ns)
        for name, old, new in self._changes(db, here, record, listing.record):
            self._classify(db, here, name, old, new, wanted)
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

    def _changes(
        self, db: sqlite3.Connection, here: _Here, record: bytes | None, new: bytes
    ) -> Iterable[tuple[bytes, Child | None, Child | None]]:
        if record is None:
            known = db.execute("SELECT 1 FROM nodes WHERE parent_id = ? LIMIT 1", (here.node_id,)).fetchone()
            here.is_new = known is None
        if here.is_new:
            return [(child.name, None, child) for child in unpack(new)]
        if record is not None and not self.is_thorough:
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
                self._miss(db, node, old)
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
        if old is not None and old.kind is Kind.FILE and old.hint.inode != new.hint.inode:
            self.has_missed = True
            displaced.replace(db, self.side, node, old, new)
        if new.hint.size != entry.size:
            self._set(db, node.node_id, entry_of_child(new))
            self._note_racy(here.overrides, asked, new)
        elif (old is not None and old.hint == new.hint) or not new.hint.size:
            updated = msgspec.structs.replace(entry, mode=new.mode, mtime_ns=new.hint.mtime_ns)
            if updated != entry:
                self._set(db, node.node_id, updated)
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

    def _topmost_missing(self, db: sqlite3.Connection, path: bytes) -> bytes:
        names = path.split(b"/")
        for depth in range(1, len(names)):
            above = b"/".join(names[:depth])
            if self._parent_id(db, above) is None:
                return above
        return path

    # Answers.

    def answer_digests(
        self, db: sqlite3.Connection, asked: Sequence[Question], answers: Sequence[Answer]
    ) -> None:
        """Files whose stat changed: the same content only moves stat hints, another one is a change."""
        for question, answer in zip(asked, answers, strict=True):
            name = question.new.name
            node = nodes.child(db, question.parent_id, name)
            if node is None or node.entry.kind is not Kind.FILE:
                continue
            if answer.hint is None or answer.digest is None:
                self._note_problem(question, answer)
                continue
            child = msgspec.structs.replace(question.new, hint=answer.hint)
            entry = msgspec.structs.replace(entry_of_child(child), digest=answer.digest)
            if entry != node.entry:
                self._set(db, node.node_id, entry)
            self._store_child(db, question, child)

    def answer_links(
        self, db: sqlite3.Connection, asked: Sequence[Question], answers: Sequence[Answer]
    ) -> None:
        """Links that appeared or changed."""
        for question, answer in zip(asked, answers, strict=True):
            if answer.target is None:
                self._note_problem(question, answer)
                continue
            child = question.new
            hint = child.hint
            entry = Entry(Kind.SYMLINK, 0, hint.size, hint.mtime_ns, None, answer.target)
            node = nodes.child(db, question.parent_id, child.name)
            if node is None or node.entry != entry:
                nodes.put_child(db, self.side, question.parent_id, child.name, entry)
                self.changed += 1
            self._store_child(db, question, child)

    def answer_arrivals(
        self, db: sqlite3.Connection, asked: Sequence[Question], answers: Sequence[Arrival]
    ) -> None:
        """Directories that may have been renamed: one row each, or a new directory."""
        for question, answer in zip(asked, answers, strict=True):
            name = question.new.name
            here = nodes.child(db, question.parent_id, name)
            if answer.is_renamed and nodes.exists(db, question.candidate):
                self._rename_directory(db, question, here, answer.left_behind)
                here = nodes.child(db, question.parent_id, name)
            elif here is None:
                nodes.put_child(db, self.side, question.parent_id, name, entry_of_child(question.new))
                self.changed += 1
            if here is not None and here.entry.mode != question.new.mode:
                self._set(db, here.node_id, entry_of_child(question.new))
            self.appeared.append(question.path)
            records.update_children(db, question.parent_id, {name: question.new})

    def _rename_directory(
        self, db: sqlite3.Connection, question: Question, here: Node | None, left_behind: Child | None
    ) -> None:
        moved = nodes.get(db, question.candidate)
        if moved is None or (here is not None and here.node_id == moved.node_id):
            return
        if here is not None:
            self._park(db, here, question.old)
        displaced.found_again(db, moved.node_id)
        nodes.move_node(db, moved.node_id, question.parent_id, question.new.name)
        self._ids = {b"": int(self.side)}
        self.changed += 1
        if question.old_path is None or moved.name.startswith(PARKED_PREFIX):
            return
        if left_behind is None:
            records.update_children(db, moved.parent_id, {moved.name: None})
        elif left_behind.kind is Kind.DIRECTORY and not self._is_invisible(question.old_path, Kind.DIRECTORY):
            nodes.put_child(db, self.side, moved.parent_id, moved.name, entry_of_child(left_behind))
            records.update_children(db, moved.parent_id, {moved.name: left_behind})
            self.appeared.append(question.old_path)

    def _note_problem(self, question: Question, answer: Answer) -> None:
        """Nothing is known of the new state: the record keeps asking for it."""
        self.problems.append((question.path, answer.problem or Reason.CHANGING, answer.detail))
        self.racy.append(question.path)

    def _store_child(self, db: sqlite3.Connection, question: Question, child: Child) -> None:
        overrides: dict[bytes, Child | None] = {child.name: child}
        self._note_racy(overrides, question, child)
        records.update_children(db, question.parent_id, overrides)

    # Small things.

    def _miss(
        self, db: sqlite3.Connection, node: Node, old: Child | None, *, keeps_record: bool = False
    ) -> None:
        self.has_missed = True
        displaced.miss(db, self.side, node, old, keeps_record=keeps_record)

    def _park(self, db: sqlite3.Connection, node: Node, old: Child | None) -> None:
        self.has_missed = True
        displaced.park(db, self.side, node, old)
        self._ids = {b"": int(self.side)}

    def _set(self, db: sqlite3.Connection, node_id: int, entry: Entry) -> None:
        nodes.set_entry(db, node_id, entry)
        self.changed += 1

    def _note_racy(self, overrides: dict[bytes, Child | None], asked: Question, child: Child) -> None:
        """A change in the same tick as the observation would not show: have it read again (racy-git rule).
        The ctime decides, since nobody can set it; the mtime where there is none."""
        hint = child.hint
        if child.kind is Kind.FILE and (hint.ctime_ns or hint.mtime_ns) >= asked.racy_after_ns:
            overrides[child.name] = smudge(child)
            self.racy.append(asked.path)

    def _is_invisible(self, path: bytes, kind: Kind) -> bool:
        return len(path) > MAX_PATH or self._is_ignored(path, kind is Kind.DIRECTORY)

    def _holds_ignored(self, path: bytes, record: bytes) -> bool:
        return any(
            self._is_invisible(at, child.kind)
            for child in unpack(record)
            if (at := join(path, child.name)) != CONTROL_NAME
        )

    def _report_invisible(self, path: bytes) -> None:
        if len(path) > MAX_PATH:
            self.problems.append((path, Reason.PATH_TOO_LONG, f"longer than {MAX_PATH} bytes"))
        elif is_reserved(path) and path != CONTROL_NAME:
            self.problems.append((path, Reason.RESERVED_NAME, ""))

    def _report_reserved(self, listing: Listed) -> None:
        """Unchanged names are still problems: a whole scan reports all that there are."""
        for child in unpack(listing.record):
            self._report_invisible(join(listing.path, child.name))


_CACHED_DIRECTORIES = 10_000
_DIRECTORY = "SELECT n.node_id, n.flags, r.inode, r.record FROM nodes n LEFT JOIN records r USING (node_id)"
_DIRECTORY_BY_ID = f"{_DIRECTORY} WHERE n.node_id = ?"
_DIRECTORY_BY_NAME = f"{_DIRECTORY} WHERE n.parent_id = ? AND n.name = ? AND n.kind = 2"
