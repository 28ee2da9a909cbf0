"""The one table of control methods. Server, client, `rpc.discover`, JSON Schemas and docs read it.

A new method is a params Struct, a result Struct, a row here and a function of that name in the backend
(`pair.list` is `pair_list`). No I/O here.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from syncd.control import model as m


class Method(msgspec.Struct, frozen=True):
    """One row. `needs_owner`: only for the daemon's own user and root, not for a permitted group."""

    name: str
    params: type[msgspec.Struct]
    result: type[msgspec.Struct]
    doc: str
    needs_owner: bool = False

    @property
    def handler(self) -> str:
        """The name of the backend's function."""
        return self.name.replace(".", "_")


SUBSCRIBE = "events.subscribe"
"""The one method that goes on: its result is followed by `event` notifications."""

_ROWS = (
    Method("status", m.StatusParams, m.Status, "State, lag, pending, conflicts, issues, holds."),
    Method("pair.list", m.NoParams, m.Pairs, "The pairs, their roots, modes and states."),
    Method("pair.show", m.PairShowParams, m.PairDetail, "One pair in full; where each setting comes from."),
    Method("pair.add", m.PairAddParams, m.PairChange, "Write a pair's file and start it.", True),
    Method("pair.remove", m.PairRemoveParams, m.PairChange, "Stop a pair and remove its file.", True),
    Method("pair.edit", m.PairEditParams, m.PairChange, "Change keys of a pair's file and apply them.", True),
    Method("pair.adopt", m.PairAdoptParams, m.Ack, "Accept the roots of a pair as they are now.", True),
    Method("pair.pause", m.PairsParams, m.Pairs, "Pause pairs; they stay paused over restarts."),
    Method("pair.resume", m.PairsParams, m.Pairs, "Resume paused or failed pairs."),
    Method("pair.sync", m.PairSyncParams, m.Pairs, "Run a cycle now."),
    Method("pair.rescan", m.PairRescanParams, m.Pairs, "Scan the trees, or a part of them, again now."),
    Method("pair.notify", m.PairNotifyParams, m.Ack, "Tell one change of a path."),
    Method("pair.wait", m.PairWaitParams, m.WaitResult, "Wait until earlier changes are on the other side."),
    Method("path.explain", m.PathExplainParams, m.Explanations, "Why a path is, or is not, in sync."),
    Method("plan.show", m.PlanShowParams, m.PlanView, "What would be done now, action by action."),
    Method("plan.approve", m.PlanDecideParams, m.PlanDecision, "Let a held plan be done."),
    Method("plan.reject", m.PlanDecideParams, m.PlanDecision, "Keep a plan held, silent until it changes."),
    Method("plan.revert", m.PlanDecideParams, m.PlanDecision, "Put deleted files back from the other side."),
    Method("conflict.list", m.ConflictListParams, m.ConflictsPage, "Conflict records."),
    Method("conflict.show", m.ConflictShowParams, m.ConflictDetail, "One record and where its versions are."),
    Method("conflict.resolve", m.ConflictResolveParams, m.ConflictsResolved, "Choose what a conflict keeps."),
    Method("conflict.restore", m.ConflictRestoreParams, m.ConflictRestored, "Put the losing version back."),
    Method("issue.list", m.IssueListParams, m.IssuesPage, "Paths that cannot be synchronised, and why."),
    Method("history.list", m.HistoryListParams, m.HistoryPage, "What was done, newest first."),
    Method("ignore.test", m.IgnoreTestParams, m.IgnoreVerdicts, "Whether a rule hides a path, and which."),
    Method("config.show", m.ConfigShowParams, m.ConfigView, "The effective config; secrets are not shown."),
    Method("config.check", m.ConfigCheckParams, m.ConfigCheck, "Validate the config files; change nothing."),
    Method("config.reload", m.ConfigReloadParams, m.ReloadResult, "Read the config, apply what changed."),
    Method("log.tail", m.LogTailParams, m.LogPage, "The last log lines that the daemon keeps in memory."),
    Method(SUBSCRIBE, m.EventsSubscribeParams, m.Subscribed, "Follow events, as `event` notifications."),
    Method("daemon.stop", m.NoParams, m.Ack, "Stop the daemon in order.", True),
    Method("daemon.version", m.NoParams, m.VersionInfo, "Versions of syncd and what it runs on."),
)

METHODS: Mapping[str, Method] = {row.name: row for row in _ROWS}


def discover() -> dict[str, Any]:
    """The answer of `rpc.discover`: every method with the JSON Schemas of its parameters and result."""
    types = [*(row.params for row in _ROWS), *(row.result for row in _ROWS), m.Event]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/{name}")
    count = len(_ROWS)
    methods = [
        {"name": row.name, "doc": row.doc, "needs_owner": row.needs_owner, "params": params, "result": result}
        for row, params, result in zip(_ROWS, schemas[:count], schemas[count : 2 * count], strict=True)
    ]
    return {
        "jsonrpc": "2.0",
        "methods": methods,
        "notifications": [{"name": "event", "params": schemas[-1]}],
        "components": components,
    }
