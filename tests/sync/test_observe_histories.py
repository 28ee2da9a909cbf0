"""Observation after kills, damage and any history: the index agrees with the tree."""

import os
import random
from contextlib import suppress

import pytest

from syncd.index import displaced, meta, nodes, records
from tests.sync.lab import HERE, OLD_NS, Lab, settled

SEEDS = int(os.environ.get("OBSERVE_SEEDS", "30"))


class Killed(Exception):
    """The process died here."""


@pytest.mark.parametrize("stop_after", range(12))
async def test_kill_between_pages_is_healed_by_the_next_scan(lab: Lab, stop_after: int) -> None:
    for name in (b"a", b"b", b"c"):
        lab.user.mkdir(name)
        for i in range(4):
            lab.user.write(name + b"/f%d" % i, name + b"%d" % i, mtime_ns=OLD_NS)
    if stop_after % 2:
        await settled(lab)
        lab.user.rename(b"a", b"z")
        lab.user.rename(b"b/f1", b"c/g1")
        lab.user.delete(b"b/f2")
        lab.user.delete(b"c/f3")
        lab.user.mkdir(b"c/f3")
        lab.user.rename(b"b/f3", b"t")
        lab.user.rename(b"b/f0", b"b/f3")
        lab.user.rename(b"t", b"b/f0")
    write = lab.database.write
    calls = 0

    async def dying(fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        nonlocal calls
        calls += 1
        if calls > stop_after:
            raise Killed
        return await write(fn, *args, **kwargs)

    lab.database.write = dying  # type: ignore[method-assign]
    with suppress(Killed):
        await lab.scan()
    lab.database.write = write  # type: ignore[method-assign]
    await lab.scan()
    await lab.assert_agrees()
    await lab.scan()
    assert (await lab.scan()).changed == 0


async def test_unclean_stop_compares_names_and_entries_too(lab: Lab) -> None:
    """A flipped byte in a node must not look like a deletion by the user (DBS-13)."""
    lab.user.mkdir(b"d")
    lab.files(d_x=b"ex", d_y=b"why")
    await settled(lab)

    def damage(db) -> None:  # type: ignore[no-untyped-def]
        db.execute("UPDATE nodes SET name = x'ff' WHERE name = ?", (b"x",))
        db.execute("UPDATE nodes SET size = 77, digest = NULL WHERE name = ?", (b"y",))
        meta.forget_observed_filters(db)

    await lab.database.write(damage)
    await lab.scan()
    await lab.assert_agrees()


async def test_damaged_record_is_compared_name_by_name(lab: Lab) -> None:
    lab.user.mkdir(b"d")
    lab.files(d_x=b"ex")
    await settled(lab)
    node_id = await lab.node_id(b"d")
    await lab.database.write(records.put, node_id, 3, b"\x07\x00\x00\x00junk")
    await lab.scan()
    await lab.assert_agrees()


async def test_parked_nodes_of_a_killed_run_are_collected(lab: Lab) -> None:
    lab.files(a=b"one")
    await settled(lab)

    def park(db) -> None:  # type: ignore[no-untyped-def]
        node = nodes.find(db, HERE, b"a")
        assert node is not None
        displaced.begin(db, HERE)
        displaced.park(db, HERE, node, None)

    await lab.database.write(park)
    await lab.observer.forget_records()
    await lab.scan()
    await lab.assert_agrees()
    rows = await lab.database.read(lambda db: db.execute("SELECT count(*) FROM nodes").fetchone()[0])
    assert rows == 3


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_any_history_ends_in_agreement(lab: Lab, seed: int) -> None:
    """Random deeds, observed by scans and looks in between: the index always says what is there."""
    rng = random.Random(seed)
    deeds = Deeds(lab, rng)
    for _ in range(30):
        for _ in range(rng.randrange(1, 6)):
            deeds.do()
        if rng.random() < 0.4:
            await lab.look(*deeds.touched)
        else:
            seen = await lab.scan()
            assert seen.new_directories == ()
            await lab.assert_agrees()
        if rng.random() < 0.3:
            await lab.digest_all()
        deeds.touched.clear()
    await lab.scan()
    await lab.assert_agrees()
    await lab.scan()
    assert (await lab.scan()).changed == 0


@pytest.mark.parametrize("seed", range(6))
async def test_any_history_with_patched_records(lab: Lab, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Directories so large that single changes are kept beside their record."""
    monkeypatch.setattr(records, "PATCHED_FROM", 60)
    await test_any_history_ends_in_agreement(lab, seed)
    patches = await lab.database.read(
        lambda db: db.execute("SELECT count(*) FROM record_patches").fetchone()[0]
    )
    assert patches == 0, "a scan folds them in"


class Deeds:
    """A user who does anything."""

    def __init__(self, lab: Lab, rng: random.Random) -> None:
        self._lab = lab
        self._rng = rng
        self.touched: set[bytes] = set()

    def do(self) -> None:
        user, rng = self._lab.user, self._rng
        path, other = self._path(), self._path()
        deed = rng.choice(["write", "write", "mkdir", "rename", "rename", "delete", "link", "chmod", "swap"])
        try:
            if deed == "write":
                user.write(path, rng.choice([b"", b"one", b"two", b"longer"]))
            elif deed == "mkdir":
                user.mkdir(path)
            elif deed == "rename":
                user.rename(path, other)
            elif deed == "delete":
                user.delete(path)
            elif deed == "link":
                user.symlink(path, rng.choice([b"x", b"y"]))
            elif deed == "chmod":
                user.chmod(path, rng.choice([0o600, 0o755]))
            else:
                user.rename(path, b"swap")
                user.rename(other, path)
                user.rename(b"swap", other)
        except OSError:
            pass
        self.touched |= {path, other, b"swap"}

    def _path(self) -> bytes:
        names = [self._rng.choice([b"a", b"b", b"c"]) for _ in range(self._rng.choice([1, 1, 2, 2, 3]))]
        return b"/".join(names)
