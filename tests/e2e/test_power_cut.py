"""Power cuts: the daemon on loop-mounted ext4, whose backing files are copied at random moments under load.

What ext4 has not written back is not in the copy; mounting it replays the journal, as a boot does. A copy
counts only if nothing was written to the device while it was made. `SYNCD_POWER_CUTS=50` makes so many
(default 4), `SYNCD_POWER_CUTS_FIRST` is the first seed; a seed is one world of up to `CUTS_A_WORLD` cuts.
"""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import msgspec
import pytest
from blake3 import blake3

from tests.e2e.disk import Item, brief, difference, kept, picture
from tests.e2e.kit import Daemon
from tests.e2e.territory import HOMES, Territory
from tests.e2e.users import tell

COUNT = int(os.environ.get("SYNCD_POWER_CUTS", "4"))
FIRST = int(os.environ.get("SYNCD_POWER_CUTS_FIRST", "0"))
CUTS_A_WORLD = 10
NAMES = ("careful", "careless")
IMAGE_BYTES = 64 << 20
SIZES = (0, 30, 30, 60, 300, 5000, 70_000, 400_000)
OPTIONS = ("commit=1", "commit=5", "data=writeback,commit=1", "data=writeback,commit=5")

WHY_NOT = (
    "needs root"
    if os.geteuid() != 0
    else "needs mkfs.ext4 and losetup"
    if not (shutil.which("mkfs.ext4") and shutil.which("losetup"))
    else ""
)
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=f"power cuts {WHY_NOT}")


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def mounted(image: Path, at: Path, options: str) -> Iterator[str]:
    """The image mounted at `at`; its loop device."""
    try:
        device = run("losetup", "--find", "--show", image)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no loop device: {error.stderr.strip()}")
    try:
        run("mount", "-o", options, device, at)
        try:
            yield device
        finally:
            run("umount", at)
    finally:
        run("losetup", "--detach", device)


class Disks(msgspec.Struct, frozen=True):
    """The file systems of a world: everything on one, or the destinations on a second one, whose syncs then
    bring nothing of the sources to the device."""

    room: Path
    options: str
    is_apart: bool

    @property
    def mount(self) -> Path:
        return self.room / "mount"

    def make(self) -> tuple[Path, ...]:
        """New images."""
        images = tuple(self.room / f"image-{number}" for number in range(1 + self.is_apart))
        for image in images:
            with image.open("wb") as file:
                file.truncate(IMAGE_BYTES)
            run("mkfs.ext4", "-q", "-m", "0", image)
        return images

    @contextmanager
    def attached(self, images: Sequence[Path]) -> Iterator[list[str]]:
        """Mounted where the world lives; the loop devices."""
        with ExitStack() as stack:
            self.mount.mkdir(parents=True, exist_ok=True)
            devices = [stack.enter_context(mounted(images[0], self.mount, self.options))]
            if self.is_apart:
                second = self.room / "second"
                second.mkdir(exist_ok=True)
                devices.append(stack.enter_context(mounted(images[1], second, self.options)))
                for name in NAMES:
                    place = self.mount / "trees" / name / "destination"
                    for directory in (second / name, place):
                        directory.mkdir(parents=True, exist_ok=True)
                    run("mount", "--bind", second / name, place)
                    stack.callback(run, "umount", place)
            yield devices


class Cut(msgspec.Struct, frozen=True):
    """One copy, and what the users had written by then: the careful ones, and the others."""

    images: tuple[Path, ...]
    twin: dict[bytes, Item]
    careless: dict[bytes, Item]
    required: dict[bytes, str]
    story: str


class World:
    """A file system with everything on it: trees, state, config, socket and log."""

    def __init__(self, room: Path, mount: Path, seed: int) -> None:
        self.rng = random.Random(f"cut {seed}")
        self.mount = mount
        named = f"cut {seed}"
        twins = room / "twins"
        self.careful = Territory(
            mount, NAMES[0], named, settle="0s", twins=twins, is_careful=True, sizes=SIZES
        )
        self.careless = Territory(mount, NAMES[1], named, settle="20ms", twins=twins, sizes=SIZES)
        self.territories = [self.careful, self.careless]
        self.daemon = Daemon(mount, [one.pair for one in self.territories])
        self.story: list[str] = []

    def work(self, for_s: float) -> None:
        until = time.monotonic() + for_s
        while time.monotonic() < until:
            territory = self.rng.choice(self.territories)
            user = self.rng.choice(territory.users)
            if user.act():
                self.story.append(f"{territory.pair.name}: {user.told[-1]}")
            time.sleep(min(max(0.0, until - time.monotonic()), self.rng.random() * 0.02))

    def cut(self, images: Sequence[Path], to: tuple[Path, ...], devices: Sequence[str]) -> Cut:
        """Copy the backing files: as the daemon runs if nothing is written just then, else it is stopped."""
        process = self.daemon.process
        assert process is not None
        is_stopped = False
        try:
            while not copied(images, to, devices):
                is_stopped = True
                process.send_signal(signal.SIGSTOP)
                time.sleep(0.005)
        finally:
            process.send_signal(signal.SIGCONT)
        how = "stopped" if is_stopped else "running"
        return Cut(
            to,
            picture(os.fsencode(self.careful.twin)),
            picture(os.fsencode(self.careless.twin)),
            dict(self.careful.ledger.required),
            f"{how}, after {len(self.story)} deeds",
        )


