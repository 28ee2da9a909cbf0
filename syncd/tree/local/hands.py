"""Many small files are put in place by processes of their own, so that a first copy uses more than one core.

Where a tree is given many files, batches of small ones go to child processes (`python -m
syncd.tree.local.hands` is one), which apply them as a thread would, on a conveyor. A child ends with its
parent. While it works it holds the staging directory (`occupancy`). A child that dies leaves its batches
unknown: all of them are looked at again.
"""

import contextlib
import os
import select
import threading
from collections.abc import Callable, Sequence

import msgspec

from syncd.core.action import Done, Failed, Put, Result, Stale, TrashRef
from syncd.core.entry import Entry, Kind, Side, StatHint
from syncd.tree.local import apply
from syncd.tree.local.apply import Site
from syncd.tree.local.conveyor import Conveyor
from syncd.tree.local.helper import Helper, read_frame, streams, write_frame
from syncd.tree.local.metadata import Owner
from syncd.tree.local.reader import LocalContent, Reader
from syncd.tree.local.root import Place, Root
from syncd.tree.port import Batch, Capabilities, Step

AFTER = 3000
"""Files from which on processes pay: starting one costs about as much as putting so many."""
CHILDREN = 2
JOBS_AT_ONCE = 3
"""One is put in place, one is brought to the device, one is staged."""
LEAST_STEPS = 16
LARGEST_FILE = 1 << 20


class Duty(msgspec.Struct, frozen=True):
    """What a child must know: both roots, and how files are made at the target."""

    target: Place
    side: Side
    owner: str
    capabilities: Capabilities
    slack_ns: int
    may_cross: bool
    source: Place


