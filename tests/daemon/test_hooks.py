"""Hooks: the right command for an event, JSON on its input, nothing of the daemon's environment, no harm."""

import sys
from pathlib import Path

import anyio
import msgspec
import pytest

from syncd.control.events import EventHub
from syncd.daemon import hooks
from syncd.daemon.config_model import Hooks, PairConfig
from syncd.daemon.hooks import HookRunner, environment, run_hook

WRITE = "import sys; open(sys.argv[1], 'ab').write(sys.stdin.buffer.read())"


def pair(tmp_path: Path, name: str = "p") -> PairConfig:
    def command(hook: str) -> tuple[str, ...]:
        return (sys.executable, "-c", WRITE, str(tmp_path / hook))

    found = Hooks(command("on_conflict"), command("on_held"), command("post_batch"))
    return PairConfig(name, "/a", "/b", name, hooks=found)


async def settled(path: Path, lines: int) -> list[dict[str, object]]:
    with anyio.fail_after(20):
        while True:
            if path.exists() and path.read_bytes().count(b"\n") >= lines:
                return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
            await anyio.sleep(0.01)


async def test_each_event_runs_its_command(tmp_path: Path) -> None:
    hub = EventHub(lambda: 0)
    runner = HookRunner(hub, lambda: (pair(tmp_path), PairConfig("q", "/c", "/d", "q")))
    async with anyio.create_task_group() as tasks:
        await tasks.start(runner.run)
        hub.publish("conflict.recorded", pair="p", path=b"x\xff", data={"id": "1"})
        hub.publish("pair.held", pair="p", data={"reason": "mass-delete"})
        hub.publish("pair.held", pair="q", data={"reason": "mass-delete"})
        hub.publish("config.reloaded", data={"changed": 1})
        hub.publish("pair.state", pair="p", data={"state": "idle"})
        for _ in range(2):
            hub.publish("file.put", pair="p", path=b"f")
        hub.publish("pair.state", pair="p", data={"state": "syncing"})
        hub.publish("pair.state", pair="p", data={"state": "idle"})
        hub.publish("pair.state", pair="p", data={"state": "idle"})
        conflict = await settled(tmp_path / "on_conflict", 1)
        held = await settled(tmp_path / "on_held", 1)
        batch = await settled(tmp_path / "post_batch", 1)
        tasks.cancel_scope.cancel()
    assert [(one["kind"], one["path_b64"], one["data"]) for one in conflict] == [
        ("conflict.recorded", "eP8=", {"id": "1"})
    ]
    assert [(one["kind"], one["pair"]) for one in held] == [("pair.held", "p")]
    assert [(one["kind"], one["counts"]) for one in batch] == [("batch.done", {"file.put": 2})]


async def test_what_fails_is_only_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = environment({})
    assert await run_hook("h", "p", ("/bin/sh", "-c", "exit 0"), b"{}", env)
    assert not await run_hook("h", "p", ("/bin/sh", "-c", "echo why >&2; exit 3"), b"{}", env)
    assert not await run_hook("h", "p", (str(tmp_path / "none"),), b"{}", env)
    assert await run_hook("h", "p", ("/bin/true",), b"{}" * 500_000, env), "it need not read its input"
    monkeypatch.setattr(hooks, "TIMEOUT_S", 0.05)
    assert not await run_hook("h", "p", ("/bin/sleep", "60"), b"{}", env)


async def test_a_flood_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "WAITING", 2)
    hub = EventHub(lambda: 0)
    async with anyio.create_task_group() as tasks:
        await tasks.start(HookRunner(hub, lambda: (pair(tmp_path),)).run)
        for _ in range(5):
            hub.publish("pair.held", pair="p")
        await settled(tmp_path / "on_held", 2)
        await anyio.sleep(0.2)
        tasks.cancel_scope.cancel()
    assert len(await settled(tmp_path / "on_held", 2)) == 2


def test_a_command_gets_a_small_environment() -> None:
    full = {"PATH": "/p", "SYNCD_TOKEN": "secret", "NOTIFY_SOCKET": "/n", "LANG": "C"}
    assert environment(full) == {"PATH": "/p", "LANG": "C"}
    assert environment({}) == {"PATH": hooks.DEFAULT_PATH}
