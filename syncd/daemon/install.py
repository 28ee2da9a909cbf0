"""`syncctl service install`: units for systemd, plists for launchd, and the drop-in for the roots.

`plan_install` only says what would be written; `carry_out` does it. The templates in `units/` are what
packagers ship as they are; here the path of the installed program is put in.
"""

import contextlib
import os
import plistlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path

import msgspec

from syncd.core.entry import Side
from syncd.core.error import SyncdError
from syncd.core.path import escape
from syncd.core.reason import Reason
from syncd.daemon.config import Config, PairConfig, load_config
from syncd.daemon.config_write import sync_directory
from syncd.daemon.paths import default_paths, home_directory

PACKAGED_PROGRAM = "/usr/bin/syncd"
LABEL = "org.syncd.syncd"
UNITS = ("syncd.service", "syncd.socket")
DROP_IN = "syncd.service.d/10-roots.conf"
SYSTEM_UNITS = Path("/etc/systemd/system")
PRIVATE_TMP = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108

Run = Callable[[Sequence[str]], int]


class InstalledFile(msgspec.Struct, frozen=True):
    """A file to write, and what it will hold."""

    path: Path
    content: bytes


class Installation(msgspec.Struct, frozen=True):
    """What installing comes to: files, commands run after them, what the user runs next, warnings."""

    files: tuple[InstalledFile, ...]
    commands: tuple[tuple[str, ...], ...]
    next_steps: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def install(*, is_user: bool, is_dry_run: bool) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """The command: the files written (or that would be) and the lines to run next; warnings are comments.

    Raises SyncdError, ConfigInvalid among them.
    """
    environment = dict(os.environ)
    config = load_config(None, is_system=not is_user, env=environment)
    planned = plan_install(config, program=find_program(), is_user=is_user, env=environment)
    problems = () if is_dry_run else carry_out(planned)
    remarks = tuple(f"# warning: {text}" for text in (*planned.warnings, *problems))
    return tuple(file.path for file in planned.files), (*remarks, *planned.next_steps)


def find_program(executable: str = sys.executable, which: Callable[[str], str | None] = shutil.which) -> Path:
    """The installed `syncd`: beside this interpreter (venv, pipx), else on PATH. Raises SyncdError."""
    beside = Path(executable).parent / "syncd"
    if os.access(beside, os.X_OK):
        return beside
    found = which("syncd")
    if found is None:
        raise SyncdError(Reason.BAD_REQUEST, "no installed 'syncd' program was found")
    return Path(found).absolute()


def plan_install(
    config: Config, *, program: Path, is_user: bool, env: Mapping[str, str], platform: str = sys.platform
) -> Installation:
    """What `service install` would do here. Raises SyncdError when a path cannot stand in a unit."""
    if platform == "darwin":
        return _plan_launchd(config, program, is_user, env, platform)
    return _plan_systemd(config, program, is_user, env, platform)


def carry_out(installation: Installation, run: Run | None = None) -> tuple[str, ...]:
    """Write the files, run the commands. Returns what went wrong with commands. Raises SyncdError."""
    for file in installation.files:
        _write(file)
    problems = []
    for command in installation.commands:
        try:
            status = (run or _run)(command)
        except OSError as error:
            status = error.errno or 1
        if status:
            problems.append(f"'{' '.join(command)}' failed ({status}); run it yourself")
    return tuple(problems)


def refresh_roots(
    config: Config, *, unit_directory: Path = Path("/etc/systemd/system")
) -> Installation | None:
    """After a pair was added: the new drop-in, None where no system unit is installed or nothing differs."""
    if not (unit_directory / "syncd.service").exists():
        return None
    file = InstalledFile(unit_directory / DROP_IN, roots_drop_in(config).encode())
    with contextlib.suppress(OSError):
        if file.path.read_bytes() == file.content:
            return None
    return Installation((file,), (("systemctl", "daemon-reload"),), ("systemctl restart syncd",))


def roots_drop_in(config: Config) -> str:
    """The drop-in: which paths the sandboxed unit may write. Raises SyncdError."""
    writable, readable = written_roots(config.pairs)
    own = [str(config.daemon.state_dir), str(config.daemon.socket.parent), str(config.path.parent)]
    defaults = default_paths(is_system=True, env={}, platform="linux")
    known = {str(defaults.state_dir), str(defaults.socket.parent), str(defaults.config.parent)}
    lines = ["# Written by 'syncctl service install' and 'syncctl pair add'; changes are lost.", "[Service]"]
    lines += [f"ReadWritePaths={_unit_path(path)}" for path in own if path not in known]
    lines += [f"ReadWritePaths={_unit_path(path)}" for path in writable]
    lines += [f"ReadOnlyPaths={_unit_path(path)}" for path in readable]
    if any(Path(path).is_relative_to(top) for path in (*writable, *readable) for top in PRIVATE_TMP):
        lines.append("PrivateTmp=no")
    if any(_is_remote(root) for pair in config.pairs for root in (pair.source, pair.destination)):
        lines.append("IPAddressAllow=any")
    return "\n".join(lines) + "\n"


def written_roots(pairs: Sequence[PairConfig]) -> tuple[list[str], list[str]]:
    """Local roots that some pair's mode writes, and those that none does. Sorted, each once."""
    written: set[str] = set()
    read: set[str] = set()
    for pair in pairs:
        for side, root in ((Side.SOURCE, pair.source), (Side.DESTINATION, pair.destination)):
            if not _is_remote(root):
                (written if pair.writes(side) else read).add(root)
    return sorted(written), sorted(read - written)


