"""Where config, state and socket live by default, and the state directory of each pair.

The environment comes in as an argument, so that nothing here depends on the process that asks. Imports
little, pathlib only where a Path is made (and platformdirs on macOS): `syncctl` uses it at start.
"""

import os
import pwd
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class DefaultPaths(NamedTuple):
    """The default places of one installation: the system's or one user's."""

    config: "Path"
    state_dir: "Path"
    socket: "Path"


def home_directory(env: Mapping[str, str]) -> "Path":
    """$HOME, or the password database's word when it is unset (services, cron)."""
    from pathlib import Path

    return Path(_home(env))


def default_paths(*, is_system: bool, env: Mapping[str, str], platform: str = sys.platform) -> DefaultPaths:
    """The table 'Files': system service or user, macOS by platformdirs."""
    from pathlib import Path

    return DefaultPaths(*map(Path, _places(is_system=is_system, env=env, platform=platform)))


def socket_candidates(env: Mapping[str, str], *, platform: str = sys.platform) -> tuple[str, ...]:
    """The sockets that `syncctl` tries, in order: SYNCD_SOCKET alone, else the user's, then the system's."""
    override = env.get("SYNCD_SOCKET")
    if override:
        return (override,)
    *_, user = _places(is_system=False, env=env, platform=platform)
    *_, system = _places(is_system=True, env=env, platform=platform)
    return (user,) if user == system else (user, system)


def _places(*, is_system: bool, env: Mapping[str, str], platform: str) -> tuple[str, str, str]:
    """Config, state directory, socket."""
    if is_system:
        state_dir = env.get("STATE_DIRECTORY", "").split(":")[0] or "/var/lib/syncd"
        runtime = env.get("RUNTIME_DIRECTORY", "").split(":")[0] or "/run/syncd"
        return "/etc/syncd/syncd.toml", state_dir, f"{runtime}/syncd.sock"
    if platform == "darwin":
        return _macos_places()
    config = _xdg(env, "XDG_CONFIG_HOME", ".config")
    state_dir = _xdg(env, "XDG_STATE_HOME", ".local/state")
    runtime = env.get("XDG_RUNTIME_DIR", "")
    beside = os.path.join(runtime, "syncd") if os.path.isabs(runtime) else state_dir
    return f"{config}/syncd.toml", state_dir, f"{beside}/syncd.sock"


def _macos_places() -> tuple[str, str, str]:
    from platformdirs.macos import MacOS

    base = MacOS("syncd", appauthor=False).user_data_dir
    return f"{base}/syncd.toml", f"{base}/state", f"{base}/syncd.sock"


def _xdg(env: Mapping[str, str], name: str, fallback: str) -> str:
    """Our directory in an XDG base directory: a relative value is as good as none."""
    value = env.get(name, "")
    return os.path.join(value if os.path.isabs(value) else os.path.join(_home(env), fallback), "syncd")


def _home(env: Mapping[str, str]) -> str:
    home = env.get("HOME", "")
    if os.path.isabs(home):
        return home
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return "/"


def roots_key(source: str, destination: str) -> str:
    """The state key of a pair that has no name: a digest of its canonical roots, never a valid pair name."""
    import hashlib

    canonical = "\0".join(os.path.realpath(root) for root in (source, destination))
    return "@" + hashlib.sha256(os.fsencode(canonical)).hexdigest()[:32]


def pair_state_dir(state_dir: "Path", key: str) -> "Path":
    """The directory that holds everything syncd remembers of one pair (`PairConfig.key`)."""
    return state_dir / "pairs" / key
