"""A whole daemon in this process, over real directories, asked over its real socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import anyio
import msgspec
import pytest

from syncd.control import model as m
from syncd.control.client import CallError, connect
from syncd.control.listen import listen
from syncd.core.reason import Reason
from syncd.daemon.app import App, ConfigSource
from syncd.daemon.logging import LogRing

T = TypeVar("T")

PATIENCE_S = 60.0


class Life:
    """One daemon. Its first pair `p` has the roots `a` and `b`."""

    def __init__(self, home: Path, app: App) -> None:
        self.home = home
        self.app = app
        self.a, self.b = home / "a", home / "b"

    async def call(self, method: str, params: msgspec.Struct, result: type[T]) -> T:
        """One call on a connection of its own."""

        def ask() -> T:
            with connect([self.home / "s.sock"]) as client:
                return client.call(method, params, result, timeout_s=PATIENCE_S)

        return await anyio.to_thread.run_sync(ask)

    async def refused(self, method: str, params: msgspec.Struct, reason: Reason) -> str:
        """A call that must be refused for this reason; what it says."""
        with pytest.raises(CallError) as caught:
            await self.call(method, params, m.Ack)
        assert caught.value.reason == reason.value, caught.value.message
        return caught.value.message

    async def wait(self, *pairs: str) -> m.WaitResult:
        params = m.PairWaitParams(pairs=pairs, timeout_s=PATIENCE_S)
        return await self.call("pair.wait", params, m.WaitResult)

    async def synced(self) -> None:
        assert (await self.wait()).outcome == "synced"

    async def status(self, name: str = "p") -> m.PairStatus:
        answer = await self.call("status", m.StatusParams(pairs=(name,)), m.Status)
        return answer.pairs[0]

    def configure(self, text: str) -> None:
        """Write the main file anew; nothing is read until it is reloaded."""
        (self.home / "syncd.toml").write_text(text)


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + " }"
    return msgspec.json.encode(value).decode()


def pair_toml(home: Path, name: str = "p", source: str = "a", destination: str = "b", **pair: object) -> str:
    """The table of a pair whose roots are in `home`."""
    rows = {"source": str(home / source), "destination": str(home / destination), "settle": "10ms", **pair}
    return f"[pair.{name}]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in rows.items())


@asynccontextmanager
async def daemon(home: Path, metrics: str = "off", **pair: object) -> AsyncIterator[Life]:
    """A daemon over `home/a` and `home/b`, until the block ends."""
    for name in ("a", "b"):
        (home / name).mkdir(exist_ok=True)
    config = home / "syncd.toml"
    config.write_text(f'[daemon]\nmetrics = "{metrics}"\n{pair_toml(home, **pair)}')  # type: ignore[arg-type]
    source = ConfigSource(config, is_system=False, env={}, socket=home / "s.sock", state_dir=home / "state")
    app = App(source, source.load(), LogRing())
    with anyio.fail_after(2 * PATIENCE_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.run, listen(str(home / "s.sock").encode()))
            yield Life(home, app)
            app.request_stop()
