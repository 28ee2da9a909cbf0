"""Structured logs: set up once, one line an event, safe for terminals, free of secrets.

Events are `noun.verb_past` with keys. Names and messages may come from anywhere, so everything that is
not printable is escaped before it is kept or shown. The last events stay in memory for `syncctl log`.
"""

import contextlib
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Protocol, TextIO

import structlog

from syncd.daemon.log_render import console, journal, json_line
from syncd.daemon.log_ring import LogRecord, LogRing
from syncd.daemon.log_safe import Redactor, plain

__all__ = ["LogRecord", "LogRing", "Redactor", "configure_logging", "pick_format", "redactor"]

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
LOUD = ("watchfiles", "asyncio", "aiosqlite")
"""Libraries that log at info or below what concerns nobody."""

Fields = MutableMapping[str, Any]
redactor = Redactor()
"""Secrets that were read are told to it; no log line shows them afterwards."""


class Keep(Protocol):
    """Where events go besides the stream."""

    def add(self, at_ns: int, level: str, fields: Mapping[str, object]) -> None: ...


def configure_logging(
    *,
    level: str = "info",
    log_format: str = "auto",
    ring: Keep | None = None,
    stream: TextIO | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Send every structlog and library event to `stream` (stderr). Returns the format in force.

    `log_format` is auto, console, json or journal. Raises ValueError for other words.
    """
    stream = sys.stderr if stream is None else stream
    environment = os.environ if environment is None else environment
    chosen = pick_format(stream, environment) if log_format == "auto" else log_format
    renderers: dict[str, Callable[[int, str, Mapping[str, object]], str]] = {
        "console": console(is_coloured=_has_colour(stream, environment)),
        "json": json_line,
        "journal": journal,
    }
    if chosen not in renderers or level not in LEVELS:
        raise ValueError(f"no log format {chosen!r} or level {level!r}")
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, _Sink(renderers[chosen], ring)],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: _Stream(stream),
        cache_logger_on_first_use=False,
    )
    _adopt_libraries(LEVELS[level])
    return chosen


def pick_format(stream: TextIO, environment: Mapping[str, str]) -> str:
    """`journal` when the stream is connected to the journal (and not just inherited its variable)."""
    device, _, inode = environment.get("JOURNAL_STREAM", "").partition(":")
    with contextlib.suppress(OSError, ValueError):
        found = os.fstat(stream.fileno())
        if (str(found.st_dev), str(found.st_ino)) == (device, inode):
            return "journal"
    return "console"


def _has_colour(stream: TextIO, environment: Mapping[str, str]) -> bool:
    try:
        return stream.isatty() and not environment.get("NO_COLOR")
    except ValueError:
        return False


class _Sink:
    """The last processor: makes an event safe, keeps it, renders it."""

    def __init__(self, render: Callable[[int, str, Mapping[str, object]], str], ring: Keep | None) -> None:
        self._render = render
        self._ring = ring

    def __call__(self, _logger: object, method: str, fields: Fields) -> str:
        at_ns = time.time_ns()
        level = {"warn": "warning", "critical": "error", "exception": "error"}.get(method, method)
        trouble = fields.pop("exc_info", None)
        if trouble:
            fields["traceback"] = _traceback(trouble)
        safe = {redactor.clean_text(plain(key)): redactor.clean(key, value) for key, value in fields.items()}
        if self._ring is not None:
            self._ring.add(at_ns, level, safe)
        return self._render(at_ns, level, safe)


def _traceback(trouble: object) -> str:
    """The traceback as text; it becomes one escaped line like every value."""
    if isinstance(trouble, tuple):
        trouble = trouble[1]
    error = trouble if isinstance(trouble, BaseException) else sys.exc_info()[1]
    return "".join(traceback.format_exception(error)).rstrip() if error else ""


class _Stream:
    """A structlog logger that writes lines. A stream that is closed or full loses them, nothing more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(line + "\n")
            self._stream.flush()

    debug = info = warning = warn = error = critical = exception = log = msg


class _Library(logging.Handler):
    """What libraries log through the standard module, as events of our own."""

    def emit(self, record: logging.LogRecord) -> None:
        logger = structlog.get_logger("library")
        name = {"CRITICAL": "error"}.get(record.levelname, record.levelname.lower())
        write = getattr(logger, name, logger.info)
        write("library.logged", logger=record.name, detail=record.getMessage(), exc_info=record.exc_info)


def _adopt_libraries(level: int) -> None:
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, _Library)]:
        root.removeHandler(handler)
    root.addHandler(_Library())
    root.setLevel(max(level, logging.INFO))
    for name in LOUD:
        logging.getLogger(name).setLevel(logging.WARNING)
