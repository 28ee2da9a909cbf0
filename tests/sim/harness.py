"""One simulated run from its seed: lives of the daemon, crashes between them, the verdict at rest."""

import random
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Self, TypeVar

import anyio
import msgspec

from syncd.core.entry import Kind, Side
from syncd.daemon.pair import Pair, Timing
from syncd.index.database import Database
from syncd.index.driver import Connect, InlineDriver
from syncd.sync.cycle import Cycle
from syncd.sync.settings import PairSettings
from syncd.sync.settings import World as Ports
from syncd.tree.memory import MemoryTree
from syncd.tree.memory_machine import PowerCutError
from syncd.tree.port import Tree
from syncd.watch.port import Watcher
from tests.sim.loop import SeededLoop, run
from tests.sim.promise import Image, unequal
from tests.sim.world import BOTH, Eyes, Scenario, World, draw

T = TypeVar("T")

REST_ROUNDS = 6
REST_S = 1000.0


class Verdict(msgspec.Struct, frozen=True):
    """How a run ended: what was broken (nothing, one hopes), and the trace."""

    seed: int
    broken: tuple[str, ...]
    digest: str
    trace: tuple[str, ...]


class Disc:
    """Where the index lives: it outlasts the daemon, as a committed transaction outlasts a power cut."""

    def __init__(self) -> None:
        self.connection: sqlite3.Connection | None = None

    def driver(self) -> "type[SimDriver]":
        """A driver for one life. `is_dead`: the life is over, nothing reaches the disc any more."""
        return type("LifeDriver", (SimDriver,), {"disc": self, "is_dead": False})


