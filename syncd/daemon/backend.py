"""The daemon's answers to the control socket: pairs, plans, configuration. One function per method.

Answers come from memory or from a read-only connection; whatever changes a pair runs in the pair's own task.
Questions about single paths are in `backend_paths.py`.
"""

import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import msgspec

from syncd import __version__
from syncd.control import model as m
from syncd.control.events import Subscription
from syncd.core.error import SyncdError
from syncd.core.reason import Reason
from syncd.daemon import views
from syncd.daemon.attention import Ticket
from syncd.daemon.backend_paths import PathAnswers
from syncd.daemon.config import Config, ConfigInvalid, ConfigProblem, PairConfig, warnings
from syncd.daemon.config_words import config_values, plain
from syncd.daemon.config_write import edit_pair, remove_pair, store_pair
from syncd.daemon.oneshot import copy_database, rehearse_on
from syncd.daemon.overview import WaitOutcome
from syncd.daemon.pair import Pair
from syncd.daemon.paths import pair_state_dir
from syncd.daemon.supervisor import Supervised
from syncd.sync.cycle import Cycle
from syncd.sync.decisions import Decider
from syncd.sync.settings import BOTH

if TYPE_CHECKING:
    from syncd.daemon.app import App

DIFFERENCES: dict[WaitOutcome, int] = {
    WaitOutcome.SYNCED: 0,
    WaitOutcome.DEGRADED: 1,
    WaitOutcome.HELD: 2,
    WaitOutcome.TIMEOUT: 3,
}
"""From good to bad."""


