"""One message for each mistake: where it is, what is wrong, what is valid."""

from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.daemon.config import ConfigProblem
from tests.daemon.configs import PAIR

WRONG: dict[str, tuple[str, int, str, str, str]] = {
    # text · line · key · part of the message · part of the hint
    "an unknown key": (PAIR + "colour = 1\n", 4, "pair.documents.colour", "unknown key", "valid here: "),
    "a typo": (PAIR + 'mdoe = "two-way"\n', 4, "pair.documents.mdoe", "unknown key", "'mode'"),
    "a typo of a root": (
        '[pair.a]\nsorce = "{root}/a"\ndestination = "{root}/b"',
        2,
        "pair.a.sorce",
        "unknown key",
        "'source'",
    ),
    "a typo in an inner table": (
        PAIR + 'trash = { kepe = "3d" }\n',
        4,
        "pair.documents.trash.kepe",
        "unknown key",
        "'keep'",
    ),
    "an unknown table": ("[pears.a]\n", 1, "pears", "unknown key", "'pair'"),
    "a bad duration": (PAIR + 'settle = "5 minutes"\n', 4, "pair.documents.settle", "no duration", ""),
    "a duration as a number": (PAIR + "settle = 5\n", 4, "pair.documents.settle", 'such as "15m"', ""),
    "a duration out of bounds": (PAIR + 'rescan = "1ms"\n', 4, "pair.documents.rescan", "not between", ""),
    "a bad size": (
        PAIR + '[pair.documents.trash]\nmax_size = "big"',
        5,
        "pair.documents.trash.max_size",
        "size",
        "",
    ),
    "a bad percentage": (
        PAIR + "max_delete.percent = 250",
        4,
        "pair.documents.max_delete.percent",
        "100",
        "",
    ),
    "an unknown mode": (PAIR + 'mode = "sideways"', 4, "pair.documents.mode", "two-way, source-to-dest", ""),
    "no source": ('[pair.a]\ndestination = "{root}/b"', 1, "pair.a.source", "no source", "source ="),
    "the same root twice": (
        '[pair.a]\nsource = "{root}/a"\ndestination = "{root}/a/"',
        3,
        "pair.a.destination",
        "is the same directory as the source of pair 'a'",
        "overlap",
    ),
    "one root inside the other": (
        '[pair.a]\nsource = "{root}/a/b"\ndestination = "{root}/a"',
        2,
        "pair.a.source",
        "lies inside the destination of pair 'a'",
        "overlap",
    ),
    "roots of two pairs that overlap": (
        PAIR + '[pair.b]\nsource = "{root}/b/deep"\ndestination = "{root}/c"',
        5,
        "pair.b.source",
        "the source of pair 'b' ({root}/b/deep) lies inside the destination of pair 'documents'",
        "overlap",
    ),
    "a root that two pairs write": (
        PAIR + '[pair.b]\nsource = "{root}/b"\ndestination = "{root}/c"',
        5,
        "pair.b.source",
        "both pairs write",
        "mirror",
    ),
    "the state directory inside a root": (
        '[daemon]\nstate_dir = "{root}/a/x/state"\n' + PAIR,
        4,
        "pair.documents.source",
        "state directory {root}/a/x/state lies inside",
        "state_dir",
    ),
    "a root inside the state directory": (
        '[daemon]\nstate_dir = "{root}"\n[pair.a]\nsource = "{root}/a"\ndestination = "/nowhere/at/all"',
        4,
        "pair.a.source",
        "inside the state directory",
        "",
    ),
    "the root directory": (
        '[pair.a]\nsource = "/"\ndestination = "{root}/b"',
        2,
        "pair.a.source",
        "/ cannot be synchronised",
        "",
    ),
    "a relative root": (
        '[pair.a]\nsource = "docs"\ndestination = "{root}/b"',
        2,
        "pair.a.source",
        "is relative",
        "",
    ),
    "a remote": (
        '[pair.a]\nsource = "{root}/a"\ndestination = "hub+https://example.net/w"',
        3,
        "pair.a.destination",
        "hub+https:// is not served by this version; a root is an absolute path, ~/PATH or file:///PATH",
        "",
    ),
    "a file URL with a host": (
        '[pair.a]\nsource = "{root}/a"\ndestination = "file://host/w"',
        3,
        "pair.a.destination",
        "without host",
        "",
    ),
    "not TOML": ("[pair.documents\n", 1, "", "not valid TOML", "quotes"),
    "not TOML at the end": ('[pair.a]\nsource = """x\n', 3, "", "not valid TOML", ""),
    "two pairs of one name": (
        PAIR + '[pair.documents]\nsource = "/x"',
        4,
        "",
        "appears twice",
        "a name of its own",
    ),
    "a wrong type": (
        PAIR + 'paused = "yes"\n',
        4,
        "pair.documents.paused",
        "expected true or false, got a text",
        "",
    ),
    "a wrong type of a count": (
        PAIR + "max_delete = { files = true }",
        4,
        "pair.documents.max_delete.files",
        "expected a whole number, got true or false",
        "",
    ),
    "a negative count": (
        PAIR + "max_delete.files = -1",
        4,
        "pair.documents.max_delete.files",
        "negative",
        "",
    ),
    "a number for a percentage's table": (
        PAIR + "max_delete = 3",
        4,
        "pair.documents.max_delete",
        "a table",
        "",
    ),
    "a wrong list": (PAIR + 'ignore = "*.tmp"', 4, "pair.documents.ignore", "expected a list of texts", ""),
    "a wrong item": (PAIR + "ignore = [1]", 4, "pair.documents.ignore", "one item is a number", ""),
    "a hook that is no path": (
        PAIR + 'hooks.on_held = ["notify"]',
        4,
        "pair.documents.hooks.on_held",
        "absolute path",
        "",
    ),
    "a bad owner": (PAIR + 'owner = "me"', 4, "pair.documents.owner", "UID:GID", ""),
    "a bad size type": (PAIR + "trash.max_size = true", 4, "pair.documents.trash.max_size", "a size", ""),
    "a bad percentage type": (
        PAIR + "max_delete.percent = []",
        4,
        "pair.documents.max_delete.percent",
        "a percentage",
        "",
    ),
    "an empty text": ('[pair.a]\nsource = ""\ndestination = "{root}/b"', 2, "pair.a.source", "empty", ""),
    "a bad word": ('[daemon]\nlog_level = "loud"', 2, "daemon.log_level", "debug, info, warning, error", ""),
    "a bad word type": ("[daemon]\nlog_level = 3", 2, "daemon.log_level", "expected one of", ""),
    "bad metrics": ('[daemon]\nmetrics = "on"', 2, "daemon.metrics", "HOST:PORT", ""),
    "a socket that is no path": ('[daemon]\nsocket = "here"', 2, "daemon.socket", "relative", ""),
    "pair as a value": ("pair = 3", 1, "pair", "expected a table", "[pair.NAME]"),
    "a pair as a value": ("[pair]\na = 3", 2, "pair.a", "expected a table", "[pair.NAME]"),
    "defaults as a value": ("defaults = 3", 1, "defaults", "expected a table", ""),
    "a name that is no name": (
        '[pair."../x"]\nsource = "{root}/a"\ndestination = "{root}/b"',
        1,
        "pair.../x",
        "cannot name a pair",
        "letters",
    ),
    "a root as a default": (
        '[defaults]\nsource = "{root}/a"',
        2,
        "defaults.source",
        "cannot have a default",
        "",
    ),
    "a choice of another mode": (
        PAIR + "pull_destination_changes = true",
        4,
        "pair.documents.pull_destination_changes",
        "mode two-way has no such choice",
        "source-backup",
    ),
    "an empty file": ("  \n", 0, "", "is empty", "comment"),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_mistake_is_one_clear_message(
    case: str, problems: Callable[[str], list[ConfigProblem]], tmp_path: Path
) -> None:
    text, line, key, message, hint = WRONG[case]
    found = problems(text)
    assert len(found) == 1, [problem.render() for problem in found]
    assert found[0].file == f"{tmp_path}/etc/syncd.toml"
    assert (found[0].line, found[0].key) == (line, key)
    assert message.replace("{root}", str(tmp_path)) in found[0].message
    assert hint in found[0].hint
    assert "\n" not in found[0].render()


def test_all_mistakes_are_told_at_once(problems: Callable[[str], list[ConfigProblem]]) -> None:
    found = problems('[daemon]\nlog_level = "loud"\n' + PAIR + 'mdoe = "x"\nsettle = 3\n[pair.b]\n')
    assert [(problem.line, problem.key) for problem in found] == [
        (2, "daemon.log_level"),
        (6, "pair.documents.mdoe"),
        (7, "pair.documents.settle"),
        (8, "pair.b.destination"),
        (8, "pair.b.source"),
    ]


def test_a_mistake_in_the_defaults_is_told_once(problems: Callable[[str], list[ConfigProblem]]) -> None:
    found = problems('[defaults]\nsettle = "soon"\n' + PAIR + '[pair.x]\nsource = "/x"\ndestination = "/y"')
    assert [(problem.line, problem.key) for problem in found] == [(2, "defaults.settle")]
