"""Cycles over two trees in memory: broken off, in windows, against people and errors that do not give way."""

import errno
from collections.abc import Sequence
from itertools import count

import anyio
import pytest

from syncd.core.action import Result
from syncd.core.entry import Side
from syncd.core.error import NeedsUser, TransientError
from syncd.core.guard import Brake
from syncd.core.mode import Mode
from syncd.core.reason import Reason
from syncd.index import pending
from syncd.sync import cycle, executor, gathering
from syncd.sync.bookkeeping import MAX_VERDICTS, movable_in
from syncd.tree.memory import MemoryTree
from syncd.tree.port import Batch
from tests.sync.desk import D, Desk, S, files, fill
from tests.sync.lab import OLD_NS


async def issues(desk: Desk) -> dict[bytes, Reason]:
    return {row.path: row.reason for row in await desk.database.read(pending.list_all)}


# Windows.


async def test_large_trees_are_planned_in_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Additions go first; deletions, moves and conflicts wait until all of it is known."""
    monkeypatch.setattr(gathering, "PAGE", 3)
    monkeypatch.setattr(gathering, "WINDOW", 4)
    async with Desk.open() as desk:
        fill(desk, *(b"old%d/f%d" % (i, j) for i in range(3) for j in range(5)))
        await desk.sync()
        desk.users[S].rename(b"old0", b"renamed")
        for j in range(5):
            desk.users[D].delete(b"old1/f%d" % j)
        desk.users[D].delete(b"old1")
        fill(desk, *(b"new/f%d" % j for j in range(12)))
        report = await desk.sync()
        assert report.is_complete
        assert report.rounds > 3
        assert files(desk, S) == files(desk, D)
        assert len(files(desk, S)) == 22
        assert desk.told.count("directory.moved") == 1


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "PAGE", 2)
    monkeypatch.setattr(gathering, "WINDOW", 3)


async def test_a_directory_of_many_windows_takes_the_name_of_a_file(narrow: None) -> None:
    """What is beneath it waits for the name, and keeps nobody else waiting."""
    async with Desk.open() as desk:
        fill(desk, b"data", b"z")
        await desk.sync()
        desk.users[S].delete(b"data")
        desk.users[S].mkdir(b"data")
        fill(desk, *(b"data/%s/f%d" % (name, j) for name in (b"a", b"b") for j in range(9)))
        desk.users[S].delete(b"z")
        fill(desk, *(b"z/f%d" % j for j in range(4)))
        report = await desk.sync()
        assert report.is_complete
        assert files(desk, S) == files(desk, D)
        assert len(files(desk, D)) == 22


async def test_a_file_takes_the_name_of_a_kept_directory_of_many_windows(narrow: None) -> None:
    """A backup deletes nothing: the directory with what was left alone in it goes aside as a whole."""
    async with Desk.open(mode=Mode.SOURCE_BACKUP) as desk:
        fill(desk, b"name/first")
        await desk.sync()
        fill(desk, *(b"name/f%d" % j for j in range(10)), side=D)
        desk.users[S].delete(b"name/first")
        desk.users[S].delete(b"name")
        fill(desk, b"name")
        report = await desk.sync()
        assert report.is_complete
        assert files(desk, D)[b"name"] == b"content of name"
        kept = {data for path, data in files(desk, D).items() if path.startswith(b"name.")}
        kept |= {data for path, data in files(desk, D).items() if path.startswith(b"name ")}
        assert {b"content of name/f%d" % j for j in range(10)} <= kept


async def test_equal_trees_of_many_windows_are_adopted_at_once(narrow: None) -> None:
    """A window without an action is an advance, too."""
    async with Desk.open() as desk:
        names = [b"f%02d" % j for j in range(60)]
        fill(desk, *names)
        fill(desk, *names, side=D)
        report = await desk.sync()
        assert report.is_complete
        assert report.done == 0
        assert (await desk.sync()).rounds == 1


@pytest.mark.parametrize(
    ("mode", "there", "prepared"),
    [(Mode.TWO_WAY, 0, [S]), (Mode.TWO_WAY, 9, []), (Mode.SOURCE_TO_DESTINATION, 0, [])],
    ids=["much-to-come", "all-there", "nothing-goes-there"],
)
async def test_a_tree_prepares_while_the_other_is_scanned(
    monkeypatch: pytest.MonkeyPatch, mode: Mode, there: int, prepared: list[Side]
) -> None:
    told: list[Side] = []

    async def prepare(self: MemoryTree, source: MemoryTree) -> None:
        assert source.side is self.side.other
        told.append(self.side)

    monkeypatch.setattr(cycle, "MANY", 5)
    monkeypatch.setattr(MemoryTree, "prepare", prepare)
    async with Desk.open(mode=mode) as desk:
        fill(desk, *(b"%02d/f" % number for number in range(20)), side=D)
        fill(desk, *(b"%02d/f" % number for number in range(2 * there)))
        await desk.cycle.open()
        await desk.cycle.observe_all()
        assert told == prepared


async def test_the_last_puts_of_a_window_go_on_beside_the_next_one(
    narrow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that takes its time holds up neither the next plan nor its directories."""
    async with Desk.open() as desk:
        fill(desk, *(b"d%d/f" % j for j in range(6)))
        await desk.cycle.open()
        await desk.cycle.observe_all()
        real, order, late = desk.trees[D].apply, list[bytes](), anyio.Event()

        async def apply(batch: Batch) -> Sequence[Result]:
            first = batch.steps[0].action.path
            if first == b"d0/f":
                await late.wait()
            order.extend(step.action.path for step in batch.steps)
            if b"d2" in order:
                late.set()
            return await real(batch)

        monkeypatch.setattr(desk.trees[D], "apply", apply)
        with anyio.fail_after(5):
            report = await desk.cycle.synchronise(lambda: False)
        assert order.index(b"d0/f") > order.index(b"d2")
        assert (report.is_complete, report.done) == (True, 12)
        assert files(desk, S) == files(desk, D)


