"""Renames: section 1.4 of the catalogue."""

import os

from tests.e2e.case import Case, scenario


def moved(case: Case) -> list[str]:
    """What was renamed, as the history tells."""
    return [entry["path"] for entry in case.history() if entry["verb"] == "move"]


@scenario("MOV-01")
def test_renamed_file(case: Case) -> None:
    case.given({"d/x": "content", "g": "2"})
    inode = case.b.stat("d/x").st_ino
    case.a.rename("d/x", "d/y")
    case.sync()
    case.assert_both({"d/y": "content", "g": "2"})
    assert case.b.stat("d/y").st_ino == inode
    assert len(moved(case)) == 1
    case.rest()


@scenario("MOV-02")
def test_renamed_directory(case: Case) -> None:
    case.given({f"d/{number}": str(number) for number in range(30)})
    inode = case.b.stat("d/7").st_ino
    case.a.rename("d", "e")
    case.sync()
    case.assert_both({f"e/{number}": str(number) for number in range(30)})
    assert case.b.stat("e/7").st_ino == inode
    assert moved(case) == ["d"]
    case.rest()


@scenario("MOV-04")
def test_swapped_files(case: Case) -> None:
    case.given({"a": "content of a", "b": "content of b"})
    case.a.rename("a", "t")
    case.a.rename("b", "a")
    case.a.rename("t", "b")
    case.sync()
    case.assert_both({"a": "content of b", "b": "content of a"})
    case.rest()


@scenario("MOV-05")
def test_cycle_of_three_directories(case: Case) -> None:
    case.given({"a/1": "a", "b/2": "b", "c/3": "c", "c/deep/4": "d"})
    case.a.rename("a", "t")
    case.a.rename("b", "a")
    case.a.rename("c", "b")
    case.a.rename("t", "c")
    case.sync()
    case.assert_both({"c/1": "a", "a/2": "b", "b/3": "c", "b/deep/4": "d"})
    case.rest()


@scenario("MOV-07")
def test_renamed_differently(case: Case) -> None:
    case.given({"x": "content", "g": "2"})
    case.pause()
    case.a.rename("x", "y")
    case.b.rename("x", "z")
    case.resume()
    case.sync()
    case.assert_both({"y": "content", "g": "2"})
    assert case.conflicts()[0]["kind"] == "conflict-moved"
    case.rest()


@scenario("MOV-08")
def test_renamed_here_edited_there(case: Case) -> None:
    case.given({"x": "content", "g": "2"})
    case.pause()
    case.a.rename("x", "y")
    case.b.edit("x", "edited at b")
    case.resume()
    case.sync()
    case.assert_both({"y": "edited at b", "g": "2"})
    case.rest()


@scenario("MOV-08 mirror image")
def test_edited_here_renamed_there(case: Case) -> None:
    case.given({"x": "content", "g": "2"})
    case.pause()
    case.a.replace("x", "replaced at a")
    case.b.rename("x", "y")
    case.resume()
    case.sync()
    case.assert_both({"y": "replaced at a", "g": "2"})
    case.rest()


@scenario("MOV-10")
def test_directory_renamed_here_filled_there(case: Case) -> None:
    case.given({"d/1": "1", "d/2": "2"})
    case.pause()
    case.a.rename("d", "e")
    case.b.write("d/n", "new")
    case.resume()
    case.sync()
    case.assert_both({"e/1": "1", "e/2": "2", "e/n": "new"})
    case.rest()


@scenario("MOV-11")
def test_directory_renamed_here_edited_there(case: Case) -> None:
    case.given({"d/a": "1", "d/b": "2", "d/sub/c": "3"})
    case.pause()
    case.a.rename("d", "e")
    case.b.edit("d/a", "edit of a")
    case.b.replace("d/sub/c", "new c")
    case.resume()
    case.sync()
    case.assert_both({"e/a": "edit of a", "e/b": "2", "e/sub/c": "new c"})
    case.rest()


@scenario("MOV-13")
def test_renamed_in_case_only(case: Case) -> None:
    case.given({"Foo": "1", "Dir/x": "2"})
    case.a.symlink("Link", "Foo")
    case.sync()
    for old, new in (("Foo", "foo"), ("Dir", "dir"), ("Link", "link")):
        case.a.rename(old, new)
    case.sync()
    case.assert_both({"foo": "1", "dir/x": "2", "link": None})
    case.rest()


@scenario("MOV-14")
def test_renamed_over_another_file(case: Case) -> None:
    case.given({"a": "content of a", "b": "content of b", "c": "3"})
    case.a.rename("a", "b")
    case.sync()
    case.assert_both({"b": "content of a", "c": "3"})
    assert b"content of b" in case.b.trash()
    case.rest()


@scenario("MOV-16")
def test_moved_out_and_back(case: Case) -> None:
    case.given({"a": "content", "d/x": "1", "g": "2"})
    outside = os.fsencode(case.room / "outside")
    os.mkdir(outside)
    os.rename(case.a.at("a"), outside + b"/a")
    os.rename(case.a.at("d"), outside + b"/d")
    case.sync()
    case.assert_both({"g": "2"})
    os.rename(outside + b"/a", case.a.at("a"))
    os.rename(outside + b"/d", case.a.at("d"))
    case.sync()
    case.assert_both({"a": "content", "d/x": "1", "g": "2"})
    case.rest()


