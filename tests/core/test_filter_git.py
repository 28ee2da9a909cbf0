"""Random patterns on random trees: git itself is the judge."""

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.core.ignoring import with_files

# Git itself as the judge.

SEGMENTS = [
    "a",
    "b",
    "ab",
    "a.b",
    " a",
    "*",
    "**",
    "***",
    "a*",
    "*b",
    "*.b",
    "a**b",
    "?",
    "a?",
    "\\a",
    "a\\*",
]
SEGMENTS += ["[ab]", "[!a]", "[^b]x", "[]-]", "[[]"]
GIT_NAMES = ["a", "b", "ab", "a.b", "aab", "c", "[", "x", "ax", "a*", " a"]


def random_pattern(rng: random.Random) -> str:
    text = "/".join(rng.choice(SEGMENTS) for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 4])))
    text = "/" * (rng.random() < 0.25) + text + "/" * (rng.random() < 0.25) + "  " * (rng.random() < 0.1)
    return "!" * (rng.random() < 0.25) + text


def grow(rng: random.Random, root: Path) -> None:
    """Files and directories at random below `root`."""
    for _ in range(40):
        target = root.joinpath(*(rng.choice(GIT_NAMES) for _ in range(rng.choice([1, 2, 3, 4]))))
        if target.exists() or any(above.is_file() for above in target.parents):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if rng.random() < 0.5:
            target.mkdir()
        else:
            target.touch()


def ask_git(root: Path, paths: list[str]) -> dict[str, bool]:
    asked = subprocess.run(
        ["git", "check-ignore", "--no-index", "-z", "-v", "-n", "--stdin"],
        input="\0".join(paths).encode() + b"\0",
        stdout=subprocess.PIPE,
        cwd=root,
        check=False,
    )
    fields = asked.stdout.decode().split("\0")
    return {
        path: bool(origin) and not pattern.startswith("!")
        for origin, pattern, path in zip(fields[0::4], fields[2::4], fields[3::4], strict=False)
    }


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("seed", range(60))
def test_git_agrees(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    files = {"": [random_pattern(rng) for _ in range(rng.randint(1, 5))]}
    if rng.random() < 0.5:
        files[rng.choice(["a", "b", "a/ab"])] = [random_pattern(rng) for _ in range(rng.randint(1, 3))]
    for directory, patterns in files.items():
        (tmp_path / directory).mkdir(parents=True, exist_ok=True)
        (tmp_path / directory / ".gitignore").write_text("\n".join(patterns) + "\n")
    grow(rng, tmp_path)
    found = {
        str(one.relative_to(tmp_path)): one.is_dir()
        for one in tmp_path.rglob("*")
        if ".git" not in one.parts and one.name != ".gitignore"
    }
    rules = with_files({directory: "\n".join(patterns) for directory, patterns in files.items()})
    assert rules.problems == ()
    ours = {path: rules.is_ignored(path.encode(), is_directory) for path, is_directory in found.items()}
    assert ours == ask_git(tmp_path, list(found))