async def test_progress_tells_of_the_whole_walk(narrow: None, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Desk.open() as desk:
        fill(desk, *(b"f%02d" % j for j in range(20)))
        await desk.cycle.open()
        await desk.cycle.observe_all()
        real, seen, progress = desk.trees[D].apply, list[tuple[int, int, int]](), desk.cycle.progress

        async def apply(batch: Batch) -> Sequence[Result]:
            seen.append((progress.done, progress.total, progress.bytes_total))
            return await real(batch)

        monkeypatch.setattr(desk.trees[D], "apply", apply)
        await desk.cycle.synchronise(lambda: False)
        assert {(total, size) for _, total, size in seen} == {(20, 20 * len(b"content of f00"))}
        assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
        assert (progress.done, progress.phase) == (20, "")


async def test_many_named_paths_are_taken_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "PAGE", 2)
    monkeypatch.setattr(gathering, "WINDOW", 3)
    async with Desk.open() as desk:
        await desk.sync()
        names = [b"f%d" % i for i in range(11)]
        fill(desk, *names)
        await desk.cycle.observe(S, names, ())
        assert (await desk.cycle.synchronise(lambda: False)).is_complete
        assert files(desk, S) == files(desk, D)


async def test_names_that_change_hands_are_moved_in_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many others move: what is parked can arrive only when its name is free."""
    monkeypatch.setattr(executor, "MAX_STEPS", 1)
    async with Desk.open() as desk:
        fill(desk, b"x", b"y", *(b"m%d" % j for j in range(5)))
        await desk.sync()
        user = desk.users[S]
        for j in range(5):
            user.rename(b"m%d" % j, b"a%d" % j)
        for old, new in ((b"x", b"z"), (b"y", b"x"), (b"z", b"y")):
            user.rename(old, new)
        report = await desk.sync()
        assert report.is_complete
        assert files(desk, D) == files(desk, S)
        assert files(desk, D)[b"x"] == b"content of y"
        assert desk.told.count("file.moved") == 7


# Renames of directories.


@pytest.mark.parametrize(("rule", "kept"), [("*.tmp", b"new/x.tmp"), ("/old/*.tmp", b"old/x.tmp")])
async def test_a_directory_moves_as_one_only_if_its_ignored_names_stay_so(rule: str, kept: bytes) -> None:
    """What the destination ignores goes along, or stays where it is ignored; nobody gets to see it."""
    async with Desk.open(ignore=(rule,)) as desk:
        fill(desk, b"old/f", b"old/deep/g")
        await desk.sync()
        fill(desk, b"old/x.tmp", side=D)
        await desk.sync()
        desk.users[S].rename(b"old", b"new")
        await desk.sync()
        moved = {b"new/f": b"content of old/f", b"new/deep/g": b"content of old/deep/g"}
        assert files(desk, S) == moved
        assert files(desk, D) == {**moved, kept: b"content of old/x.tmp"}


async def test_a_directory_with_very_many_names_goes_path_by_path_under_rules() -> None:
    """Judging them all would take longer than moving them one by one."""
    async with Desk.open(ignore=("*.tmp",)) as desk:
        desk.users[S].mkdir(b"old")
        for i in range(MAX_VERDICTS + 1):
            desk.users[S].write(b"old/%d" % i, b"", mtime_ns=OLD_NS)
        await desk.cycle.open()
        await desk.cycle.observe_all()
        is_movable = await desk.database.read(
            lambda db: movable_in(db, desk.cycle.filter)(S, b"old", b"new"),
        )
        assert not is_movable


async def test_moves_that_cannot_be_made_keep_nothing_waiting() -> None:
    async with Desk.open() as desk:
        fill(desk, b"old/f", b"g")
        await desk.sync()
        desk.users[S].rename(b"old", b"new")
        fill(desk, b"h")
        fault = {("move", b"old"): errno.EACCES, ("rename", b"old"): errno.EACCES}
        desk.trees[D].fault = lambda operation, path: fault.get((operation, path))
        await desk.sync()
        assert files(desk, D)[b"h"] == b"content of h"
        desk.trees[D].fault = lambda operation, path: None
        desk.now += 10**15
        await desk.cycle.observe_all()
        await desk.cycle.synchronise(lambda: False, retries_all=True)
        assert files(desk, S) == files(desk, D)


# What cannot be seen.


async def test_a_directory_that_cannot_be_listed_is_an_issue_until_it_can() -> None:
    async with Desk.open() as desk:
        fill(desk, b"d/f", b"g")
        desk.trees[S].fault = lambda operation, path: (
            errno.EACCES if (operation, path) == ("scan", b"d") else None
        )
        await desk.sync()
        assert await issues(desk) == {b"d": Reason.UNREADABLE}
        assert files(desk, D) == {b"g": b"content of g"}
        desk.trees[S].fault = lambda operation, path: None
        await desk.cycle.synchronise(lambda: False, retries_all=True)
        assert await issues(desk) == {}
        assert files(desk, S) == files(desk, D)


async def test_what_lies_beneath_an_unlisted_directory_waits_for_its_listing() -> None:
    """The other side has names there: nobody knows whether this side has them, too."""
    async with Desk.open() as desk:
        fill(desk, b"d/f")
        fill(desk, b"d/g", side=D)
        desk.trees[S].fault = lambda operation, path: (
            errno.EIO if (operation, path) == ("scan", b"d") else None
        )
        await desk.sync()
        assert set(files(desk, D)) == {b"d/g"}
        assert set(files(desk, S)) == {b"d/f"}
        desk.trees[S].fault = lambda operation, path: None
        desk.now += 10**15
        await desk.cycle.synchronise(lambda: False)
        assert files(desk, S) == files(desk, D) == {b"d/f": b"content of d/f", b"d/g": b"content of d/g"}


async def test_a_name_that_cannot_be_synchronised_stays_an_issue_until_it_is_gone() -> None:
    async with Desk.open() as desk:
        fill(desk, b".SYNCD", b"d/f")
        await desk.sync()
        for _ in range(3):
            desk.now += 10**13
            await desk.cycle.synchronise(lambda: False, retries_all=True)
            assert await issues(desk) == {b".SYNCD": Reason.RESERVED_NAME}
        desk.users[S].rename(b".SYNCD", b"fine")
        await desk.cycle.synchronise(lambda: False, retries_all=True)
        assert await issues(desk) == {}
        await desk.look(b"fine")
        assert files(desk, S) == files(desk, D)


async def test_a_root_that_goes_away_stops_everything() -> None:
    async with Desk.open() as desk:
        fill(desk, b"f")
        await desk.sync()
        desk.users[S].delete(b"f")
        await desk.cycle.observe(S, [b"f"], ())
        desk.disks[D].is_mounted = False
        with pytest.raises(NeedsUser) as caught:
            await desk.cycle.synchronise(lambda: False)
        assert caught.value.reason is Reason.ROOT_MISSING
        desk.disks[D].is_mounted = True
        assert files(desk, D) == {b"f": b"content of f"}
        await desk.sync()
        assert files(desk, D) == {}


# People who do not give way.


async def test_a_file_that_always_changes_is_left_for_later_and_keeps_nothing_waiting() -> None:
    async with Desk.open() as desk:
        fill(desk, b"log", b"quiet")
        await desk.sync()
        versions = count()

        def write(operation: str, path: bytes) -> None:
            if path == b"log" and operation in {"put", "read", "content", "stage"}:
                desk.users[S].append(b"log", b"line %d\n" % next(versions))

        desk.trees[S].fault = write
        desk.trees[D].fault = write
        desk.users[S].append(b"log", b"first\n")
        fill(desk, b"another")
        await desk.sync()
        assert files(desk, D)[b"another"] == b"content of another"
        desk.trees[S].fault = desk.trees[D].fault = lambda operation, path: None
        await desk.sync()
        assert files(desk, S) == files(desk, D)


async def test_what_fills_a_directory_that_is_to_go_keeps_it() -> None:
    """A special file that nobody synchronises came after the last look."""
    async with Desk.open(mode=Mode.SOURCE_TO_DESTINATION) as desk:
        fill(desk, b"d/f")
        await desk.sync()
        desk.users[S].delete(b"d/f")
        desk.users[S].delete(b"d")
        await desk.cycle.observe_all()
        desk.users[D].mkfifo(b"d/pipe")
        await desk.cycle.synchronise(lambda: False)
        assert desk.disks[D].at(b"d/pipe") is not None
        assert desk.disks[D].at(b"d/f") is None


# Holds in the middle.


async def test_what_a_later_round_would_delete_waits_with_the_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "PAGE", 3)
    monkeypatch.setattr(gathering, "WINDOW", 4)
    brake = Brake(files=3, percent=5)
    async with Desk.open(approves_holds=False, brake=brake) as desk:
        fill(desk, *(b"d/f%d" % i for i in range(12)), b"z")
        await desk.sync()
        for i in range(8):
            desk.users[S].delete(b"d/f%d" % i)
        desk.users[S].delete(b"z")
        fill(desk, *(b"e/n%d" % i for i in range(9)))
        report = await desk.sync()
        assert report.hold is not None
        assert len([path for path in files(desk, D) if path.startswith(b"d/")]) == 12
        assert len([path for path in files(desk, D) if path.startswith(b"e/")]) == 9
        again = await desk.sync()
        assert again.hold is not None
        assert {item.path for item in again.hold.destructive} == {b"z", *(b"d/f%d" % i for i in range(8))}


async def test_an_edit_that_beats_a_deletion_is_told() -> None:
    async with Desk.open() as desk:
        fill(desk, b"f")
        await desk.sync()
        desk.users[S].delete(b"f")
        desk.users[D].write(b"f", b"edited", mtime_ns=OLD_NS + 1)
        await desk.sync()
        assert files(desk, S) == files(desk, D) == {b"f": b"edited"}
        (record,) = await desk.records()
        assert (record.kind, record.winner) == (Reason.EDIT_BEATS_DELETE, D)
        assert "path.reported" in desk.told


async def test_totals_are_what_is_visible() -> None:
    async with Desk.open(ignore=("*.tmp",)) as desk:
        fill(desk, b"a", b"d/b", b"x.tmp")
        await desk.sync()
        assert await desk.cycle.totals() == {S: (2, 26), D: (2, 26)}
        assert not desk.cycle.is_first_sync


async def test_a_root_that_goes_away_while_files_are_put_is_told_as_such(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not as a group of errors, which nobody waits for: the pair would count it as a crash."""
    async with Desk.open() as desk:
        fill(desk, b"a", b"b")
        await desk.cycle.open()
        await desk.cycle.observe_all()

        async def gone(batch: Batch) -> list[Result]:
            raise NeedsUser(Reason.ROOT_MISSING, "unmounted")

        monkeypatch.setattr(desk.cycle.trees[D], "apply", gone)
        with pytest.raises(NeedsUser, match="unmounted"):
            await desk.cycle.synchronise(lambda: False)


