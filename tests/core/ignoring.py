"""Filters made of patterns and of ignore files."""

from collections.abc import Mapping

from syncd.core.entry import Side
from syncd.core.filter import Filter

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


def split_words(words: str) -> list[str]:
    """Words of a table cell; a path that begins with a space stands alone in its cell."""
    return [words] if words.startswith(" ") else words.split()
