"""`python -m benchmarks [--full]`: run the cases, print as they come, write docs/performance.md."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.cases import FULL, QUICK, Bench
from benchmarks.events import measure_events
from benchmarks.measure import CommandFailed
from benchmarks.peers import PEERS, build_walk
from benchmarks.report import case_table, event_table, page

CASES = ("small_files", "large_file", "rescan", "rename", "events")
SETTLES = ("0s", "300ms")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description="syncd against its peers")
    parser.add_argument("--full", action="store_true", help="full sizes, at least five rounds")
    parser.add_argument("--only", action="append", choices=CASES, help="only this case (repeatable)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary directory)")
    parser.add_argument("--out", type=Path, default=Path("docs/performance.md"))
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    sizes = FULL if arguments.full else QUICK
    cases = arguments.only or CASES
    peers = [peer for peer in PEERS if peer.is_installed]
    skipped = [peer.name for peer in PEERS if not peer.is_installed]
    for name in skipped:
        print(f"skipped: {name} is not installed")
    base = Path(tempfile.mkdtemp(prefix="syncd-bench-", dir=arguments.folder))
    try:
        walk = build_walk(base)
        if walk is None:
            skipped.append("walk (no C compiler)")
        bench = Bench(base, peers, walk, sizes, arguments.seed)
        start_s = bench.empty()
        results = []
        for case in cases:
            for result in getattr(bench, case)() if case != "events" else ():
                results.append(result)
                print(case_table(result), flush=True)
        events = {}
        if "events" in cases:
            events = {settle: measure_events(base / f"events-{settle}", settle, sizes) for settle in SETTLES}
            print(event_table(events, sizes), flush=True)
        text = page(results, events, peers, skipped, sizes, base, start_s, is_full=arguments.full)
    except (CommandFailed, RuntimeError) as error:
        print(f"benchmark stopped: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(base, ignore_errors=True)
    if arguments.only:
        print("not written: only some cases were run")
    else:
        arguments.out.write_text(text)
        print(f"written: {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
