"""One list of ignore rules in gitignore syntax: parsed line by line, matched one level at a time.

pathspec translates a line; what it leaves open is settled here. Its regular expressions are meant to be
searched in whole paths, so that a rule for a directory also speaks for everything beneath it. That is not
git's rule once negations are near (`*.tmp` then `!/a` must still ignore `a/x.tmp`), so they are turned
into ones that match exactly one path, and `filter.py` goes down level by level. They are also rid of
catastrophic backtracking: a rule file may come from the other side. Pure; may import only `syncd.core`.
"""

import re
from collections.abc import Iterable, Iterator

import msgspec
from pathspec.patterns.gitignore.base import GitIgnorePatternError
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

MAX_LINE = 4096
MAX_WILDCARD_RULES = 10_000
"""Rules with wildcards in one list; each costs a compilation. Plain names are not limited."""


class Problem(msgspec.Struct, frozen=True):
    """A line that is no rule. The others of its list stay in force."""

    origin: str
    line: int
    detail: str


class Rule(msgspec.Struct, frozen=True):
    """One line that matches something.

    `pattern` is matched in full against a name (`is_name`) or a path relative to the rule's list, a
    directory's with a trailing slash. A `literal` is a bare name instead.
    """

    text: str
    line: int
    is_ignoring: bool
    is_name: bool = True
    literal: str | None = None
    pattern: re.Pattern[str] | None = None

    def matches(self, path: str, name: str) -> bool:
        """Does the pattern match? A literal is looked up by the list instead."""
        subject = name if self.is_name else path
        return self.pattern is not None and self.pattern.fullmatch(subject) is not None


class RuleList:
    """The rules of one list in order; the last one that matches decides."""

    def __init__(self, origin: str, lines: Iterable[tuple[int, str | None, str]]) -> None:
        """`lines` are (number, text, problem): text None with the reason why the line cannot be read."""
        self.origin = origin
        self.rules, self.problems = _read(origin, lines)
        self._literals = {rule.literal: i for i, rule in enumerate(self.rules) if rule.literal is not None}
        self._wild = tuple((i, rule) for i, rule in enumerate(self.rules) if rule.literal is None)
        self._any_name = _any_of(rule for _, rule in self._wild if rule.is_name)
        self._any_path = _any_of(rule for _, rule in self._wild if not rule.is_name)

    def decide(self, path: str, name: str) -> Rule | None:
        """The rule that decides about one path (not about what is beneath it), None when none matches.

        Directories come with a trailing slash on both.
        """
        at = self._literals.get(name.removesuffix("/"), -1)
        if (self._any_name and self._any_name.fullmatch(name)) or (
            self._any_path and self._any_path.fullmatch(path)
        ):
            for i, rule in reversed(self._wild):
                if i < at:
                    break
                if rule.matches(path, name):
                    return rule
        return self.rules[at] if at >= 0 else None


def _read(
    origin: str, lines: Iterable[tuple[int, str | None, str]]
) -> tuple[tuple[Rule, ...], tuple[Problem, ...]]:
    rules: list[Rule] = []
    problems: list[Problem] = []
    wildcards = 0
    for number, text, detail in lines:
        try:
            rule = None if text is None else parse_line(text, number)
        except ValueError as error:
            rule, detail = None, str(error)
        wildcards += rule is not None and rule.literal is None
        if wildcards > MAX_WILDCARD_RULES:
            rule, detail = None, f"more than {MAX_WILDCARD_RULES} rules with wildcards"
            wildcards -= 1
        if rule is not None:
            rules.append(rule)
        elif detail:
            problems.append(Problem(origin, number, detail))
    return tuple(rules), tuple(problems)


def decode_lines(content: bytes) -> Iterator[tuple[int, str | None, str]]:
    """The lines of a rule file, numbered from 1: LF or CRLF, a byte order mark is dropped."""
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        line = line.removesuffix(b"\r")
        if len(line) > MAX_LINE:
            yield number, None, f"longer than {MAX_LINE} bytes"
        elif b"\0" in line:
            yield number, None, "contains NUL"
        else:
            try:
                yield number, line.decode("utf-8"), ""
            except UnicodeDecodeError:
                yield number, None, "is not UTF-8"


def parse_line(text: str, number: int) -> Rule | None:
    """One line as a rule; None for blank lines and comments. Raises ValueError, its text for people."""
    if not text.strip() or text.startswith("#"):
        return None
    if len(text) > MAX_LINE:
        raise ValueError(f"longer than {MAX_LINE} characters")
    if "\0" in text:
        raise ValueError("contains NUL")
    plain = _PLAIN_NAME.fullmatch(text)
    if plain:
        # The common case, without a compilation: a bare name.
        return Rule(text, number, is_ignoring=True, literal=plain[1])
    pattern, is_ignoring = _translate(text)
    is_name = pattern.startswith(_ANYWHERE) and "/" not in _NOT_SLASH.sub("", pattern[len(_ANYWHERE) : -2])
    if is_name:
        pattern = pattern[len(_ANYWHERE) :]
    try:
        compiled = re.compile(pattern, re.DOTALL)
    except re.error as error:
        raise ValueError(f"bad pattern: {error.msg}") from error
    return Rule(text, number, is_ignoring, is_name, pattern=compiled)


