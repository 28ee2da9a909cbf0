"""Outcomes and plans in the words of the mode table, so that tests read like it."""

from syncd.core.action import Delete, MakeDirectory, Move, Put, RemoveDirectory, SetMode
from syncd.core.entry import Side
from syncd.core.path import escape
from syncd.core.plan import Plan
from syncd.core.reconcile import Outcome, Verb

LETTER = {Side.SOURCE: "S", Side.DESTINATION: "D"}


def say(outcome: Outcome) -> str:
    """`put D`, `delete S`, `conflict, S keeps the name`, `leave`, with `, report` where people are told."""
    verb = outcome.verb.value
    match outcome.verb:
        case Verb.COMPARE:
            text = f"{verb} {' '.join(LETTER[side] for side in outcome.sides)}"
        case Verb.CONFLICT:
            keeps = (
                "a person decides" if outcome.winner is None else f"{LETTER[outcome.winner]} keeps the name"
            )
            text = f"{verb}, {keeps}"
        case Verb.ADOPT:
            text = f"{verb} unverified" if outcome.is_unverified else verb
        case Verb.SET_MODE:
            text = f"{verb} {'S D' if outcome.side is None else LETTER[outcome.side]}"
        case _:
            text = verb if outcome.side is None else f"{verb} {LETTER[outcome.side]}"
    return f"{text}, report" if outcome.is_report else text


def tell(plan: Plan) -> list[str]:
    """Each action as `LEVEL verb side path`, in order."""
    lines = []
    for level, action in plan.actions:
        side, path = LETTER[action.side], escape(action.path)
        match action:
            case Move():
                text = f"move {side} {path} -> {escape(action.to)}"
                text += " parked" if action.parked else ""
            case Put():
                text = f"{'put' if action.expect is None else 'replace'} {side} {path}"
                text += "" if action.origin == action.path else f" from {escape(action.origin)}"
            case MakeDirectory():
                text = f"mkdir {side} {path}"
            case Delete():
                text = f"delete {side} {path}"
            case RemoveDirectory():
                text = f"rmdir {side} {path}"
            case SetMode():
                text = f"chmod {side} {path} {action.mode:o}"
        lines.append(f"{level.name} {text}")
    return lines
