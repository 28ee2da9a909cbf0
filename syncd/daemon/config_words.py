"""A pair's effective settings in the config file's own keys and words: what is shown can be copied there."""

from collections.abc import Callable
from typing import Any

import msgspec

from syncd.core.units import format_duration, format_size, parse_duration, parse_size
from syncd.daemon.config_keys import PAIR_KEYS
from syncd.daemon.config_model import PairConfig


def config_values(config: PairConfig) -> dict[str, object]:
    """Every setting of a pair by its key; the origins have the same keys."""
    keys = dict.fromkeys(("name", "source", "destination", *PAIR_KEYS))
    return {key: _word_of(config, key) for key in keys}


def plain(value: object) -> Any:
    """A value as JSON has it."""
    return msgspec.to_builtins(value, enc_hook=str)


def _word_of(config: PairConfig, key: str) -> object:
    table, _, name = key.rpartition(".")
    holder = getattr(config, table) if table else config
    for suffix, word in (("_s", _duration), ("", plain)):
        if hasattr(holder, name + suffix):
            return word(getattr(holder, name + suffix))
    # The one key that is not called as its field.
    return _size(config.trash.max_bytes)


def _duration(seconds: float | None) -> str:
    return "never" if seconds is None else _exact(format_duration, parse_duration, seconds, f"{seconds:g}s")


def _size(count: int | None) -> str:
    return "unlimited" if count is None else _exact(format_size, parse_size, count, str(count))


def _exact(write: Callable[[Any], str], read: Callable[[str], float], value: float, otherwise: str) -> str:
    """The short form if it means the same."""
    short = write(value)
    return short if read(short) == value else otherwise
