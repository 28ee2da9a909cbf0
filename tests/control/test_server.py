"""The server over a real Unix socket: bounded, fair, fuzz-proof, no descriptor lost (CTL-01 … CTL-16)."""

import array
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import anyio
import msgspec
import pytest

from syncd.control.methods import METHODS
from syncd.control.peer import Peer, parse_xucred, peer_of
from syncd.core.error import SyncdError
from syncd.core.reason import Reason
from tests.control.running import Service, Wire, open_fds, serving


async def receive(sock: socket.socket) -> bytes:
    """What a plain socket gets next."""
    sock.setblocking(False)
    with anyio.fail_after(60):
        await anyio.wait_readable(sock)
    return sock.recv(1 << 20)


async def test_a_call_is_answered(service: Service) -> None:
    async with service.wire() as wire:
        reply = await wire.ask("status", {"pairs": ["documents"]}, "q1")
    assert reply["id"] == "q1"
    assert [pair["name"] for pair in reply["result"]["pairs"]] == ["documents"]
    assert reply["result"]["pairs"][0]["hold"] is None


async def test_errors_of_the_protocol(service: Service) -> None:
    async with service.wire() as wire:
        assert (await wire.ask("no.such"))["error"]["code"] == -32601
        assert (await wire.ask("pair.show"))["error"]["code"] == -32602
        unknown = await wire.ask("status", {"pair": 1})
        assert unknown["error"]["code"] == -32602
        assert "pair" in unknown["error"]["message"]
        await wire.send(b"garbage\n")
        assert (await wire.line())["error"]["code"] == -32700
        assert "result" in await wire.ask("status")


async def test_positional_parameters(service: Service) -> None:
    async with service.wire() as wire:
        assert (await wire.ask("pair.show", ["photos"]))["result"]["status"]["name"] == "photos"
        assert (await wire.ask("pair.show", ["photos", 1, 2]))["error"]["code"] == -32602


async def test_syncds_own_errors_carry_reason_and_fix(service: Service) -> None:
    async with service.wire() as wire:
        error = (await wire.ask("pair.show", {"pair": "nope"}))["error"]
    assert error["code"] == -32000
    assert error["data"] == {"reason": "no-such-pair", "fix": "see 'syncctl list'"}


async def test_a_bug_is_answered_without_its_text(service: Service) -> None:
    service.backend.fails["status"] = RuntimeError("secret /home/x")
    async with service.wire() as wire:
        reply = await wire.ask("status")
        assert reply["error"]["code"] == -32603
        assert reply["error"]["data"]["reason"] == "bug"
        assert "secret" not in str(reply)
        assert "result" in await wire.ask("pair.list")


async def test_a_detail_that_is_not_utf8_is_shown_escaped(service: Service) -> None:
    service.backend.fails["status"] = SyncdError(Reason.IO_ERROR, "a\udcff")
    async with service.wire() as wire:
        assert (await wire.ask("status"))["error"]["message"] == "a\\udcff"


async def test_notifications_get_no_reply(service: Service) -> None:
    async with service.wire() as wire:
        await wire.send(b'{"jsonrpc":"2.0","method":"pair.pause"}\n' * 50)
        await wire.send(b'{"jsonrpc":"2.0","method":"no.such"}\n')
        await wire.send(b'[{"jsonrpc":"2.0","method":"pair.pause"}]\n')
        assert (await wire.ask("status"))["id"] == 1
    assert len([name for name, _ in service.backend.calls if name == "pair.pause"]) == 51


async def test_a_batch_is_answered_as_one(service: Service) -> None:
    calls = [{"jsonrpc": "2.0", "id": n, "method": "pair.list"} for n in range(1000)]
    async with service.wire() as wire:
        await wire.send(msgspec.json.encode([*calls[:998], 7, {"jsonrpc": "2.0", "method": "x"}]) + b"\n")
        replies = await wire.line()
        await wire.send(msgspec.json.encode(calls * 10) + b"\n")
        refused = await wire.line()
    assert [reply["id"] for reply in replies] == [*range(998), None]
    assert refused["error"]["code"] == -32600


async def test_discover_lists_every_method_with_schemas(service: Service) -> None:
    async with service.wire() as wire:
        found = (await wire.ask("rpc.discover"))["result"]
    assert [method["name"] for method in found["methods"]] == list(METHODS)
    for method in found["methods"]:
        for kind in ("params", "result"):
            name = method[kind]["$ref"].removeprefix("#/components/")
            assert found["components"][name]["type"] == "object"


