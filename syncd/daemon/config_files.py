"""Read the files of a configuration into parsed sources: bytes, UTF-8, TOML, and nothing of its meaning.

Every problem is collected; a file that cannot be used is left out.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from syncd.daemon.config_model import ConfigFile, ConfigProblem
from syncd.daemon.config_read import Source
from syncd.daemon.config_text import key_lines, syntax_error

PAIRS_FOLDER = "pairs.d"
LAST_GOOD = "last-good-config"
"""The folder of the state directory that holds the last configuration that was applied."""
EMPTY_HINT = "restore it; if no pairs are meant, write a comment into it"
MAX_FILE_BYTES = 4 * 1024 * 1024


def read_files(
    main: Path,
    *,
    is_required: bool,
    overlay: Mapping[Path, bytes | None],
    problems: list[ConfigProblem],
) -> list[ConfigFile]:
    """The bytes of the main file and of `pairs.d/*.toml`, in name order, as far as they can be read."""
    folder = main.parent / PAIRS_FOLDER
    names = {main} if is_required else set()
    try:
        names.update(entry for entry in folder.iterdir() if entry.suffix == ".toml" and entry.name[0] != ".")
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        problems.append(ConfigProblem(str(folder), 0, "", f"cannot be read: {error.strerror}"))
    names.update(path for path in overlay if path.parent in (folder, main.parent))
    if main.exists():
        names.add(main)
    files = []
    for name in sorted(names, key=lambda name: (name != main, name.name)):
        content = overlay[name] if name in overlay else _read_file(name, problems)
        if content is not None:
            files.append(ConfigFile(name, content))
    return files


def _read_file(path: Path, problems: list[ConfigProblem]) -> bytes | None:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        hint = (
            "name the file with -c FILE"
            if isinstance(error, FileNotFoundError)
            else "the daemon's user must be able to read it"
        )
        problems.append(ConfigProblem(str(path), 0, "", f"cannot be read: {error.strerror}", hint))
        return None
    if len(content) > MAX_FILE_BYTES:
        problems.append(ConfigProblem(str(path), 0, "", "is larger than 4 MiB, so no configuration"))
        return None
    return content


def parse_file(file: ConfigFile, main: Path, problems: list[ConfigProblem]) -> Source | None:
    """A file that is empty is what a crash leaves, not a wish to have no pairs."""
    name = str(file.path)
    try:
        text = file.content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = file.content.count(b"\n", 0, error.start) + 1
        problems.append(ConfigProblem(name, line, "", "is not UTF-8 text"))
        return None
    if not text.strip():
        problems.append(
            ConfigProblem(
                name, 0, "", "is empty", "restore it; if no pairs are meant, write a comment into it"
            )
        )
        return None
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, message = syntax_error(text, error)
        problems.append(ConfigProblem(name, line, "", *_syntax_words(message)))
        return None
    except RecursionError:
        problems.append(ConfigProblem(name, 0, "", "is nested too deeply"))
        return None
    return Source(name, tables, key_lines(text.replace("\r\n", "\n")), is_main=file.path == main)


def offer_last_good(problem: ConfigProblem, main: Path, kept: Path) -> ConfigProblem:
    """Name the copy of the last good configuration where a file has lost its content."""
    path = Path(problem.file)
    if problem.hint != EMPTY_HINT or not path.is_relative_to(main.parent):
        return problem
    copy = kept / path.relative_to(main.parent)
    if not copy.exists():
        return problem
    return ConfigProblem(
        problem.file, 0, "", problem.message, f"the last one that was applied is {copy}; {EMPTY_HINT}"
    )


def _syntax_words(message: str) -> tuple[str, str]:
    lowered = message.lower()
    if "cannot declare" in lowered or "cannot overwrite" in lowered or "twice" in lowered:
        return f"a table or key appears twice: {message}", "every pair needs a name of its own"
    return f"is not valid TOML: {message}", "text values stand in quotes; tables are written [pair.NAME]"
