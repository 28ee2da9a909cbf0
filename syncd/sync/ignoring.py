"""The ignore rules in force: the pair's patterns and the `.syncignore` files of both sides, as read last.

The contents of the ignore files are stored in the index, so that a restart judges by the rules that its
base was made with until a scan has found the current ones.
"""

from collections.abc import Mapping

from syncd.core import path as paths
from syncd.core.entry import Side
from syncd.core.error import SyncdError
from syncd.core.filter import Filter
from syncd.index import meta, nodes
from syncd.index.database import Database
from syncd.sync.settings import BOTH, PairSettings
from syncd.tree.port import Tree

MAX_IGNORE_FILE = 1 << 20


class IgnoreRules:
    """Holds the filter of one pair; `reload` reads the ignore files that the index knows."""

    def __init__(self, settings: PairSettings, database: Database, trees: Mapping[Side, Tree]) -> None:
        self._settings = settings
        self._database = database
        self._trees = trees
        self.filter = Filter.build(settings.ignore, {})

    async def load(self) -> None:
        """Take the stored ignore files into force."""
        stored = await self._database.read(meta.ignore_files)
        self.filter = Filter.build(self._settings.ignore, stored)

    async def reload(self) -> bool:
        """Read the ignore files again; True when the rules in force have changed.

        A file that cannot be read keeps the content that was in force before.
        """
        stored = await self._database.read(meta.ignore_files)
        found: dict[tuple[Side, bytes], bytes] = {}
        for side in BOTH:
            for directory in await self._database.read(nodes.directories_with, side, paths.IGNORE_FILE):
                content = await self._read(side, directory, stored.get((side, directory)))
                if content is not None:
                    found[side, directory] = content
        rules = Filter.build(self._settings.ignore, found)
        if found != stored:
            await self._database.write(meta.set_ignore_files, found)
        if rules.fingerprint == self.filter.fingerprint:
            return False
        self.filter = rules
        return True

    async def _read(self, side: Side, directory: bytes, before: bytes | None) -> bytes | None:
        try:
            return await self._trees[side].read_file(
                paths.join(directory, paths.IGNORE_FILE), MAX_IGNORE_FILE
            )
        except SyncdError:
            return before
