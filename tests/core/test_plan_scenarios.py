"""Whole plans, line by line: levels, parents, type changes; each is carried out without a stale action."""

import random

import pytest

from syncd.core.action import Level
from syncd.core.mode import Mode
from syncd.core.plan import make
from tests.core.model import directory, file, link, special
from tests.core.plans import BACKUP, COPY, MIRROR, D, Tree, rules, world
from tests.core.words import tell

SCENARIOS: list[tuple[str, Mode, Tree, Tree, Tree, list[str]]] = [
    (
        "a new tree is made parents first",
        Mode.TWO_WAY,
        {},
        {"a": D, "a/b": D, "a/b/f": file("f"), "z": file("z")},
        {},
        ["DIRECTORY mkdir D a", "DIRECTORY mkdir D a/b", "PUT put D a/b/f", "PUT put D z"],
    ),
    (
        "a deleted tree goes children first",
        Mode.TWO_WAY,
        {"a": D, "a/b": D, "a/b/f": file("f")},
        {},
        {"a": D, "a/b": D, "a/b/f": file("f")},
        ["DELETE delete D a/b/f", "REMOVE_DIRECTORY rmdir D a/b", "REMOVE_DIRECTORY rmdir D a"],
    ),
    (
        "DEL-08: of a deleted tree the edit comes back with its parents",
        Mode.TWO_WAY,
        {"a": D, "a/b": D, "a/b/f": file("f"), "a/g": file("g")},
        {},
        {"a": D, "a/b": D, "a/b/f": file("edited"), "a/g": file("g")},
        ["DIRECTORY mkdir S a", "DIRECTORY mkdir S a/b", "PUT put S a/b/f", "DELETE delete D a/g"],
    ),
    (
        "what is new in a deleted directory brings it back",
        Mode.TWO_WAY,
        {"a": D},
        {"a": D, "a/new": file("n")},
        {},
        ["DIRECTORY mkdir D a", "PUT put D a/new"],
    ),
    (
        "DEL-15: both delete halves of a directory",
        Mode.TWO_WAY,
        {"a": D, "a/x": file("x"), "a/y": file("y")},
        {"a": D, "a/x": file("x")},
        {"a": D, "a/y": file("y")},
        ["DELETE delete D a/y", "DELETE delete S a/x"],
    ),
    (
        "TYP-01: a file becomes a directory",
        Mode.TWO_WAY,
        {"n": file("n")},
        {"n": D, "n/f": file("f")},
        {"n": file("n")},
        ["CLEAR delete D n", "DIRECTORY mkdir D n", "PUT put D n/f"],
    ),
    (
        "TYP-02: a directory becomes a file",
        Mode.TWO_WAY,
        {"n": D, "n/d": D, "n/d/f": file("f"), "n/g": file("g")},
        {"n": file("n")},
        {"n": D, "n/d": D, "n/d/f": file("f"), "n/g": file("g")},
        [
            "CLEAR delete D n/d/f",
            "CLEAR delete D n/g",
            "CLEAR rmdir D n/d",
            "CLEAR rmdir D n",
            "PUT put D n",
        ],
    ),
    (
        "TYP-04: a file took the place of a directory that the other side filled",
        Mode.TWO_WAY,
        {"n": D, "n/old": file("o")},
        {"n": file("n")},
        {"n": D, "n/old": file("o"), "n/new": file("x")},
        [
            f"CONFLICT_RENAME move S n -> n {COPY}",
            "DIRECTORY mkdir S n",
            f"PUT put D n {COPY}",
            "PUT put S n/new",
            "DELETE delete D n/old",
        ],
    ),
    (
        "TYP-05: a file becomes a link",
        Mode.TWO_WAY,
        {"n": file("n")},
        {"n": link("x")},
        {"n": file("n")},
        ["PUT replace D n"],
    ),
    (
        "TYP-07: a link becomes a directory here and another link there",
        Mode.TWO_WAY,
        {"n": link("x")},
        {"n": D, "n/f": file("f")},
        {"n": link("y")},
        [
            f"CONFLICT_RENAME move D n -> n {COPY}",
            "DIRECTORY mkdir D n",
            "PUT put D n/f",
            f"PUT put S n {COPY}",
        ],
    ),
    (
        "two nested type changes at once",
        Mode.TWO_WAY,
        {"a": D, "a/f": file("f"), "b": file("b")},
        {"a": file("a"), "b": D, "b/c": D},
        {"a": D, "a/f": file("f"), "b": file("b")},
        [
            "CLEAR delete D a/f",
            "CLEAR delete D b",
            "CLEAR rmdir D a",
            "DIRECTORY mkdir D b",
            "DIRECTORY mkdir D b/c",
            "PUT put D a",
        ],
    ),
    (
        "both versions of a conflict are kept on both sides",
        Mode.TWO_WAY,
        {"f.txt": file("o")},
        {"f.txt": file("ours")},
        {"f.txt": file("theirs")},
        [
            f"CONFLICT_RENAME move D f.txt -> f {COPY}.txt",
            "PUT put D f.txt",
            f"PUT put S f {COPY}.txt",
        ],
    ),
    (
        "DEL-14: directories of one name merge, only the file conflicts",
        Mode.TWO_WAY,
        {},
        {"d": D, "d/s": file("s"), "d/x": file("ours")},
        {"d": D, "d/t": file("t"), "d/x": file("theirs")},
        [
            f"CONFLICT_RENAME move D d/x -> d/x {COPY}",
            "PUT put D d/s",
            "PUT put D d/x",
            "PUT put S d/t",
            f"PUT put S d/x {COPY}",
        ],
    ),
    (
        "mode bits are set after the content, children first",
        Mode.TWO_WAY,
        {"d": D, "d/f": file("f")},
        {"d": directory(0o555), "d/f": file("f", 0o444), "d/g": file("g")},
        {"d": D, "d/f": file("f")},
        ["PUT put D d/g", "METADATA chmod D d/f 444", "METADATA chmod D d 555"],
    ),
    (
        "SPE-13: a read-only directory is filled before it is closed",
        Mode.TWO_WAY,
        {},
        {"d": directory(0o555), "d/f": file("f")},
        {},
        ["DIRECTORY mkdir D d", "PUT put D d/f", "METADATA chmod D d 555"],
    ),
    (
        "both change mode bits to different executables: both are set",
        Mode.TWO_WAY,
        {"f": file("f")},
        {"f": file("f", 0o744)},
        {"f": file("f", 0o611)},
        ["METADATA chmod D f 755", "METADATA chmod S f 755"],
    ),
    (
        "a mirror undoes what its follower did",
        MIRROR,
        {"d": D, "d/f": file("f"), "g": file("g")},
        {"d": D, "d/f": file("f"), "g": file("g")},
        {"g": file("edited"), "x": D, "x/y": file("y")},
        [
            "DIRECTORY mkdir D d",
            "PUT put D d/f",
            "PUT replace D g",
            "DELETE delete D x/y",
            "REMOVE_DIRECTORY rmdir D x",
        ],
    ),
    (
        "a backup puts and keeps",
        BACKUP,
        {"d": D, "d/f": file("f")},
        {"n": file("n")},
        {"d": D, "d/f": file("f"), "own": file("x")},
        ["PUT put D n"],
    ),
    (
        "a backup moves a directory aside for the file that replaced it",
        BACKUP,
        {"n": D, "n/f": file("f")},
        {"n": file("n")},
        {"n": D, "n/f": file("f")},
        ["CONFLICT_RENAME move D n -> n (conflict 2027-01-15 080000 host)", "PUT put D n"],
    ),
    (
        "a backup removes an empty directory for the file that replaced it",
        BACKUP,
        {"n": D},
        {"n": file("n")},
        {"n": D},
        ["CLEAR rmdir D n", "PUT put D n"],
    ),
    (
        "a special file keeps its directory",
        Mode.TWO_WAY,
        {"d": D, "d/f": file("f")},
        {"d": D, "d/f": file("f"), "d/pipe": special()},
        {},
        ["DELETE delete S d/f"],
    ),
    (
        "a special file keeps a directory from being replaced",
        MIRROR,
        {"n": D},
        {"n": file("n")},
        {"n": D, "n/pipe": special()},
        [],
    ),
]