@scenario("MOV-17")
def test_an_editor_saves(case: Case) -> None:
    """Write a temporary file, keep the old one as a backup name, rename, remove the backup: one update."""
    case.given({"doc": "one", "g": "2"})
    for text in ("two", "three"):
        case.a.edit(".doc.swp", "swap")
        case.a.edit("doc.tmp", text)
        case.a.rename("doc", "doc~")
        case.a.rename("doc.tmp", "doc")
        case.a.delete("doc~")
        case.a.delete(".doc.swp")
    case.sync()
    case.assert_both({"doc": "three", "g": "2"})
    assert case.conflicts() == []
    assert b"one" in case.b.trash()
    assert {entry["path"] for entry in case.history() if entry["verb"] != "mkdir"} <= {"doc", "g"}
    case.rest()


@scenario("MOV-18")
def test_directories_moved_into_each_other(case: Case) -> None:
    case.given({"a/1": "a", "b/2": "b", "g": "3"})
    case.pause()
    case.a.rename("a", "b/a")
    case.b.rename("b", "a/b")
    case.resume()
    case.sync()
    case.assert_same()
    assert case.a.values() == [b"3", b"a", b"b"]
    case.rest()


@scenario("MOV-19")
def test_renamed_and_a_new_file_at_the_old_name(case: Case) -> None:
    case.given({"a": "content of a", "g": "2"})
    case.a.rename("a", "b")
    case.a.write("a", "something new")
    case.sync()
    case.assert_both({"a": "something new", "b": "content of a", "g": "2"})
    case.rest()


@scenario("MOV-20")
def test_renamed_while_nobody_looks(case: Case) -> None:
    case.given({"d/large": "x" * 100_000, "d/2": "2", "g": "3"})
    inode = case.b.stat("d/large").st_ino
    case.pause()
    case.a.rename("d/large", "moved")
    case.a.rename("d", "e")
    case.resume()
    case.sync()
    case.assert_both({"moved": "x" * 100_000, "e/2": "2", "g": "3"})
    assert case.b.stat("moved").st_ino == inode
    case.rest()


@scenario("MOV-21")
def test_directory_renamed_while_it_is_copied(case: Case) -> None:
    case.given({"g": "1"})
    files = {f"d/{number}": f"content {number}" for number in range(600)}
    for path, data in files.items():
        case.a.write(path, data)
    case.a.rename("d", "e")
    case.wait()
    case.sync()
    case.assert_both({"g": "1", **{"e/" + path[2:]: data for path, data in files.items()}})


@scenario("MOV-24")
def test_recycled_inode_is_not_a_rename(case: Case) -> None:
    """Whether or not the file system hands out the same inode at once, x is gone and y has its own bytes."""
    case.given({"x": "content of x", "g": "2"})
    case.pause()
    when = case.a.stat("x").st_mtime_ns
    case.a.delete("x")
    case.a.write("y", "CONTENT OF Y", mtime_ns=when)
    case.resume()
    case.sync()
    case.assert_both({"y": "CONTENT OF Y", "g": "2"})
    assert b"content of x" in case.b.trash()
    case.rest()


@scenario("MOV-25")
def test_one_of_two_hard_links_renamed(case: Case) -> None:
    case.a.write("x", "content")
    os.link(case.a.at("x"), case.a.at("y"))
    case.given({"g": "2"})
    case.a.rename("x", "z")
    case.sync()
    case.assert_both({"y": "content", "z": "content", "g": "2"})
    case.rest()


@scenario("MOV-26", ignore=["/ignored/"])
def test_moved_into_an_ignored_directory(case: Case) -> None:
    """Documented (semantics, filters): a rename to an ignored name deletes nothing, on either side."""
    case.given({"x": "content", "g": "2"})
    case.a.rename("x", "ignored/x")
    case.sync()
    assert b"content" in case.a.contents()
    assert b"content" in case.b.contents()
    assert case.a.read("g") == case.b.read("g") == b"2"
    case.rest()


@scenario("MOV-27", ignore=["/ignored/"])
def test_moved_out_of_an_ignored_directory(case: Case) -> None:
    case.a.write("ignored/x", "content")
    case.a.write("ignored/y", "stays")
    case.start()
    case.a.write("g", "2")
    case.sync()
    case.a.rename("ignored/x", "x")
    case.sync()
    assert case.b.files() == {"x": b"content", "g": b"2"}
    assert case.a.read("ignored/y") == b"stays"


@scenario("MOV-28")
def test_moved_between_two_pairs(case: Case) -> None:
    other = case.beside("other")
    case.given({"x": "content", "g": "2"})
    other.given({"h": "3"})
    os.rename(case.a.at("x"), other.a.at("x"))
    case.sync()
    other.sync()
    case.assert_both({"g": "2"})
    other.assert_both({"x": "content", "h": "3"})
    other.remove()


@scenario("MOV-29")
def test_renames_are_not_a_mass_deletion(case: Case) -> None:
    files = {f"d/{number}": f"content {number}" for number in range(90)}
    case.given({"g": "1", **files})
    case.a.rename("d", "e")
    case.sync()
    case.assert_both({"g": "1", **{"e/" + path[2:]: data for path, data in files.items()}})
    case.pause()
    for number in range(90):
        case.a.rename(f"e/{number}", f"f/{number}.renamed")
    case.resume()
    case.sync()
    assert case.hold() is None
    case.assert_same()
    case.rest()
