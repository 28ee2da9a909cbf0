"""The daemon's answers about pairs, plans and configuration, over the real socket."""

import signal
from pathlib import Path

import anyio
import pytest

from syncd import __version__
from syncd.control import model as m
from syncd.control.client import Client, connect
from syncd.core.reason import Reason
from syncd.daemon.paths import pair_state_dir
from tests.daemon.desk import contents
from tests.daemon.life import Life, daemon, pair_toml

P = m.PairsParams(pairs=("p",))


# Status.


async def test_status_and_its_kin(tmp_path: Path) -> None:
    async with daemon(tmp_path) as life:
        (life.a / "f").write_bytes(b"12345")
        await life.synced()
        answer = await life.call("status", m.StatusParams(), m.Status)
        (pair,) = answer.pairs
        assert answer.daemon.version == __version__
        assert (pair.name, pair.state, pair.mode, pair.hold) == ("p", "idle", "two-way", None)
        assert pair.totals.source == pair.totals.destination == m.SideCount(files=1, bytes=5)
        assert pair.watcher.alive
        assert pair.last_synced_at is not None
        (brief,) = (await life.call("pair.list", m.NoParams(), m.Pairs)).pairs
        assert (brief.name, brief.source, brief.state) == ("p", str(life.a), "idle")
        shown = await life.call("pair.show", m.PairShowParams(pair="p"), m.PairDetail)
        settings = {one.key: (one.value, one.origin) for one in shown.settings}
        assert settings["settle"] == ("10ms", f"{tmp_path / 'syncd.toml'}:6")
        assert settings["trash.max_size"] == ("10GiB", "default")
        assert settings["rescan"] == ("15m", "default")
        assert settings["max_delete.files"] == (20, "default")
        assert [root.side for root in shown.roots] == ["source", "destination"]
        assert all("written" in root.capabilities for root in shown.roots)
        version = await life.call("daemon.version", m.NoParams(), m.VersionInfo)
        assert version.version == __version__
        await life.refused("status", m.StatusParams(pairs=("none",)), Reason.NO_SUCH_PAIR)


async def test_the_log_is_kept_in_memory(tmp_path: Path) -> None:
    async with daemon(tmp_path) as life:
        page = await life.call("log.tail", m.LogTailParams(limit=5), m.LogPage)
        assert page.last >= len(page.lines)


async def test_events_are_followed(tmp_path: Path) -> None:
    async with daemon(tmp_path) as life:
        await life.synced()

        def follow(client: Client) -> m.Event:
            client.subscribe(m.EventsSubscribeParams(pairs=("p",), kinds=("file.",)))
            (life.a / "f").write_bytes(b"1")
            event = client.next_event(60)
            assert event is not None
            return event

        with connect([tmp_path / "s.sock"]) as client:
            event = await anyio.to_thread.run_sync(follow, client)
        assert (event.kind, event.pair, event.path) == ("file.put", "p", "f")


# Running pairs.


async def test_a_pause_is_remembered_over_restarts(tmp_path: Path) -> None:
    async with daemon(tmp_path) as life:
        await life.synced()
        (paused,) = (await life.call("pair.pause", P, m.Pairs)).pairs
        assert paused.state == "paused"
        (life.a / "f").write_bytes(b"1")
        assert (await life.wait()).outcome == "degraded"
        assert contents(life.b) == {}
    async with daemon(tmp_path) as life:
        assert (await life.wait()).pairs[0].outcome == "degraded"
        assert (await life.status()).state == "paused"
        assert contents(life.b) == {}
        await life.call("pair.resume", P, m.Pairs)
        await life.synced()
        assert contents(life.b) == {"f": b"1"}
    async with daemon(tmp_path) as life:
        await life.synced()


async def test_what_was_missed_is_found_by_sync_rescan_and_notify(tmp_path: Path) -> None:
    async with daemon(tmp_path) as life:
        await life.synced()
        (life.a / "d").mkdir()
        (life.a / "d" / "f").write_bytes(b"1")
        both = m.PairSyncParams(wait=True)
        await life.call("pair.rescan", m.PairRescanParams(pairs=("p",), path="d", wait=True), m.Pairs)
        await life.call("pair.sync", both, m.Pairs)
        assert contents(life.b) == {"d/f": b"1"}
        (life.a / "g").write_bytes(b"2")
        await life.call("pair.rescan", m.PairRescanParams(path=str(life.a), wait=True), m.Pairs)
        assert contents(life.b)["g"] == b"2"
        (life.a / "h").write_bytes(b"3")
        ack = await life.call("pair.notify", m.PairNotifyParams(pair="p", new="h"), m.Ack)
        assert ack.detail == "noted"
        await life.call("pair.sync", both, m.Pairs)
        assert contents(life.b)["h"] == b"3"
        outside = m.PairRescanParams(path="/nowhere", wait=True)
        await life.refused("pair.rescan", outside, Reason.NO_SUCH_PATH)
        await life.refused("pair.notify", m.PairNotifyParams(pair="p"), Reason.BAD_REQUEST)
        await life.refused("pair.notify", m.PairNotifyParams(pair="p", new="../x"), Reason.BAD_REQUEST)


