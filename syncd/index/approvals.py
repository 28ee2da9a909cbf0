"""What a person approved of a held plan: digests of single destructive actions."""

import sqlite3
from collections.abc import Iterable


def approve(db: sqlite3.Connection, digests: Iterable[str], now_ns: int) -> None:
    db.executemany(
        "INSERT INTO approvals VALUES (?, ?) ON CONFLICT (digest) DO NOTHING",
        [(digest, now_ns) for digest in digests],
    )


def approved(db: sqlite3.Connection) -> frozenset[str]:
    return frozenset(row[0] for row in db.execute("SELECT digest FROM approvals"))


def clear(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM approvals")


def expire(db: sqlite3.Connection, before_ns: int) -> int:
    """Drop approvals given before `before_ns`."""
    return db.execute("DELETE FROM approvals WHERE at_ns < ?", (before_ns,)).rowcount
