"""One pair of real directories, synchronised in this process by the engine that the programs run."""

import os
from pathlib import Path

import msgspec

from syncd.core.mode import Mode
from syncd.core.rules import Policy
from syncd.daemon.config import PairConfig, adhoc_pair
from syncd.daemon.oneshot import Outcome, sync_once
from syncd.daemon.paths import pair_state_dir

OLD_NS = 1_600_000_000_123_456_789


class Desk:
    """`source` and `destination` are directories; `told` is what the last run published."""

    def __init__(self, home: Path, *, mode: Mode = Mode.TWO_WAY, conflict: Policy | None = None) -> None:
        self.source, self.destination = home / "a", home / "b"
        self.state_dir = home / "state"
        self.told: list[tuple[str, bytes | None, dict[str, object]]] = []
        self.source.mkdir()
        self.destination.mkdir()
        roots = str(self.source), str(self.destination)
        self.config: PairConfig = adhoc_pair(
            *roots, env={}, state_dir=self.state_dir, mode=mode, conflict=conflict
        )

    def set(self, **changes: object) -> None:
        """Change the pair's configuration."""
        self.config = msgspec.structs.replace(self.config, **changes)

    @property
    def database(self) -> Path:
        return pair_state_dir(self.state_dir, self.config.key) / "state.db"

    def write(self, path: Path, data: bytes, mtime_ns: int = OLD_NS) -> None:
        path.write_bytes(data)
        os.utime(path, ns=(mtime_ns, mtime_ns))

    async def sync(self, *, approves: bool = False) -> Outcome:
        self.told = []
        return await sync_once(self.config, self.state_dir, self._hear, approves_holds=approves)

    def _hear(self, kind: str, path: bytes | None = None, /, **data: object) -> None:
        self.told.append((kind, path, data))

    def heard(self, kind: str) -> list[tuple[bytes | None, dict[str, object]]]:
        """Events of one kind, in order."""
        return [(path, data) for one, path, data in self.told if one == kind]


def contents(root: Path) -> dict[str, bytes]:
    """Every visible file beneath `root`."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".syncd" not in path.relative_to(root).parts
    }
