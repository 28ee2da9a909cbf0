"""Pairs with two users each, of which it is known what must come of their work."""

import os
import random
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.disk import Item, difference, leftovers, picture
from tests.e2e.kit import Daemon, Pair
from tests.e2e.users import Ledger, User, anchor

BRAKE = {"files": 100_000, "percent": 100}
HOMES = ("s", "d")
"""The directory of the source's user, and of the destination's."""
SIZES = (0, 30, 30, 60, 300, 5000, 70_000, 1_500_000)


class Territory:
    """A pair in which each user edits a directory of his own: what must come of it is known exactly, and no
    conflict is ever due. `twins`: where the same is done without syncd."""

    def __init__(
        self,
        home: Path,
        name: str,
        seed: str,
        *,
        settle: str,
        twins: Path | None = None,
        is_careful: bool = False,
        sizes: Sequence[int] = SIZES,
    ) -> None:
        self.pair = Pair(home, name, conflict="keep-both", settle=settle, max_delete=BRAKE).make()
        self.tops = tuple(os.fsencode(root) for root in self.pair.roots)
        self.ledger = Ledger(*self.tops)
        self.twin = (twins or home / "twins") / name
        self.twin.mkdir(parents=True)
        anchor(*self.pair.roots, self.twin)
        self.ledger.written |= {item.data for item in picture(self.tops[0]).values()}
        self.users = [
            User(
                own,
                root,
                self.ledger,
                random.Random(f"{seed} {name} {own}"),
                home=own,
                twin=self.twin,
                is_careful=is_careful,
                sizes=sizes,
            )
            for own, root in zip(HOMES, self.pair.roots, strict=True)
        ]

    def broken(self, daemon: Daemon, wanted: dict[bytes, Item] | None = None) -> list[str]:
        """What does not hold at rest. `wanted`: what the twin was when it counted (default: now)."""
        if wanted is None:
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

    def __init__(self, home: Path, name: str, seed: str, *, settle: str) -> None:
        super().__init__(home, name, seed, settle=settle)
        self.users = [
            User(word, root, self.ledger, random.Random(f"{seed} {word}"), sizes=SIZES)
            for word, root in zip(("S", "D"), self.pair.roots, strict=True)
        ]

    def broken(self, daemon: Daemon, wanted: dict[bytes, Item] | None = None) -> list[str]:
        return [
            *(f"S1 lost: {story}" for story in self.ledger.missing()),
            *(f"S2 {story}" for story in self.ledger.unheard_of()),
            *(f"sides differ: {line}" for line in difference(*(picture(top) for top in self.tops))),
            *(f"left behind: {path!r}" for top in self.tops for path in leftovers(top)),
        ]
