"""The cases that run as commands: first copy, rescan, 1 % changed, directory rename.

Every peer has trees and state of its own; within a round all peers run in shuffled order.
"""

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from benchmarks.data import change_one_percent, create_probe, list_files, make_large_file, make_tree
from benchmarks.measure import Run, run
from benchmarks.peers import SYNCD, Peer

Change = Callable[[Path, int], None]


class Sizes(NamedTuple):
    """How much; the quick ones end within two minutes."""

    copied_files: int
    large_bytes: int
    scanned_files: int
    renamed_files: int
    rounds: int
    events: int
    burst: int


QUICK = Sizes(2_000, 256 << 20, 10_000, 1_500, 3, 15, 200)
FULL = Sizes(100_000, 2 << 30, 100_000, 10_000, 5, 100, 1_000)


class Result(NamedTuple):
    """All rounds of one case. `probes` are µs per created file, one per measured run, in run order."""

    case: str
    runs: dict[str, list[Run]]
    probes: list[float]


class Bench:
    """The working directory, the peers and the seed of one benchmark."""

    def __init__(self, base: Path, peers: Sequence[Peer], walk: Peer | None, sizes: Sizes, seed: int) -> None:
        self.base = base
        self.peers = peers
        self.walk = walk
        self.sizes = sizes
        self.seed = seed
        self.order = Random(seed)

    def place(self, peer: Peer, case: str) -> tuple[Path, Path, Path]:
        """Source, destination and state directory of one peer in one case."""
        home = self.base / slug(case) / peer.name
        source, destination, state = home / "source", home / "destination", home / "state"
        for path in (source, destination, state):
            path.mkdir(parents=True, exist_ok=True)
        return source, destination, state

    def measure(self, peer: Peer, case: str, *, is_rename: bool = False) -> Run:
        source, destination, state = self.place(peer, case)
        synced = None if peer.syncs or peer is self.walk else destination
        argv = peer.argv(source, destination, state, is_rename=is_rename)
        return run(argv, peer.environment(state), self.base / "log", synced=synced)

    def shuffled(self, peers: Sequence[Peer]) -> list[Peer]:
        return self.order.sample(list(peers), len(peers))

    def first_copy(self, case: str, fill: Callable[[Path], None]) -> Result:
        """A fresh destination and fresh state in every round."""
        runs: dict[str, list[Run]] = {peer.name: [] for peer in self.peers}
        probes: list[float] = []
        fill(self.base / "original")
        for _ in range(self.sizes.rounds):
            for peer in self.shuffled(self.peers):
                source, destination, _ = self.place(peer, case)
                shutil.rmtree(source)
                shutil.copytree(self.base / "original", source)
                probes.append(create_probe(destination / "probe"))
                runs[peer.name].append(self.measure(peer, case))
                check_equal(source, destination)
                shutil.rmtree(self.base / slug(case))
        shutil.rmtree(self.base / "original")
        return Result(case, runs, probes)

    def prepare(self, case: str, files: int, syncers: Sequence[Peer]) -> None:
        """Trees that are in sync, for each peer its own. The second run settles what the first left racy."""
        for peer in syncers:
            source, destination, _ = self.place(peer, case)
            make_tree(source, files=files, directories=max(1, files // 50), seed=self.seed)
            if peer is self.walk:
                shutil.copytree(source, destination, dirs_exist_ok=True)
            else:
                self.measure(peer, case)
            self.measure(peer, case)

    def rounds(
        self,
        case: str,
        label: str,
        syncers: Sequence[Peer],
        change: Change | None,
        *,
        is_rename: bool = False,
    ) -> Result:
        """Per round and peer a change and a run, in the trees of `prepare`."""
        runs: dict[str, list[Run]] = {peer.name: [] for peer in syncers}
        for number in range(self.sizes.rounds):
            for peer in self.shuffled(syncers):
                source, destination, _ = self.place(peer, case)
                if change is not None:
                    change(source, self.seed + number)
                runs[peer.name].append(self.measure(peer, case, is_rename=is_rename))
                if peer is not self.walk:
                    check_equal(source, destination)
        return Result(label, runs, [])

    def small_files(self) -> list[Result]:
        count = self.sizes.copied_files
        found = self.first_copy(
            f"first copy, {count} small files",
            lambda root: make_tree(root, files=count, directories=count // 50, seed=self.seed),
        )
        return [found]

    def large_file(self) -> list[Result]:
        size = self.sizes.large_bytes
        found = self.first_copy(
            f"first copy, one file of {size >> 20} MiB",
            lambda root: make_large_file(root / "large.bin", size, self.seed),
        )
        return [found]

    def rescan(self) -> list[Result]:
        """No change, then 1 % changed, in the same trees."""
        count = self.sizes.scanned_files
        syncers = [peer for peer in self.peers if not peer.is_copier]
        if self.walk is not None:
            syncers.append(self.walk)
        self.prepare("rescan", count, syncers)
        found = [
            self.rounds("rescan", f"no change, {count} files", syncers, None),
            self.rounds(
                "rescan", f"1 % changed, added, deleted of {count} files", syncers, change_one_percent
            ),
        ]
        shutil.rmtree(self.base / "rescan")
        return found

    def rename(self) -> list[Result]:
        count = self.sizes.renamed_files
        syncers = [peer for peer in self.peers if not peer.is_copier]
        self.prepare("rename", count, syncers)
        label = f"directory of {count} files renamed, found by a scan"
        found = self.rounds("rename", label, syncers, rename_directory, is_rename=True)
        shutil.rmtree(self.base / "rename")
        return [found]

    def empty(self) -> float:
        """Seconds of syncd on two empty trees: what it costs to start."""
        return min(self.measure(SYNCD, "empty").wall_s for _ in range(self.sizes.rounds))


def slug(case: str) -> str:
    """A name that needs no quoting anywhere."""
    return re.sub(r"[^a-z0-9]+", "-", case)


def rename_directory(root: Path, number: int) -> None:
    """Rename all that the tree holds at once: its top directories move into one with a new name."""
    old = next((path for path in sorted(root.iterdir()) if path.name.startswith("all-")), None)
    if old is not None:
        old.rename(root / f"all-{number}")
        return
    new = root / f"all-{number}"
    new.mkdir()
    for path in sorted(root.iterdir()):
        if path != new and path.name != ".syncd":
            path.rename(new / path.name)


def check_equal(source: Path, destination: Path) -> None:
    """A fast program that forgets files must not win."""
    if sorted(list_files(source)) != sorted(list_files(destination)):
        raise RuntimeError(f"{destination} is not like {source} after the run")
