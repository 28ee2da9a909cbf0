"""Answers about single paths: explanations, conflicts, issues, history, ignore rules.

Each question opens a read-only connection of its own, so that it never waits for a batch.
"""

import fnmatch
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from syncd.control import model as m
from syncd.core import path as paths
from syncd.core.conflict import OPEN, ConflictRecord
from syncd.core.entry import Kind, Side
from syncd.core.error import SyncdError
from syncd.core.reason import Reason
from syncd.daemon import views
from syncd.daemon.pair import Pair
from syncd.daemon.paths import pair_state_dir
from syncd.daemon.supervisor import Supervised
from syncd.index import choices, conflicts, history, nodes, pending
from syncd.index.database import Database
from syncd.index.pending import PendingRow
from syncd.sync.cycle import Cycle
from syncd.sync.decisions import Decider
from syncd.sync.explain import Explained, explain
from syncd.sync.settings import BOTH

if TYPE_CHECKING:
    from syncd.daemon.app import App

T = TypeVar("T")


class PathAnswers:
    """The part of the backend that looks at paths."""

    def __init__(self, app: "App") -> None:
        self._app = app

    # Finding pairs and paths.

    def chosen(self, names: Sequence[str]) -> list[Supervised]:
        """The pairs meant; none named: all. Raises NO_SUCH_PAIR."""
        known = self._app.supervisor.pairs
        for name in names:
            if name not in known:
                raise SyncdError(
                    Reason.NO_SUCH_PAIR, f"no pair {name!r}; there are: {', '.join(known) or 'none'}"
                )
        return [known[name] for name in (names or sorted(known))]

    def running(self, one: Supervised) -> Pair:
        """The pair's task. Raises what keeps it from running."""
        if one.pair is not None:
            return one.pair
        if one.trouble is not None:
            raise SyncdError(one.trouble.reason, one.trouble.detail)
        raise SyncdError(Reason.FAILED, f"pair {one.config.name} is not running")

    def relative(self, one: Supervised, raw: bytes) -> bytes:
        """A path below the roots of a pair, given relative or absolute. Raises BAD_REQUEST, NO_SUCH_PATH."""
        if not raw.startswith(b"/"):
            return checked(raw)
        for root in roots_of(one):
            if raw == root or raw.startswith(root.rstrip(b"/") + b"/"):
                return checked(raw[len(root) :].strip(b"/"))
        raise SyncdError(Reason.NO_SUCH_PATH, f"{paths.escape(raw)} is not below a root of {one.config.name}")

    def locate(self, raw: bytes, name: str | None) -> list[tuple[Supervised, bytes]]:
        """Every pair that holds `raw`, with the path relative to its roots. Raises NO_SUCH_PATH."""
        if name is not None:
            one = self.chosen((name,))[0]
            return [(one, self.relative(one, raw))]
        found = []
        for one in self.chosen(()):
            try:
                found.append((one, self.relative(one, raw)))
            except SyncdError as error:
                if error.reason is not Reason.NO_SUCH_PATH:
                    raise
        if not raw.startswith(b"/") and len(found) > 1:
            raise SyncdError(Reason.BAD_REQUEST, "several pairs: name one, or give an absolute path")
        if not found:
            raise SyncdError(Reason.NO_SUCH_PATH, f"no pair holds {paths.escape(raw)}")
        return found

    async def _ask(self, one: Supervised, question: Callable[[sqlite3.Connection], T]) -> T:
        """Read a pair's index on a connection of its own."""
        state = pair_state_dir(self._app.config.daemon.state_dir, one.config.key) / "state.db"
        database = await Database.read_only(state)
        try:
            return await database.read(question)
        finally:
            await database.close()

    # Explaining.

    async def path_explain(self, params: m.PathExplainParams) -> m.Explanations:
        raw = wanted(params.raw)
        answers = []
        for one, path in self.locate(raw, params.pair):
            answers.append(views.explanation(one.config.name, await self._explain(one, path)))
        return m.Explanations(explanations=tuple(answers))

    async def _explain(self, one: Supervised, path: bytes) -> Explained:
        pair = self.running(one)
        cycle = pair.cycle

        def judge(db: sqlite3.Connection) -> Explained:
            rules = cycle.rules(choices.choices(db))
            return explain(db, path, rules, cycle.filter, is_settling=pair.is_settling(path))

        return await self._ask(one, judge)

    async def ignore_test(self, params: m.IgnoreTestParams) -> m.IgnoreVerdicts:
        raw = wanted(params.raw)
        rows = []
        for one, path in self.locate(raw, params.pair):
            is_directory = params.is_directory
            if is_directory is None:
                is_directory = raw.endswith(b"/") or await self._is_directory(one, path)
            found = self.running(one).cycle.filter.match(path, is_directory)
            shown = m.PathText.of(path)
            rows.append(
                m.IgnoreVerdict(
                    path=shown.path,
                    path_b64=shown.path_b64,
                    pair=one.config.name,
                    is_ignored=found.ignored,
                    rule=found.rule,
                    origin=found.origin,
                    line=found.line,
                )
            )
        return m.IgnoreVerdicts(verdicts=tuple(rows))

    async def _is_directory(self, one: Supervised, path: bytes) -> bool:
        """What the index knows; ignored paths are looked at."""
        for side in BOTH:
            node = await self._ask(one, lambda db, side=side: nodes.find(db, side, path))  # type: ignore[misc]
            if node is not None:
                return bool(node.entry.kind is Kind.DIRECTORY)
        return any(os.path.isdir(os.path.join(root, path)) for root in roots_of(one))

    # Conflicts.

    async def conflict_list(self, params: m.ConflictListParams) -> m.ConflictsPage:
        rows = [
            views.conflict_view(one.config.name, record)
            for one, record in await self._records(params.pair, params.match, not params.include_settled)
        ]
        page = tuple(rows[params.offset : params.offset + params.limit])
        return m.ConflictsPage(conflicts=page, total=len(rows))

    async def _records(
        self, name: str | None, match: str | None, only_open: bool
    ) -> list[tuple[Supervised, ConflictRecord]]:
        found = []
        for one in self.chosen((name,) if name else ()):
            if not self._has_state(one):
                continue
            records = await self._ask(one, conflicts.list_open if only_open else conflicts.list_all)
            found += [(one, record) for record in records if matches(record.path, match)]
        return found

    def _has_state(self, one: Supervised) -> bool:
        return (pair_state_dir(self._app.config.daemon.state_dir, one.config.key) / "state.db").exists()

    async def _find_record(self, conflict_id: str, name: str | None) -> tuple[Supervised, ConflictRecord]:
        """The record with this id, or the one whose id begins so. Raises NO_SUCH_ID."""
        records = await self._records(name, None, only_open=False)
        found = [item for item in records if item[1].id.startswith(conflict_id)]
        if len(found) != 1:
            why = "several conflicts begin with" if found else "no conflict"
            raise SyncdError(Reason.NO_SUCH_ID, f"{why} {conflict_id}; see 'syncctl conflicts list --all'")
        return found[0]

    async def conflict_show(self, params: m.ConflictShowParams) -> m.ConflictDetail:
        one, record = await self._find_record(params.conflict_id, params.pair)
        return m.ConflictDetail(
            conflict=views.conflict_view(one.config.name, record),
            source_file=self._file_of(one, record, Side.SOURCE),
            destination_file=self._file_of(one, record, Side.DESTINATION),
        )

    def _file_of(self, one: Supervised, record: ConflictRecord, side: Side) -> m.FileRef | None:
        """Where one side's version can be read now."""
        root = roots_of(one)[0 if side is Side.SOURCE else 1]
        if record.winner in (None, side):
            location: bytes | None = os.path.join(root, record.path)
        elif record.loser_copy is not None:
            location = os.path.join(root, record.loser_copy)
        elif record.trash is not None and one.pair is not None:
            location = one.pair.cycle.trees[record.trash.side].trash_location(record.trash)
        else:
            location = None
        if location is None or not os.path.lexists(location):
            return None
        shown = m.PathText.of(location)
        return m.FileRef(path=shown.path, path_b64=shown.path_b64)

    async def conflict_resolve(self, params: m.ConflictResolveParams) -> m.ConflictsResolved:
        chosen = [await self._find_record(one, params.pair) for one in params.conflict_ids]
        if params.all:
            chosen += await self._records(params.pair, params.match, only_open=True)
        if not chosen:
            raise SyncdError(Reason.NO_SUCH_ID, "no conflict is meant: give ids, or --all")
        resolved, failed = [], []
        for one, record in chosen:
            try:
                resolved.append(await self._resolve(one, record, params.keep))
            except SyncdError as error:
                failed.append(
                    m.ConflictFailure(conflict_id=record.id, reason=error.reason.value, detail=error.detail)
                )
        return m.ConflictsResolved(resolved=tuple(resolved), failed=tuple(failed))

    async def _resolve(self, one: Supervised, record: ConflictRecord, keep: str) -> m.ConflictView:
        pair = self.running(one)

        async def job(cycle: Cycle) -> ConflictRecord:
            return await Decider(cycle, cycle.world).resolve(record.id, keep)

        settled = await pair.errand(job)
        if record.state == OPEN:
            await pair.sync().done.wait()
            now = await self._ask(one, lambda db: conflicts.get(db, record.id))
            settled = now or settled
        else:
            pair.sync()
        return views.conflict_view(one.config.name, settled)

    async def conflict_restore(self, params: m.ConflictRestoreParams) -> m.ConflictRestored:
        one, record = await self._find_record(params.conflict_id, params.pair)
        pair = self.running(one)

        async def job(cycle: Cycle) -> bytes:
            return await Decider(cycle, cycle.world).restore(record.id)

        copy = await pair.errand(job)
        pair.sync()
        return m.ConflictRestored(
            conflict=views.conflict_view(one.config.name, record), restored=m.PathText.of(copy)
        )

    # Issues and history.

    async def issue_list(self, params: m.IssueListParams) -> m.IssuesPage:
        rows: list[m.IssueView] = []
        for one in self.chosen((params.pair,) if params.pair else ()):
            if self._has_state(one):
                found = await self._ask(one, pending.list_all)
                rows += [
                    views.issue_view(one.config.name, row) for row in found if self._is_shown(row, params)
                ]
        return m.IssuesPage(issues=tuple(rows[params.offset : params.offset + params.limit]), total=len(rows))

    def _is_shown(self, row: PendingRow, params: m.IssueListParams) -> bool:
        if row.reason in pending.HELD or row.reason in pending.MANUAL:
            return False
        return matches(row.path, params.match) and (params.include_notes or row.reason not in pending.NOTES)

    async def history_list(self, params: m.HistoryListParams) -> m.HistoryPage:
        raw = params.raw
        entries: list[m.HistoryEntry] = []
        located = [(one, None) for one in self.chosen((params.pair,) if params.pair else ())]
        wanted_paths: Iterable[tuple[Supervised, bytes | None]] = located
        if raw is not None:
            wanted_paths = self.locate(raw, params.pair)
        for one, path in wanted_paths:
            if not self._has_state(one):
                continue
            rows = await self._ask(
                one,
                lambda db, path=path: history.page(db, params.limit + 1, before=params.before, beneath=path),  # type: ignore[misc]
            )
            entries += [views.history_entry(one.config.name, row) for row in rows]
        entries.sort(key=lambda entry: (entry.at, entry.entry_id), reverse=True)
        return m.HistoryPage(entries=tuple(entries[: params.limit]), has_more=len(entries) > params.limit)


def wanted(raw: bytes | None) -> bytes:
    if raw is None:
        raise SyncdError(Reason.BAD_REQUEST, "a path is needed")
    return raw


def checked(raw: bytes) -> bytes:
    """A relative path that stays below its root; the root itself is b''."""
    trimmed = raw.strip(b"/")
    if trimmed in (b"", b"."):
        return b""
    try:
        return paths.parse(trimmed)
    except paths.InvalidPath as error:
        raise SyncdError(Reason.BAD_REQUEST, str(error)) from None


def matches(path: bytes, pattern: str | None) -> bool:
    return pattern is None or fnmatch.fnmatchcase(os.fsdecode(path), pattern)


def roots_of(one: Supervised) -> tuple[bytes, bytes]:
    return os.fsencode(one.config.source), os.fsencode(one.config.destination)
