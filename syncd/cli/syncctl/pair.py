"""`syncctl pair add|remove|edit|adopt`: the daemon writes the pair's file and applies it."""

import os
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click
from msgspec import UNSET, UnsetType

from syncd.cli.syncctl.app import App, LazyGroup, command, common, pair_argument
from syncd.cli.syncctl.flow import acknowledge
from syncd.control import model as m

F = TypeVar("F", bound=Callable[..., Any])

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@click.group(
    "pair",
    cls=LazyGroup,
    lazy={
        "add": (f"{__name__}:add", "Write a pair's file and start it."),
        "remove": (f"{__name__}:remove", "Stop a pair and remove its file."),
        "edit": (f"{__name__}:edit", "Change settings of a pair."),
        "adopt": (f"{__name__}:adopt", "Accept a pair's roots as they are now."),
    },
)
@common
def pair() -> None:
    """Add, remove, edit or adopt a pair. For the daemon's user and root."""


def _options(function: F) -> F:
    """The settings of a pair, as options."""
    for option in reversed(
        (
            click.option("--mode", help="two-way, source-to-destination, source-backup …"),
            click.option("--conflict", help="newest-wins, source-wins, destination-wins, keep-both, manual."),
            click.option("--initial", help="merge, source-wins, destination-wins."),
            click.option("--ignore", multiple=True, metavar="GLOB", help="An ignore rule; repeatable."),
            click.option("--settle", metavar="DURATION", help="How long a path must be quiet."),
            click.option("--rescan", metavar="DURATION", help="How often everything is scanned."),
            click.option("--poll", metavar="DURATION", help="How often a remote is asked."),
            click.option("--max-delete-files", type=click.IntRange(0), help="The brake: files …"),
            click.option("--max-delete-percent", type=click.FloatRange(0, 100), help="… and percent."),
            click.option("--max-delete-bytes-percent", type=click.FloatRange(0, 100), help="… or of bytes."),
            click.option("--max-delete", "max_delete_absolute", type=click.IntRange(0), help="Alone enough."),
            click.option("--owner", help="Owner of new files: parent, copy or UID:GID."),
            click.option("--cross-mounts/--no-cross-mounts", default=None, help="Enter other file systems."),
            click.option("--initial-compare", help="auto or content."),
            click.option("--pull-destination-changes/--no-pull-destination-changes", default=None),
            click.option("--trash-keep", metavar="DURATION", help="How long old bytes are kept."),
            click.option("--trash-max-size", metavar="SIZE", help="How large the trash may grow."),
            click.option("--paused/--not-paused", default=None, help="Begin paused."),
        )
    ):
        function = option(function)
    return function


def _set(value: Any) -> Any:
    return UNSET if value is None else value


def _build(given: dict[str, Any]) -> m.PairOptions:
    """What was given on the command line, and nothing else."""
    brake = {
        "files": _set(given.pop("max_delete_files")),
        "percent": _set(given.pop("max_delete_percent")),
        "bytes_percent": _set(given.pop("max_delete_bytes_percent")),
        "absolute": _set(given.pop("max_delete_absolute")),
    }
    trash = {"keep": _set(given.pop("trash_keep")), "max_size": _set(given.pop("trash_max_size"))}
    ignore = given.pop("ignore")
    max_delete: m.MaxDelete | UnsetType = m.MaxDelete(**brake) if _is_given(brake) else UNSET
    trash_option: m.TrashOption | UnsetType = m.TrashOption(**trash) if _is_given(trash) else UNSET
    return m.PairOptions(
        max_delete=max_delete,
        trash=trash_option,
        ignore=tuple(ignore) or UNSET,
        **{key: _set(value) for key, value in given.items()},
    )


def _is_given(values: dict[str, Any]) -> bool:
    return any(value is not UNSET for value in values.values())


def _root(text: str) -> str:
    """A URL as it is, a local path made absolute here: the daemon has another working directory."""
    return text if _URL.match(text) else os.path.abspath(os.path.expanduser(text))


def _changed(app: App, verb: str, answer: m.PairChange) -> None:
    if app.is_json:
        app.out.emit("syncctl.pair-change/1", answer)
        return
    app.out.line(f"{verb} {answer.pair}  ({answer.file})")
    for warning in answer.warnings:
        app.out.line(("warning: ", "yellow"), warning)


def _refresh_unit(app: App, answer: m.PairChange) -> None:
    """Let the sandboxed system unit write the new roots; it is this user's to change only when it is root."""
    if os.geteuid() != 0 or not answer.file.startswith("/etc/"):
        return
    from syncd.daemon.config import load_config
    from syncd.daemon.install import carry_out, refresh_roots

    planned = refresh_roots(load_config(None, is_system=True, env=os.environ))
    if planned is None:
        return
    for remark in (*carry_out(planned), *(f"run: {step}" for step in planned.next_steps)):
        app.out.note(remark)


@command("add")
@click.argument("name")
@click.argument("source")
@click.argument("destination")
@_options
def add(app: App, name: str, source: str, destination: str, **given: Any) -> None:
    """Keep SOURCE and DESTINATION in sync under NAME: writes pairs.d/NAME.toml."""
    params = m.PairAddParams(
        name=name, source=_root(source), destination=_root(destination), options=_build(given)
    )
    answer = app.call("pair.add", params, m.PairChange)
    _changed(app, "added", answer)
    _refresh_unit(app, answer)


@command("edit")
@pair_argument
@_options
@click.option("--unset", multiple=True, metavar="KEY", help="Back to the default; repeatable.")
def edit(app: App, pair: str, unset: tuple[str, ...], **given: Any) -> None:
    """Change settings of PAIR in its own file."""
    options = _build(given)
    if options == m.PairOptions() and not unset:
        raise click.UsageError("nothing to change; see --help for the settings")
    params = m.PairEditParams(pair=pair, options=options, unset=unset)
    answer = app.call("pair.edit", params, m.PairChange)
    _changed(app, "changed", answer)
    _refresh_unit(app, answer)


@command("remove")
@pair_argument
@click.option("--purge", is_flag=True, help="Forget its state as well; the trees are never touched.")
def remove(app: App, pair: str, purge: bool) -> None:
    """Stop PAIR and remove its file. No file of either tree is touched."""
    params = m.PairRemoveParams(pair=pair, purge=purge)
    _changed(app, "removed", app.call("pair.remove", params, m.PairChange))


@command("adopt")
@pair_argument
@click.option("--side", type=click.Choice(["source", "destination"]), help="Only this side.")
def adopt(app: App, pair: str, side: m.SideName | None) -> None:
    """Accept the roots of PAIR as they are now: a replaced directory, another pair's marker."""
    params = m.PairAdoptParams(pair=pair, side=side)
    acknowledge(app, "pair-adopt", app.call("pair.adopt", params, m.Ack))