def copied(images: Sequence[Path], to: Sequence[Path], devices: Sequence[str]) -> bool:
    """Copy the backing files; False when something was written meanwhile."""
    before = [written(device) for device in devices]
    if None in before:
        return False
    for image, copy in zip(images, to, strict=True):
        run("cp", "--sparse=always", image, copy)
    return before == [written(device) for device in devices]


def written(device: str) -> tuple[str, ...] | None:
    """How much was written so far; None while something is being written."""
    fields = Path(f"/sys/block/{os.path.basename(device)}/stat").read_text().split()
    return None if fields[8] != "0" else (fields[4], fields[6], *fields[11:16:4])


# What a cut left.


class Done(msgspec.Struct, frozen=True):
    """A base row: both sides held this content. `mtimes_ns` are the last that the index saw there."""

    path: bytes
    digest: bytes
    mtimes_ns: tuple[int, int]


def reported(state: Path, scratch: Path) -> tuple[list[Done], list[str]]:
    """What the state data base says was done: base rows with digest, and trash slots of the journal."""
    scratch.mkdir()
    for file in state.glob("state.db*"):
        shutil.copy(file, scratch / file.name)
    with closing(sqlite3.connect(scratch / "state.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = db.execute(
            "WITH RECURSIVE tree (id, path) AS ("
            " SELECT base_id, x'' FROM base WHERE parent_id IS NULL UNION ALL"
            " SELECT b.base_id, CAST(iif(length(t.path), t.path || x'2f', x'') || b.name AS BLOB)"
            " FROM base b JOIN tree t ON b.parent_id = t.id)"
            " SELECT path, b.digest, coalesce(s.mtime_ns, 0), coalesce(d.mtime_ns, 0)"
            " FROM tree JOIN base b ON b.base_id = tree.id"
            " LEFT JOIN nodes s ON s.node_id = b.source_node"
            " LEFT JOIN nodes d ON d.node_id = b.destination_node"
            " WHERE b.kind = 1 AND b.digest IS NOT NULL"
        ).fetchall()
        slots = db.execute(
            "SELECT a.side, coalesce(a.trash_batch, b.name), a.trash_slot FROM actions a"
            " JOIN batches b USING (batch_id) WHERE a.trash_slot IS NOT NULL"
        ).fetchall()
    shutil.rmtree(scratch)
    done = [Done(bytes(path), digest, (source, destination)) for path, digest, source, destination in rows]
    return done, [f"{side}/.syncd/trash/{batch}/{slot}" for side, batch, slot in slots]


def digests(top: bytes, *, with_unfinished: bool = False) -> set[bytes]:
    """Of everything in a tree and in its trash."""
    contents = [item.data for item in picture(top).values() if item.kind == "file"]
    contents += kept(top, with_unfinished=with_unfinished).values()
    return {blake3(data).digest() for data in contents}


def other_side(territory: Territory, path: bytes) -> bytes:
    """The tree that only syncd writes `path` in."""
    return territory.tops[1 - HOMES.index(path.partition(b"/")[0].decode())]


def lost_before_start(territory: Territory, done: list[Done], slots: list[str]) -> list[str]:
    """Reported as done, and not there; or torn. Judged on the side that the path's user does not touch."""
    there = {top: digests(top, with_unfinished=True) for top in territory.tops}
    broken = [
        f"{territory.pair.name}: reported as done and lost: {row.path!r}"
        for row in done
        if b"/" in row.path and row.digest not in there[other_side(territory, row.path)]
    ]
    for slot in slots:
        side, _, below = slot.partition("/")
        if not os.path.lexists(os.path.join(territory.tops[int(side) - 1], below.encode())):
            broken.append(f"{territory.pair.name}: reported as kept and lost: {slot}")
    for home, top in zip(HOMES, reversed(territory.tops), strict=True):
        broken += [
            f"{territory.pair.name}: torn: {path!r} {item.data[:40]!r}"
            for path, item in picture(top).items()
            if path.startswith(home.encode() + b"/")
            and item.kind == "file"
            and item.data not in territory.ledger.written
        ]
    return broken


def untouched(territory: Territory, done: list[Done]) -> list[Done]:
    """Those whose owner's file bears no later stamp than the index knew: nobody can tell what of a file that
    was written or touched since got lost."""
    found = []
    for row in done:
        own = HOMES.index(row.path.partition(b"/")[0].decode()) if b"/" in row.path else 0
        path = os.path.join(territory.tops[own], row.path)
        if not os.path.lexists(path) or os.lstat(path).st_mtime_ns <= row.mtimes_ns[own]:
            found.append(row)
    return found


def torn_at_rest(
    territory: Territory, done: list[Done], wanted: dict[bytes, Item], before: set[bytes]
) -> list[str]:
    """Users who do not sync their files may find an edit torn, or gone; never a version that syncd reported
    as done and that nobody touched since, and nothing that the cut left may vanish."""
    name = territory.pair.name
    trees = [picture(top) for top in territory.tops]
    broken = [f"{name}: sides differ: {line}" for line in difference(*trees)]
    for row in done:
        item = wanted.get(row.path) if b"/" in row.path else None
        if item is None or not item.data or item.kind != "file" or blake3(item.data).digest() != row.digest:
            continue
        found = trees[territory.tops.index(other_side(territory, row.path))].get(row.path)
        if found is None or found.data != item.data:
            broken.append(f"{name}: reported as done, then torn: {row.path!r} {brief(found)} / {brief(item)}")
    after = digests(territory.tops[0]) | digests(territory.tops[1])
    return broken + [f"{name}: S1: {len(before - after)} contents vanished"] * bool(before - after)


def judge(world: World, cut: Cut, room: Path) -> list[str]:
    """Boot: what is there, then what the daemon makes of it."""
    state = world.daemon.state_dir / "pairs"
    broken: list[str] = []
    done: dict[str, list[Done]] = {}
    for territory in world.territories:
        name = territory.pair.name
        done[name], slots = reported(state / name, room / "scratch")
        broken += lost_before_start(territory, done[name], slots)
    for home, top in zip(HOMES, world.careful.tops, strict=True):
        own, wanted = (
            {p: i for p, i in tree.items() if p.startswith(home.encode())}
            for tree in (picture(top), cut.twin)
        )
        broken += [f"the image is not what it should be: {line}" for line in difference(own, wanted)]
    before = digests(world.careless.tops[0]) | digests(world.careless.tops[1])
    kept_since = untouched(world.careless, done[world.careless.pair.name])
    world.daemon.start()
    try:
        answer = world.daemon.waited()
        broken += [
            f"{one.name}: {one.outcome} {one.state} {one.detail}"
            for one in answer.pairs
            if one.outcome != "synced"
        ]
        world.careful.ledger.required = dict(cut.required)
        broken += [f"careful: {line}" for line in world.careful.broken(world.daemon, cut.twin)]
        broken += torn_at_rest(world.careless, kept_since, cut.careless, before)
    finally:
        world.daemon.stop()
    return [*broken, world.daemon.tail(25)] if broken else []


def run_world(room: Path, seed: int, count: int) -> tuple[list[str], int]:
    """Cut the power `count` times, then judge each cut. What was broken, and how many cuts there were."""
    room.mkdir(parents=True)
    disks = Disks(room, OPTIONS[seed % len(OPTIONS)], is_apart=seed // len(OPTIONS) % 2 == 0)
    images = disks.make()
    cuts: list[Cut] = []
    with disks.attached(images) as devices:
        world = World(room, disks.mount, seed)
        os.sync()
        with world.daemon as daemon:
            daemon.waited()
            for number in range(count):
                world.work(0.1 + world.rng.random() * 1.2)
                to = tuple(room / f"cut-{number}-{image.name}" for image in images)
                cuts.append(world.cut(images, to, devices))
            daemon.kill()
    for image in images:
        image.unlink()
    broken: list[str] = []
    for number, cut in enumerate(cuts):
        with disks.attached(cut.images):
            found = judge(world, cut, room)
        for image in cut.images:
            image.unlink()
        if found:
            where = f"{disks.options}, {'apart' if disks.is_apart else 'together'}"
            broken += [f"seed {seed} ({where}), cut {number} ({cut.story}):", *found]
    return broken, len(cuts)


def test_power_cuts(tmp_path: Path) -> None:
    """0 torn files, 0 lost of what was reported as done, and the daemon brings it in order alone."""
    broken: list[str] = []
    images = 0
    for number, seed in enumerate(range(FIRST, FIRST + -(-COUNT // CUTS_A_WORLD))):
        count = min(CUTS_A_WORLD, COUNT - number * CUTS_A_WORLD)
        found, made = run_world(tmp_path / str(seed), seed, count)
        broken += found
        images += made
    tell(f"{images} power cuts, {len(broken)} findings")
    assert not broken, "\n".join(broken)
