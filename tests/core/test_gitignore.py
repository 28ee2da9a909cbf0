"""Single lines of ignore rules against a slow and simple matcher, and the reading of rule files."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from syncd.core.gitignore import Problem, Rule, RuleList, decode_lines, parse_line

# The slow and simple matcher: gitignore(5) word by word, one level, no regular expressions.


def match_name(glob: str, name: str) -> bool:
    """One segment: `*`, `?`, `[…]`, `\\`."""
    if not glob:
        return not name
    if glob[0] == "*":
        return match_name(glob[1:], name) or (bool(name) and match_name(glob, name[1:]))
    if not name:
        return False
    if glob[0] == "?":
        return match_name(glob[1:], name[1:])
    if glob[0] == "[":
        members, rest = split_set(glob)
        negated = members[:1] in ("!", "^")
        return is_member(members[negated:], name[0]) is not negated and match_name(rest, name[1:])
    if glob[0] == "\\":
        glob = glob[1:]
    return glob[0] == name[0] and match_name(glob[1:], name[1:])


def split_set(glob: str) -> tuple[str, str]:
    """`[members]rest`; a closing bracket right at the beginning is a member."""
    at = 1
    at += glob[at : at + 1] in ("!", "^")
    end = glob.index("]", at + 1)
    return glob[1:end], glob[end + 1 :]


def is_member(members: str, char: str) -> bool:
    i = 0
    while i < len(members):
        if members[i + 1 : i + 2] == "-" and i + 2 < len(members):
            if members[i] <= char <= members[i + 2]:
                return True
            i += 3
        else:
            if members[i] == char:
                return True
            i += 1
    return False


def match_segments(globs: list[str], parts: list[str]) -> bool:
    if not globs:
        return not parts
    if globs[0] == "**":
        if len(globs) == 1:
            return bool(parts)
        return any(match_segments(globs[1:], parts[i:]) for i in range(len(parts) + 1))
    return bool(parts) and match_name(globs[0], parts[0]) and match_segments(globs[1:], parts[1:])


def slow_match(pattern: str, path: str, is_directory: bool) -> bool:
    """Does `pattern` (without negation) name exactly this path?"""
    wants_directory = pattern.endswith("/")
    pattern = pattern.removesuffix("/")
    if wants_directory and not is_directory:
        return False
    globs = pattern.removeprefix("/").split("/")
    if "/" not in pattern:
        globs = ["**", *globs]
    return match_segments(globs, path.split("/"))


SEGMENT = st.lists(
    st.sampled_from(["a", "b", "c", ".", "*", "?", "[ab]", "[!a]", "[^ab]", "[a-b]", "[]a]", "\\*", "\\b"]),
    min_size=1,
    max_size=4,
).map("".join)
GLOBS = st.lists(st.one_of(SEGMENT, SEGMENT, st.just("**")), min_size=1, max_size=4).map("/".join)
PATTERNS = st.builds(
    lambda start, globs, end: start + globs + end,
    st.sampled_from(["", "", "/"]),
    GLOBS,
    st.sampled_from(["", "", "/"]),
)
NAME = st.text(alphabet="abc.*]", min_size=1, max_size=4)
PATHS = st.lists(NAME, min_size=1, max_size=4).map("/".join)


def decides(pattern: str, path: str, is_directory: bool) -> bool:
    rules = RuleList("config", [(1, pattern, "")])
    assert rules.problems == ()
    slash = "/" if is_directory else ""
    return rules.decide(path + slash, path.rpartition("/")[2] + slash) is not None


@given(PATTERNS, PATHS, st.booleans())
def test_a_rule_names_what_the_simple_matcher_says(pattern: str, path: str, is_directory: bool) -> None:
    assert decides(pattern, path, is_directory) is slow_match(pattern, path, is_directory)


@given(st.lists(SEGMENT, min_size=1, max_size=3), st.data())
def test_names_made_from_their_pattern_match(globs: list[str], data: st.DataObject) -> None:
    """The other way round: random paths seldom match long patterns, so make them from the pattern."""
    parts = []
    for glob in globs:
        text = re.sub(r"\[[^\]]\]?[^\]]*\]|\?", lambda _: data.draw(st.sampled_from("abc")), glob)
        text = re.sub(
            r"\\(.)", r"\1", re.sub(r"(?<!\\)\*", lambda _: data.draw(st.text("abc", max_size=3)), text)
        )
        assume(text)
        parts.append(text)
    pattern, path = "/" + "/".join(globs), "/".join(parts)
    assert decides(pattern, path, False) is slow_match(pattern, path, False)


@given(PATTERNS, PATTERNS, PATHS, st.booleans())
def test_the_last_of_two_rules_decides(first: str, second: str, path: str, is_directory: bool) -> None:
    rules = RuleList("config", [(1, first, ""), (2, "!" + second, "")])
    slash = "/" if is_directory else ""
    found = rules.decide(path + slash, path.rpartition("/")[2] + slash)
    if slow_match(second, path, is_directory):
        assert found is not None
        assert (found.line, found.is_ignoring) == (2, False)
    elif slow_match(first, path, is_directory):
        assert found is not None
        assert (found.line, found.is_ignoring) == (1, True)
    else:
        assert found is None


@given(st.lists(st.sampled_from(["a", "b", "!a", "!b", "*", "!*", "a/", "!a/", "?", "/a"]), max_size=8))
def test_literals_and_wildcards_keep_their_order(patterns: list[str]) -> None:
    """Bare names are looked up, the others are tried: the last match of both kinds must win."""
    rules = RuleList("config", list(enumerate_lines(patterns)))
    for name, is_directory in (("a", False), ("a", True), ("b", False)):
        slash = "/" if is_directory else ""
        expected = None
        for number, pattern in enumerate(patterns, 1):
            if slow_match(pattern.removeprefix("!"), name, is_directory):
                expected = number
        found = rules.decide(name + slash, name + slash)
        assert (found and found.line) == expected


def enumerate_lines(patterns: list[str]) -> Iterator[tuple[int, str | None, str]]:
    for number, pattern in enumerate(patterns, 1):
        yield number, pattern, ""


# What a line becomes.

LINES: list[tuple[str, bool, bool, str | None]] = [
    # text, ignores, is matched against the name alone, literal
    ("name", True, True, "name"),
    ("name.with.dots", True, True, "name.with.dots"),
    ("-dash", True, True, "-dash"),
    ("日本", True, True, "日本"),
    ("two words", True, True, None),
    ("!name", False, True, None),
    ("name/", True, True, None),
    ("*.a", True, True, None),
    ("**/name", True, True, None),
    ("[!a]", True, True, None),
    ("/name", True, False, None),
    ("a/b", True, False, None),
    ("**/a/b", True, False, None),
    ("a/**", True, False, None),
    ("**", True, False, None),
    ("!/a/", False, False, None),
]


@pytest.mark.parametrize(("text", "is_ignoring", "is_name", "literal"), LINES)
def test_what_a_line_becomes(text: str, is_ignoring: bool, is_name: bool, literal: str | None) -> None:
    rule = parse_line(text, 7)
    assert rule is not None
    assert (rule.text, rule.line) == (text, 7)
    assert (rule.is_ignoring, rule.is_name, rule.literal) == (is_ignoring, is_name, literal)
    assert (rule.pattern is None) is (literal is not None)


def test_a_literal_has_no_pattern_to_match() -> None:
    rule = parse_line("name", 1)
    assert rule is not None
    assert not rule.matches("name", "name")
    assert RuleList("config", [(1, "name", "")]).decide("x/name", "name") == rule


def test_a_translation_that_is_not_understood_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should pathspec one day write its expressions in another way, rules fail loudly, not silently."""

    def other(_line: str) -> tuple[str, bool]:
        return r"(?s:\A.*\.a)\Z", True

    monkeypatch.setattr(GitIgnoreSpecPattern, "pattern_to_regex", other)
    with pytest.raises(ValueError, match="cannot be translated"):
        parse_line("*.a", 1)


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["*a", "a*", "?*", "[ab]*", "*[!b]"]))
def test_stars_are_tried_in_linear_time(stars: int, length: int, unit: str) -> None:
    """Bounded steps, not bounded seconds: every star but the last of a name is atomic."""
    rule = parse_line(unit * stars + "c", 1)
    assert rule is not None
    assert rule.pattern is not None
    plain_stars = re.findall(r"(?<!\(\?>)\[\^/\]\*(?!\?)", rule.pattern.pattern)
    assert len(plain_stars) <= 1
    assert not rule.matches("a" * length, "a" * length)


