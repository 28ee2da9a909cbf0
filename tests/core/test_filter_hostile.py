"""Damaged and hostile rules; fingerprints; filters in another process."""

import pickle
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.filter import Filter
from syncd.core.gitignore import MAX_LINE, MAX_WILDCARD_RULES
from tests.core.ignoring import DESTINATION, SOURCE, ignores, of, with_files

# Damaged and hostile files: bad lines are listed, the others stay in force.


def test_windows_line_ends_and_a_byte_order_mark() -> None:
    rules = Filter.build([], {(SOURCE, b""): b"\xef\xbb\xbfa\r\n*.b\r\n\r\n!x.b\r\n"})
    assert rules.problems == ()
    assert ignores(rules, "a")
    assert ignores(rules, "y.b")
    assert not ignores(rules, "x.b")


def test_the_last_line_needs_no_end() -> None:
    assert ignores(with_files({"": "a\nb"}), "b")


BAD_LINES = [
    ("not UTF-8", b"caf\xe9", "is not UTF-8"),
    ("NUL", b"a\0b", "contains NUL"),
    ("too long", b"x" * (MAX_LINE + 1), "longer than 4096 bytes"),
    ("a trailing backslash", b"a\\", "bad pattern"),
    ("only a negation", b"!", "bad pattern"),
    ("a range that runs back", b"[z-a]", "bad pattern"),
    ("an open bracket", b"a[b", "matches nothing"),
    ("only a slash", b"/", "matches nothing"),
    ("a character class", b"[[:alpha:]]x", "bracket expression is not supported"),
    ("a backslash in brackets", b"[a\\]]", "bracket expression is not supported"),
    ("an odd range", b"[+--]x", "bracket expression is not supported"),
]


@pytest.mark.parametrize(("line", "detail"), [b[1:] for b in BAD_LINES], ids=[b[0] for b in BAD_LINES])
def test_a_bad_line_is_listed_and_the_others_stay(line: bytes, detail: str) -> None:
    rules = Filter.build([], {(DESTINATION, b"d"): b"a\n" + line + b"\n*.b\n"})
    (problem,) = rules.problems
    assert problem.origin == "destination:d/.syncignore"
    assert problem.line == 2
    assert detail in problem.detail
    assert ignores(rules, "d/a")
    assert ignores(rules, "d/x.b")
    assert not ignores(rules, "d/c")


@pytest.mark.parametrize(
    ("pattern", "detail"),
    [("a\0", "NUL"), ("x" * 5000, "4096"), ("a\\", "bad pattern"), ("!", "bad pattern"), ("[z-a]", "range")],
)
def test_a_bad_pattern_of_the_pair_is_listed_too(pattern: str, detail: str) -> None:
    rules = of("a", pattern, "b")
    (problem,) = rules.problems
    assert (problem.origin, problem.line) == ("config", 2)
    assert detail in problem.detail
    assert ignores(rules, "a")
    assert ignores(rules, "b")


def test_a_pattern_from_the_command_line_may_be_no_unicode() -> None:
    rules = of("caf\udce9*")
    assert rules.is_ignored(b"caf\xe9.txt", False)
    assert rules.fingerprint != of("cafe*").fingerprint


@given(st.binary(max_size=60), st.lists(st.text(max_size=12), max_size=3))
def test_build_and_match_are_total(content: bytes, patterns: list[str]) -> None:
    rules = Filter.build(patterns, {(SOURCE, b""): content, (DESTINATION, b"a"): content})
    for path in (b"a", b"a/b", b"\xff\n/x", b".syncd"):
        for is_directory in (False, True):
            rules.match(path, is_directory)


@given(st.text(alphabet="ab*?[]!^-/\\ &|~", min_size=1, max_size=10))
def test_any_mix_of_special_characters_is_a_rule_or_a_problem(pattern: str) -> None:
    rules = of(pattern)
    assert len(rules.problems) <= 1
    for path in (b"a", b"b/a", b"[", b"a b"):
        rules.match(path, True)


HOSTILE = [
    "*a*a*a*a*a*a*a*a*a*a*a*a*b",
    "a*" * 100 + "b",
    "?*" * 20 + "b",
    "[ab]*" * 20 + "c",
    "**/a*/**/a*/**/a*/**/a*/**/b",
    "a/**/" * 20 + "b",
    "**/*a*a*a/**/*a*a*a/**/*a*a*a*b",
    "*" * 1000 + "b",
    "**/" * 200 + "b",
]


