"""The world of one simulated run: two disks, people, watchers that miss things, faults, crashes, a trace.

Everything is drawn from the seed, and nothing else: no wall clock, no threads, no object addresses.
"""

import errno
import random
from collections.abc import Callable
from itertools import count

import anyio
import msgspec
from blake3 import blake3

from syncd.core.entry import Kind, Side
from syncd.core.mode import Mode
from syncd.core.reason import Reason
from syncd.core.rules import Initial, Policy
from syncd.tree.memory_disk import Disk
from syncd.watch.fake import FakeWatcher
from syncd.watch.port import Dirty, Event, Rescan
from tests.sim.ledger import Ledger
from tests.sim.loop import SeededLoop
from tests.sim.people import Person

BOTH = (Side.SOURCE, Side.DESTINATION)
EPOCH_NS = 1_790_000_000_000_000_000
MAX_INTRUSIONS = 60
"""Else edits would make work, and work edits, without end."""
FAULTS = (errno.EIO, errno.ENOSPC, errno.EACCES, errno.EROFS)


class Scenario(msgspec.Struct, frozen=True):
    """What kind of run a seed stands for. Chances are per await point, per event or per operation."""

    mode: Mode
    policy: Policy
    initial: Initial | None
    granularity_ns: int
    lives: int
    """How often the daemon runs; every life but the last ends in a crash."""
    cuts_power: bool
    deeds: int
    """Edits of each person in one life."""
    haste_s: float
    """How long people wait at most between two edits."""
    intrusion: float
    fault: float
    lost_events: float
    settle_s: float
    starts_filled: bool
    unmounts: bool
    """A root is gone for a while, and comes back."""
    are_apart: bool = False
    """Each person works in a directory of his own: nobody else may change what is in it."""
    fails_syncs: bool | None = None
    """Of what goes wrong: only syncs, everything but syncs, or anything (None)."""


HOMES = {Side.SOURCE: b"s", Side.DESTINATION: b"d"}


def draw_apart(seed: int) -> Scenario:
    """A scenario in which no conflict is due. A power cut would take edits back, so there is none."""
    scenario = draw(seed)
    return msgspec.structs.replace(
        scenario,
        mode=Mode.TWO_WAY,
        initial=None,
        lives=2 + seed % 3,
        cuts_power=False,
        unmounts=scenario.unmounts and seed % 2 == 0,
        are_apart=True,
        fails_syncs=seed % 2 == 1,
    )


def draw(seed: int) -> Scenario:
    """The scenario of a seed."""
    rng = random.Random(f"scenario {seed}")
    is_two_way = rng.random() < 0.6
    return Scenario(
        mode=Mode.TWO_WAY if is_two_way else rng.choice([mode for mode in Mode if mode is not Mode.TWO_WAY]),
        policy=rng.choice([policy for policy in Policy if policy is not Policy.MANUAL]),
        initial=rng.choice([None, None, *Initial]),
        granularity_ns=rng.choice((1, 1, 4_000_000, 10_000_000)),
        lives=rng.choice((1, 1, 2, 3)),
        cuts_power=rng.random() < 0.5,
        deeds=rng.choice((2, 5, 10, 20)),
        haste_s=rng.choice((0.02, 0.5, 5.0)),
        intrusion=rng.choice((0.0, 0.02, 0.1)),
        fault=rng.choice((0.0, 0.0, 0.02)),
        lost_events=rng.choice((0.0, 0.2, 1.0)),
        settle_s=rng.choice((0.0, 0.3)),
        starts_filled=rng.random() < 0.7,
        unmounts=rng.random() < 0.15,
    )


class Trace:
    """What happened, in order. Two runs of one seed have the same digest."""

    def __init__(self, loop: SeededLoop) -> None:
        self.lines: list[str] = []
        self._loop = loop

    def note(self, text: str) -> None:
        self.lines.append(f"{self._loop.now_ns / 1e9:.6f} {text}")

    @property
    def digest(self) -> str:
        return blake3("\n".join(self.lines).encode()).hexdigest()


class SimClock:
    """Virtual time, for records and for deadlines."""

    def __init__(self, loop: SeededLoop) -> None:
        self._loop = loop

    def now_ns(self) -> int:
        return EPOCH_NS + self._loop.now_ns

    def monotonic_ns(self) -> int:
        return self._loop.now_ns


class Eyes:
    """What a watcher sees of a disk: late, twice, or not at all."""

    def __init__(self, disk: Disk, loop: SeededLoop, rng: random.Random, lost: float) -> None:
        self.watcher = FakeWatcher()
        self._disk = disk
        self._loop = loop
        self._rng = rng
        self._lost = lost
        disk.listeners.append(self._see)

    def _tell(self, event: Event) -> None:
        self.watcher.emit((event,))

    def look_anew(self) -> FakeWatcher:
        """What the old watcher was about to say is lost."""
        self.watcher = FakeWatcher()
        return self.watcher

    def close(self) -> None:
        self._disk.listeners.remove(self._see)

    def _see(self, what: str, path: bytes) -> None:
        if self._rng.random() < self._lost:
            return
        node = self._disk.at(path)
        event: Event = Dirty(path, node is None)
        if node is not None and node.kind is Kind.DIRECTORY and what != "chmod":
            event = Rescan(path, Reason.ADDED)
        for _ in range(self._rng.choice((1, 1, 1, 2))):
            self._loop.call_later(self._rng.choice((0.0, 0.001, 0.2)), self._tell, event)


