"""What MemoryTree does with its trash when nothing is applied: recovery at start, expiry, listing."""

from collections.abc import Iterator, Sequence

import msgspec

from syncd.core.action import TrashRef
from syncd.core.entry import Entry, Kind
from syncd.tree.memory_disk import Disk, Node
from syncd.tree.memory_machine import Machine
from syncd.tree.port import Kept

DAY_S = 86400.0
NOTE = b".json"


class Note(msgspec.Struct, frozen=True):
    """What a slot holds, or will hold."""

    path: bytes
    batch: str
    entry: Entry | None
    is_parked: bool = False


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
    """Put parked names back whose move was cut short; everything else that was left is a trash entry."""
    disk = machine.disk
    for batch, slot, _, note in list(slots(disk)):
        if note is None or not note.is_parked:
            continue
        await machine.step()
        try:
            directory, name = disk.parent_of(note.path)
            disk.rename(disk.control.children[batch], slot, directory, name)
        except OSError:
            continue
    disk.sync()


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
