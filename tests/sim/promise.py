"""What a mode promises of two trees at rest."""

from syncd.core.entry import Kind, Side
from syncd.core.mode import Mode

Image = dict[bytes, tuple[Kind, bytes, int]]


def beneath(image: Image, home: bytes) -> Image:
    """The part of an image that is beneath a directory."""
    return {path: what for path, what in image.items() if path.startswith(home + b"/")}


def unequal(mode: Mode, source: Image, destination: Image) -> list[str]:
    """What the mode promises of two trees at rest."""
    if not mode.is_backup:
        paths = sorted({*source, *destination})
        return [
            f"E2: {path!r} is {source.get(path)} at the source, {destination.get(path)} at the destination"
            for path in paths
            if source.get(path) != destination.get(path)
        ]
    keeper, kept = (source, destination) if mode.authority is Side.SOURCE else (destination, source)
    return [
        f"E2: {path!r} is {entry} at the authority, {kept.get(path)} at the backup"
        for path, entry in keeper.items()
        if kept.get(path) != entry and not is_blocked(path, entry, kept)
    ]


def is_blocked(path: bytes, entry: tuple[Kind, bytes, int], kept: Image) -> bool:
    """A backup never deletes: what it keeps may stand where a directory or a file would have to go."""
    other = kept.get(path)
    if other is not None and Kind.DIRECTORY in (other[0], entry[0]):
        return True
    parts = path.split(b"/")
    above = [b"/".join(parts[:count]) for count in range(1, len(parts))]
    return any(kept[one][0] is not Kind.DIRECTORY for one in above if one in kept)
