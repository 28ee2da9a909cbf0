"""Relative paths: the trust border, escaping for people, folding, and the reserved name."""

import base64
import json
import os.path
import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncd.core import path as paths
from syncd.core.path import InvalidPath

NAMES = st.binary(min_size=1, max_size=12).filter(lambda b: b"\0" not in b and b"/" not in b)
REAL_NAMES = NAMES.filter(lambda b: b not in (b".", b".."))
PATHS = st.lists(REAL_NAMES, min_size=1, max_size=6).map(b"/".join)
MANY = b"a/" * 127 + b"a"


# parse: rule S-F1. Described cases, then the property.

ACCEPTED = [
    ("a plain name", b"a.txt"),
    ("nested", b"a/b/c"),
    ("a hidden name", b".hidden"),
    ("three dots are a name", b"..."),
    ("dots inside", b"a..b/..c/d.."),
    ("a backslash is a byte like any other", b"a\\b"),
    ("a colon", b"C:/x"),
    ("a newline", b"a\nb"),
    ("a carriage return", b"a\rb"),
    ("an escape sequence", b"\x1b[31mred"),
    ("a trailing space", b"a "),
    ("a trailing dot", b"a."),
    ("one space", b" "),
    ("not UTF-8", b"caf\xe9"),
    ("lone continuation bytes", b"\x80\xbf"),
    ("a surrogate in UTF-8", b"\xed\xa0\x80"),
    ("a device name of Windows", b"CON"),
    ("a dash", b"-rf"),
    ("a tilde", b"~root"),
    ("a glob", b"*"),
    ("percent escapes are not decoded", b"%2e%2e/%2f"),
    ("an overlong slash is no slash", b"..\xc0\xaf.."),
    ("a wide dot is no dot", "．．".encode()),
    ("the control name (is_reserved tells)", b".syncd"),
    ("the longest name", b"n" * 255),
    ("the deepest path", MANY),
    ("the longest path", b"/".join([b"n" * 255] * 16)),
]


@pytest.mark.parametrize("raw", [raw for _, raw in ACCEPTED], ids=[what for what, _ in ACCEPTED])
def test_parse_accepts(raw: bytes) -> None:
    assert paths.parse(raw) == raw


REJECTED = [
    ("nothing", b"", "empty component"),
    ("a leading slash", b"/etc/passwd", "empty component"),
    ("a trailing slash", b"a/", "empty component"),
    ("a double slash", b"a//b", "empty component"),
    ("only a slash", b"/", "empty component"),
    ("a dot", b".", "component '.'"),
    ("two dots", b"..", "component '..'"),
    ("escaping upwards", b"../x", "component '..'"),
    ("up in the middle", b"a/../../b", "component '..'"),
    ("up at the end", b"a/..", "component '..'"),
    ("a dot in the middle", b"a/./b", "component '.'"),
    ("NUL", b"a\0b", "NUL"),
    ("NUL at the end", b"a\0", "NUL"),
    ("a name too long", b"n" * 256, "255 bytes"),
    ("a deep name too long", b"a/" + b"n" * 256 + b"/b", "255 bytes"),
    ("too deep", MANY + b"/a", "128 components"),
    ("too long", b"/".join([b"n" * 255] * 16) + b"/x", "4096 bytes"),
]


@pytest.mark.parametrize(("raw", "why"), [r[1:] for r in REJECTED], ids=[r[0] for r in REJECTED])
def test_parse_rejects_and_says_why(raw: bytes, why: str) -> None:
    with pytest.raises(InvalidPath, match=re.escape(why)):
        paths.parse(raw)


def test_an_invalid_path_is_a_value_error() -> None:
    assert issubclass(InvalidPath, ValueError)


@given(
    st.one_of(
        st.binary(max_size=40), st.lists(st.sampled_from([b"a", b".", b"..", b"", b"\0"])).map(b"/".join)
    )
)
@example(b"a/../..")
def test_what_parses_resolves_beneath_its_root(raw: bytes) -> None:
    try:
        accepted = paths.parse(raw)
    except InvalidPath:
        return
    resolved = os.path.normpath(b"/root/of/it/" + accepted)
    assert resolved == b"/root/of/it/" + accepted


