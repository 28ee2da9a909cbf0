"""Every cell of the mode table on real directories, three ways: by events alone, after a restart of the
daemon with changes made while it was down, and by `syncd sync`.

The rows are in `modes_table.py` and `modes_more.py`. A way runs all its trials once (a daemon serves a few
dozen pairs at a time, one for each trial); every trial is then a test of what was found.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest

from tests.e2e import modes_more, modes_table
from tests.e2e.kit import Daemon, Pair, Zygote, contents, snapshot, trash, write
from tests.e2e.modes_words import DESTINATION_S, OLD_S, SOURCE_S, TRIALS, Edit, End, Record, Trial

del modes_more, modes_table

WAVE = 20
"""Pairs that a daemon serves at once: two inotify instances each, and a user has 128 for all daemons."""
LONG_SETTLE = "20s"
PATIENCE_S = 20.0
KEEP = "keep"
MEMORY = Path("/dev/shm")
"""A thousand runs of a command sync a few thousand files: where that costs nothing."""


class Found(msgspec.Struct):
    """What a trial came to, and what a further sync did to it."""

    end: End
    trouble: list[str] = msgspec.field(default_factory=list)


class Field:
    """One trial laid out: a pair of directories."""

    def __init__(self, home: Path, number: int, trial: Trial) -> None:
        self.trial = trial
        self.pair = Pair(home, f"{number:03}-{re.sub('[^a-z0-9]+', '-', trial.name.lower())}"[:60])
        self.pair.make()
        self.found: Found | None = None

    @property
    def is_two_sided(self) -> bool:
        """The edits must be seen together, by an engine that may look between any two of them."""
        return bool(self.trial.at_source and self.trial.at_destination)

    def normal(self, end: End) -> End:
        """A directory has no stamp to name a conflict copy after: such names are compared without."""
        return end if "(conflict *)" not in str(self.trial.end) else without_stamps(end)

    def configured(self, settings: Mapping[str, object], **more: str) -> Pair:
        self.pair.settings = {**settings, **more}  # type: ignore[dict-item]
        return self.pair

    def lay(self) -> None:
        """What is there before the pair is served first."""
        trial = self.trial
        if trial.start is None:
            self._keep(self.pair.source)
            self._keep(self.pair.destination)
            self.edit()
            return
        root = self.pair.destination if str(trial.before["mode"]).startswith("dest") else self.pair.source
        if not trial.bare:
            self._keep(root)
        for name, text in trial.start.items():
            if name.endswith("/"):
                (root / name).mkdir(parents=True, exist_ok=True)
            elif name.endswith("@"):
                (root / name[:-1]).symlink_to(text)
            else:
                write(root / name, text, mtime_s=OLD_S)

    def _keep(self, root: Path) -> None:
        write(root / KEEP, KEEP, mtime_s=OLD_S)

    def edit(self) -> None:
        """The user's changes, at both sides."""
        make(self.trial.at_source, self.pair.source, SOURCE_S)
        make(self.trial.at_destination, self.pair.destination, DESTINATION_S)

    def edit_late(self) -> None:
        make(self.trial.late[0], self.pair.source, SOURCE_S)
        make(self.trial.late[1], self.pair.destination, DESTINATION_S)

    def look(self, outcome: str, hold: str, records: Sequence[Record]) -> End:
        """How it stands now, in the words of the table."""
        seen = snapshot(self.pair.source)
        modes = {name: seen[name.encode()].mode for name in self.trial.end.modes if name.encode() in seen}
        end = End(
            source=visible(self.pair.source),
            destination=visible(self.pair.destination),
            source_trash=kept(self.pair.source),
            destination_trash=kept(self.pair.destination),
            records=sorted(records),
            outcome=outcome,
            hold=hold,
            modes=modes,
        )
        return self.normal(end)

    def is_as_expected(self) -> bool:
        """Trees and trash; the rest is asked once these are so."""
        expected = self.expected()
        now = self.look(expected.outcome, expected.hold, expected.records)
        return bool(msgspec.to_builtins(now) == msgspec.to_builtins(expected))

    def _with_keep(self, tree: Mapping[str, str]) -> dict[str, str]:
        return dict(tree) if self.trial.bare else {**tree, KEEP: KEEP}

    def expected(self) -> End:
        end = self.trial.end
        return msgspec.structs.replace(
            end,
            source=self._with_keep(end.source),
            destination=self._with_keep(end.destination),
            source_trash=sorted(end.source_trash),
            destination_trash=sorted(end.destination_trash),
            records=sorted(end.records),
            modes=dict(end.modes),
        )

    def unequal(self) -> list[str]:
        """Names that both sides hold alike but for mode bits, or for an mtime that should have travelled."""
        source, destination = snapshot(self.pair.source), snapshot(self.pair.destination)
        found = []
        for path in source.keys() & destination.keys():
            one, two = source[path], destination[path]
            if not path or (one.kind, one.content) != (two.kind, two.content):
                continue
            if one.mode != two.mode:
                found.append(f"mode of {path!r}: {one.mode:o} {two.mode:o}")
            if one.kind == "file" and one.mtime_ns != two.mtime_ns and not self._has_own_stamps():
                found.append(f"mtime of {path!r}: {one.mtime_ns} {two.mtime_ns}")
        return sorted(found)

    def _has_own_stamps(self) -> bool:
        """Were the bytes the same at both sides from the start?"""
        return any(word in self.trial.name for word in ("same bytes", "touched", "equal"))

    def stamps(self) -> list[object]:
        """All that a sync which has nothing to do must leave alone."""
        return [[snapshot(root), trash(root)] for root in self.pair.roots]


