"""Nested ignore files, the three voices that ignore, and verdicts that say why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.entry import Side
from syncd.core.filter import Filter
from tests.core.ignoring import DESTINATION, SOURCE, ignores, of, with_files

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