@given(PATHS)
def test_every_proper_path_parses(path: bytes) -> None:
    assert paths.parse(path) == path


# Taking paths apart and putting them together.

APART = [
    (b"", (), b"", b"", ()),
    (b"a", (b"a",), b"", b"a", (b"",)),
    (b"a/b", (b"a", b"b"), b"a", b"b", (b"", b"a")),
    (b"a/b/c", (b"a", b"b", b"c"), b"a/b", b"c", (b"", b"a", b"a/b")),
    (b"\xff/\n", (b"\xff", b"\n"), b"\xff", b"\n", (b"", b"\xff")),
]


@pytest.mark.parametrize(("path", "parts", "parent", "name", "ancestors"), APART)
def test_parts(
    path: bytes, parts: tuple[bytes, ...], parent: bytes, name: bytes, ancestors: tuple[bytes, ...]
) -> None:
    assert paths.split(path) == parts
    assert paths.parent(path) == parent
    assert paths.name(path) == name
    assert paths.ancestors(path) == ancestors


@pytest.mark.parametrize(
    ("parent", "name", "joined"), [(b"", b"a", b"a"), (b"a", b"b", b"a/b"), (b"a/b", b"c", b"a/b/c")]
)
def test_join(parent: bytes, name: bytes, joined: bytes) -> None:
    assert paths.join(parent, name) == joined


@given(PATHS)
def test_join_undoes_parent_and_name(path: bytes) -> None:
    assert paths.join(paths.parent(path), paths.name(path)) == path
    assert b"/".join(paths.split(path)) == path


@given(PATHS)
def test_ancestors_are_the_chain_of_parents(path: bytes) -> None:
    chain = []
    above = path
    while above:
        above = paths.parent(above)
        chain.append(above)
    assert paths.ancestors(path) == tuple(reversed(chain))
    assert all(paths.is_beneath(path, ancestor) for ancestor in chain)


BENEATH = [
    (b"a/b", b"a", True, True),
    (b"a/b/c", b"a", True, True),
    (b"a", b"", True, True),
    (b"a/b", b"", True, True),
    (b"a", b"a", False, True),
    (b"", b"", False, True),
    (b"", b"a", False, False),
    (b"ab", b"a", False, False),
    (b"a.b", b"a", False, False),
    (b"a", b"a/b", False, False),
    (b"b/a", b"a", False, False),
]


@pytest.mark.parametrize(("path", "ancestor", "beneath", "within"), BENEATH)
def test_beneath_and_within(path: bytes, ancestor: bytes, beneath: bool, within: bool) -> None:
    assert paths.is_beneath(path, ancestor) is beneath
    assert paths.is_within(path, ancestor) is within


@given(PATHS, PATHS)
def test_beneath_is_being_an_ancestor(a: bytes, b: bytes) -> None:
    assert paths.is_beneath(a, b) is (b in paths.ancestors(a))
    assert paths.is_within(a, b) is (a == b or b in paths.ancestors(a))
    assert not (paths.is_beneath(a, b) and paths.is_beneath(b, a))


# escape and unescape.

