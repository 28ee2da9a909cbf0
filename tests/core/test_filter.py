"""Ignore rules: git's semantics (git itself is asked where it is installed), layers, bounds and damage."""

import pickle
import random
import shutil
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.entry import Side
from syncd.core.filter import Filter
from syncd.core.gitignore import MAX_LINE, MAX_WILDCARD_RULES, Problem, Rule, RuleList, parse_line

SOURCE, DESTINATION = Side.SOURCE, Side.DESTINATION


def of(*patterns: str) -> Filter:
    """A filter of the pair's own patterns."""
    return Filter.build(patterns, {})


def with_files(source: Mapping[str, str], destination: Mapping[str, str] | None = None) -> Filter:
    """A filter of `.syncignore` files: content by directory."""
    files = {(SOURCE, d.encode()): text.encode() for d, text in source.items()}
    files |= {(DESTINATION, d.encode()): text.encode() for d, text in (destination or {}).items()}
    return Filter.build([], files)


def ignores(rules: Filter, path: str) -> bool:
    """A trailing slash means a directory."""
    return rules.is_ignored(path.removesuffix("/").encode(), path.endswith("/"))


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


def split_words(words: str) -> list[str]:
    """Words of a table cell; a path that begins with a space stands alone in its cell."""
    return [words] if words.startswith(" ") else words.split()


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


# Nested files.


def test_patterns_of_a_file_are_anchored_at_its_directory() -> None:
    rules = with_files({"d": "/a\nb\nc/e\n"})
    for path in ("d/a", "d/b", "d/x/b", "d/c/e", "d/a/x"):
        assert ignores(rules, path), path
    for path in ("a", "b", "x/d/a", "d/x/a", "c/e", "d/x/c/e"):
        assert not ignores(rules, path), path


def test_deeper_files_override_shallower_ones() -> None:
    rules = with_files({"": "*.o\n!keep.o\n", "d": "!*.o\n", "d/e": "x.o\n"})
    assert ignores(rules, "a.o")
    assert not ignores(rules, "keep.o")
    assert not ignores(rules, "d/a.o")
    assert not ignores(rules, "d/f/a.o")
    assert ignores(rules, "d/e/x.o")
    assert not ignores(rules, "d/e/y.o")


def test_a_file_cannot_bring_its_own_ignored_directory_back() -> None:
    rules = with_files({"": "d/\n", "d": "!*\n"})
    assert ignores(rules, "d/")
    assert ignores(rules, "d/x")


def test_a_file_does_not_speak_about_its_own_directory() -> None:
    rules = with_files({"d": "d\n/d\n"})
    assert not ignores(rules, "d/")
    assert ignores(rules, "d/d")


def test_a_directory_with_letters_of_several_bytes_anchors_right() -> None:
    rules = Filter.build([], {(SOURCE, "日本".encode()): b"/a\n", (SOURCE, b"\xff\xfe"): b"/a\n"})
    assert rules.is_ignored("日本/a".encode(), False)
    assert rules.is_ignored(b"\xff\xfe/a", False)
    assert not rules.is_ignored("日本/x/a".encode(), False)


def test_an_ignore_file_is_an_ordinary_file() -> None:
    rules = with_files({"": "x\n"})
    assert not ignores(rules, ".syncignore")
    assert ignores(of(".syncignore"), ".syncignore")


# The three voices: the pair's patterns, the source's files, the destination's files.


def test_any_voice_ignores() -> None:
    rules = Filter.build(["c"], {(SOURCE, b""): b"s\n", (DESTINATION, b""): b"d\n"})
    for path in ("c", "s", "d"):
        assert ignores(rules, path)
    assert not ignores(rules, "x")


@pytest.mark.parametrize("side", list(Side))
def test_a_negation_takes_back_only_its_own_voice(side: Side) -> None:
    assert ignores(Filter.build(["*.o"], {(side, b""): b"!*.o\n"}), "a.o")
    assert ignores(Filter.build(["!*.o"], {(side, b""): b"*.o\n"}), "a.o")
    assert ignores(Filter.build([], {(side, b""): b"*.o\n", (side.other, b""): b"!*.o\n"}), "a.o")


def test_a_directory_that_one_voice_ignores_is_closed_to_all() -> None:
    rules = Filter.build(["!d/x"], {(SOURCE, b""): b"d/\n", (DESTINATION, b"d"): b"!*\n"})
    assert ignores(rules, "d/x")


def test_the_sides_are_alike() -> None:
    files = {"": "*.o\n/a/\n", "d": "!x.o\n"}
    one, other = with_files(files), with_files({}, files)
    for path in ("a/", "a", "y.o", "d/x.o", "d/y.o", "e/x.o"):
        assert ignores(one, path) is ignores(other, path)


def test_a_synchronised_file_speaks_once_and_the_same() -> None:
    files = {"": "*.o\n!k.o\n[:\n", "d": "!x.o\n"}
    both, one = with_files(files, files), with_files(files)
    for path in ("y.o", "k.o", "d/x.o", "d/y.o", "d/z"):
        assert both.match(path.encode(), False) == one.match(path.encode(), False)
    assert both.problems == one.problems
    assert both.fingerprint == one.fingerprint


# The control name.


@pytest.mark.parametrize("patterns", [[], ["!.syncd"], ["*", "!.syncd", "!.syncd/**"], ["a"]])
def test_the_control_directory_is_always_ignored(patterns: list[str]) -> None:
    rules = Filter.build(patterns, {(SOURCE, b""): b"!.syncd\n!*\n", (DESTINATION, b""): b"!/.syncd/\n"})
    for path in (".syncd/", ".syncd", ".syncd/trash/x", ".SYNCD/", "a/.Syncd", ".syncd./x"):
        assert ignores(rules, path), path
    assert rules.match(b".syncd/x", False).origin == "built-in"


