"""Lines of keys in TOML texts, against tomllib's own reading."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.daemon.config_text import key_lines, syntax_error

TEXT = '''# a comment with [brackets] and = signs
top = 1  # [no.table]
"quoted key" = """
many = "lines"
[no.table] """

[a . "b.c"]
x = [ # first
  "]", 'y = 2',
  { deep = """x""" },
]
y.z = { one = 1, two = { three = '\\' } }
[[list]]
k = """"quoted\\""""" # odd but valid
[[list]]
k = \'\'\'it\'s\'\'\'
when = 1979-05-27T07:32:00Z
'''


def test_every_key_has_its_line() -> None:
    tomllib.loads(TEXT)
    lines = key_lines(TEXT)
    assert lines[("top",)] == 2
    assert lines[("quoted key",)] == 3
    assert ("no", "table") not in lines
    assert ("many",) not in lines
    assert lines[("a",)] == lines["a", "b.c"] == 7
    assert lines["a", "b.c", "x"] == 8
    assert lines["a", "b.c", "x", "deep"] == 10
    assert lines["a", "b.c", "y"] == lines["a", "b.c", "y", "z"] == 12
    assert lines["a", "b.c", "y", "z", "two", "three"] == 12
    assert lines["list", "k"] == 14
    assert lines["list", "when"] == 17


def paths(table: dict[str, Any], at: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    for key, value in table.items():
        found.add((*at, key))
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                found |= paths(item, (*at, key))
    return found


@given(st.text(alphabet="ab.=[]{}\"'\\#\n ,1", max_size=40))
def test_no_valid_text_upsets_the_scan(text: str) -> None:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert paths(table) <= set(key_lines(text))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a = \n", 1, "Invalid value"),
        ("a = 1\nb = [1,\n", 3, ""),
        ("\n\n[x", 3, ""),
        ("a=1\na=2\n", 2, "overwrite"),
    ],
)
def test_syntax_errors_have_lines(text: str, line: int, words: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads(text)
    found, message = syntax_error(text, caught.value)
    assert found == line
    assert words in message
    assert "at line" not in message
    assert "end of document" not in message