async def test_every_method_reaches_its_handler(service: Service) -> None:
    examples = {"pair": "documents", "path": "a", "plan_id": "5ad1c0ffee", "conflict_id": "c1"}
    examples |= {"name": "new", "source": "/a", "destination": "/b", "keep": "both"}
    async with service.wire() as wire:
        for method in METHODS.values():
            if method.name == "daemon.stop":
                continue
            pair = "photos" if method.name.startswith("plan.") else "documents"
            params = {
                field.name: {**examples, "pair": pair}[field.name]
                for field in msgspec.structs.fields(method.params)
                if field.required
            }
            reply = await wire.ask(method.name, params)
            assert "result" in reply, (method.name, reply)
            msgspec.convert(reply["result"], method.result)
    assert {name for name, _ in service.backend.calls} == METHODS.keys() - {"daemon.stop"}


async def test_the_answer_to_stop_leaves_before_the_end(tmp_path: Path) -> None:
    async with serving(tmp_path) as running, running.wire() as wire, anyio.create_task_group() as group:

        async def end() -> None:
            await running.backend.stop.wait()

        group.start_soon(end)
        assert (await wire.ask("daemon.stop"))["result"]["detail"] == "the daemon stops"


async def test_random_bytes_never_hurt(service: Service) -> None:
    """CTL-01: garbage, and near misses of a real call, a few thousand frames."""
    rng = random.Random(20260304)
    good = b'{"jsonrpc":"2.0","id":1,"method":"pair.list","params":{}}'
    fds = open_fds()
    for _ in range(20):
        async with service.wire() as wire, anyio.create_task_group() as group:

            async def drain(wire: Wire = wire) -> None:
                await wire.is_closed()

            group.start_soon(drain)
            frames = []
            for _ in range(150):
                if rng.random() < 0.5:
                    frames.append(rng.randbytes(rng.randrange(1, 200)))
                    continue
                frame = bytearray(good)
                for _ in range(rng.randrange(1, 4)):
                    frame[rng.randrange(len(frame))] = rng.randrange(256)
                frames.append(bytes(frame))
            await wire.send(b"\n".join(frames) + b"\n")
            await wire.stream.send_eof()
    async with service.wire() as wire:
        assert "result" in await wire.ask("status")
    await service.clients(0)
    assert open_fds() == fds


async def test_a_megabyte_of_random_bytes(service: Service) -> None:
    async with service.wire() as wire:
        data = random.Random(7).randbytes(1 << 20)
        async with anyio.create_task_group() as group:

            async def drain() -> None:
                await wire.is_closed()

            group.start_soon(drain)
            try:
                await wire.send(data)
                await wire.stream.send_eof()
            except anyio.BrokenResourceError:
                pass
    await service.clients(0)


async def test_a_line_without_end_is_cut_off(service: Service) -> None:
    """CTL-02: the connection ends at 1 MiB, however much more would come."""
    async with service.wire() as wire:
        with pytest.raises(anyio.BrokenResourceError):
            await wire.send(b"x" * (64 << 20))
        await service.clients(0)
    async with service.wire() as wire:
        await wire.send(b" " * ((1 << 20) + 1))
        assert (await wire.line())["error"]["code"] == -32600
        assert await wire.is_closed()


async def test_a_half_closed_client_gets_its_answer(service: Service) -> None:
    async with service.wire() as wire:
        await wire.send(b'{"jsonrpc":"2.0","id":1,"method":"status"}\n')
        await wire.stream.send_eof()
        assert (await wire.line())["id"] == 1
        assert await wire.is_closed()


async def test_a_client_that_never_reads_is_dropped_and_delays_nobody(tmp_path: Path) -> None:
    """CTL-04."""
    async with serving(tmp_path, write_deadline_s=0.3) as service, service.wire() as deaf:
        call = b'{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}\n'
        with pytest.raises(anyio.BrokenResourceError):
            await deaf.send(call * 100_000)
        async with service.wire() as wire:
            assert "result" in await wire.ask("status")
        await service.clients(0)


