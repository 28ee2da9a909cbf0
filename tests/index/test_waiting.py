"""What waits and what is remembered: issues, conflicts, approvals, the journal, single values."""

import sqlite3

import pytest

from syncd.core.action import Delete, Done, MakeDirectory, Move, Put, RemoveDirectory, SetMode, TrashRef
from syncd.core.conflict import OPEN, SETTLED, ConflictRecord
from syncd.core.entry import Kind, Side, StatHint
from syncd.core.identity import RootIdentity
from syncd.core.listing import Child, unpack
from syncd.core.reason import Reason
from syncd.core.rules import Policy
from syncd.index import approvals, choices, conflicts, history, meta, nodes, pending, records
from syncd.index.pending import LONGEST_DELAY_NS, PendingRow, PendingSummary, delay_ns
from tests.index.kit import DESTINATION, DIRECTORY, SOURCE, file

DB = sqlite3.Connection
S = 10**9


def test_pending_backs_off_while_the_reason_stays(db: DB) -> None:
    pending.put(db, b"f", SOURCE, Reason.IO_ERROR, "first", 100 * S)
    pending.put(db, b"f", SOURCE, Reason.IO_ERROR, "second", 200 * S)
    row = pending.get(db, b"f")
    assert row == PendingRow(b"f", SOURCE, Reason.IO_ERROR, "second", 2, 202 * S, 100 * S)
    pending.put(db, b"f", None, Reason.UNREADABLE, "", 300 * S)
    row = pending.get(db, b"f")
    assert row == PendingRow(b"f", None, Reason.UNREADABLE, "", 1, 301 * S, 300 * S)


def test_back_off_doubles_up_to_an_hour() -> None:
    assert [delay_ns(n) for n in (1, 2, 3, 4)] == [S, 2 * S, 4 * S, 8 * S]
    assert [delay_ns(n) for n in (11, 12, 13)] == [1024 * S, LONGEST_DELAY_NS, LONGEST_DELAY_NS]
    assert delay_ns(30) == delay_ns(1000) == LONGEST_DELAY_NS


def test_what_fails_again_and_again_is_shown_as_quarantined(db: DB) -> None:
    for attempt in range(1, 13):
        pending.put(db, b"f", SOURCE, Reason.NOT_PERMITTED, "EPERM", attempt)
        row = pending.get(db, b"f")
        assert row is not None
        assert row.shown_reason is (Reason.QUARANTINED if attempt == 12 else Reason.NOT_PERMITTED)
    assert row is not None
    assert row.reason is Reason.NOT_PERMITTED, "which still counts the attempts"
    assert row.shown_detail == "not-permitted: EPERM"
    assert row.next_attempt_ns == 12 + LONGEST_DELAY_NS
    pending.put(db, b"f", SOURCE, Reason.IO_ERROR, "EIO", 13)
    row = pending.get(db, b"f")
    assert row is not None
    assert (row.shown_reason, row.shown_detail) == (Reason.IO_ERROR, "EIO")


@pytest.mark.parametrize("reason", [Reason.CHANGING, Reason.BLOCKED, Reason.NOT_EMPTY, Reason.SPECIAL_FILE])
def test_waiting_alone_is_no_failure(db: DB, reason: Reason) -> None:
    for _ in range(20):
        pending.put(db, b"f", SOURCE, reason, "", 1)
    row = pending.get(db, b"f")
    assert row is not None
    assert row.is_quarantined is (reason is Reason.NOT_EMPTY)


@pytest.mark.parametrize("reason", [Reason.CONFLICT_MANUAL, Reason.MASS_DELETE, Reason.SPECIAL_FILE])
def test_some_wait_for_a_person(db: DB, reason: Reason) -> None:
    pending.put(db, b"f", SOURCE, reason, "", 5)
    row = pending.get(db, b"f")
    assert row is not None
    assert row.next_attempt_ns is None
    assert pending.due(db, 2**62) == []
    assert pending.due(db, None, True) == [b"f"]


def test_due(db: DB) -> None:
    for i in range(3):
        pending.put(db, b"%d" % i, SOURCE, Reason.IO_ERROR, "", i * S)
    assert pending.due(db, None) == []
    assert sorted(pending.due(db, 2 * S)) == [b"0", b"1"]
    assert pending.count(db) == 3