@given(st.integers(1, 30), st.integers(1, 100))
def test_depths_are_tried_in_linear_time(inner: int, depth: int) -> None:
    rule = parse_line("a/**/" * inner + "c", 1)
    assert rule is not None
    assert rule.pattern is not None
    assert rule.pattern.pattern.count("(?:/[^/]+)*/") == 1
    path = "/".join("a" * depth)
    assert not rule.matches(path, "a")
    assert rule.matches(path + "/c", "c") is (depth >= inner)


# Reading a file.

FILES: list[tuple[str, bytes, list[str | None]]] = [
    ("nothing", b"", [""]),
    ("one line", b"a", ["a"]),
    ("ended", b"a\n", ["a", ""]),
    ("LF", b"a\nb", ["a", "b"]),
    ("CRLF", b"a\r\nb\r\n", ["a", "b", ""]),
    ("a carriage return within", b"a\rb\n", ["a\rb", ""]),
    ("two of them at the end", b"a\r\r\n", ["a\r", ""]),
    ("byte order mark", b"\xef\xbb\xbfa", ["a"]),
    ("only at the beginning", b"a\n\xef\xbb\xbfb", ["a", "\ufeffb"]),
    ("UTF-8", "é\n".encode(), ["é", ""]),
    ("Latin-1", b"\xe9\na", [None, "a"]),
    ("UTF-16", "a".encode("utf-16-le") + b"\n", [None, ""]),
    ("NUL", b"a\0b\nc", [None, "c"]),
    ("as long as allowed", b"x" * 4096 + b"\r\n", ["x" * 4096, ""]),
    ("longer", b"x" * 4097 + b"\na", [None, "a"]),
    ("other line ends are no line ends", "a\u2028b\x0bc\x0cd".encode(), ["a\u2028b\x0bc\x0cd"]),
]


@pytest.mark.parametrize(("content", "lines"), [f[1:] for f in FILES], ids=[f[0] for f in FILES])
def test_reading_a_file(content: bytes, lines: list[str | None]) -> None:
    found = list(decode_lines(content))
    assert [text for _, text, _ in found] == lines
    assert [number for number, _, _ in found] == list(range(1, len(lines) + 1))
    for _, text, detail in found:
        assert (text is None) is bool(detail)


@given(st.binary(max_size=200))
def test_any_bytes_can_be_read(content: bytes) -> None:
    found = list(decode_lines(content))
    assert len(found) == content.count(b"\n") + 1
    rules = RuleList("source:.syncignore", found)
    assert len(rules.rules) + len(rules.problems) <= len(found)


def test_problems_keep_their_line_numbers() -> None:
    rules = RuleList("o", decode_lines(b"# one\n!\n\nok\n\xff\n[\n"))
    assert rules.problems == (
        Problem("o", 2, "bad pattern"),
        Problem("o", 5, "is not UTF-8"),
        Problem("o", 6, "matches nothing"),
    )
    assert rules.rules == (Rule("ok", 4, is_ignoring=True, literal="ok"),)
