"""What one observation of one tree has come to so far, and the rules that its merging goes by.

The ground that `answers` and `merge` stand on: nothing here reads a listing or an answer.
"""

import sqlite3
from collections.abc import Callable

from syncd.core.entry import Entry, Kind, Side, StatHint
from syncd.core.listing import Child, ctime_of, is_doubted, smudge, unpack
from syncd.core.path import CONTROL_NAME, MAX_PATH, is_reserved, join
from syncd.core.reason import Reason
from syncd.core.state import Damage
from syncd.index import displaced, meta, nodes, records
from syncd.index.nodes import Node
from syncd.index.observed import Listed, Question, is_zeros

FUTURE_NS = 60 * 10**9
"""A stamp so far ahead tells of a clock that was set back, or of a server with another one."""


class Findings:
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
        self._is_after_crash = False
        self._ids: dict[bytes, int] = {b"": int(side)}

    def begin(self, db: sqlite3.Connection) -> None:
        """Comes first in the first transaction, whichever that is."""
        if self._has_begun:
            return
        self._has_begun = True
        self.has_missed = displaced.begin(db, self.side)
        self._is_first = records.get(db, int(self.side)) is None
        self._is_after_crash = meta.is_after_crash(db, self.side)
        self.is_thorough = not self._is_first and meta.observed_filter(db, self.side) != self._fingerprint

    def settle(self, db: sqlite3.Connection) -> None:
        """The whole tree was looked at, and judged by these rules."""
        if meta.is_after_crash(db, self.side):
            meta.set_after_crash(db, self.side, False)
        if meta.observed_filter(db, self.side) != self._fingerprint:
            meta.set_observed_filter(db, self.side, self._fingerprint)

    def _miss(
        self,
        db: sqlite3.Connection,
        node: Node,
        old: Child | None,
        *,
        keeps_record: bool = False,
        is_lost: bool = False,
    ) -> None:
        self.has_missed = True
        displaced.miss(db, self.side, node, old, keeps_record=keeps_record, is_lost=is_lost)

    def _park(self, db: sqlite3.Connection, node: Node, old: Child | None) -> None:
        self.has_missed = True
        displaced.park(db, self.side, node, old)
        self._ids = {b"": int(self.side)}

    def _set(self, db: sqlite3.Connection, node_id: int, entry: Entry) -> None:
        nodes.set_entry(db, node_id, entry)
        self.changed += 1

    def _set_content(
        self, db: sqlite3.Connection, node: Node, entry: Entry, old: Child | None, hint: StatHint
    ) -> None:
        """A file whose content or stamp is another now."""
        self._set(db, node.node_id, entry)
        before = node.entry
        is_changed = before.size != entry.size or (before.digest or entry.digest) != entry.digest
        if is_changed or before.mtime_ns != entry.mtime_ns:
            damage = self._damage(before, entry, old, hint) if is_changed else Damage.NONE
            nodes.mark_damage(db, node.node_id, damage)

    def _damage(self, before: Entry, entry: Entry, old: Child | None, hint: StatHint) -> Damage:
        """Did a crash change the content? Whoever writes to a file sets its mtime, and no ctime ever goes
        back; file systems that lost writes show both."""
        is_cut = is_doubted(old)
        if old is None or old.kind is not Kind.FILE or not (self._is_after_crash or is_cut):
            return Damage.NONE
        is_older = is_cut and 0 < hint.ctime_ns < ctime_of(old)
        if 0 != old.hint.inode == hint.inode and before.mtime_ns == entry.mtime_ns:
            if entry.size < before.size:
                return Damage.CUT_SHORT
            if is_cut and is_zeros(entry):
                return Damage.ZEROED
            if is_cut and not is_older:
                return Damage.ALTERED
        return Damage.ROLLED_BACK if is_older else Damage.NONE

    def _note_racy(self, overrides: dict[bytes, Child | None], asked: Question, child: Child) -> None:
        """A change in the same tick as the observation would not show: have it read again (racy-git rule).
        The ctime decides, since nobody can set it; the mtime where there is none. A stamp from the future
        (the clock was set back) stays racy until then: it is read whenever it is met, and not asked for."""
        stamp_ns = child.hint.ctime_ns or child.hint.mtime_ns
        if child.kind is Kind.FILE and stamp_ns >= asked.racy_after_ns:
            overrides[child.name] = smudge(child)
            if stamp_ns < asked.racy_after_ns + FUTURE_NS:
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
