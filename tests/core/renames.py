"""Deeds of two people in two trees, and what a round makes of their renames."""

from collections.abc import Callable, Mapping

from syncd.core.entry import Entry, Side
from syncd.core.mode import Mode
from syncd.core.rules import Policy, Rules
from tests.core.model import NOW_NS, Model, directory, file
from tests.core.test_properties import converge
from tests.core.words import tell

S, T = Side.SOURCE, Side.DESTINATION
D = directory()
Deed = Callable[[Model], object]
Ends = tuple[Mapping[bytes, object], Mapping[bytes, object]]


def rules(mode: Mode = Mode.TWO_WAY, policy: Policy = Policy.NEWEST_WINS) -> Rules:
    return Rules(mode, policy, now_ns=NOW_NS, host="host")


def world(base: Mapping[bytes, Entry], *deeds: Deed) -> Model:
    model = Model()
    for path, entry in sorted(base.items()):
        assert model.write(S, path, entry)
    model.share()
    for deed in deeds:
        assert deed(model)
    return model


def rename(side: Side, path: bytes, to: bytes) -> Deed:
    return lambda model: model.rename(side, path, to)


def write(side: Side, path: bytes, entry: Entry) -> Deed:
    return lambda model: model.write(side, path, entry)


def erase(side: Side, path: bytes) -> Deed:
    return lambda model: model.erase(side, path)


def swap(side: Side, one: bytes, two: bytes) -> Deed:
    return lambda model: (
        model.rename(side, one, b"swapping")
        and model.rename(side, two, one)
        and model.rename(side, b"swapping", two)
    )


def moves(model: Model, held: Rules | None = None) -> list[str]:
    return tell(model.plan(held or rules()))


def final(model: Model, held: Rules | None = None) -> dict[Side, dict[bytes, object]]:
    """Both trees after all rounds: contents by path."""
    converge(model, held or rules())
    return {side: {path: seen[2] for path, seen in model.view(side).items()} for side in Side}


OLD = {b"p": file("old")}
FILE = file("old").digest
NEW = file("edited", mtime_s=50)
EDIT = NEW.digest
OTHER = file("other").digest
