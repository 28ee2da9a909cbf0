"""The table of configuration keys: name, reader, default, JSON Schema and one line of explanation each.

The parser, the JSON Schema, `docs/config.md` and syncd.toml(5) read the same rows. Readers take the raw TOML
value and raise ValueError with a message for people.
"""

import re
import tomllib
from collections.abc import Callable
from typing import Any

import msgspec

from syncd.core.mode import Mode
from syncd.core.rules import Initial, Policy
from syncd.core.units import format_duration, parse_duration, parse_percent, parse_size

Reader = Callable[[object], Any]

_OWNER = re.compile(r"\d{1,10}:\d{1,10}", re.ASCII)
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:]+\]|[^\s:/]+):\d{1,5}", re.ASCII)


class Key(msgspec.Struct, frozen=True):
    """One key. `default` is what the reader would return for `shown`, the default as it is written."""

    name: str
    read: Reader
    default: Any
    shown: str
    form: dict[str, Any]
    meaning: str


def _kind(value: object) -> str:
    words = {str: "a text", bool: "true or false", int: "a number", float: "a number", list: "a list"}
    return words.get(type(value), "a table")


def _wrong(expected: str, value: object) -> ValueError:
    return ValueError(f"expected {expected}, got {_kind(value)}")


def read_text(value: object) -> str:
    if not isinstance(value, str):
        raise _wrong("a text in quotes", value)
    if not value or "\0" in value:
        raise ValueError("an empty text" if not value else "a text with a NUL byte")
    return value


def read_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong("true or false", value)
    return value


def read_count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong("a whole number", value)
    if value < 0:
        raise ValueError(f"{value} is negative")
    return value


def read_percent(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _wrong('a percentage such as 25 or "25%"', value)
    return parse_percent(value)


def read_size(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _wrong('a size such as "10GiB"', value)
    return None if value == "unlimited" else parse_size(value)


def duration(least_s: float, most_s: float, *, may_be_never: bool = False) -> Reader:
    """A reader of durations within bounds; `"never"` is None where it is allowed."""

    def read(value: object) -> float | None:
        if not isinstance(value, str):
            raise _wrong('a duration in quotes, such as "15m"', value)
        if may_be_never and value == "never":
            return None
        seconds = parse_duration(value)
        if not least_s <= seconds <= most_s:
            raise ValueError(
                f"{value!r} is not between {format_duration(least_s)} and {format_duration(most_s)}"
            )
        return seconds

    return read


def choice(*words: str) -> Reader:
    """A reader of one word out of a few."""

    def read(value: object) -> str:
        if not isinstance(value, str):
            raise _wrong(f"one of {', '.join(words)}", value)
        if value.lower() not in words:
            raise ValueError(f"{value!r} is not one of {', '.join(words)}")
        return value.lower()

    return read


def parsed(parse: Callable[[str], Any]) -> Reader:
    """A reader that leaves a text to the core's own `parse`."""
    return lambda value: parse(read_text(value))


def read_texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _wrong("a list of texts", value)
    for item in value:
        if not isinstance(item, str) or "\0" in item:
            raise ValueError(f"expected a list of texts, but one item is {_kind(item)}")
    return tuple(value)


def read_command(value: object) -> tuple[str, ...]:
    argv = read_texts(value)
    if argv and not argv[0].startswith("/"):
        raise ValueError(f"the program {argv[0]!r} must be an absolute path (no shell is used)")
    return argv


def read_owner(value: object) -> str:
    text = read_text(value)
    if text not in ("parent", "copy") and not _OWNER.fullmatch(text):
        raise ValueError(f"{text!r} is not parent, copy or UID:GID in numbers")
    return text


def read_metrics(value: object) -> str:
    text = read_text(value)
    if text != "off" and not text.startswith("unix:/") and not _HOST_PORT.fullmatch(text):
        raise ValueError(f'{text!r} is not "off", "HOST:PORT" or "unix:/PATH"')
    return text


_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
_FLAG: dict[str, Any] = {"type": "boolean"}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
_DURATION: dict[str, Any] = {
    "type": "string",
    "pattern": r"^([0-9]+(\.[0-9]+)? *(ms|s|m|h|d|w) *)+$",
}
_DURATION_OR_NEVER: dict[str, Any] = {"anyOf": [_DURATION, {"const": "never"}]}
_SIZE: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? *([KkMmGgTt]([Ii]?[Bb])?|[Bb])?$"},
        {"const": "unlimited"},
        _COUNT,
    ]
}
_PERCENT: dict[str, Any] = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": 100},
        {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? *%?$"},
    ]
}

_LEVELS = ("debug", "info", "warning", "error")
_FORMATS = ("auto", "console", "json", "journal")
_HOOK = "command (a list: program and arguments) that gets the event as JSON on its standard input, "

