"""States that must not be trusted are put aside and made anew; good ones are kept."""

import random
import sqlite3
from pathlib import Path

import pytest

from syncd.core.entry import Side
from syncd.core.error import NeedsUser
from syncd.index import base, meta, nodes, seal
from syncd.index.database import Database
from syncd.index.failure import StateDamaged
from syncd.index.rebuild import Rebuilt, open_or_rebuild, put_aside
from tests.index.states import FILE, fill, make, make_unclean, reopen


async def test_a_good_state_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await make(path)
    assert await reopen(path) == (200, None)
    assert await reopen(path) == (200, None)
    make_unclean(path)
    assert await reopen(path) == (200, None)


async def test_dbs_06_missing_state_is_made(tmp_path: Path) -> None:
    assert await reopen(tmp_path / "state.db") == (0, None)


@pytest.mark.parametrize("is_clean", [True, False])
@pytest.mark.parametrize("size", [0, 1, 100, 4096, 8192 + 17, 20_000])
async def test_dbs_01_03_truncated_and_emptied(tmp_path: Path, size: int, is_clean: bool) -> None:
    path = tmp_path / "state.db"
    await make(path)
    if not is_clean:
        make_unclean(path)
    data = path.read_bytes()[:size]
    path.write_bytes(data)
    files, rebuilt = await reopen(path)
    assert files == 0
    assert rebuilt is not None
    assert rebuilt.aside == tmp_path / "state.db.bad-now"
    assert rebuilt.aside.read_bytes() == data, "nothing is thrown away"
    assert rebuilt.detail


@pytest.mark.parametrize("is_clean", [True, False])
async def test_dbs_02_zeroed(tmp_path: Path, is_clean: bool) -> None:
    path = tmp_path / "state.db"
    await make(path)
    if not is_clean:
        make_unclean(path)
    path.write_bytes(b"\0" * path.stat().st_size)
    assert (await reopen(path))[1] is not None


async def test_dbs_09_text_file_and_another_program(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_text("Dear diary\n" * 100)
    files, rebuilt = await reopen(path)
    assert files == 0
    assert rebuilt is not None
    assert rebuilt.aside.read_text().startswith("Dear diary")
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE theirs (x)")
    connection.execute("PRAGMA application_id = 7")
    connection.close()
    assert (await reopen(other))[1] == Rebuilt(
        tmp_path / "other.db.bad-now", "it is the data base of another program"
    )


@pytest.mark.parametrize("application", [0, 7])
async def test_dbs_09_log_of_another_program_goes_with_its_file(tmp_path: Path, application: int) -> None:
    """A program that was killed, and one that calls itself nothing: all that it wrote is kept."""
    path, theirs = tmp_path / "state.db", tmp_path / "theirs.db"
    connection = sqlite3.connect(theirs, isolation_level=None)
    connection.execute(f"PRAGMA application_id = {application}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE theirs (x)")
    for suffix in ("", "-wal"):
        path.with_name(path.name + suffix).write_bytes(theirs.with_name(theirs.name + suffix).read_bytes())
    connection.close()
    files, rebuilt = await reopen(path)
    assert files == 0
    assert rebuilt is not None
    assert rebuilt.detail == "it is the data base of another program"
    kept = sqlite3.connect(rebuilt.aside)
    assert kept.execute("SELECT count(*) FROM theirs").fetchone()[0] == 0
    kept.close()


async def test_dbs_10_log_of_another_data_base(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await make(path)
    wal = path.with_name("state.db-wal")
    wal.write_bytes(random.Random(1).randbytes(40_000))
    assert await reopen(path) == (200, None)


async def test_dbs_10_copied_while_in_use_without_its_log(tmp_path: Path) -> None:
    path, copy = tmp_path / "state.db", tmp_path / "copy.db"
    await make(path)
    database = await Database.open(path)
    await database.write(nodes.remove, Side.SOURCE, b"d/file number 1")
    copy.write_bytes(path.read_bytes())
    await database.close()
    files, rebuilt = await reopen(copy)
    assert (files, rebuilt) == (200, None), "an older state, but a whole one"


async def test_damage_found_while_running_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await make(path)
    database = await Database.open(path)

    def broken(_: sqlite3.Connection) -> None:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    with pytest.raises(StateDamaged):
        await database.write(broken)
    await database.close()
    assert not seal.seal_name(path).exists()
    files, rebuilt = await reopen(path)
    assert files == 0
    assert rebuilt is not None
    assert await reopen(path) == (0, None), "told once"


async def test_nothing_put_aside_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    for text in ("one", "two", "three"):
        path.write_text(text)
        put_aside(path, "now")
    assert sorted(file.read_text() for file in tmp_path.iterdir()) == ["one", "three", "two"]


async def test_unclean_stop_counts_totals_again_and_distrusts_the_records(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await make(path)
    database = await Database.open(path)
    assert database.was_clean

    def spoil(db: sqlite3.Connection) -> None:
        db.execute("UPDATE totals SET files = 3, bytes = 1")
        meta.set_observed_filter(db, Side.SOURCE, "f")

    await database.write(spoil)
    await database.close()
    make_unclean(path)
    database = await Database.open(path)
    assert not database.was_clean
    assert await database.read(nodes.totals, Side.SOURCE) == (200, 1000)
    assert await database.read(base.count_files) == 200
    assert await database.read(meta.observed_filter, Side.SOURCE) is None
    await database.close()


async def test_dbs_13_flipped_bytes_of_a_sealed_state_are_always_found(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await make(path)
    data, sealed = path.read_bytes(), seal.seal_name(path).read_text()
    rng = random.Random(13)
    for _ in range(300):
        at = rng.randrange(len(data))
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :])
        seal.seal_name(path).write_text(sealed)
        assert seal.check_seal(path) is False


@pytest.mark.parametrize("seed", range(25))
async def test_dbs_13_flipped_bytes_after_a_kill_never_crash_mutely(tmp_path: Path, seed: int) -> None:
    """Opened, it answers or was rebuilt; what the integrity check cannot see, the thorough scan heals."""
    path = tmp_path / "state.db"
    await make(path)
    make_unclean(path)
    rng = random.Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(3):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    try:
        database, rebuilt = await open_or_rebuild(path, stamp="now")
    except NeedsUser:
        return
    assert rebuilt is None or rebuilt.detail
    assert await database.read(meta.observed_filter, Side.SOURCE) is None
    await database.close()


async def test_seal_is_broken_before_the_first_write(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await make(path)
    assert seal.seal_name(path).exists()
    database = await Database.open(path)
    assert not seal.seal_name(path).exists()
    await database.close()
    assert seal.seal_name(path).exists()


async def test_no_seal_while_a_reader_is_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    database = await Database.open(path)
    await database.write(fill)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM nodes").fetchone()
    await database.write(nodes.put, Side.SOURCE, b"later", FILE)

    def impatient(db: sqlite3.Connection) -> None:
        db.execute("PRAGMA busy_timeout = 10")

    await database.read(impatient)
    await database.close()
    reader.close()
    files, rebuilt = await reopen(path)
    assert (files, rebuilt) == (201, None)
