"""What only the tree in memory can show: edits between any two steps of an apply, faults, power cuts."""

import errno
import random
from collections.abc import Callable
from functools import partial

import pytest

from syncd.core.action import Delete, Done, Failed, MakeDirectory, Move, Put, Result, SetMode, Stale
from syncd.core.entry import Entry, Kind, Side
from syncd.core.error import NeedsUser, StaleError
from syncd.core.reason import Reason
from syncd.tree.memory import MemoryTree
from syncd.tree.memory_disk import Disk
from syncd.tree.memory_machine import PowerCutError
from syncd.tree.memory_trash import slots
from syncd.tree.memory_user import User
from syncd.tree.port import Batch, Step
from tests.contract.bench import OLD_NS, Bench, MemoryHands, Ticking, file_entry, without_digest

HERE = Side.DESTINATION
LATER_NS = OLD_NS + 9
DIRECTORY = Entry(Kind.DIRECTORY, 0o755)


class Lab:
    """Two benches; `at_step` runs a deed at the n-th await point of the next apply."""

    def __init__(self, granularity_ns: int = 1) -> None:
        self._clock = Ticking()
        self.disk = Disk(self._clock, granularity_ns=granularity_ns)
        self.tree = MemoryTree(self.disk, HERE, pause=self._pause)
        self.bench = Bench(self.tree, MemoryHands(self.disk))
        source = Disk(self._clock)
        self.source = Bench(MemoryTree(source, HERE.other), MemoryHands(source))
        self.user = User(self.disk)
        self.steps = 0
        self._when = -1
        self._deed: Callable[[], object] = lambda: None

    async def _pause(self) -> None:
        self.steps += 1
        if self.steps == self._when:
            self._deed()

    def at_step(self, number: int, deed: Callable[[], object]) -> None:
        self.steps, self._when, self._deed = 0, number, deed

    def everything(self) -> set[bytes]:
        """All contents on the disk, in the tree and in the trash."""
        found = set()
        stack = [self.disk.root, self.disk.control]
        while stack:
            node = stack.pop()
            found.add(node.data)
            stack.extend(node.children.values())
        return found

    async def replace(self) -> Step:
        self.bench.hands.write(b"f", b"old bytes")
        self.source.hands.write(b"f", b"their bytes")
        action = Put(HERE, b"f", file_entry(b"their bytes"), file_entry(b"old bytes"), b"f")
        return await self.bench.step(action, self.source)


MAX_STEPS = 14


@pytest.mark.parametrize("number", range(1, MAX_STEPS))
async def test_an_edit_at_any_step_of_a_replacement_survives(number: int) -> None:
    lab = Lab()
    step = await lab.replace()
    lab.at_step(number, lambda: lab.user.write(b"f", b"user edit"))
    (result,) = await lab.bench.run(step)
    assert isinstance(result, Done | Stale)
    assert b"user edit" in lab.everything() or lab.steps < number
    if isinstance(result, Stale) and lab.steps >= number:
        assert lab.user.read(b"f") == b"user edit"


@pytest.mark.parametrize("number", range(1, MAX_STEPS))
async def test_a_save_by_rename_at_any_step_survives(number: int) -> None:
    lab = Lab()
    step = await lab.replace()
    lab.user.write(b"f~", b"user save")
    lab.at_step(number, lambda: lab.user.rename(b"f~", b"f"))
    (result,) = await lab.bench.run(step)
    assert b"user save" in lab.everything()
    if isinstance(result, Done) and lab.steps >= number and lab.user.read(b"f") == b"user save":
        child = await lab.bench.child(b"f")
        assert child is not None
        assert result.hint != child.hint, "an edit after the exchange must be seen by the next observation"


@pytest.mark.parametrize("number", range(1, MAX_STEPS))
async def test_a_delete_at_any_step_of_a_replacement_is_harmless(number: int) -> None:
    lab = Lab()
    step = await lab.replace()
    lab.at_step(number, lambda: lab.user.delete(b"f"))
    (result,) = await lab.bench.run(step)
    assert isinstance(result, Done | Stale)


