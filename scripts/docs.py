"""`make docs`: write every generated page. `tests/test_docs.py` fails when one of them has drifted."""

from collections.abc import Mapping
from pathlib import Path

import click

from scripts import manual, reference
from syncd.cli.syncctl.group import cli as syncctl
from syncd.cli.syncd import cli as syncd
from syncd.control.methods import discover
from syncd.daemon.config import config_schema

REPOSITORY = Path(__file__).resolve().parent.parent
PROGRAMS: Mapping[str, click.Command] = {"syncd": syncd, "syncctl": syncctl}


def generate() -> dict[str, str]:
    """Path in the repository → content, of all generated files."""
    pages = {
        "docs/config.md": reference.config_page(),
        "docs/reasons.md": reference.reasons_page(),
        "docs/commands.md": reference.commands_page(PROGRAMS),
        "docs/methods.md": reference.methods_page(),
        "docs/lifecycle.md": reference.lifecycle_page(),
        "docs/schemas/config.json": reference.as_json(config_schema()),
        "docs/schemas/control.json": reference.as_json(discover()),
    }
    pages.update({f"docs/man/{name}": page for name, page in manual.pages(PROGRAMS).items()})
    return pages


def main() -> None:
    for name, content in generate().items():
        path = REPOSITORY / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != content:
            path.write_text(content)
            print(f"written: {name}")


if __name__ == "__main__":
    main()
