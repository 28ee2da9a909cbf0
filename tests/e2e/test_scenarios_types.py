"""Type changes: section 1.5 of the catalogue."""

import os

from tests.e2e.case import Case, scenario


@scenario("TYP-01")
def test_file_becomes_a_directory(case: Case) -> None:
    case.given({"n": "was a file", "g": "2"})
    case.a.delete("n")
    case.a.write("n/inside", "new")
    case.sync()
    case.assert_both({"n/inside": "new", "g": "2"})
    assert b"was a file" in case.b.trash()
    case.rest()


@scenario("TYP-02")
def test_directory_becomes_a_file(case: Case) -> None:
    case.given({"n/1": "one", "n/deep/2": "two", "g": "2"})
    case.a.delete("n")
    case.a.write("n", "now a file")
    case.sync()
    case.assert_both({"n": "now a file", "g": "2"})
    assert {b"one", b"two"} <= set(case.b.trash())
    case.rest()


@scenario("TYP-04")
def test_directory_becomes_a_file_and_is_filled_there(case: Case) -> None:
    case.given({"n/1": "one", "g": "2"})
    case.pause()
    case.a.delete("n")
    case.a.write("n", "now a file")
    case.b.write("n/new", "added at b")
    case.resume()
    case.sync()
    case.assert_same()
    assert b"added at b" in case.a.values()
    assert b"now a file" in case.a.values()
    case.rest()


@scenario("TYP-05")
def test_file_becomes_a_link(case: Case) -> None:
    case.given({"n": "was a file", "g": "2"})
    case.a.delete("n")
    case.a.symlink("n", "g")
    case.sync()
    case.assert_both({"n": None, "g": "2"})
    assert os.readlink(case.b.at("n")) == b"g"
    assert b"was a file" in case.b.trash()
    case.rest()


@scenario("TYP-06")
def test_directory_becomes_a_link_to_outside(case: Case) -> None:
    """Nothing is written through the link, though the other side goes on writing beneath the name."""
    case.given({"d/f": "one", "g": "2"})
    outside = case.room / "outside"
    outside.mkdir()
    (outside / "f").write_bytes(b"not ours")
    case.pause()
    case.a.delete("d")
    case.a.symlink("d", str(outside))
    case.b.edit("d/f", "edited at b")
    case.resume()
    case.sync()
    assert (outside / "f").read_bytes() == b"not ours"
    assert os.listdir(outside) == ["f"]
    case.assert_same()
    assert b"edited at b" in case.a.contents()
    case.rest()


@scenario("TYP-07")
def test_link_becomes_a_directory_here_and_another_link_there(case: Case) -> None:
    case.a.write("g", "2")
    case.a.symlink("n", "g")
    case.start()
    case.pause()
    case.a.delete("n")
    case.a.write("n/inside", "new")
    case.b.delete("n")
    case.b.symlink("n", "another target")
    case.resume()
    case.sync()
    case.assert_same()
    assert b"new" in case.a.values()
    assert "link b'another target'" in case.a.tree().values() or links_in_trash(case) == [b"another target"]
    case.rest()


def links_in_trash(case: Case) -> list[bytes]:
    found = []
    for side in (case.a, case.b):
        for folder, _, names in os.walk(side.at(".syncd/trash")):
            full = [os.path.join(folder, name) for name in names]
            found += [os.readlink(path) for path in full if os.path.islink(path)]
    return found


@scenario("TYP-08")
def test_file_becomes_a_pipe(case: Case) -> None:
    case.given({"n": "was a file", "g": "2"})
    case.a.delete("n")
    os.mkfifo(case.a.at("n"))
    case.sync()
    assert case.b.files() == {"n": b"was a file", "g": b"2"}
    assert case.issues() == {}
    assert case.issues(notes=True) == {"n": "special-file"}
    case.b.edit("n", "edited at b")
    case.sync()
    assert case.b.read("n") == b"edited at b"
    case.a.delete("n")
    case.sync()
    case.assert_both({"n": "edited at b", "g": "2"})


@scenario("TYP-09")
def test_empty_directory_becomes_a_file(case: Case) -> None:
    case.given({"n": None, "m/inner": None, "g": "2"})
    for name in ("n", "m"):
        case.a.delete(name)
        case.a.write(name, f"{name} is a file")
    case.sync()
    case.assert_both({"n": "n is a file", "m": "m is a file", "g": "2"})
    assert case.issues(notes=True) == {}
    case.rest()


@scenario("TYP-10", ignore=["*.ign"])
def test_directory_with_ignored_content_becomes_a_file_there(case: Case) -> None:
    case.given({"n/1": "one", "g": "2"})
    case.a.write("n/kept.ign", "ignored at a")
    case.b.delete("n")
    case.b.write("n", "now a file")
    case.sync("degraded")
    assert case.a.read("n/kept.ign") == b"ignored at a"
    assert case.b.read("n") == b"now a file"
    assert case.issues() == {"n": "not-empty"}
    case.a.delete("n/kept.ign")
    case.sync()
    case.assert_both({"n": "now a file", "g": "2"})


@scenario("TYP-11")
def test_type_change_while_the_child_moves_out(case: Case) -> None:
    case.given({"n/child": "content", "g": "2"})
    case.a.rename("n/child", "child")
    case.a.delete("n")
    case.a.write("n", "now a file")
    case.sync()
    case.assert_both({"n": "now a file", "child": "content", "g": "2"})
    case.rest()


@scenario("TYP-11 other side")
def test_type_change_here_while_the_child_moves_out_there(case: Case) -> None:
    case.given({"n/child": "content", "g": "2"})
    case.pause()
    case.a.delete("n")
    case.a.write("n", "now a file")
    case.b.rename("n/child", "child")
    case.resume()
    case.sync()
    case.assert_both({"n": "now a file", "child": "content", "g": "2"})
    case.rest()
