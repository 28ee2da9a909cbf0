"""The one exception tree. Each boundary maps its own errors into it once, with a stable reason code."""

from syncd.core.reason import Reason


class SyncdError(Exception):
    """Base of all errors that syncd raises on purpose. `detail` is for people, escaped for terminals."""

    def __init__(self, reason: Reason, detail: str = "", *, fix: str | None = None) -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail
        self.fix = reason.fix if fix is None else fix
        """The way out: the reason's own, unless the place where it happened has a better one."""


class StaleError(SyncdError):
    """The world moved on: observe and plan again at once."""


class TransientError(SyncdError):
    """May work later: back off and retry."""


class PathProblem(SyncdError):
    """One path cannot be synchronised: an issue on the path, the rest goes on."""


class NeedsUser(SyncdError):
    """The pair is held until a person (or the returning root) resolves it."""


def first_known(error: BaseException) -> SyncdError | None:
    """The first error of this tree in a group of errors, or the error itself."""
    if isinstance(error, SyncdError):
        return error
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            if (known := first_known(inner)) is not None:
                return known
    return None


def first_cause(error: BaseException) -> BaseException:
    """The first error of a group, however deep, or the error itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
