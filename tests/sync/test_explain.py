"""What `explain` answers, where the path waits."""

from syncd.core.entry import Side
from syncd.core.filter import Filter
from syncd.core.mode import Mode
from syncd.core.reason import Reason
from syncd.core.rules import Rules
from syncd.index import pending
from syncd.sync.explain import explain
from tests.sync.desk import Desk, S
from tests.sync.lab import OLD_NS

RULES = Rules(Mode.TWO_WAY)
NOTHING = Filter.build((), {})


async def test_a_quarantined_path_tells_why() -> None:
    async with Desk.open() as desk:
        desk.users[S].write(b"f", b"1", mtime_ns=OLD_NS)
        await desk.cycle.open()
        await desk.cycle.observe_all()
        for _ in range(12):
            await desk.database.write(
                pending.put, b"f", Side.DESTINATION, Reason.NOT_PERMITTED, "EPERM", desk.now
            )
        found = await desk.database.read(explain, b"f", RULES, NOTHING, False)
        assert (found.reason, found.detail) == (Reason.QUARANTINED, "not-permitted: EPERM")
        assert found.next_step == "it is tried again"
        assert not found.is_synced
        await desk.cycle.synchronise(lambda: False, retries_all=True)
        found = await desk.database.read(explain, b"f", RULES, NOTHING, False)
        assert (found.reason, found.is_synced) == (Reason.IN_SYNC, True)
