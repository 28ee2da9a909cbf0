"""What an observation leaves to be scanned again."""

from syncd.core.entry import Side
from syncd.core.reason import Reason
from syncd.daemon.intake import Intake
from syncd.sync.observe import Observation
from syncd.sync.settings import World

HERE = Side.SOURCE


class Clock:
    """It stands still."""

    def now_ns(self) -> int:
        return 0

    def monotonic_ns(self) -> int:
        return 0


def nothing(*_: object, **__: object) -> None:
    """Nobody listens."""


def intake() -> Intake:
    return Intake(dict, 0.1, World(Clock(), lambda: "", nothing), nothing)


def due(seen: Observation, *scanned: bytes) -> tuple[bytes, ...]:
    one = intake()
    one.follow_up(HERE, seen, scanned)
    return one.due(10**12, flush=True)[HERE].subtrees


def test_a_new_directory_is_scanned() -> None:
    assert due(Observation(new_directories=(b"d",))) == (b"d",)


def test_what_was_scanned_is_scanned_until_nothing_is_new() -> None:
    assert due(Observation(changed=1), b"d", b"") == (b"d",)
    assert due(Observation(), b"d") == ()


def test_a_directory_that_cannot_be_listed_is_not_tried_for_ever() -> None:
    seen = Observation(new_directories=(b"mnt",), problems=((b"mnt", Reason.OTHER_FILESYSTEM, ""),))
    assert due(seen, b"mnt") == ()
