"""The seal of a cleanly closed data base: a digest of the file beside it.

SQLite checks no page of its own accord. A sealed file whose bytes differ, and an unsealed one that fails
`integrity_check`, are damaged. The seal is broken (removed, durably) before the first write.
"""

import os
import sqlite3
from pathlib import Path

from blake3 import blake3

from syncd.index.meta import forget_observed_filters, set_unclean

_CHUNK = 1 << 20


def seal_name(path: Path) -> Path:
    return path.with_name(path.name + ".seal")


def damage_mark(path: Path) -> Path:
    return path.with_name(path.name + ".damaged")


def wal_name(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def seal(path: Path) -> None:
    """Seal the closed file. Best effort: without a seal the next start checks longer."""
    wal = wal_name(path)
    try:
        if wal.exists() and wal.stat().st_size:
            return
        part = seal_name(path).with_name(seal_name(path).name + ".part")
        part.write_text(_digest(path))
        sync(part)
        os.replace(part, seal_name(path))
        sync(path.parent)
    except OSError:
        return


def check_seal(path: Path) -> bool | None:
    """Does the seal fit the file? None: there is no seal (an unclean stop). No connection may be open."""
    try:
        told = seal_name(path).read_text(errors="replace")
    except FileNotFoundError:
        return None
    return told == _digest(path)


def break_seal(path: Path) -> bool:
    """Before the first write, a migration's too: True when the data base was sealed."""
    try:
        seal_name(path).unlink()
    except FileNotFoundError:
        return False
    sync(path.parent)
    return True


def distrust(db: sqlite3.Connection) -> None:
    """It was not sealed, so nothing that it derived is taken for granted: totals are counted again, the
    next scan compares names and entries too, and files are looked at for what a crash does."""
    db.execute("BEGIN IMMEDIATE")
    _count_totals(db)
    forget_observed_filters(db)
    set_unclean(db, True)
    db.execute("COMMIT")


def mark_damaged(path: Path) -> None:
    try:
        damage_mark(path).touch(mode=0o600)
    except OSError:
        return


def _count_totals(db: sqlite3.Connection) -> None:
    db.execute(
        "UPDATE totals SET (files, bytes) = (SELECT count(*), coalesce(sum(size), 0) FROM nodes"
        " WHERE nodes.tree = totals.tree AND kind IN (1, 3)) WHERE tree IN (1, 2)"
    )
    db.execute(
        "UPDATE totals SET (files, bytes) = (SELECT count(*), coalesce(sum(size), 0) FROM base"
        " WHERE kind IN (1, 3)) WHERE tree = 3"
    )


def _digest(path: Path) -> str:
    hasher = blake3()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()


def sync(path: Path) -> None:
    """Bring a file, or the names in a directory, to the device. Raises OSError."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
