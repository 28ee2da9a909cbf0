"""Deletions against edits, nested directories: section 1.6 of the catalogue."""

import os

import pytest

from tests.e2e.case import Case, scenario


@scenario("DEL-01")
def test_deleted_here_edited_there(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    case.pause()
    case.a.delete("f")
    case.b.edit("f", "edited at b")
    case.resume()
    case.sync()
    case.assert_both({"f": "edited at b", "g": "2"})
    case.rest()


@scenario("DEL-02")
def test_edited_here_deleted_there(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    case.pause()
    case.a.replace("f", "2 edited at a")
    case.b.delete("f")
    case.resume()
    case.sync()
    case.assert_both({"f": "2 edited at a", "g": "2"})
    case.rest()


@scenario("DEL-04")
def test_deletions_agree(case: Case) -> None:
    case.given({"d/a": "1", "d/b": "2", "g": "3"})
    case.pause()
    case.a.delete("d")
    case.b.delete("d/a")
    case.resume()
    case.sync()
    case.assert_both({"g": "3"})
    case.rest()


@scenario("DEL-05")
def test_deleted_and_made_again(case: Case) -> None:
    case.given({"f": "first content", "g": "2"})
    case.a.delete("f")
    case.a.write("f", "other content")
    case.sync()
    case.assert_both({"f": "other content", "g": "2"})
    assert case.conflicts() == []
    assert b"first content" in case.b.trash()


@scenario("DEL-07", ignore=["*.ign"])
def test_ignored_file_survives_its_directory(case: Case) -> None:
    case.given({"d/f": "1", "g": "2"})
    case.b.write("d/own.ign", "ignored at b")
    case.a.delete("d")
    case.sync()
    assert case.a.files() == {"g": b"2"}
    assert case.b.files() == {"d/own.ign": b"ignored at b", "g": b"2"}
    assert case.issues() == {}
    case.rest()
    case.b.delete("d/own.ign")
    case.b.write("g2", "any change")
    case.sync()
    assert not case.a.exists("d")


@scenario("DEL-08")
def test_deep_edit_in_a_deleted_directory(case: Case) -> None:
    case.given({"d/1": "1", "d/x/2": "2", "d/x/y/3": "3", "d/x/y/z": "z", "g": "4"})
    case.pause()
    case.a.delete("d")
    case.b.edit("d/x/y/z", "edited at b")
    case.resume()
    case.sync()
    case.assert_both({"d/x/y/z": "edited at b", "g": "4"})
    case.rest()


@scenario("DEL-09")
def test_renamed_out_of_a_deleted_directory(case: Case) -> None:
    case.given({"d/f": "content", "d/2": "2", "g": "3"})
    case.pause()
    case.a.delete("d")
    case.b.rename("d/f", "f")
    case.resume()
    case.sync()
    case.assert_both({"f": "content", "g": "3"})
    case.rest()


@scenario("DEL-10", max_delete={"files": 1000})
def test_parent_deleted_while_children_are_copied(case: Case) -> None:
    case.given({"g": "1"})
    for number in range(40):
        case.a.write(f"d/{number}", os.urandom(1 << 20))
    case.a.delete("d")
    case.wait()
    case.sync()
    case.assert_both({"g": "1"})
    for side in (case.a, case.b):
        assert os.listdir(side.at(".syncd/stage")) == []


@scenario("DEL-12")
def test_edit_that_was_seen_but_not_yet_stored(case: Case) -> None:
    """The edit lands at any moment between the deletion and its arrival; it survives every time."""
    case.given({f"f{number}": "1" for number in range(12)})
    for number in range(12):
        case.a.delete(f"f{number}")
        if number % 3 == 0:
            case.wait(0)
        try:
            case.b.append(f"f{number}", b" edited")
        except FileNotFoundError:
            continue
    case.sync()
    case.assert_same()
    edited = [data for data in case.a.values() if data.endswith(b" edited")]
    assert all(data in (b"1 edited", b" edited") for data in edited)


@scenario("DEL-13")
def test_read_only_file_is_deleted(case: Case) -> None:
    case.a.write("f", "1", mode=0o444)
    case.given({"g": "2"})
    case.a.delete("f")
    case.sync()
    case.assert_both({"g": "2"})


@scenario("DEL-14")
def test_same_directory_made_on_both(case: Case) -> None:
    case.given({"g": "1"})
    case.pause()
    case.a.write("d/a", "from a")
    case.b.write("d/b", "from b")
    case.a.write("d/same", "equal")
    case.b.write("d/same", "equal")
    case.a.write("d/f", "version a", mtime_ns=1_600_000_000_000_000_001)
    case.b.write("d/f", "version b", mtime_ns=1_600_000_100_000_000_001)
    case.resume()
    case.sync()
    case.assert_both({"d/a": "from a", "d/b": "from b", "d/same": "equal", "d/f": "version b", "g": "1"})
    assert [record["path"] for record in case.conflicts()] == ["d/f"]
    assert b"version a" in case.a.trash()
    case.rest()


@scenario("DEL-15")
def test_each_side_deletes_a_half(case: Case) -> None:
    case.given({"g": "1", **{f"d/{number}": str(number) for number in range(16)}})
    case.pause()
    for number in range(16):
        (case.a if number % 2 else case.b).delete(f"d/{number}")
    case.resume()
    case.sync()
    assert case.a.files() == {"g": b"1", "d": None}
    case.assert_same()
    case.a.delete("d")
    case.sync()
    case.assert_both({"g": "1"})


@scenario("DEL-16")
def test_few_files_that_are_most_of_the_bytes(case: Case) -> None:
    """At least 20 files that hold most of the bytes are held; an approved plan goes on."""
    small = {f"small/{number}": "x" for number in range(700)}
    large = {f"large/{number}": chr(97 + number) * 100_000 for number in range(21)}
    case.given({**small, **large})
    case.a.delete("large")
    case.sync("held")
    assert len(case.b.values()) == 721
    hold = case.hold()
    assert hold is not None
    assert hold["reason"] == "mass-delete"
    case.call("plan.approve", pair=case.name, plan_id=hold["plan_id"])
    case.sync()
    case.assert_both(small)


@scenario("DEL-17")
def test_made_again_after_a_deletion_that_failed(case: Case) -> None:
    if os.geteuid() != 0:
        pytest.skip("chattr +i needs root")
    case.given({"f": "first", "g": "2"})
    path = os.fsdecode(case.b.at("f"))
    if os.system(f"chattr +i '{path}'") != 0:
        pytest.skip("no immutable files on this file system")
    try:
        case.a.delete("f")
        case.sync("degraded")
        assert not case.a.exists("f"), "resurrected"
        case.a.write("f", "made again")
    finally:
        os.system(f"chattr -i '{path}'")
    case.call("pair.sync", pairs=[case.name], wait=True)
    case.sync()
    case.assert_both({"f": "made again", "g": "2"})
