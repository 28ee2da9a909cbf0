"""Deletion safety: when a plan is held until a person approves it, and what may go on meanwhile.

The rules are "Deletion safety" of the semantics page. Pure; numbers and approvals come in as values.
"""

from collections.abc import Mapping, Sequence

import msgspec

from syncd.core.action import Action, Delete, Move, Put, RemoveDirectory
from syncd.core.entry import Kind, Side
from syncd.core.mode import Mode
from syncd.core.path import ancestors
from syncd.core.plan import Destructive, Plan, destructive, digest_of, plan_id
from syncd.core.reason import Reason


class SideTotals(msgspec.Struct, frozen=True):
    """What one side holds. `window_*` is what it held when the rolling window began, `recent_deleted_*`
    what was deleted there since (approved deletions left out), `base_files` what both sides share."""

    files: int = 0
    bytes: int = 0
    window_files: int = 0
    window_bytes: int = 0
    recent_deleted_files: int = 0
    recent_deleted_bytes: int = 0
    base_files: int = 0


class Brake(msgspec.Struct, frozen=True):
    """`max_delete` of a pair. `absolute`, off by default, is enough alone."""

    files: int = 20
    percent: float = 25
    bytes_percent: float = 50
    absolute: int | None = None


class Hold(msgspec.Struct, frozen=True):
    """Why a plan waits, and for what. Only what is not approved yet is listed."""

    reason: Reason
    detail: str
    plan_id: str
    destructive: tuple[Destructive, ...]

    @property
    def has_overwrites(self) -> bool:
        """Does it keep files from being overwritten, and not only from being removed?"""
        return any(item.is_overwrite for item in self.destructive)


class _Losses(msgspec.Struct, frozen=True):
    """What the plan takes from one side and puts there new, in files that users see."""

    files: int
    bytes: int
    added: int


def check(
    plan: Plan,
    totals: Mapping[Side, SideTotals],
    brake: Brake,
    *,
    is_first_sync: bool,
    is_state_lost: bool,
    approved: frozenset[str],
    mode: Mode | None = None,
) -> Hold | None:
    """The hold that the plan runs into, None when it may go on.

    `approved` are digests (`plan.digest_of`) of approved actions: what they cover is not counted. A lost
    state holds a mirror's every deletion and overwrite; `mode` tells (None counts as a mirror).
    """
    protects_all = is_state_lost and (mode is None or mode.is_mirror)
    found = destructive(plan, with_overwrites=protects_all)
    pending = tuple(item for item in found if digest_of(item) not in approved) if approved else found
    if not pending:
        return None
    if protects_all:
        return _hold(Reason.STATE_LOST, f"{len(pending)} deletions and overwrites", pending)
    for side in Side:
        losses = _losses(plan, pending, side)
        if losses.files == 0:
            continue
        reason, detail = _judge(losses, totals[side], totals[side.other], brake, side)
        if reason is not None:
            return _hold(Reason.FIRST_RUN if is_first_sync else reason, detail, pending)
    return None


def _hold(reason: Reason, detail: str, pending: tuple[Destructive, ...]) -> Hold:
    return Hold(reason, detail, plan_id(pending), pending)


def _losses(plan: Plan, pending: Sequence[Destructive], side: Side) -> _Losses:
    lost = [item.expect for item in pending if item.side is side and item.expect.kind is not Kind.DIRECTORY]
    added = sum(
        isinstance(action, Put) and action.side is side and action.expect is None
        for _, action in plan.actions
    )
    return _Losses(len(lost), sum(entry.size for entry in lost), added)


def _judge(
    losses: _Losses, here: SideTotals, there: SideTotals, brake: Brake, side: Side
) -> tuple[Reason | None, str]:
    """Emptying first: it says more than a number of files."""
    if there.files == 0 and there.base_files >= 2:
        return Reason.SIDE_EMPTIED, f"{side.other.word} held {there.base_files} files and has none"
    if here.files >= 2 and here.files - losses.files + losses.added <= 0:
        return Reason.SIDE_EMPTIED, f"all {here.files} files of the {side.word} would be deleted"
    files = losses.files + here.recent_deleted_files
    size = losses.bytes + here.recent_deleted_bytes
    detail = f"{files} of {here.window_files} files, {size} of {here.window_bytes} bytes of the {side.word}"
    if brake.absolute is not None and files >= brake.absolute:
        return Reason.MASS_DELETE, detail
    is_large_part = files * 100 >= brake.percent * here.window_files or (
        here.window_bytes > 0 and size * 100 >= brake.bytes_percent * here.window_bytes
    )
    if files >= brake.files and is_large_part:
        return Reason.MASS_DELETE, detail
    return None, detail


def without_destructive(plan: Plan, held: Sequence[Destructive]) -> Plan:
    """What may go on while `held` waits.

    Actions fall out with the ones that they need: what is put where a held removal makes room, and beneath
    it; the removal of a directory above something that is kept. What falls out is left, BLOCKED.
    """
    waiting = _held_actions(plan, held)
    if not waiting:
        return plan
    spots = {(action.side, action.path) for action in waiting}
    above = {(side, directory) for side, path in spots for directory in ancestors(path)}
    kept, blocked = [], set()
    for item in plan.actions:
        action = item[1]
        if action in waiting or _needs_removal(action, spots, above):
            blocked.add(action.path)
        else:
            kept.append(item)
    left = (*plan.left, *((path, Reason.BLOCKED) for path in sorted(blocked)))
    return msgspec.structs.replace(plan, actions=tuple(kept), left=left)


def _held_actions(plan: Plan, held: Sequence[Destructive]) -> set[Action]:
    spots = {(item.side, item.path, item.is_overwrite) for item in held}
    return {
        action
        for _, action in plan.actions
        if isinstance(action, Delete | RemoveDirectory | Put)
        and (action.side, action.path, isinstance(action, Put)) in spots
    }


def _needs_removal(action: Action, spots: set[tuple[Side, bytes]], above: set[tuple[Side, bytes]]) -> bool:
    """Does `action` need something among `spots` to be gone? `above` are the directories over them."""
    if isinstance(action, RemoveDirectory):
        return (action.side, action.path) in above
    if isinstance(action, Delete):
        return False
    path = action.to if isinstance(action, Move) else action.path
    return any((action.side, one) in spots for one in (path, *ancestors(path)))
