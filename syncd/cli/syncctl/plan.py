"""`syncctl plan [show] PAIR`, `plan approve|reject|revert PAIR ID`: look at what would be done, decide."""

from collections.abc import Callable

import click
import msgspec

from syncd.cli.output import Output, plural, size
from syncd.cli.syncctl.app import (
    App,
    LazyGroup,
    command,
    common,
    complete_pairs,
    optional_pair,
    pair_argument,
)
from syncd.cli.syncctl.exits import Exit
from syncd.control import model as m

_PAGE = 1000
_SHOWN = 40


@click.group(
    "plan",
    cls=LazyGroup,
    default="show",
    lazy={
        "show": (f"{__name__}:show", "What would be done, exactly (the default)."),
        "approve": (f"{__name__}:approve", "Let a held plan be done."),
        "reject": (f"{__name__}:reject", "Keep it held, silent until it changes."),
        "revert": (f"{__name__}:revert", "Put the deleted files back from the other side."),
    },
)
@common
def plan() -> None:
    """What would be done; release, refuse or turn back a held plan."""


@command("show")
@optional_pair
@click.option("--all", "is_all", is_flag=True, help="Every action, however many.")
def show(app: App, pair: str | None, is_all: bool) -> int:
    """What would be done now to PAIR (or to every pair), action by action. Exit 5 if it is held."""
    names = [pair] if pair is not None else _names(app)
    code = Exit.OK
    for name in names:
        view = _fetch(app, name, is_all=is_all)
        if view.hold is not None:
            code = Exit.HELD
        if app.is_json:
            app.out.emit("syncctl.plan/1", view)
        else:
            _render(app.out, view, None if is_all else _SHOWN)
    return code


def _names(app: App) -> list[str]:
    return [pair.name for pair in app.call("pair.list", m.NoParams(), m.Pairs).pairs]


def _fetch(app: App, pair: str, *, is_all: bool) -> m.PlanView:
    """One page, or all of them. The plan may change between pages: the last one's totals are shown."""
    with app.connect() as client:
        view = client.call("plan.show", m.PlanShowParams(pair=pair, limit=_PAGE), m.PlanView)
        actions = list(view.actions)
        while is_all and view.actions and len(actions) < view.total:
            params = m.PlanShowParams(pair=pair, offset=len(actions), limit=_PAGE)
            view = client.call("plan.show", params, m.PlanView)
            actions.extend(view.actions)
    return msgspec.structs.replace(view, offset=0, actions=tuple(actions))


def _render(out: Output, view: m.PlanView, limit: int | None) -> None:
    state = "held" if view.hold is not None else "nothing to do" if not view.total else "to do"
    out.line((view.pair, "bold"), f"  {state}", f"  plan {view.plan_id}" if view.plan_id else "")
    if view.hold is not None:
        out.line("  ", (f"{view.hold.reason}: {view.hold.detail}", "red"))
    for count in view.counts:
        volume = f", {size(count.bytes)}" if count.bytes else ""
        out.line(f"  {count.verb} at the {count.side}: {plural(count.files, 'path')}{volume}")
    if view.conflicts:
        out.line(f"  {plural(view.conflicts, 'conflict')}")
    shown = view.actions if limit is None else view.actions[:limit]
    if shown:
        out.line()
        rows = [
            (
                "!" if action.is_destructive else "",
                action.verb,
                action.side,
                action.path + (f" → {action.to.path}" if action.to is not None else ""),
                action.reason,
            )
            for action in shown
        ]
        out.table(("", "ACTION", "AT", "PATH", "REASON"), rows, styles={"!": "red"})
    if view.total > len(shown):
        out.line(f"… and {view.total - len(shown)} more (syncctl plan show {view.pair} --all)")
    if view.hold is not None and view.plan_id:
        out.line()
        out.line(f"→ syncctl plan approve|reject|revert {view.pair} {view.plan_id}")


def _decision(verb: str, doc: str) -> click.Command:
    @pair_argument
    @click.argument("plan_id", metavar="ID", shell_complete=_complete_id)
    def decide(app: App, pair: str, plan_id: str) -> None:
        params = m.PlanDecideParams(pair=pair, plan_id=plan_id)
        answer = app.call(f"plan.{verb}", params, m.PlanDecision)
        if app.is_json:
            app.out.emit("syncctl.plan-decision/1", answer)
        else:
            app.out.line(f"{answer.pair}: plan {answer.plan_id} is {_said(answer)}")

    decide.__doc__ = doc
    register: Callable[[Callable[..., None]], click.Command] = command(verb)
    return register(decide)


def _said(answer: m.PlanDecision) -> str:
    words = {"approved": "approved", "rejected": "rejected", "reverting": "being turned back"}
    said = words.get(answer.decision, answer.decision)
    return f"{said}: {answer.detail}" if answer.detail else said


def _complete_id(ctx: click.Context, _param: click.Parameter, typed: str) -> list[str]:
    """The id of the named pair's held plan."""
    if not complete_pairs(ctx, _param, ""):
        return []
    try:
        view = App().call("plan.show", m.PlanShowParams(pair=ctx.params["pair"], limit=1), m.PlanView)
    except Exception:
        return []
    return [view.plan_id] if view.plan_id and view.plan_id.startswith(typed) else []


approve = _decision("approve", "Let the held plan ID of PAIR, or any later plan within it, be done.")
reject = _decision("reject", "Keep the plan ID of PAIR held, silently, until it changes.")
revert = _decision("revert", "Put what was deleted back from the other side.")