# A full disk.


async def test_a_full_disk_makes_the_pair_wait_and_blames_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "MAX_BATCH_BYTES", 100)
    async with Desk.open() as desk:
        fill(desk, *(b"d/%d" % number for number in range(12)))
        fill(desk, b"mine", side=D)
        await desk.cycle.open()
        await desk.cycle.observe_all()
        tries = count()
        desk.trees[D].fault = lambda operation, path: (
            errno.ENOSPC if operation == "stage" and next(tries) >= 5 else None
        )
        for _ in range(pending.QUARANTINE_AFTER + 1):
            with pytest.raises(TransientError) as caught:
                await desk.cycle.synchronise(lambda: False)
            assert caught.value.reason is Reason.DISK_FULL
            assert "destination" in caught.value.detail
        assert next(tries) < 6 * pending.QUARANTINE_AFTER, "all twelve files were tried again and again"
        assert files(desk, S)[b"mine"] == b"content of mine", "the other side has room"
        rows = await desk.database.read(pending.list_all)
        assert {row.shown_reason for row in rows} == {Reason.DISK_FULL}
        desk.trees[D].fault = lambda operation, path: None
        report = await desk.cycle.synchronise(lambda: False)
        assert (report.is_complete, report.is_stopped) == (True, False)
        assert files(desk, S) == files(desk, D)
        assert await issues(desk) == {}


async def test_what_fits_on_a_full_disk_is_put_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file stands first in its batch, and the disk has room for small ones only."""
    async with Desk.open() as desk:
        desk.users[S].write(b"a large one", b"x" * 1000, mtime_ns=OLD_NS)
        desk.users[S].write(b"b large one", b"x" * 1000, mtime_ns=OLD_NS)
        fill(desk, b"c", b"d", b"e")
        large = {b"a large one", b"b large one"}
        desk.trees[D].fault = lambda operation, path: (
            errno.ENOSPC if operation == "stage" and path in large else None
        )
        await desk.cycle.open()
        await desk.cycle.observe_all()
        report = await desk.cycle.synchronise(lambda: False)
        assert set(files(desk, D)) == {b"c", b"d", b"e"}
        assert await issues(desk) == dict.fromkeys(large, Reason.DISK_FULL)
        assert report.is_complete, "nothing was left untried"
