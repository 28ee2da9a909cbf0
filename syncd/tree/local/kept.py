"""Bytes in the trash that no result has told of: late edits, and what a killed run left.

Blocking; call from a worker thread. Nothing here changes the trash.
"""

from collections.abc import Iterable, Sequence

from syncd.core.action import TrashRef
from syncd.core.entry import Entry, Kind
from syncd.tree.local import syscalls as sc
from syncd.tree.local.reader import digest_descriptor
from syncd.tree.local.trash import Trash, TrashEntry
from syncd.tree.port import Kept


def unaccounted(trash: Trash, recovered: Iterable[TrashEntry], batches: Sequence[str] | None) -> list[Kept]:
    """What was written to after it left its name, in `batches` or anywhere; anywhere also `recovered`."""
    left = {entry.ref for entry in recovered} if batches is None else set()
    entries = trash.entries() if batches is None else [one for name in batches for one in trash.entries(name)]
    found = []
    for entry in entries:
        if not entry.path or entry.kind not in (Kind.FILE, Kind.SYMLINK):
            continue
        is_left = entry.ref in left
        if (is_left or entry.is_edited) and (now := _now(trash, entry)) is not None:
            found.append(Kept(entry.ref, entry.path, now, None if is_left else entry.entry))
    return found


def digest(trash: Trash, ref: TrashRef) -> bytes | None:
    """BLAKE3 of a kept file; None when it is gone or cannot be read."""
    try:
        descriptor = trash.open(ref)
        try:
            return digest_descriptor(descriptor)
        finally:
            sc.close(descriptor)
    except OSError:
        return None


def _now(trash: Trash, entry: TrashEntry) -> Entry | None:
    if entry.kind is Kind.FILE:
        return Entry(Kind.FILE, entry.mode, entry.size, entry.mtime_ns)
    try:
        return Entry(Kind.SYMLINK, 0, entry.size, entry.mtime_ns, target=trash.target(entry.ref))
    except OSError:
        return None
