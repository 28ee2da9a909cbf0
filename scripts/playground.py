"""Make two directories with real files (of the Python installation) to try syncd on, and say what to try."""

import shutil
import sys
import sysconfig
from pathlib import Path

PACKAGES = ("email", "html", "json", "logging", "sqlite3", "tomllib", "unittest", "xml")

WHAT_TO_TRY = """
Two directories are kept in sync now (Ctrl-C ends it; nothing outside of them is touched):

  {source}
  {destination}

In another terminal:

  echo hello > {destination}/hello.txt          # appears on the other side
  mv {source}/email {source}/mail               # one rename, no copying
  rm {source}/json/tool.py                      # deleted there too, kept in .syncd/trash for 30 days
  diff -r -x .syncd {source} {destination} && echo same
  rm -r {source}/*                              # too much at once: held, nothing is deleted yet

A held deletion is approved by ending this with Ctrl-C and `make run ARGS=--yes`.
"""


def fill(base: Path) -> tuple[Path, Path]:
    """Create what is missing; a playground that was played in stays as it is."""
    source, destination = base / "source", base / "destination"
    if not source.exists():
        library = Path(sysconfig.get_path("stdlib"))
        for package in PACKAGES:
            if (library / package).is_dir():
                target = source / package
                shutil.copytree(
                    library / package, target, ignore=shutil.ignore_patterns("__pycache__", "*.so")
                )
    if not destination.exists():
        destination.mkdir(parents=True)
        (destination / "README.txt").write_text("Only the destination had this file when you began.\n")
    return source, destination


def main() -> None:
    source, destination = fill(Path(sys.argv[1]).absolute())
    print(WHAT_TO_TRY.format(source=source, destination=destination), flush=True)


if __name__ == "__main__":
    main()
