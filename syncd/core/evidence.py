"""What tells that a base row is elsewhere: its node under another path, or a unique equal digest. Pure."""

from collections.abc import Mapping

from syncd.core.entry import Entry, Kind, Side
from syncd.core.reconcile import Outcome


def find_renamed(by_path: Mapping[bytes, Outcome]) -> dict[bytes, dict[Side, bytes]]:
    """For each base row that is elsewhere now: where, by side."""
    found: dict[bytes, dict[Side, bytes]] = {}
    for side in Side:
        by_node = {
            outcome.state.node(side): path
            for path, outcome in by_path.items()
            if outcome.state.node(side) and outcome.state.at(side) is not None
        }
        used = set()
        for path, outcome in by_path.items():
            state = outcome.state
            to = by_node.get(state.base_node(side)) if state.base is not None else None
            if to is not None and to != path and is_same_kind(by_path[to].state.at(side), state.base):
                found.setdefault(path, {})[side] = to
                used.add(to)
        for path, to in _by_digest(by_path, side, used, found):
            found.setdefault(path, {})[side] = to
    return found


def _by_digest(
    by_path: Mapping[bytes, Outcome],
    side: Side,
    used: set[bytes],
    found: Mapping[bytes, Mapping[Side, bytes]],
) -> list[tuple[bytes, bytes]]:
    """Files that vanished and files that appeared with one digest, where it is one of each."""
    lost: dict[bytes, list[bytes]] = {}
    new: dict[bytes, list[bytes]] = {}
    for path, outcome in by_path.items():
        state = outcome.state
        entry, base = state.at(side), state.base
        if base is not None and entry is None:
            if side not in found.get(path, {}) and not state.is_unknown(side) and _is_telling(base):
                lost.setdefault(base.digest or b"", []).append(path)
        elif base is None and entry is not None and path not in used and _is_telling(entry):
            new.setdefault(entry.digest or b"", []).append(path)
    return [
        (paths[0], new[digest][0])
        for digest, paths in lost.items()
        if len(paths) == 1 and len(new.get(digest, ())) == 1
    ]


def _is_telling(entry: Entry) -> bool:
    return entry.kind is Kind.FILE and entry.size > 0 and entry.digest is not None


def is_same_kind(entry: Entry | None, base: Entry | None) -> bool:
    return entry is not None and base is not None and entry.kind is base.kind