def test_held_paths(db: DB) -> None:
    pending.put_held(db, [(b"a", SOURCE), (b"b", DESTINATION)], Reason.MASS_DELETE, 5)
    pending.put_held(db, [(b"a", SOURCE)], Reason.MASS_DELETE, 9)
    row = pending.get(db, b"a")
    assert row is not None
    assert (row.is_held, row.since_ns, row.next_attempt_ns) == (True, 5, None)
    pending.put(db, b"c", SOURCE, Reason.IO_ERROR, "", 1)
    assert [row.path for row in pending.list_all(db) if row.is_held] == [b"a", b"b"]
    pending.put_held(db, [(b"c", SOURCE)], Reason.MASS_DELETE, 9)
    row = pending.get(db, b"c")
    assert row is not None
    assert (row.is_held, row.since_ns, row.attempts) == (True, 9, 0)


def test_postponed_paths_are_never_urgent(db: DB) -> None:
    pending.put(db, b"f", SOURCE, Reason.IO_ERROR, "", 0)
    pending.put(db, b"later", SOURCE, Reason.IO_ERROR, "", 50 * S)
    assert pending.due(db, 10 * S) == [b"f"]
    pending.postpone(db, 10 * S)
    assert pending.due(db, 10 * S) == []
    assert pending.due(db, 10 * S + S) == [b"f"]
    row = pending.get(db, b"f")
    assert row is not None
    assert row.attempts == 1, "it was not even tried"


def test_blocked_paths(db: DB) -> None:
    pending.put(db, b"broken", SOURCE, Reason.IO_ERROR, "why", 0)
    pending.put_blocked(db, [b"broken", b"child"], 5 * S)
    assert pending.blocked(db) == [b"child"]
    row = pending.get(db, b"broken")
    assert row is not None
    assert row.detail == "why", "its own reason tells more"
    pending.postpone(db, 9 * S)
    row = pending.get(db, b"child")
    assert row is not None
    assert row.attempts == 2, "a path that stays blocked is looked at more and more rarely"


def test_paths_of_a_held_plan(db: DB) -> None:
    pending.put_held(db, [(b"a", SOURCE)], Reason.SIDE_EMPTIED, 1)
    pending.put(db, b"b", SOURCE, Reason.IO_ERROR, "", 1)
    assert pending.held_paths(db) == [b"a"]


def test_choices(db: DB) -> None:
    assert choices.choices(db) == {}
    choices.choose(db, b"f\xff", Policy.SOURCE_WINS)
    choices.choose(db, b"g", Policy.KEEP_BOTH)
    choices.choose(db, b"g", Policy.NEWEST_WINS)
    assert choices.choices(db) == {b"f\xff": Policy.SOURCE_WINS, b"g": Policy.NEWEST_WINS}
    choices.forget(db, b"g")
    choices.forget(db, b"none")
    assert choices.choices(db) == {b"f\xff": Policy.SOURCE_WINS}


def test_list_and_clear(db: DB) -> None:
    for path in (b"b", b"a", b"", b"c"):
        pending.put(db, path, SOURCE, Reason.IO_ERROR, "", 0)
    assert [row.path for row in pending.list_all(db)] == [b"", b"a", b"b", b"c"], "the root may wait as well"
    assert [row.path for row in pending.list_all(db, 1, b"a")] == [b"b"]
    assert [row.path for row in pending.list_all(db, 1, b"")] == [b"a"]
    assert pending.clear(db, [b"a", b"", b"c", b"none"]) == 3
    assert [row.path for row in pending.list_all(db)] == [b"b"]
    assert pending.get(db, b"a") is None


def test_summary(db: DB) -> None:
    assert pending.summary(db) == PendingSummary()
    pending.put(db, b"a", SOURCE, Reason.IO_ERROR, "", 7)
    pending.put(db, b"b", SOURCE, Reason.UNREADABLE, "", 5)
    pending.put(db, b"c", None, Reason.CONFLICT_MANUAL, "", 1)
    pending.put(db, b"d", SOURCE, Reason.SPECIAL_FILE, "", 1)
    pending.put_held(db, [(b"e", SOURCE)], Reason.FIRST_RUN, 1)
    assert pending.summary(db) == PendingSummary(
        issues=2, held=1, manual=1, notes=1, oldest_ns=5, next_attempt_ns=5 + S
    )


# Conflicts.