@pytest.mark.parametrize("number", range(1, MAX_STEPS))
async def test_a_file_that_appears_at_any_step_of_a_new_put_survives(number: int) -> None:
    lab = Lab()
    lab.source.hands.write(b"f", b"theirs")
    step = await lab.bench.step(Put(HERE, b"f", file_entry(b"theirs"), None, b"f"), lab.source)
    lab.at_step(number, lambda: lab.user.write(b"f", b"user"))
    await lab.bench.run(step)
    assert b"user" in lab.everything() or lab.steps < number


@pytest.mark.parametrize("number", range(1, MAX_STEPS))
async def test_an_edit_at_any_step_of_a_delete_or_a_move_survives(number: int) -> None:
    for action in (Delete(HERE, b"f", file_entry(b"old")), Move(HERE, b"f", b"g", file_entry(b"old"))):
        lab = Lab()
        lab.bench.hands.write(b"f", b"old")
        step = await lab.bench.step(action)
        lab.at_step(number, partial(lab.user.write, b"f", b"user edit"))
        (result,) = await lab.bench.run(step)
        assert b"user edit" in lab.everything() or lab.steps < number, (result, action)


async def test_an_edit_within_one_tick_of_the_clock_is_found_by_its_digest() -> None:
    """Same size, same mtime, same inode: only the content tells (the racy rule)."""
    for number in range(1, MAX_STEPS):
        lab = Lab(granularity_ns=10**12)
        lab.user.write(b"f", b"old bytes")
        lab.source.hands.write(b"f", b"their bytes")
        expect = await lab.bench.entry(b"f")
        action = Put(HERE, b"f", file_entry(b"their bytes"), expect, b"f")
        step = await lab.bench.step(action, lab.source)
        lab.at_step(number, partial(lab.user.write, b"f", b"new bytes"))
        await lab.bench.run(step)
        assert b"new bytes" in lab.everything() or lab.steps < number


async def test_a_racy_file_of_unknown_digest_is_not_replaced() -> None:
    lab = Lab(granularity_ns=10**12)
    lab.user.write(b"f", b"old")
    lab.source.hands.write(b"f", b"theirs")
    expect = without_digest(await lab.bench.entry(b"f"))
    result = await lab.bench.do(Put(HERE, b"f", file_entry(b"theirs"), expect, b"f"), lab.source)
    assert isinstance(result, Stale)


async def test_content_that_changes_while_it_is_read_is_stale() -> None:
    for number in range(1, MAX_STEPS):
        lab = Lab()
        lab.source.hands.write(b"f", b"0123456789")
        action = Put(HERE, b"f", without_digest(file_entry(b"0123456789")), None, b"f")
        step = await lab.bench.step(action, lab.source)
        lab.at_step(number, partial(lab.source.hands.write, b"f", b"abcdefghij", mtime_ns=LATER_NS))
        (result,) = await lab.bench.run(step)
        put = lab.user.read(b"f") if isinstance(result, Done) else b"0123456789"
        assert put in (b"0123456789", b"abcdefghij")


async def test_a_writer_that_held_the_displaced_file_open_loses_nothing() -> None:
    lab = Lab()
    step = await lab.replace()
    handle = lab.user.open(b"f")
    (result,) = await lab.bench.run(step)
    handle.write(b"late write")
    handle.close()
    assert isinstance(result, Done)
    assert b"late write" in [node.data for _, _, node, _ in slots(lab.disk)]


async def test_bytes_that_race_twice_with_an_exchange_are_kept() -> None:
    """An edit before the exchange, another at the name before the swap back."""
    kept = []
    for first in range(4, MAX_STEPS):
        lab = Lab()
        step = await lab.replace()

        def edit_twice(lab: Lab = lab) -> None:
            lab.user.write(b"f", b"first edit")
            lab.at_step(1, lambda: lab.user.write(b"f", b"second edit"))

        lab.at_step(first, edit_twice)
        (result,) = await lab.bench.run(step)
        assert {b"second edit", b"first edit"} & lab.everything() or lab.user.read(b"f") == b"their bytes"
        kept.append(isinstance(result, Stale) and result.kept is not None)
    assert any(kept)