class SimDriver(InlineDriver):
    """The inline driver over a connection that is kept between lives."""

    disc: Disc
    is_dead = False

    @classmethod
    async def open(cls, connect: Connect) -> Self:
        if cls.disc.connection is None:
            cls.disc.connection = connect()
        await anyio.lowlevel.checkpoint()
        return cls(cls.disc.connection)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if type(self).is_dead:
            raise PowerCutError
        result = await super().run(lambda db: self._unless_dead(db, work))
        await anyio.lowlevel.cancel_shielded_checkpoint()
        return result

    def _unless_dead(self, db: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
        if type(self).is_dead:
            raise PowerCutError
        return work(db)

    async def close(self) -> None:
        """The connection stays with the disc."""
        await anyio.lowlevel.cancel_shielded_checkpoint()


class Life:
    """The daemon from one start to its end."""

    def __init__(self, world: World, disc: Disc) -> None:
        self._world = world
        scenario = world.scenario
        self.driver = disc.driver()
        self.trees = {
            side: MemoryTree(world.disks[side], side, pause=world.pause, fault=world.fault(side))
            for side in BOTH
        }
        self.eyes = {
            side: Eyes(
                world.disks[side], world.loop, random.Random(f"eyes {side.word}"), scenario.lost_events
            )
            for side in BOTH
        }
        self.pair: Pair | None = None

    async def begin(self) -> Pair:
        """Open the index and build the engine as the daemon does."""
        world, scenario = self._world, self._world.scenario
        database = await Database.open(None, driver=self.driver, epoch=world.new_id)
        settings = PairSettings(
            name="pair",
            mode=scenario.mode,
            policy=scenario.policy,
            initial=scenario.initial,
            compares_content=scenario.granularity_ns > 1,
            approves_holds=True,
            host="host",
        )
        ports = Ports(clock=world.clock, new_id=world.new_id, publish=world.publish)
        trees: dict[Side, Tree] = {side: self.trees[side] for side in BOTH}
        cycle = Cycle(settings, database, trees, ports)
        timing = Timing(settle_s=scenario.settle_s, rescan_s=None)
        self.pair = Pair(cycle, self.watchers, timing, ports, nullcontext)
        return self.pair

    def watchers(self) -> Mapping[Side, Watcher]:
        """Fresh watchers, as after every opening of the roots."""
        return {side: self.eyes[side].look_anew() for side in BOTH}

    def kill(self) -> None:
        """From now on nothing of this life reaches a disk."""
        self.driver.is_dead = True
        for tree in self.trees.values():
            tree.kill()

    def end(self) -> None:
        for eyes in self.eyes.values():
            eyes.close()


class Simulation:
    """A world and the lives of the daemon in it."""

    def __init__(self, seed: int, loop: SeededLoop, scenario: Scenario) -> None:
        self.seed = seed
        self.world = World(seed, loop, scenario)
        self._disc = Disc()
        self._random = random.Random(f"lives {seed}")

    async def run(self) -> Verdict:
        world = self.world
        for number in range(world.scenario.lives):
            is_last = number == world.scenario.lives - 1
            await self._live(is_last=is_last)
            world.check(f"after life {number + 1}")
        if self._disc.connection is not None:
            self._disc.connection.close()
        return Verdict(self.seed, tuple(world.broken), world.trace.digest, tuple(world.trace.lines))

    async def _live(self, *, is_last: bool) -> None:
        """People work while the daemon runs; then it rests, or it is killed at some await point."""
        world = self.world
        world.trace.note(f"life begins, last={is_last}")
        life = Life(world, self._disc)
        world.is_rough = True
        try:
            async with anyio.create_task_group() as tasks:
                pair = await life.begin()
                tasks.start_soon(pair.run)
                async with anyio.create_task_group() as people:
                    people.start_soon(world.unmount)
                    for side in BOTH:
                        people.start_soon(world.work, side)
                    if not is_last:
                        await anyio.sleep(self._random.random() * self._crash_window_s())
                        people.cancel_scope.cancel()
                if is_last:
                    await self._rest(pair)
                    await self._change_a_little(pair)
                    pair.request_stop()
                else:
                    world.trace.note("crash")
                    life.kill()
                    tasks.cancel_scope.cancel()
        except BaseException as error:
            if not is_caused_by_kill(error):
                raise
        finally:
            life.end()
        if not is_last:
            world.loop.begin_anew(f"{self.seed} {len(world.trace.lines)}")
            self._fall()

    def _crash_window_s(self) -> float:
        scenario = self.world.scenario
        return self._random.choice((0.05, 0.5, 1.0, 1.0)) * (scenario.deeds * scenario.haste_s / 2 + 0.5)

    def _fall(self) -> None:
        """What a crash leaves: everything (a killed process), or what was durable (a power cut)."""
        world = self.world
        for person in world.people.values():
            person.leave()
        if world.scenario.cuts_power:
            for side in BOTH:
                world.disks[side].power_cut(random.Random(f"cut {side.word} {self._random.random()}"))
        if world.scenario.are_apart:
            world.work_unseen(self._random.choice((0, 0, 1, 5)))

    async def _rest(self, pair: Pair) -> None:
        """Nobody edits and nothing fails any more: both sides must become what the mode says, and stay so."""
        world = self.world
        world.is_rough = False
        world.trace.note("rest")
        for person in world.people.values():
            person.leave()
        before: tuple[Image, Image] | None = None
        for _ in range(REST_ROUNDS):
            await anyio.sleep(REST_S)
            await pair.rescan().done.wait()
            await pair.sync().done.wait()
            now = world.disks[Side.SOURCE].image(), world.disks[Side.DESTINATION].image()
            if now == before:
                break
            before = now
        else:
            world.broken.append("E1: does not come to rest")
        self._judge(pair, now)

    async def _change_a_little(self, pair: Pair) -> None:
        """E3: after all that, one person edits two files and deletes a third; that, and nothing else, must
        happen on the other side. A base that remembers something else would undo it."""
        world = self.world
        side = world.scenario.mode.authority or self._random.choice(BOTH)
        here, there = world.disks[side], world.disks[side.other]
        files = [path for path, node in here.walk(world.people[side].home) if node.kind is Kind.FILE]
        chosen = self._random.sample(files, min(3, len(files)))
        contents = {path: world.people[side].change_one(path) for path in chosen[:2]}
        for path in chosen[2:]:
            world.people[side].user.delete(path)
            world.people[side].remember_home()
            world.trace.note(f"{side.word} last delete {path!r}")
        await self._rest(pair)
        for path, data in contents.items():
            for disk in (here, there):
                node = disk.at(path)
                if node is None or node.data != data:
                    world.broken.append(
                        f"E3: the last edit of {path!r} at the {side.word} is not on both sides"
                    )
        for path in chosen[2:]:
            if here.at(path) is not None or (there.at(path) is not None) is not world.scenario.mode.is_backup:
                world.broken.append(f"E3: the last deletion of {path!r} at the {side.word} was undone")

    def _judge(self, pair: Pair, now: tuple[Image, Image]) -> None:
        world = self.world
        problems = unequal(world.scenario.mode, *now)
        if problems:
            world.broken += problems
            world.trace.note(f"state {pair.state} trouble {pair.trouble!r} {pair.overview!r}")


def is_caused_by_kill(error: BaseException) -> bool:
    """Is it nothing but the end that `kill` and the cancellation made?"""
    if isinstance(error, BaseExceptionGroup):
        return all(is_caused_by_kill(one) for one in error.exceptions)
    return isinstance(error, PowerCutError)


def simulate(seed: int, scenario: Scenario | None = None) -> Verdict:
    """Run one seed, in its own scenario or another. Raises what the engine raises."""
    chosen = scenario or draw(seed)

    async def work(loop: SeededLoop) -> Verdict:
        return await Simulation(seed, loop, chosen).run()

    return run(seed, work)
