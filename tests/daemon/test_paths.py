"""Default places per installation and platform, and the state directories of pairs."""

from pathlib import Path

import pytest

from syncd.daemon.paths import default_paths, home_directory, pair_state_dir, roots_key, socket_candidates


def test_the_system_uses_what_its_unit_gives() -> None:
    paths = default_paths(is_system=True, env={})
    assert paths.config == Path("/etc/syncd/syncd.toml")
    assert paths.state_dir == Path("/var/lib/syncd")
    assert paths.socket == Path("/run/syncd/syncd.sock")
    env = {"STATE_DIRECTORY": "/s/one:/s/two", "RUNTIME_DIRECTORY": "/r"}
    paths = default_paths(is_system=True, env=env)
    assert (paths.state_dir, paths.socket) == (Path("/s/one"), Path("/r/syncd.sock"))


def test_a_user_has_the_xdg_places() -> None:
    env = {"HOME": "/h", "XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": "/r"}
    paths = default_paths(is_system=False, env=env, platform="linux")
    assert paths.config == Path("/c/syncd/syncd.toml")
    assert paths.state_dir == Path("/s/syncd")
    assert paths.socket == Path("/r/syncd/syncd.sock")


def test_relative_xdg_values_do_not_count() -> None:
    env = {"HOME": "/h", "XDG_CONFIG_HOME": "c", "XDG_STATE_HOME": "", "XDG_RUNTIME_DIR": "r"}
    paths = default_paths(is_system=False, env=env, platform="linux")
    assert paths.config == Path("/h/.config/syncd/syncd.toml")
    assert paths.state_dir == Path("/h/.local/state/syncd")
    assert paths.socket == Path("/h/.local/state/syncd/syncd.sock")


def test_macos_keeps_all_in_application_support() -> None:
    paths = default_paths(is_system=False, env={"HOME": "/h"}, platform="darwin")
    assert paths.config.name == "syncd.toml"
    assert paths.config.parent == paths.socket.parent == paths.state_dir.parent


def test_without_home_the_password_database_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert home_directory({"HOME": "/h"}) == Path("/h")
    assert home_directory({}).is_absolute()
    monkeypatch.setattr("os.geteuid", lambda: 4_000_000_001)
    assert home_directory({"HOME": "relative"}) == Path("/")


def test_the_control_client_tries_the_user_first() -> None:
    env = {"HOME": "/h", "XDG_RUNTIME_DIR": "/r"}
    user, system = socket_candidates(env, platform="linux")
    assert (user, system) == ("/r/syncd/syncd.sock", "/run/syncd/syncd.sock")
    assert socket_candidates({**env, "SYNCD_SOCKET": "/x"}) == ("/x",)
    assert len(socket_candidates({"XDG_RUNTIME_DIR": "/run"}, platform="linux")) == 1


def test_state_directories_never_collide() -> None:
    assert pair_state_dir(Path("/s"), "documents") == Path("/s/pairs/documents")
    assert roots_key("/a", "/b") != roots_key("/b", "/a")
    assert not roots_key("/a", "/b")[0].isalnum()
