"""The survey: clean subtrees are watched as a whole, trouble is worked around."""

import os

import pytest

from syncd.watch.cover import Cover, is_nameable, survey_blocking, unknown_blocking
from tests.watch.conftest import write


def survey(root: bytes, *suspects: bytes) -> Cover:
    return survey_blocking(root, os.stat(root).st_dev, suspects)


def text(root: bytes, *paths: str) -> set[str]:
    return {os.path.join(os.fsdecode(root), path) if path else os.fsdecode(root) for path in paths}


def test_a_clean_tree_is_one_watch(root: bytes) -> None:
    os.makedirs(os.path.join(root, b"a/b"))
    cover = survey(root)
    assert cover.is_clean
    assert set(cover.recursive) == text(root, "")
    assert cover.directories == 3


def test_a_link_to_a_directory_splits_its_ancestors_only(root: bytes) -> None:
    os.makedirs(os.path.join(root, b"a/b/c"))
    os.makedirs(os.path.join(root, b"clean/x"))
    os.symlink(b"/", os.path.join(root, b"a/b/link"))
    os.symlink(b"none", os.path.join(root, b"clean/dangling"))
    cover = survey(root)
    assert set(cover.single) == text(root, "", "a", "a/b")
    assert set(cover.recursive) == text(root, "clean", "a/b/c")


def test_names_that_are_not_utf8_are_polled_with_all_beneath(root: bytes) -> None:
    os.makedirs(os.path.join(root, b"a/\xff/deep"))
    os.makedirs(os.path.join(root, b"a/good"))
    cover = survey(root)
    assert set(cover.polled) == {os.path.join(root, path) for path in (b"a", b"a/\xff", b"a/\xff/deep")}
    assert set(cover.single) == text(root, "")
    assert set(cover.recursive) == text(root, "a/good")


def test_suspects_are_polled(root: bytes) -> None:
    os.makedirs(os.path.join(root, b"a/b"))
    cover = survey(root, os.path.join(root, b"a"))
    assert cover.polled == (os.path.join(root, b"a"),)
    assert set(cover.recursive) == text(root, "a/b")


def test_another_file_system_is_left_out(root: bytes) -> None:
    os.mkdir(os.path.join(root, b"a"))
    other = survey_blocking(root, -1)
    assert other.directories == 1
    assert set(other.single) == text(root, "")
    assert survey_blocking(root, None).is_clean


def test_a_top_that_vanished_has_nothing_to_watch(root: bytes) -> None:
    os.rmdir(root)
    cover = survey_blocking(root, None)
    assert (cover.recursive, cover.single) == ((), ())


def test_is_nameable() -> None:
    assert is_nameable("ä/b")
    assert not is_nameable(os.fsdecode(b"\xff"))


def test_what_may_not_be_read_is_set_aside(root: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    os.makedirs(os.path.join(root, b"a/closed"))
    os.makedirs(os.path.join(root, b"b/gone"))
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied")
        if path.endswith("gone"):
            raise FileNotFoundError(2, "No such file or directory")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    cover = survey(root)
    assert cover.unreadable == (os.path.join(root, b"a/closed"),)
    assert set(cover.single) == text(root, "", "a")
    assert set(cover.recursive) == text(root, "b")


def test_unknown_directories(root: bytes) -> None:
    for name in (b"old", b"new"):
        os.mkdir(os.path.join(root, name))
    write(root, b"file")
    known = {os.path.join(root, b"old")}
    beside = {root, os.path.join(root, b"none")}
    assert unknown_blocking(beside, known, None) == {os.path.join(root, b"new")}
    assert unknown_blocking(beside, known, -1) == set()
