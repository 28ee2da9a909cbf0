"""The frame of `syncctl`: lazily imported commands, options that all share, errors and exit codes.

A command's module is imported when the command is used. `run` is the guard: whatever happens, a person
sees one or two lines and a script sees an exit code, never a traceback.
"""

import contextlib
import errno
import functools
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import click

from syncd.cli.output import Output, envelope, safe
from syncd.cli.syncctl.exits import REASON_EXITS, Exit
from syncd.control.client import (
    CALL_TIMEOUT_S,
    CallError,
    Client,
    ClientError,
    NotPermitted,
    TimedOut,
    Unreachable,
    connect,
)
from syncd.core.error import SyncdError

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


class App:
    """What a command works with: the output and the way to the daemon."""

    def __init__(self) -> None:
        self.socket: str | None = None
        self.out = Output()

    @property
    def is_json(self) -> bool:
        return self.out.is_json

    def connect(self) -> Client:
        """The daemon at `--socket`, else SYNCD_SOCKET, else the user's, else the system's."""
        if self.socket is not None:
            return connect([self.socket])
        from syncd.daemon.paths import socket_candidates

        return connect(socket_candidates(os.environ))

    def call(
        self, method: str, params: Any, result: type[T], *, timeout_s: float | None = CALL_TIMEOUT_S
    ) -> T:
        """One question on a connection of its own."""
        with self.connect() as client:
            return client.call(method, params, result, timeout_s=timeout_s)


class LazyGroup(click.Group):
    """A group whose commands are `name: ("module:attribute", short help)`, imported when used.

    `default` names the command that arguments go to when the first is none of the group's names.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]], default: str = "", **kw: Any) -> None:
        super().__init__(*args, **kw)
        self._lazy = dict(lazy)
        self._default = default

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self._lazy:
            return None
        module, _, attribute = self._lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, row[1]) for name, row in self._lazy.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if self._default and _first_word(args) not in self._lazy and args not in (["--help"], ["-h"]):
            args = [self._default, *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self._lazy:
            import difflib

            close = difflib.get_close_matches(args[0], self._lazy, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"No such command {safe(args[0])!r}.{hint}")
        return super().resolve_command(ctx, args)


def _first_word(args: Sequence[str]) -> str | None:
    """The first argument that is neither a shared option nor the value of one."""
    words = iter(args)
    for word in words:
        if word == "--socket":
            next(words, None)
        elif not word.startswith("-"):
            return word
    return None


def _set_json(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(App).out.is_json = True


def _set_socket(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.ensure_object(App).socket = value


def common(function: F) -> F:
    """`--json` and `--socket`, accepted before and after the command's name."""
    json = click.option(
        "--json", is_flag=True, expose_value=False, callback=_set_json, help="Print JSON, one object a line."
    )
    socket = click.option(
        "--socket",
        metavar="PATH",
        expose_value=False,
        callback=_set_socket,
        help="The daemon's control socket.",
    )
    return json(socket(function))


