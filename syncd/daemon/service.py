"""Words to the service manager (sd_notify): ready, reloading, stopping, status, watchdog.

Without a manager every word goes nowhere. A manager that cannot be reached is no reason to fail.
"""

import contextlib
import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """Sends datagrams to `address`; None: there is no manager.

    `watchdog_interval_s` is the time after which a silent daemon is restarted; None: no watchdog.
    """

    def __init__(self, address: str | None, watchdog_interval_s: float | None = None) -> None:
        self.watchdog_interval_s = watchdog_interval_s
        # A leading @ is an abstract name.
        self._address = "\0" + address[1:] if address and address[0] == "@" else address

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], pid: int | None = None) -> "Notifier":
        """What systemd told this process; another process's watchdog (WATCHDOG_PID) is not ours to feed."""
        address = environment.get("NOTIFY_SOCKET") or None
        own = str(os.getpid() if pid is None else pid)
        usec = environment.get("WATCHDOG_USEC", "")
        is_fed = usec.isdecimal() and int(usec) > 0 and environment.get("WATCHDOG_PID", own) == own
        return cls(address, int(usec) / 1e6 if is_fed else None)

    def ready(self, status: str) -> None:
        """Started, or reloaded."""
        self._send("READY=1", _status(status))

    def reloading(self) -> None:
        """A reload begins; `ready` ends it. The time stamp lets systemd tell it from an older one."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send(_status(text))

    def watchdog(self) -> None:
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.setblocking(False)
            out.sendto("\n".join(lines).encode(), self._address)


def _status(text: str) -> str:
    return "STATUS=" + text.replace("\n", " ")
