"""Figures as a Markdown page, with what a reader needs to weigh them: date, versions, machine, spread."""

import os
import platform
import resource
import sqlite3
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.cases import Result, Sizes
from benchmarks.measure import Figure, Run, figure, ratio
from benchmarks.peers import Peer

HEAD = """# Performance

<!-- Written by `make bench`{full}; do not edit. -->

Measured {date} with syncd and the peers that were installed, in turn and shuffled, {rounds} rounds.
Times are medians (least – most). A ratio is syncd's time over the peer's, round by round; below 1 syncd is
faster. CPU is that of the whole process tree. A first copy includes putting the data on disk: syncd does that
itself, a `sync -f` is added to the others. syncd's time includes the start of the Python interpreter. "walk"
is a C program that lists and stats both trees and does nothing else.

| | |
|---|---|
{machine}
"""


def describe(folder: Path) -> dict[str, str]:
    """The machine in general words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor cores": str(os.cpu_count()),
        "memory": f"{memory / 2**30:.0f} GiB",
        "file system": filesystem(folder),
        "kernel": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "Python": f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}",
    }


def filesystem(folder: Path) -> str:
    """The type of the file system that holds `folder`."""
    best, kind = "", "unknown"
    try:
        mounts = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return kind
    for line in mounts:
        _, mount, found, *_ = line.split()
        if str(folder).startswith(mount) and len(mount) >= len(best):
            best, kind = mount, found
    return kind


def spell(value: Figure, *, unit: str = "s") -> str:
    digits = 2 if value.median < 10 else 1
    return f"{value.median:.{digits}f} {unit} ({value.least:.{digits}f} – {value.most:.{digits}f})"


def spell_ratio(value: Figure) -> str:
    return f"**{value.median:.2f}** ({value.least:.2f} – {value.most:.2f})"


def spell_memory(runs: Sequence[Run]) -> str:
    """A child's peak begins with the size of this program, which started it: less cannot be told."""
    most = max(run.rss_bytes for run in runs) >> 20
    floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return f"{most} MiB" if most > floor else f"≤ {floor} MiB"


def case_table(result: Result) -> str:
    rows = [
        "| | wall | CPU | largest process | wall, syncd ÷ it | CPU, syncd ÷ it |",
        "|---|---|---|---|---|---|",
    ]
    mine = result.runs.get("syncd", [])
    for name, runs in result.runs.items():
        wall, cpu = [run.wall_s for run in runs], [run.cpu_s for run in runs]
        cells = [
            name,
            spell(figure(wall)),
            spell(figure(cpu)),
            f"{max(run.rss_bytes for run in runs) >> 20} MiB",
        ]
        if name == "syncd" or not mine:
            cells += ["", ""]
        else:
            cells.append(spell_ratio(ratio([run.wall_s for run in mine], wall)))
            cells.append(spell_ratio(ratio([run.cpu_s for run in mine], cpu)))
        rows.append("| " + " | ".join(cells) + " |")
    note = ""
    if result.probes:
        probes = figure(result.probes)
        note = (
            f"\nCreating an empty file here took {probes.median:.0f} µs "
            f"({probes.least:.0f} – {probes.most:.0f}) just before the runs.\n"
        )
    return f"## {result.case[0].upper()}{result.case[1:]}\n\n" + "\n".join(rows) + "\n" + note


def event_table(events: Mapping[str, Mapping[str, Sequence[float]]], sizes: Sizes) -> str:
    columns = ["", "one file, p50", "p95", f"burst of {sizes.burst} files"]
    columns.append(f"rename of a directory with {sizes.renamed_files} files")
    lines = [
        "## By events, with the daemon running",
        "",
        f"| {' | '.join(columns)} |",
        "|---|---|---|---|---|",
    ]
    for settle, found in events.items():
        ones = sorted(found["one file"])
        cells = [
            statistics.median(ones),
            ones[int(len(ones) * 0.95)],
            found["burst"][0],
            found["directory rename"][0],
        ]
        lines.append(f"| settle {settle} | " + " | ".join(f"{cell * 1000:.0f} ms" for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def page(
    results: Sequence[Result],
    events: Mapping[str, Mapping[str, Sequence[float]]],
    peers: Sequence[Peer],
    skipped: Sequence[str],
    sizes: Sizes,
    folder: Path,
    start_s: float,
    *,
    is_full: bool,
) -> str:
    facts = describe(folder)
    facts["versions"] = " · ".join(peer.version_line() for peer in peers)
    facts["not installed, so skipped"] = ", ".join(skipped) or "none"
    facts["syncd on two empty trees"] = f"{start_s:.2f} s (the start of the interpreter and of a pair)"
    facts["sizes"] = "full (`make bench FULL=1`)" if is_full else "quick (`make bench`)"
    head = HEAD.format(
        full=" FULL=1" if is_full else "",
        date=time.strftime("%Y-%m-%d", time.gmtime()),
        rounds=sizes.rounds,
        machine="\n".join(f"| {key} | {value} |" for key, value in facts.items()),
    )
    parts = [head, *(case_table(result) for result in results)]
    if events:
        parts.append(event_table(events, sizes))
    return "\n".join(parts)
