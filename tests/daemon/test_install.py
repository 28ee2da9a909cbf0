"""What `service install` writes, and that systemd takes it."""

import os
import plistlib
import shutil
import stat
import subprocess
from pathlib import Path

import msgspec
import pytest

from syncd.core.error import SyncdError
from syncd.core.mode import Mode
from syncd.core.reason import Reason
from syncd.daemon import install as module
from syncd.daemon.config import Config, DaemonConfig, PairConfig
from syncd.daemon.install import (
    Installation,
    InstalledFile,
    carry_out,
    find_program,
    plan_install,
    refresh_roots,
    roots_drop_in,
    written_roots,
)
from tests.durable import each_kill

PROGRAM = Path("/opt/syncd/bin/syncd")
ENV = {"HOME": "/home/me", "XDG_RUNTIME_DIR": "/run/user/1000"}
SYSTEM = DaemonConfig(socket=Path("/run/syncd/syncd.sock"), state_dir=Path("/var/lib/syncd"))
USER = DaemonConfig(
    socket=Path("/run/user/1000/syncd/syncd.sock"), state_dir=Path("/home/me/.local/state/syncd")
)


def pair(source: str, destination: str, mode: Mode = Mode.TWO_WAY) -> PairConfig:
    return PairConfig(name="p", source=source, destination=destination, key="p", mode=mode)


def system(*pairs: PairConfig, path: str = "/etc/syncd/syncd.toml", daemon: DaemonConfig = SYSTEM) -> Config:
    return Config(daemon, pairs, Path(path))


def user(*pairs: PairConfig) -> Config:
    return Config(USER, pairs, Path("/home/me/.config/syncd/syncd.toml"))


def planned(config: Config, *, is_user: bool = False, platform: str = "linux") -> dict[str, str]:
    done = plan_install(config, program=PROGRAM, is_user=is_user, env=ENV, platform=platform)
    return {str(file.path): file.content.decode() for file in done.files}


def test_the_system_service() -> None:
    files = planned(system(pair("/srv/a", "/mnt/b")))
    assert set(files) == {
        "/etc/systemd/system/syncd.service",
        "/etc/systemd/system/syncd.socket",
        "/etc/systemd/system/syncd.service.d/10-roots.conf",
    }
    assert "\nExecStart=/opt/syncd/bin/syncd run\n" in files["/etc/systemd/system/syncd.service"]
    assert "ListenStream=/run/syncd/syncd.sock\n" in files["/etc/systemd/system/syncd.socket"]


def test_the_user_service_has_no_drop_in() -> None:
    files = planned(user(pair("/home/me/a", "/home/me/b")), is_user=True)
    assert set(files) == {
        "/home/me/.config/systemd/user/syncd.service",
        "/home/me/.config/systemd/user/syncd.socket",
    }
    assert "ListenStream=%t/syncd/syncd.sock\n" in files["/home/me/.config/systemd/user/syncd.socket"]


def test_other_places_are_told() -> None:
    daemon = DaemonConfig(socket=Path("/srv/run/s.sock"), state_dir=Path("/srv/state 1"))
    files = planned(system(path="/srv/con fig/100%.toml", daemon=daemon))
    unit = files["/etc/systemd/system/syncd.service"]
    assert 'ExecStart=/opt/syncd/bin/syncd run -c "/srv/con fig/100%%.toml"\n' in unit
    assert "ListenStream=/srv/run/s.sock\n" in files["/etc/systemd/system/syncd.socket"]
    drop_in = files["/etc/systemd/system/syncd.service.d/10-roots.conf"].splitlines()
    assert drop_in[1:] == [
        "[Service]",
        'ReadWritePaths="-/srv/state 1"',
        "ReadWritePaths=-/srv/run",
        'ReadWritePaths="-/srv/con fig"',
    ]


