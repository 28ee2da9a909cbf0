"""Manual pages in mdoc: syncd(8), syncctl(8), syncd.toml(5). `mandoc -T lint` is the judge."""

import re
import textwrap
from collections.abc import Mapping, Sequence

import click

from scripts.reference import options, summary, walk_commands
from syncd.daemon.config_keys import DAEMON_KEYS, PAIR_KEYS, Key

DATE = "November 20, 2026"
HEAD = """.\\" Written by `make docs` from the code; do not edit.
.Dd {date}
.Dt {title} {section}
.Os
.Sh NAME
.Nm {name}
.Nd {description}
"""

EMPTY = "\\&"
"""The body of an item that needs no words."""

EXIT_CODES = (
    ("0", "fine"),
    ("1", "failed"),
    ("2", "wrong usage"),
    ("3", "not in sync, or degraded"),
    ("4", "the daemon is not reachable"),
    ("5", "held, needs approval"),
    ("6", "conflicts, only where asked for"),
    ("7", "timed out"),
    ("8", "invalid configuration"),
    ("9", "not permitted"),
    ("10", "no such pair, path or id"),
    ("75", "busy"),
    ("78", "invalid configuration or socket, of syncd run: a service manager must not restart it"),
    ("130", "interrupted"),
)


def escape(text: str) -> str:
    """Text for an mdoc line: backslashes and leading control characters taken literally."""
    text = "\n".join(wrapped for line in text.splitlines() for wrapped in wrap(line))
    text = text.replace("\\", "\\e").replace("–", "\\(en").replace("…", "...").replace("’", "'")
    text = re.sub(r"[^\x00-\x7f]", lambda found: f"\\[u{ord(found[0]):04X}]", text)
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.splitlines())


def wrap(line: str) -> list[str]:
    return textwrap.wrap(line, 76, break_long_words=False, break_on_hyphens=False) or [""]


def argument(text: str) -> str:
    """One word of a macro line."""
    return '"' + escape(text).replace("\n", " ").replace('"', "\\(dq") + '"'


def sentences(text: str) -> str:
    """A new line after each full stop, as mdoc wants it."""
    return re.sub(r"(?<=[a-z)\]\"'][.!?]) +(?=[A-Z`])", "\n", text)


def paragraphs(text: str) -> str:
    return "\n.Pp\n".join(escape(sentences(block)) for block in text.split("\n\n"))


def tagged(rows: Sequence[tuple[str, str]], *, width: str = "Ds") -> str:
    items = [f".It {argument(tag)}\n{paragraphs(text) or EMPTY}" for tag, text in rows]
    return f".Bl -tag -width {width}\n" + "\n".join(items) + "\n.El\n"


def command_page(name: str, root: click.Command, description: str, see_also: str, files: str) -> str:
    """One page for a program with all its commands."""
    parts = [HEAD.format(date=DATE, title=name.upper(), section=8, name=name, description=description)]
    parts.append(".Sh SYNOPSIS\n.Nm\n.Op Ar option ...\n.Ar command\n.Op Ar argument ...\n.Sh DESCRIPTION\n")
    parts.append(paragraphs(summary(root)) + "\n")
    if options(root):
        parts.append(".Pp\nOptions of every command:\n" + tagged(options(root)))
    parts.append(".Sh COMMANDS\n")
    for path, command in walk_commands(root, (name,)):
        if len(path) == 1 or isinstance(command, click.Group):
            continue
        pieces = command.collect_usage_pieces(click.Context(command, info_name=path[-1]))
        parts.append(f".Ss {argument(' '.join((*path[1:], *pieces)))}\n")
        parts.append((paragraphs(summary(command)) or "See its help.") + "\n")
        own = options(command, root)
        if own:
            parts.append(tagged(own))
    parts.append(files)
    parts.append(".Sh EXIT STATUS\n" + tagged(EXIT_CODES, width="130"))
    parts.append(f".Sh SEE ALSO\n{see_also}\n")
    return "".join(parts)


FILES = """.Sh FILES
.Bl -tag -width Ds
.It Pa /etc/syncd/syncd.toml , Pa /etc/syncd/pairs.d/*.toml
configuration of the system service; a user's lies in
.Pa $XDG_CONFIG_HOME/syncd
.It Pa /var/lib/syncd
state of the system service, or
.Ev STATE_DIRECTORY ;
a user's lies in
.Pa $XDG_STATE_HOME/syncd
.It Pa /run/syncd/syncd.sock
control socket of the system service, or in
.Ev RUNTIME_DIRECTORY ;
a user's lies in
.Pa $XDG_RUNTIME_DIR/syncd
.It Pa .syncd
in every tree that is written to: marker, staging and trash; never synchronised
.El
"""


def config_page() -> str:
    parts = [
        HEAD.format(
            date=DATE, title="SYNCD.TOML", section=5, name="syncd.toml", description="configuration of syncd"
        )
    ]
    parts.append(
        ".Sh DESCRIPTION\n"
        "A TOML file, and after it, for pairs only, the files\n.Pa pairs.d/*.toml\nbeside it.\n"
        "Unknown keys are errors.\n"
        ".Cm syncd check-config\nchecks the files and names every mistake with its line.\n"
        ".Ss [daemon]\n"
    )
    parts.append(keys(DAEMON_KEYS))
    parts.append(".Ss [defaults] and [pair.NAME]\n")
    parts.append(
        "The first table takes every key of a pair but its two roots.\nA pair's own value wins, key by key.\n"
    )
    parts.append(keys(PAIR_KEYS))
    parts.append(EXAMPLE)
    parts.append(".Sh SEE ALSO\n.Xr syncctl 8 ,\n.Xr syncd 8\n")
    return "".join(parts)


def keys(rows: Mapping[str, Key]) -> str:
    described = [
        (key.name, key.meaning + (f" (default: {key.shown})" if key.shown else "")) for key in rows.values()
    ]
    return tagged(described)


EXAMPLE = """.Sh EXAMPLES
.Bd -literal -offset indent
[pair.documents]
source = "/srv/documents"
destination = "/mnt/nas/documents"
mode = "two-way"
ignore = ["*.tmp", "/cache/"]
.Ed
"""


def pages(programs: Mapping[str, click.Command]) -> dict[str, str]:
    """File name → page."""
    return {
        "syncd.8": command_page(
            "syncd",
            programs["syncd"],
            "keep directory trees in sync",
            ".Xr syncd.toml 5 ,\n.Xr syncctl 8",
            FILES,
        ),
        "syncctl.8": command_page(
            "syncctl",
            programs["syncctl"],
            "look at and steer a running syncd",
            ".Xr syncd.toml 5 ,\n.Xr syncd 8",
            FILES,
        ),
        "syncd.toml.5": config_page(),
    }
