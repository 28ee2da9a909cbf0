"""`syncctl log`, `version`, `stop`: the daemon itself."""

import time

import click
import msgspec

from syncd.cli.output import Output
from syncd.cli.syncctl.app import App, command, pair_option
from syncd.cli.syncctl.exits import Exit
from syncd.cli.syncctl.flow import acknowledge
from syncd.control import model as m
from syncd.control.client import Client, ClientError, TimedOut, Unreachable

_FOLLOW_S = 1.0
_LEVEL_STYLES = {"debug": "dim", "warning": "yellow", "error": "red", "critical": "red"}


def own_version() -> str:
    """The version of this package."""
    from syncd import __version__

    return __version__


@command("log")
@click.option(
    "-n", "--limit", default=50, type=click.IntRange(1, 1000), help="How many lines; 50 by default."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines.")
@click.option("--level", type=click.Choice(["debug", "info", "warning", "error"]), default="info")
@pair_option
def log(app: App, limit: int, follow: bool, level: m.LogLevel, pair: str | None) -> None:
    """The last log lines that the daemon keeps in memory."""
    params = m.LogTailParams(limit=limit, level=level, pair=pair)
    with app.connect() as client:
        last = _print_lines(app, client, params)
        while follow:
            time.sleep(_FOLLOW_S)
            last = _print_lines(app, client, msgspec.structs.replace(params, after=last, limit=1000))


def _print_lines(app: App, client: Client, params: m.LogTailParams) -> int:
    page = client.call("log.tail", params, m.LogPage)
    for line in page.lines:
        if app.is_json:
            app.out.emit("syncctl.log/1", line)
        else:
            _render(app.out, line)
    app.out.stream.flush()
    return page.last


def _render(out: Output, line: m.LogLine) -> None:
    stamp = line.at.astimezone().strftime("%H:%M:%S.%f")[:-3]
    pair = f"  pair={line.pair}" if line.pair else ""
    level = (f"{line.level:<7}", _LEVEL_STYLES.get(line.level, ""))
    out.line((stamp, "dim"), "  ", level, "  ", (line.event, "bold"), pair, "  ", line.text)


class Versions(msgspec.Struct, frozen=True):
    """What `version --json` prints; `daemon` is null when none answers."""

    syncctl: str
    daemon: m.VersionInfo | None


@command("version")
def version(app: App) -> None:
    """The versions of syncctl and, if one answers, of the daemon."""
    try:
        daemon = app.call("daemon.version", m.NoParams(), m.VersionInfo, timeout_s=5.0)
    except ClientError:
        daemon = None
    if app.is_json:
        app.out.emit("syncctl.version/1", Versions(own_version(), daemon))
        return
    rows = [("syncctl", own_version())]
    if daemon is None:
        rows.append(("daemon", "not reachable"))
    else:
        text = f"{daemon.version}, pid {daemon.pid}, {daemon.platform}"
        rows += [("daemon", text), ("python", daemon.python), ("sqlite", daemon.sqlite)]
    app.out.fields(rows)


@command("stop")
@click.option("--timeout", default=30.0, type=click.FloatRange(0), help="Seconds to wait for its end.")
def stop(app: App, timeout: float) -> int:
    """Stop the daemon in order and wait until it is gone."""
    with app.connect() as client:
        answer = client.call("daemon.stop", m.NoParams(), m.Ack)
        is_gone = _wait_for_end(client, timeout)
    acknowledge(app, "stop", answer)
    return Exit.OK if is_gone else Exit.TIMED_OUT


def _wait_for_end(client: Client, timeout_s: float) -> bool:
    """The daemon closes its connections when it ends."""
    try:
        client.next_event(timeout_s)
    except Unreachable:
        return True
    except TimedOut:
        return False
    return False