def test_each_root_gets_what_its_mode_needs() -> None:
    config = system(
        pair("/srv/a", "/mnt/b"),
        pair("/srv/c", "/mnt/d", Mode.SOURCE_TO_DESTINATION),
        pair("/srv/a", "/mnt/e", Mode.SOURCE_BACKUP),
    )
    assert written_roots(config.pairs) == (["/mnt/b", "/mnt/d", "/mnt/e", "/srv/a"], ["/srv/c"])
    pulling = msgspec.structs.replace(config.pairs[2], source="/srv/p", pull_destination_changes=True)
    assert written_roots([pulling]) == (["/mnt/e", "/srv/p"], [])
    lines = roots_drop_in(config).splitlines()
    assert "ReadWritePaths=-/srv/a" in lines
    assert "ReadOnlyPaths=-/srv/c" in lines
    assert "PrivateTmp=no" not in lines
    assert "IPAddressAllow=any" not in lines


def test_trees_in_tmp_and_remote_ones_loosen_the_sandbox() -> None:
    lines = roots_drop_in(system(pair("/tmp/a", "hub+https://host/ws"))).splitlines()
    assert "PrivateTmp=no" in lines
    assert "IPAddressAllow=any" in lines
    assert not any("hub" in line for line in lines)


@pytest.mark.parametrize(
    ("root", "word"),
    [
        ("/srv/a b", '"-/srv/a b"'),
        ("/srv/50%", "-/srv/50%%"),
        ('/srv/"', "'-/srv/\"'"),
        ("/srv/'", '"-/srv/\'"'),
        ("/srv/a\\b", "-/srv/a\\b"),
    ],
)
def test_paths_are_quoted(root: str, word: str) -> None:
    assert f"ReadWritePaths={word}" in roots_drop_in(system(pair(root, "/mnt/b"))).splitlines()


@pytest.mark.parametrize("root", ["/srv/a\nExecStart=/bin/evil", "/srv/'\"", os.fsdecode(b"/srv/\xff")])
def test_paths_that_systemd_cannot_be_told_are_refused(root: str) -> None:
    with pytest.raises(SyncdError) as caught:
        roots_drop_in(system(pair(root, "/mnt/b")))
    assert caught.value.reason is Reason.NAME_NOT_POSSIBLE
    assert "\n" not in caught.value.detail


def test_exec_start_is_quoted() -> None:
    program = Path('/opt/my "$HOME"/syncd')
    done = plan_install(system(), program=program, is_user=False, env={}, platform="linux")
    assert 'ExecStart="/opt/my \\"$$HOME\\"/syncd" run\n' in done.files[0].content.decode()


def test_a_program_that_others_can_replace_is_pointed_out(tmp_path: Path) -> None:
    program = tmp_path / "syncd"
    program.touch()
    if os.geteuid() == 0:
        os.chown(program, 12345, -1)
    done = plan_install(system(), program=program, is_user=False, env={}, platform="linux")
    assert any(str(program) in warning for warning in done.warnings)
    assert not plan_install(user(), program=program, is_user=True, env=ENV, platform="linux").warnings


@pytest.mark.parametrize("is_user", [True, False])
def test_launchd(is_user: bool) -> None:
    done = plan_install(
        Config(USER, (), Path("/x/syncd.toml")), program=PROGRAM, is_user=is_user, env=ENV, platform="darwin"
    )
    (file,) = done.files
    base = "/home/me/Library/LaunchAgents" if is_user else "/Library/LaunchDaemons"
    assert str(file.path) == f"{base}/org.syncd.syncd.plist"
    content = plistlib.loads(file.content)
    assert content["Label"] == "org.syncd.syncd"
    assert content["ProgramArguments"] == [str(PROGRAM), "run", "-c", "/x/syncd.toml"]
    log = "/home/me/Library/Logs/syncd.log" if is_user else "/var/log/syncd.log"
    assert content["StandardErrorPath"] == log


