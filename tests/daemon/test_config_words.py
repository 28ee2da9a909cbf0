"""Settings in the config file's own words: whatever is shown can be written there, and means the same."""

from pathlib import Path

import msgspec
import pytest

from syncd.daemon.config import adhoc_pair
from syncd.daemon.config_model import PairConfig, TrashConfig
from syncd.daemon.config_words import config_values
from tests.daemon.configs import Load
from tests.daemon.life import toml


@pytest.fixture
def pair(tmp_path: Path) -> PairConfig:
    return adhoc_pair(str(tmp_path / "a"), str(tmp_path / "b"), env={}, state_dir=tmp_path / "state")


def test_every_key_has_its_origin(pair: PairConfig) -> None:
    shown = config_values(pair)
    assert set(pair.origins) <= set(shown)
    assert shown["name"] == "sync"
    assert shown["mode"] == "two-way"
    assert shown["hooks.on_held"] == ()


@pytest.mark.parametrize(
    ("seconds", "word"),
    [(0.0, "0s"), (0.01, "10ms"), (0.0125, "0.0125s"), (90.0, "1m30s"), (90061.0, "90061s"), (900.0, "15m")],
)
def test_durations_are_exact(pair: PairConfig, seconds: float, word: str) -> None:
    assert config_values(msgspec.structs.replace(pair, settle_s=seconds))["settle"] == word


@pytest.mark.parametrize(
    ("count", "word"), [(None, "unlimited"), (512, "512B"), (1536, "1.5KiB"), (1537, "1537"), (2**40, "1TiB")]
)
def test_sizes_are_exact(pair: PairConfig, count: int | None, word: str) -> None:
    trash = TrashConfig(keep_s=3600, max_bytes=count)
    shown = config_values(msgspec.structs.replace(pair, trash=trash))
    assert (shown["trash.max_size"], shown["trash.keep"]) == (word, "1h")


def test_never_is_a_duration(pair: PairConfig) -> None:
    assert config_values(msgspec.structs.replace(pair, rescan_s=None))["rescan"] == "never"


def test_what_is_shown_can_be_written(load: Load, tmp_path: Path, pair: PairConfig) -> None:
    given = msgspec.structs.replace(pair, rescan_s=None, settle_s=0.0125, ignore=("*.tmp",), paused=True)
    rows = [
        f"{key} = {toml(value)}\n"
        for key, value in config_values(given).items()
        if key != "name" and value is not None and not key.startswith("hooks.")
    ]
    (again,) = load("[pair.sync]\n" + "".join(rows)).pairs
    assert config_values(again) == config_values(given)
