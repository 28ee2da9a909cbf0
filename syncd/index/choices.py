"""What a person chose for a conflict that waited: the policy of one path, until the path is in sync again."""

import sqlite3

import msgspec

from syncd.core.rules import Policy
from syncd.index import meta

_KEY = "choices"


def choices(db: sqlite3.Connection) -> dict[bytes, Policy]:
    """Policies by path."""
    packed = meta.get(db, _KEY)
    return {} if packed is None else msgspec.msgpack.decode(packed, type=dict[bytes, Policy])


def choose(db: sqlite3.Connection, path: bytes, policy: Policy) -> None:
    """From now on `path` is reconciled by `policy`."""
    _store(db, {**choices(db), path: policy})


def forget(db: sqlite3.Connection, path: bytes) -> None:
    """The choice was carried out, or taken back."""
    known = choices(db)
    if known.pop(path, None) is not None:
        _store(db, known)


def _store(db: sqlite3.Connection, known: dict[bytes, Policy]) -> None:
    meta.put(db, _KEY, msgspec.msgpack.encode(known))
