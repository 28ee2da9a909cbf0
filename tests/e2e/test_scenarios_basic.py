"""Basic operations: section 1.1 of the catalogue."""

import os

from tests.e2e.case import Case, scenario


@scenario("BAS-01")
def test_new_file_at_the_source(case: Case) -> None:
    case.given({"old": "1"})
    case.a.write("new", "hello", mode=0o755)
    case.sync()
    case.assert_both({"old": "1", "new": "hello"})
    assert case.b.stat("new").st_mtime_ns == case.a.stat("new").st_mtime_ns
    assert case.b.stat("new").st_mode & 0o777 == 0o755
    case.rest()


@scenario("BAS-02")
def test_new_file_at_the_destination(case: Case) -> None:
    case.given({"old": "1"})
    case.b.write("new", "hello")
    case.sync()
    case.assert_both({"old": "1", "new": "hello"})
    case.rest()


@scenario("BAS-04")
def test_edit_at_the_destination(case: Case) -> None:
    case.given({"f": "1"})
    case.b.edit("f", "22")
    case.sync()
    case.assert_both({"f": "22"})
    assert case.a.trash() == [b"1"] or b"1" in case.a.trash()
    case.rest()


@scenario("BAS-05")
def test_delete_at_the_source(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    case.a.delete("f")
    case.sync()
    case.assert_both({"g": "2"})
    assert b"1" in case.b.trash()
    case.rest()


@scenario("BAS-07")
def test_same_file_deleted_on_both(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    case.pause()
    case.a.delete("f")
    case.b.delete("f")
    case.resume()
    case.sync()
    case.assert_both({"g": "2"})
    assert case.issues(notes=True) == {}
    case.rest()


@scenario("BAS-08")
def test_edits_of_neighbours(case: Case) -> None:
    case.given({"d/a": "1", "d/b": "2", "d/c": "3"})
    case.a.edit("d/a", "edit a")
    case.b.edit("d/b", "edit b")
    case.sync()
    case.assert_both({"d/a": "edit a", "d/b": "edit b", "d/c": "3"})
    assert case.conflicts() == []


@scenario("BAS-10")
def test_empty_file_and_empty_directory(case: Case) -> None:
    case.given({"file": "", "dir": None, "nested/dir": None})
    case.b.mkdir("other")
    case.b.write("other file", "")
    case.sync()
    case.assert_both({"file": "", "dir": None, "nested/dir": None, "other": None, "other file": ""})
    case.rest()


@scenario("BAS-11")
def test_touch_is_not_a_change(case: Case) -> None:
    case.given({"one": "1", "both": "2"})
    done = len(case.history())
    case.a.stamp("one")
    case.a.stamp("both")
    case.b.stamp("both", 1_500_000_000_000_000_000)
    case.sync()
    case.assert_both({"one": "1", "both": "2"})
    assert case.conflicts() == []
    assert len(case.history()) == done, "bytes were transferred"
    case.rest()


@scenario("BAS-13")
def test_four_bytes_in_a_large_file(case: Case) -> None:
    case.a.write("large", os.urandom(1 << 20) * 64)
    case.start()
    with open(case.b.at("large"), "r+b") as file:
        file.seek(33 << 20)
        file.write(b"four")
    case.sync()
    assert case.a.read("large") == case.b.read("large")
    assert case.a.read("large")[33 << 20 : (33 << 20) + 4] == b"four"
    assert case.history()[-1]["size"] == 64 << 20
    assert list(case.a.files()) == ["large"]


@scenario("BAS-14")
def test_truncate_then_append(case: Case) -> None:
    case.given({"log": "first line\n"})
    case.a.edit("log", "")
    case.sync()
    case.assert_both({"log": ""})
    case.a.append("log", b"second line\n")
    case.sync()
    case.assert_both({"log": "second line\n"})
    assert b"first line\n" in case.b.trash()


@scenario("BAS-16", mode="source-to-destination")
def test_mirror_removes_what_the_destination_added(case: Case) -> None:
    case.given({"f": "1"})
    case.b.write("own", "added at the destination")
    case.sync()
    case.assert_both({"f": "1"})
    assert b"added at the destination" in case.b.trash()
    case.rest()


@scenario("BAS-17", mode="source-to-destination")
def test_mirror_overwrites_an_edit_of_the_destination(case: Case) -> None:
    case.given({"f": "1"})
    case.b.edit("f", "edited at the destination")
    case.sync()
    case.assert_both({"f": "1"})
    assert b"edited at the destination" in case.b.trash()
    case.rest()


@scenario("BAS-18", mode="source-to-destination")
def test_mirror_puts_a_deleted_file_again(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    case.b.delete("f")
    case.sync()
    case.assert_both({"f": "1", "g": "2"})
    case.rest()


@scenario("BAS-19", mode="source-backup")
def test_backup_keeps_what_the_source_deleted(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    case.a.delete("f")
    case.sync()
    assert case.a.files() == {"g": b"2"}
    assert case.b.files() == {"f": b"1", "g": b"2"}
    case.rest()


@scenario("BAS-20", mode="source-backup")
def test_backup_keeps_the_old_name_of_a_rename(case: Case) -> None:
    case.given({"old": "1", "g": "2"})
    case.a.rename("old", "new")
    case.sync()
    assert case.a.files() == {"new": b"1", "g": b"2"}
    assert case.b.files() == {"old": b"1", "new": b"1", "g": b"2"}
    case.rest()


@scenario("BAS-24", mode="source-backup")
def test_switch_from_a_backup_to_two_way(case: Case) -> None:
    """What the backup kept is not deleted by the switch: the differing paths start anew."""
    case.given({"f": "1", "g": "2", "h": "3"})
    case.a.delete("f")
    case.b.delete("g")
    case.sync()
    case.b.write("own", "4")
    case.sync()
    case.edit_pair(mode="two-way")
    case.sync()
    case.assert_both({"f": "1", "g": "2", "h": "3", "own": "4"})
    case.rest()


@scenario("BAS-24 mirror", mode="source-to-destination")
def test_switch_from_a_mirror_to_two_way(case: Case) -> None:
    """The destination differs at the moment of the switch: both versions and both additions stay."""
    case.given({"f": "1", "g": "2", "h": "3"})
    case.pause()
    case.b.edit("f", "edit at b")
    case.b.write("own", "4")
    case.b.delete("g")
    case.edit_pair(mode="two-way", paused=False)
    case.resume()
    case.sync()
    case.assert_both({"f": "edit at b", "g": "2", "h": "3", "own": "4"})
    assert b"1" in case.a.trash()


@scenario("BAS-26")
def test_same_bytes_under_a_new_inode(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    done = len(case.history())
    case.a.replace("f", "1")
    case.sync()
    case.assert_both({"f": "1", "g": "2"})
    assert len(case.history()) == done, "bytes were transferred"
