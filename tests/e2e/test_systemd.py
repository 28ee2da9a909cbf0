"""The daemon under a real systemd: start, reload, watchdog, stop, and work from within the sandbox.

systemd runs as PID 1 of namespaces of its own (`boot_systemd.sh`). Needs root, unshare and systemd.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncd.daemon.config import Config, DaemonConfig, PairConfig
from syncd.daemon.install import plan_install

PATIENCE_S = 60.0
PROGRAM = Path("/opt/syncd-test/bin/syncd")
REPOSITORY = Path(__file__).parents[2]
BOOT = Path(__file__).with_name("boot_systemd.sh")
SYSTEMD = Path("/lib/systemd/systemd")
WATCHDOG_S = 3

WHY_NOT = (
    "needs root"
    if sys.platform != "linux" or os.geteuid() != 0
    else "needs unshare and nsenter (apt install util-linux)"
    if not (shutil.which("unshare") and shutil.which("nsenter"))
    else "needs systemd (apt install systemd)"
    if not SYSTEMD.exists()
    else ""
)
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=f"systemd in namespaces {WHY_NOT}")


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"in vain: {what}")
        time.sleep(0.05)


class Machine:
    """A booted systemd; `root` is its file system as seen from here."""

    def __init__(self, leader: int) -> None:
        self.leader = leader
        self.root = Path(f"/proc/{leader}/root")

    def run(self, *command: str, timeout_s: float = PATIENCE_S) -> str:
        done = subprocess.run(
            ["nsenter", "--target", str(self.leader), "--all", *command],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return done.stdout.strip() + done.stderr.strip()

    def show(self, name: str) -> str:
        return self.run("systemctl", "show", "--value", "--property", name, "syncd.service")

    def is_active(self) -> bool:
        return self.run("systemctl", "is-active", "syncd.service") == "active"

    def log(self) -> str:
        return self.run("journalctl", "--no-pager", "--unit", "syncd.service")

    def expect(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for it; fail with what the machine has to say."""
        try:
            wait_until(holds, what)
        except pytest.fail.Exception as error:
            status = self.run("systemctl", "status", "--no-pager", "syncd.service")
            pytest.fail(f"{error}\n{self.log()[-6000:]}\n{status}")


def lay_out(files: Path) -> None:
    """What lies over the machine's root: the program, the units that the installer makes, a pair."""
    config = Config(
        DaemonConfig(socket=Path("/run/syncd/syncd.sock"), state_dir=Path("/var/lib/syncd")),
        tuple(
            PairConfig(name=name, source=f"/srv/{name}/a", destination=f"/srv/{name}/b", key=name)
            for name in ("one", "two")
        ),
        Path("/etc/syncd/syncd.toml"),
    )
    done = plan_install(config, program=PROGRAM, is_user=False, env={}, platform="linux")
    for file in done.files:
        put(files, str(file.path), file.content.decode())
    put(
        files,
        "/etc/systemd/system/syncd.service.d/20-test.conf",
        f"""\
[Service]
WatchdogSec={WATCHDOG_S}
TimeoutAbortSec=1
""",
    )
    for kind, unit in (("multi-user", "syncd.service"), ("sockets", "syncd.socket")):
        wants = files / f"etc/systemd/system/{kind}.target.wants"
        wants.mkdir(parents=True)
        (wants / unit).symlink_to(f"../{unit}")
    put(
        files,
        str(PROGRAM),
        """\
#!/opt/syncd-test/prefix/bin/python3
import sys
sys.path.insert(0, "/opt/syncd-test/repository")
from syncd.cli.syncd import main
sys.exit(main())
""",
    )
    (files / PROGRAM.relative_to("/")).chmod(0o755)
    put(files, "/etc/syncd/pairs.d/one.toml", pair_file("one"))
    for name in ("one", "two"):
        (files / f"srv/{name}/a").mkdir(parents=True)
        (files / f"srv/{name}/b").mkdir()
    put(files, "/srv/one/a/first", "hello")
    os.chown(files / "srv/one/b", 12345, 12345)


def put(files: Path, path: str, text: str) -> None:
    target = files / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def pair_file(name: str) -> str:
    return f'[pair.{name}]\nsource = "/srv/{name}/a"\ndestination = "/srv/{name}/b"\nsettle = "0s"\n'


