"""What clients send. Unknown fields are refused; an empty `pairs` means all of them.

No method takes a command to run: `PairOptions` has no hooks. A `pair` of None where a path is asked for
means: find the pair by the absolute path. Durations and sizes are the config's own words ("15m").
"""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from syncd.control.model.common import Keep, SideName, raw_path

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Names = Annotated[tuple[Name, ...], msgspec.Meta(max_length=1000)]
Text = Annotated[str, msgspec.Meta(max_length=16384)]
Texts = Annotated[tuple[Text, ...], msgspec.Meta(max_length=1000)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=1000)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Params(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all parameters."""


class NoParams(Params, frozen=True):
    """The method takes none."""


class StatusParams(Params, frozen=True):
    pairs: Names = ()


class PairsParams(Params, frozen=True):
    """The pairs meant; none named: all."""

    pairs: Names = ()


class PairShowParams(Params, frozen=True):
    pair: Name


class MaxDelete(Params, frozen=True):
    """The brake's thresholds; a field that is left out keeps its default."""

    files: Count | UnsetType = UNSET
    percent: Annotated[float, msgspec.Meta(ge=0, le=100)] | UnsetType = UNSET
    bytes_percent: Annotated[float, msgspec.Meta(ge=0, le=100)] | UnsetType = UNSET
    absolute: Count | UnsetType = UNSET


class TrashOption(Params, frozen=True):
    keep: Text | UnsetType = UNSET
    max_size: Text | UnsetType = UNSET


class PairOptions(Params, frozen=True):
    """Keys of a pair's table, spelled as in the config file; a key that is left out is not written."""

    mode: Text | UnsetType = UNSET
    conflict: Text | UnsetType = UNSET
    initial: Text | UnsetType = UNSET
    ignore: Texts | UnsetType = UNSET
    settle: Text | UnsetType = UNSET
    rescan: Text | UnsetType = UNSET
    poll: Text | UnsetType = UNSET
    max_delete: MaxDelete | UnsetType = UNSET
    owner: Text | UnsetType = UNSET
    cross_mounts: bool | UnsetType = UNSET
    initial_compare: Text | UnsetType = UNSET
    pull_destination_changes: bool | UnsetType = UNSET
    trash: TrashOption | UnsetType = UNSET
    paused: bool | UnsetType = UNSET


class PairAddParams(Params, frozen=True):
    """Write `pairs.d/NAME.toml` and start the pair. Local roots are absolute paths."""

    name: Name
    source: Text
    destination: Text
    options: PairOptions = PairOptions()


class PairEditParams(Params, frozen=True):
    """Change keys of the pair's own file; `unset` names keys that fall back to their default."""

    pair: Name
    options: PairOptions = PairOptions()
    unset: Names = ()


class PairRemoveParams(Params, frozen=True):
    """Stop the pair and remove its file. Trees are never touched; `purge` drops its state as well."""

    pair: Name
    purge: bool = False


class PairAdoptParams(Params, frozen=True):
    """Accept the roots as they are now (a new directory, a foreign marker); None: both sides."""

    pair: Name
    side: SideName | None = None


class PairSyncParams(Params, frozen=True):
    """A cycle now. `wait` answers after that cycle; a client that goes away does not stop it."""

    pairs: Names = ()
    wait: bool = False


class _PathParams(Params, frozen=True):
    path: Text | None = None
    path_b64: Text | None = None

    @property
    def raw(self) -> bytes | None:
        """The bytes of the path, None when there is none. Raises BAD_REQUEST."""
        return raw_path(self.path, self.path_b64)


class PairRescanParams(_PathParams, frozen=True):
    """Scan again: everything, or what is at and beneath `path` (relative, or absolute in a root)."""

    pairs: Names = ()
    wait: bool = False


class PairNotifyParams(Params, frozen=True):
    """One change, told by who made it: `old` alone was deleted, `new` alone was written, both: renamed
    (with `is_copy`: copied). Relative to the root, or absolute in one."""

    pair: Name
    old: Text | None = None
    old_b64: Text | None = None
    new: Text | None = None
    new_b64: Text | None = None
    is_copy: bool = False

    @property
    def raw_old(self) -> bytes | None:
        return raw_path(self.old, self.old_b64)

    @property
    def raw_new(self) -> bytes | None:
        return raw_path(self.new, self.new_b64)


class PairWaitParams(Params, frozen=True):
    """Answer once every change made before this call is on the other side. No pair named: all."""

    pairs: Names = ()
    timeout_s: Annotated[float, msgspec.Meta(ge=0, le=31_536_000)] | None = None


class PathExplainParams(_PathParams, frozen=True):
    """An absolute path, or one relative to the roots of `pair`."""

    pair: Name | None = None


class PlanShowParams(Params, frozen=True):
    """The actions `offset` … `offset + limit` of what would be done now."""

    pair: Name
    offset: Count = 0
    limit: Limit = 1000


class PlanDecideParams(Params, frozen=True):
    pair: Name
    plan_id: Name


class ConflictListParams(Params, frozen=True):
    """`match` is a glob over the path. Open records; settled ones too when asked."""

    pair: Name | None = None
    match: Text | None = None
    include_settled: bool = False
    offset: Count = 0
    limit: Limit = 1000


class ConflictShowParams(Params, frozen=True):
    conflict_id: Name
    pair: Name | None = None


class ConflictResolveParams(Params, frozen=True):
    """Settle the records named, or with `all` every open one (of `pair`, matching `match`)."""

    keep: Keep
    conflict_ids: Names = ()
    all: bool = False
    pair: Name | None = None
    match: Text | None = None


class ConflictRestoreParams(Params, frozen=True):
    """Put the version that lost back beside the one that won."""

    conflict_id: Name
    pair: Name | None = None


class IssueListParams(Params, frozen=True):
    pair: Name | None = None
    match: Text | None = None
    include_notes: bool = False
    offset: Count = 0
    limit: Limit = 1000


class HistoryListParams(_PathParams, frozen=True):
    """Newest first; with a path what happened at and beneath it. `before` is the last `entry_id` seen."""

    pair: Name | None = None
    before: Count | None = None
    limit: Limit = 100


class IgnoreTestParams(_PathParams, frozen=True):
    """`is_directory` None: look at the path to tell."""

    pair: Name | None = None
    is_directory: bool | None = None


class ConfigShowParams(Params, frozen=True):
    pair: Name | None = None


class ConfigCheckParams(Params, frozen=True):
    """Read and validate the files that the daemon was started with; change nothing."""


class ConfigReloadParams(Params, frozen=True):
    """Read, validate, apply what changed; a bad file changes nothing."""


LogLevel = Literal["debug", "info", "warning", "error"]


class LogTailParams(Params, frozen=True):
    """The last `limit` lines at `level` or above, or those after line number `after`."""

    limit: Limit = 100
    level: LogLevel = "info"
    pair: Name | None = None
    after: Count | None = None


class EventsSubscribeParams(Params, frozen=True):
    """Events from now on, or again from `since` (exclusive). `kinds` are names or prefixes: `file.`"""

    since: Count | None = None
    pairs: Names = ()
    kinds: Names = ()
