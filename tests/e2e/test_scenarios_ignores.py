"""Ignore rules: section 1.7 of the catalogue."""

import os
import shutil
import time

from tests.e2e.case import OLD_NS, Case, scenario


@scenario("IGN-01", ignore=["*.ign"])
def test_ignored_file_stays(case: Case) -> None:
    case.given({"f": "1"})
    case.a.write("x.ign", "ignored at a")
    case.b.write("y.ign", "ignored at b")
    case.a.write("g", "2")
    case.sync()
    assert case.a.files() == {"f": b"1", "g": b"2", "x.ign": b"ignored at a"}
    assert case.b.files() == {"f": b"1", "g": b"2", "y.ign": b"ignored at b"}
    case.rest()


@scenario("IGN-02")
def test_synced_file_becomes_ignored(case: Case) -> None:
    case.given({"x.ign": "1", "d/y.ign": "2", "g": "3"})
    case.a.write(".syncignore", "*.ign\n")
    case.sync()
    case.a.delete("x.ign")
    case.a.edit("d/y.ign", "edited while ignored")
    case.a.edit("g", "goes on")
    case.sync()
    assert case.b.read("x.ign") == b"1"
    assert case.b.read("d/y.ign") == b"2"
    assert case.b.read("g") == b"goes on"
    case.rest()


@scenario("IGN-02 by config")
def test_synced_file_becomes_ignored_by_the_config(case: Case) -> None:
    case.given({"x.ign": "1", "g": "3"})
    case.a.delete("x.ign")
    case.edit_pair(ignore=["*.ign"])
    case.a.edit("g", "goes on")
    case.sync()
    assert case.b.read("g") == b"goes on"
    assert b"1" in case.b.contents()


@scenario("IGN-03", ignore=["*.ign"])
def test_ignored_file_becomes_visible_and_differs(case: Case) -> None:
    case.given({"g": "1"})
    case.a.write("x.ign", "from a", mtime_ns=OLD_NS)
    case.b.write("x.ign", "from b, newer", mtime_ns=OLD_NS + 10**12)
    case.a.write("y.ign", "equal", mtime_ns=OLD_NS)
    case.b.write("y.ign", "equal", mtime_ns=OLD_NS + 10**12)
    case.b.write("z.ign", "only at b")
    case.sync()
    case.edit_pair(ignore=[])
    case.sync()
    case.assert_both({"g": "1", "x.ign": "from b, newer", "y.ign": "equal", "z.ign": "only at b"})
    assert b"from a" in case.a.trash()
    assert [record["path"] for record in case.conflicts()] == ["x.ign"]
    case.rest()


@scenario("IGN-04")
def test_ignore_file_edited_at_the_other_side(case: Case) -> None:
    case.given({".syncignore": "*.one\n", "g": "1"})
    case.b.edit(".syncignore", "*.two\n")
    case.sync()
    case.a.write("x.one", "visible now")
    case.a.write("x.two", "ignored now")
    case.sync()
    assert case.b.files() == {".syncignore": b"*.two\n", "g": b"1", "x.one": b"visible now"}
    case.rest()


@scenario("IGN-04 atomic")
def test_ignore_rule_and_file_arrive_together(case: Case) -> None:
    """A rule that is written in the same moment as the files that it hides."""
    case.given({"g": "1"})
    case.pause()
    for number in range(20):
        case.a.write(f"build/{number}.o", "object")
    case.a.write("build/.syncignore", "*.o\n")
    case.resume()
    case.sync()
    assert case.b.files() == {"g": b"1", "build/.syncignore": b"*.o\n"}
    case.rest()


@scenario("IGN-04 bad pattern")
def test_bad_pattern_is_told(case: Case) -> None:
    case.given({"g": "1"})
    case.a.write(".syncignore", b"*.good\n\xff\xfe[\n*.also\n")
    case.a.write("x.good", "ignored")
    case.a.write("x.also", "ignored")
    case.a.write("seen", "2")
    case.sync()
    assert {"seen", "g"} <= set(case.b.files())
    assert not case.b.exists("x.good")
    assert not case.b.exists("x.also")


