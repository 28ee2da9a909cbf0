"""The five modes of a pair as capabilities, and every spelling of them that is accepted.

Outside this file nobody compares modes: ask a property. Pure; may import only `syncd.core.entry`.
Source of the table: "Mode table" of the semantics page (seed 004).
"""

import enum

import msgspec

from syncd.core.entry import Side


class _Traits(msgspec.Struct, frozen=True):
    """One row of the capability table. `authority` is the side whose state wins, None when both count."""

    authority: Side | None
    writes: frozenset[Side]
    deletes: frozenset[Side]
    short: tuple[str, ...]
    """Other spellings, kebab-case."""


_SOURCE = frozenset({Side.SOURCE})
_DESTINATION = frozenset({Side.DESTINATION})
_BOTH = _SOURCE | _DESTINATION
_NONE: frozenset[Side] = frozenset()


class Mode(enum.StrEnum):
    """Which side may be changed by syncd, and how."""

    TWO_WAY = "two-way"
    SOURCE_TO_DESTINATION = "source-to-destination"
    SOURCE_BACKUP = "source-backup"
    DESTINATION_TO_SOURCE = "destination-to-source"
    DESTINATION_BACKUP = "destination-backup"

    @classmethod
    def parse(cls, text: str) -> "Mode":
        """Read any accepted spelling, in any case. Raises ValueError that lists what is valid."""
        mode = _SPELLINGS.get(text.lower())
        if mode is None:
            raise ValueError(f"unknown mode {text!r}; valid are {', '.join(valid_spellings())}")
        return mode

    @property
    def authority(self) -> Side | None:
        """The side that the other one follows; None when both sides count alike."""
        return _TABLE[self].authority

    def may_write(self, side: Side) -> bool:
        """May anything be put at `side`?"""
        return side in _TABLE[self].writes

    def may_delete(self, side: Side) -> bool:
        """May anything be removed from `side`?"""
        return side in _TABLE[self].deletes

    @property
    def allows_upload(self) -> bool:
        return self.may_write(Side.DESTINATION)

    @property
    def allows_download(self) -> bool:
        return self.may_write(Side.SOURCE)

    @property
    def allows_source_delete(self) -> bool:
        return self.may_delete(Side.SOURCE)

    @property
    def allows_destination_delete(self) -> bool:
        return self.may_delete(Side.DESTINATION)

    @property
    def is_bidirectional(self) -> bool:
        return self.authority is None

    @property
    def is_mirror(self) -> bool:
        """One side is made equal to the other, deletions included."""
        return self.authority is not None and bool(_TABLE[self].deletes)

    @property
    def is_backup(self) -> bool:
        """One side receives; nothing is ever deleted on either side."""
        return not _TABLE[self].deletes

    @property
    def requires_source_scan(self) -> bool:
        """Every mode looks at both sides: changes that are not accepted are still undone or reported."""
        return True

    @property
    def requires_destination_scan(self) -> bool:
        return True


_TABLE: dict[Mode, _Traits] = {
    Mode.TWO_WAY: _Traits(None, _BOTH, _BOTH, ("tw",)),
    Mode.SOURCE_TO_DESTINATION: _Traits(
        Side.SOURCE, _DESTINATION, _DESTINATION, ("std", "ltc", "local-to-cloud")
    ),
    Mode.SOURCE_BACKUP: _Traits(Side.SOURCE, _DESTINATION, _NONE, ("sb", "lb", "local-backup")),
    Mode.DESTINATION_TO_SOURCE: _Traits(Side.DESTINATION, _SOURCE, _SOURCE, ("dts", "ctl", "cloud-to-local")),
    Mode.DESTINATION_BACKUP: _Traits(Side.DESTINATION, _SOURCE, _NONE, ("db", "cb", "cloud-backup")),
}


def spellings_of(word: str) -> tuple[str, ...]:
    """A kebab-case word in lower-cased kebab, snake and camel case: keys for case-insensitive reading."""
    return word, word.replace("-", "_"), word.replace("-", "")


def valid_spellings() -> tuple[str, ...]:
    """What an error lists: the five names, then the other spellings."""
    return (*(mode.value for mode in Mode), *(word for row in _TABLE.values() for word in row.short))


_SPELLINGS: dict[str, Mode] = {
    spelling: mode
    for mode, row in _TABLE.items()
    for word in (mode.value, *row.short)
    for spelling in spellings_of(word)
}
