"""`syncctl watch`: a live view on a terminal, lines in a pipe, one JSON event a line with `--json`."""

import time

import click

from syncd.cli.live import open_view
from syncd.cli.syncctl.app import App, command, pairs_argument
from syncd.control import model as m
from syncd.control.client import Client

_STATUS_EVERY_S = 1.0


@command("watch")
@pairs_argument
@click.option("--since", type=click.IntRange(0), metavar="SEQ", help="Replay what came after this event.")
@click.option("--kind", "kinds", multiple=True, metavar="KIND", help="Only these: file.put, or conflict.")
def watch(app: App, pairs: tuple[str, ...], since: int | None, kinds: tuple[str, ...]) -> None:
    """Follow what happens, until interrupted. A `gap` event marks what was missed."""
    params = m.EventsSubscribeParams(since=since, pairs=pairs, kinds=kinds)
    with app.connect() as events:
        if app.is_json:
            events.subscribe(params)
            for event in events.events():
                app.out.emit("syncctl.event/1", event)
            return
        with app.connect() as questions:
            _view(app, events, questions, params)


def _view(app: App, events: Client, questions: Client, params: m.EventsSubscribeParams) -> None:
    """Events as they come, the status once a second."""
    asked = m.StatusParams(pairs=params.pairs)
    first = questions.call("status", asked, m.Status)
    events.subscribe(params)
    with open_view(app.out) as view:
        view.update(first.pairs)
        next_s = time.monotonic() + _STATUS_EVERY_S
        while True:
            event = events.next_event(max(0.0, next_s - time.monotonic()))
            if event is not None:
                view.event(event)
            if time.monotonic() >= next_s:
                view.update(questions.call("status", asked, m.Status).pairs)
                next_s = time.monotonic() + _STATUS_EVERY_S
