"""`syncctl schema [NAME]`: the JSON Schemas of everything that `--json` prints.

`SCHEMAS` is the contract: a name, its number and the type of `data`. Within a number only fields are added.
"""

from collections.abc import Mapping
from typing import Any

import click
import msgspec

from syncd.cli.syncctl.app import App, command
from syncd.cli.syncctl.conflicts import Difference
from syncd.cli.syncctl.daemon import Versions
from syncd.cli.syncctl.service import Installed
from syncd.control import model as m
from syncd.core.error import SyncdError
from syncd.core.reason import Reason


class Failure(msgspec.Struct, frozen=True):
    """What is printed on stderr, with `--json`, when a command fails."""

    exit: int
    message: str
    reason: str
    fix: str


SCHEMAS: Mapping[str, type[msgspec.Struct]] = {
    "syncctl.status/1": m.Status,
    "syncctl.list/1": m.Pairs,
    "syncctl.show/1": m.PairDetail,
    "syncctl.event/1": m.Event,
    "syncctl.explain/1": m.Explanations,
    "syncctl.ignore-test/1": m.IgnoreVerdicts,
    "syncctl.wait/1": m.WaitResult,
    "syncctl.sync/1": m.Pairs,
    "syncctl.rescan/1": m.Pairs,
    "syncctl.pause/1": m.Pairs,
    "syncctl.resume/1": m.Pairs,
    "syncctl.notify/1": m.Ack,
    "syncctl.plan/1": m.PlanView,
    "syncctl.plan-decision/1": m.PlanDecision,
    "syncctl.conflicts/1": m.ConflictsPage,
    "syncctl.conflict/1": m.ConflictDetail,
    "syncctl.conflict-diff/1": Difference,
    "syncctl.conflicts-resolved/1": m.ConflictsResolved,
    "syncctl.conflict-restored/1": m.ConflictRestored,
    "syncctl.issues/1": m.IssuesPage,
    "syncctl.history/1": m.HistoryPage,
    "syncctl.pair-change/1": m.PairChange,
    "syncctl.pair-adopt/1": m.Ack,
    "syncctl.check-config/1": m.ConfigCheck,
    "syncctl.reload/1": m.ReloadResult,
    "syncctl.log/1": m.LogLine,
    "syncctl.version/1": Versions,
    "syncctl.stop/1": m.Ack,
    "syncctl.service-install/1": Installed,
    "syncctl.error/1": Failure,
}


def schema_of(name: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one whole object: the envelope and its data."""
    (data,), components = msgspec.json.schema_components([SCHEMAS[name]], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": name,
        "type": "object",
        "properties": {"schema": {"const": name}, "data": data},
        "required": ["schema", "data"],
        "$defs": components,
    }


def _names(name: str | None) -> list[str]:
    if name is None:
        return list(SCHEMAS)
    found = [key for key in SCHEMAS if name in (key, key.split("/")[0], key.split("/")[0].split(".")[1])]
    if not found:
        raise SyncdError(Reason.NO_SUCH_ID, f"no schema is called {name}; they are: {', '.join(SCHEMAS)}")
    return found


@command("schema")
@click.argument("name", required=False)
def schema(app: App, name: str | None) -> None:
    """The JSON Schema of what NAME (status, event, …) prints with --json; all of them without a NAME."""
    schemas = {key: schema_of(key) for key in _names(name)}
    value: Any = schemas if name is None else next(iter(schemas.values()))
    text = msgspec.json.format(msgspec.json.encode(value), indent=0 if app.is_json else 2).decode()
    app.out.stream.write(text + "\n")