def conflict(identity: str, path: bytes = b"f", **more: object) -> ConflictRecord:
    fields: dict[str, object] = {"at_ns": 1, "winner": SOURCE, "state": SETTLED, **more}
    return ConflictRecord(id=identity, path=path, kind=Reason.CONFLICT_MODIFIED, **fields)  # type: ignore[arg-type]


def test_conflict_survives(db: DB) -> None:
    trash = TrashRef(DESTINATION, "batch", "slot")
    record = conflict("1", b"\xff", source=file("a"), destination=file("b"), trash=trash)
    assert conflicts.put(db, record)
    assert conflicts.get(db, "1") == record
    assert conflicts.get(db, "2") is None
    assert not conflicts.put(db, record)


def test_conflict_put_again_does_not_forget_the_loser(db: DB) -> None:
    trash = TrashRef(DESTINATION, "batch", "slot")
    conflicts.put(db, conflict("1", trash=trash, loser_copy=b"copy"))
    conflicts.put(db, conflict("1", at_ns=9))
    known = conflicts.get(db, "1")
    assert known is not None
    assert (known.trash, known.loser_copy, known.at_ns) == (trash, b"copy", 9)


def test_conflicts_by_path_state_and_age(db: DB) -> None:
    conflicts.put(db, conflict("old", at_ns=1, state=OPEN, winner=None))
    conflicts.put(db, conflict("new", at_ns=2))
    conflicts.put(db, conflict("other", b"g", at_ns=3, state=OPEN))
    assert [record.id for record in conflicts.list_all(db)] == ["other", "new", "old"]
    assert [record.id for record in conflicts.list_all(db, 1)] == ["other"]
    assert [record.id for record in conflicts.list_open(db)] == ["other", "old"]
    newest = conflicts.newest_at(db, b"f")
    assert newest is not None
    assert newest.id == "new"
    assert conflicts.newest_at(db, b"none") is None
    counts = conflicts.counts(db)
    assert (counts.total, counts.open, counts.manual) == (3, 2, 1)


def test_settle(db: DB) -> None:
    trash = TrashRef(SOURCE, "kept", "slot")
    conflicts.put(db, conflict("1", state=OPEN, trash=trash))
    assert conflicts.pinned_batches(db) == {"kept"}
    settled = conflicts.settle(db, "1")
    assert settled is not None
    assert settled.state == SETTLED
    assert conflicts.get(db, "1") == settled
    assert conflicts.pinned_batches(db) == frozenset()
    assert conflicts.settle(db, "none") is None
    conflicts.remove(db, "1")
    assert conflicts.counts(db).total == 0


# Approvals.


def test_approvals(db: DB) -> None:
    approvals.approve(db, ["a", "b"], 5)
    approvals.approve(db, ["b", "c"], 9)
    assert approvals.approved(db) == {"a", "b", "c"}
    assert approvals.expire(db, 6) == 2
    assert approvals.approved(db) == {"c"}
    approvals.clear(db)
    assert approvals.approved(db) == frozenset()


# The journal.


def journal(db: DB) -> None:
    trash = TrashRef(DESTINATION, "one", "slot-1")
    history.add(
        db,
        "one",
        100,
        [
            Done(MakeDirectory(DESTINATION, b"d", DIRECTORY), DIRECTORY, None),
            Done(Put(DESTINATION, b"d/f", file("new"), file("old"), b"d/f"), file("new"), None, trash),
            Done(Put(DESTINATION, b"copy", file("new"), None, b"d/f"), file("new"), None),
        ],
    )
    elsewhere = TrashRef(SOURCE, "another", "slot-2")
    history.add(
        db,
        "two",
        200,
        [
            Done(Move(SOURCE, b"a", b"b", file("12345")), file("12345"), None),
            Done(Delete(SOURCE, b"x", file("123")), None, None, elsewhere),
            Done(RemoveDirectory(SOURCE, b"y", DIRECTORY), None, None),
            Done(SetMode(SOURCE, b"z", 0o700, file(mode=0o644)), file(mode=0o700), None),
        ],
    )


