"""The shared harness of the black-box tests: real directories, a real daemon, snapshots of what is there.

A `Daemon` serves the pairs of one config file; many cases share one daemon, a pair each. Nothing here looks
into the product but through its programs, its control socket and the file system.
"""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import msgspec

from syncd.control import model as m
from syncd.control.client import Client, ClientError, connect

T = TypeVar("T")

PATIENCE_S = 60.0
CONTROL = b".syncd"
MANIFEST = "manifest.jsonl"
Setting = str | bool | int | Sequence[str] | Mapping[str, str | int]


class Pair:
    """Two directories beneath `home` and the settings of their pair."""

    def __init__(self, home: Path, name: str, **settings: Setting) -> None:
        self.name = name
        self.source = home / "trees" / name / "source"
        self.destination = home / "trees" / name / "destination"
        self.settings: dict[str, Setting] = settings

    def make(self) -> "Pair":
        """Create both roots."""
        for root in self.roots:
            root.mkdir(parents=True, exist_ok=True)
        return self

    @property
    def roots(self) -> tuple[Path, Path]:
        return self.source, self.destination

    def toml(self) -> str:
        rows = {"source": str(self.source), "destination": str(self.destination), **self.settings}
        return f"[pair.{_toml(self.name)}]\n" + "".join(f"{key} = {_toml(rows[key])}\n" for key in rows)


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value)


class Daemon:
    """`syncd run` over `pairs`. Start it with `with`; state, log and config stay in `home` between runs.

    Defaults of every pair: no rescan (events must do), a settle time of 50 ms.
    """

    def __init__(self, home: Path, pairs: Iterable[Pair], **defaults: Setting) -> None:
        self.home = home
        self.pairs = {pair.name: pair for pair in pairs}
        self.defaults: dict[str, Setting] = {"rescan": "never", "settle": "50ms", **defaults}
        self.config = home / "config" / "syncd.toml"
        self.state_dir = home / "state"
        self.socket = home / "socket" / "syncd.sock"
        self.log = home / "daemon.log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Daemon":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()

    # The process.

    def configure(self, pairs: Iterable[Pair] | None = None) -> None:
        """Write the config, for `pairs` from now on."""
        if pairs is not None:
            self.pairs = {pair.name: pair for pair in pairs}
        for directory in (self.config.parent, self.socket.parent, self.state_dir):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        rows = "".join(f"{key} = {_toml(value)}\n" for key, value in self.defaults.items())
        tables = "\n".join(pair.toml() for pair in self.pairs.values())
        self.config.write_text(f"[defaults]\n{rows}\n{tables}")

    def start(self, *wrapper: str, env: Mapping[str, str] | None = None) -> None:
        """Start it and return once it answers. `wrapper` is put before the command line (strace …)."""
        self.launch(*wrapper, env=env)
        eventually(self._answers, lambda: f"the daemon does not answer:\n{self.tail()}")

    def launch(self, *wrapper: str, env: Mapping[str, str] | None = None) -> None:
        """Start it and return at once."""
        self.configure()
        command = [*wrapper, *program("syncd"), "run", "-c", str(self.config)]
        command += ["--socket", str(self.socket), "--state-dir", str(self.state_dir)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(self.home, env)
            )

    def _answers(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"the daemon ended with {self.process.returncode}:\n{self.tail()}")
        try:
            self.call("daemon.version", m.NoParams(), m.VersionInfo)
        except ClientError:
            return False
        return True

    def stop(self) -> None:
        """Stop it in order; it must end with 0."""
        assert self._end(signal.SIGTERM) == 0, self.tail()

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the daemon does not stop:\n{self.tail()}") from None

    def tail(self, lines: int = 40) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    # Talking to it.

    def call(self, method: str, params: msgspec.Struct, result: type[T]) -> T:
        """One call over the control socket."""
        with connect([self.socket]) as client:
            return client.call(method, params, result, timeout_s=PATIENCE_S)

    @contextmanager
    def client(self) -> Iterator[Client]:
        with connect([self.socket]) as client:
            yield client

    def ctl(self, *arguments: str, code: int | None = 0) -> str:
        """Run `syncctl` and answer what it printed; `code` is the exit code it must have (None: any)."""
        done = subprocess.run(
            [*program("syncctl"), *arguments],
            env=environment(self.home, {"SYNCD_SOCKET": str(self.socket)}),
            capture_output=True,
            timeout=2 * PATIENCE_S,
            check=False,
        )
        said = done.stdout.decode() + done.stderr.decode()
        assert code is None or done.returncode == code, f"syncctl {arguments}: {done.returncode}\n{said}"
        return done.stdout.decode()

    def wait(self, *pairs: str, timeout_s: float = PATIENCE_S, code: int | None = 0) -> None:
        """`syncctl wait`: every change made before the call is on the other side."""
        self.ctl("wait", *(pairs or ["--all"]), "--timeout", f"{timeout_s:g}s", code=code)

    def waited(self, *pairs: str, timeout_s: float = PATIENCE_S) -> m.WaitResult:
        """As `wait`, but answers how each pair stands and refuses nothing."""
        return self.call("pair.wait", m.PairWaitParams(pairs=pairs, timeout_s=timeout_s), m.WaitResult)

    def sync(self, *pairs: str) -> None:
        """A cycle now, waited for."""
        self.call("pair.sync", m.PairSyncParams(pairs=pairs, wait=True), m.Pairs)

    def rescan(self, *pairs: str) -> None:
        """A whole scan of both trees and a cycle, waited for."""
        self.call("pair.rescan", m.PairRescanParams(pairs=pairs, wait=True), m.Pairs)

    def reload(self, pairs: Iterable[Pair]) -> None:
        """Serve other pairs from now on."""
        self.configure(pairs)
        answer = self.call("config.reload", m.ConfigReloadParams(), m.ReloadResult)
        assert answer.is_applied, answer.problems

    def status(self, *pairs: str) -> dict[str, m.PairStatus]:
        answer = self.call("status", m.StatusParams(pairs=pairs), m.Status)
        return {pair.name: pair for pair in answer.pairs}

    def conflicts(self, pair: str | None = None, *, settled: bool = True) -> tuple[m.ConflictView, ...]:
        params = m.ConflictListParams(pair=pair, include_settled=settled)
        return self.call("conflict.list", params, m.ConflictsPage).conflicts

    def issues(self, pair: str | None = None, *, notes: bool = False) -> tuple[m.IssueView, ...]:
        params = m.IssueListParams(pair=pair, include_notes=notes)
        return self.call("issue.list", params, m.IssuesPage).issues

    def history(self, pair: str | None = None) -> tuple[m.HistoryEntry, ...]:
        """What was done, newest first (the last thousand actions)."""
        return self.call("history.list", m.HistoryListParams(pair=pair, limit=1000), m.HistoryPage).entries

    def explain(self, pair: str, path: str) -> m.Explanation:
        params = m.PathExplainParams(pair=pair, path=path)
        return self.call("path.explain", params, m.Explanations).explanations[0]


