"""Exceptions to recorded failures, and back."""

from __future__ import annotations

import traceback
from typing import Any

from ._codec.payload import decode, encode
from ._lib import limits
from ._lib.text import clip, clip_bytes, shown
from .duration import duration_message, seconds_of
from .errors import RecordedError, RetryableError, StepFailedError, TerminalError
from .v1.common_pb2 import Failure


def error_type(error: BaseException) -> str:
    """The class of an error, as shown, recorded and matched by `non_retryable`."""
    if isinstance(error, StepFailedError | RecordedError):
        return shown(lambda: error.type, "Error")
    return shown(lambda: type(error).__name__, "Error")


def error_message(error: BaseException) -> str:
    """As much of its text as can be had."""
    if isinstance(error, RecordedError):
        return shown(lambda: error.args[0], "an error without a readable message")
    return shown(lambda: error, "an error without a readable message")


def _stack(error: BaseException) -> str:
    lines = shown(
        lambda: "".join(
            traceback.format_exception(type(error), error, error.__traceback__, chain=False)
        ),
        "",
    )
    return _recordable(lines, limits.FAILURE_STACK_BYTES_MAX)


def _recordable(text: str, bytes_max: int) -> str:
    """As the server records it, so that the code sees the same text live as in a replay."""
    return clip_bytes(text.replace("\0", "\ufffd"), bytes_max)


def _read(error: BaseException, name: str) -> Any:
    """An attribute of a foreign error; None where it cannot be read."""
    try:
        return getattr(error, name, None)
    except BaseException:
        return None


def _add_details(failure: Failure, error: BaseException) -> str:
    """Adds what the error carries; says what became of it where that is not possible."""
    details = _read(error, "details")
    if details is None or callable(details):
        return ""
    try:
        encoded = encode(details, "the error's details")
        if len(encoded.data) <= limits.DETAILS_BYTES_MAX:
            failure.details.CopyFrom(encoded.payload())
            return ""
        problem = f"{len(encoded.data)} bytes, limit {limits.DETAILS_BYTES_MAX}"
    except Exception as refusal:
        # The error itself matters more than what it carries.
        problem = error_message(refusal)
    return f" (its details are lost: {problem})"


def _add_retry_after(failure: Failure, error: BaseException) -> str:
    """As `_add_details`; what comes from a header may be anything."""
    wanted = _read(error, "retry_after") if isinstance(error, RetryableError) else None
    if wanted is None:
        return ""
    try:
        failure.retry_after.CopyFrom(duration_message(seconds_of(wanted)))
    except Exception:
        return (
            f" (its retry_after is not a usable duration: {shown(lambda: repr(wanted), '?')[:100]})"
        )
    return ""


def _cause_of(error: BaseException) -> BaseException | None:
    cause = _read(error, "__cause__")
    if cause is None and not _read(error, "__suppress_context__"):
        cause = _read(error, "__context__")
    return cause if isinstance(cause, BaseException) else None


def to_failure(error: BaseException, depth: int = 0) -> Failure:
    """Turns whatever was raised into a failure to record. Never raises: an error that cannot be
    recorded would leave its run without an end.
    """
    failure = Failure(
        type=_recordable(error_type(error), limits.NAME_BYTES_MAX), stack=_stack(error)
    )
    notes = _add_details(failure, error) + _add_retry_after(failure, error)
    message = f"{clip(error_message(error), limits.MESSAGE_CHARS_MAX)}{notes}"
    failure.message = _recordable(message, limits.FAILURE_MESSAGE_BYTES_MAX)
    cause = _cause_of(error)
    if cause is not None and depth + 1 < limits.CAUSE_DEPTH_MAX:
        failure.cause.CopyFrom(to_failure(cause, depth + 1))
    if isinstance(error, TerminalError) or _read(error, "non_retryable") is True:
        failure.non_retryable = True
    return failure


def plain_failure(failure: Failure) -> Failure:
    """The failure without what its error carried."""
    return Failure(type=failure.type, message=failure.message, non_retryable=failure.non_retryable)


def failure_details(failure: Failure) -> Any:
    """What the failure's error carried as `details`."""
    return decode(failure.details) if failure.HasField("details") else None


def error_of(failure: Failure) -> RecordedError:
    """An error that reports the recorded one."""
    error = RecordedError(failure.type or "Error", failure.message, failure.stack)
    if failure.HasField("cause"):
        error.__cause__ = error_of(failure.cause)
    return error


def step_failed(failure: Failure, step_key: str, attempts: int) -> StepFailedError:
    """The error that user code sees for a step that failed finally, live and in replay."""
    error = StepFailedError(
        # An error without a text is known by its class.
        failure.message or failure.type or "Error",
        type=failure.type or "Error",
        step_key=step_key,
        attempts=attempts,
        details=failure_details(failure),
    )
    error.__cause__ = error_of(failure)
    return error
