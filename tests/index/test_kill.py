"""A killed process: what `write` returned for is there; what it had not returned for, whole or not at all."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from syncd.core.entry import Side
from syncd.index import base, feed, meta, nodes, seal
from syncd.index.database import Database
from syncd.index.rebuild import open_or_rebuild
from tests.durable import each_kill
from tests.index.kit import DESTINATION, SOURCE, base_paths, paths_of
from tests.index.states import make, make_unclean, reopen

CHILD = """
import sys
import anyio
from pathlib import Path
from syncd.core.action import Done, Put
from syncd.core.entry import Entry, Kind, Side, StatHint
from syncd.index import nodes, results
from syncd.index.database import Database

FILES = 20

def add(db, batch):
    done = []
    for i in range(FILES):
        path = b"f-%d-%d" % (batch, i)
        entry = Entry(Kind.FILE, 0o644, 7, 1, b"d" * 32)
        nodes.put(db, Side.SOURCE, path, entry)
        action = Put(Side.DESTINATION, path, entry, None, path)
        done.append(Done(action, entry, StatHint(batch * FILES + i, 7, 1, 1)))
    results.record(db, f"batch-{batch}", batch, done)

async def main():
    database = await Database.open(Path(sys.argv[1]))
    batch = 0
    while True:
        await database.write(add, batch)
        print(batch, flush=True)
        batch += 1

anyio.run(main)
"""
FILES = 20


def run_until(path: Path, batches: int) -> int:
    """Run the child until it has told of `batches` commits, kill it, and return the last one it told of."""
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        assert process.stdout is not None
        last = -1
        for line in process.stdout:
            last = int(line)
            if last >= batches:
                process.send_signal(signal.SIGKILL)
                break
        rest = process.stdout.read().split()
        return int(rest[-1]) if rest else last


@pytest.mark.parametrize("batches", [0, 9])
async def test_committed_batches_survive_a_kill_whole(tmp_path: Path, batches: int) -> None:
    path = tmp_path / "state.db"
    told = run_until(path, batches)
    assert told >= batches
    assert not seal.seal_name(path).exists()
    database, rebuilt = await open_or_rebuild(path, stamp="now")
    assert rebuilt is None
    assert not database.was_clean

    def read(db: sqlite3.Connection) -> tuple[set[bytes], set[bytes], set[bytes], int, int]:
        return (
            set(paths_of(db, SOURCE)),
            set(paths_of(db, DESTINATION)),
            set(base_paths(db)),
            base.count_files(db),
            nodes.totals(db, Side.SOURCE)[0],
        )

    source, destination, shared, base_files, source_files = await database.read(read)
    assert source == destination == shared, "index and base commit together"
    assert len(shared) == base_files == source_files
    assert len(shared) % FILES == 0, "a batch is there whole or not at all"
    assert len(shared) >= (told + 1) * FILES, "what was told is durable"
    assert await database.read(feed.head) == 2 * len(shared)
    await database.close()
    again, rebuilt = await open_or_rebuild(path, stamp="now")
    assert rebuilt is None
    assert again.was_clean
    await again.close()


async def test_a_reader_sees_whole_transactions_only(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    writer = await Database.open(path)
    reader = await Database.read_only(path)

    def both(db: sqlite3.Connection, value: int) -> None:
        meta.put_int(db, "a", value)
        meta.put_int(db, "b", value)

    def compare(db: sqlite3.Connection) -> tuple[int, int]:
        return meta.get_int(db, "a"), meta.get_int(db, "b")

    for value in range(50):
        await writer.write(both, value)
        a, b = await reader.read(compare)
        assert a == b == value
    await reader.close()
    await writer.close()
    assert seal.check_seal(path) is True


async def test_cra_09_a_seal_fits_or_is_not_there(tmp_path: Path) -> None:
    """One that is empty or half written would condemn a good state."""
    path = tmp_path / "state.db"
    await make(path)
    make_unclean(path)
    for _ in each_kill(lambda: seal.seal(path)):
        assert seal.check_seal(path) is not False
    assert seal.check_seal(path) is True
    assert await reopen(path) == (200, None)
    for _ in each_kill(lambda: seal.break_seal(path)):
        assert seal.check_seal(path) is not False
    assert seal.check_seal(path) is None
