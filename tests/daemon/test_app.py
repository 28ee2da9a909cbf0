"""One daemon in this process: what `run` starts beside the pairs, and that all of it ends."""

import socket
import sys
from pathlib import Path

import anyio
import msgspec
from anyio.abc import SocketStream

from tests.daemon.life import daemon

WRITE = "import sys; open(sys.argv[1], 'ab').write(sys.stdin.buffer.read())"


async def connected(path: Path) -> SocketStream | None:
    try:
        return await anyio.connect_unix(path)
    except OSError:
        return None


async def figures(path: Path) -> str:
    """The answer to GET /metrics, once there is somebody who answers."""
    while (client := await connected(path)) is None:
        await anyio.sleep(0.01)
    async with client:
        await client.send(b"GET /metrics HTTP/1.1\r\n\r\n")
        said = b""
        try:
            while True:
                said += await client.receive()
        except anyio.EndOfStream:
            return said.decode()


async def test_hooks_run_and_figures_are_served(tmp_path: Path) -> None:
    told, address = tmp_path / "told", tmp_path / "m.sock"
    command = [sys.executable, "-c", WRITE, str(told)]
    async with daemon(tmp_path, f"unix:{address}", hooks={"post_batch": command}):
        assert 'syncd_pair_state{pair="p"' in await figures(address)
        (tmp_path / "a" / "f").write_bytes(b"1")
        while not told.exists() or not told.read_bytes():
            await anyio.sleep(0.02)
    message = msgspec.json.decode(told.read_bytes().splitlines()[0])
    assert (message["pair"], message["counts"]["file.put"]) == ("p", 1)


async def test_figures_without_an_address_do_not_stop_the_daemon(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        async with daemon(tmp_path, f"127.0.0.1:{taken.getsockname()[1]}"):
            (tmp_path / "a" / "f").write_bytes(b"1")
            while not (tmp_path / "b" / "f").exists():
                await anyio.sleep(0.02)


async def test_the_first_answer_knows_the_pairs(tmp_path: Path) -> None:
    """Who waits for all pairs while the daemon starts waits for all pairs."""
    async with daemon(tmp_path, "off"):
        (tmp_path / "a" / "f").write_bytes(b"1")
        async with await anyio.connect_unix(tmp_path / "s.sock") as client:
            await client.send(b'{"jsonrpc":"2.0","id":1,"method":"pair.wait","params":{"timeout_s":30}}\n')
            answer = msgspec.json.decode(await client.receive())
        assert [one["name"] for one in answer["result"]["pairs"]] == ["p"]
        assert (tmp_path / "b" / "f").exists()