@pytest.mark.parametrize(
    ("mode", "base", "source", "destination", "lines"),
    [pytest.param(*row[1:], id=row[0]) for row in SCENARIOS],
)
def test_plans(mode: Mode, base: Tree, source: Tree, destination: Tree, lines: list[str]) -> None:
    model = world(base, source, destination)
    plan = model.plan(rules(mode), finds_moves=False)
    assert tell(plan) == lines
    model.apply(plan)
    assert model.stale == []
    again = model.plan(rules(mode), finds_moves=False)
    assert tell(again) == []
    assert mode.is_backup or plan.left == again.left


def test_levels_come_in_order_and_the_order_of_outcomes_does_not_matter() -> None:
    model = world(
        {"d": D, "d/x": file("x"), "t": file("t"), "c": file("c")},
        {"t": D, "t/u": file("u"), "c": file("ours"), "e": directory(0o500)},
        {"d": D, "d/x": file("x"), "t": file("t"), "c": file("theirs"), "new": file("new")},
    )
    outcomes = model.outcomes(rules())
    plan = make(outcomes, (), rules(), taken=model.is_taken)
    levels = [level for level, _ in plan.actions]
    assert levels == sorted(levels)
    assert set(levels) == set(Level) - {Level.MOVE}
    for seed in range(10):
        random.Random(seed).shuffle(outcomes)
        assert make(outcomes, (), rules(), taken=model.is_taken) == plan