def command(name: str, **kw: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """A click command with the common options; the function gets the App first."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def with_app(*args: Any, **options: Any) -> Any:
            return function(click.get_current_context().ensure_object(App), *args, **options)

        register: Callable[[Callable[..., Any]], click.Command] = click.command(name, **kw)
        return register(common(with_app))

    return decorate


def complete_pairs(_ctx: click.Context, _param: click.Parameter, typed: str) -> list[str]:
    """Names of pairs for the shell; nothing when no daemon answers."""
    from syncd.control.model import NoParams, Pairs

    try:
        pairs = App().call("pair.list", NoParams(), Pairs, timeout_s=1.0).pairs
    except (ClientError, SyncdError, OSError):
        return []
    return [pair.name for pair in pairs if pair.name.startswith(typed) and pair.name.isprintable()]


pair_argument = click.argument("pair", shell_complete=complete_pairs)
optional_pair = click.argument("pair", required=False, shell_complete=complete_pairs)
pairs_argument = click.argument("pairs", nargs=-1, metavar="[PAIR]...", shell_complete=complete_pairs)
pair_option = click.option("--pair", metavar="NAME", shell_complete=complete_pairs, help="Only this pair.")


def run(group: click.Command, arguments: Sequence[str], *, name: str) -> int:
    """Run a command line and return its exit code. Nothing escapes but what kills the process."""
    app = App()
    app.out.is_json = "--json" in arguments  # for errors in the arguments themselves
    try:
        with _quiet_pipe():
            try:
                return _invoke(group, list(arguments), name, app)
            finally:
                sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        return Exit.INTERRUPTED
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.UsageError as error:
        return _usage(error, app)
    except Exception as error:
        return _report(error, app)


def _invoke(group: click.Command, arguments: list[str], name: str, app: App) -> int:
    instruction = os.environ.get("_SYNCCTL_COMPLETE") if name == "syncctl" else None
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(group, {}, name, "_SYNCCTL_COMPLETE", instruction)
    with group.make_context(name, arguments, obj=app) as ctx:
        result = group.invoke(ctx)
    return int(result) if isinstance(result, int) else Exit.OK


@contextlib.contextmanager
def _quiet_pipe() -> Iterator[None]:
    """A reader that went away (`| head`) ends the command without a word."""
    try:
        yield
    except OSError as error:
        if not isinstance(error, BrokenPipeError) and error.errno != errno.EPIPE:
            raise
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            os.close(null)
        raise click.exceptions.Exit(Exit.OK) from None


def _usage(error: click.UsageError, app: App) -> int:
    message = error.format_message()
    if app.is_json:
        return _fail(app, Exit.USAGE, message, "bad-request", "")
    if error.ctx is not None:
        sys.stderr.write(error.ctx.get_usage() + "\n")
    return _fail(app, Exit.USAGE, message, "", "")


def _report(error: Exception, app: App) -> int:
    """The one place where errors become words and an exit code."""
    if isinstance(error, CallError):
        code = REASON_EXITS.get(error.reason, Exit.FAILED)
        return _fail(app, code, error.message, error.reason, error.fix)
    if isinstance(error, Unreachable):
        fix = "start the daemon, or name its socket with --socket"
        return _fail(app, Exit.UNREACHABLE, str(error), "", fix)
    if isinstance(error, NotPermitted):
        return _fail(
            app, Exit.NOT_PERMITTED, str(error), "not-allowed", "run it as the daemon's user or root"
        )
    if isinstance(error, TimedOut):
        return _fail(app, Exit.TIMED_OUT, str(error), "", "")
    if isinstance(error, SyncdError):
        code = REASON_EXITS.get(error.reason.value, Exit.FAILED)
        text = error.detail or error.reason.explanation
        return _fail(app, code, text, error.reason.value, error.fix)
    if isinstance(error, click.ClickException):
        return _fail(app, Exit.FAILED, error.format_message(), "", "")
    if isinstance(error, OSError):
        name = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
        return _fail(app, Exit.FAILED, f"{name}{error.strerror or error}", "", "")
    return _fail(app, Exit.FAILED, f"an internal error ({type(error).__name__}: {error})", "bug", "")


def _fail(app: App, code: Exit, message: str, reason: str, fix: str) -> int:
    """Say what went wrong on stderr: with `--json` as one object."""
    with contextlib.suppress(OSError, ValueError):
        if app.is_json:
            data = {"exit": int(code), "message": message, "reason": reason, "fix": fix}
            sys.stderr.write(envelope("syncctl.error/1", data) + "\n")
        else:
            lines = [safe(line) for line in message.split("\n")]
            sys.stderr.write("Error: " + "\n  ".join(lines) + "\n")
            if fix:
                sys.stderr.write(f"  → {safe(fix)}\n")
    return code
