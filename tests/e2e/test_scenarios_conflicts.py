"""Conflicts: section 1.3 of the catalogue."""

import os
import re
import time

from tests.e2e.case import OLD_NS, Case, scenario

COPY = re.compile(r"(.*) \(conflict \d{4}-\d\d-\d\d \d{6} [^)]+\)( \d+)?(\.[^.]*)?")
KEEP_BOTH = {"conflict": "keep-both"}


def both_edit(case: Case, path: str = "f", source: str = "from a", destination: str = "from b") -> None:
    """Both sides change a file, while nobody looks; the destination's stamp is a minute newer."""
    case.pause()
    case.a.write(path, source, mtime_ns=OLD_NS + 10**12)
    case.b.write(path, destination, mtime_ns=OLD_NS + 10**12 + 60 * 10**9)
    case.resume()
    case.sync()


def copies(case: Case) -> list[str]:
    return sorted(path for path in case.a.files() if COPY.fullmatch(path))


@scenario("CON-01")
def test_newest_wins_and_the_other_is_kept(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    both_edit(case)
    case.assert_both({"f": "from b", "g": "2"})
    assert b"from a" in case.a.trash()
    (record,) = case.conflicts()
    assert (record["path"], record["state"], record["winner"]) == ("f", "settled", "destination")
    case.rest()


@scenario("CON-01 keep-both", **KEEP_BOTH)
def test_both_are_kept_on_both(case: Case) -> None:
    case.given({"f.txt": "1", "g": "2"})
    both_edit(case, "f.txt")
    (copy,) = copies(case)
    case.assert_both({"f.txt": "from a", copy: "from b", "g": "2"})
    assert copy.endswith(").txt")
    (record,) = case.conflicts()
    assert (record["state"], record["copy"]["path"]) == ("open", copy)
    case.rest()


@scenario("CON-02")
def test_equal_edits_are_no_conflict(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    both_edit(case, "f", "same", "same")
    case.assert_both({"f": "same", "g": "2"})
    assert case.conflicts() == []


@scenario("CON-04", **KEEP_BOTH)
def test_second_conflict_on_the_same_file(case: Case) -> None:
    case.given({"f": "1"})
    both_edit(case, "f", "a one", "b one")
    both_edit(case, "f", "a two", "b two")
    assert len(copies(case)) == 2
    assert case.a.values() == sorted([b"a two", b"b one", b"b two"])
    case.assert_same()
    case.rest()


@scenario("CON-05", **KEEP_BOTH)
def test_name_of_the_copy_is_taken(case: Case) -> None:
    """Learn the name that a conflict would use, give it to a user's file, and have the conflict again."""
    case.given({"f": "1"})
    both_edit(case)
    (copy,) = copies(case)
    case.a.delete(copy)
    case.sync()
    case.a.write(copy, "the user's own", mtime_ns=OLD_NS)
    both_edit(case, "f", "a again", "b again")
    assert sorted(copies(case)) == sorted([copy, copy + " 2"])
    case.assert_both({"f": "a again", copy: "the user's own", copy + " 2": "b again"})
    case.rest()


@scenario("CON-05 ignored", ignore=["*(conflict*"], **KEEP_BOTH)
def test_name_of_the_copy_is_taken_by_an_ignored_file(case: Case) -> None:
    case.given({"f": "1"})
    both_edit(case)
    assert case.a.read("f") == b"from a"
    assert b"from b" in case.contents()
    found = {side: {path for path in side.files() if path != "f"} for side in (case.a, case.b)}
    assert found[case.a] | found[case.b]


@scenario("CON-07", **KEEP_BOTH)
def test_deleting_the_copy_settles_the_conflict(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    both_edit(case)
    (copy,) = copies(case)
    case.a.delete(copy)
    case.sync()
    case.assert_both({"f": "from a", "g": "2"})
    assert case.conflicts(settled=False) == []
    case.rest()


@scenario("CON-08")
def test_swap_against_an_edit(case: Case) -> None:
    case.given({"f": "content of f", "g": "content of g"})
    case.pause()
    case.a.rename("f", "t")
    case.a.rename("g", "f")
    case.a.rename("t", "g")
    case.b.edit("f", "edit of f at b")
    case.resume()
    case.sync()
    case.assert_same()
    assert b"edit of f at b" in case.a.values()
    assert b"content of g" in case.a.values()
    case.rest()


@scenario("CON-09", **KEEP_BOTH)
def test_copy_renamed_over_the_main_file(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    both_edit(case)
    (copy,) = copies(case)
    case.a.rename(copy, "f")
    case.sync()
    case.assert_both({"f": "from b", "g": "2"})
    assert case.conflicts(settled=False) == []
    case.rest()


@scenario("CON-12 source-wins", conflict="source-wins")
def test_policy_source_wins(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    both_edit(case)
    case.assert_both({"f": "from a", "g": "2"})
    assert b"from b" in case.b.trash()


@scenario("CON-12 destination-wins", conflict="destination-wins")
def test_policy_destination_wins(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    both_edit(case, "f", "from a, newer", "from b, wins")
    case.assert_both({"f": "from b, wins", "g": "2"})
    assert b"from a, newer" in case.a.trash()


@scenario("CON-12 tie")
def test_policy_newest_with_a_tie_keeps_both(case: Case) -> None:
    case.given({"f": "1"})
    case.pause()
    case.a.write("f", "from a", mtime_ns=OLD_NS + 10**12)
    case.b.write("f", "from b", mtime_ns=OLD_NS + 10**12 + 1_900_000_000)
    case.resume()
    case.sync()
    (copy,) = copies(case)
    case.assert_both({"f": "from a", copy: "from b"})


@scenario("CON-12 future")
def test_policy_newest_with_a_stamp_of_the_future_keeps_both(case: Case) -> None:
    case.given({"f": "1"})
    case.pause()
    case.a.write("f", "from a")
    case.b.write("f", "from b", mtime_ns=time.time_ns() + 3600 * 10**9)
    case.resume()
    case.sync()
    (copy,) = copies(case)
    case.assert_both({"f": "from a", copy: "from b"})


@scenario("CON-12 manual", conflict="manual")
def test_policy_manual_waits(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    case.pause()
    case.a.edit("f", "from a")
    case.b.edit("f", "from b")
    case.a.edit("g", "goes on")
    case.resume()
    case.sync("degraded")
    assert (case.a.read("f"), case.b.read("f"), case.b.read("g")) == (b"from a", b"from b", b"goes on")
    (record,) = case.conflicts(settled=False)
    case.call("conflict.resolve", pair=case.name, conflict_ids=[record["conflict_id"]], keep="destination")
    case.sync()
    case.assert_both({"f": "from b", "g": "goes on"})
    assert b"from a" in case.a.trash()


@scenario("CON-13", **KEEP_BOTH)
def test_copy_of_a_name_of_255_bytes(case: Case) -> None:
    name = "ä" * 125 + ".text"
    assert len(name.encode()) == 255
    case.given({name: "1"})
    both_edit(case, name)
    (copy,) = (path for path in case.a.files() if path != name)
    case.assert_both({name: "from a", copy: "from b"})
    assert len(copy.encode()) <= 255
    assert copy.endswith(".text")
    assert "\ufffd" not in copy
    assert copy.encode().decode().startswith("ää")


@scenario("CON-14", **KEEP_BOTH)
def test_twenty_copies_of_copies(case: Case) -> None:
    """Each time the latest copy itself is edited on both sides."""
    case.given({"f.txt": "0"})
    path, known = "f.txt", {"f.txt"}
    for number in range(20):
        case.pause()
        stamp = OLD_NS + (number + 1) * 10**12
        case.a.write(path, f"a {number}", mtime_ns=stamp)
        case.b.write(path, f"b {number}", mtime_ns=stamp + 10**11)
        case.resume()
        case.sync()
        (path,) = set(case.a.files()) - known
        known.add(path)
    case.assert_same()
    assert case.a.values() == sorted([b"a %d" % n for n in range(20)] + [b"b 19"])
    assert all(len(os.fsencode(name)) <= 255 for name in known)


@scenario("CON-16")
def test_mode_bits_of_both_sides_merge(case: Case) -> None:
    case.given({"f": "1", "g": "2"})
    case.pause()
    os.chmod(case.a.at("f"), 0o755)
    os.chmod(case.b.at("f"), 0o600)
    case.a.stamp("g")
    case.b.stamp("g", 1_400_000_000_000_000_000)
    case.resume()
    case.sync()
    case.assert_same()
    assert case.a.stat("f").st_mode & 0o100
    assert case.conflicts() == []
    case.rest()


@scenario("CON-17", **KEEP_BOTH)
def test_copy_name_depends_on_the_states_only(case: Case) -> None:
    """The name carries the stamp of the version that moved, not the time of the decision."""
    case.given({"f": "1"})
    both_edit(case)
    (copy,) = copies(case)
    when = time.gmtime(case.a.stat(copy).st_mtime)
    assert time.strftime("(conflict %Y-%m-%d %H%M%S", when) in copy


@scenario("CON-18", conflict="manual")
def test_many_conflicts_are_listed_page_by_page(case: Case) -> None:
    case.a.mkdir("d")
    for number in range(200):
        case.a.write(f"d/added {number}", f"a {number}")
        case.b.write(f"d/added {number}", f"b {number}")
    case.start("degraded")
    assert case.status()["conflicts"] == 200
    pages = [case.call("conflict.list", pair=case.name, limit=90, offset=at) for at in (0, 90, 180)]
    assert [len(page["conflicts"]) for page in pages] == [90, 90, 20]
    assert {page["total"] for page in pages} == {200}
    assert len({one["path"] for page in pages for one in page["conflicts"]}) == 200
