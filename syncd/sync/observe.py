"""Bring one side's index up to date with its tree: scan subtrees, look at single paths.

Listings are merged page by page in transactions of bounded size, with the reading of digests in between.
What appeared or changed comes first; what vanished is removed at the end, after renames are recognised. A
failed listing touches nothing. May import core, index and the tree port only.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from syncd.core.entry import Entry, Kind, Side
from syncd.core.error import SyncdError
from syncd.core.filter import Filter
from syncd.core.listing import Child
from syncd.core.reason import Reason
from syncd.index import displaced, meta, nodes, records
from syncd.index.database import Database
from syncd.index.displaced import Rename
from syncd.index.merge import Merge
from syncd.index.observed import Answer, Arrival, Listed, Looked, Question, Wanted, is_same_directory
from syncd.tree.port import Listing, Tree

T = TypeVar("T")

RECORD_BYTES_AT_ONCE = 512 * 1024
"""Directory records merged in one transaction: about 8 000 children, 0.1 s."""
DIRECTORIES_AT_ONCE = 500
PATHS_AT_ONCE = 256
REMOVED_AT_ONCE = 2000
NEW_DIRECTORIES_TOLD = 1000


class Observation(msgspec.Struct, frozen=True):
    """What an observation found. `changed` counts nodes, `listed` directories. `new_directories` were seen
    but not listed, `racy` files may have changed since unseen: look at them again. `ignore_files`: a
    `.syncignore` appeared, changed or vanished."""

    changed: int = 0
    new_directories: tuple[bytes, ...] = ()
    problems: tuple[tuple[bytes, Reason, str], ...] = ()
    racy: tuple[bytes, ...] = ()
    ignore_files: bool = False
    listed: int = 0

    def plus(self, later: "Observation") -> "Observation":
        """Both, one after the other."""
        return Observation(
            self.changed + later.changed,
            tuple(dict.fromkeys((*self.new_directories, *later.new_directories))),
            tuple(dict.fromkeys((*self.problems, *later.problems))),
            tuple(dict.fromkeys((*self.racy, *later.racy))),
            self.ignore_files or later.ignore_files,
            self.listed + later.listed,
        )


class Observer:
    """Observes one tree into the index. Only the pair's cycle task uses it."""

    def __init__(self, database: Database, tree: Tree, side: Side) -> None:
        self._database = database
        self._tree = tree
        self._side = side

    async def scan(
        self,
        rules: Filter,
        paths: Sequence[bytes] = (b"",),
        recursive: bool = True,
        *,
        tell: Callable[[int], None] = lambda _: None,
    ) -> Observation:
        """List `paths` (and all beneath) and merge what they hold. `tell` hears now and then how many nodes
        have changed so far. Raises SyncdError of the tree or index."""
        is_whole = b"" in paths and recursive
        run = self._begin(rules)
        starts = [path for path in paths if not rules.is_ignored(path, True)]
        await run.look([path for path in starts if path])
        starts = await self._directories(starts)
        prune = partial(rules.is_ignored, is_directory=True)
        await run.walk(starts, recursive=recursive, prune=prune, tell=tell)
        await run.look_for_vanished()
        await run.finish()
        if is_whole:
            await self._database.write(run.merge.settle)
        failed = {path for path, _, _ in run.merge.problems}
        if recursive:
            unlisted = await self._database.read(
                nodes.unlisted_beneath, self._side, tuple(starts), NEW_DIRECTORIES_TOLD
            )
        else:
            unlisted = await self._unlisted(run.merge.appeared)
        return run.observation(path for path in unlisted if path not in failed)

    async def look(self, rules: Filter, paths: Sequence[bytes]) -> Observation:
        """Look at single paths. Directories that come to light are told, not listed."""
        run = self._begin(rules)
        await run.look([path for path in dict.fromkeys(paths) if path])
        await run.finish()
        return run.observation(await self._unlisted(run.merge.appeared, with_renamed=True))

    async def forget_records(self) -> None:
        """The next scan judges every name again, also where the directory records agree."""
        await self._database.write(meta.forget_observed_filter, self._side)

    def _begin(self, rules: Filter) -> "_Run":
        merging = Merge(self._side, rules.is_ignored, rules.fingerprint)
        return _Run(self._database, self._tree, merging)

    async def _directories(self, paths: Sequence[bytes]) -> list[bytes]:
        """Those of `paths` that are directories, as far as is known."""
        side = self._side
        return await self._database.read(lambda db: [path for path in paths if is_directory(db, side, path)])

    async def _unlisted(self, paths: Sequence[bytes], *, with_renamed: bool = False) -> list[bytes]:
        """Directories among `paths` that are there and were not listed (or were renamed just now)."""
        if not paths:
            return []

        def read(db: sqlite3.Connection) -> list[bytes]:
            found = []
            for path in dict.fromkeys(paths):
                node = nodes.find(db, self._side, path)
                if node is None or node.entry.kind is not Kind.DIRECTORY:
                    continue
                if with_renamed or not node.is_listed:
                    found.append(path)
            return found

        return await self._database.read(read)