async def test_more_clients_than_places(tmp_path: Path) -> None:
    """CTL-05: the longest idle gives way, one that follows events never does."""
    fds = open_fds()
    async with serving(tmp_path) as service:
        idle: list[socket.socket] = []
        async with service.wire() as follower:
            assert "result" in await follower.ask("events.subscribe")
            for _ in range(300):
                sock = socket.socket(socket.AF_UNIX)
                sock.connect(str(service.path))
                idle.append(sock)
            for sock in idle[:45]:
                assert await receive(sock) == b""
            assert service.server.clients == 256
            idle[-1].sendall(b'{"jsonrpc":"2.0","id":1,"method":"pair.list"}\n')
            assert b'"result"' in await receive(idle[-1])
            service.backend.hub.publish("file.put")
            assert (await follower.line())["params"]["kind"] == "file.put"
        for sock in idle:
            sock.close()
        await service.clients(0)
    assert open_fds() <= fds


async def test_when_all_follow_a_further_client_is_told(tmp_path: Path) -> None:
    async with serving(tmp_path, max_clients=2) as service, service.wire() as one, service.wire() as two:
        await one.ask("events.subscribe")
        await two.ask("events.subscribe")
        async with service.wire() as third:
            assert (await third.line())["error"]["data"]["reason"] == "too-many-clients"
            assert await third.is_closed()


async def test_one_after_the_other_leaves_nothing(service: Service) -> None:
    fds = open_fds()
    for _ in range(500):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(service.path))
        await anyio.sleep(0)
    await service.clients(0)
    assert open_fds() == fds


async def test_events_follow_the_subscription(service: Service) -> None:
    async with service.wire() as wire:
        assert (await wire.ask("events.subscribe"))["result"] == {"head": 0}
        service.backend.hub.publish("pair.state", pair="documents", data={"to": "syncing"})
        event = await wire.line()
        assert "id" not in event
        assert event["method"] == "event"
        assert event["params"]["data"] == {"to": "syncing"}
        assert (await wire.ask("events.subscribe"))["error"]["data"]["reason"] == "bad-request"
        assert "result" in await wire.ask("status")


async def test_a_subscription_ends_with_its_client(service: Service) -> None:
    async with service.wire() as wire:
        await wire.ask("events.subscribe")
        assert service.backend.hub.readers == 1
    await service.clients(0)
    assert service.backend.hub.readers == 0


async def test_a_half_closed_follower_still_gets_events(service: Service) -> None:
    async with service.wire() as wire:
        await wire.ask("events.subscribe")
        await wire.stream.send_eof()
        await anyio.wait_all_tasks_blocked()
        service.backend.hub.publish("file.put")
        assert (await wire.line())["params"]["kind"] == "file.put"
    await service.clients(0)


async def test_a_slow_follower_gets_a_gap_and_then_goes_on(service: Service) -> None:
    """CTL-16: the fake's queue holds 64 events; the kernel's buffer some more."""
    async with service.wire() as wire:
        await wire.ask("events.subscribe")
        total = 3000
        for number in range(total):
            service.backend.hub.publish("file.put", path=b"x" * 200, data={"n": number})
            if number % 50 == 0:
                await anyio.sleep(0)
        seen, lost = 0, 0
        while seen + lost < total:
            event = (await wire.line())["params"]
            if event["kind"] == "gap":
                lost += event["data"]["to"] - event["data"]["from"] + 1
            else:
                seen += 1
        assert lost > 0
        assert seen >= 64
        service.backend.hub.publish("file.deleted")
        assert (await wire.line())["params"]["kind"] == "file.deleted"


async def test_a_deaf_follower_is_dropped(tmp_path: Path) -> None:
    async with serving(tmp_path, write_deadline_s=0.2) as service, service.wire() as wire:
        await wire.ask("events.subscribe")
        with anyio.fail_after(60):
            while service.server.clients:
                for _ in range(50):
                    service.backend.hub.publish("file.put", path=b"x" * 2000)
                await anyio.sleep(0.02)
        assert service.backend.hub.readers == 0


async def test_a_call_ends_when_its_client_goes_away(service: Service) -> None:
    """CTL-11: nobody waits for an answer that nobody reads."""
    service.backend.wait_forever = True
    async with service.wire() as wire:
        await wire.send(b'{"jsonrpc":"2.0","id":1,"method":"pair.wait"}\n')
        with anyio.fail_after(60):
            await service.backend.wait_started.wait()
    with anyio.fail_after(60):
        await service.backend.wait_cancelled.wait()
    await service.clients(0)


async def test_a_waiting_client_does_not_delay_another(service: Service) -> None:
    service.backend.wait_forever = True
    async with service.wire() as waiting, service.wire() as other:
        await waiting.send(b'{"jsonrpc":"2.0","id":1,"method":"pair.wait"}\n')
        with anyio.fail_after(60):
            await service.backend.wait_started.wait()
        for _ in range(20):
            assert "result" in await other.ask("status")