def _is_remote(root: str) -> bool:
    return "://" in root


def _plan_systemd(
    config: Config, program: Path, is_user: bool, env: Mapping[str, str], platform: str
) -> Installation:
    directory = _user_units(env) if is_user else SYSTEM_UNITS
    arguments = _arguments(config, is_user, env, platform)
    files = []
    for name in UNITS:
        text = _template("systemd/user" if is_user else "systemd", name).decode()
        if name == "syncd.service":
            command = " ".join(_unit_word(word) for word in (str(program), "run", *arguments))
            text = text.replace(f"{PACKAGED_PROGRAM} run", command)
        else:
            shown = "%t/syncd/syncd.sock" if is_user else "/run/syncd/syncd.sock"
            default = default_paths(is_system=not is_user, env=env if is_user else {}, platform=platform)
            if config.daemon.socket != default.socket:
                text = text.replace(shown, _unit_specifiers(str(config.daemon.socket)))
        files.append(InstalledFile(directory / name, text.encode()))
    if not is_user:
        files.append(InstalledFile(directory / DROP_IN, roots_drop_in(config).encode()))
    systemctl = ("systemctl", "--user") if is_user else ("systemctl",)
    steps = [
        f"{' '.join(systemctl)} enable --now syncd.socket syncd.service",
        f"{' '.join(systemctl)} restart syncd.service   # if it was running already",
    ]
    if is_user:
        steps.append("loginctl enable-linger   # to keep it running without a session")
    return Installation(
        tuple(files), ((*systemctl, "daemon-reload"),), tuple(steps), _warnings(program, is_user)
    )


def _plan_launchd(
    config: Config, program: Path, is_user: bool, env: Mapping[str, str], platform: str
) -> Installation:
    property_list = plistlib.loads(_template("launchd", f"{LABEL}.plist"))
    property_list["ProgramArguments"] = [str(program), "run", *_arguments(config, is_user, env, platform)]
    base = home_directory(env) if is_user else Path("/")
    if is_user:
        property_list["StandardErrorPath"] = str(base / "Library/Logs/syncd.log")
    path = base / "Library" / ("LaunchAgents" if is_user else "LaunchDaemons") / f"{LABEL}.plist"
    domain = "gui/$(id -u)" if is_user else "system"
    return Installation(
        (InstalledFile(path, plistlib.dumps(property_list)),),
        (),
        (
            f"launchctl bootout {domain}/{LABEL}   # if it was running already",
            f"launchctl bootstrap {domain} {path}",
        ),
        _warnings(program, is_user),
    )


def _arguments(config: Config, is_user: bool, env: Mapping[str, str], platform: str) -> tuple[str, ...]:
    """`-c FILE` where the config is not at its default place."""
    default = default_paths(is_system=not is_user, env=env if is_user else {}, platform=platform)
    return () if config.path == default.config else ("-c", str(config.path.absolute()))


def _warnings(program: Path, is_user: bool) -> tuple[str, ...]:
    """A root service should not run what someone else can replace."""
    if is_user:
        return ()
    found = []
    for path in (program, program.resolve()):
        for part in (path, *path.parents):
            with contextlib.suppress(OSError):
                if part.stat().st_uid != 0:
                    found.append(f"{escape(os.fsencode(part))} does not belong to root, and root will run it")
    return tuple(dict.fromkeys(found))


def _user_units(env: Mapping[str, str]) -> Path:
    config_home = env.get("XDG_CONFIG_HOME", "")
    base = Path(config_home) if os.path.isabs(config_home) else home_directory(env) / ".config"
    return base / "systemd/user"


def _template(directory: str, name: str) -> bytes:
    return resources.files("syncd.daemon").joinpath("units", directory, name).read_bytes()


def _unit_specifiers(text: str) -> str:
    """`%` begins a specifier. What cannot stand in a unit file at all is refused."""
    if any(char < " " or char == "\x7f" or "\ud800" <= char <= "\udfff" for char in text):
        shown = escape(os.fsencode(text))
        raise SyncdError(Reason.NAME_NOT_POSSIBLE, f"{shown}: systemd cannot be told this path")
    return text.replace("%", "%%")


def _unit_path(path: str) -> str:
    """A word of ReadWritePaths=, `-`: may be missing. Backslashes stand for themselves there."""
    word = "-" + _unit_specifiers(path)
    if not any(char in word for char in " '\""):
        return word
    if '"' in word and "'" in word:
        raise SyncdError(Reason.NAME_NOT_POSSIBLE, f"{path}: systemd cannot be told this path")
    return f"'{word}'" if '"' in word else f'"{word}"'


def _unit_word(word: str) -> str:
    """A word of ExecStart=: quoted, with escapes, specifiers and variables kept from working."""
    safe = _unit_specifiers(word).replace("\\", "\\\\").replace("$", "$$").replace('"', '\\"')
    return f'"{safe}"' if safe != word or " " in word or "'" in word else word


def _write(file: InstalledFile) -> None:
    """Replace the file at once, durably. Raises SyncdError(NOT_ALLOWED)."""
    temporary = file.path.with_name(f".{file.path.name}.new")
    try:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with open(descriptor, "wb") as out:
            out.write(file.content)
            os.fchmod(out.fileno(), 0o644)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(file.path)
        sync_directory(file.path.parent)
    except OSError as error:
        raise SyncdError(Reason.NOT_ALLOWED, f"{file.path}: {error.strerror}") from error


def _run(command: Sequence[str]) -> int:
    return subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode  # noqa: S603
