"""Odd names: section 1.8 of the catalogue, first half."""

import contextlib
import os

import pytest

from tests.e2e.case import Case, Side, scenario
from tests.e2e.kit import eventually

ODD = {
    "NAM-01": [" leading", "trailing ", "two  spaces", "\ttab"],
    "NAM-02": ["new\nline", "\n", "carriage\rreturn", "escape\x1b[31m"],
    "NAM-03": ["*", "?", "[a]", "$HOME", "`id`", "a;b", "a|b", "'quote", '"double', "back\\slash", "%s", "&"],
    "NAM-04": ["dots...", "...", "a.", ".hidden.", "x ."],
    "NAM-05": ["-rf", "--help", "-"],
    "NAM-14": [".git/config", "a..b", "..c", "~x", "x~", "#x#", ".stfolder", "CON", "nul.txt", "a:b"],
}


def round_trip(case: Case, names: list[bytes]) -> None:
    """There from both sides, edited, and gone again."""
    for number, name in enumerate(names):
        (case.a if number % 2 else case.b).write(name, b"content of " + name)
    case.given({"g": "1"})
    assert {path for path in case.a.visible() if case.a.visible()[path].data} == {b"g", *names}
    for number, name in enumerate(names):
        (case.b if number % 2 else case.a).edit(name, b"edited " + name)
    case.sync()
    case.assert_same()
    for name in names:
        assert case.b.read(name) == b"edited " + name
        case.a.delete(name)
    case.sync()
    case.assert_same()
    assert not {path for path in case.b.visible() if path in names}
    case.rest()


@pytest.mark.parametrize(
    ("case", "scenario_id"), [({}, name) for name in ODD], indirect=["case"], ids=list(ODD)
)
def test_odd_names(case: Case, scenario_id: str) -> None:
    round_trip(case, [os.fsencode(name) for name in ODD[scenario_id]])


@scenario("NAM-07")
def test_names_that_are_not_utf8(case: Case) -> None:
    round_trip(case, [b"latin-\xe9", b"\xff\xfe", b"d\x80/inside", b"lone \xed\xa0\x80 surrogate"])


@scenario("NAM-07 told")
def test_names_that_are_not_utf8_in_answers(case: Case) -> None:
    case.given({"g": "1"})
    case.a.write(b"latin-\xe9", "2")
    case.sync()
    entry = next(one for one in case.history() if one["path"] != "g")
    assert entry["path"] == "latin-\\xe9"
    assert entry["path_b64"]

    def is_synced() -> bool:
        answer = case.call("path.explain", pair=case.name, path_b64=entry["path_b64"])
        return bool(answer["explanations"][0]["is_synced"])

    eventually(is_synced, "not in sync, it says")


@scenario("NAM-08")
def test_names_of_255_bytes(case: Case) -> None:
    round_trip(case, [b"x" * 255, "ä".encode() * 127 + b"x", b"d" * 255 + b"/" + b"f" * 255])


@scenario("NAM-11")
def test_two_spellings_of_one_word(case: Case) -> None:
    composed, decomposed = "caf\u00e9".encode(), "cafe\u0301".encode()
    case.given({"g": "1"})
    case.a.write(composed, "composed")
    case.b.write(decomposed, "decomposed")
    case.sync()
    case.assert_same()
    assert case.b.read(composed) == b"composed"
    assert case.a.read(decomposed) == b"decomposed"
    case.a.rename(composed, b"x")
    case.a.rename(decomposed, composed)
    case.sync()
    case.assert_same()
    assert case.b.read(composed) == b"decomposed"
    case.rest()


def deep_write(side: Side, parts: list[bytes], data: bytes) -> None:
    """A file whose path is too long for one call."""
    here = os.open(side.root, os.O_RDONLY | os.O_DIRECTORY)
    for part in parts[:-1]:
        with contextlib.suppress(FileExistsError):
            os.mkdir(part, dir_fd=here)
        below = os.open(part, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    with open(os.open(parts[-1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644, dir_fd=here), "wb") as file:
        file.write(data)
    os.close(here)


@scenario("NAM-13")
def test_path_of_3000_bytes(case: Case) -> None:
    parts = [b"x" * 249] * 11 + [b"f" * 249]
    path = b"/".join(parts)
    assert len(path) == 2999
    case.given({"g": "1"})
    deep_write(case.a, parts, b"deep")
    case.sync()
    assert case.b.visible()[path].data == b"deep"
    deep_write(case.b, parts, b"edited deep")
    case.sync()
    assert case.a.visible()[path].data == b"edited deep"
    case.a.rename(b"x" * 249, "moved")
    case.sync()
    case.assert_same()
    case.a.delete("moved")
    case.sync()
    case.assert_both({"g": "1"})
    case.rest()


@scenario("NAM-14b")
def test_path_of_more_than_4096_bytes(case: Case) -> None:
    """Reported, nothing dropped in silence; the rest goes on."""
    parts = [b"x" * 250] * 17 + [b"f"]
    case.given({"g": "1"})
    deep_write(case.a, parts, b"too deep")
    case.a.write("h", "2")
    outcome = case.wait()
    assert case.b.read("h") == b"2"
    found = case.b.visible().get(b"/".join(parts))
    if found is None:
        assert outcome == "degraded"
        reasons = [reason for path, reason in case.issues().items() if path.startswith("xxx")]
        assert set(reasons) == {"path-too-long"}
        assert len(reasons) <= 2
    case.call("pair.rescan", pairs=[case.name], wait=True)
    assert case.a.visible()[b"/".join(parts)].data == b"too deep"
    os.rename(case.a.at(b"x" * 250), case.room / "away")
    case.sync()
    case.assert_both({"g": "1", "h": "2"})


@scenario("NAM-18")
def test_reserved_names(case: Case) -> None:
    """Variants of the control name are not synchronised, and said to be so; nothing happens to them."""
    case.given({"g": "1"})
    for name in (".Syncd", ".syncd.", "sub/.SYNCD"):
        case.a.write(name, "looks like ours")
    case.a.write("sub/ordinary", "2")
    outcome = case.wait()
    assert case.b.read("sub/ordinary") == b"2"
    assert case.a.read(".Syncd") == b"looks like ours"
    assert not case.b.exists(".Syncd")
    assert outcome == "degraded"
    assert set(case.issues().values()) == {"reserved-name"}