async def test_waiting_ends_after_its_time(tmp_path: Path) -> None:
    async with daemon(tmp_path, settle="1h", rescan="never") as life:
        params = m.PairWaitParams(timeout_s=0)
        assert (await life.call("pair.wait", params, m.WaitResult)).outcome == "timeout"
        (life.a / "f").write_bytes(b"1")
        await life.synced()
        assert contents(life.b) == {"f": b"1"}, "what still settles is not waited for an hour"


async def test_a_replaced_root_is_adopted_by_a_person(tmp_path: Path) -> None:
    async with daemon(tmp_path) as life:
        (life.a / "f").write_bytes(b"1")
        await life.synced()
        life.b.rename(tmp_path / "elsewhere")
        life.b.mkdir()
        while (await life.status()).state != "held":
            await anyio.sleep(0.05)
            await life.call("pair.rescan", m.PairRescanParams(), m.Pairs)
        hold = (await life.status()).hold
        assert hold is not None
        assert hold.reason in {"root-changed", "root-missing"}
        assert (await life.wait()).pairs[0].outcome == "held"
        await life.call("pair.adopt", m.PairAdoptParams(pair="p"), m.Ack)
        while contents(life.b) != {"f": b"1"}:
            await anyio.sleep(0.05)


async def test_a_pair_whose_state_is_in_use_says_so(tmp_path: Path) -> None:
    from syncd.daemon.engine import PairState

    with PairState(tmp_path / "state", "p"):
        async with daemon(tmp_path) as life:
            assert (await life.wait()).pairs[0].outcome == "degraded"
            status = await life.status()
            assert status.state == "held"
            assert status.hold is not None
            assert status.hold.reason == Reason.STATE_BUSY.value
            await life.refused("pair.adopt", m.PairAdoptParams(pair="p"), Reason.STATE_BUSY)


# Plans.


async def held(life: Life) -> str:
    """Thirty files are in sync, then gone at the source; the answer is the plan that is held."""
    for number in range(30):
        (life.a / f"f{number}").write_bytes(b"%d" % number)
    await life.synced()
    # All at once, however slow the disk is: the first ones alone would be below the brake.
    await life.call("pair.pause", P, m.Pairs)
    for number in range(30):
        (life.a / f"f{number}").unlink()
    await life.call("pair.resume", P, m.Pairs)
    assert (await life.wait()).outcome == "held"
    hold = (await life.status()).hold
    assert hold is not None
    assert hold.plan_id is not None
    assert len(contents(life.b)) == 30
    return hold.plan_id


async def test_a_held_plan_is_shown_and_approved(tmp_path: Path) -> None:
    async with daemon(tmp_path) as life:
        plan_id = await held(life)
        view = await life.call("plan.show", m.PlanShowParams(pair="p", limit=10), m.PlanView)
        assert (view.plan_id, view.total, len(view.actions)) == (plan_id, 30, 10)
        assert all(one.is_destructive and one.verb == "delete" for one in view.actions)
        assert view.counts == (m.PlanCount(side="destination", verb="delete", files=30, bytes=50),)
        wrong = m.PlanDecideParams(pair="p", plan_id="no-such-plan")
        await life.refused("plan.approve", wrong, Reason.NO_SUCH_ID)
        params = m.PlanDecideParams(pair="p", plan_id=plan_id)
        rejected = await life.call("plan.reject", params, m.PlanDecision)
        assert rejected.decision == "rejected"
        assert (await life.wait()).outcome == "held"
        approved = await life.call("plan.approve", params, m.PlanDecision)
        assert (approved.decision, approved.plan_id) == ("approved", plan_id)
        await life.synced()
        assert contents(life.b) == {}


async def test_a_held_plan_is_reverted(tmp_path: Path) -> None:
    async with daemon(tmp_path) as life:
        params = m.PlanDecideParams(pair="p", plan_id=await held(life))
        answer = await life.call("plan.revert", params, m.PlanDecision)
        assert answer.decision == "reverting"
        await life.synced()
        assert contents(life.a) == contents(life.b)
        assert len(contents(life.a)) == 30


