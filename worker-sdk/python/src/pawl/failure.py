"""Exceptions to recorded failures, and back."""

from __future__ import annotations

import traceback
from typing import Any

from ._codec.payload import decode, encode
from ._lib import limits
from ._lib.text import clip
from .duration import duration_message, seconds_of
from .errors import RecordedError, RetryableError, StepFailedError, TerminalError
from .v1.common_pb2 import Failure


def error_type(error: BaseException) -> str:
    """The class of an error, as shown, recorded and matched by `non_retryable`."""
    if isinstance(error, StepFailedError | RecordedError):
        return error.type
    return type(error).__name__


def _add_details(failure: Failure, error: BaseException) -> None:
    details = getattr(error, "details", None)
    if details is None or callable(details):
        return
    try:
        encoded = encode(details, "the error's details")
        if len(encoded.data) <= limits.DETAILS_BYTES_MAX:
            failure.details.CopyFrom(encoded.payload())
            return
        problem = f"{len(encoded.data)} bytes, {limits.DETAILS_BYTES_MAX} are possible"
    except TerminalError as refusal:
        # The error itself matters more than what it carries.
        problem = str(refusal)
    failure.message = f"{failure.message} (its details are lost: {problem})"


def _cause_of(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__


def to_failure(error: BaseException, depth: int = 0) -> Failure:
    """Turns whatever was raised into a failure to record."""
    message = str(error.args[0]) if isinstance(error, RecordedError) else str(error)
    stack = "".join(
        traceback.format_exception(type(error), error, error.__traceback__, chain=False)
    )
    failure = Failure(
        type=error_type(error),
        message=clip(message, limits.MESSAGE_CHARS_MAX),
        stack=clip(stack, limits.STACK_CHARS_MAX),
    )
    _add_details(failure, error)
    cause = _cause_of(error)
    if cause is not None and depth < limits.CAUSE_DEPTH_MAX:
        failure.cause.CopyFrom(to_failure(cause, depth + 1))
    if isinstance(error, TerminalError) or getattr(error, "non_retryable", False) is True:
        failure.non_retryable = True
    if isinstance(error, RetryableError) and error.retry_after is not None:
        failure.retry_after.CopyFrom(duration_message(seconds_of(error.retry_after)))
    return failure


def failure_details(failure: Failure) -> Any:
    """What the failure's error carried as `details`."""
    return decode(failure.details) if failure.HasField("details") else None


def error_of(failure: Failure) -> RecordedError:
    """An error that tells of the recorded one."""
    error = RecordedError(failure.type or "Error", failure.message, failure.stack)
    if failure.HasField("cause"):
        error.__cause__ = error_of(failure.cause)
    return error


def step_failed(failure: Failure, step_key: str, attempts: int) -> StepFailedError:
    """The error that user code sees for a step that failed finally, live and in replay."""
    error = StepFailedError(
        failure.message,
        type=failure.type or "Error",
        step_key=step_key,
        attempts=attempts,
        details=failure_details(failure),
    )
    error.__cause__ = error_of(failure)
    return error
