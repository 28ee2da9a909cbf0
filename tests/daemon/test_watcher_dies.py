"""WAT-11 in a whole daemon: what a watcher did not foresee ends the pair's life, and another one begins."""

from pathlib import Path

import anyio
import pytest

from syncd.control import model as m
from syncd.core.reason import Reason
from syncd.daemon import supervisor
from syncd.watch.generation import Generation
from syncd.watch.port import Event
from tests.daemon.desk import contents
from tests.daemon.life import daemon


async def test_wat_11_a_pair_whose_watcher_broke_says_so_and_begins_anew_with_a_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_generation: Generation, event: Event) -> None:
        raise ZeroDivisionError(event.path)

    monkeypatch.setattr(supervisor, "RESTART_PAUSE_S", 3600.0)
    async with daemon(tmp_path) as life:
        await life.synced()
        with monkeypatch.context() as broken:
            broken.setattr(Generation, "_follow", fail)
            (life.a / "noticed").write_bytes(b"1")
            while (await life.status()).hold is None:
                await anyio.sleep(0.02)
        status = await life.status()
        assert status.state == "waiting"
        assert status.hold is not None
        assert status.hold.reason == Reason.BUG.value
        assert "ZeroDivisionError" in status.hold.detail
        assert not status.watcher.alive
        (life.b / "unnoticed").write_bytes(b"2")
        await life.call("pair.resume", m.PairsParams(pairs=("p",)), m.Ack)
        while (await life.status()).state != "idle":
            await anyio.sleep(0.02)
        await life.synced()
        assert contents(life.a) == contents(life.b) == {"noticed": b"1", "unnoticed": b"2"}
        status = await life.status()
        assert (status.hold, status.watcher.alive) == (None, True)