@pytest.mark.parametrize(
    ("operation", "code", "reason", "is_fatal"),
    [
        ("stage", errno.ENOSPC, Reason.DISK_FULL, True),
        ("put", errno.EACCES, Reason.NOT_PERMITTED, False),
        ("put", errno.EIO, Reason.IO_ERROR, False),
        ("put", errno.ENAMETOOLONG, Reason.PATH_TOO_LONG, False),
        ("sync", errno.EIO, Reason.IO_ERROR, True),
        ("put", errno.EROFS, Reason.READ_ONLY, True),
    ],
)
async def test_faults_become_failures_with_their_reason(
    operation: str, code: int, reason: Reason, is_fatal: bool
) -> None:
    lab = Lab()
    step = await lab.replace()
    lab.tree.fault = lambda asked, path: code if asked == operation else None
    (result,) = await lab.bench.run(step)
    assert isinstance(result, Failed)
    assert (result.reason, result.is_fatal) == (reason, is_fatal)
    assert b"old bytes" in lab.everything()


async def test_faults_of_observing_are_problems() -> None:
    lab = Lab()
    lab.user.write(b"f", b"1")
    lab.tree.fault = lambda asked, path: errno.EACCES
    (look,) = await lab.tree.look([b"f"])
    (digested,) = await lab.tree.digest([b"f"])
    assert look.problem is Reason.UNREADABLE
    assert digested.problem is Reason.UNREADABLE
    lab.disk.is_mounted = False
    assert (await lab.tree.look([b"f"]))[0].problem is not None
    problem = await lab.tree.check_root()
    assert problem is not None
    assert problem.reason is Reason.ROOT_MISSING
    with pytest.raises(NeedsUser):
        await lab.tree.open(known=None, adopt=False)


async def test_a_foreign_marker_is_refused_until_adopted() -> None:
    lab = Lab()
    lab.disk.marker = "somebody else"
    with pytest.raises(NeedsUser):
        await lab.tree.open(known=None, adopt=False)
    identity = await lab.tree.open(known=None, adopt=True)
    assert identity.marker == "pair"


async def test_a_killed_run_reaches_nothing() -> None:
    lab = Lab()
    step = await lab.replace()
    lab.at_step(4, lab.tree.kill)
    with pytest.raises(PowerCutError):
        await lab.bench.run(step)
    assert b"old bytes" in lab.everything()


@pytest.mark.parametrize("number", range(1, MAX_STEPS))
async def test_power_cut_at_any_step_leaves_old_or_new_and_loses_nothing(number: int) -> None:
    for seed in range(8):
        lab = Lab()
        step = await lab.replace()
        lab.user.write(b"a", b"content of a")
        lab.user.write(b"b", b"content of b")
        steps = [
            step,
            await lab.bench.step(
                Move(HERE, b"a", b"b", file_entry(b"content of a", mtime_ns=0), parked=True)
            ),
            await lab.bench.step(Move(HERE, b"b", b"a", file_entry(b"content of b", mtime_ns=0))),
        ]
        lab.at_step(number, lab.tree.kill)
        try:
            results: list[Result] = await lab.bench.run(*steps)
        except PowerCutError:
            results = []
        lab.disk.power_cut(random.Random(seed))
        after = MemoryTree(lab.disk, HERE)
        await after.open(known=None, adopt=False)
        assert {b"old bytes", b"content of a", b"content of b"} <= lab.everything()
        assert lab.user.read(b"f") in (b"old bytes", b"their bytes")
        if results:
            assert lab.user.read(b"f") == b"their bytes", "what was done is durable"
            assert (lab.user.read(b"a"), lab.user.read(b"b")) == (b"content of b", b"content of a")


async def test_unsynced_work_may_be_lost_in_a_cut_and_the_users_is_not() -> None:
    outcomes = set()
    for seed in range(20):
        lab = Lab()
        lab.user.mkdir(b"d")
        lab.user.write(b"d/f", b"user")
        node = lab.disk.new_node(Kind.FILE, 0o600)
        lab.disk.set_data(node, b"unsynced content")
        lab.disk.link_new(lab.disk.root, b"g", node)
        lab.disk.power_cut(random.Random(seed))
        assert lab.user.read(b"d/f") == b"user"
        outcomes.add(lab.disk.root.children[b"g"].data if b"g" in lab.disk.root.children else None)
    assert None in outcomes
    assert b"unsynced content" in outcomes
    assert len(outcomes) > 2, "torn content is possible, too"


