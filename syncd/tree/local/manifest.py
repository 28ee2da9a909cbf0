"""What lies in a trash batch: one JSON line a slot, written and synced before anything is displaced.

A slot file is user data from the moment of an exchange or a rename on. The manifest says where it came
from, and what our own staged file looked like, so that the two are never mixed up after a crash.
"""

import contextlib
import os
from collections.abc import Iterable

import msgspec

from syncd.core.entry import Entry, StatHint
from syncd.core.path import escape
from syncd.tree.local import syscalls as sc

NAME = b"manifest.jsonl"
_CHUNK = 1 << 20


class Ours(msgspec.Struct, frozen=True, omit_defaults=True):
    """The staged file that a slot holds until it is exchanged with the displaced one."""

    inode: int
    size: int
    mtime_ns: int


class BatchRecord(msgspec.Struct, frozen=True, tag="batch", omit_defaults=True):
    """The first line. `at_ns` is file-system time."""

    batch: str
    at_ns: int
    version: int = 1


class SlotRecord(msgspec.Struct, frozen=True, tag="slot", omit_defaults=True):
    """One slot: `op` is put, delete or park; `path` the name that its content had; `old` what was
    expected there. `text` is the path for people. `is_weak`: without rename flags, so a name that is
    absent after a crash is put back."""

    slot: str
    op: str
    path: bytes
    old: Entry
    text: str = ""
    hint: StatHint | None = None
    ours: Ours | None = None
    is_weak: bool = False
    to: bytes = b""
    """Where a parked name was to go."""


class ModeRecord(msgspec.Struct, frozen=True, tag="mode", omit_defaults=True):
    """A directory that is made writable for a moment: `mode` is put back after a crash."""

    path: bytes
    mode: int


class MoveRecord(msgspec.Struct, frozen=True, tag="move", omit_defaults=True):
    """A move of `inode` in a batch with circles of names. `is_weak`: by link and unlink (no rename flags): a
    crash in between leaves one file at both names."""

    path: bytes
    to: bytes
    inode: int = 0
    is_weak: bool = False


Record = BatchRecord | SlotRecord | ModeRecord | MoveRecord
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)


def slot_record(
    slot: str,
    op: str,
    path: bytes,
    old: Entry,
    hint: StatHint | None,
    ours: Ours | None = None,
    *,
    is_weak: bool = False,
    to: bytes = b"",
) -> SlotRecord:
    return SlotRecord(slot, op, path, old, escape(path), hint, ours, is_weak, to)


def write(descriptor: int, records: Iterable[Record]) -> None:
    """Append records, whole lines."""
    data = memoryview(b"".join(_encoder.encode(record) + b"\n" for record in records))
    while data:
        data = data[sc.write(descriptor, data) :]


def read(directory: int, name: bytes = NAME) -> list[Record]:
    """All records of a batch directory. A line that a crash cut short is left out."""
    try:
        descriptor = sc.open(name, sc.READ_FILE, dir_fd=directory)
    except FileNotFoundError:
        return []
    try:
        data = bytearray()
        while block := sc.read(descriptor, _CHUNK):
            data += block
    finally:
        sc.close(descriptor)
    records: list[Record] = []
    for line in data.splitlines():
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
            records.append(_decoder.decode(line))
    return records


def open_for_append(directory: int) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    return sc.open(NAME, flags, 0o600, dir_fd=directory)