def child_of(parent: int) -> int:
    try:
        return int(Path(f"/proc/{parent}/task/{parent}/children").read_text().split()[0])
    except (OSError, IndexError):
        return 0


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    base = tmp_path_factory.mktemp("systemd")
    base.chmod(0o755)
    files = base / "files"
    lay_out(files)
    with (base / "console").open("wb") as console:
        command: list[str | Path] = [BOOT, base / "work", files, sys.prefix, REPOSITORY]
        boot = subprocess.Popen(command, stdout=console, stderr=console)
    try:
        wait_until(lambda: boot.poll() is not None or is_systemd(child_of(boot.pid)), "systemd")
        if boot.poll() is not None:
            pytest.skip(f"systemd in namespaces does not boot here: {(base / 'console').read_text()[-300:]}")
        booted = Machine(child_of(boot.pid))
        booted.expect(lambda: not booted.run("systemctl", "is-system-running").startswith("Failed"), "bus")
        yield booted
    finally:
        boot.kill()
        boot.wait()


def is_systemd(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "systemd"
    except OSError:
        return False


def test_it_starts_and_says_ready(machine: Machine) -> None:
    """LIF-03: with Type=notify active means that READY=1 came."""
    machine.expect(machine.is_active, "active")
    assert machine.show("NRestarts") == "0"
    assert machine.show("StatusText")


def test_it_works_from_within_the_sandbox(machine: Machine) -> None:
    first = machine.root / "srv/one/b/first"
    machine.expect(first.exists, "the first file")
    assert first.read_text() == "hello"
    assert first.stat().st_uid == 12345
    (machine.root / "srv/one/a/second").write_text("2")
    machine.expect((machine.root / "srv/one/b/second").exists, "the second file")


def test_it_knows_the_boot_within_the_sandbox(machine: Machine) -> None:
    """Else it would take a power cut for a kill."""
    state = machine.root / "var/lib/syncd/pairs/one"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
    pages = b"".join(file.read_bytes() for file in state.glob("state.db*"))
    assert f'"attachment":"{boot}:'.encode() in pages


def test_the_socket_is_the_service_managers(machine: Machine) -> None:
    assert machine.run("systemctl", "is-active", "syncd.socket") == "active"
    socket = machine.root / "run/syncd/syncd.sock"
    assert socket.stat().st_mode & 0o777 == 0o660


def test_it_reloads(machine: Machine) -> None:
    pid = machine.show("MainPID")
    (machine.root / "srv/two/a/f").write_text("2")
    (machine.root / "etc/syncd/pairs.d/two.toml").write_text(pair_file("two"))
    assert machine.run("systemctl", "reload", "syncd.service") == ""
    machine.expect((machine.root / "srv/two/b/f").exists, "the new pair")
    machine.expect(machine.is_active, "active after the reload")
    assert machine.show("MainPID") == pid


def test_a_hung_daemon_is_restarted_by_the_watchdog(machine: Machine) -> None:
    pid = machine.show("MainPID")
    # Fed in time, it lives longer than its watchdog.
    time.sleep(WATCHDOG_S * 1.5)
    assert machine.show("MainPID") == pid
    machine.run("kill", "-STOP", pid)
    machine.expect(lambda: machine.show("NRestarts") == "1", "the restart")
    machine.expect(machine.is_active, "active after the restart")
    assert machine.show("MainPID") != pid
    (machine.root / "srv/one/a/third").write_text("3")
    machine.expect((machine.root / "srv/one/b/third").exists, "the third file")


def test_it_stops_in_time(machine: Machine) -> None:
    """LIF-01."""
    machine.run("systemctl", "stop", "syncd.service", timeout_s=10)
    assert machine.show("Result") == "success"
    assert machine.show("ExecMainStatus") == "0"
    assert machine.run("systemctl", "is-active", "syncd.socket") == "active"


def test_a_bad_configuration_is_not_tried_again(machine: Machine) -> None:
    (machine.root / "etc/syncd/pairs.d/two.toml").write_text("[pair.two]\nsorce = 1\n")
    machine.run("systemctl", "start", "syncd.service")
    machine.expect(lambda: machine.show("ActiveState") == "failed", "failed")
    assert machine.show("ExecMainStatus") == "78"
