"""Which paths a pair does not see: ignore rules of the pair and of both sides' `.syncignore` files.

A path is ignored when the pair's own rules, the source's files or the destination's files ignore it: three
voices, each with git's rules (the deepest file that says something decides, within it the last matching
line; nothing beneath an ignored directory comes back). So a negation only ever takes back a rule of its
own voice, and syncd's control names are ignored whatever the rules say. Pure; may import only `syncd.core`.
"""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from syncd.core.entry import Side
from syncd.core.gitignore import Problem, Rule, RuleList, decode_lines
from syncd.core.path import IGNORE_FILE, escape, is_reserved, join, name, parent

_CACHE_LIMIT = 65_536
"""Directories whose verdict is kept; a walk asks for the names of one directory together."""
_BUILT_IN = "built-in"


class Verdict(msgspec.Struct, frozen=True):
    """What the rules say about a path, and which one said it (None when none matched).

    `origin` is `config`, `source:PATH`, `destination:PATH` or `built-in`; `line` counts from 1. `path` is
    the path that the rule matched: the asked one, or a directory above it.
    """

    ignored: bool
    rule: str | None = None
    origin: str | None = None
    line: int | None = None
    path: bytes = b""


_VISIBLE = Verdict(ignored=False)


class _Layer(msgspec.Struct, frozen=True):
    """The rules of one file. `anchor` is how many characters of a path lie before its directory's names."""

    rules: RuleList
    anchor: int


_Voice = tuple[_Layer, ...]
"""The layers that speak about one directory's names for one voice, the deepest first."""


class _Directory(msgspec.Struct, frozen=True):
    """What holds for the names in a directory: ignored with it, or judged by voices."""

    ignored_by: Verdict | None
    voices: tuple[_Voice, ...]


class Filter:
    """Immutable but for a cache of directory verdicts; equal questions have equal answers, any thread."""

    def __init__(self, config: _Layer, files: Mapping[tuple[Side, bytes], _Layer]) -> None:
        """For `build` only."""
        self._config = config
        self._files = files
        layers = [config, *(files[key] for key in sorted(files))]
        self.problems: tuple[Problem, ...] = tuple(
            dict.fromkeys(problem for layer in layers for problem in layer.rules.problems)
        )
        self.is_empty = not any(layer.rules.rules for layer in layers)
        self.fingerprint = _fingerprint(config, files)
        self._directories: dict[bytes, _Directory] = {}

    def __getstate__(self) -> dict[str, object]:
        """What another process needs. The cache stays: it is large, and other threads add to it meanwhile."""
        return {**self.__dict__, "_directories": {}}

    @classmethod
    def build(
        cls, config_patterns: Sequence[str], ignore_files: Mapping[tuple[Side, bytes], bytes]
    ) -> "Filter":
        """From the pair's patterns and the contents of `.syncignore` files by side and directory.

        Raises nothing: lines that are no rules are listed in `problems`, the others stay in force.
        """
        config = RuleList("config", ((i, text, "") for i, text in enumerate(config_patterns, 1)))
        files: dict[tuple[Side, bytes], _Layer] = {}
        for (side, directory), content in sorted(ignore_files.items()):
            # A file that has been synchronised is one layer of two voices, and asked once.
            is_shared = ignore_files.get((Side.SOURCE, directory)) == content
            files[side, directory] = (
                files[Side.SOURCE, directory]
                if side is Side.DESTINATION and is_shared
                else _read_file(side, directory, content)
            )
        return cls(_Layer(config, 0), files)

    def is_ignored(self, path: bytes, is_directory: bool) -> bool:
        """Is the path invisible on both sides, by itself or with a directory above it?"""
        if self.is_empty:
            return is_reserved(path)
        return self.match(path, is_directory).ignored

    def match(self, path: bytes, is_directory: bool) -> Verdict:
        """The verdict with the rule behind it. The root is never ignored."""
        if not path:
            return _VISIBLE
        if is_reserved(path):
            return Verdict(True, ".syncd", _BUILT_IN, None, path)
        if self.is_empty:
            return _VISIBLE
        above = self._directory(parent(path))
        return above.ignored_by or _judge(above.voices, path, is_directory)

    def _directory(self, path: bytes) -> _Directory:
        known = self._directories.get(path)
        if known is not None:
            return known
        if not path:
            found = _Directory(None, self._voices_at(path, ((self._config,), (), ())))
        else:
            above = self._directory(parent(path))
            verdict = above.ignored_by or _judge(above.voices, path, True)
            if verdict.ignored:
                found = _Directory(verdict, ())
            else:
                found = _Directory(None, self._voices_at(path, above.voices))
        if len(self._directories) >= _CACHE_LIMIT:
            self._directories.clear()
        self._directories[path] = found
        return found

    def _voices_at(self, path: bytes, above: tuple[_Voice, ...]) -> tuple[_Voice, ...]:
        source, destination = (self._files.get((side, path)) for side in (Side.SOURCE, Side.DESTINATION))
        if source is None and destination is None:
            return above
        config, *sides = above
        at_source = sides[0] if source is None else (source, *sides[0])
        at_destination = sides[1] if destination is None else (destination, *sides[1])
        if tuple(map(id, at_source)) == tuple(map(id, at_destination)):
            at_destination = at_source
        return config, at_source, at_destination


def _judge(voices: tuple[_Voice, ...], path: bytes, is_directory: bool) -> Verdict:
    """The verdict about one path whose parents are all visible: the first voice that ignores it, else the
    last rule that spares it."""
    slash = "/" if is_directory else ""
    whole = path.decode("utf-8", "surrogateescape") + slash
    last = name(path).decode("utf-8", "surrogateescape") + slash
    verdict = _VISIBLE
    for i, voice in enumerate(voices):
        if i and voice is voices[i - 1]:
            continue
        for layer in voice:
            rule = layer.rules.decide(whole[layer.anchor :], last)
            if rule is not None:
                verdict = _verdict(rule, layer.rules.origin, path)
                break
        if verdict.ignored:
            return verdict
    return verdict


def _verdict(rule: Rule, origin: str, path: bytes) -> Verdict:
    return Verdict(rule.is_ignoring, rule.text, origin, rule.line, path)


def _read_file(side: Side, directory: bytes, content: bytes) -> _Layer:
    origin = f"{side.word}:{escape(join(directory, IGNORE_FILE))}"
    anchor = len(directory.decode("utf-8", "surrogateescape")) + 1 if directory else 0
    return _Layer(RuleList(origin, decode_lines(content)), anchor)


def _fingerprint(config: _Layer, files: Mapping[tuple[Side, bytes], _Layer]) -> str:
    """Equal for equal rules in the same places, whatever comments and bad lines surround them.

    The two sides' files count as a set of two voices: bringing a changed file to the other side, where it
    adds nothing, changes nothing here.
    """
    voices = {
        tuple((at[1], _texts(files[at])) for at in sorted(files) if at[0] is side and files[at].rules.rules)
        for side in Side
    }
    told = repr((_texts(config), sorted(voices - {()})))
    return hashlib.blake2b(told.encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()


def _texts(layer: _Layer) -> tuple[str, ...]:
    return tuple(rule.text for rule in layer.rules.rules)
