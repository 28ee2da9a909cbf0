"""The live view of pairs at work: bars with rate and remaining time on a terminal, calm lines otherwise.

`syncctl watch` feeds it from the control socket, `syncd sync --watch` from the daemon in its own process:
`update` with every status, `event` with every event. rich is imported only for a terminal.
"""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from syncd.cli.output import Output, duration, plural, safe, size
from syncd.control.model import Event, PairStatus

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

MAX_LINES_PER_S = 20
_PROGRESS_EVERY_S = 10.0
_LOUD = ("conflict.", "pair.", "issue.", "hold.", "watch.", "gap")


class View(Protocol):
    """What both views can do. Use it as a context manager; `close` is its end."""

    def update(self, pairs: Sequence[PairStatus]) -> None: ...

    def event(self, event: Event) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_view(out: Output, *, clock: Callable[[], float] = time.monotonic) -> View:
    """The view that fits where `out` goes."""
    return TerminalView(out) if out.is_terminal and out.has_colour else PlainView(out, clock=clock)


class Rate:
    """Units per second over the last `window_s`, and what remains at that rate."""

    def __init__(self, window_s: float = 15.0) -> None:
        self._window_s = window_s
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, now_s: float, done: int) -> None:
        """Note how much is done. Less than before is a new beginning."""
        if self._samples and done < self._samples[-1][1]:
            self._samples.clear()
        self._samples.append((now_s, done))
        while len(self._samples) > 2 and now_s - self._samples[0][0] > self._window_s:
            self._samples.popleft()

    @property
    def per_s(self) -> float:
        if len(self._samples) < 2:
            return 0.0
        (start_s, first), (end_s, last) = self._samples[0], self._samples[-1]
        return (last - first) / (end_s - start_s) if end_s > start_s else 0.0

    def remaining_s(self, total: int) -> float | None:
        """Seconds to `total`; None while it cannot be said."""
        if not self._samples or self.per_s <= 0 or total <= 0:
            return None
        return max(0, total - self._samples[-1][1]) / self.per_s


def event_line(event: Event) -> str:
    """One event in words: `file.put  documents: a/b.txt  side=destination`."""
    place = ": ".join(part for part in (event.pair, event.path) if part)
    data = "  ".join(f"{key}={value}" for key, value in event.data.items() if value is not None)
    return "  ".join(part for part in (event.kind, place, data) if part)


def event_style(event: Event) -> str:
    kind = event.kind
    if kind.startswith(("conflict.", "gap", "issue.", "hold.")):
        return "yellow"
    return "bold" if kind.startswith("pair.") else ""


def summary(pair: PairStatus) -> str:
    """`documents  syncing  12 files (3.4MiB) to go`."""
    parts = [pair.name, pair.state]
    if pair.hold is not None:
        parts.append(f"{pair.hold.reason}: {pair.hold.detail}")
    if pair.pending.files:
        parts.append(f"{plural(pair.pending.files, 'file')} ({size(pair.pending.bytes)}) to go")
    if pair.conflicts:
        parts.append(plural(pair.conflicts, "conflict"))
    if pair.issues:
        parts.append(plural(pair.issues, "issue"))
    return "  ".join(parts)


def is_settling(pair: PairStatus) -> bool:
    """Idle, but for events that wait until all is quiet: mostly what the pair has just done itself."""
    is_fine = not (pair.conflicts or pair.issues or pair.pending.bytes)
    return pair.state == "idle" and pair.progress is None and bool(pair.pending.files) and is_fine