async def test_a_plan_of_what_would_be_done_now(tmp_path: Path) -> None:
    async with daemon(tmp_path) as life:
        (life.a / "old").write_bytes(b"1")
        await life.synced()
        await life.call("pair.pause", P, m.Pairs)
        (life.a / "old").rename(life.a / "new")
        (life.b / "g").write_bytes(b"22")
        view = await life.call("plan.show", m.PlanShowParams(pair="p"), m.PlanView)
        found = {(one.verb, one.side, one.path, one.to.path if one.to else "") for one in view.actions}
        assert found == {("move", "destination", "old", "new"), ("put", "source", "g", "")}
        assert (view.plan_id, view.hold, view.conflicts) == (None, None, 0)
        assert contents(life.b) == {"old": b"1", "g": b"22"}, "nothing was done"


# Configuration.


async def test_pairs_are_added_edited_and_removed(tmp_path: Path) -> None:
    for name in ("c", "d"):
        (tmp_path / name).mkdir()
    (tmp_path / "c" / "f").write_bytes(b"1")
    async with daemon(tmp_path) as life:
        options = m.PairOptions(mode="source-to-destination", settle="10ms", trash=m.TrashOption(keep="2d"))
        roots = {"source": str(tmp_path / "c"), "destination": str(tmp_path / "d")}
        params = m.PairAddParams(name="q", options=options, **roots)
        added = await life.call("pair.add", params, m.PairChange)
        assert added.file == str(tmp_path / "pairs.d" / "q.toml")
        assert (await life.wait("q")).outcome == "synced"
        assert contents(tmp_path / "d") == {"f": b"1"}
        await life.refused("pair.add", params, Reason.BAD_REQUEST)
        wrong = m.PairEditParams(pair="q", options=m.PairOptions(mode="sideways"))
        assert "sideways" in await life.refused("pair.edit", wrong, Reason.CONFIG_INVALID)
        edit = m.PairEditParams(pair="q", options=m.PairOptions(mode="two-way"), unset=("trash",))
        await life.call("pair.edit", edit, m.PairChange)
        view = await life.call("config.show", m.ConfigShowParams(pair="q"), m.ConfigView)
        settings = {one.key: one.value for one in view.settings}
        assert settings["mode"] == "two-way"
        state = pair_state_dir(tmp_path / "state", "q")
        assert state.exists()
        await life.call("pair.remove", m.PairRemoveParams(pair="q", purge=True), m.PairChange)
        assert not state.exists()
        assert contents(tmp_path / "d") == {"f": b"1"}
        await life.refused("pair.remove", m.PairRemoveParams(pair="q"), Reason.NO_SUCH_PAIR)


async def test_a_configuration_is_checked_and_reloaded(tmp_path: Path) -> None:
    for name in ("c", "d"):
        (tmp_path / name).mkdir()
    async with daemon(tmp_path) as life:
        checked = await life.call("config.check", m.ConfigCheckParams(), m.ConfigCheck)
        assert (checked.is_valid, checked.pairs) == (True, ("p",))
        life.configure("[pair.p]\nsource = 1\n")
        checked = await life.call("config.check", m.ConfigCheckParams(), m.ConfigCheck)
        assert not checked.is_valid
        assert {one.severity for one in checked.problems} == {"error"}
        refused = await life.call("config.reload", m.ConfigReloadParams(), m.ReloadResult)
        assert (refused.is_applied, len(refused.problems) > 0) == (False, True)
        assert (await life.wait()).outcome == "synced", "the old one stays in force"
        life.configure(pair_toml(tmp_path, "q", "c", "d"))
        applied = await life.call("config.reload", m.ConfigReloadParams(), m.ReloadResult)
        assert applied == m.ReloadResult(is_applied=True, added=("q",), removed=("p",))
        shown = await life.call("config.show", m.ConfigShowParams(), m.ConfigView)
        assert shown.files == (str(tmp_path / "syncd.toml"),)
        assert {one.key: one.value for one in shown.settings}["socket"] == str(tmp_path / "s.sock")


@pytest.mark.parametrize("text", ["# no pairs\n", "[pair.p]\nsource = 1\n"])
async def test_a_hangup_reloads_and_a_bad_file_changes_nothing(tmp_path: Path, text: str) -> None:
    async with daemon(tmp_path) as life:
        await life.synced()
        life.configure(text)
        signal.raise_signal(signal.SIGHUP)
        if "source" in text:
            await anyio.sleep(0.2)
            assert (await life.wait()).outcome == "synced"
        else:
            while life.app.supervisor.pairs:
                await anyio.sleep(0.02)
            assert life.app.summary() == "no pairs"


# The end.


@pytest.mark.parametrize("how", ["method", "signal"])
async def test_it_stops_in_order_when_it_is_told(tmp_path: Path, how: str) -> None:
    async with daemon(tmp_path) as life:
        await life.synced()
        if how == "method":
            ack = await life.call("daemon.stop", m.NoParams(), m.Ack)
            assert ack.detail == "stopping"
        else:
            signal.raise_signal(signal.SIGTERM)
        while any(one.pair is not None for one in life.app.supervisor.pairs.values()):
            await anyio.sleep(0.02)
