"""Patterns: what each ignores and what it leaves, by itself and beside others."""

import pytest

from syncd.core.gitignore import Problem, Rule, RuleList, parse_line
from tests.core.ignoring import ignores, of, split_words

# One list of patterns: (patterns, what is ignored, what is not). A trailing slash is a directory.

TABLE: list[tuple[str, str, str, str]] = [
    ("a name matches anywhere", "a", "a a/ b/a b/a/ x/y/a", "ab ba b b/ab"),
    ("a name takes what is beneath it", "a", "a/x a/x/y b/a/x", "b/x"),
    ("a name with a dot", "a.b", "a.b x/a.b", "aXb a.bc"),
    ("a star", "*.tmp", "x.tmp .tmp a/x.tmp x.tmp/ x.tmp/y", "tmp x.tmpa x.tmp2"),
    ("a star does not cross a slash", "/a*b", "ab axb axxb", "a/b ax/b"),
    ("two stars in a name", "*a*", "a xa ax xax", "b x"),
    ("many stars", "a*b*c", "abc axbxc abbcc", "acb ab"),
    ("only a star", "*", "a a/ a/b .x", ""),
    ("a question mark", "a?c", "abc a.c", "ac abbc a/c"),
    ("a question mark is one letter", "?", "a é", "ab"),
    ("a set", "[abc]x", "ax bx cx", "dx x abx"),
    ("a range", "[a-c]x", "ax bx cx", "dx"),
    ("a negated set", "[!a]x", "bx", "ax x"),
    ("a caret negates too", "[^a]x", "bx", "ax"),
    ("a set matches no slash", "a[!b]c", "axc", "a/c abc"),
    ("a range over the slash matches none", "a[+-9]c", "a.c a0c", "a/c"),
    ("a bracket in a set", "[[]x", "[x", "]x x"),
    ("a closing bracket first", "[]]x", "]x", "x"),
    ("dash first", "[-a]x", "-x ax", "bx"),
    ("ampersands and bars in a set", "[a&&b]x", "ax &x bx", "x"),
    ("an escaped star", "\\*", "*", "a"),
    ("an escaped bracket", "\\[a]", "[a]", "a"),
    ("an escaped hash", "\\#a", "#a", "a"),
    ("an escaped mark", "\\!a", "!a", "a"),
    ("a leading slash anchors", "/a", "a a/ a/b", "b/a"),
    ("a slash in the middle anchors", "a/b", "a/b a/b/ a/b/c", "x/a/b b a"),
    ("a trailing slash wants a directory", "a/", "a/ b/a/ a/x b/a/x", "a b/a"),
    ("anchored directory", "/a/", "a/ a/x", "a b/a/"),
    ("star and slash", "*/", "a/ a/b", "a"),
    ("all children", "a/*", "a/b a/b/ a/b/c", "a a/ x/a/b"),
    ("grandchildren", "a/*/b", "a/x/b a/y/b", "a/b a/x/y/b"),
    ("everything beneath", "a/**", "a/b a/b/c a/b/", "a a/ b"),
    ("directories beneath", "a/**/", "a/b/ a/b/c/ a/b/c", "a/ a/x"),
    ("anywhere, spelled out", "**/a", "a x/a x/y/a", "ab"),
    ("two names anywhere", "**/a/b", "a/b x/a/b x/y/a/b/", "a/x/b b"),
    ("any depth between", "a/**/b", "a/b a/x/b a/x/y/b", "a b x/a/b ab"),
    ("any depth twice", "a/**/b/**/c", "a/b/c a/x/b/y/c", "a/c b/c"),
    ("all", "**", "a a/b .x", ""),
    ("all, from the root", "/**", "a a/b", ""),
    ("two stars within a name are one", "a**b", "ab axb", "a/b"),
    ("three stars are two", "***/b", "b a/b", "a"),
    ("a leading space counts", " a", "\u0020a", "a"),
    ("inner dots are no dots", "./a", "", "a x/a"),
    ("other scripts", "日*", "日 日本 x/日記", "本日"),
    ("case counts", "A", "A", "a"),
]


@pytest.mark.parametrize(("pattern", "hit", "miss"), [t[1:] for t in TABLE], ids=[t[0] for t in TABLE])
def test_one_pattern(pattern: str, hit: str, miss: str) -> None:
    rules = of(pattern)
    assert rules.problems == ()
    for path in split_words(hit):
        assert ignores(rules, path), path
    for path in split_words(miss):
        assert not ignores(rules, path), path


