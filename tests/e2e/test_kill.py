"""kill -9 at random moments under load, and a start: no human step, no byte lost, nothing left behind.

`SYNCD_KILLS=200` kills so often (default 15), `SYNCD_KILLS_FIRST` is the first seed; a seed is one world of
up to `KILLS_A_WORLD` kills.
"""

import os
import random
import time
from pathlib import Path

from tests.e2e.kit import Daemon
from tests.e2e.territory import Contested, Territory
from tests.e2e.users import tell

COUNT = int(os.environ.get("SYNCD_KILLS", "15"))
FIRST = int(os.environ.get("SYNCD_KILLS_FIRST", "0"))
KILLS_A_WORLD = 20


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
            self.daemon.waited()
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
        assert len(answer.pairs) == len(self.territories)
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
    tell(f"{COUNT} kills, {len(failures)} worlds broken, {time.monotonic() - began:.0f} s")
    assert not failures, "\n\n".join(failures)