def program(name: str) -> list[str]:
    """The command line of `syncd` or `syncctl` of the tree under test."""
    module = {"syncd": "syncd", "syncctl": "syncd.cli.syncctl"}[name]
    return [sys.executable, "-m", module]


def environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The caller's environment, without what could lead to a real user's files."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("XDG_", "SYNCD_", "NOTIFY_", "LISTEN_")) and not key.endswith("_DIRECTORY")
    }
    return {**kept, "HOME": str(home), "NO_COLOR": "1", **(more or {})}


def eventually(
    holds: Callable[[], bool], what: Callable[[], str] | str, within_s: float = PATIENCE_S
) -> None:
    """Until it holds, or fail with `what`."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(what if isinstance(what, str) else what())
        time.sleep(0.02)


# Trees.


class Node(msgspec.Struct, frozen=True):
    """One name of a tree. `content` holds a file's bytes or a link's target."""

    kind: str
    content: bytes
    mode: int
    mtime_ns: int
    inode: int


def snapshot(root: Path) -> dict[bytes, Node]:
    """Everything beneath `root` by relative path, the root itself as b"", `.syncd` left out."""
    top = os.fsencode(root)
    found: dict[bytes, Node] = {}
    _snapshot(top, b"", found)
    return found


def _snapshot(top: bytes, path: bytes, found: dict[bytes, Node]) -> None:
    full = os.path.join(top, path) if path else top
    status = os.lstat(full)
    if stat.S_ISDIR(status.st_mode):
        found[path] = _node("directory", b"", status)
        for name in sorted(os.listdir(full)):
            if path or name != CONTROL:
                _snapshot(top, os.path.join(path, name), found)
    elif stat.S_ISLNK(status.st_mode):
        found[path] = _node("link", os.readlink(full), status)
    elif stat.S_ISREG(status.st_mode):
        with open(full, "rb") as file:
            found[path] = _node("file", file.read(), status)
    else:
        found[path] = _node("special", b"", status)


def _node(kind: str, content: bytes, status: os.stat_result) -> Node:
    return Node(kind, content, stat.S_IMODE(status.st_mode), status.st_mtime_ns, status.st_ino)


def contents(root: Path) -> dict[str, str]:
    """A tree in words: `{"a": "text", "d/": "", "l@": "target"}`; the root and `.syncd` are left out."""
    marks = {"file": "", "directory": "/", "link": "@", "special": "="}
    return {
        path.decode(errors="backslashreplace") + marks[node.kind]: node.content.decode(
            errors="backslashreplace"
        )
        for path, node in snapshot(root).items()
        if path
    }


def trash(root: Path) -> list[bytes]:
    """The bytes of every kept file (a link's target) in the trash of a tree, sorted."""
    kept = []
    for folder, _, names in os.walk(root / ".syncd" / "trash"):
        for name in names:
            full = Path(folder, name)
            if name != MANIFEST:
                kept.append(os.fsencode(os.readlink(full)) if full.is_symlink() else full.read_bytes())
    return sorted(kept)


def write(path: Path, text: str | bytes, *, mtime_s: float | None = None, mode: int | None = None) -> None:
    """A user writes a file, in place when it is there already; its directory is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    if mode is not None:
        path.chmod(mode)
    if mtime_s is not None:
        os.utime(path, (mtime_s, mtime_s))


def remove(path: Path) -> None:
    """A user deletes whatever is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


# Runs of `syncd sync`.


class Run(msgspec.Struct, frozen=True):
    """What a command came to."""

    code: int
    output: str
    errors: str

    def json(self) -> dict[str, Any]:
        """`data` of the JSON that it printed."""
        assert self.output, f"exit {self.code}: {self.errors}"
        answer: dict[str, Any] = json.loads(self.output)["data"]
        return answer


class Zygote:
    """Runs many `syncd` commands, each in a process of its own, without paying for the imports each time:
    a process that has imported the program forks for every command."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            env=environment(home),
        )

    def __enter__(self) -> "Zygote":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=PATIENCE_S)

    def run(self, *arguments: str) -> Run:
        """`syncd ARGUMENTS…`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(arguments).encode() + b"\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return Run(answer["code"], answer["output"], answer["errors"])

    def sync(self, pair: Pair, *options: str) -> Run:
        """`syncd sync SOURCE DESTINATION --json`, with the state beneath `home`."""
        state = str(self.home / "state")
        roots = (str(pair.source), str(pair.destination))
        return self.run("sync", *roots, "--state-dir", state, "--json", *options)