class Order(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One put, with the hints at its target and of its content."""

    put: Put
    hint: StatHint | None
    content_hint: StatHint | None


class Job(msgspec.Struct, frozen=True):
    """One batch."""

    batch_id: str
    orders: list[Order]


class Placed(msgspec.Struct, frozen=True, gc=False, tag="placed"):
    """A `Done`, its action told by its number in the job."""

    number: int
    entry: Entry | None
    hint: StatHint | None
    trash: TrashRef | None


Answer = Placed | Stale | Failed
_encoder = msgspec.msgpack.Encoder()
_duties = msgspec.msgpack.Decoder(Duty)
_jobs = msgspec.msgpack.Decoder(Job)
_answers = msgspec.msgpack.Decoder(list[Answer])


class Hands:
    """The processes of one tree. `apply` from any worker thread; `let_go` when idle."""

    def __init__(self) -> None:
        self._given = 0
        self._change = threading.Condition()
        self.children: list[_Child] = []
        self._duty: Duty | None = None
        self._has_failed = False

    def apply(self, site: Site, batch: Batch, owner: str) -> Sequence[Result]:
        """Apply a batch here or in a process."""
        self._given += len(batch.steps)
        if self._given + batch.to_come < AFTER or self._has_failed:
            return apply.run(site, batch)
        orders, reader = orders_of(batch)
        duty = None if reader is None else duty_of(site, reader, owner)
        child = None if duty is None else self._take(duty, batch.stop)
        if child is None:
            return apply.run(site, batch)
        return self._hand_over(child, batch, orders)

    def prepare(self, site: Site, source: Reader, owner: str) -> None:
        """Begin the processes now: much is about to come from `source`. Raises OSError."""
        duty = duty_of(site, source, owner)
        with self._change:
            if duty is None or self._has_failed:
                return
            self._take_on(duty)
            while len(self.children) < CHILDREN:
                self.children.append(_Child(duty))

    def _hand_over(self, child: "_Child", batch: Batch, orders: list[Order]) -> Sequence[Result]:
        try:
            answers = child.do(Job(batch.batch_id, orders))
        except (OSError, EOFError, ValueError, msgspec.MsgspecError):
            self._bury(child)
            return [lost(step) for step in batch.steps]
        with self._change:
            child.jobs -= 1
            self._change.notify()
        batch.progress(sum(order.put.entry.size for order in orders))
        return [
            Done(batch.steps[answer.number].action, answer.entry, answer.hint, answer.trash)
            if isinstance(answer, Placed)
            else answer
            for answer in answers
        ]

    def _take(self, duty: Duty, stop: Callable[[], bool]) -> "_Child | None":
        """A process with room for another job, begun if there may be one more; None when none can be had, or
        none is wanted any more."""
        with self._change:
            self._take_on(duty)
            while not self._has_failed and not stop():
                child = min(self.children, key=lambda one: one.jobs, default=None)
                if (child is None or child.jobs) and len(self.children) < CHILDREN:
                    try:
                        child = _Child(duty)
                    except OSError:
                        return None
                    self.children.append(child)
                if child is not None and child.jobs < JOBS_AT_ONCE:
                    child.jobs += 1
                    return child
                self._change.wait()
            self._change.notify()
        return None

    def _take_on(self, duty: Duty) -> None:
        """What the processes were begun for may be another duty."""
        if duty != self._duty:
            self._end_all()
            self._duty = duty

    def _bury(self, child: "_Child") -> None:
        """A process that died once would die again: no others until the tree has been idle."""
        with self._change:
            self._has_failed = True
            self._change.notify_all()
            if child not in self.children:
                return
            self.children.remove(child)
        child.end()

    def let_go(self) -> None:
        """End the processes; they are begun again when there is much to do."""
        with self._change:
            self._given = 0
            self._has_failed = False
            self._end_all()

    def _end_all(self) -> None:
        """Only while no batch is under way."""
        for child in self.children:
            child.end()
        self.children.clear()


def duty_of(site: Site, source: Reader, owner: str) -> Duty | None:
    """None when the source has not been opened."""
    place = source.place
    if place is None:
        return None
    return Duty(site.root.place, site.side, owner, site.capabilities, site.slack_ns, site.may_cross, place)


def orders_of(batch: Batch) -> tuple[list[Order], Reader | None]:
    """The batch, and the tree that its content is read from, if it is worth the way: many small files, all
    from one local tree. Else no reader."""
    if len(batch.steps) < LEAST_STEPS:
        return [], None
    orders: list[Order] = []
    reader: Reader | None = None
    for step in batch.steps:
        put, content = step.action, step.content
        if type(put) is not Put or type(content) is not LocalContent:
            return [], None
        entry = put.entry
        if entry.kind is not Kind.FILE or entry.size > LARGEST_FILE or not content.is_of(put.origin, entry):
            return [], None
        if content.reader is not reader:
            if reader is not None:
                return [], None
            reader = content.reader
        orders.append(Order(put, step.hint, content.hint))
    return orders, reader


def lost(step: Step) -> Stale:
    """The process died: look at both ends of the step again."""
    action = step.action
    origin = action.origin if isinstance(action, Put) else action.path
    is_new = isinstance(action, Put) and action.expect is None
    if action.side is Side.SOURCE:
        return Stale(action, destination_paths=(origin,), is_in_doubt=is_new)
    return Stale(action, source_paths=(origin,), is_in_doubt=is_new)


class _Child:
    """One process. Jobs are answered in the order in which they were given."""

    def __init__(self, duty: Duty) -> None:
        self.jobs = 0
        self._sending = threading.Lock()
        self._last = threading.Event()
        self._last.set()
        self._helper = Helper("syncd.tree.local.hands", is_apart=True)
        self.pid = self._helper.pid
        self._helper.send(_encoder.encode(duty))

    def do(self, job: Job) -> list[Answer]:
        """From any thread. Raises OSError, EOFError, ValueError (another thread has closed the pipe) or
        MsgspecError when the process is gone or mad."""
        with self._sending:
            before, done = self._last, threading.Event()
            self._last = done
            self._helper.send(_encoder.encode(job))
        try:
            before.wait()
            return _answers.decode(self._helper.receive())
        finally:
            done.set()

    def end(self) -> None:
        self._helper.end()


def serve() -> None:
    """The child: one duty, then job after job until the parent is gone."""
    requests, answers = streams()
    # Files get the mode that they are created with; nobody else makes any here.
    os.umask(0)
    duty = _duties.decode(read_frame(requests))
    target = Root.at(duty.target, is_written=True)
    source = Root.at(duty.source, is_written=False)
    site = Site(target, duty.side, Owner(duty.owner), duty.capabilities, duty.slack_ns, duty.may_cross)
    reader = Reader(source, may_cross=duty.source.may_cross)

    def answer(batch: Batch, results: Sequence[Result]) -> None:
        write_frame(answers, _encoder.encode(answers_of(batch, results)))

    with contextlib.suppress(EOFError, BrokenPipeError), contextlib.closing(Conveyor(site, answer)) as belt:
        while True:
            if belt.is_empty or select.select([requests], [], [], 0)[0]:
                belt.move(batch_of(_jobs.decode(read_frame(requests)), reader))
            else:
                belt.move()


def batch_of(job: Job, reader: Reader) -> Batch:
    steps = tuple(
        Step(
            order.put,
            order.hint,
            LocalContent(reader, order.put.origin, order.put.entry, order.content_hint),
        )
        for order in job.orders
    )
    return Batch(batch_id=job.batch_id, steps=steps, stop=lambda: False)


def answers_of(batch: Batch, results: Sequence[Result]) -> list[Answer]:
    """A batch that was halted (the disk is full) has fewer results than orders."""
    numbers = {id(step.action): number for number, step in enumerate(batch.steps)}
    return [
        Placed(numbers[id(result.action)], result.entry, result.hint, result.trash)
        if isinstance(result, Done)
        else result
        for result in results
    ]


if __name__ == "__main__":
    # What arrives are values of the module, not of the program of the same name.
    from syncd.tree.local import hands

    hands.serve()
