"""Data sets and changes from a seed: the same seed gives the same trees, byte for byte."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

BLOCK = 1 << 20
OLDEST_S = 1_600_000_000
YEAR_S = 31_536_000


def make_tree(root: Path, *, files: int, directories: int, seed: int, largest: int = 8192) -> None:
    """`files` small files spread over `directories` directories, three levels deep, with old time stamps."""
    random = Random(seed)
    block = random.randbytes(BLOCK)
    folders = [root / f"{i % 10}" / f"{i % 100}" / f"d{i}" for i in range(directories)]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        write(folders[number % directories] / f"file{number}.dat", number, random, block, largest)


def write(path: Path, number: int, random: Random, block: bytes, largest: int) -> None:
    size = random.randint(16, largest)
    start = random.randrange(BLOCK - size)
    path.write_bytes(number.to_bytes(8, "big") + block[start : start + size])
    stamp = (OLDEST_S + random.randrange(YEAR_S)) * 10**9 + random.randrange(10**9)
    os.utime(path, ns=(stamp, stamp))


def make_large_file(path: Path, size: int, seed: int) -> None:
    random = Random(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for _ in range(size // BLOCK):
            file.write(random.randbytes(BLOCK))
    stamp = OLDEST_S * 10**9 + 123_456_789
    os.utime(path, ns=(stamp, stamp))


def change_one_percent(root: Path, seed: int) -> None:
    """Change 1 % of the files, remove 1 % and add 1 %."""
    random = Random(seed)
    block = random.randbytes(BLOCK)
    names = sorted(list_files(root))
    count = max(1, len(names) // 100)
    chosen = random.sample(names, 2 * count)
    for number, name in enumerate(chosen[:count]):
        write(root / name, seed * 1_000_003 + number, random, block, 8192)
        os.utime(root / name)
    for name in chosen[count:]:
        (root / name).unlink()
    for number in range(count):
        folder = (root / random.choice(names)).parent
        write(folder / f"new-{seed}-{number}.dat", number, random, block, 8192)


def list_files(root: Path) -> Iterator[str]:
    """Relative names of all files but those in syncd's own directory."""
    for folder, folders, files in os.walk(root):
        if ".syncd" in folders:
            folders.remove(".syncd")
        for name in files:
            yield os.path.relpath(os.path.join(folder, name), root)


def create_probe(folder: Path, count: int = 300) -> float:
    """Microseconds to create one file here now: it swings widely with what was deleted before."""
    folder.mkdir()
    begin = time.perf_counter()
    for number in range(count):
        (folder / str(number)).write_bytes(b"x")
    took = time.perf_counter() - begin
    for number in range(count):
        (folder / str(number)).unlink()
    folder.rmdir()
    return took / count * 1e6
