"""`syncd`: the daemon, the one-time synchronisation, and what checks a configuration.

Commands import what they run when they run it. The guard, the exit codes and the output are `syncctl`'s.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from syncd.cli.output import Output, plural
from syncd.cli.syncctl.app import run
from syncd.cli.syncctl.exits import Exit

if TYPE_CHECKING:
    from syncd.daemon.config import PairConfig
    from syncd.daemon.oneshot import Outcome, Rehearsed

EX_CONFIG = 78
"""sysexits: the configuration is wrong. systemd does not restart on it."""


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from syncd import __version__

        sys.stdout.write(f"syncd {__version__}\n")
        ctx.exit()


@click.group("syncd", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version)
def cli() -> None:
    """Keep trees of files in sync.

    Exit codes of `run`: 0 stopped in order, 75 another daemon uses the state, 78 invalid config, or no socket
    can be made where it says. Of `sync`: 0 in sync, 3 not everything, 5 held, 8 invalid arguments, 75 busy,
    130 interrupted.
    """


def _is_system() -> bool:
    """Root works for the machine, everybody else for themselves."""
    return os.geteuid() == 0 and not os.environ.get("XDG_CONFIG_HOME")


config_option = click.option("-c", "--config", "file", type=click.Path(), help="The main config file.")


@cli.command("run")
@config_option
@click.option("--socket", type=click.Path(), help="The control socket (wins over the config).")
@click.option("--state-dir", type=click.Path(), help="The state directory (wins over the config).")
def run_command(file: str | None, socket: str | None, state_dir: str | None) -> int:
    """Run the daemon in the foreground, as systemd and launchd do."""
    import anyio

    from syncd.core.error import SyncdError
    from syncd.core.reason import Reason
    from syncd.daemon.app import ConfigSource, run_daemon
    from syncd.daemon.config import ConfigInvalid
    from syncd.daemon.limits import collect_seldom, raise_file_limit
    from syncd.daemon.logging import LogRing, configure_logging
    from syncd.daemon.priority import give_way

    source = ConfigSource(
        _path(file), is_system=_is_system(), env=os.environ, socket=_path(socket), state_dir=_path(state_dir)
    )
    try:
        config = source.load()
    except ConfigInvalid as invalid:
        _refuse(invalid.problems)
        return EX_CONFIG
    ring = LogRing()
    configure_logging(level=config.daemon.log_level, log_format=config.daemon.log_format, ring=ring)
    os.umask(0o077)
    raise_file_limit()
    collect_seldom()
    give_way()
    try:
        anyio.run(run_daemon, source, config, ring, backend="asyncio")
    except SyncdError as error:
        click.echo(f"syncd: {error.detail or error.reason.explanation}", err=True)
        if error.reason.fix:
            click.echo(f"  {error.reason.fix}", err=True)
        ends = {Reason.STATE_BUSY: Exit.BUSY, Reason.SOCKET_UNUSABLE: EX_CONFIG}
        return ends.get(error.reason, Exit.FAILED)
    return Exit.OK


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _refuse(problems: Sequence[Any]) -> None:
    from syncd.cli.output import safe

    for problem in problems:
        click.echo(safe(problem.render()), err=True)


@cli.command("check-config")
@config_option
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
def check_config(file: str | None, is_json: bool) -> int:
    """Validate the config files and say everything that is wrong with them."""
    from syncd.daemon.config import ConfigInvalid, load_config, warnings

    try:
        config = load_config(_path(file), is_system=_is_system(), env=os.environ)
    except ConfigInvalid as invalid:
        if is_json:
            _emit_check(is_valid=False, problems=invalid.problems)
        else:
            _refuse(invalid.problems)
        return Exit.CONFIG
    notes = warnings(config)
    if is_json:
        _emit_check(is_valid=True, problems=notes)
        return Exit.OK
    for note in notes:
        click.echo(f"warning: {note.render()}", err=True)
    names = ", ".join(pair.name for pair in config.pairs) or "none"
    click.echo(f"valid: {len(config.files)} files, pairs: {names}")
    return Exit.OK


def _emit_check(*, is_valid: bool, problems: Sequence[Any]) -> None:
    rows = [{name: getattr(one, name) for name in one.__struct_fields__} for one in problems]
    Output(is_json=True).emit("syncd.check-config/1", {"is_valid": is_valid, "problems": rows})


@cli.command("schema")
def schema() -> int:
    """Print the JSON Schema of the configuration."""
    from syncd.daemon.config import config_schema

    click.echo(json.dumps(config_schema(), indent=2, sort_keys=True))
    return Exit.OK


@cli.command("sync")
@click.argument("source")
@click.argument("destination")
@click.option("--mode", help="two-way (default), source-to-destination, source-backup, ….")
@click.option("--conflict", help="newest-wins (default), source-wins, destination-wins, keep-both, manual.")
@click.option("--initial", help="First two-way sync: merge (default), source-wins, destination-wins.")
@click.option("--ignore", multiple=True, metavar="PATTERN", help="A gitignore pattern; may be repeated.")
@click.option("--settle", help="With --watch: how long a path must be quiet (300ms).")
@click.option("--watch", is_flag=True, help="Stay, and keep them in sync.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; write nothing.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@click.option("--yes", is_flag=True, help="Approve what the brake or a first run would hold.")
@click.option("--adopt", is_flag=True, help="Accept a root that was replaced, or is marked by another pair.")
@click.option("--state-dir", type=click.Path(), help="Where the pair's state is kept.")
@click.option("-v", "--verbose", is_flag=True, help="Print every action.")
def sync(source: str, destination: str, **options: Any) -> int:
    """Bring SOURCE and DESTINATION in sync, and with --watch keep them so."""
    from syncd.daemon.config import ConfigInvalid
    from syncd.daemon.limits import collect_seldom, raise_file_limit
    from syncd.daemon.oneshot import create_destination
    from syncd.daemon.paths import default_paths

    # A command of the person who runs it, root too: never the machine's state.
    state_dir = _path(options["state_dir"]) or default_paths(is_system=False, env=os.environ).state_dir
    try:
        config = _adhoc(source, destination, state_dir, options)
    except ConfigInvalid as invalid:
        _refuse(invalid.problems)
        return Exit.CONFIG
    if not options["dry_run"]:
        create_destination(config)  # by the user's own umask; what is remembered is for their eyes only
    os.umask(0o077)
    raise_file_limit()
    collect_seldom()
    out = Output(is_json=options["is_json"])
    if options["dry_run"]:
        return _rehearse(config, state_dir, out, approves=options["yes"])
    run = _watch if options["watch"] else _once
    with _own_way_out():
        return run(config, state_dir, out, options)


def _adhoc(source: str, destination: str, state_dir: Path, options: dict[str, Any]) -> "PairConfig":
    from syncd.core.mode import Mode
    from syncd.core.rules import Initial, Policy
    from syncd.core.units import parse_duration
    from syncd.daemon.config import adhoc_pair

    def choice(name: str, parse: Any) -> Any:
        if options[name] is None:
            return None
        try:
            return parse(options[name])
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint=f"--{name}") from None

    return adhoc_pair(
        source,
        destination,
        env=os.environ,
        state_dir=state_dir,
        mode=choice("mode", Mode.parse),
        conflict=choice("conflict", Policy.parse),
        initial=choice("initial", Initial.parse),
        ignore=options["ignore"],
        settle_s=choice("settle", parse_duration),
    )


def _quiet_logging(out: Output) -> None:
    """A command's log is for trouble only."""
    from syncd.daemon.logging import configure_logging

    del out
    configure_logging(level="error", log_format="console")


