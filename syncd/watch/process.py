"""The watching process from the daemon's side. It is begun with the first pump, and anew when it has died."""

import itertools
import subprocess
from collections.abc import Callable, Mapping

import anyio
import anyio.abc
import msgspec
from anyio.abc import ByteReceiveStream, ByteSendStream, TaskStatus
from anyio.streams.buffered import BufferedByteReceiveStream

from syncd.tree.local.helper import LENGTH, command, environment, frame
from syncd.watch.child import Began, Begin, Came, Ended, Request, Stop, Word, encode
from syncd.watch.notify import Order
from syncd.watch.pump import Threads, WatchingEnded
from syncd.watch.translate import Batch

_FAILURES: Mapping[str, type[OSError]] = {
    kind.__name__: kind for kind in (FileNotFoundError, NotADirectoryError, PermissionError)
}
STOP_S = 2.0
"""So long a cancelled pump waits for the word that its watches are gone."""
_decode = msgspec.msgpack.Decoder(Word).decode


class _CannotBegin(RuntimeError):
    """No process is to be had: threads of this one do the work, though placing their watches holds it up."""


class _Pumping:
    """One pump under way."""

    def __init__(self, began: Callable[[], None], receive: Callable[[Batch], None]) -> None:
        self.began = began
        self.receive = receive
        self.failure: Exception | None = None
        self.error: Exception | None = None
        """What a callback raised: it belongs to who gave the callback."""
        self.ended = anyio.Event()
        self.gone = anyio.Event()
        """Its watches are no more."""

    def end(self, failure: Exception | None) -> None:
        self.failure = failure
        self.ended.set()
        self.gone.set()


class WatchProcess:
    """See `Host`. `run` must be running."""

    def __init__(self) -> None:
        self._process: anyio.abc.Process | None = None
        self._numbers = itertools.count()
        self._pumpings: dict[int, _Pumping] = {}
        self._requests: list[Request] = []
        self._news = anyio.Event()

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return None if self._process is None else self._process.pid

    async def pump(
        self, order: Order, stop: anyio.Event, began: Callable[[], None], receive: Callable[[Batch], None]
    ) -> Exception | None:
        """See `Host.pump`."""
        pumping = _Pumping(began, receive)
        number = next(self._numbers)
        self._pumpings[number] = pumping
        self._ask(Begin(number, order))
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._relay, stop, number)
                await pumping.ended.wait()
                tasks.cancel_scope.cancel()
        finally:
            if not pumping.ended.is_set() or pumping.error is not None:
                self._ask(Stop(number))
            with anyio.move_on_after(STOP_S, shield=True):
                await pumping.gone.wait()
            del self._pumpings[number]
        if pumping.error is not None:
            raise pumping.error
        if isinstance(pumping.failure, _CannotBegin):
            return await Threads().pump(order, stop, began, receive)
        return pumping.failure

    def give_up(self) -> None:
        """See `Host.give_up`: the process is killed, which ends every pump; `run` begins another one."""
        if self._process is not None:
            self._process.kill()

    async def _relay(self, stop: anyio.Event, number: int) -> None:
        await stop.wait()
        self._ask(Stop(number))

    def _ask(self, request: Request) -> None:
        self._requests.append(request)
        self._news.set()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep the process until cancelled. It ends with this one, however this one ends."""
        task_status.started()
        try:
            while True:
                await self._news.wait()
                await self._live()
        finally:
            for pumping in self._pumpings.values():
                pumping.gone.set()

    async def _live(self) -> None:
        """One process, from its beginning to its end, which ends all its pumps."""
        try:
            await self._serve()
            failure: RuntimeError = WatchingEnded("the watching process has ended")
        except OSError as error:
            failure = _CannotBegin(error.strerror)
        finally:
            self._process = None
        self._requests.clear()
        self._news = anyio.Event()
        for pumping in self._pumpings.values():
            pumping.end(failure)

    async def _serve(self) -> None:
        process = await anyio.open_process(
            command("syncd.watch.child"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
            start_new_session=True,
        )
        async with process:
            if process.stdin is None or process.stdout is None:
                raise OSError
            self._process = process
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._write, process.stdin)
                await self._read(process.stdout)
                tasks.cancel_scope.cancel()

    async def _write(self, stream: ByteSendStream) -> None:
        try:
            while True:
                await self._news.wait()
                self._news = anyio.Event()
                requests, self._requests = self._requests, []
                for request in requests:
                    await stream.send(frame(encode(request)))
        except anyio.BrokenResourceError:
            return  # the reader sees its end

    async def _read(self, stream: ByteReceiveStream) -> None:
        buffered = BufferedByteReceiveStream(stream)
        try:
            while True:
                (size,) = LENGTH.unpack(await buffered.receive_exactly(LENGTH.size))
                self._take(_decode(await buffered.receive_exactly(size)))
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
            return

    def _take(self, word: Word) -> None:
        pumping = self._pumpings.get(word.number)
        if pumping is None:
            return
        if pumping.ended.is_set():
            if isinstance(word, Ended):
                pumping.gone.set()
            return
        try:
            self._tell(pumping, word)
        except Exception as error:
            pumping.error = error
            pumping.ended.set()

    def _tell(self, pumping: _Pumping, word: Word) -> None:
        if isinstance(word, Began):
            pumping.began()
        elif isinstance(word, Came):
            pumping.receive(word.batch)
        elif word.failure is None:
            pumping.end(None)
        else:
            kind, text = word.failure
            pumping.end(_FAILURES.get(kind, RuntimeError)(text))
