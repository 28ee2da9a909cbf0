"""The benchmarks' own promises: one seed, one data set; ratios pair rounds; a page says what was skipped."""

import hashlib
from pathlib import Path

import pytest

from benchmarks.cases import QUICK, Result, check_equal, rename_directory
from benchmarks.data import change_one_percent, list_files, make_tree
from benchmarks.measure import CommandFailed, Run, ratio, run
from benchmarks.report import page


def fingerprint(root: Path) -> str:
    found = hashlib.sha256()
    for name in sorted(list_files(root)):
        found.update(name.encode() + (root / name).read_bytes())
    return found.hexdigest()


def test_a_seed_is_a_data_set(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_tree(tmp_path / name, files=200, directories=4, seed=seed)
        change_one_percent(tmp_path / name, seed=7)
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b") != fingerprint(tmp_path / "c")
    assert (tmp_path / "a/0/0/d0/file0.dat").stat().st_mtime_ns == (
        tmp_path / "b/0/0/d0/file0.dat"
    ).stat().st_mtime_ns


def test_one_percent_is_one_percent(tmp_path: Path) -> None:
    make_tree(tmp_path, files=300, directories=3, seed=1)
    before = {name: (tmp_path / name).read_bytes() for name in list_files(tmp_path)}
    change_one_percent(tmp_path, seed=1)
    after = {name: (tmp_path / name).read_bytes() for name in list_files(tmp_path)}
    assert len(before.keys() - after.keys()) == len(after.keys() - before.keys()) == 3
    assert sum(before[name] != after[name] for name in before.keys() & after.keys()) == 3


def test_renaming_keeps_everything(tmp_path: Path) -> None:
    make_tree(tmp_path, files=30, directories=3, seed=1)
    (tmp_path / ".syncd").mkdir()
    for number in (1, 2):
        rename_directory(tmp_path, number)
        assert sorted(path.name for path in tmp_path.iterdir()) == [".syncd", f"all-{number}"]
    assert len(list(list_files(tmp_path))) == 30


def test_a_forgetful_program_does_not_win(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a/x").touch()
    with pytest.raises(RuntimeError, match="not like"):
        check_equal(tmp_path / "a", tmp_path / "b")


def test_a_failing_command_stops_the_benchmark(tmp_path: Path) -> None:
    done = run(["sh", "-c", "exit 0"], {}, tmp_path / "log", synced=tmp_path)
    assert done.wall_s > 0
    with pytest.raises(CommandFailed, match=r"(?s)ended with 3.*because"):
        run(["sh", "-c", "echo because; exit 3"], {}, tmp_path / "log")


def test_ratios_pair_the_rounds() -> None:
    assert ratio([1, 2, 3], [2, 2, 2]) == (1, 0.5, 1.5)


def test_the_page_names_what_was_skipped(tmp_path: Path) -> None:
    runs = {"syncd": [Run(1, 1, 1 << 30)], "rsync": [Run(2, 4, 1)]}
    events = {"0s": {"one file": [0.01, 0.02], "burst": [0.5], "directory rename": [0.1]}}
    text = page(
        [Result("no change", runs, [30.0])], events, [], ["unison"], QUICK, tmp_path, 0.25, is_full=False
    )
    assert "| not installed, so skipped | unison |" in text
    assert "## No change" in text
    assert "**0.50** (0.50 – 0.50) | **0.25** (0.25 – 0.25) |" in text
    assert "| settle 0s | 15 ms | 20 ms | 500 ms | 100 ms |" in text
