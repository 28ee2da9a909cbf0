"""The daemon's answers about single paths, over the real socket: explanations, conflicts, issues, history."""

import os
from collections import Counter
from pathlib import Path

import anyio
import pytest

from syncd.control import model as m
from syncd.core.reason import Reason
from tests.daemon.desk import OLD_NS, contents
from tests.daemon.life import Life, daemon, pair_toml


def write(path: Path, data: bytes, mtime_ns: int = OLD_NS) -> None:
    path.write_bytes(data)
    os.utime(path, ns=(mtime_ns, mtime_ns))


async def explain(life: Life, path: str, pair: str | None = None) -> list[m.Explanation]:
    """Once the events of the daemon's own writes have settled."""
    params = m.PathExplainParams(path=path, pair=pair)
    while True:
        found = (await life.call("path.explain", params, m.Explanations)).explanations
        if all(one.reason != "settling" for one in found):
            return list(found)
        await anyio.sleep(0.02)


# Explanations.


async def test_a_path_is_explained_by_either_name(tmp_path: Path) -> None:
    async with daemon(tmp_path, ignore=["*.tmp"]) as life:
        write(life.a / "f", b"1")
        write(life.a / "x.tmp", b"1")
        await life.synced()
        (found,) = await explain(life, "f", "p")
        assert (found.is_synced, found.reason, found.path) == (True, "in-sync", "f")
        assert found.source is not None
        assert found.source.size == 1
        for absolute in (life.a / "f", life.b / "f"):
            assert [one.reason for one in await explain(life, str(absolute))] == ["in-sync"]
        (ignored,) = await explain(life, "x.tmp")
        assert ignored.ignored is not None
        assert ignored.ignored.rule == "*.tmp"
        (root,) = await explain(life, str(life.a))
        assert root.path == ""
        for path, reason in (("../f", Reason.BAD_REQUEST), ("/elsewhere", Reason.NO_SUCH_PATH)):
            await life.refused("path.explain", m.PathExplainParams(path=path), reason)
        outside = m.PathExplainParams(path="/elsewhere", pair="p")
        await life.refused("path.explain", outside, Reason.NO_SUCH_PATH)
        await life.refused("path.explain", m.PathExplainParams(), Reason.BAD_REQUEST)


async def test_several_pairs_are_told_apart(tmp_path: Path) -> None:
    """One source with two destinations: a relative path could mean either pair, an absolute one both."""
    (tmp_path / "c").mkdir()
    async with daemon(tmp_path, mode="source-to-destination") as life:
        mirror = {"mode": "source-to-destination"}
        life.configure(pair_toml(tmp_path, **mirror) + pair_toml(tmp_path, "q", "a", "c", **mirror))
        applied = await life.call("config.reload", m.ConfigReloadParams(), m.ReloadResult)
        assert applied.is_applied, applied.problems
        write(life.a / "f", b"1")
        await life.synced()
        assert [one.pair for one in await explain(life, str(life.a / "f"))] == ["p", "q"]
        assert [one.pair for one in await explain(life, str(tmp_path / "c" / "f"))] == ["q"]
        await life.refused("path.explain", m.PathExplainParams(path="f"), Reason.BAD_REQUEST)


async def test_rules_are_tested(tmp_path: Path) -> None:
    async with daemon(tmp_path, ignore=["build/", "*.tmp"]) as life:
        for name in ("build", "plain"):
            (life.a / name).mkdir()
        await life.synced()

        async def test(path: str, is_directory: bool | None = None) -> tuple[bool, str | None]:
            params = m.IgnoreTestParams(path=path, is_directory=is_directory)
            (found,) = (await life.call("ignore.test", params, m.IgnoreVerdicts)).verdicts
            return found.is_ignored, found.rule

        assert await test("build") == (True, "build/"), "it is looked at, as it has no node"
        assert await test("build", False) == (False, None)
        assert await test("other/") == (False, None)
        assert await test("x/build/") == (True, "build/")
        assert await test("plain") == (False, None)
        assert await test(str(life.b / "x.tmp")) == (True, "*.tmp")


