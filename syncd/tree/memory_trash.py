"""What MemoryTree does with its trash when nothing is applied: recovery at start, expiry, listing."""

from collections.abc import Iterator, Sequence

import msgspec

from syncd.core.action import TrashRef
from syncd.core.entry import Entry, Kind
from syncd.tree.memory_disk import Disk, Node
from syncd.tree.memory_machine import Machine
from syncd.tree.parked import Rename, to_undo
from syncd.tree.port import Kept

DAY_S = 86400.0
NOTE = b".json"


class Note(msgspec.Struct, frozen=True):
    """What a slot holds, or will hold. `to` and `inode` of a move. `ours`: inode, size and mtime of the file
    that was staged in the slot."""

    path: bytes
    batch: str
    entry: Entry | None
    is_parked: bool = False
    to: bytes = b""
    inode: int = 0
    ours: tuple[int, int, int] | None = None


def slots(disk: Disk) -> Iterator[tuple[bytes, bytes, Node, Note | None]]:
    """Batch, slot, what lies there and its note, oldest batch name first."""
    for batch, folder in sorted(disk.control.children.items()):
        for slot, node in sorted(folder.children.items()):
            if not slot.endswith(NOTE):
                yield batch, slot, node, read_note(folder, slot)


def read_note(folder: Node, slot: bytes) -> Note | None:
    """The note of a slot; None when it is missing or torn."""
    node = folder.children.get(slot + NOTE)
    try:
        return msgspec.json.decode(node.data, type=Note) if node is not None else None
    except msgspec.DecodeError:
        return None


async def recover(machine: Machine) -> None:
    """Throw away what was staged and not put in place, and give parked files a name again; everything else
    that was left is a trash entry."""
    disk = machine.disk
    for batch, slot, node, note in list(slots(disk)):
        folder = disk.control.children[batch]
        if note is None:
            continue
        await machine.step()
        if note.ours == (node.number, node.size, node.mtime_ns):
            disk.unlink(folder, slot)
        elif note.is_parked and not any(_unpark(disk, folder, slot, path) for path in (note.path, note.to)):
            _undo_circle(disk, folder, note.path)
            _unpark(disk, folder, slot, note.path)
    disk.sync()


def _unpark(disk: Disk, folder: Node, slot: bytes, path: bytes) -> bool:
    try:
        disk.rename(folder, slot, *disk.parent_of(path))
    except OSError:
        return False
    return True


def _undo_circle(disk: Disk, folder: Node, parked: bytes) -> None:
    notes = [read_note(folder, name.removesuffix(NOTE)) for name in folder.children if name.endswith(NOTE)]
    renames = [Rename(note.path, note.to, note.inode) for note in notes if note and not note.is_parked]

    def inode_at(path: bytes) -> int | None:
        node = disk.at(path)
        return None if node is None else node.number

    for rename in to_undo(parked, renames, inode_at):
        disk.rename(*disk.parent_of(rename.to), *disk.parent_of(rename.path))


def unaccounted(machine: Machine, left: frozenset[bytes], batches: Sequence[str] | None) -> list[Kept]:
    """Late edits in `batches` or anywhere; anywhere also what the batches `left` by a killed run hold."""
    found = []
    for batch, slot, node, note in slots(machine.disk):
        name = batch.decode()
        is_left = batches is None and batch in left
        if note is None or note.is_parked or not (batches is None or name in batches):
            continue
        expected = note.entry
        is_edited = (
            expected is not None
            and expected.kind is Kind.FILE
            and (node.size, node.mtime_ns) != (expected.size, expected.mtime_ns)
        )
        if (is_left or is_edited) and node.kind in (Kind.FILE, Kind.SYMLINK):
            ref = TrashRef(machine.side, name, slot.decode())
            found.append(Kept(ref, note.path, node.entry(with_digest=False), None if is_left else expected))
    return found


def kept_node(disk: Disk, ref: TrashRef) -> Node | None:
    folder = disk.control.children.get(ref.batch.encode())
    return None if folder is None else folder.children.get(ref.slot.encode())


def restore(disk: Disk, ref: TrashRef, path: bytes) -> None:
    """Give the bytes of a slot a free name in the tree. Raises OSError."""
    folder = disk.find(ref.batch.encode(), disk.control)
    directory, name = disk.parent_of(path)
    disk.rename(folder, ref.slot.encode(), directory, name)
    note = ref.slot.encode() + NOTE
    if note in folder.children:
        disk.unlink(folder, note)
    disk.sync()


def expire(machine: Machine, keep_s: float, max_bytes: int | None, pinned: frozenset[str]) -> int:
    """Drop what is older than `keep_s`, then the oldest for space (never younger than a day)."""
    disk = machine.disk
    now = disk.now_ns()
    total = sum(node.size for _, _, node, _ in slots(disk))
    freed = 0
    by_age = sorted(slots(disk), key=lambda row: (row[2].ctime_ns, row[0], row[1]))
    for batch, slot, node, _ in by_age:
        age_s = (now - node.ctime_ns) / 1e9
        is_over = max_bytes is not None and total - freed > max_bytes and age_s >= DAY_S
        is_pinned = batch.decode() in pinned or f"{batch.decode()}/{slot.decode()}" in pinned
        if is_pinned or not (age_s > keep_s or is_over) or node.children:
            continue
        folder = disk.control.children[batch]
        for name in (slot, slot + NOTE):
            if name in folder.children:
                disk.unlink(folder, name)
        freed += node.size
    for batch in [name for name, folder in disk.control.children.items() if not folder.children]:
        disk.unlink(disk.control, batch)
    disk.sync()
    return freed
