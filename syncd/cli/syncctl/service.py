"""`syncctl service install`: hand the unit or plist of this machine to the service manager."""

import importlib

import click
import msgspec

from syncd.cli.syncctl.app import App, LazyGroup, command, common


class Installed(msgspec.Struct, frozen=True):
    """What `service install --json` prints: the files and the commands that come next."""

    files: tuple[str, ...]
    commands: tuple[str, ...]


@click.group(
    "service", cls=LazyGroup, lazy={"install": (f"{__name__}:install", "Install the service files.")}
)
@common
def service() -> None:
    """Install syncd as a system or user service."""


@command("install")
@click.option("--user", "is_user", is_flag=True, help="For this user, not for the system.")
@click.option("--dry-run", is_flag=True, help="Only say what would be written.")
def install(app: App, is_user: bool, dry_run: bool) -> None:
    """Write the service's files (systemd or launchd) and say how to start it."""
    try:
        installer = importlib.import_module("syncd.daemon.install")
    except ImportError as error:
        raise click.ClickException("this build has no service installer; see the README") from error
    files, commands = installer.install(is_user=is_user, is_dry_run=dry_run)
    answer = Installed(tuple(map(str, files)), tuple(map(str, commands)))
    if app.is_json:
        app.out.emit("syncctl.service-install/1", answer)
        return
    for file in answer.files:
        app.out.line("would write  " if dry_run else "wrote  ", file)
    for line in answer.commands:
        app.out.line("→ ", line)
