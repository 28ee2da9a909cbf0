"""The rules of one cycle: what reconcile asks besides the state of a path.

Pure: the clock and the host name come in as values. May import only `syncd.core.mode`.
"""

import enum
from collections.abc import Mapping
from typing import Self

import msgspec

from syncd.core.mode import Mode, spellings_of


class _Choice(enum.StrEnum):
    """A closed choice of the configuration, read in kebab, snake or camel case, in any case."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one choice. Raises ValueError that lists what is valid."""
        for member in cls:
            if text.lower() in spellings_of(member.value):
                return member
        valid = ", ".join(member.value for member in cls)
        raise ValueError(f"unknown {cls.__name__.lower()} {text!r}; valid are {valid}")


class Policy(_Choice):
    """Who keeps the name when both sides changed a path differently (two-way only)."""

    NEWEST_WINS = "newest-wins"
    SOURCE_WINS = "source-wins"
    DESTINATION_WINS = "destination-wins"
    KEEP_BOTH = "keep-both"
    MANUAL = "manual"


class Initial(_Choice):
    """What the first sync of a two-way pair does."""

    MERGE = "merge"
    SOURCE_WINS = "source-wins"
    DESTINATION_WINS = "destination-wins"


class Rules(msgspec.Struct, frozen=True):
    """What holds for every path of one cycle.

    `is_first_sync`: the pair has no base yet (new, or its state was lost). `compares_content`: the first
    sync reads files of equal size even where the time stamps agree. `pulls_destination_changes`: the
    other reading of `source-backup`. `mode_mask`: permission bits that both trees can hold. `now_ns` is
    wall-clock time (Unix epoch), used for the future-stamp rule only; `host` names conflict copies.
    `choices` are what a person chose for single conflicts, by path.
    """

    mode: Mode
    policy: Policy = Policy.NEWEST_WINS
    initial: Initial = Initial.MERGE
    is_first_sync: bool = False
    compares_content: bool = False
    pulls_destination_changes: bool = False
    mode_mask: int = 0o777
    now_ns: int = 0
    host: str = "localhost"
    choices: Mapping[bytes, Policy] = {}

    def policy_at(self, path: bytes) -> Policy:
        """The policy for a conflict at `path`."""
        return self.choices.get(path, self.policy)
