"""Evidence merged into nodes and directory records: digests, link targets, directories that were renamed.

A question whose answer never comes (the daemon was killed) is asked again by the next scan: its record still
keeps the old state.
"""

import sqlite3
from collections.abc import Sequence

import msgspec

from syncd.core.entry import Entry, Kind
from syncd.core.listing import Child
from syncd.core.reason import Reason
from syncd.index import displaced, nodes, records
from syncd.index.findings import Findings
from syncd.index.nodes import Node
from syncd.index.observed import Answer, Arrival, Question, entry_of_child
from syncd.index.rows import PARKED_PREFIX


class Answers(Findings):
    """Merges what was asked about."""

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
                self._set_content(db, node, entry, question.old, answer.hint)
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