@pytest.mark.parametrize(("pattern", "hit", "miss"), [t[1:] for t in TABLE], ids=[t[0] for t in TABLE])
def test_a_negation_takes_back_what_its_pattern_names(pattern: str, hit: str, miss: str) -> None:
    """`*` then `!pattern`: seen is exactly what the pattern matches itself, with visible parents."""
    rules, positive = of("*", "!" + pattern), of(pattern)
    for path in [*split_words(hit), *split_words(miss)]:
        if "/" not in path.removesuffix("/"):
            assert ignores(rules, path) is not ignores(positive, path), path


SEVERAL: list[tuple[str, list[str], str, str]] = [
    ("the last match wins", ["*.a", "!x.a"], "y.a", "x.a d/x.a"),
    ("and the last again", ["*.a", "!x.a", "x.a"], "x.a y.a", "b"),
    ("a negation before counts for nothing", ["!x.a", "*.a"], "x.a", "b"),
    ("nothing comes back from an ignored directory", ["d/", "!d/x"], "d/ d/x d/y", "x"),
    ("nor by naming all of it", ["d", "!d/**"], "d/ d/x d/y/z", "x"),
    ("but from a directory whose children are ignored", ["d/*", "!d/x"], "d/y", "d/ d/x"),
    ("a spared directory with its content", ["d/*", "!d/s/"], "d/y d/t/ d/t/x", "d/s/ d/s/x d/s/y/z"),
    ("a spared directory does not spare what has a rule", ["*.tmp", "!/a"], "a/x.tmp x.tmp", "a/ a/x"),
    ("order between a directory and a name", ["!/a", "*.tmp"], "a/x.tmp", "a/"),
    ("only some files of one kind", ["*", "!*/", "!*.c"], "a.h d/a.h", "a.c d/ d/a.c"),
    ("a directory spared, a file of that name not", ["a", "!a/"], "a", "a/ a/b"),
    ("blank lines and comments say nothing", ["", "   ", "# *", "a"], "a", "b #"),
]


@pytest.mark.parametrize(("patterns", "hit", "miss"), [s[1:] for s in SEVERAL], ids=[s[0] for s in SEVERAL])
def test_several_patterns(patterns: list[str], hit: str, miss: str) -> None:
    rules = of(*patterns)
    assert rules.problems == ()
    for path in hit.split():
        assert ignores(rules, path), path
    for path in miss.split():
        assert not ignores(rules, path), path


@pytest.mark.parametrize(
    ("pattern", "hit", "miss"),
    [
        ("a ", "a", "a "),
        ("a   ", "a", "a "),
        ("a\\ ", "a ", "a"),
        ("a\\   ", "a ", "a"),
        ("a b", "a b", "a"),
    ],
)
def test_trailing_spaces_go_unless_escaped(pattern: str, hit: str, miss: str) -> None:
    rules = of(pattern)
    assert rules.is_ignored(hit.encode(), False)
    assert not rules.is_ignored(miss.encode(), False)


# Names that are not what one expects.


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*.tmp", b"a\nb.tmp"),
        ("*.tmp", b"new\nline/x.tmp"),
        ("*.tmp", b"caf\xe9.tmp"),
        ("*.tmp", b"\xff\xfe/\x80.tmp"),
        ("/**/x", b"\n/x"),
        ("a?b", b"a\nb"),
        ("a?b", b"a\xffb"),
        ("a[!x]b", b"a\nb"),
        ("a/**", b"a/\n"),
        ("x", b"x/\n"),
    ],
)
def test_odd_names_match_too(pattern: str, path: bytes) -> None:
    assert of(pattern).is_ignored(path, False)


def test_a_name_is_not_cut_at_its_newline() -> None:
    assert not of("a").is_ignored(b"a\n", False)
    assert not of("*.tmp").is_ignored(b"x.tmp\n", False)
    assert not of("a/").is_ignored(b"a\n", True)


# Single lines.


def test_a_plain_name_needs_no_expression() -> None:
    assert parse_line("name", 3) == Rule("name", 3, is_ignoring=True, literal="name")
    wild = parse_line("*.a", 1)
    assert wild is not None
    assert wild.literal is None


@pytest.mark.parametrize("text", ["", " ", "\t", "# a", "#"])
def test_lines_that_say_nothing(text: str) -> None:
    assert parse_line(text, 1) is None


def test_a_list_without_rules_decides_nothing() -> None:
    rules = RuleList("config", [(1, None, "is not UTF-8"), (2, "", "")])
    assert rules.decide("a", "a") is None
    assert rules.problems == (Problem("config", 1, "is not UTF-8"),)