def test_journal_of_batches(db: DB) -> None:
    journal(db)
    assert [(batch.name, batch.actions) for batch in history.batches(db)] == [("two", 4), ("one", 3)]
    assert [batch.name for batch in history.batches(db, before_ns=150)] == ["one"]
    history.add(db, "one", 300, [Done(Delete(SOURCE, b"late", file()), None, None)])
    first = history.batches(db)[-1]
    assert (first.started_ns, first.ended_ns, first.actions) == (100, 300, 4)
    history.add(db, "empty", 400, [])
    assert len(history.batches(db)) == 2


def test_journal_of_actions(db: DB) -> None:
    journal(db)
    made, replaced, copied = history.actions(db, "one")
    assert (made.verb, made.side, made.path, made.trash) == ("mkdir", DESTINATION, b"d", None)
    assert (replaced.verb, replaced.size, replaced.old_mode) == ("put", 3, 0o644)
    assert replaced.trash == TrashRef(DESTINATION, "one", "slot-1")
    assert (copied.other_path, copied.old_mode) == (b"d/f", None)
    moved, deleted, removed, chmod = history.actions(db, "two")
    assert (moved.verb, moved.path, moved.other_path) == ("move", b"a", b"b")
    assert deleted.trash == TrashRef(SOURCE, "another", "slot-2")
    assert (removed.verb, chmod.verb, chmod.old_mode) == ("rmdir", "chmod", 0o644)
    assert history.actions(db, "none") == []
    assert [action.path for action in history.since(db, 150)] == [b"z", b"y", b"x", b"a"]


def test_journal_page_by_page(db: DB) -> None:
    journal(db)
    first = history.page(db, 3)
    assert [row.path for row in first] == [b"z", b"y", b"x"]
    second = history.page(db, 10, before=first[-1].entry_id)
    assert [row.path for row in second] == [b"a", b"copy", b"d/f", b"d"]
    assert second[2].trash == TrashRef(DESTINATION, "one", "slot-1")
    assert first[2].trash == TrashRef(SOURCE, "another", "slot-2")
    assert history.page(db, 10, before=second[-1].entry_id) == []


@pytest.mark.parametrize(
    ("beneath", "expected"),
    [
        (b"d", [b"d/f", b"d"]),
        (b"d/f", [b"copy", b"d/f"]),
        (b"b", [b"a"]),
        (b"", [b"z", b"y", b"x", b"a", b"copy", b"d/f", b"d"]),
        (b"none", []),
    ],
)
def test_journal_of_a_subtree(db: DB, beneath: bytes, expected: list[bytes]) -> None:
    journal(db)
    history.add(db, "three", 300, [Done(Delete(SOURCE, b"dot", file()), None, None)])
    found = [row.path for row in history.page(db, 10, beneath=beneath)]
    assert found == ([b"dot", *expected] if not beneath else expected)


def test_deletions_of_the_window(db: DB) -> None:
    journal(db)
    assert history.deleted_since(db, SOURCE, 0) == (1, 3)
    assert history.deleted_since(db, SOURCE, 201) == (0, 0)
    assert history.deleted_since(db, DESTINATION, 0) == (0, 0)


def test_prune(db: DB) -> None:
    journal(db)
    assert history.prune(db, 150, frozenset({"one"})) == 0
    assert history.prune(db, 150) == 1
    assert history.actions(db, "one") == []
    assert [batch.name for batch in history.batches(db)] == ["two"]


# Single values.


def test_meta_values(db: DB) -> None:
    assert meta.get(db, "k") is None
    assert (meta.get_text(db, "k"), meta.get_int(db, "k", 7)) == (None, 7)
    meta.put_text(db, "k", "ü")
    assert meta.get_text(db, "k") == "ü"
    meta.put_int(db, "k", -5)
    assert meta.get_int(db, "k") == -5
    meta.clear(db, "k")
    assert meta.get(db, "k") is None
    assert meta.epoch(db) == "epoch"


def test_what_the_base_was_made_under(db: DB) -> None:
    assert (meta.rules(db), meta.pair_key(db), meta.is_first_sync_done(db)) == (None, None, False)
    meta.set_rules(db, "two-way|*.tmp")
    meta.set_pair_key(db, "key")
    meta.set_first_sync_done(db)
    assert (meta.rules(db), meta.pair_key(db), meta.is_first_sync_done(db)) == ("two-way|*.tmp", "key", True)
    meta.set_first_sync_done(db, False)
    assert not meta.is_first_sync_done(db)