class DaemonBackend(PathAnswers):
    """Implements `control.backend.Backend` for one running daemon."""

    def __init__(self, app: "App") -> None:
        super().__init__(app)
        self._app = app

    # Status.

    async def status(self, params: m.StatusParams) -> m.Status:
        now_ns = time.time_ns()
        return m.Status(
            daemon=m.DaemonInfo(
                version=__version__,
                pid=os.getpid(),
                started_at=m.stamp(self._app.started_ns),
                uptime_s=round(time.monotonic() - self._app.started_monotonic, 3),
            ),
            pairs=tuple(views.pair_status(one, now_ns) for one in self.chosen(params.pairs)),
        )

    async def pair_list(self, params: m.NoParams) -> m.Pairs:
        del params
        return self._brief(self.chosen(()))

    async def pair_show(self, params: m.PairShowParams) -> m.PairDetail:
        one = self.chosen((params.pair,))[0]
        roots: tuple[m.RootInfo, ...] = ()
        if one.pair is not None:
            running = one.pair
            roots = tuple(views.root_info(running, side, one.config) for side in BOTH if running.watchers)
        return m.PairDetail(
            status=views.pair_status(one, time.time_ns()),
            settings=views.settings_of(one.config, config_values(one.config)),
            roots=roots,
        )

    def _brief(self, pairs: Sequence[Supervised]) -> m.Pairs:
        return m.Pairs(pairs=tuple(map(views.pair_brief, pairs)))

    # Running pairs.

    async def pair_pause(self, params: m.PairsParams) -> m.Pairs:
        pairs = self.chosen(params.pairs)
        for one in pairs:
            await self._remember_pause(one, paused=True)
            if one.pair is not None:
                one.pair.pause()
        for one in pairs:
            if one.pair is not None:
                await one.pair.paused_now()
        return self._brief(pairs)

    async def pair_resume(self, params: m.PairsParams) -> m.Pairs:
        pairs = self.chosen(params.pairs)
        for one in pairs:
            await self._remember_pause(one, paused=False)
            if (pair := await self._until_running(one)) is not None:
                pair.resume()
            one.resumed.set()
        await anyio.lowlevel.checkpoint()
        return self._brief(pairs)

    async def _remember_pause(self, one: Supervised, *, paused: bool) -> None:
        """A mark in the pair's state directory: it stays paused over restarts."""
        mark = pair_state_dir(self._app.config.daemon.state_dir, one.config.key) / "paused"

        def write() -> None:
            try:
                if paused:
                    mark.touch(mode=0o600)
                else:
                    mark.unlink(missing_ok=True)
            except OSError as error:
                raise SyncdError(Reason.STATE_UNWRITABLE, f"{mark}: {error.strerror}") from error

        await anyio.to_thread.run_sync(write)

    async def pair_sync(self, params: m.PairSyncParams) -> m.Pairs:
        return await self._demand(params.pairs, Pair.sync, waits=params.wait)

    async def pair_rescan(self, params: m.PairRescanParams) -> m.Pairs:
        raw = params.raw
        if raw is None:
            return await self._demand(params.pairs, Pair.rescan, waits=params.wait)
        found = self.locate(raw, params.pairs[0] if len(params.pairs) == 1 else None)
        for one, path in found:
            ticket = self.running(one).rescan(path or None)
            if params.wait:
                await ticket.done.wait()
        return self._brief([one for one, _ in found])

    async def _demand(self, names: Sequence[str], begin: Callable[[Pair], Ticket], *, waits: bool) -> m.Pairs:
        pairs = self.chosen(names)
        begun = [begin(one.pair) for one in pairs if one.pair is not None]
        if waits:
            async with anyio.create_task_group() as tasks:
                for ticket in begun:
                    tasks.start_soon(ticket.done.wait)
        return self._brief(pairs)

    async def pair_notify(self, params: m.PairNotifyParams) -> m.Ack:
        one = self.chosen((params.pair,))[0]
        raw = [path for path in (params.raw_old, params.raw_new) if path is not None]
        if not raw:
            raise SyncdError(Reason.BAD_REQUEST, "name the old path, the new path, or both")
        self.running(one).notify(*(self.relative(one, path) for path in raw))
        return m.Ack(detail="noted")

    async def pair_wait(self, params: m.PairWaitParams) -> m.WaitResult:
        pairs = self.chosen(params.pairs)
        outcomes: dict[str, WaitOutcome] = {}

        async def wait(one: Supervised) -> None:
            outcomes[one.config.name] = WaitOutcome.TIMEOUT
            pair = await self._until_running(one)
            outcomes[one.config.name] = WaitOutcome.DEGRADED if pair is None else await pair.wait()

        with anyio.move_on_after(params.timeout_s):
            async with anyio.create_task_group() as tasks:
                for one in pairs:
                    tasks.start_soon(wait, one)
        rows = tuple(outcome_of(one, outcomes[one.config.name]) for one in pairs)
        worst = max(outcomes.values(), key=DIFFERENCES.__getitem__, default=WaitOutcome.SYNCED)
        return m.WaitResult(outcome=worst.value, pairs=rows)

    async def _until_running(self, one: Supervised) -> Pair | None:
        """The pair, once the supervisor has built it; None when it has failed."""
        while one.pair is None and not one.is_failed and not one.is_removed and one.trouble is None:
            await anyio.sleep(0.02)
        return one.pair

    async def pair_adopt(self, params: m.PairAdoptParams) -> m.Ack:
        self.running(self.chosen((params.pair,))[0]).adopt()
        return m.Ack(detail="the roots are taken as they are now")

    # Plans.

    async def plan_show(self, params: m.PlanShowParams) -> m.PlanView:
        one = self.chosen((params.pair,))[0]
        hold = one.pair.cycle.hold if one.pair is not None else None
        with tempfile.TemporaryDirectory(prefix="syncd-plan-") as folder:
            copy = Path(folder) / "state.db"
            original = pair_state_dir(self._app.config.daemon.state_dir, one.config.key) / "state.db"
            await anyio.to_thread.run_sync(partial(copy_database, original, copy, is_clean=True))
            rehearsed = await rehearse_on(
                one.config, copy, self._app.config.daemon.state_dir, approves_holds=False
            )
        hold = rehearsed.hold or hold
        marked = frozenset((item.side, item.path) for item in hold.destructive) if hold else frozenset()
        rows = [views.plan_action(action, marked, "") for action in rehearsed.actions]
        if hold is not None:
            rows += [views.held_action(item, hold.reason) for item in hold.destructive]
        page = tuple(rows[params.offset : params.offset + params.limit])
        return m.PlanView(
            pair=params.pair,
            plan_id=hold.plan_id if hold is not None else None,
            hold=views.hold_of_plan(hold) if hold is not None else None,
            counts=views.plan_counts(rehearsed.actions, hold.destructive if hold is not None else ()),
            total=len(rows),
            offset=params.offset,
            actions=page,
            conflicts=one.pair.overview.open_conflicts if one.pair is not None else 0,
        )

    async def plan_approve(self, params: m.PlanDecideParams) -> m.PlanDecision:
        pair = self.running(self.chosen((params.pair,))[0])
        hold = await pair.errand(lambda cycle: self._decider(cycle).approve(params.plan_id))
        pair.sync()
        detail = f"{len(hold.destructive)} deletions are approved"
        return m.PlanDecision(pair=params.pair, plan_id=hold.plan_id, decision="approved", detail=detail)

    async def plan_reject(self, params: m.PlanDecideParams) -> m.PlanDecision:
        pair = self.running(self.chosen((params.pair,))[0])

        async def reject(cycle: Cycle) -> str:
            return self._decider(cycle).reject(params.plan_id).plan_id

        plan_id = await pair.errand(reject)
        detail = "it stays held, silently, until it changes"
        return m.PlanDecision(pair=params.pair, plan_id=plan_id, decision="rejected", detail=detail)

    async def plan_revert(self, params: m.PlanDecideParams) -> m.PlanDecision:
        pair = self.running(self.chosen((params.pair,))[0])
        hold = await pair.errand(lambda cycle: self._decider(cycle).revert(params.plan_id))
        pair.sync()
        detail = "the deleted files are put back from the other side"
        return m.PlanDecision(pair=params.pair, plan_id=hold.plan_id, decision="reverting", detail=detail)

    def _decider(self, cycle: Cycle) -> Decider:
        return Decider(cycle, cycle.world)

    # Configuration.

    async def pair_add(self, params: m.PairAddParams) -> m.PairChange:
        settings = {
            "source": params.source,
            "destination": params.destination,
            **options_of(params.options),
        }
        if self._app.config.pair(params.name) is not None:
            raise SyncdError(Reason.BAD_REQUEST, f"there is a pair {params.name} already; use pair edit")
        return await self._write(params.name, partial(store_pair, name=params.name, settings=settings))

    async def pair_edit(self, params: m.PairEditParams) -> m.PairChange:
        self.chosen((params.pair,))
        change = partial(edit_pair, name=params.pair, settings=options_of(params.options), unset=params.unset)
        return await self._write(params.pair, change)

    async def pair_remove(self, params: m.PairRemoveParams) -> m.PairChange:
        one = self.chosen((params.pair,))[0]
        answer = await self._write(params.pair, partial(remove_pair, name=params.pair))
        if params.purge:
            await anyio.to_thread.run_sync(self._purge, one.config)
        return answer

    def _purge(self, config: PairConfig) -> None:
        import shutil

        shutil.rmtree(pair_state_dir(self._app.config.daemon.state_dir, config.key), ignore_errors=True)

    async def _write(self, name: str, change: Callable[..., Config]) -> m.PairChange:
        """Write the pair's file and take the whole configuration into force."""
        source = self._app.source
        try:
            config = await anyio.to_thread.run_sync(
                lambda: change(self._app.config, is_system=source.is_system, env=source.env)
            )
        except ConfigInvalid as invalid:
            raise SyncdError(
                Reason.CONFIG_INVALID, "; ".join(one.render() for one in invalid.problems)
            ) from None
        before = {file.path for file in self._app.config.files}
        await self._app.take(config)
        after = {file.path for file in config.files}
        changed = sorted(before ^ after) or [config.path.parent / "pairs.d" / f"{name}.toml"]
        notes = tuple(problem.render() for problem in warnings(config) if f"pair.{name}." in problem.key)
        return m.PairChange(pair=name, file=str(changed[0]), warnings=notes)

    async def config_show(self, params: m.ConfigShowParams) -> m.ConfigView:
        config = self._app.config
        files = tuple(str(file.path) for file in config.files)
        if params.pair is not None:
            one = self.chosen((params.pair,))[0]
            return m.ConfigView(
                files=files, settings=views.settings_of(one.config, config_values(one.config))
            )
        daemon = config.daemon
        values = {key: plain(getattr(daemon, key)) for key in daemon.__struct_fields__ if key != "origins"}
        settings = tuple(
            m.Setting(key=key, value=value, origin=daemon.origins.get(key, "default"))
            for key, value in values.items()
        )
        return m.ConfigView(files=files, settings=settings)

    async def config_check(self, params: m.ConfigCheckParams) -> m.ConfigCheck:
        del params
        try:
            config = await anyio.to_thread.run_sync(self._app.source.load)
        except ConfigInvalid as invalid:
            return m.ConfigCheck(
                is_valid=False, files=(), pairs=(), problems=problems_of(invalid.problems, "error")
            )
        return m.ConfigCheck(
            is_valid=True,
            files=tuple(str(file.path) for file in config.files),
            pairs=tuple(pair.name for pair in config.pairs),
            problems=problems_of(warnings(config), "warning"),
        )

    async def config_reload(self, params: m.ConfigReloadParams) -> m.ReloadResult:
        del params
        try:
            changes = await self._app.reload()
        except ConfigInvalid as invalid:
            return m.ReloadResult(is_applied=False, problems=problems_of(invalid.problems, "error"))
        return m.ReloadResult(
            is_applied=True, added=changes.added, changed=changes.changed, removed=changes.removed
        )

    # The daemon itself.

    async def log_tail(self, params: m.LogTailParams) -> m.LogPage:
        return views.log_page(self._app.ring, params)

    async def events_subscribe(self, params: m.EventsSubscribeParams) -> Subscription:
        return self._app.hub.subscribe(params)

    async def daemon_stop(self, params: m.NoParams) -> m.Ack:
        del params
        self._app.request_stop()
        return m.Ack(detail="stopping")

    async def daemon_version(self, params: m.NoParams) -> m.VersionInfo:
        del params
        return m.VersionInfo(
            version=__version__,
            python=sys.version.split()[0],
            sqlite=sqlite3.sqlite_version,
            platform=platform.platform(),
            pid=os.getpid(),
        )


def outcome_of(one: Supervised, outcome: WaitOutcome) -> m.PairOutcome:
    pair = one.pair
    hold = views.hold_of(one)
    return m.PairOutcome(
        name=one.config.name,
        outcome=outcome.value,
        state=one.state.value,
        conflicts=pair.overview.manual_conflicts if pair is not None else 0,
        issues=pair.overview.issues if pair is not None else 0,
        detail=hold.detail if hold is not None else "",
    )


def options_of(options: m.PairOptions) -> dict[str, object]:
    """The keys that were sent, as the config file spells them."""
    found: dict[str, object] = msgspec.to_builtins(options)
    return found


def problems_of(problems: Sequence[ConfigProblem], severity: str) -> tuple[m.ConfigProblem, ...]:
    return tuple(
        m.ConfigProblem(
            severity=severity,
            file=problem.file,
            line=problem.line or None,
            key=problem.key,
            message=f"{problem.message} ({problem.hint})" if problem.hint else problem.message,
        )
        for problem in problems
    )
