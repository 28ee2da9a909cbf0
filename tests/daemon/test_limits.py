"""The limit of open files: up to the hard one, within reason, never down."""

import resource
import subprocess
import sys

import pytest

from syncd.daemon.limits import MOST_FILES, raise_file_limit

UNLIMITED = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "after"),
    [
        (1024, 4096, 4096),
        (1024, 1 << 20, MOST_FILES),
        (1024, UNLIMITED, MOST_FILES),
        (4096, 4096, None),
        (1 << 17, 1 << 20, None),
        (UNLIMITED, UNLIMITED, None),
    ],
)
def test_the_soft_limit_follows_the_hard_one(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, after: int | None
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    assert raise_file_limit() == (soft if after is None else after)
    assert asked == ([] if after is None else [(after, hard)])


def test_a_kernel_that_refuses_is_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int, limits: tuple[int, int]) -> None:
        raise OSError(limits)

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert raise_file_limit() == 1024


def test_reference_cycles_are_looked_for_seldom() -> None:
    script = (
        "import gc; from syncd.daemon.limits import collect_seldom; collect_seldom();"
        "print(gc.get_threshold()[0] > 10_000, gc.get_freeze_count() > 0, gc.isenabled())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "True"]