def is_directory(db: sqlite3.Connection, side: Side, path: bytes) -> bool:
    node = nodes.find(db, side, path)
    return node is not None and node.entry.kind is Kind.DIRECTORY


class _Run:
    """One observation: what it asks the tree, in which order, and what it stores."""

    def __init__(self, database: Database, tree: Tree, merging: Merge) -> None:
        self.merge = merging
        self._database = database
        self._tree = tree
        self._listed = 0
        self._vanished: list[bytes] = []
        """Directories that were gone, or no directories any more, when they were to be listed."""

    def observation(self, new_directories: Iterable[bytes]) -> Observation:
        done = self.merge
        return Observation(
            changed=done.changed,
            new_directories=tuple(new_directories),
            problems=tuple(dict.fromkeys(done.problems)),
            racy=tuple(dict.fromkeys(done.racy)),
            ignore_files=done.has_ignore_files,
            listed=self._listed,
        )

    # Listing.

    async def walk(
        self,
        paths: Sequence[bytes],
        *,
        recursive: bool,
        prune: Callable[[bytes], bool],
        tell: Callable[[int], None],
    ) -> None:
        if not paths:
            return
        pages = self._tree.scan(paths, recursive=recursive, prune=prune)
        try:
            async for page in pages:
                for chunk in chunks(await self._usable(page)):
                    await self._merge_listings(chunk)
                    tell(self.merge.changed)
        finally:
            close = getattr(pages, "aclose", None)
            if close is not None:
                await close()

    async def _usable(self, page: Sequence[Listing]) -> list[Listed]:
        """Listings that say something. A directory that could not be listed keeps what is known of it."""
        usable = []
        for listing in page:
            if listing.problem is None and listing.record:
                usable.append(
                    Listed(
                        listing.path, listing.inode, listing.record, listing.racy_after_ns, listing.changed_ns
                    )
                )
                continue
            if listing.problem is Reason.CHANGING and listing.path:
                self._vanished.append(listing.path)
                continue
            self.merge.problems.append((listing.path, listing.problem or Reason.IO_ERROR, listing.detail))
            await self._database.write(self.merge.begin)
            if self.merge.is_thorough:
                await self._database.write(records.recheck_beneath, self.merge.side, listing.path)
        self._listed += len(usable)
        return usable

    async def look_for_vanished(self) -> None:
        """What is gone is gone; what is there again is to be listed another time."""
        if not self._vanished:
            return
        await self.look(self._vanished)
        side = self.merge.side
        for path in self._vanished:
            if await self._database.read(is_directory, side, path):
                self.merge.problems.append((path, Reason.CHANGING, "gone for a moment"))

    async def _merge_listings(self, listings: Sequence[Listed]) -> None:
        """Merge, gather what is wanted, and go on with what had to wait, until nothing moves any more."""
        waiting = listings
        while waiting:
            # What a power cut takes back is observed again.
            wanted = await self._database.note(self.merge.merge_listings, waiting)
            await self._answer(wanted, {listing.path: listing for listing in listings})
            if len(wanted.orphans) == len(waiting) and not wanted.arrivals:
                return
            waiting = wanted.orphans

    # Looking.

    async def look(self, paths: Sequence[bytes]) -> None:
        """Look at single paths; where directories above are unknown, at the topmost of these instead."""
        waiting = list(paths)
        seen: set[bytes] = set()
        while waiting:
            missing: set[bytes] = set()
            for part in parts(waiting, PATHS_AT_ONCE):
                looks = await self._look_at(part)
                wanted = await self._database.write(self.merge.merge_looks, looks)
                await self._answer(wanted, {})
                missing |= wanted.missing
            seen.update(waiting)
            waiting = sorted(missing - seen)

    async def _look_at(self, paths: Sequence[bytes]) -> list[Looked]:
        usable = []
        for look in await self._tree.look(paths):
            if look.problem is None:
                usable.append(Looked(look.path, look.child, look.racy_after_ns))
            else:
                self.merge.problems.append((look.path, look.problem, look.detail))
        return usable

    # Evidence.

    async def _answer(self, wanted: Wanted, listings: dict[bytes, Listed]) -> None:
        for some in parts(wanted.arrivals, PATHS_AT_ONCE):
            arrivals = await self._judge_arrivals(some, listings)
            await self._database.write(self.merge.answer_arrivals, some, arrivals)
        for some in parts(wanted.hidden, PATHS_AT_ONCE):
            arrivals = await self._judge_arrivals(some, listings)
            known = [asked.new for asked, one in zip(some, arrivals, strict=True) if one.is_renamed]
            await self._database.write(displaced.hide, self.merge.side, known)
        for some in parts(wanted.digests, PATHS_AT_ONCE):
            answers = await self._digest([question.path for question in some])
            await self._database.write(self.merge.answer_digests, some, answers)
        for some in parts(wanted.links, PATHS_AT_ONCE):
            targets = [self._read_link(question) for question in some]
            await self._database.write(self.merge.answer_links, some, targets)

    async def _digest(self, paths: Sequence[bytes]) -> list[Answer]:
        read = await self._tree.digest(paths)
        return [Answer(one.digest, one.hint, None, one.problem, one.detail) for one in read]

    def _read_link(self, question: Question) -> Answer:
        """One readlink, right here: a hop to a thread would cost more than the call."""
        hint = question.new.hint
        content = self._tree.content(question.path, Entry(Kind.SYMLINK, 0, hint.size, hint.mtime_ns), hint)
        try:
            return Answer(target=content.read_target_blocking())
        except SyncdError as error:
            return Answer(problem=error.reason, detail=error.detail)
        except OSError as error:
            return Answer(problem=Reason.UNREADABLE, detail=error.strerror or "")

    async def _judge_arrivals(
        self, asked: Sequence[Question], listings: dict[bytes, Listed]
    ) -> list[Arrival]:
        """Directories with the inode of a known one: renamed, if the old place is free (or another's) and
        the content is that of the known one."""
        places = sorted({question.old_path for question in asked if question.old_path is not None})
        at_place = {look.path: look for look in await self._tree.look(places)} if places else {}
        verdicts = []
        for question in asked:
            left: Child | None = None
            if question.old_path is not None:
                look = at_place[question.old_path]
                left = look.child
                is_there = left is not None and left.hint.inode == question.new.hint.inode
                if look.problem is not None or (
                    is_there and left is not None and left.kind is Kind.DIRECTORY
                ):
                    verdicts.append(Arrival(False))
                    continue
            now = listings.get(question.path) or await self._list_one(question.path)
            before = await self._database.read(records.get, question.candidate)
            is_same = now is not None and now.inode == question.new.hint.inode
            is_same = is_same and now is not None and is_same_directory(before, now.record)
            verdicts.append(Arrival(is_same, left))
        return verdicts

    async def _list_one(self, path: bytes) -> Listed | None:
        found: Listed | None = None
        async for page in self._tree.scan([path], recursive=False, prune=lambda _: True):
            for listing in page:
                if listing.path == path and listing.problem is None and listing.record:
                    found = Listed(listing.path, listing.inode, listing.record)
        return found

    # The end.

    async def finish(self) -> None:
        """Recognise renamed files, then remove what is missed for good."""
        if not self.merge.has_missed:
            return
        side = self.merge.side
        while await self._database.write(displaced.expand, side, DIRECTORIES_AT_ONCE):
            pass
        pairs = await self._database.read(displaced.renames, side)
        if pairs:
            await self._take_over(pairs)
        while removed := await self._database.write(displaced.remove_missed, side, REMOVED_AT_ONCE):
            self.merge.changed += removed

    async def _take_over(self, pairs: Sequence[Rename]) -> None:
        """Verify renames by digest, where one is known, before a node id is kept."""
        digests: dict[int, bytes] = {}
        good: list[Rename] = []
        for some in parts(pairs, PATHS_AT_ONCE):
            unread = [pair for pair in some if pair.digest is not None and pair.fresh_digest is None]
            answers = await self._digest([pair.path for pair in unread])
            read = {
                pair.fresh_id: answer.digest
                for pair, answer in zip(unread, answers, strict=True)
                if answer.digest is not None
            }
            digests |= read
            good += [
                pair for pair in some if pair.digest in (None, read.get(pair.fresh_id, pair.fresh_digest))
            ]
        kept = displaced.consistent(good)
        simple = [pair for pair in kept if not pair.replaces]
        crossing = {pair.fresh_id for pair in kept if pair.replaces}
        apart = [pair for pair in simple if pair.node_id not in crossing]
        together = [pair for pair in kept if pair.replaces or pair.node_id in crossing]
        for some in [*parts(apart, DIRECTORIES_AT_ONCE), together]:
            if some:
                await self._database.write(displaced.take_over, self.merge.side, some, digests)
        self.merge.changed += len(kept)


def chunks(listings: Sequence[Listed]) -> Iterator[list[Listed]]:
    """Listings in portions of bounded size."""
    part: list[Listed] = []
    size = 0
    for listing in listings:
        part.append(listing)
        size += len(listing.record)
        if size >= RECORD_BYTES_AT_ONCE or len(part) >= DIRECTORIES_AT_ONCE:
            yield part
            part, size = [], 0
    if part:
        yield part


def parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Portions of `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