# Conflicts.


async def conflict(life: Life, name: str = "f") -> m.ConflictView:
    """Both sides change one file; the source is newer."""
    write(life.a / name, b"base")
    await life.synced()
    await life.call("pair.pause", m.PairsParams(), m.Pairs)
    write(life.a / name, b"ours!", OLD_NS + 10**11)
    write(life.b / name, b"theirs", OLD_NS + 10**10)
    await life.call("pair.resume", m.PairsParams(), m.Pairs)
    await life.wait()
    params = m.ConflictListParams(pair="p", match=name, include_settled=True)
    (view,) = (await life.call("conflict.list", params, m.ConflictsPage)).conflicts
    return view


async def test_the_losing_version_is_found_and_put_back(tmp_path: Path) -> None:
    async with daemon(tmp_path) as life:
        view = await conflict(life)
        assert (view.path, view.winner, view.state) == ("f", "source", "settled")
        params = m.ConflictShowParams(conflict_id=view.conflict_id[:6])
        shown = await life.call("conflict.show", params, m.ConflictDetail)
        assert shown.source_file is not None
        assert shown.destination_file is not None
        assert Path(shown.source_file.path).read_bytes() == b"ours!"
        assert Path(shown.destination_file.path).read_bytes() == b"theirs"
        restore = m.ConflictRestoreParams(conflict_id=view.conflict_id)
        answer = await life.call("conflict.restore", restore, m.ConflictRestored)
        await life.synced()
        assert contents(life.a) == contents(life.b) == {"f": b"ours!", answer.restored.path: b"theirs"}
        shown = await life.call("conflict.show", params, m.ConflictDetail)
        assert shown.destination_file is not None
        assert Path(shown.destination_file.path).name == answer.restored.path


@pytest.mark.parametrize(("keep", "kept"), [("source", b"ours!"), ("destination", b"theirs")])
async def test_a_conflict_that_waits_is_resolved(tmp_path: Path, keep: m.Keep, kept: bytes) -> None:
    async with daemon(tmp_path, conflict="manual") as life:
        view = await conflict(life)
        assert (view.state, view.winner) == ("open", None)
        assert (await life.wait()).outcome == "degraded"
        (found,) = await explain(life, "f", "p")
        assert found.conflict_id == view.conflict_id
        params = m.ConflictResolveParams(keep=keep, all=True, match="f*")
        answer = await life.call("conflict.resolve", params, m.ConflictsResolved)
        assert [one.state for one in answer.resolved] == ["settled"]
        await life.synced()
        assert contents(life.a) == contents(life.b) == {"f": kept}
        await life.refused("conflict.resolve", params, Reason.NO_SUCH_ID)


async def test_a_kept_copy_is_a_conflict_until_it_is_gone(tmp_path: Path) -> None:
    async with daemon(tmp_path, conflict="keep-both") as life:
        view = await conflict(life)
        assert view.copy is not None
        assert view.state == "open"
        shown = await life.call(
            "conflict.show", m.ConflictShowParams(conflict_id=view.conflict_id), m.ConflictDetail
        )
        assert shown.destination_file is not None
        assert Path(shown.destination_file.path).read_bytes() == b"theirs"
        params = m.ConflictResolveParams(keep="destination", conflict_ids=(view.conflict_id,))
        answer = await life.call("conflict.resolve", params, m.ConflictsResolved)
        assert answer.failed == ()
        await life.synced()
        assert contents(life.a) == contents(life.b) == {"f": b"theirs"}