def test_carry_out_replaces_files_and_reports_commands(tmp_path: Path) -> None:
    path = tmp_path / "new/unit"
    path.parent.mkdir()
    path.write_text("old")
    (tmp_path / "new/.unit.new").write_text("left by a crash")
    installation = Installation((InstalledFile(path, b"unit"),), (("good",), ("bad",), ("none",)), ())

    def run(command: "tuple[str, ...] | list[str] | object") -> int:
        assert isinstance(command, tuple)
        if command == ("none",):
            raise FileNotFoundError(2, "no such program")
        return 0 if command == ("good",) else 3

    problems = carry_out(installation, run)
    assert path.read_bytes() == b"unit"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(path.parent) == ["unit"]
    assert [problem.split()[0] for problem in problems] == ["'bad'", "'none'"]


def test_cra_09_a_unit_is_the_old_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "unit"
    path.write_bytes(b"old")
    for _ in each_kill(lambda: carry_out(Installation((InstalledFile(path, b"new"),), (), ()))):
        assert path.read_bytes() in (b"old", b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["unit"]


def test_carry_out_says_what_it_may_not_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SyncdError) as caught:
        carry_out(Installation((InstalledFile(tmp_path / "file/unit", b""),), (), ()))
    assert caught.value.reason is Reason.NOT_ALLOWED


def test_commands_are_really_run() -> None:
    assert carry_out(Installation((), (("true",), ("false",)), ())) == (
        "'false' failed (1); run it yourself",
    )


def test_the_drop_in_follows_a_new_pair(tmp_path: Path) -> None:
    config = system(pair("/srv/a", "/mnt/b"))
    assert refresh_roots(config, unit_directory=tmp_path) is None
    (tmp_path / "syncd.service").touch()
    change = refresh_roots(config, unit_directory=tmp_path)
    assert change is not None
    assert change.next_steps == ("systemctl restart syncd",)
    carry_out(change, lambda _: 0)
    assert "/srv/a" in (tmp_path / "syncd.service.d/10-roots.conf").read_text()
    assert refresh_roots(config, unit_directory=tmp_path) is None


def test_find_program(tmp_path: Path) -> None:
    beside = tmp_path / "syncd"
    assert find_program(str(tmp_path / "python"), lambda _: "/usr/bin/syncd") == Path("/usr/bin/syncd")
    beside.touch(0o755)
    assert find_program(str(tmp_path / "python"), lambda _: None) == beside
    beside.unlink()
    with pytest.raises(SyncdError):
        find_program(str(tmp_path / "python"), lambda _: None)


def test_install_writes_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("SYNCD_SOCKET", raising=False)
    monkeypatch.setattr(module, "find_program", lambda: PROGRAM)
    monkeypatch.setattr(module, "_run", lambda _: 1)
    files, steps = module.install(is_user=True, is_dry_run=True)
    assert len(files) == 2
    assert not any(file.exists() for file in files)
    assert any("enable --now" in step for step in steps)
    files, steps = module.install(is_user=True, is_dry_run=False)
    assert all(file.exists() for file in files)
    assert steps[0].startswith("# warning: 'systemctl --user daemon-reload' failed")


needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (apt install systemd)"
)


@needs_systemd
@pytest.mark.parametrize("is_user", [True, False])
def test_systemd_takes_the_units(tmp_path: Path, is_user: bool) -> None:
    config = user() if is_user else system(pair("/srv/a b%", "/mnt/b"))
    done = plan_install(config, program=Path("/bin/true"), is_user=is_user, env=ENV, platform="linux")
    base = done.files[0].path.parent
    units = []
    for file in done.files:
        path = tmp_path / file.path.relative_to(base)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(file.content)
        if path.parent == tmp_path:
            units.append(str(path))
    command = ["systemd-analyze", "verify", "--man=no", *(["--user"] if is_user else []), *units]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    checked = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (checked.returncode, checked.stderr) == (0, "")


@needs_systemd
def test_the_sandbox_is_tight(tmp_path: Path) -> None:
    (tmp_path / "syncd.service").write_text(planned(system())["/etc/systemd/system/syncd.service"])
    checked = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(tmp_path / "syncd.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
