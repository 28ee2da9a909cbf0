"""Docs that cannot drift: generated pages, links, examples, commands, exit codes, and the lock files."""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.docs import PROGRAMS, REPOSITORY, generate
from scripts.manual import EXIT_CODES
from scripts.reference import walk_commands
from syncd.cli.syncctl.exits import Exit
from syncd.core.reason import Reason
from syncd.daemon.config import load_config

PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
CODE_PATH = re.compile(r"`((?:core|index|tree|watch|sync|control|daemon|cli)/[\w/.]*)`")


@pytest.fixture(scope="module")
def generated() -> dict[str, str]:
    return generate()


def test_generated_pages_are_current(generated: dict[str, str]) -> None:
    stale = [
        name
        for name, content in generated.items()
        if not (REPOSITORY / name).exists() or (REPOSITORY / name).read_text() != content
    ]
    assert stale == [], "run 'make docs'"


def test_every_reason_is_explained(generated: dict[str, str]) -> None:
    for reason in Reason:
        assert f"| `{reason.value}` | " in generated["docs/reasons.md"]
        assert len(reason.explanation) > 10


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
@pytest.mark.parametrize("name", ["syncd.8", "syncctl.8", "syncd.toml.5"])
def test_manual_pages_pass_mandoc(generated: dict[str, str], name: str) -> None:
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning"],
        input=generated[f"docs/man/{name}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""
    assert done.returncode == 0


def test_units_name_pages_that_exist() -> None:
    units = [path for path in REPOSITORY.glob("syncd/daemon/units/systemd/**/*") if path.is_file()]
    named = {found for unit in units for found in re.findall(r"man:([\w.]+)\((\d)\)", unit.read_text())}
    assert ("syncd", "8") in named
    for page, section in named:
        assert (REPOSITORY / f"docs/man/{page}.{section}").exists(), f"{page}({section})"


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(REPOSITORY)) for page in PAGES])
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    for target, _ in LINK.findall(text):
        if "://" not in target:
            assert (page.parent / target).exists(), target
    for path in CODE_PATH.findall(text):
        assert list((REPOSITORY / "syncd").glob(path.rstrip("/"))), path


def blocks(kind: str) -> Iterator[str]:
    for page in PAGES:
        for language, text in BLOCK.findall(page.read_text()):
            if language == kind:
                yield text


def test_examples_of_configuration_are_valid(tmp_path: Path) -> None:
    examples = list(blocks("toml"))
    assert examples
    for text in examples:
        path = tmp_path / "syncd.toml"
        path.write_text(text)
        assert load_config(path, is_system=False, env={"HOME": str(tmp_path)}).pairs


def test_commands_of_the_pages_exist() -> None:
    known = {path for program, root in PROGRAMS.items() for path, _ in walk_commands(root, (program,))}
    for line in "".join(blocks("sh")).splitlines():
        words = line.partition("#")[0].split()
        if words and words[0] in PROGRAMS:
            assert tuple(words[:2]) in known, line


def test_every_command_has_help() -> None:
    for program, root in PROGRAMS.items():
        for path, command in walk_commands(root, (program,)):
            assert command.help, path


def test_exit_codes_are_those_of_the_program() -> None:
    assert {code.value for code in Exit} <= {int(code) for code, _ in EXIT_CODES}


def pinned(name: str) -> dict[str, str]:
    text = (REPOSITORY / "requirements" / name).read_text()
    found = re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE)
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", text)) >= len(found)
    return dict(found)


def test_requirements_are_those_of_the_lock() -> None:
    lock = tomllib.loads((REPOSITORY / "uv.lock").read_text())
    locked = {package["name"]: package.get("version") for package in lock["package"]}
    run, dev = pinned("run.txt"), pinned("dev.txt")
    assert run.items() <= dev.items()
    assert {name: locked[name] for name in dev} == dev
    hosts = set(re.findall(r"https?://([^/\"]+)", (REPOSITORY / "uv.lock").read_text()))
    assert hosts == {"pypi.org", "files.pythonhosted.org"}


def test_the_lock_is_that_of_the_project() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    lock = tomllib.loads((REPOSITORY / "uv.lock").read_text())
    own = next(package for package in lock["package"] if package["name"] == "syncd")
    wanted = {(need["name"], need.get("specifier", "")) for need in own["metadata"]["requires-dist"]}
    for group in own["metadata"]["requires-dev"].values():
        wanted |= {(need["name"], need.get("specifier", "")) for need in group}
    stated = [*project["project"]["dependencies"]]
    for group in project["dependency-groups"].values():
        stated += group
    assert {tuple(re.findall(r"^([\w-]+)(.*)$", line)[0]) for line in stated} == {
        (name, specifier) for name, specifier in wanted
    }


def test_promises_name_tests_that_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (REPOSITORY / "docs/promises.md").read_text())
    assert len(named) > 15
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not re.search(rf"^(?:async )?def {name}\(", (REPOSITORY / file).read_text(), re.MULTILINE)
    ]
    assert missing == []
