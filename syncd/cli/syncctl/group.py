"""The group of `syncctl`: its commands, each imported when used, and where each lives."""

import sys

import click

from syncd.cli.syncctl.app import LazyGroup, common

_HERE = "syncd.cli.syncctl."

COMMANDS = {
    "status": (_HERE + "status:status", "How every pair stands, and what to do about it."),
    "list": (_HERE + "status:list_pairs", "The pairs."),
    "show": (_HERE + "status:show", "One pair in full, with where each setting comes from."),
    "watch": (_HERE + "watch:watch", "A live view; events with --json."),
    "explain": (_HERE + "explain:explain", "Why a path is, or is not, in sync."),
    "wait": (_HERE + "flow:wait", "Wait until earlier changes are on the other side."),
    "sync": (_HERE + "flow:sync", "Run a cycle now."),
    "rescan": (_HERE + "flow:rescan", "Scan again now: everything, or a path."),
    "notify": (_HERE + "flow:notify", "Tell one change of a path."),
    "pause": (_HERE + "flow:pause", "Pause pairs."),
    "resume": (_HERE + "flow:resume", "Resume paused or failed pairs."),
    "plan": (_HERE + "plan:plan", "What would be done; decide about a held plan."),
    "conflicts": (_HERE + "conflicts:conflicts", "List, look at and settle conflicts."),
    "issues": (_HERE + "records:issues", "Paths that cannot be synchronised, and why."),
    "history": (_HERE + "records:history", "What was done, newest first."),
    "pair": (_HERE + "pair:pair", "Add, remove, edit or adopt a pair."),
    "ignore": (_HERE + "explain:ignore", "Test the ignore rules."),
    "check-config": (_HERE + "config:check_config", "Validate the config files."),
    "reload": (_HERE + "config:reload", "Read the config again and apply what changed."),
    "log": (_HERE + "daemon:log", "The daemon's last log lines."),
    "version": (_HERE + "daemon:version", "Versions of syncctl and the daemon."),
    "stop": (_HERE + "daemon:stop", "Stop the daemon in order."),
    "service": (_HERE + "service:service", "Install syncd as a system or user service."),
    "completion": (_HERE + "completion:completion", "Print the completion script of a shell."),
    "schema": (_HERE + "schema:schema", "The JSON Schemas of what --json prints."),
}


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from syncd.cli.syncctl.daemon import own_version

        sys.stdout.write(f"syncctl {own_version()}\n")
        ctx.exit()


@click.group(
    "syncctl", cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version)
@common
def cli() -> None:
    """Ask and steer the syncd daemon.

    Exit codes: 0 fine, 1 failed, 2 usage, 3 not in sync or degraded, 4 daemon not reachable, 5 held,
    6 conflicts, 7 timed out, 8 invalid config, 9 not permitted, 10 no such pair, path or id, 75 busy,
    130 interrupted.
    """