@contextlib.contextmanager
def _own_way_out() -> Iterator[None]:
    """A command has no daemon to ask: what accepts a root is an option of its own."""
    from syncd.core.error import NeedsUser
    from syncd.core.reason import Reason

    try:
        yield
    except NeedsUser as error:
        if error.reason not in (Reason.ROOT_CHANGED, Reason.FOREIGN_MARKER):
            raise
        detail = f"{error.detail}; put the right one back, or accept this one with --adopt"
        raise NeedsUser(error.reason, detail, fix="") from None


def _once(config: "PairConfig", state_dir: Path, out: Output, options: dict[str, Any]) -> int:
    from syncd.cli.sync_report import Narrator, report
    from syncd.daemon.oneshot import sync_once

    narrator = Narrator(out, is_verbose=options["verbose"])

    async def work() -> "Outcome":
        async with narrator.beside():
            return await sync_once(
                config,
                state_dir,
                narrator.publish,
                approves_holds=options["yes"],
                adopts=options["adopt"],
                show=narrator.follow,
                should_stop=lambda: narrator.is_stopped,
            )

    outcome = _unwrapped(work)
    narrator.close()
    return report(out, outcome, narrator)


def _unwrapped(work: Any) -> Any:
    """Run a coroutine function; the one error of a task group comes out as itself."""
    import anyio

    from syncd.core.error import first_known

    try:
        return anyio.run(work, backend="asyncio")
    except BaseExceptionGroup as group:
        known = first_known(group)
        raise (known if known is not None else group.exceptions[0]) from None


def _rehearse(config: "PairConfig", state_dir: Path, out: Output, *, approves: bool) -> int:
    from syncd.cli.sync_report import report_rehearsal
    from syncd.daemon.oneshot import rehearse

    async def work() -> "Rehearsed":
        return await rehearse(config, state_dir, approves_holds=approves)

    return report_rehearsal(out, _unwrapped(work))


def _watch(config: "PairConfig", state_dir: Path, out: Output, options: dict[str, Any]) -> int:
    from syncd.cli.live import open_view
    from syncd.control.model import Event, PairStatus
    from syncd.daemon.foreground import keep_in_sync

    _quiet_logging(out)
    if not out.is_json:
        out.note(
            f"{plural(2, 'tree')} in sync until you press Ctrl-C: {config.source} and {config.destination}"
        )
    with contextlib.ExitStack() as stack:
        view = None if out.is_json else stack.enter_context(open_view(out))

        def show(pairs: Sequence[PairStatus]) -> None:
            if view is not None:
                view.update(pairs)

        def tell(event: Event) -> None:
            if view is not None:
                if event.kind != "pair.state":  # the view shows states by itself
                    view.event(event)
            else:
                out.emit("syncd.event/1", event)

        async def work() -> None:
            await keep_in_sync(
                config,
                state_dir,
                approves_holds=options["yes"],
                adopts=options["adopt"],
                show=show,
                tell=tell,
            )

        _unwrapped(work)
    return Exit.OK


def main(arguments: Sequence[str] | None = None, **_: Any) -> None:
    """The program. Ends the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(int(run(cli, sys.argv[1:] if arguments is None else arguments, name="syncd")))


__all__ = ["cli", "main"]
