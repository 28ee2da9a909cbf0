"""Worlds and rules that the tests of plans stand on."""

from collections.abc import Mapping

import msgspec

from syncd.core.entry import Entry, Side
from syncd.core.mode import Mode
from syncd.core.rules import Policy, Rules
from tests.core.model import NOW_NS, Model, directory

Tree = Mapping[str, Entry]
D = directory()
MIRROR, BACKUP = Mode.SOURCE_TO_DESTINATION, Mode.SOURCE_BACKUP
COPY = "(conflict 2023-11-14 221320 host)"


def rules(mode: Mode = Mode.TWO_WAY, **more: object) -> Rules:
    return msgspec.structs.replace(Rules(mode, Policy.KEEP_BOTH, now_ns=NOW_NS, host="host"), **more)


def world(base: Tree, source: Tree, destination: Tree) -> Model:
    """Trees by text paths; what equals the base is the base's node."""
    model = Model()
    for path, entry in sorted(base.items()):
        assert model.write(Side.SOURCE, path.encode(), entry)
    model.share()
    for side, tree in ((Side.SOURCE, source), (Side.DESTINATION, destination)):
        for path in sorted(base, reverse=True):
            if path not in tree:
                model.erase(side, path.encode())
        for path, entry in sorted(tree.items()):
            if base.get(path) != entry:
                assert model.write(side, path.encode(), entry)
    return model