def test_root_identities(db: DB) -> None:
    assert meta.root_identities(db) == {}
    roots = {SOURCE: RootIdentity(1, 2**63 + 5, "ext4"), DESTINATION: RootIdentity(3, 4, "xfs", "key")}
    meta.set_root_identities(db, roots)
    assert meta.root_identities(db) == roots


def test_ignore_files(db: DB) -> None:
    files = {(SOURCE, b""): b"*.o\n", (DESTINATION, b"d\xff"): b""}
    meta.set_ignore_files(db, files)
    assert meta.ignore_files(db) == files
    meta.set_ignore_files(db, {})
    assert meta.ignore_files(db) == {}


def test_observed_filter(db: DB) -> None:
    for side in Side:
        meta.set_observed_filter(db, side, side.word)
    assert meta.observed_filter(db, SOURCE) == "source"
    meta.forget_observed_filter(db, SOURCE)
    assert (meta.observed_filter(db, SOURCE), meta.observed_filter(db, DESTINATION)) == (None, "destination")


# Directory records.


def child(name: bytes, inode: int = 1) -> Child:
    return Child(name, Kind.FILE, 0o644, StatHint(inode, 2, 3, 4))


def test_records(db: DB) -> None:
    node_id = nodes.put(db, SOURCE, b"d", DIRECTORY)
    assert records.get(db, node_id) is None
    records.update_children(db, node_id, {b"x": child(b"x")})
    assert records.get(db, node_id) is None, "never listed: nothing is known"
    records.put(db, node_id, 2**64 - 3, records.EMPTY)
    records.update_child(db, SOURCE, b"d", {b"x": child(b"x"), b"y": child(b"y", 2**63)})
    records.update_child(db, SOURCE, b"none", {b"x": None})
    assert records.child(db, node_id, b"y") == child(b"y", 2**63)
    assert records.child(db, node_id, b"z") is None
    assert records.hint(db, SOURCE, b"d/x") == child(b"x").hint
    assert records.hint(db, SOURCE, b"none/x") is None
    assert records.find_directory(db, SOURCE, 2**64 - 3) == node_id
    assert records.find_directory(db, DESTINATION, 2**64 - 3) is None
    records.set_inode(db, node_id, 9)
    assert records.find_directory(db, SOURCE, 9) == node_id


@pytest.mark.parametrize("patched_from", [10**9, 50])
def test_hints_of_many_paths(db: DB, monkeypatch: pytest.MonkeyPatch, patched_from: int) -> None:
    monkeypatch.setattr(records, "PATCHED_FROM", patched_from)
    for side in Side:
        node_id = nodes.put(db, side, b"d", DIRECTORY)
        records.put(db, node_id, 5, records.EMPTY)
        records.update_children(db, node_id, {b"%d" % i: child(b"%d" % i, i) for i in range(9)})
        records.update_children(db, node_id, {b"3": None, b"4": child(b"4", 44), b"x": child(b"x", 9)})
        record = records.get(db, node_id)
        assert record is not None
        assert [one.name for one in unpack(record)] == [b"0", b"1", b"2", b"4", b"5", b"6", b"7", b"8", b"x"]
    asked = [(side, b"d/" + name) for side in Side for name in (b"1", b"3", b"4", b"x", b"none")]
    found = records.hints(db, [*asked, (SOURCE, b"top"), (SOURCE, b"none/x")])
    assert {key: hint.inode for key, hint in found.items()} == {
        (side, b"d/" + name): inode for side in Side for name, inode in ((b"1", 1), (b"4", 44), (b"x", 9))
    }


def test_records_go_with_their_directories(db: DB) -> None:
    for path in (b"d", b"d/e"):
        records.put(db, nodes.put(db, SOURCE, path, DIRECTORY), 5, records.EMPTY)
    nodes.remove(db, SOURCE, b"d")
    assert db.execute("SELECT count(*) FROM records").fetchone()[0] == 0


def test_directories_beneath_are_checked_again(db: DB) -> None:
    for path in (b"d", b"d/e", b"f"):
        records.put(db, nodes.put(db, SOURCE, path, DIRECTORY), 5, records.EMPTY)
    records.recheck_beneath(db, SOURCE, b"d")
    marked = db.execute("SELECT name FROM nodes WHERE flags & 256 ORDER BY name").fetchall()
    assert marked == [(b"d",), (b"e",)]
    records.recheck_beneath(db, SOURCE, b"nothing")