ESCAPED = [
    ("plain", b"a/b c.txt", "a/b c.txt"),
    ("the root", b"", ""),
    ("letters of any script", "Ärger/日本/рус".encode(), "Ärger/日本/рус"),
    ("a combining accent", "e\u0301".encode(), "e\u0301"),
    ("an emoji", "😀".encode(), "😀"),
    ("a backslash is doubled", b"a\\b", "a\\\\b"),
    ("what looks like an escape", b"\\x41", "\\\\x41"),
    ("a newline", b"a\nb", "a\\nb"),
    ("a tab", b"a\tb", "a\\x09b"),
    ("a carriage return", b"a\rb", "a\\x0db"),
    ("a terminal escape", b"\x1b[31m", "\\x1b[31m"),
    ("delete", b"\x7f", "\\x7f"),
    ("a lone byte", b"caf\xe9", "caf\\xe9"),
    ("a truncated sequence", b"\xe6\x97", "\\xe6\\x97"),
    ("an encoded surrogate is three bytes", b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
    ("C1 (the 8-bit CSI)", "\u009b31m".encode(), "\\u009b31m"),
    ("next line", "\u0085".encode(), "\\u0085"),
    ("no-break space", "a\u00a0b".encode(), "a\\u00a0b"),
    ("soft hyphen", "\u00ad".encode(), "\\u00ad"),
    ("right-to-left override", "a\u202egpj.exe".encode(), "a\\u202egpj.exe"),
    ("bidi isolate", "\u2066".encode(), "\\u2066"),
    ("arabic letter mark", "\u061c".encode(), "\\u061c"),
    ("zero-width space", "a\u200bb".encode(), "a\\u200bb"),
    ("zero-width joiner", "\u200d".encode(), "\\u200d"),
    ("byte order mark", "\ufeffa".encode(), "\\ufeffa"),
    ("variation selector", "a\ufe0f".encode(), "a\\ufe0f"),
    ("hangul filler, a letter that shows nothing", "\u3164".encode(), "\\u3164"),
    ("combining grapheme joiner", "\u034f".encode(), "\\u034f"),
    ("line separator", "\u2028".encode(), "\\u2028"),
    ("private use", "\ue000".encode(), "\\ue000"),
    ("not a character", "\uffff".encode(), "\\uffff"),
    ("a tag character", "\U000e0041".encode(), "\\U000e0041"),
]


@pytest.mark.parametrize(("raw", "text"), [e[1:] for e in ESCAPED], ids=[e[0] for e in ESCAPED])
def test_escape_and_back(raw: bytes, text: str) -> None:
    assert paths.escape(raw) == text
    assert paths.unescape(text) == raw


TRICKY = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("\\xnuU0\n\r\u202e\u200b\u0301"))
).map(str.encode)


@given(st.one_of(st.binary(), TRICKY, st.lists(st.one_of(TRICKY, st.binary(max_size=3))).map(b"".join)))
@example(b"\\")
@example(b"\\\\n\\n\n")
@example(b"\xc3\\xa9")
def test_escape_round_trips_and_is_printable(raw: bytes) -> None:
    text = paths.escape(raw)
    assert text.isprintable()
    assert paths.unescape(text) == raw


@given(st.binary(), st.binary())
def test_escape_is_injective(a: bytes, b: bytes) -> None:
    assert (paths.escape(a) == paths.escape(b)) is (a == b)


def test_no_invisible_character_is_shown_raw() -> None:
    hidden = [
        chr(code)
        for code in range(0x110000)
        if unicodedata.category(chr(code)) in ("Cc", "Cf", "Zl", "Zp", "Co", "Cn")
    ]
    for start in range(0, len(hidden), 50_000):
        chunk = "".join(hidden[start : start + 50_000])
        text = paths.escape(chunk.encode())
        assert text.isascii()
        assert paths.unescape(text) == chunk.encode()


@pytest.mark.parametrize(
    "text", ["\\", "a\\", "\\q", "\\x1", "\\x1G", "\\u12", "\\U0000004", "\\N{DASH}", "\\X41"]
)
def test_unescape_rejects_stray_backslashes(text: str) -> None:
    with pytest.raises(InvalidPath, match="escapes nothing"):
        paths.unescape(text)


@pytest.mark.parametrize("text", ["\udc80", "\\ud800", "\\n\ud800", "\\U0000dfff"])
def test_unescape_rejects_surrogates(text: str) -> None:
    with pytest.raises(InvalidPath, match="surrogate"):
        paths.unescape(text)


def test_unescape_rejects_what_is_past_unicode() -> None:
    with pytest.raises(InvalidPath, match="last character"):
        paths.unescape("\\U00110000")


@given(st.text())
def test_unescape_is_total(text: str) -> None:
    try:
        raw = paths.unescape(text)
    except InvalidPath:
        return
    assert paths.unescape(paths.escape(raw)) == raw


# to_json.


def test_json_of_a_plain_path_has_no_base64() -> None:
    assert paths.to_json("é/日.txt".encode()) == {"path": "é/日.txt"}


