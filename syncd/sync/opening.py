"""Opening a pair: roots verified against what is stored, a first run told from a lost state."""

import sqlite3
from collections.abc import Mapping

import msgspec

from syncd.core.entry import Side
from syncd.core.error import NeedsUser
from syncd.core.filter import Filter
from syncd.core.rules import Initial, Policy, Rules
from syncd.index import meta, records
from syncd.index.database import Database
from syncd.sync.settings import BOTH, PairSettings
from syncd.tree.port import RootIdentity, Tree

LOST_AT_MOST_NS = 300 * 10**9
"""Kernels write back what is half a minute old, slow devices later."""

_WITHOUT_CTIME = ("vfat", "msdos", "exfat")
"""Their ctime is the mtime, which anybody can set; a root has none."""


class Opened(msgspec.Struct):
    """What opening found out. A lost state is a first sync that destroys nothing unapproved."""

    is_first_sync: bool = True
    is_state_lost: bool = False
    rules_changed: bool = False


async def open_pair(
    settings: PairSettings, database: Database, trees: Mapping[Side, Tree], *, adopts: bool, now_ns: int
) -> Opened:
    """Open both roots and compare mode, patterns and roots with those that the base was made under.

    Raises NeedsUser when a root is missing, foreign or another one. `adopts` accepts the roots as they are.
    """
    stored = await database.read(meta.root_identities)
    identities: dict[Side, RootIdentity] = {}
    had_marker = False
    for side in BOTH:
        known = None if adopts else stored.get(side)
        try:
            identity = await trees[side].open(known=known, adopt=adopts)
        except NeedsUser as error:
            raise NeedsUser(error.reason, f"the {side.word}: {error.detail}") from error
        had_marker |= identity.had_marker
        identities[side] = identity
    is_first = not await database.read(meta.is_first_sync_done)
    roots_changed = bool(stored) and any(moved(stored.get(side), identities[side]) for side in BOTH)
    in_force = await database.read(meta.rules)
    cut = {
        side: trees[side].capabilities.filesystem not in _WITHOUT_CTIME
        for side in BOTH
        if is_attached_anew(stored.get(side), identities[side])
    }
    is_lost = is_first and (had_marker if not stored else await database.read(meta.is_state_lost))
    await database.write(remember, identities, is_lost, cut, now_ns)
    return Opened(
        is_first_sync=is_first,
        is_state_lost=is_lost,
        rules_changed=not is_first
        and (roots_changed or not (in_force or "").startswith(rules_prefix(settings))),
    )


def remember(
    db: sqlite3.Connection,
    identities: Mapping[Side, RootIdentity],
    is_lost: bool,
    cut: Mapping[Side, bool],
    now_ns: int,
) -> None:
    """Which roots these are, whether the base of an earlier life is missing, and what that life may have left
    if it ended badly. On the sides that were `cut` off what was written shortly before is doubted;
    the value says whether ctimes are evidence there."""
    meta.set_root_identities(db, identities)
    meta.set_state_lost(db, is_lost)
    if not meta.is_unclean(db):
        return
    for side in identities:
        meta.set_after_crash(db, side, True)
        if side in cut:
            records.doubt_recent(db, side, LOST_AT_MOST_NS, now_ns, has_ctimes=cut[side])
    meta.set_unclean(db, False)


def is_attached_anew(known: RootIdentity | None, now: RootIdentity) -> bool:
    """Has the medium been detached since, as in a power cut? Then unsynced writes may be lost."""
    if known is None or not known.attachment or not now.attachment:
        return False
    return known.attachment != now.attachment


def moved(known: RootIdentity | None, now: RootIdentity) -> bool:
    """Is this another directory than the one the base was made with? Device numbers change over reboots."""
    return known is None or (known.inode, known.filesystem_id) != (now.inode, now.filesystem_id)


def rules_prefix(settings: PairSettings) -> str:
    """Mode and patterns of the pair, as stored with the base."""
    patterns = msgspec.json.encode([settings.pulls_destination_changes, *settings.ignore]).decode()
    return f"{settings.mode.value}|{patterns}|"


def rules_of(settings: PairSettings, rules: Filter) -> str:
    """Everything that a base row depends on: mode, patterns and the ignore files in force."""
    return rules_prefix(settings) + rules.fingerprint


def rules_now(
    settings: PairSettings,
    trees: Mapping[Side, Tree],
    opened: Opened,
    now_ns: int,
    chosen: Mapping[bytes, Policy],
) -> Rules:
    """What paths are reconciled by. `chosen` are the policies that a person chose for single paths."""
    mask = 0o777
    for side in BOTH:
        mask &= trees[side].capabilities.mode_mask
    return Rules(
        mode=settings.mode,
        policy=settings.policy,
        initial=settings.initial or Initial.MERGE,
        is_first_sync=opened.is_first_sync and not opened.is_state_lost,
        # Later on, equal stamps are two edits within one tick of the clock: they are read.
        compares_content=settings.compares_content or not opened.is_first_sync,
        pulls_destination_changes=settings.pulls_destination_changes,
        mode_mask=mask,
        now_ns=now_ns,
        host=settings.host,
        choices=chosen,
    )
