"""Actions on the tree `HERE`, and the fate Stale."""

from syncd.core.action import Put, Stale
from syncd.core.entry import Entry, Kind, Side
from tests.contract.bench import OLD_NS

HERE = Side.DESTINATION
RAW_NAME = b"caf\xe9 \xff\xfe"
LATER_NS = OLD_NS + 5_000_000_000
DIRECTORY = Entry(Kind.DIRECTORY, 0o755)


def put(path: bytes, entry: Entry, expect: Entry | None = None, origin: bytes | None = None) -> Put:
    return Put(HERE, path, entry, expect, origin or path)


def assert_looks(result: object, here: tuple[bytes, ...] = (), there: tuple[bytes, ...] = ()) -> None:
    """Stale, naming these paths among those to look at again; nothing kept aside."""
    assert isinstance(result, Stale), result
    assert result.kept is None
    assert set(here) <= set(result.destination_paths)
    assert set(there) <= set(result.source_paths)
