"""Configurations loaded from a text."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from syncd.core.reason import Reason
from syncd.daemon.config import Config, ConfigInvalid, ConfigProblem, load_config
from tests.daemon.configs import Load


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home")}


@pytest.fixture
def load(tmp_path: Path, env: dict[str, str]) -> Load:
    """Load a text as the main file; `{root}` stands for the temporary directory."""

    def load(text: str, **more: Any) -> Config:
        path = tmp_path / "etc" / "syncd.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("{root}", str(tmp_path)))
        return load_config(path, is_system=False, env=env, **more)

    return load


@pytest.fixture
def problems(load: Load) -> Callable[[str], list[ConfigProblem]]:
    def problems(text: str) -> list[ConfigProblem]:
        with pytest.raises(ConfigInvalid) as caught:
            load(text)
        assert caught.value.reason is Reason.CONFIG_INVALID
        return list(caught.value.problems)

    return problems