def without_stamps(end: End) -> End:
    def cut(tree: Mapping[str, str]) -> dict[str, str]:
        return {re.sub(r"\(conflict [^)]*\)", "(conflict *)", name): text for name, text in tree.items()}

    return msgspec.structs.replace(end, source=cut(end.source), destination=cut(end.destination))


def make(edits: Sequence[Edit], root: Path, when_s: float) -> None:
    for edit in edits:
        edit(root, when_s)


def visible(root: Path) -> dict[str, str]:
    return contents(root)


def kept(root: Path) -> list[str]:
    return sorted(os.fsdecode(one) for one in trash(root))


# The ways.


def waves(fields: Sequence[Field]) -> list[Sequence[Field]]:
    return [fields[start : start + WAVE] for start in range(0, len(fields), WAVE)]


def settle_of(field: Field) -> str:
    return LONG_SETTLE if field.is_two_sided else "100ms"


def by_events(home: Path, fields: Sequence[Field]) -> None:
    """One daemon; every change is made while it runs. Pairs come and go by reloads of its config."""
    with Daemon(home, ()) as daemon:
        for wave in waves(fields):
            for field in wave:
                field.lay()
            daemon.reload([field.configured(field.trial.before, settle=settle_of(field)) for field in wave])
            daemon.waited()
            shared = [field for field in wave if field.trial.start is not None]
            for field in shared:
                field.edit()
            flush(daemon, [field.pair.name for field in shared if field.is_two_sided])
            switched = [field for field in wave if field.trial.settings_before is not None]
            for field in wave:
                settled = field.is_as_expected if field not in switched else lambda: True
                await_quiet(daemon, field, settled)
            if switched:
                daemon.reload([field.pair for field in wave if field not in switched])
                for field in switched:
                    field.edit_late()
                daemon.reload(
                    [field.configured(field.trial.settings, settle=settle_of(field)) for field in wave]
                )
                daemon.waited(*[field.pair.name for field in switched])
            collect(daemon, wave)


def flush(daemon: Daemon, names: Sequence[str]) -> None:
    """Let the edits at both sides be seen together: when their events have come and wait to settle, run a
    cycle, which takes them at once."""
    before: list[object] = []
    deadline = time.monotonic() + PATIENCE_S
    while names and time.monotonic() < deadline:
        time.sleep(0.4)
        now: list[object] = [pair.pending for pair in daemon.status(*names).values()]
        if now == before:
            daemon.sync(*names)
            return
        before = now


def await_quiet(daemon: Daemon, field: Field, settled: Callable[[], bool]) -> None:
    """Nothing but events tells the daemon: wait for the end, or give up and let the comparison say why."""
    name = field.pair.name
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        status = daemon.status(name)[name]
        if settled() and status.state in ("idle", "held"):
            if not status.lag_s:
                return
            if field.is_two_sided:
                daemon.sync(name)  # the echo of its own work need not wait for the long settle time
        time.sleep(0.05)


def after_restart(home: Path, fields: Sequence[Field]) -> None:
    """The daemon is down while the changes are made."""
    for wave in waves(fields):
        for field in wave:
            field.lay()
        daemon = Daemon(home, [field.configured(field.trial.before) for field in wave])
        with daemon:
            daemon.waited()
        for field in wave:
            if field.trial.start is not None:
                field.edit()
        switched = [field for field in wave if field.trial.settings_before is not None]
        if switched:
            with daemon:
                daemon.waited(*[field.pair.name for field in switched])
        for field in switched:
            field.edit_late()
            field.configured(field.trial.settings)
        with daemon:
            daemon.waited()
            collect(daemon, wave)


