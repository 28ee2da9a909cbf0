"""kill -9 at random moments under load, and a start: no human step, no byte lost, nothing left behind.

`SYNCD_KILLS=200` kills so often (default 15), `SYNCD_KILLS_FIRST` is the first seed; a seed is one world of
up to `KILLS_A_WORLD` kills.
"""

import os
import random
import time
from pathlib import Path

from tests.e2e.kit import Daemon, Pair
from tests.e2e.users import Ledger, User, anchor, difference, leftovers, picture

COUNT = int(os.environ.get("SYNCD_KILLS", "15"))
FIRST = int(os.environ.get("SYNCD_KILLS_FIRST", "0"))
KILLS_A_WORLD = 20
BRAKE = {"files": 100_000, "percent": 100}
SIZES = (0, 30, 30, 60, 300, 5000, 70_000, 1_500_000)


class Territory:
    """A pair in which each user edits a directory of his own: what must come of it is known exactly, and no
    conflict is ever due."""

    def __init__(self, home: Path, name: str, seed: str, **settings: str) -> None:
        self.pair = Pair(home, name, conflict="keep-both", max_delete=BRAKE, **settings).make()
        self.tops = tuple(os.fsencode(root) for root in self.pair.roots)
        self.ledger = Ledger(*self.tops)
        self.twin = home / "twins" / name
        self.twin.mkdir(parents=True)
        anchor(*self.pair.roots, self.twin)
        self.ledger.written |= {item.data for item in picture(self.tops[0]).values()}
        self.users = [
            User(
                home,
                root,
                self.ledger,
                random.Random(f"{seed} {name} {home}"),
                home=home,
                twin=self.twin,
                sizes=SIZES,
            )
            for home, root in zip("sd", self.pair.roots, strict=True)
        ]

    def broken(self, daemon: Daemon) -> list[str]:
        """What does not hold at rest."""
        wanted = picture(os.fsencode(self.twin))
        name = self.pair.name
        return [
            *(f"S1 lost: {story}" for story in self.ledger.missing()),
            *(f"S2 {story}" for story in self.ledger.unheard_of()),
            *(
                f"{root.name} is not what was written: {line}"
                for root in self.pair.roots
                for line in difference(picture(os.fsencode(root)), wanted)
            ),
            *(f"left behind: {path!r}" for top in self.tops for path in leftovers(top)),
            *(f"spurious conflict: {one.kind} {one.path} {one.winner}" for one in daemon.conflicts(name)),
        ]


class Contested(Territory):
    """A pair in which both users edit everything: conflicts are due, nothing may be lost."""

    def __init__(self, home: Path, name: str, seed: str, **settings: str) -> None:
        super().__init__(home, name, seed, **settings)
        self.users = [
            User(word, root, self.ledger, random.Random(f"{seed} {word}"), sizes=SIZES)
            for word, root in zip(("S", "D"), self.pair.roots, strict=True)
        ]

    def broken(self, daemon: Daemon) -> list[str]:
        return [
            *(f"S1 lost: {story}" for story in self.ledger.missing()),
            *(f"S2 {story}" for story in self.ledger.unheard_of()),
            *(f"sides differ: {line}" for line in difference(*(picture(top) for top in self.tops))),
            *(f"left behind: {path!r}" for top in self.tops for path in leftovers(top)),
        ]


class World:
    """A daemon over some pairs, and their users. Everything but the moment is drawn from the seed."""

    def __init__(self, home: Path, seed: int) -> None:
        self.rng = random.Random(f"kill {seed}")
        named = f"kill {seed}"
        self.territories = [
            Territory(home, "quick", named, settle="0s"),
            Territory(home, "settling", named, settle="30ms"),
            Contested(home, "contested", named, settle="10ms"),
        ]
        self.daemon = Daemon(home, [one.pair for one in self.territories])
        self.story: list[str] = []

    def work(self, for_s: float) -> None:
        """All users at work, now in bursts and now with pauses."""
        until = time.monotonic() + for_s
        while time.monotonic() < until:
            territory = self.rng.choice(self.territories)
            for _ in range(self.rng.choice((1, 1, 5))):
                user = self.rng.choice(territory.users)
                if user.act():
                    self.story.append(f"{territory.pair.name}: {user.told[-1]}")
            time.sleep(min(max(0.0, until - time.monotonic()), self.rng.random() * 0.02))

    def kill_once(self) -> None:
        """Under load, while it starts (and recovers from the last kill), or both."""
        moment = self.rng.random()
        if moment < 0.7:
            self.work(0.02 + self.rng.random() * 0.5)
        else:
            self.daemon.wait()
            self.work(self.rng.random() * 0.05)
        self.daemon.kill()
        self.story.append("-- killed")

    def restart(self) -> int:
        """Start again; now and then it is killed in its first second, too. How often that was."""
        kills = 0
        if self.rng.random() < 0.4:
            self.work(self.rng.random() * 0.1)
        while self.rng.random() < 0.3:
            self.daemon.launch()
            time.sleep(self.rng.random() * 1.2)
            self.daemon.kill()
            self.story.append("-- killed while it starts")
            kills += 1
        self.daemon.start()
        return kills

    def broken(self) -> list[str]:
        """At rest."""
        answer = self.daemon.waited()
        broken = [
            f"{one.name}: {one.outcome} {one.state} {one.detail}"
            for one in answer.pairs
            if one.outcome != "synced"
        ]
        for territory in self.territories:
            broken += [f"{territory.pair.name}: {line}" for line in territory.broken(self.daemon)]
        for one in self.daemon.issues():
            broken.append(f"{one.pair}: issue {one.path} {one.reason} {one.detail}")
        return broken


def run_world(home: Path, seed: int, count: int) -> list[str]:
    """Kill `count` times; what was broken, with the story up to there."""
    world = World(home, seed)
    done = 0
    with world.daemon as daemon:
        daemon.waited()
        while done < count:
            world.kill_once()
            done += 1 + world.restart()
            broken = world.broken()
            if broken:
                return [f"seed {seed}, kill {done}:", *world.story[-150:], *broken]
    return []


def test_kills(tmp_path: Path) -> None:
    """S1, S2, the exact trees, no conflict that nobody made and nothing left behind, after every kill."""
    failures: list[str] = []
    began = time.monotonic()
    worlds = range(FIRST, FIRST + -(-COUNT // KILLS_A_WORLD))
    for number, seed in enumerate(worlds):
        left = COUNT - number * KILLS_A_WORLD
        failed = run_world(tmp_path / str(seed), seed, min(KILLS_A_WORLD, left))
        failures += ["\n".join(failed)] if failed else []
    print(f"{COUNT} kills, {len(failures)} worlds broken, {time.monotonic() - began:.0f} s")
    assert not failures, "\n\n".join(failures)
