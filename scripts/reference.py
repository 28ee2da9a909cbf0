"""Reference pages in Markdown, from the tables that the program itself reads."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from syncd.control.methods import METHODS, discover
from syncd.core.lifecycle import TABLE, Event, PairState, mermaid
from syncd.core.reason import Reason
from syncd.daemon.config_keys import DAEMON_KEYS, PAIR_KEYS, Key

NOTE = "<!-- Written by `make docs` from the code; do not edit. -->\n"
HELPLESS = {"--version": "Print the version and exit."}


def cell(text: str) -> str:
    """Text inside a table cell."""
    return text.replace("|", "\\|").replace("\n", " ")


def config_page() -> str:
    parts = [
        f"# Configuration keys\n\n{NOTE}",
        "TOML, in `syncd.toml` and, for pairs only, `pairs.d/*.toml` beside it. Unknown keys are errors.",
        'Durations: `"300ms"`, `"90s"`, `"1h30m"`, `"30d"`. Sizes: `"10MiB"`, `"1.5GB"`, or bytes.',
        "Check a file with `syncd check-config`; print the JSON Schema with `syncd schema`.\n",
        "## `[daemon]`\n",
        key_table(DAEMON_KEYS),
        "\nA flag of `syncd run` wins over the file, the file over the environment (`SYNCD_SOCKET`,",
        "`STATE_DIRECTORY`, `RUNTIME_DIRECTORY`), the environment over the default. `SYNCD_BOOT_ID` names",
        "the boot where `/proc/sys` is hidden (the system unit sets it): it tells a power cut from a kill.\n",
        "## `[defaults]` and `[pair.NAME]`\n",
        "`[defaults]` takes every key of a pair but its two roots; a pair's own value wins, key by key.",
        "`source` and `destination` are required. A dotted key is a key of an inner table:",
        '`trash = { keep = "7d" }` or `trash.keep = "7d"`.\n',
        key_table(PAIR_KEYS),
    ]
    return "\n".join(parts) + "\n"


def key_table(keys: Mapping[str, Key]) -> str:
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for key in keys.values():
        default = f"`{key.shown}`" if key.shown else "–"
        rows.append(f"| `{key.name}` | {default} | {cell(key.meaning)} |")
    return "\n".join(rows)


def reasons_page() -> str:
    """Every code with what it means and what to do: scripts match on codes, people read this."""
    rows = "\n".join(
        f"| `{reason.value}` | {cell(reason.explanation)} | {cell(reason.fix) or 'nothing to do'} |"
        for reason in Reason
    )
    return (
        f"# Reason codes\n\n{NOTE}\n"
        "Why a path is (not) in sync, why a pair is held, why a request was refused. The codes are stable:\n"
        "`status`, `explain`, `issues`, events, logs and errors of the control socket use them, and scripts\n"
        "may match them.\n"
        f"\n| code | meaning | what to do |\n|---|---|---|\n{rows}\n"
    )


def lifecycle_page() -> str:
    """The states of a pair: the diagram, then every combination of state and event."""
    states = [state.value for state in PairState]
    rows = [f"| | {' | '.join(states)} |", "|---" * (len(states) + 1) + "|"]
    for event in Event:
        cells = []
        for state in PairState:
            found = TABLE[state, event]
            cells.append("–" if found is None else "·" if found is state else found.value)
        rows.append(f"| `{event.value}` | {' | '.join(cells)} |")
    return (
        f"# The life of a pair\n\n{NOTE}\n"
        "From the table in `syncd/core/lifecycle.py`: the events that lead to another state.\n\n"
        f"```mermaid\n{mermaid()}```\n\n"
        "Every combination: the next state; · stays as it is, – cannot happen.\n\n" + "\n".join(rows) + "\n"
    )


def walk_commands(
    command: click.Command, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """The command and, for a group, everything below it, in the order of the help page."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path[-1])
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                yield from walk_commands(child, (*path, name))


def usage(command: click.Command, path: tuple[str, ...]) -> str:
    pieces = command.collect_usage_pieces(click.Context(command, info_name=path[-1]))
    return " ".join((*path, *pieces))


def summary(command: click.Command) -> str:
    """The help text as one paragraph per blank-line block."""
    text = (command.help or "").replace("\b", "")
    blocks = [" ".join(block.split()) for block in text.split("\n\n")]
    return "\n\n".join(block for block in blocks if block)


def options(command: click.Command, root: click.Command | None = None) -> list[tuple[str, str]]:
    """Spelling and help of each option; those that every command shares with `root` are left out."""
    context = click.Context(command)
    shared = {record for record, _ in options(root)} if root is not None else set()
    records = [
        param.get_help_record(context)
        for param in command.get_params(context)
        if isinstance(param, click.Option) and "--help" not in param.opts
    ]
    found = [record for record in records if record is not None and record[0] not in shared]
    return [(spelling, text or HELPLESS.get(spelling, "")) for spelling, text in found]


def commands_page(programs: Mapping[str, click.Command]) -> str:
    parts = [f"# Commands\n\n{NOTE}"]
    for program, root in programs.items():
        for path, command in walk_commands(root, (program,)):
            parts.append(f"{'##' if len(path) == 1 else '###'} `{usage(command, path)}`\n")
            if summary(command):
                parts.append(summary(command) + "\n")
            found = options(command, root if len(path) > 1 else None)
            rows = [f"- `{spelling}`: {cell(text)}" for spelling, text in found]
            if rows:
                parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def methods_page() -> str:
    """The methods of the control socket with their parameters and the fields of their results."""
    found = discover()
    parts = [
        f"# Control methods\n\n{NOTE}",
        "JSON-RPC 2.0 over the control socket, one message a line; `rpc.discover` answers the same with JSON",
        "Schemas ([docs/schemas/control.json](schemas/control.json)). Methods marked *owner* are for root",
        "and the daemon's user only.\n",
    ]
    for entry in found["methods"]:
        mark = " *owner*" if METHODS[entry["name"]].needs_owner else ""
        parts.append(f"## `{entry['name']}`{mark}\n\n{entry['doc']}\n")
        for label in ("params", "result"):
            fields = struct_fields(entry[label], found["components"])
            if fields:
                parts.append(f"{label}: " + ", ".join(fields) + "\n")
    return "\n".join(parts)


def struct_fields(schema: Mapping[str, Any], components: Mapping[str, Any]) -> list[str]:
    reference = schema.get("$ref", "").rpartition("/")[2]
    body = components.get(reference, schema)
    required = set(body.get("required", ()))
    return [f"`{name}`" + ("" if name in required else "?") for name in body.get("properties", {})]


def as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
