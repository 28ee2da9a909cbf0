"""Where config, state and socket live by default, and the state directory of each pair.

The environment comes in as an argument, so that nothing here depends on the process that asks. Imports
only the standard library (and platformdirs on macOS): `syncctl` uses it at start.
"""

import os
import pwd
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class DefaultPaths(NamedTuple):
    """The default places of one installation: the system's or one user's."""

    config: Path
    state_dir: Path
    socket: Path


def home_directory(env: Mapping[str, str]) -> Path:
    """$HOME, or the password database's word when it is unset (services, cron)."""
    home = env.get("HOME", "")
    if os.path.isabs(home):
        return Path(home)
    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        return Path("/")


def default_paths(*, is_system: bool, env: Mapping[str, str], platform: str = sys.platform) -> DefaultPaths:
    """The table 'Files': system service or user, macOS by platformdirs."""
    if is_system:
        return _system_paths(env)
    if platform == "darwin":
        return _macos_paths()
    home = home_directory(env)
    state_dir = _xdg(env, "XDG_STATE_HOME", home / ".local/state") / "syncd"
    runtime = env.get("XDG_RUNTIME_DIR", "")
    return DefaultPaths(
        config=_xdg(env, "XDG_CONFIG_HOME", home / ".config") / "syncd/syncd.toml",
        state_dir=state_dir,
        socket=(Path(runtime) / "syncd" if os.path.isabs(runtime) else state_dir) / "syncd.sock",
    )


def _system_paths(env: Mapping[str, str]) -> DefaultPaths:
    state = env.get("STATE_DIRECTORY", "").split(":")[0]
    runtime = env.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return DefaultPaths(
        config=Path("/etc/syncd/syncd.toml"),
        state_dir=Path(state or "/var/lib/syncd"),
        socket=Path(runtime or "/run/syncd") / "syncd.sock",
    )


def _macos_paths() -> DefaultPaths:
    from platformdirs.macos import MacOS

    base = Path(MacOS("syncd", appauthor=False).user_data_dir)
    return DefaultPaths(config=base / "syncd.toml", state_dir=base / "state", socket=base / "syncd.sock")


def _xdg(env: Mapping[str, str], name: str, fallback: Path) -> Path:
    """The XDG base directory rule: a relative value is as good as none."""
    value = env.get(name, "")
    return Path(value) if os.path.isabs(value) else fallback


def socket_candidates(env: Mapping[str, str], *, platform: str = sys.platform) -> tuple[Path, ...]:
    """The sockets that `syncctl` tries, in order: SYNCD_SOCKET alone, else the user's, then the system's."""
    override = env.get("SYNCD_SOCKET")
    if override:
        return (Path(override),)
    user = default_paths(is_system=False, env=env, platform=platform).socket
    system = default_paths(is_system=True, env=env, platform=platform).socket
    return (user,) if user == system else (user, system)


def roots_key(source: str, destination: str) -> str:
    """The state key of a pair that has no name: a digest of its canonical roots, never a valid pair name."""
    import hashlib

    canonical = "\0".join(os.path.realpath(root) for root in (source, destination))
    return "@" + hashlib.sha256(os.fsencode(canonical)).hexdigest()[:32]


def pair_state_dir(state_dir: Path, key: str) -> Path:
    """The directory that holds everything syncd remembers of one pair (`PairConfig.key`)."""
    return state_dir / "pairs" / key