@pytest.mark.parametrize("pattern", HOSTILE, ids=lambda p: p[:20])
def test_no_pattern_takes_for_ever(pattern: str) -> None:
    """Each of these needs more steps than there are atoms, if stars are tried in every combination."""
    rules = of(pattern)
    assert rules.problems == ()
    deep = b"/".join([b"a" * 30] * 128)
    answers: list[bool] = []

    def ask() -> None:
        answers.extend(rules.is_ignored(path, False) for path in (b"a" * 255, deep, b"a/" * 100 + b"a"))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(timeout=60)
    assert answers == [False, False, False]


def test_many_lines_are_read_and_the_wild_ones_counted() -> None:
    plain = [f"name{i}" for i in range(100_000)]
    rules = of(*plain, "!name7", "*.x")
    assert rules.problems == ()
    assert ignores(rules, "name99999")
    assert not ignores(rules, "name7")
    assert ignores(rules, "y.x")
    assert not ignores(rules, "other")


def test_too_many_rules_with_wildcards_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncd.core.gitignore.MAX_WILDCARD_RULES", 3)
    rules = of("*.a", "*.b", "plain", "*.c", "*.d", "other", "*.e")
    assert [(p.line, p.detail) for p in rules.problems] == [
        (5, "more than 3 rules with wildcards"),
        (7, "more than 3 rules with wildcards"),
    ]
    assert ignores(rules, "x.c")
    assert not ignores(rules, "x.d")
    assert ignores(rules, "other")
    assert MAX_WILDCARD_RULES == 10_000


# Fingerprints: equal for equal rules, whatever is around them.

BASE_FILES = {"": "*.o\n!k.o\n"}
SAME_RULES = [
    ("a comment", with_files({"": "# hello\n*.o\n!k.o\n"})),
    ("blank lines", with_files({"": "\n*.o\n\n!k.o"})),
    ("line ends", with_files({"": "*.o\r\n!k.o\r\n"})),
    ("a bad line", with_files({"": "*.o\n!\n!k.o\n"})),
    ("an empty file elsewhere", with_files({**BASE_FILES, "d": "# nothing\n"})),
    ("synchronised to the other side", with_files(BASE_FILES, BASE_FILES)),
    ("on the other side only", with_files({}, BASE_FILES)),
]
OTHER_RULES = [
    ("nothing", with_files({})),
    ("another pattern", with_files({"": "*.a\n!k.o\n"})),
    ("another order", with_files({"": "!k.o\n*.o\n"})),
    ("another directory", with_files({"d": "*.o\n!k.o\n"})),
    ("one more file", with_files({**BASE_FILES, "d": "x\n"})),
    ("one more on the other side", with_files(BASE_FILES, {"": "x\n"})),
    ("of the pair", of("*.o", "!k.o")),
]


@pytest.mark.parametrize("rules", [r[1] for r in SAME_RULES], ids=[r[0] for r in SAME_RULES])
def test_what_leaves_the_fingerprint_alone(rules: Filter) -> None:
    assert rules.fingerprint == with_files(BASE_FILES).fingerprint


@pytest.mark.parametrize("rules", [r[1] for r in OTHER_RULES], ids=[r[0] for r in OTHER_RULES])
def test_what_changes_the_fingerprint(rules: Filter) -> None:
    assert rules.fingerprint != with_files(BASE_FILES).fingerprint


# The walker runs in a process of its own, and asks about many paths.


def test_a_filter_can_be_sent_to_another_process() -> None:
    rules = Filter.build(["*.a", "plain"], {(SOURCE, b"d"): b"/x*\n"})
    copy = pickle.loads(pickle.dumps(rules))
    for path in (b"x.a", b"plain", b"d/xy", b"d/y"):
        assert copy.match(path, False) == rules.match(path, False)
    assert copy.fingerprint == rules.fingerprint


def test_the_cache_of_directories_is_bounded_and_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncd.core.filter._CACHE_LIMIT", 4)
    rules = with_files({"": "*.o\n", "d3": "!*.o\n"})
    for _ in range(2):
        for i in range(20):
            assert ignores(rules, f"d{i}/e/x.o") is (i != 3)
    assert len(rules._directories) <= 4


def test_deep_paths_need_no_deep_recursion_beyond_the_path_limit() -> None:
    deep = b"/".join([b"d"] * 128)
    assert not of("*.o").is_ignored(deep, True)
    assert of("*.o").is_ignored(deep + b".o", False)
