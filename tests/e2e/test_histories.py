"""Random histories: two users edit both sides of a pair while the daemon runs, as the seed says.

`SYNCD_HISTORIES=200` runs so many (default 12), `SYNCD_HISTORIES_FIRST` is the first seed.
"""

import contextlib
import heapq
import os
import random
import time
from pathlib import Path

from syncd.control import model as m
from syncd.core.entry import Kind, Side
from syncd.core.mode import Mode
from syncd.core.path import unescape
from tests.e2e.disk import Item, brief, leftovers, picture
from tests.e2e.kit import Daemon, Pair
from tests.e2e.users import Ledger, User, anchor, tell
from tests.sim.promise import Image, is_blocked, unequal

COUNT = int(os.environ.get("SYNCD_HISTORIES", "12"))
FIRST = int(os.environ.get("SYNCD_HISTORIES_FIRST", "0"))
AT_ONCE = 25
HEALS_WITHIN_S = 15.0
KINDS = {"file": Kind.FILE, "directory": Kind.DIRECTORY, "link": Kind.SYMLINK}


class History:
    """One seed: a pair, its two users, what they do and what must be true afterwards."""

    def __init__(self, home: Path, seed: int) -> None:
        self.seed = seed
        self.rng = rng = random.Random(f"history {seed}")
        self.mode = Mode.TWO_WAY if rng.random() < 0.7 else rng.choice(list(Mode))
        policy = rng.choice(("newest-wins", "newest-wins", "keep-both", "source-wins", "destination-wins"))
        self.pair = Pair(
            home,
            f"history-{seed}",
            mode=self.mode.value,
            conflict=policy,
            settle=rng.choice(("0s", "20ms", "100ms")),
            max_delete={"files": 100_000, "percent": 100},
            # What both users write within one tick before the first sync may have equal stamps and sizes.
            initial_compare="content",
        ).make()
        self.tops = tuple(os.fsencode(root) for root in self.pair.roots)
        self.ledger = Ledger(*self.tops)
        anchor(*self.pair.roots)
        for top in self.tops:
            for path, item in picture(top).items():
                self.ledger.wrote(item.data, f"{path!r}")
        self.users = [
            User(word, root, self.ledger, random.Random(f"{word} {seed}"))
            for word, root in zip(("S", "D"), self.pair.roots, strict=True)
        ]
        self.story = [f"seed {seed}: {self.mode.value}, {policy}, settle {self.pair.settings['settle']}"]
        self.haste_s = rng.choice((0.0, 0.01, 0.1))
        self.rounds = rng.choice((1, 2, 3, 4))
        self.deeds = 0
        if rng.random() < 0.5:
            for _ in range(10):
                self.act()

    def begin_round(self) -> None:
        self.rounds -= 1
        self.deeds = self.rng.choice((4, 10, 20))

    def act(self) -> float:
        """One deed; answers how long these users take a rest."""
        self.deeds -= 1
        if self.rng.random() < 0.1:
            self._collide()
        else:
            user = self.rng.choice(self.users)
            if user.act():
                self.story.append(user.told[-1])
        return self.rng.random() * self.haste_s

    def _collide(self) -> None:
        """Both write to one name at the same time: seldom the same bytes."""
        path = self.users[0].place()
        same = self.ledger.fresh("both", 40) if self.rng.random() < 0.2 else None
        for user in self.users:
            with contextlib.suppress(OSError):
                user.put(path, same or self.ledger.fresh(f"{user.name} collides", 40))
                self.story.append(f"{user.name} collides at {path!r}")

    def broken(self) -> list[str]:
        """What does not hold now that everything rests."""
        trees = [picture(top) for top in self.tops]
        images = [image(tree) for tree in trees]
        return [
            *(f"S1 lost: {story}" for story in self.ledger.missing()),
            *(f"S2 {story}" for story in self.ledger.unheard_of()),
            *unequal(self.mode, *images),
            *(f"left behind: {path!r}" for top in self.tops for path in leftovers(top)),
        ]

    def is_due(self, issue: m.IssueView) -> bool:
        """A backup never deletes: where what it keeps is in the way of a directory or a file, it says so."""
        if not self.mode.is_backup:
            return False
        source, destination = (image(picture(top)) for top in self.tops)
        keeper, kept = (source, destination) if self.mode.authority is Side.SOURCE else (destination, source)
        path = unescape(issue.path)
        return path in keeper and is_blocked(path, keeper[path], kept)

    def tell(self, broken: list[str]) -> str:
        trees = [f"  {path!r}: {brief(item)}" for top in self.tops for path, item in picture(top).items()]
        return "\n".join([*self.story, *broken, *trees])


def image(tree: dict[bytes, Item]) -> Image:
    return {path: (KINDS[item.kind], item.data, item.mode) for path, item in tree.items()}


def run_round(histories: list[History]) -> None:
    """All users at work, each pair at its own pace."""
    queue: list[tuple[float, int]] = []
    for number, history in enumerate(histories):
        history.begin_round()
        heapq.heappush(queue, (time.monotonic(), number))
    while queue:
        at, number = heapq.heappop(queue)
        time.sleep(max(0.0, at - time.monotonic()))
        rest_s = histories[number].act()
        if histories[number].deeds > 0:
            heapq.heappush(queue, (time.monotonic() + rest_s, number))


def judge(daemon: Daemon, histories: list[History]) -> list[str]:
    """At rest: what each history broke."""
    names = [history.pair.name for history in histories]
    outcomes = {one.name: one.outcome for one in daemon.waited(*names).pairs}
    failures = []
    for history in histories:
        outcome = outcomes[history.pair.name]
        broken = [] if outcome == "synced" else heal(daemon, history, outcome)
        broken += history.broken()
        if broken:
            failures.append(history.tell(broken))
    return failures


def heal(daemon: Daemon, history: History, outcome: str) -> list[str]:
    """Something raced with the last edit and waits for its next attempt: that must come by itself. Otherwise,
    what is in the way."""
    name = history.pair.name
    until = time.monotonic() + HEALS_WITHIN_S
    while outcome == "degraded":
        issues = daemon.issues(name)
        if issues and all(map(history.is_due, issues)):
            return []
        if time.monotonic() > until:
            break
        time.sleep(0.2)
        (outcome,) = (one.outcome for one in daemon.waited(name).pairs)
    if outcome == "synced":
        return []
    status = daemon.status(name)[name]
    return [
        f"{outcome}: {status.state} {status.hold} {[(one.path, one.reason) for one in daemon.issues(name)]}"
    ]


def test_random_histories(tmp_path: Path) -> None:
    """S1, S2, equal trees and nothing left behind, at rest, after every round of every history."""
    failures: list[str] = []
    deeds = 0
    for start in range(FIRST, FIRST + COUNT, AT_ONCE):
        home = tmp_path / str(start)
        histories = [History(home, seed) for seed in range(start, min(start + AT_ONCE, FIRST + COUNT))]
        working = histories
        with Daemon(home, [history.pair for history in histories]) as daemon:
            daemon.waited()
            while working:
                run_round(working)
                failed = judge(daemon, working)
                failures += failed
                working = [] if failed else [one for one in working if one.rounds]
            daemon.rescan()
            failures += judge(daemon, histories)
        deeds += sum(len(history.story) - 1 for history in histories)
    seeds = f"seeds {FIRST}..{FIRST + COUNT - 1}"
    tell(f"{COUNT} random histories ({seeds}), {deeds} deeds, {len(failures)} broken")
    assert not failures, f"{len(failures)} broken\n\n" + "\n\n".join(failures[:5])
