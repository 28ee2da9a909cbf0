"""`python -m tests.sim SEED [apart]`: one run with its trace, to look into a failing seed."""

import sys

from tests.sim.harness import simulate
from tests.sim.world import draw, draw_apart


def main() -> int:
    """Print the scenario, the trace and what was broken."""
    seed = int(sys.argv[1])
    write = sys.stdout.write
    scenario = draw_apart(seed) if "apart" in sys.argv[2:] else draw(seed)
    write(f"{scenario}\n")
    verdict = simulate(seed, scenario)
    write("".join(f"{line}\n" for line in verdict.trace))
    write("".join(f"BROKEN {line}\n" for line in verdict.broken))
    write(f"trace {verdict.digest}\n")
    return 1 if verdict.broken else 0


if __name__ == "__main__":
    sys.exit(main())