DAEMON_KEYS: dict[str, Key] = {
    key.name: key
    for key in (
        Key("socket", read_text, None, "", _TEXT, "the control socket, where the default does not fit"),
        Key("state_dir", read_text, None, "", _TEXT, "the state directory, where the default does not fit"),
        Key(
            "log_level", choice(*_LEVELS), "info", '"info"', {"enum": list(_LEVELS)}, "the least level logged"
        ),
        Key(
            "log_format",
            choice(*_FORMATS),
            "auto",
            '"auto"',
            {"enum": list(_FORMATS)},
            "auto: journal under systemd, console on a terminal, else JSON lines",
        ),
        Key("metrics", read_metrics, "off", '"off"', _TEXT, '"off", "HOST:PORT" or "unix:/PATH"'),
    )
}

PAIR_KEYS: dict[str, Key] = {
    key.name: key
    for key in (
        Key("source", read_text, None, "", _TEXT, "the one directory: an absolute path, ~/… or file:///…"),
        Key("destination", read_text, None, "", _TEXT, "the other directory, written like source"),
        Key(
            "mode",
            parsed(Mode.parse),
            Mode.TWO_WAY,
            '"two-way"',
            _TEXT,
            "two-way, source-to-destination, source-backup, destination-to-source or destination-backup",
        ),
        Key(
            "conflict",
            parsed(Policy.parse),
            Policy.NEWEST_WINS,
            '"newest-wins"',
            _TEXT,
            "newest-wins, source-wins, destination-wins, keep-both or manual",
        ),
        Key(
            "initial",
            parsed(Initial.parse),
            None,
            "",
            _TEXT,
            "the first sync of a two-way pair: merge (also when not given), source-wins or destination-wins",
        ),
        Key("ignore", read_texts, (), "[]", _TEXTS, "ignore rules in gitignore syntax"),
        Key(
            "settle",
            duration(0, 3600),
            0.3,
            '"300ms"',
            _DURATION,
            "how long a path must be quiet before it is synchronised; 0s acts at once",
        ),
        Key(
            "rescan",
            duration(1, 366 * 86400, may_be_never=True),
            900.0,
            '"15m"',
            _DURATION_OR_NEVER,
            'how often the whole tree is listed again; "never" only where events are reliable',
        ),
        Key(
            "poll",
            duration(1, 366 * 86400),
            300.0,
            '"5m"',
            _DURATION,
            "how often a tree without events is asked for changes",
        ),
        Key("max_delete.files", read_count, 20, "20", _COUNT, "the brake needs at least this many deletions"),
        Key(
            "max_delete.percent",
            read_percent,
            25.0,
            "25",
            _PERCENT,
            "and at least this share of the side's files",
        ),
        Key(
            "max_delete.bytes_percent",
            read_percent,
            50.0,
            "50",
            _PERCENT,
            "or at least this share of the side's bytes",
        ),
        Key(
            "max_delete.absolute", read_count, None, "", _COUNT, "so many deletions hold the pair in any case"
        ),
        Key("owner", read_owner, "parent", '"parent"', _TEXT, "owner of new files: parent, copy or UID:GID"),
        Key(
            "cross_mounts",
            read_flag,
            False,
            "false",
            _FLAG,
            "enter other file systems mounted below a root",
        ),
        Key(
            "initial_compare",
            choice("auto", "content"),
            "auto",
            '"auto"',
            {"enum": ["auto", "content"]},
            "content: the first sync reads every file that both sides have",
        ),
        Key(
            "trash.keep",
            duration(3600, 366 * 86400 * 10),
            30 * 86400.0,
            '"30d"',
            _DURATION,
            "how long replaced and deleted content is kept",
        ),
        Key(
            "trash.max_size",
            read_size,
            10 * 1024**3,
            '"10GiB"',
            _SIZE,
            'the most the trash of one side may hold, or "unlimited"',
        ),
        Key("hooks.on_conflict", read_command, (), "[]", _TEXTS, _HOOK + "after a conflict"),
        Key("hooks.on_held", read_command, (), "[]", _TEXTS, _HOOK + "when the pair is held"),
        Key("hooks.post_batch", read_command, (), "[]", _TEXTS, _HOOK + "after a batch"),
        Key("paused", read_flag, False, "false", _FLAG, "start paused"),
        Key(
            "pull_destination_changes",
            read_flag,
            False,
            "false",
            _FLAG,
            "source-backup only: changes made at the destination are put at the source as well",
        ),
    )
}

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""What a pair may be called: it is a file name, a word of the command line and of the logs."""

PAIR_TABLES = ("max_delete", "trash", "hooks")
"""Keys of a pair that are tables themselves; their keys are the dotted rows above."""


def config_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a configuration file."""
    pair = _table_schema(PAIR_KEYS)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "syncd.config/1",
        "title": "syncd.toml",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "daemon": _table_schema(DAEMON_KEYS),
            "defaults": pair,
            "pair": {
                "type": "object",
                "propertyNames": {"pattern": NAME_PATTERN},
                "additionalProperties": pair,
            },
        },
    }


def _table_schema(keys: dict[str, Key]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for key in keys.values():
        table, _, name = key.name.rpartition(".")
        target = properties
        if table:
            inner = {"type": "object", "additionalProperties": False, "properties": {}}
            target = properties.setdefault(table, inner)["properties"]
        target[name] = {**key.form, "description": key.meaning}
        if key.shown:
            target[name]["default"] = tomllib.loads(f"value = {key.shown}")["value"]
    return {"type": "object", "additionalProperties": False, "properties": properties}