# A bare name without a wildcard; trailing spaces would be dropped, `\`, `!` and `#` mean something.
_PLAIN_NAME = re.compile(r"([^!#*?\[\]\\/\s][^*?\[\]\\/\s]*)")
# What ends a rule but for trailing spaces; an escaped one stays.
_TRIMMED = re.compile(r"((?:\\.|[^\\])*?) *", re.DOTALL)
# A name of stars only: git counts no further than two.
_MANY_STARS = re.compile(r"(?:^|(?<=^!)|(?<=/))\*{3,}(?=/|$)")
# Sets that pathspec reads in another way than git does: [[:alpha:]], [+--], [\]].
_ODD_SET = re.compile(r"(?<!\\)\[[!^]?\]?[^\]]*(?:\[:|--|\\)[^\]]*\]")
# Pieces of the expressions that pathspec makes (GitIgnoreSpecPattern.pattern_to_regex).
_ANYWHERE = "(?:.+/)?"
_ANY_DEPTH = "(?:/.+)?"
_STAR = "[^/]*"
_EITHER = "(?:(?P<ps_d>/)|$)"
_DIRECTORY = "(?P<ps_d>/)"
_NOT_SLASH = re.compile(r"\[\^/\]|\(\?!/\)")
_STARS = re.compile(r"(?:\[\^/\]\*)+")
_TOKEN = re.compile(r"\\.|\[\^/\]|\[\^?\]?[^\]]*\]", re.DOTALL)


def _translate(text: str) -> tuple[str, bool]:
    """The expression that matches exactly the paths that the rule names, and whether it ignores them."""
    if _ODD_SET.search(text):
        raise ValueError("this bracket expression is not supported")
    trimmed = _TRIMMED.fullmatch(text)
    line = _MANY_STARS.sub("**", trimmed[1] if trimmed else text)
    # `a/**/` names the directories beneath a; pathspec would take a itself and files too.
    line = re.sub(r"/(?:\*\*/)+$", "/**/*/", line)
    try:
        regex, is_ignoring = GitIgnoreSpecPattern.pattern_to_regex(line)
    except GitIgnorePatternError as error:
        raise ValueError("bad pattern") from error
    if regex is None or is_ignoring is None:
        raise ValueError("matches nothing")
    regex = regex.removeprefix("^")
    if regex in (".", "/"):
        exact = ".+" if regex == "." else ".+/.+"
    elif regex == _DIRECTORY:
        exact = ".+/"
    elif regex.endswith(_EITHER):
        exact = _tame(regex.removesuffix(_EITHER)) + "/?"
    elif regex.endswith(_DIRECTORY):
        exact = _tame(regex.removesuffix(_DIRECTORY)) + "/"
    elif regex.endswith("/"):
        exact = _tame(regex) + ".+"
    else:
        raise ValueError("cannot be translated")
    return exact, is_ignoring


def _tame(regex: str) -> str:
    """The same expression in bounded time, and with sets that do not match a slash.

    Between two inner `**` lies a stretch of a fixed number of names, so its first match is as good as any
    later one: all but the last may be atomic, and what is tried again is linear in the depth.
    """
    first, *others = _TOKEN.sub(_tame_set, _STARS.sub(_STAR, regex)).split(_ANY_DEPTH)
    if not others:
        return _tame_stretch(first)
    if first.startswith(_ANYWHERE):
        first = "(?:[^/]+/)*?" + first[len(_ANYWHERE) :]
    *middle, last = map(_tame_stretch, others)
    atomic = "".join(f"(?>(?:/[^/]+)*?{stretch}(?=/))" for stretch in middle)
    return f"(?>{_tame_stretch(first)}(?=/)){atomic}(?:/[^/]+)*{last}"


def _tame_set(token: re.Match[str]) -> str:
    """A set matches no slash (git's `[!a]`), and its `[ & ~ |` mean themselves."""
    found = token[0]
    if found[0] == "\\" or found == "[^/]":
        return found
    return "(?!/)[" + re.sub(r"[\[&~|]", r"\\\g<0>", found[1:])


def _tame_stretch(stretch: str) -> str:
    """The same idea within a name: between two stars lies a chunk of fixed length, so all stars but the
    last may be atomic, and what is tried again is linear in the name."""
    first, *chunks = stretch.split(_STAR)
    if len(chunks) < 2:
        return stretch
    atomic = "".join(f"(?>[^/]*?{chunk})" for chunk in chunks[:-1])
    return f"{first}{atomic}{_STAR}{chunks[-1]}"


def _any_of(rules: Iterable[Rule]) -> re.Pattern[str] | None:
    patterns = dict.fromkeys(rule.pattern.pattern for rule in rules if rule.pattern is not None)
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.DOTALL) if patterns else None
