"""Schema versions: numbered SQL files, each applied in one transaction, verified by checksum.

`user_version` is the version, `application_id` says that the file is syncd's. A newer schema is refused and
nothing of it is changed; before an older one is migrated, a copy is put beside it.
"""

import hashlib
import os
import re
import sqlite3
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

import msgspec

from syncd.core.error import NeedsUser
from syncd.core.reason import Reason
from syncd.index import seal

APPLICATION_ID = 0x53594E43
"""'SYNC'"""

_NAME = re.compile(r"(\d{4})_(\w+)\.sql")


class Migration(msgspec.Struct, frozen=True):
    """One numbered step of the schema."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.blake2b(self.sql.encode(), digest_size=16).hexdigest()


def load_migrations(schema: str) -> tuple[Migration, ...]:
    """The steps of `schema` in order, from the package."""
    found = []
    for file in (resources.files("syncd.index") / "schema" / schema).iterdir():
        match = _NAME.fullmatch(file.name)
        if match:
            found.append(Migration(int(match[1]), match[2], file.read_text("utf-8")))
    return tuple(sorted(found, key=lambda step: step.version))


def migrate(
    db: sqlite3.Connection, path: Path | None, steps: Sequence[Migration], epoch: Callable[[], str]
) -> bool:
    """Bring the data base to the last of `steps`; set the pragmas of a writing connection. True when it was
    made just now."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA journal_size_limit = 16777216")
    # As many bytes: a page that changes often is folded in once.
    db.execute("PRAGMA wal_autocheckpoint = 4000")
    todo = [step for step in steps if step.version > version]
    if version and todo and path is not None:
        _keep_copy(db, path, version)
    for step in todo:
        is_first = not version and step is todo[0]
        _apply(db, step, _name_feed(epoch()) if is_first else "")
    return not version


def refuse_newer(db: sqlite3.Connection, path: Path | None, steps: Sequence[Migration]) -> None:
    """Change nothing of a data base that knows more than `steps`. Raises NeedsUser (STATE_NEWER)."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if not version:
        return
    if version > steps[-1].version:
        raise NeedsUser(
            Reason.STATE_NEWER, f"{path} has schema {version}, this syncd knows {steps[-1].version}"
        )
    applied = dict(db.execute("SELECT version, checksum FROM migrations").fetchall())
    for step in steps:
        if step.version <= version and applied.get(step.version) != step.checksum:
            raise NeedsUser(Reason.STATE_NEWER, f"{path} was made with another schema {step.version}")


def _name_feed(epoch: str) -> str:
    """A part of the first transaction: there is no data base without a name of its feed."""
    return f"INSERT INTO meta VALUES ('epoch', X'{epoch.encode().hex()}');"  # noqa: S608 (hexadecimal)


def _apply(db: sqlite3.Connection, step: Migration, addition: str) -> None:
    script = f"""
        BEGIN IMMEDIATE;
        {step.sql}
        {addition}
        CREATE TABLE IF NOT EXISTS migrations (
            version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL
        );
        INSERT INTO migrations VALUES ({step.version}, '{step.name}', '{step.checksum}');
        PRAGMA application_id = {APPLICATION_ID};
        PRAGMA user_version = {step.version};
        COMMIT;
    """  # noqa: S608 (our own packaged SQL)
    try:
        db.executescript(script)
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def copy_name(path: Path, version: int) -> Path:
    """Where the state of an older schema is kept."""
    return path.with_name(f"{path.name}.schema-{version}")


def _keep_copy(db: sqlite3.Connection, path: Path, version: int) -> None:
    """A whole copy under its final name, or none: a killed migration leaves no half of one."""
    kept = copy_name(path, version)
    partial_copy = kept.with_name(kept.name + ".part")
    partial_copy.unlink(missing_ok=True)
    db.execute("VACUUM INTO ?", (str(partial_copy),))
    seal.sync(partial_copy)
    os.replace(partial_copy, kept)
    seal.sync(kept.parent)
