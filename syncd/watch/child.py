"""The watching process: pumps of every root of a daemon, each a thread here.

`python -m syncd.watch.child`. Placing watches holds the interpreter's lock for as long as it takes to look at
every entry of a tree; in a process of its own that keeps no answer of the daemon waiting.
"""

import contextlib
import os
import threading
from typing import IO

import msgspec

from syncd.tree.local.helper import read_frame, streams, write_frame
from syncd.watch.notify import Order, pump_blocking
from syncd.watch.translate import Batch


class Begin(msgspec.Struct, frozen=True, tag="begin"):
    number: int
    order: Order


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    number: int


class Began(msgspec.Struct, frozen=True, tag="began"):
    number: int


class Came(msgspec.Struct, frozen=True, tag="came"):
    number: int
    batch: Batch


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """`failure`: the name of the exception's class, and what it says; None for the end that was asked for."""

    number: int
    failure: tuple[str, str] | None


Request = Begin | Stop
Word = Began | Came | Ended

encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Request).decode


def serve_blocking(requests: IO[bytes], words: IO[bytes]) -> None:
    """Do what is asked until `requests` end."""
    stops: dict[int, threading.Event] = {}
    turn = threading.Lock()

    def tell(word: Word) -> None:
        with turn, contextlib.suppress(OSError):  # nobody reads any more: the requests have ended too
            write_frame(words, encode(word))

    def pump(number: int, order: Order, stop: threading.Event) -> None:
        try:
            failure = pump_blocking(
                order, stop, lambda: tell(Began(number)), lambda batch: tell(Came(number, batch))
            )
        except BaseException as error:  # a panic of watchfiles is no Exception
            failure = RuntimeError(f"{type(error).__name__}: {error}")
        stops.pop(number, None)
        tell(Ended(number, None if failure is None else (type(failure).__name__, str(failure))))

    while True:
        try:
            request = _decode(read_frame(requests))
        except EOFError:
            break
        if isinstance(request, Stop):
            if (stop := stops.get(request.number)) is not None:
                stop.set()
        else:
            stop = stops[request.number] = threading.Event()
            threading.Thread(target=pump, args=(request.number, request.order, stop), daemon=True).start()


def be_patient() -> None:
    """Where Linux can: be woken when a processor is free, not at every single event. Under load one wake-up
    then takes hundreds of them out of the kernel's queue, for a fifth of the time; idle, nothing changes."""
    if hasattr(os, "sched_setscheduler"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


if __name__ == "__main__":
    be_patient()
    serve_blocking(*streams())
    os._exit(0)