async def test_what_cannot_be_resolved_is_told_one_by_one(tmp_path: Path) -> None:
    async with daemon(tmp_path) as life:
        view = await conflict(life)
        params = m.ConflictResolveParams(keep="destination", conflict_ids=(view.conflict_id,))
        await life.call("conflict.resolve", params, m.ConflictsResolved)
        await life.synced()
        assert contents(life.a) == {"f": b"theirs"}
        again = await life.call("conflict.resolve", params, m.ConflictsResolved)
        assert [one.conflict_id for one in again.failed] == [view.conflict_id]
        unknown = m.ConflictShowParams(conflict_id="none")
        await life.refused("conflict.show", unknown, Reason.NO_SUCH_ID)
        nothing = m.ConflictResolveParams(keep="source")
        await life.refused("conflict.resolve", nothing, Reason.NO_SUCH_ID)


async def test_an_id_that_begins_several_names_none(tmp_path: Path) -> None:
    """Seventeen ids of hexadecimal digits: two begin alike."""
    async with daemon(tmp_path, paused=True) as life:
        for number in range(17):
            write(life.a / str(number), b"ours")
            write(life.b / str(number), b"theirs", OLD_NS + 10**11)
        await life.call("pair.resume", m.PairsParams(), m.Pairs)
        await life.synced()
        params = m.ConflictListParams(include_settled=True)
        ids = [
            one.conflict_id for one in (await life.call("conflict.list", params, m.ConflictsPage)).conflicts
        ]
        assert len(ids) == 17
        (digit, _) = Counter(one[0] for one in ids).most_common(1)[0]
        show = m.ConflictShowParams(conflict_id=digit)
        assert "several" in await life.refused("conflict.show", show, Reason.NO_SUCH_ID)


# Issues and history.


async def test_issues_and_notes_are_listed(tmp_path: Path) -> None:
    async with daemon(tmp_path) as life:
        os.mkfifo(life.a / "pipe")
        (life.a / ".SYNCD").write_bytes(b"reserved")
        (life.a / "f").write_bytes(b"1")
        assert (await life.wait()).outcome == "degraded"
        issues = await life.call("issue.list", m.IssueListParams(), m.IssuesPage)
        assert {(one.path, one.reason, one.severity) for one in issues.issues} == {
            (".SYNCD", "reserved-name", "issue")
        }
        everything = m.IssueListParams(pair="p", include_notes=True)
        notes = await life.call("issue.list", everything, m.IssuesPage)
        assert {one.path for one in notes.issues} == {".SYNCD", "pipe"}
        few = m.IssueListParams(match="p*", include_notes=True)
        assert (await life.call("issue.list", few, m.IssuesPage)).total == 1
        (found,) = await explain(life, ".SYNCD", "p")
        assert (found.is_synced, found.reason) == (False, "reserved-name")


async def test_history_is_paged_and_told_by_path(tmp_path: Path) -> None:
    async with daemon(tmp_path) as life:
        (life.a / "d").mkdir()
        for name in ("d/f", "g"):
            write(life.a / name, b"1")
        await life.synced()
        (life.a / "g").rename(life.a / "h")
        (life.a / "d" / "f").unlink()
        await life.synced()

        async def history(**params: object) -> m.HistoryPage:
            return await life.call("history.list", m.HistoryListParams(**params), m.HistoryPage)  # type: ignore[arg-type]

        page = await history()
        rows = {(one.verb, one.path, one.to.path if one.to else None, one.is_kept) for one in page.entries}
        assert rows == {
            ("mkdir", "d", None, False),
            ("put", "d/f", None, False),
            ("put", "g", None, False),
            ("move", "g", "h", False),
            ("delete", "d/f", None, True),
        }
        assert all(one.side == "destination" for one in page.entries)
        beneath = await history(path="d", pair="p")
        assert {one.path for one in beneath.entries} == {"d", "d/f"}
        first = await history(limit=2, pair="p")
        assert (len(first.entries), first.has_more) == (2, True)
        rest = await history(limit=10, pair="p", before=first.entries[-1].entry_id)
        assert len(rest.entries) == 3
