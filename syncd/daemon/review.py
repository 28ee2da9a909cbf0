"""The risk review before a first run (semantics, "First sync"): a warning where one side is far larger.

Of the engine it asks only what both sides hold; nothing is held by it.
"""

from syncd.core.entry import Side
from syncd.core.mode import Mode
from syncd.daemon.config import PairConfig
from syncd.sync.cycle import Cycle
from syncd.sync.settings import BOTH

RISK_RATIO = 2
RISK_FILES = 10
_OPPOSITE = {
    Mode.SOURCE_TO_DESTINATION: Mode.DESTINATION_TO_SOURCE,
    Mode.DESTINATION_TO_SOURCE: Mode.SOURCE_TO_DESTINATION,
}


async def review(config: PairConfig, cycle: Cycle) -> str:
    """The warning for a pair that was observed and never synchronised; empty where there is none."""
    is_mirror = config.mode.is_mirror
    if not cycle.is_first_sync or not (is_mirror or (config.mode is Mode.TWO_WAY and config.initial is None)):
        return ""
    totals = await cycle.totals()
    files = {side: totals[side][0] for side in BOTH}
    larger = max(BOTH, key=lambda side: files[side])
    if files[larger] <= RISK_FILES or files[larger] <= RISK_RATIO * files[larger.other]:
        return ""
    counts = f"the source has {files[Side.SOURCE]} files, the destination {files[Side.DESTINATION]}"
    if not is_mirror:
        return (
            f"{counts}; both are merged and nothing is deleted"
            f" (initial = {larger.word}-wins would make the {larger.word} authoritative)"
        )
    if larger is config.mode.authority:
        return ""
    wanted = _OPPOSITE[config.mode].value
    return f'{counts}; this mirror deletes what only the {larger.word} has (mode = "{wanted}" would not)'
