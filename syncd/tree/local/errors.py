"""The boundary between the operating system and syncd: one table from errno to reason code.

Everything that a call may answer is judged here, once. Nothing but `syncd.core` may be imported.
"""

import errno
import os
from typing import NoReturn

import msgspec

from syncd.core.action import Action, Done, Failed, MakeDirectory, Move, Put, Result, Stale, TrashRef
from syncd.core.entry import Side
from syncd.core.error import NeedsUser, PathProblem, StaleError, SyncdError, TransientError
from syncd.core.path import escape
from syncd.core.path import parent as parent_of
from syncd.core.reason import Reason

STALE = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EEXIST, errno.ENOTEMPTY, errno.EISDIR, errno.ESTALE}
)
"""The name or one of its parents is not what was planned: look again."""

FLAGS_MISSING = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
"""What renameat2 answers where a flag is not known."""

_FATAL = {errno.ENOSPC: Reason.DISK_FULL, errno.EDQUOT: Reason.DISK_FULL, errno.EROFS: Reason.READ_ONLY}
_PATH = {
    errno.EFBIG: Reason.DISK_FULL,
    errno.EACCES: Reason.NOT_PERMITTED,
    errno.EPERM: Reason.NOT_PERMITTED,
    errno.ENAMETOOLONG: Reason.PATH_TOO_LONG,
    errno.EILSEQ: Reason.NAME_NOT_POSSIBLE,
    errno.EINVAL: Reason.NAME_NOT_POSSIBLE,
    errno.EOPNOTSUPP: Reason.NAME_NOT_POSSIBLE,
    errno.EXDEV: Reason.OTHER_FILESYSTEM,
    errno.EMFILE: Reason.RETRY,
    errno.ENFILE: Reason.RETRY,
    errno.ENOMEM: Reason.RETRY,
    errno.EAGAIN: Reason.RETRY,
    errno.EBUSY: Reason.RETRY,
    errno.ETXTBSY: Reason.RETRY,
    errno.ETIMEDOUT: Reason.RETRY,
    errno.EINTR: Reason.RETRY,
    errno.EIO: Reason.IO_ERROR,
}


class Mismatch(Exception):
    """What is at the target is not what the plan saw. `kept` names a slot that foreign bytes ended in."""

    def __init__(self, kept: str | None = None) -> None:
        super().__init__(kept or "")
        self.kept = kept


class SourceError(Exception):
    """Reading the other side failed; `error` says how."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class Verdict(msgspec.Struct, frozen=True):
    """What an errno means. No reason: the world moved on."""

    reason: Reason | None
    is_fatal: bool = False


def judge(error: OSError, *, is_read: bool = False) -> Verdict:
    """What a failed call means for its path; `is_read` when content or a listing was asked for."""
    number = error.errno or errno.EIO
    if number in STALE:
        return Verdict(None)
    if is_read and number in (errno.EACCES, errno.EPERM):
        return Verdict(Reason.UNREADABLE)
    if number in _FATAL:
        return Verdict(_FATAL[number], is_fatal=True)
    return Verdict(_PATH.get(number, Reason.IO_ERROR))


def text(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)


def raise_read_error(error: OSError, path: bytes) -> NoReturn:
    """Raise what reading `path` of this tree failed with, in the words of the engine."""
    verdict = judge(error, is_read=True)
    detail = f"{escape(path)}: {text(error)}"
    if verdict.reason is None:
        raise StaleError(Reason.CHANGING, detail) from error
    if verdict.reason is Reason.RETRY:
        raise TransientError(verdict.reason, detail) from error
    raise PathProblem(verdict.reason, detail) from error


def stale_target(action: Action, kept: TrashRef | None = None) -> Stale:
    """The target moved on: look at it, at where it was to go, and at a parent that may be gone."""
    paths = [action.path]
    if isinstance(action, Move):
        paths.append(action.to)
    if isinstance(action, Put | MakeDirectory | Move):
        paths.append(parent_of(paths[-1]))
    seen = tuple(dict.fromkeys(paths))
    if action.side is Side.SOURCE:
        return Stale(action, source_paths=seen, kept=kept)
    return Stale(action, destination_paths=seen, kept=kept)


def stale_content(action: Put) -> Stale:
    """The content to put is not what the plan saw: look at the other side."""
    if action.side is Side.SOURCE:
        return Stale(action, destination_paths=(action.origin,))
    return Stale(action, source_paths=(action.origin,))


def failed(action: Action, error: OSError) -> Result:
    """The result of a step whose call on the target failed."""
    verdict = judge(error)
    if verdict.reason is None:
        return stale_target(action)
    return Failed(action, verdict.reason, text(error), verdict.is_fatal)


def doubtful(done: Done, error: OSError) -> Failed:
    """The result of a step that was done, where the sync of its names failed."""
    verdict = judge(error)
    reason = verdict.reason or Reason.IO_ERROR
    return Failed(done.action, reason, text(error), verdict.is_fatal, is_in_doubt=True, trash=done.trash)


def content_failed(action: Put, error: SyncdError | SourceError) -> Result:
    """The result of a put whose content could not be read."""
    if isinstance(error, SourceError):
        verdict = judge(error.error, is_read=True)
        if verdict.reason is None:
            return stale_content(action)
        return Failed(action, verdict.reason, text(error.error))
    if isinstance(error, StaleError):
        return stale_content(action)
    return Failed(action, error.reason, error.detail, isinstance(error, NeedsUser))
