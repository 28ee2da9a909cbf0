"""The ignore rules in force: read from both sides, kept over restarts, never lost to an unreadable file."""

import errno

from syncd.core.entry import Kind, Side
from syncd.sync.ignoring import MAX_IGNORE_FILE
from tests.sync.desk import D, Desk, S
from tests.sync.lab import OLD_NS


def names(desk: Desk, side: Side) -> set[bytes]:
    return {path for path, node in desk.disks[side].walk() if node.kind is Kind.FILE}


async def test_a_new_ignore_file_holds_in_the_same_scan() -> None:
    async with Desk.open() as desk:
        desk.users[S].write(b".syncignore", b"*.tmp\n", mtime_ns=OLD_NS)
        desk.users[S].write(b"x.tmp", b"1", mtime_ns=OLD_NS)
        await desk.sync()
        assert names(desk, D) == {b".syncignore"}


async def test_an_ignore_file_that_is_looked_at_has_all_observed_again() -> None:
    async with Desk.open() as desk:
        desk.users[S].write(b"x.tmp", b"1", mtime_ns=OLD_NS)
        await desk.sync()
        assert names(desk, D) == {b"x.tmp"}
        desk.users[S].write(b".syncignore", b"*.tmp\n", mtime_ns=OLD_NS)
        desk.users[D].delete(b"x.tmp")
        await desk.look(b".syncignore")
        await desk.sync()
        assert names(desk, S) == {b"x.tmp", b".syncignore"}, "an ignored name was deleted by nobody"
        assert "rules.changed" in desk.told


async def test_other_words_for_the_same_rules_change_nothing() -> None:
    async with Desk.open() as desk:
        desk.users[S].write(b".syncignore", b"*.tmp\n", mtime_ns=OLD_NS)
        await desk.sync()
        told = desk.told.count("rules.changed")
        desk.users[S].write(b".syncignore", b"# temporary\n*.tmp\n", mtime_ns=OLD_NS + 1)
        await desk.sync()
        assert desk.told.count("rules.changed") == told


async def test_rules_hold_over_a_restart_before_anything_is_scanned() -> None:
    async with Desk.open() as desk:
        desk.users[S].write(b".syncignore", b"*.tmp\n", mtime_ns=OLD_NS)
        await desk.sync()
        cycle = desk.restart()
        assert not cycle.filter.is_ignored(b"x.tmp", False)
        await cycle.open()
        assert cycle.filter.is_ignored(b"x.tmp", False)


async def test_an_unreadable_ignore_file_keeps_its_rules() -> None:
    async with Desk.open() as desk:
        desk.users[S].write(b".syncignore", b"*.tmp\n", mtime_ns=OLD_NS)
        desk.users[S].write(b"x.tmp", b"1", mtime_ns=OLD_NS)
        await desk.sync()
        desk.users[S].write(b".syncignore", b"", mtime_ns=OLD_NS + 1)
        desk.trees[S].fault = lambda operation, path: errno.EACCES if path == b".syncignore" else None
        await desk.sync()
        assert names(desk, D) == {b".syncignore"}
        assert desk.cycle.filter.is_ignored(b"x.tmp", False)


async def test_an_ignore_file_that_is_too_large_to_be_one_keeps_the_rules_before() -> None:
    async with Desk.open() as desk:
        desk.users[S].write(b".syncignore", b"*.tmp\n", mtime_ns=OLD_NS)
        await desk.sync()
        desk.users[S].write(b".syncignore", b"*\n" * MAX_IGNORE_FILE, mtime_ns=OLD_NS + 1)
        desk.users[S].write(b"f", b"1", mtime_ns=OLD_NS)
        await desk.sync()
        assert b"f" in names(desk, D), "nothing was hidden by it"


async def test_an_ignore_file_that_goes_takes_its_rules_along() -> None:
    async with Desk.open() as desk:
        desk.users[S].write(b".syncignore", b"*.tmp\n", mtime_ns=OLD_NS)
        desk.users[S].write(b"x.tmp", b"1", mtime_ns=OLD_NS)
        await desk.sync()
        desk.users[S].delete(b".syncignore")
        await desk.sync()
        assert names(desk, D) == {b"x.tmp"}