class PlainView:
    """Lines for logs and pipes: a pair's line when something about it changed, progress now and then."""

    def __init__(self, out: Output, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._shown: dict[str, tuple[object, ...]] = {}
        self._rates: dict[str, Rate] = {}
        self._next_progress_s: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._out.stream.flush()

    def update(self, pairs: Sequence[PairStatus]) -> None:
        for pair in pairs:
            reason = pair.hold.reason if pair.hold is not None else ""
            facts = (pair.state, reason, pair.conflicts, pair.issues)
            if self._shown.get(pair.name) != facts and not is_settling(pair):
                self._shown[pair.name] = facts
                self._out.line(summary(pair))
            self._progress(pair)
        self._out.stream.flush()

    def _progress(self, pair: PairStatus) -> None:
        step, now_s = pair.progress, self._clock()
        if step is None:
            self._rates.pop(pair.name, None)
            self._next_progress_s.pop(pair.name, None)
            return
        rate = self._rates.setdefault(pair.name, Rate())
        rate.add(now_s, step.bytes_done if step.bytes_total else step.done)
        if now_s < self._next_progress_s.setdefault(pair.name, now_s + _PROGRESS_EVERY_S):
            return
        self._next_progress_s[pair.name] = now_s + _PROGRESS_EVERY_S
        of = f" of {step.total}" if step.total else ""
        text = f"{pair.name}  {step.phase}  {step.done}{of}"
        if step.bytes_total:
            text += f", {size(step.bytes_done)} of {size(step.bytes_total)}, {size(int(rate.per_s))}/s"
        remaining_s = rate.remaining_s(step.bytes_total or step.total)
        if remaining_s is not None:
            text += f", {duration(remaining_s)} left"
        self._out.line(text)

    def event(self, event: Event) -> None:
        self._out.line(event_line(event))


class TerminalView:
    """A bar a pair at the bottom, events scrolling above it (the loud ones always, others in measure)."""

    def __init__(self, out: Output, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._progress = _bars(out)
        self._tasks: dict[str, TaskID] = {}
        self._phases: dict[str, str] = {}
        self._second = 0
        self._lines = 0
        self._hidden = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, pairs: Sequence[PairStatus]) -> None:
        for name in self._tasks.keys() - {pair.name for pair in pairs}:
            self._progress.remove_task(self._tasks.pop(name))
        for pair in pairs:
            self._bar(pair)

    def _bar(self, pair: PairStatus) -> None:
        phase = pair.progress.phase if pair.progress is not None else pair.state
        if pair.name in self._tasks and self._phases.get(pair.name) != phase:
            # Another phase has another total: a fresh bar, so that its rate starts anew.
            self._progress.reset(self._tasks[pair.name])
        self._phases[pair.name] = phase
        if pair.name not in self._tasks:
            self._tasks[pair.name] = self._progress.add_task("", total=None, state="", count="", left="")
        done, total, count = _extent(pair)
        self._progress.update(
            self._tasks[pair.name],
            description=safe(pair.name),
            completed=done,
            total=total,
            state=safe(phase),
            count=count,
            left=safe(_note(pair)),
        )

    def event(self, event: Event) -> None:
        """Print above the bars. Many quiet events in a second are counted, not shown."""
        second = int(self._clock())
        if second != self._second:
            if self._hidden:
                self._print(f"… and {plural(self._hidden, 'event')} more", "dim")
            self._second, self._lines, self._hidden = second, 0, 0
        if self._lines >= MAX_LINES_PER_S and not event.kind.startswith(_LOUD):
            self._hidden += 1
            return
        self._lines += 1
        self._print(event_line(event), event_style(event))

    def _print(self, text: str, style: str) -> None:
        self._progress.console.print(safe(text), style=style or None, markup=False, highlight=False)


def _extent(pair: PairStatus) -> tuple[float, float | None, str]:
    """Done, total (None: unknown, the bar pulses) and both in words."""
    step = pair.progress
    if step is None:
        is_busy = pair.state in ("starting", "scanning", "syncing")
        return (0.0, None, "") if is_busy else (1.0, 1.0, "")
    if step.bytes_total:
        return step.bytes_done, step.bytes_total, f"{size(step.bytes_done)} of {size(step.bytes_total)}"
    return step.done, step.total or None, f"{step.done} of {step.total}" if step.total else f"{step.done}"


def _note(pair: PairStatus) -> str:
    if pair.hold is not None:
        return f"{pair.hold.reason}: syncctl plan show {pair.name}"
    parts = []
    if pair.pending.files and pair.progress is None:
        parts.append(f"{plural(pair.pending.files, 'file')} to go")
    if pair.conflicts:
        parts.append(plural(pair.conflicts, "conflict"))
    if pair.issues:
        parts.append(plural(pair.issues, "issue"))
    return ", ".join(parts)


def _bars(out: Output) -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Speed(ProgressColumn):
        """The rate: bytes where bytes are known, else paths."""

        def render(self, task: Task) -> Text:
            speed = task.speed
            if not speed or task.finished:
                return Text("")
            is_bytes = "B" in str(task.fields["count"])
            return Text(f"{size(int(speed))}/s" if is_bytes else f"{speed:.0f}/s", style="cyan")

    return Progress(
        TextColumn("{task.description}", style="bold", markup=False),
        TextColumn("{task.fields[state]}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[count]}", markup=False),
        Speed(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[left]}", style="yellow", markup=False),
        console=Console(file=out.stream, highlight=False, markup=False),
        refresh_per_second=4,
        expand=False,
    )