class World:
    """Two disks with their people. `is_rough`: edits intrude, calls fail; at rest nothing of it happens."""

    def __init__(self, seed: int, loop: SeededLoop, scenario: Scenario) -> None:
        self.scenario = scenario
        self.loop = loop
        self.clock = SimClock(loop)
        self.trace = Trace(loop)
        self.ledger = Ledger()
        self.is_rough = True
        self.broken: list[str] = []
        """Invariants that did not hold, with the moment."""
        self._intrusions_left = MAX_INTRUSIONS
        self._random = random.Random(f"world {seed}")
        self._ids = count(1)
        self.disks = {side: self._make_disk(side) for side in BOTH}
        self.people = {
            side: Person(
                side,
                self.disks[side],
                self.ledger,
                random.Random(f"{side.word} {seed}"),
                HOMES[side] if scenario.are_apart else b"",
            )
            for side in BOTH
        }
        if self.scenario.starts_filled:
            for person in self.people.values():
                for _ in range(12):
                    loop.now_ns += self._random.randrange(1, 3 * 10**9)
                    person.act()

    def _make_disk(self, side: Side) -> Disk:
        disk = Disk(self.clock.now_ns, granularity_ns=self.scenario.granularity_ns)

        def hear(what: str, path: bytes) -> None:
            node = disk.at(path)
            data = node.data[:24] if node is not None else b"-"
            self.trace.note(f"{side.word} {what} {path!r} {data!r}")

        disk.listeners.append(hear)
        return disk

    def new_id(self) -> str:
        return f"{self.loop.now_ns:020d}-{next(self._ids):06d}"

    def publish(self, kind: str, path: bytes | None = None, /, **data: object) -> None:
        told = " ".join(f"{key}={value}" for key, value in sorted(data.items()))
        self.trace.note(f"engine {kind} {path!r} {told}")
        if kind == "conflict.recorded" and self.scenario.are_apart:
            self.broken.append(f"E4: a conflict that nobody made: {path!r} {told}")

    # What the trees are given.

    async def pause(self) -> None:
        """An await point of a tree: somebody may edit just now, and it may take a while."""
        rng = self._random
        if self.is_rough and self._intrusions_left and rng.random() < self.scenario.intrusion:
            self._intrusions_left -= 1
            self._intrude(rng.choice(BOTH))
        if rng.random() < 0.1:
            await anyio.sleep(rng.random() * 0.02)
        else:
            await anyio.lowlevel.checkpoint()

    def _intrude(self, side: Side) -> None:
        told = self.people[side].act() if self.disks[side].is_mounted else None
        if told:
            self.trace.note(f"{side.word} intrusion {told}")

    def fault(self, side: Side) -> Callable[[str, bytes], int | None]:
        """What goes wrong at a side. A kill, or a sync that failed, leaves a doubt, which can be settled as
        long as the device works when it is looked at: so it does where people are apart."""
        only_syncs = self.scenario.fails_syncs
        has_failed = False

        def fail(operation: str, path: bytes) -> int | None:
            nonlocal has_failed
            if not self.is_rough or not self.scenario.fault or self._random.random() >= self.scenario.fault:
                has_failed &= operation != "sync"
                return None
            if only_syncs is not None and (operation == "sync") is not only_syncs:
                return None
            if only_syncs is not None and operation in ("look", "read"):
                return None
            has_failed = not has_failed
            if only_syncs and not has_failed:
                return None
            code = self._random.choice(FAULTS)
            self.trace.note(f"{side.word} fault {operation} {path!r} {errno.errorcode[code]}")
            return code

        return fail

    async def work(self, side: Side) -> None:
        """A person's day."""
        rng = random.Random(f"work {side.word} {self._random.random()}")
        for _ in range(self.scenario.deeds):
            await anyio.sleep(rng.random() * self.scenario.haste_s)
            told = self.people[side].act() if self.disks[side].is_mounted else None
            if told:
                self.trace.note(f"{side.word} user {told}")

    def work_unseen(self, deeds: int) -> None:
        """People go on while no daemon runs."""
        for _ in range(deeds):
            side = self._random.choice(BOTH)
            told = self.people[side].act()
            if told:
                self.trace.note(f"{side.word} unseen {told}")

    async def unmount(self) -> None:
        """Take a root away for some seconds."""
        if not self.scenario.unmounts:
            return
        disk = self.disks[self._random.choice(BOTH)]
        await anyio.sleep(self._random.random() * self.scenario.haste_s * 3)
        self.trace.note("unmount")
        disk.is_mounted = False
        try:
            await anyio.sleep(self._random.random() * 10)
        finally:
            disk.is_mounted = True
            self.trace.note("mount")

    # What must hold.

    def check(self, moment: str) -> None:
        """S1 and S2, now, and that nobody but a person changed what is his alone."""
        for person in self.people.values():
            person.check_home()
            self.broken += [f"E4 {moment}: {line}" for line in person.meddled]
            person.meddled.clear()
        disks = list(self.disks.values())
        self.broken += [f"S1 {moment}: lost {story}" for story in self.ledger.missing(disks)]
        for side, disk in self.disks.items():
            self.broken += [f"S2 {moment}: {side.word} {path!r}" for path in self.ledger.unheard(disk)]
