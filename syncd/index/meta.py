"""Single values that commit with the index: epoch, what the base was made under, roots, ignore files."""

import sqlite3
from collections.abc import Mapping

import msgspec

from syncd.core.entry import Side
from syncd.core.identity import RootIdentity


def get(db: sqlite3.Connection, key: str) -> bytes | None:
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else bytes(row[0])


def put(db: sqlite3.Connection, key: str, value: bytes) -> None:
    db.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )


def clear(db: sqlite3.Connection, key: str) -> None:
    db.execute("DELETE FROM meta WHERE key = ?", (key,))


def get_text(db: sqlite3.Connection, key: str) -> str | None:
    value = get(db, key)
    return None if value is None else value.decode()


def put_text(db: sqlite3.Connection, key: str, value: str) -> None:
    put(db, key, value.encode())


def get_int(db: sqlite3.Connection, key: str, default: int = 0) -> int:
    value = get(db, key)
    return default if value is None else int(value)


def put_int(db: sqlite3.Connection, key: str, value: int) -> None:
    put(db, key, b"%d" % value)


def epoch(db: sqlite3.Connection) -> str:
    """The name of this index's feed; another one means that the numbers start anew."""
    return get_text(db, "epoch") or ""


def pair_key(db: sqlite3.Connection) -> str | None:
    return get_text(db, "pair_key")


def set_pair_key(db: sqlite3.Connection, key: str) -> None:
    put_text(db, "pair_key", key)


def rules(db: sqlite3.Connection) -> str | None:
    """Mode, patterns and ignore files that the base was made under, as the caller spelt them."""
    return get_text(db, "rules")


def set_rules(db: sqlite3.Connection, text: str) -> None:
    put_text(db, "rules", text)


def is_first_sync_done(db: sqlite3.Connection) -> bool:
    return get_int(db, "first_sync_done") == 1


def set_first_sync_done(db: sqlite3.Connection, done: bool = True) -> None:
    put_int(db, "first_sync_done", int(done))


def is_state_lost(db: sqlite3.Connection) -> bool:
    """Was the base lost, and not made again since? Outlasts restarts while the pair is held for it."""
    return get_int(db, "state_lost") == 1


def set_state_lost(db: sqlite3.Connection, lost: bool) -> None:
    put_int(db, "state_lost", int(lost))


def is_unclean(db: sqlite3.Connection) -> bool:
    """Was there an unclean stop since the roots were last opened?"""
    return get_int(db, "unclean") == 1


def set_unclean(db: sqlite3.Connection, is_so: bool) -> None:
    put_int(db, "unclean", int(is_so))


def is_after_crash(db: sqlite3.Connection, side: Side) -> bool:
    """Was there an unclean stop, and this side not looked at as a whole since?"""
    return get_int(db, f"after_crash.{side.value}") == 1


def set_after_crash(db: sqlite3.Connection, side: Side, is_so: bool) -> None:
    put_int(db, f"after_crash.{side.value}", int(is_so))


def root_identities(db: sqlite3.Connection) -> dict[Side, RootIdentity]:
    """The roots as they were when they were last opened."""
    found = {}
    for side in Side:
        value = get(db, f"root.{side.value}")
        if value is not None:
            found[side] = msgspec.json.decode(value, type=RootIdentity)
    return found


def set_root_identities(db: sqlite3.Connection, roots: Mapping[Side, RootIdentity]) -> None:
    for side, identity in roots.items():
        put(db, f"root.{side.value}", msgspec.json.encode(identity))


def observed_filter(db: sqlite3.Connection, side: Side) -> str | None:
    """Fingerprint of the filter that a whole scan of this side last went by."""
    return get_text(db, f"observed_filter.{side.value}")


def set_observed_filter(db: sqlite3.Connection, side: Side, fingerprint: str) -> None:
    put_text(db, f"observed_filter.{side.value}", fingerprint)


def forget_observed_filter(db: sqlite3.Connection, side: Side) -> None:
    """The next scan judges every name again, also where the directory records agree."""
    clear(db, f"observed_filter.{side.value}")


def forget_observed_filters(db: sqlite3.Connection) -> None:
    for side in Side:
        forget_observed_filter(db, side)


def ignore_files(db: sqlite3.Connection) -> dict[tuple[Side, bytes], bytes]:
    """Content of the ignore files in force, by side and directory."""
    rows = db.execute("SELECT side, directory, content FROM ignore_files ORDER BY side, directory")
    return {(Side(side), directory): content for side, directory, content in rows}


def set_ignore_files(db: sqlite3.Connection, files: Mapping[tuple[Side, bytes], bytes]) -> None:
    db.execute("DELETE FROM ignore_files")
    db.executemany(
        "INSERT INTO ignore_files VALUES (?, ?, ?)",
        [(int(side), directory, content) for (side, directory), content in files.items()],
    )