async def test_inode_numbers_are_recycled() -> None:
    lab = Lab()
    lab.user.write(b"a", b"1")
    number = lab.disk.find(b"a").number
    handle = lab.user.open(b"a")
    lab.user.delete(b"a")
    lab.user.write(b"b", b"2")
    assert lab.disk.find(b"b").number != number
    handle.close()
    lab.user.write(b"c", b"3")
    assert lab.disk.find(b"c").number == number


async def test_stamps_are_cut_to_the_granularity() -> None:
    lab = Lab(granularity_ns=1_000_000)
    lab.bench.hands.write(b"f", b"1", mtime_ns=1_234_567_891)
    hint = await lab.bench.hint(b"f")
    assert hint is not None
    assert hint.mtime_ns == 1_234_000_000
    assert hint.ctime_ns % 1_000_000 == 0


async def test_what_a_disk_refuses() -> None:
    lab = Lab()
    lab.user.mkdir(b"d")
    lab.user.write(b"d/f", b"1")
    refused: list[tuple[Callable[[], object], int]] = [
        (lambda: lab.user.rename(b"d", b"d/x"), errno.EINVAL),
        (lambda: lab.user.write(b"x" * 256, b"1"), errno.ENAMETOOLONG),
        (lambda: lab.user.write(b"d/f/g", b"1"), errno.ENOTDIR),
        (lambda: lab.user.write(b"d", b"1"), errno.EISDIR),
        (lambda: lab.user.mkdir(b"d"), errno.EEXIST),
        (lambda: lab.user.rename(b"d", b"d/f"), errno.EINVAL),
        (lambda: lab.disk.unlink(lab.disk.root, b"d"), errno.ENOTEMPTY),
    ]
    for deed, code in refused:
        with pytest.raises(OSError) as caught:
            deed()
        assert caught.value.errno == code
    lab.user.append(b"d/f", b"2")
    assert lab.user.read(b"d/f") == b"12"


async def test_content_for_other_kinds_of_tree_is_a_descriptor() -> None:
    lab = Lab()
    lab.source.hands.write(b"f", b"content")
    content = lab.source.tree.content(b"f", file_entry(b"content"), None)
    fd = content.open_blocking()
    with open(fd, "rb") as file:
        assert file.read() == b"content"
        content.check_blocking(fd)
        lab.source.hands.write(b"f", b"another")
        with pytest.raises(StaleError):
            content.check_blocking(fd)
    with pytest.raises(StaleError):
        lab.source.tree.content(b"f", file_entry(b"other size"), None).open_blocking()


async def test_a_removed_directory_takes_nothing() -> None:
    """An edit that removes the parent between the check and the rename."""
    for number in range(1, MAX_STEPS):
        lab = Lab()
        lab.user.mkdir(b"d")
        lab.source.hands.write(b"f", b"theirs")
        step = await lab.bench.step(Put(HERE, b"d/f", file_entry(b"theirs"), None, b"f"), lab.source)
        lab.at_step(number, partial(lab.user.delete, b"d"))
        (result,) = await lab.bench.run(step)
        assert isinstance(result, Stale) or lab.steps < number or b"theirs" not in lab.everything()


async def test_mode_of_a_file_that_is_edited_meanwhile_is_seen_again() -> None:
    lab = Lab()
    lab.bench.hands.write(b"f", b"old")
    step = await lab.bench.step(SetMode(HERE, b"f", 0o600, file_entry(b"old")))
    lab.at_step(3, lambda: lab.user.write(b"f", b"edit"))
    (result,) = await lab.bench.run(step)
    child = await lab.bench.child(b"f")
    assert child is not None
    assert isinstance(result, Stale) or (isinstance(result, Done) and result.hint != child.hint)


async def test_batches_without_steps_and_directories_in_order() -> None:
    lab = Lab()
    assert list(await lab.tree.apply(Batch("empty", (), stop=lambda: False))) == []
    made = await lab.bench.run(
        await lab.bench.step(MakeDirectory(HERE, b"a", DIRECTORY)),
        await lab.bench.step(MakeDirectory(HERE, b"a/b", DIRECTORY)),
    )
    assert [type(one) for one in made] == [Done, Done]