@scenario("IGN-05", ignore=["/cache/", "!/cache/keep", "*.log", "!keep.log"])
def test_negation(case: Case) -> None:
    """As in gitignore: nothing beneath an ignored directory comes back; a later rule wins else."""
    case.given({"g": "1"})
    case.a.write("cache/keep", "2")
    case.a.write("x.log", "3")
    case.a.write("keep.log", "4")
    case.sync()
    assert case.b.files() == {"g": b"1", "keep.log": b"4"}
    verdict = case.call("ignore.test", pair=case.name, path="cache/keep")["verdicts"][0]
    assert verdict["is_ignored"]
    case.rest()


@scenario("IGN-06")
def test_odd_ignore_file(case: Case) -> None:
    case.given({"g": "1"})
    rules = "\ufeff*.crlf\r\nspaced\\ name\r\n# comment\r\n" + "x" * 10_000 + "\r\n*.last"
    case.a.write(".syncignore", rules)
    for name in ("a.crlf", "spaced name", "b.last", "# comment", "seen"):
        case.a.write(name, name)
    case.sync()
    assert set(case.b.files()) == {".syncignore", "g", "# comment", "seen"}
    case.rest()


@scenario("IGN-07")
def test_evil_pattern_costs_no_time(case: Case) -> None:
    case.given({"g": "1"})
    case.a.write(".syncignore", "*a" * 60 + "b\n" + "**/" * 40 + "x\n" + "[a-z]*" * 40 + "Q\n")
    for number in range(50):
        case.a.write("a" * 240 + str(number), "1")
    began = time.monotonic()
    case.sync()
    assert time.monotonic() - began < 20
    assert len(case.b.files()) == 52


@scenario("IGN-08", ignore=["/ignored/"])
def test_hard_link_in_an_ignored_directory(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    case.a.mkdir("ignored")
    os.link(case.a.at("f"), case.a.at("ignored/f"))
    case.a.edit("ignored/f", "edited through the link")
    case.sync()
    assert case.b.files() == {"g": b"2", "f": b"1"} or case.b.read("f") == b"edited through the link"
    case.call("pair.rescan", pairs=[case.name], wait=True)
    case.sync()
    assert case.b.files() == {"f": b"edited through the link", "g": b"2"}


@scenario("IGN-09", ignore=["!.syncd", "!.syncd/**", "!*"])
def test_own_files_cannot_be_un_ignored(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    case.a.delete("f")
    case.sync()
    case.a.write("d/x", "3")
    case.sync()
    case.assert_both({"g": "2", "d/x": "3"})
    assert not case.b.exists(".syncd/.syncd")
    case.rest()


@scenario("IGN-10")
def test_control_directory_is_removed_by_the_user(case: Case) -> None:
    """Without its marker a root is not trusted: the pair is held until it is adopted; nothing is deleted."""
    case.given({"f": "1", "g": "2"})
    shutil.rmtree(case.b.at(".syncd"))
    case.a.write("h", "3")
    case.sync("held")
    hold = case.hold()
    assert hold is not None
    assert hold["reason"] == "root-changed"
    assert case.a.files() == {"f": b"1", "g": b"2", "h": b"3"}
    case.call("pair.adopt", pair=case.name)
    case.sync()
    case.assert_both({"f": "1", "g": "2", "h": "3"})
    case.rest()


@scenario("IGN-10 trash only")
def test_trash_is_emptied_by_the_user(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    shutil.rmtree(case.b.at(".syncd/trash"))
    shutil.rmtree(case.b.at(".syncd/stage"))
    case.a.edit("f", "edited")
    case.sync()
    case.assert_both({"f": "edited", "g": "2"})
    assert b"1" in case.b.trash()


@scenario("IGN-10 copied")
def test_a_copied_control_directory_is_not_synchronised(case: Case) -> None:
    case.given({"f": "1"})
    shutil.copytree(os.fsdecode(case.b.at(".syncd")), os.fsdecode(case.b.at("sub/.syncd")))
    case.b.write("sub/x", "2")
    outcome = case.wait()
    assert outcome in ("synced", "degraded")
    assert case.a.read("sub/x") == b"2"
    assert not case.a.exists("sub/.syncd/marker") or case.a.read("sub/.syncd/marker")
