"""What a root may be: local paths only, never overlapping, never around the state directory.

Blocking (it resolves symbolic links): call it from a worker thread inside the daemon. A root that is
missing is no error here.
"""

import os
import re
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from syncd.core.entry import Side
from syncd.daemon.config_model import PairConfig
from syncd.daemon.paths import home_directory

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class RootProblem(NamedTuple):
    """What is wrong with one root of one pair."""

    pair: PairConfig
    side: Side
    message: str
    hint: str


class _Root(NamedTuple):
    pair: PairConfig
    side: Side
    path: str
    """Canonical: symbolic links resolved."""

    @property
    def label(self) -> str:
        return f"the {self.side.word} of pair {self.pair.name!r}"

    @property
    def is_written(self) -> bool:
        return self.pair.writes(self.side)


def local_path(text: str, env: Mapping[str, str]) -> str:
    """The absolute local path of a root as written. ValueError for anything that cannot be one."""
    found = _SCHEME.match(text)
    if found:
        if found[1].lower() != "file":
            raise ValueError(
                f"{found[1].lower()}:// is not served by this version; "
                "a root is an absolute path, ~/PATH or file:///PATH"
            )
        url = urllib.parse.urlsplit(text)
        if url.netloc not in ("", "localhost") or url.query or url.fragment:
            raise ValueError("a file URL is written file:///PATH, without host, query or fragment")
        text = urllib.parse.unquote(url.path, errors="surrogateescape")
    if text == "~" or text.startswith("~/"):
        text = str(home_directory(env)) + text[1:]
    if not text.startswith("/"):
        raise ValueError(f"{text!r} is relative; write an absolute path")
    if "\0" in text:
        raise ValueError("a path cannot hold a NUL byte")
    return os.path.normpath(text) if ".." not in text.split("/") else os.path.realpath(text)


def check_roots(pairs: Sequence[PairConfig], state_dir: Path) -> list[RootProblem]:
    """Every forbidden root: `/`, around or inside the state directory, nested or shared by two writers."""
    roots = [_Root(pair, side, os.path.realpath(getattr(pair, side.word))) for pair in pairs for side in Side]
    problems = [problem for root in roots for problem in _check_alone(root, os.path.realpath(state_dir))]
    problems.extend(_overlaps([root for root in roots if root.path != "/"]))
    return problems


def _check_alone(root: _Root, state_dir: str) -> Iterator[RootProblem]:
    if root.path == "/":
        yield RootProblem(
            root.pair, root.side, "the root directory / cannot be synchronised", "name a directory"
        )
    elif state_dir == root.path or state_dir.startswith(root.path + "/"):
        yield RootProblem(
            root.pair,
            root.side,
            f"the state directory {state_dir} lies inside this root",
            "put daemon.state_dir elsewhere, or synchronise a directory that does not hold it",
        )
    elif root.path.startswith(state_dir + "/"):
        yield RootProblem(
            root.pair, root.side, f"this root lies inside the state directory {state_dir}", "choose another"
        )


def _overlaps(roots: Sequence[_Root]) -> Iterator[RootProblem]:
    """Compare each root with every directory above it, by canonical path and by device and inode."""
    identities: dict[str, tuple[int, int] | None] = {}
    chains = [(root.path, *map(str, Path(root.path).parents)) for root in roots]
    for chain in chains:
        for path in chain:
            if path not in identities:
                identities[path] = _identity(path)
    owners: dict[object, list[int]] = {}
    for place, root in enumerate(roots):
        for mark in {root.path, identities[root.path]} - {None}:
            owners.setdefault(mark, []).append(place)
    for place, chain in enumerate(chains):
        marks = {mark for path in chain for mark in (path, identities[path])} - {None}
        met = {other for mark in marks for other in owners.get(mark, ())} - {place}
        for other in sorted(met):
            is_equal = {roots[place].path, identities[roots[place].path]} & {
                roots[other].path,
                identities[roots[other].path],
            } - {None}
            if not is_equal or other < place:
                yield from _judge(roots[place], roots[other], is_equal=bool(is_equal))


def _judge(root: _Root, other: _Root, *, is_equal: bool) -> Iterator[RootProblem]:
    if is_equal and root.pair is not other.pair:
        if root.is_written and other.is_written:
            yield RootProblem(
                root.pair,
                root.side,
                f"{root.label} is also {other.label}, and both pairs write to it: {root.path}",
                "let one of them only read it (a mirror or backup mode), or give it another directory",
            )
        return
    relation = "is the same directory as" if is_equal else "lies inside"
    yield RootProblem(
        root.pair,
        root.side,
        f"{root.label} ({root.path}) {relation} {other.label} ({other.path})",
        "roots may not overlap",
    )


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
