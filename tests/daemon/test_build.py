"""A damaged state is put aside, loudly, and the pair begins anew without destroying anything."""

from pathlib import Path

from syncd.core.guard import Brake
from syncd.core.mode import Mode
from syncd.core.reason import Reason
from syncd.daemon.config_model import MaxDelete
from syncd.daemon.engine import settings_of
from tests.daemon.desk import Desk, contents


def damage(desk: Desk) -> None:
    desk.database.write_bytes(b"scrambled" * 1000)


async def test_a_damaged_state_is_put_aside_and_the_trees_are_merged(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.write(desk.source / "f", b"one")
    desk.write(desk.destination / "g", b"two")
    await desk.sync()
    damage(desk)
    (desk.destination / "f").unlink()
    assert not desk.heard("state.rebuilt")
    outcome = await desk.sync()
    (_, told) = desk.heard("state.rebuilt")[0]
    aside = next(one for one in desk.database.parent.glob("state.db.bad-*") if one.suffix != ".seal")
    assert told["reason"] == Reason.STATE_DAMAGED
    assert str(aside) in str(told["detail"])
    assert aside.read_bytes().startswith(b"scrambled")
    assert outcome.hold is None
    assert contents(desk.source) == contents(desk.destination) == {"f": b"one", "g": b"two"}


async def test_a_mirror_that_lost_its_state_is_held_until_it_is_approved(tmp_path: Path) -> None:
    """Also by a run that finds the new state whole: the base is still missing."""
    desk = Desk(tmp_path, mode=Mode.SOURCE_TO_DESTINATION)
    desk.write(desk.source / "f", b"one")
    await desk.sync()
    damage(desk)
    desk.write(desk.destination / "stray", b"somebody's")
    desk.write(desk.destination / "f", b"somebody's too")
    for _ in range(3):
        outcome = await desk.sync()
        assert outcome.hold is not None
        assert outcome.hold.reason is Reason.STATE_LOST
        assert contents(desk.destination) == {"f": b"somebody's too", "stray": b"somebody's"}
    outcome = await desk.sync(approves=True)
    assert outcome.hold is None
    assert contents(desk.destination) == {"f": b"one"}
    desk.write(desk.destination / "stray", b"again")
    assert (await desk.sync()).hold is None
    assert contents(desk.destination) == {"f": b"one"}


def test_every_threshold_of_the_brake_arrives(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.set(max_delete=MaxDelete(files=3, percent=4, bytes_percent=5, absolute=6))
    assert settings_of(desk.config).brake == Brake(files=3, percent=4, bytes_percent=5, absolute=6)