async def test_passed_descriptors_are_not_received(service: Service) -> None:
    """CTL-15."""
    fds = open_fds()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(service.path))
        with open(os.devnull, "rb") as file:
            rights = array.array("i", [file.fileno()] * 100)
            line = b'{"jsonrpc":"2.0","id":1,"method":"status"}\n'
            sock.sendmsg([line], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        assert b'"result"' in await receive(sock)
        assert open_fds() <= fds + 2
    await service.clients(0)
    assert open_fds() == fds


async def test_paths_are_checked(service: Service) -> None:
    """CTL-14, the part that the socket can judge: base64, NUL, length."""
    async with service.wire() as wire:
        for params in ({"path_b64": "!"}, {"path": "a\0b"}, {"path": "x" * 9000}):
            assert (await wire.ask("path.explain", params))["error"]["data"]["reason"] == "bad-request"
        assert "error" in await wire.ask("path.explain", {"path": "x" * 20000})
        reply = await wire.ask("path.explain", {"path_b64": "Yf8="})
        assert reply["result"]["explanations"][0]["path_b64"] == "Yf8="


def operator(_sock: socket.socket) -> Peer:
    return Peer(4242, frozenset({77}))


async def test_a_member_of_the_group_may_steer_but_not_change_pairs(tmp_path: Path) -> None:
    async with serving(tmp_path, group=77, peer_of=operator) as service, service.wire() as wire:
        assert "result" in await wire.ask("pair.pause")
        assert "result" in await wire.ask("plan.approve", {"pair": "photos", "plan_id": "5ad1c0ffee"})
        for method in METHODS.values():
            if method.needs_owner:
                params = {
                    field.name: "x" for field in msgspec.structs.fields(method.params) if field.required
                }
                error = (await wire.ask(method.name, params))["error"]
                assert error["data"]["reason"] == "not-allowed", method.name
    assert {m.name for m in METHODS.values() if m.needs_owner} == {
        "pair.add",
        "pair.remove",
        "pair.edit",
        "pair.adopt",
        "daemon.stop",
    }


@pytest.mark.parametrize("group", [None, 78])
async def test_a_stranger_is_refused_before_a_byte_is_read(tmp_path: Path, group: int | None) -> None:
    async with serving(tmp_path, group=group, peer_of=operator) as service, service.wire() as wire:
        assert (await wire.line())["error"]["data"]["reason"] == "not-allowed"
        assert await wire.is_closed()
        assert not service.backend.calls


async def test_a_peer_that_cannot_be_told_is_refused(tmp_path: Path) -> None:
    def unknown(_sock: socket.socket) -> Peer:
        raise OSError("no credentials")

    async with serving(tmp_path, peer_of=unknown) as service, service.wire() as wire:
        assert (await wire.line())["error"]["data"]["reason"] == "not-allowed"


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv (util-linux)"
)
async def test_another_user_is_refused_by_the_kernels_word() -> None:
    """CTL-06: by the socket's mode, and with the mode opened by its credentials."""
    script = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        "try: s.connect(sys.argv[1])\n"
        "except PermissionError: print('EACCES')\n"
        "else: print(s.recv(1000).decode())\n"
    )
    directory = Path(tempfile.mkdtemp(prefix="syncd-"))
    try:
        directory.chmod(0o755)

        async def attempt(path: Path) -> str:
            command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
            done = await anyio.run_process(
                [*command, sys.executable, "-S", "-c", script, str(path)], stderr=subprocess.DEVNULL, cwd="/"
            )
            return done.stdout.decode()

        async with serving(directory) as service:
            assert "EACCES" in await attempt(service.path)
            service.path.chmod(0o666)
            assert "not-allowed" in await attempt(service.path)
            assert not service.backend.calls
    finally:
        shutil.rmtree(directory)


def test_the_kernel_names_the_peer() -> None:
    one, two = socket.socketpair()
    with one, two:
        peer = peer_of(one)
    assert (peer.uid, peer.pid) == (os.getuid(), os.getpid())
    assert os.getegid() in peer.gids
    assert peer.is_owner()


def test_the_credentials_of_macos_are_read() -> None:
    raw = struct.pack("=IIh2x16I", 0, 501, 2, 20, 80, *([0] * 14))
    assert parse_xucred(raw) == Peer(501, frozenset({20, 80}))
    assert not Peer(501, frozenset({20})).may_connect(80)
    assert Peer(0, frozenset()).may_connect(None)