@pytest.mark.parametrize("raw", [b"a\\b", b"a\nb", b"\xff", "\u200b".encode()])
def test_json_of_an_odd_path_has_its_bytes_beside_it(raw: bytes) -> None:
    found = paths.to_json(raw)
    assert found["path"] == paths.escape(raw)
    assert base64.b64decode(found["path_b64"]) == raw


@given(st.binary())
def test_json_is_always_json_and_reversible(raw: bytes) -> None:
    found = json.loads(json.dumps(paths.to_json(raw)))
    assert paths.unescape(found["path"]) == raw
    if "path_b64" not in found:
        assert found["path"].encode() == raw


# fold_key.

COLLIDING = [
    ("case", b"README", b"readme"),
    ("case beyond ASCII", "ÄRGER".encode(), "ärger".encode()),
    ("sharp s", b"STRASSE", "straße".encode()),
    ("composed and decomposed", "é".encode(), "e\u0301".encode()),
    ("ligature", "ﬁle".encode(), b"file"),
    ("full width", "ＡＢ".encode(), b"ab"),
    ("final sigma", "ΣΑΣ".encode(), "σας".encode()),
    ("Kelvin", "\u212a".encode(), b"k"),
    ("dotted capital I", "İ".encode(), "i\u0307".encode()),
]


@pytest.mark.parametrize(("a", "b"), [c[1:] for c in COLLIDING], ids=[c[0] for c in COLLIDING])
def test_names_that_some_file_system_takes_for_one(a: bytes, b: bytes) -> None:
    assert a != b
    assert paths.fold_key(a) == paths.fold_key(b)


@pytest.mark.parametrize(
    ("a", "b"), [(b"a", b"b"), (b"\xe9", b"\xc9"), (b"a ", b"a"), (b"a.", b"a"), (b"\xff", b"\xfe")]
)
def test_names_that_stay_apart(a: bytes, b: bytes) -> None:
    assert paths.fold_key(a) != paths.fold_key(b)


@given(NAMES)
def test_fold_key_is_total_and_stable(name: bytes) -> None:
    key = paths.fold_key(name)
    assert paths.fold_key(key) == key


@given(st.text(max_size=8).filter(lambda t: not any("\ud800" <= c <= "\udfff" for c in t)))
def test_fold_key_ignores_unicode_forms(text: str) -> None:
    keys = {
        paths.fold_key(unicodedata.normalize(form, text).encode()) for form in ("NFC", "NFD", "NFKC", "NFKD")
    }
    assert len(keys) == 1


# is_reserved.

RESERVED = [
    b".syncd",
    b".syncd/trash/1",
    b".SYNCD",
    b".Syncd/x",
    b".syncd.",
    b".syncd ",
    b".syncd. .",
    b"a/.SyncD",
    b"a/b/.syncd./c",
    ".syn\u200bcd".encode(),
    ".\ufeffsyncd".encode(),
    ".sy\u00adncd".encode(),
    "\u200d.syncd".encode(),
    "．ｓｙｎｃｄ".encode(),
    "a/.ſyncd".encode(),
    ".sync\u2146".encode(),
]


@pytest.mark.parametrize("path", RESERVED)
def test_the_control_name_and_its_disguises_are_reserved(path: bytes) -> None:
    assert paths.is_reserved(path)


FREE = [
    b"",
    b"a",
    b"syncd",
    b".syncdx",
    b"x.syncd",
    b".syncd~",
    b" .syncd",
    b"..syncd",
    b".syncignore",
    b"a/.syncd",
    b"a/.syncd/b",
    b".sync d",
    b".syncd\xff",
    ".sýncd".encode(),
    "日本/é".encode(),
]


@pytest.mark.parametrize("path", FREE)
def test_other_names_are_free(path: bytes) -> None:
    """`.syncd` itself is reserved at the top of a tree only; below, it is some other tree's business."""
    assert not paths.is_reserved(path)


@given(PATHS)
def test_reserved_is_inherited(path: bytes) -> None:
    assert paths.is_reserved(b".syncd/" + path)
    if paths.is_reserved(path):
        assert paths.is_reserved(path + b"/child")


def test_constants() -> None:
    assert paths.CONTROL_NAME == b".syncd"
    assert paths.IGNORE_FILE == b".syncignore"
    assert not paths.is_reserved(paths.IGNORE_FILE)
