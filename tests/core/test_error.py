"""The exception tree."""

from syncd.core.error import TransientError, first_cause, first_known
from syncd.core.reason import Reason


def test_the_first_known_error() -> None:
    known = TransientError(Reason.STATE_BUSY, "")
    assert first_known(known) is known
    assert first_known(ExceptionGroup("", [ValueError(), ExceptionGroup("", [known])])) is known
    assert first_known(ExceptionGroup("", [ValueError()])) is None
    assert first_known(ValueError()) is None


def test_the_first_cause() -> None:
    cause = ValueError()
    assert first_cause(cause) is cause
    assert first_cause(ExceptionGroup("", [ExceptionGroup("", [cause]), KeyError()])) is cause