def collect(daemon: Daemon, wave: Sequence[Field]) -> None:
    """Look at every pair, let it be scanned and synchronised again, and look whether anything moved."""
    names = [field.pair.name for field in wave]
    stands = {pair.name: pair for pair in daemon.waited(*names).pairs}
    status = daemon.status(*names)
    before = {}
    for field in wave:
        name = field.pair.name
        hold = status[name].hold
        records = [
            (record.path, record.kind, record.state, record.winner) for record in daemon.conflicts(name)
        ]
        end = field.look(stands[name].outcome, "" if hold is None else hold.reason, records)
        field.found = Found(end, field.unequal())
        before[name] = field.stamps()
    daemon.rescan(*names)
    for field in wave:
        assert field.found is not None
        if field.stamps() != before[field.pair.name]:
            field.found.trouble.append("a further sync changed something")
        if daemon.issues(field.pair.name) and field.found.end.outcome == "synced":
            field.found.trouble.append(str(daemon.issues(field.pair.name)))


OUTCOMES = {0: "synced", 3: "degraded", 5: "held"}


def by_command(home: Path, fields: Sequence[Field]) -> None:
    """`syncd sync`, a process for each run."""
    with Zygote(home) as zygote:
        for field in fields:
            command(zygote, field)


def command(zygote: Zygote, field: Field) -> None:
    trial = field.trial
    field.lay()
    told: list[Record] = []
    if trial.start is not None:
        first = zygote.sync(field.pair, *options_of(trial.before))
        assert first.code == 0, first
        field.edit()
    if trial.settings_before is not None:
        zygote.sync(field.pair, *options_of(trial.before))
        field.edit_late()
    run = zygote.sync(field.pair, *options_of(trial.settings))
    if not run.output:
        field.found = Found(field.look(f"exit {run.code}", "", []), [run.errors])
        return
    said = run.json()
    told += [(one["path"], one["reason"], "", None) for one in said["conflicts"] + said["reports"]]
    hold = said["hold"]["reason"] if said["hold"] else ""
    field.found = Found(field.look(OUTCOMES.get(run.code, f"exit {run.code}"), hold, told), field.unequal())
    before = field.stamps()
    again = zygote.sync(field.pair, *options_of(trial.settings))
    if again.code != run.code or not again.output or again.json()["done"]:
        field.found.trouble.append(f"a further sync: {again}")
    if field.stamps() != before:
        field.found.trouble.append("a further sync changed something")


def options_of(settings: Mapping[str, object]) -> list[str]:
    options = []
    for key, value in settings.items():
        for one in value if isinstance(value, list) else [value]:
            options += [f"--{key}", str(one)]
    return options


WAYS = {"events": by_events, "restart": after_restart, "command": by_command}


def fits(way: str, trial: Trial) -> bool:
    """`syncd sync` has no option for `pull_destination_changes`."""
    return way != "command" or "pull_destination_changes" not in trial.settings


Fields = dict[str, Field]


def run(way: str, home: Path) -> Fields:
    """All trials of one way."""
    trials = [trial for trial in TRIALS if fits(way, trial)]
    fields = {trial.name: Field(home, number, trial) for number, trial in enumerate(trials)}
    WAYS[way](home, list(fields.values()))
    return fields


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Fields]]]:
    """The ways that any selected test asks for, two at a time: each spends much of its time waiting."""
    asked = {
        str(item.callspec.params.get("way")) for item in request.session.items if hasattr(item, "callspec")
    }
    memory = MEMORY if os.access(MEMORY, os.W_OK) else tmp_path_factory.getbasetemp()
    with TemporaryDirectory(dir=memory) as quick, ThreadPoolExecutor(2) as pool:
        homes = {way: Path(quick) if way == "command" else tmp_path_factory.mktemp(way) for way in WAYS}
        yield {way: pool.submit(run, way, homes[way]) for way in WAYS if way in asked}


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest, runs: dict[str, Future[Fields]]) -> Fields:
    """All trials of one way, done."""
    return runs[request.param].result()


@pytest.mark.parametrize("name", [trial.name for trial in TRIALS])
def test_cell(way: Fields, name: str, request: pytest.FixtureRequest) -> None:
    if name not in way:
        pytest.skip("this way has no such option")
    field = way[name]
    assert field.found is not None
    expected = field.expected()
    if request.node.callspec.params["way"] == "command":
        expected = msgspec.structs.replace(expected, records=without_states(expected.records))
    assert msgspec.to_builtins(field.found.end) == msgspec.to_builtins(expected)
    assert field.found.trouble == []


def without_states(records: Sequence[Record]) -> list[Record]:
    """What `syncd sync` tells of a conflict."""
    return [(path, kind, "", None) for path, kind, _, _ in records]
