"""Helper processes: another interpreter that runs a module of ours and speaks in frames of bytes.

A frame is its length (u32, big-endian) and its bytes. Both directions are pipes; a helper ends when the pipe
to it is closed, so none outlives the daemon.
"""

import contextlib
import gc
import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from typing import IO

LENGTH = struct.Struct(">I")
"""What a frame begins with: the bytes that follow."""
_END_WAIT_S = 10.0


class Helper:
    """One process. Blocking; one thread at a time. Raises OSError when it cannot be begun."""

    def __init__(self, module: str, *, pass_fds: Sequence[int] = (), is_apart: bool = False) -> None:
        """`is_apart`: signals to the terminal's process group do not reach it."""
        self._process = subprocess.Popen(  # noqa: S603
            command(module),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=tuple(pass_fds),
            env=environment(),
            start_new_session=is_apart,
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise OSError
        self._to, self._from = self._process.stdin, self._process.stdout
        self.pid = self._process.pid

    def send(self, data: bytes) -> None:
        """Raises OSError when the process is gone."""
        write_frame(self._to, data)

    def receive(self) -> bytes:
        """Raises EOFError when the process is gone."""
        return read_frame(self._from)

    def end(self) -> None:
        """Let it finish what it is at, but not for ever."""
        with contextlib.suppress(OSError):
            self._to.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_WAIT_S)
        self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):
            self._to.close()
        self._from.close()


def command(module: str) -> list[str]:
    """What begins a helper that runs `module`; `environment` belongs to it."""
    return [sys.executable, "-S", "-m", module]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def frame(data: bytes) -> bytes:
    """`data` as it goes over the pipe."""
    return LENGTH.pack(len(data)) + data


def write_frame(stream: IO[bytes], data: bytes) -> None:
    """`stream` must be a buffered one: a raw one may write a part only."""
    stream.write(LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def read_frame(stream: IO[bytes]) -> bytes:
    """The next frame; EOFError at the end."""
    header = stream.read(LENGTH.size)
    if len(header) < LENGTH.size:
        raise EOFError
    size = LENGTH.unpack(header)[0]
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def collect_seldom() -> None:
    """Look for reference cycles seldom: plans, pages and batches are many objects without any, and to look
    through them at the interpreter's own pace takes a twelfth of a first copy."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def lower_session(session: str = "/proc/self/autogroup") -> None:
    """The leader of a session gives the session its own nice value: where Linux shares the processor out by
    session (sched(7), "The autogroup feature"), one counts only within the other."""
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    if nice > 0 and os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError), open(session, "w") as file:
            file.write(f"{nice}")


def streams() -> tuple[IO[bytes], IO[bytes]]:
    """In the helper: where requests come from and answers go to. What is printed goes elsewhere.

    Streams of our own: those of `sys` are raw under PYTHONUNBUFFERED, and a raw write that a signal
    interrupts writes a part.
    """
    lower_session()
    collect_seldom()
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return requests, answers