def test_the_root_is_never_ignored() -> None:
    assert not of("*", "**", "/").is_ignored(b"", True)


# Verdicts say why.


def test_a_verdict_names_the_rule_its_origin_and_line() -> None:
    rules = Filter.build(
        ["# none", "*.a"],
        {(SOURCE, b"d"): b"\n\n*.b\n", (DESTINATION, b"d/\xff"): b"!x.c\n*.d\n"},
    )
    cases = [
        (b"x.a", True, "*.a", "config", 2),
        (b"d/x.b", True, "*.b", "source:d/.syncignore", 3),
        (b"d/\xff/x.d", True, "*.d", "destination:d/\\xff/.syncignore", 2),
        (b"d/\xff/x.c", False, "!x.c", "destination:d/\\xff/.syncignore", 1),
        (b"x", False, None, None, None),
    ]
    for path, ignored, rule, origin, line in cases:
        verdict = rules.match(path, False)
        assert (verdict.ignored, verdict.rule, verdict.origin, verdict.line) == (ignored, rule, origin, line)


def test_a_verdict_names_the_directory_that_is_to_blame() -> None:
    verdict = of("b/").match(b"a/b/c/d", False)
    assert verdict.ignored
    assert verdict.path == b"a/b"
    assert verdict.rule == "b/"


@given(st.lists(st.sampled_from(["a", "b/", "*.x", "!a", "/a/*", "!b", "a/**/b"]), max_size=4), st.data())
def test_match_and_is_ignored_agree(patterns: list[str], data: st.DataObject) -> None:
    rules = of(*patterns)
    names = st.lists(st.sampled_from([b"a", b"b", b"c.x"]), min_size=1, max_size=4)
    path = b"/".join(data.draw(names))
    is_directory = data.draw(st.booleans())
    assert rules.is_ignored(path, is_directory) is rules.match(path, is_directory).ignored
    if rules.is_ignored(path, True):
        assert rules.is_ignored(path + b"/child", False)


# Empty.


def test_no_rules_is_empty_and_still_guards_the_control_name() -> None:
    rules = Filter.build(["", "# nothing"], {(SOURCE, b""): b"\n# nothing\n"})
    assert rules.is_empty
    assert not rules.is_ignored(b"a/b", False)
    assert not rules.match(b"a/b", False).ignored
    assert rules.is_ignored(b".syncd", True)
    assert not of("a").is_empty
    assert not with_files({"d": "a"}).is_empty


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


# Git itself as the judge.

SEGMENTS = [
    "a",
    "b",
    "ab",
    "a.b",
    " a",
    "*",
    "**",
    "***",
    "a*",
    "*b",
    "*.b",
    "a**b",
    "?",
    "a?",
    "\\a",
    "a\\*",
]
SEGMENTS += ["[ab]", "[!a]", "[^b]x", "[]-]", "[[]"]
GIT_NAMES = ["a", "b", "ab", "a.b", "aab", "c", "[", "x", "ax", "a*", " a"]


def random_pattern(rng: random.Random) -> str:
    text = "/".join(rng.choice(SEGMENTS) for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 4])))
    text = "/" * (rng.random() < 0.25) + text + "/" * (rng.random() < 0.25) + "  " * (rng.random() < 0.1)
    return "!" * (rng.random() < 0.25) + text


def grow(rng: random.Random, root: Path) -> None:
    """Files and directories at random below `root`."""
    for _ in range(40):
        target = root.joinpath(*(rng.choice(GIT_NAMES) for _ in range(rng.choice([1, 2, 3, 4]))))
        if target.exists() or any(above.is_file() for above in target.parents):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if rng.random() < 0.5:
            target.mkdir()
        else:
            target.touch()


def ask_git(root: Path, paths: list[str]) -> dict[str, bool]:
    asked = subprocess.run(
        ["git", "check-ignore", "--no-index", "-z", "-v", "-n", "--stdin"],
        input="\0".join(paths).encode() + b"\0",
        stdout=subprocess.PIPE,
        cwd=root,
        check=False,
    )
    fields = asked.stdout.decode().split("\0")
    return {
        path: bool(origin) and not pattern.startswith("!")
        for origin, pattern, path in zip(fields[0::4], fields[2::4], fields[3::4], strict=False)
    }


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("seed", range(60))
def test_git_agrees(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    files = {"": [random_pattern(rng) for _ in range(rng.randint(1, 5))]}
    if rng.random() < 0.5:
        files[rng.choice(["a", "b", "a/ab"])] = [random_pattern(rng) for _ in range(rng.randint(1, 3))]
    for directory, patterns in files.items():
        (tmp_path / directory).mkdir(parents=True, exist_ok=True)
        (tmp_path / directory / ".gitignore").write_text("\n".join(patterns) + "\n")
    grow(rng, tmp_path)
    found = {
        str(one.relative_to(tmp_path)): one.is_dir()
        for one in tmp_path.rglob("*")
        if ".git" not in one.parts and one.name != ".gitignore"
    }
    rules = with_files({directory: "\n".join(patterns) for directory, patterns in files.items()})
    assert rules.problems == ()
    ours = {path: rules.is_ignored(path.encode(), is_directory) for path, is_directory in found.items()}
    assert ours == ask_git(tmp_path, list(found))
