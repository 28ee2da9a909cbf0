"""What names a tree: a path, or a URL whose scheme picks the module that serves it."""

from pathlib import Path

from syncd.core.entry import Side
from syncd.core.error import PathProblem
from syncd.core.reason import Reason
from syncd.tree.local import LocalTree
from syncd.tree.local.claim import Claim
from syncd.tree.port import Tree

LOCAL_SCHEME = "file"


def scheme_of(location: str) -> str:
    """The scheme of a location; `file` for a plain path."""
    scheme, separator, _ = location.partition("://")
    return scheme.lower() if separator and scheme.replace("+", "").isalnum() else LOCAL_SCHEME


def is_local(location: str) -> bool:
    return scheme_of(location) == LOCAL_SCHEME


def local_path(location: str) -> Path:
    """The path that a local location names, `~` expanded, made absolute; links in it are kept."""
    plain = location.removeprefix("file://")
    return Path(plain).expanduser().absolute()


def make_tree(
    location: str,
    side: Side,
    *,
    pair_key: str,
    state_dir: str,
    is_written: bool,
    owner: str = "parent",
    cross_mounts: bool = False,
) -> Tree:
    """The tree at `location`. Raises PathProblem for a scheme that nothing serves."""
    if not is_local(location):
        raise PathProblem(Reason.BAD_REQUEST, f"no tree serves {scheme_of(location)}://")
    return LocalTree(
        local_path(location),
        side,
        pair_key=Claim.of(pair_key, state_dir),
        is_written=is_written,
        owner=owner,
        cross_mounts=cross_mounts,
    )
