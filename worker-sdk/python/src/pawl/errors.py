"""The errors of the SDK. The class of an error says what happens next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .duration import Duration


class PawlError(Exception):
    """The base of all errors of this SDK.

    `Cancelled` and `Suspended` are not errors, because the run ends or leaves: no code that handles
    failures may catch them.
    """


class Suspended(BaseException):
    """The run has left this worker: it waits, was paused, or is held by another worker.

    It is not an `Exception`, so that `except Exception` does not catch it. Nothing that the code does
    afterwards is recorded.
    """


class Cancelled(BaseException):
    """The run is being cancelled, or another branch of the same `all`, `map` or `race` ended this one.

    It is not an `Exception`, so that code that handles failed steps does not catch it. Clean up in
    `finally` or `except Cancelled`, then raise it again; the steps of the cleanup are recorded.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TerminalError(PawlError):
    """Raise it in a step to fail the step permanently, whatever its retry policy says.

    `details` is recorded with the failure; it can be any value that can be recorded.
    """

    def __init__(self, message: str = "", *, details: Any = None) -> None:
        super().__init__(message)
        self.details = details


class RetryableError(PawlError):
    """Raise it in a step to retry after `retry_after` instead of the policy's delay.

    The policy retries any other exception, too; without a retry policy there is no retry.
    """

    def __init__(
        self, message: str = "", *, retry_after: Duration | None = None, details: Any = None
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.details = details


class StepFailedError(PawlError):
    """A step, child run or wait failed permanently.

    Its class and fields are the same in the first execution and in every replay.
    """

    def __init__(
        self, message: str, *, type: str, step_key: str, attempts: int, details: Any = None
    ) -> None:
        super().__init__(message)
        # The class of the error that the step raised.
        self.type = type
        self.step_key = step_key
        # The number of attempts, including the last one.
        self.attempts = attempts
        self.details = details


class RecordedError(PawlError):
    """An error from the journal: `type` names its class, which may belong to another language."""

    def __init__(self, type: str, message: str, stack: str = "") -> None:
        super().__init__(message)
        self.type = type
        self.stack = stack

    def __str__(self) -> str:
        return f"{self.type}: {self.args[0]}"


class StepTimeoutError(PawlError):
    """An attempt took longer than the step's `timeout`."""

    def __init__(self, name: str, timeout_s: float) -> None:
        super().__init__(
            f'step "{name}" did not finish within its timeout of {round(timeout_s * 1000)} ms'
        )


class WaitTimeoutError(PawlError):
    """A wait for a signal or a person timed out and had no `default`."""

    def __init__(self, what: str, step_key: str) -> None:
        super().__init__(
            f"{what} did not arrive in time; give the wait a `default` to continue without it"
        )
        self.step_key = step_key


class WaitCancelledError(PawlError):
    """The wait was cancelled, by a person or by an operator who ended a timer."""

    def __init__(self, name: str, step_key: str, actor: str = "", comment: str = "") -> None:
        by = f" by {actor}" if actor else ""
        super().__init__(f'the wait "{name}" was cancelled{by}{f": {comment}" if comment else ""}')
        self.step_key = step_key
        #: Who cancelled it; empty if unknown.
        self.actor = actor
        self.comment = comment


class SerializationError(TerminalError):
    """A value cannot be recorded; `path` names the part that cannot."""

    def __init__(self, what: str, path: str, problem: str) -> None:
        super().__init__(f"{what} cannot be recorded: {path or 'it'} {problem}")
        self.path = path


class InvalidValueError(TerminalError):
    """A value does not have its declared type."""

    def __init__(self, what: str, issues: Sequence[str]) -> None:
        super().__init__(f"{what} does not fit its type: {'; '.join(issues)}")
        self.issues = tuple(issues)


class AmbiguousStepKeyError(TerminalError):
    """Two concurrent steps have the same name, so their keys would depend on timing. Give them a `key`."""


class NonDeterminismError(TerminalError):
    """The code does not match the run's journal; the run is paused. Deploy compatible code and resume it."""

    def __init__(self, *, step_key: str, recorded: str, attempted: str, likely_cause: str) -> None:
        super().__init__(
            f"step {step_key} is recorded as {recorded}, but the code now asks for {attempted}. "
            f"Likely cause: {likely_cause}"
        )
        self.step_key = step_key
        self.recorded = recorded
        self.attempted = attempted
        self.likely_cause = likely_cause


class UsageError(TerminalError):
    """The program uses the SDK incorrectly; the message says what to write instead."""


class RequestError(PawlError):
    """The server rejected a request, or could not be reached. Branch on `reason`.

    `reason` is one of docs/errors.md, or UNAVAILABLE if the server was unreachable; `code` is a
    google.rpc.Code; `retry_after_s` is in seconds.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        code: int,
        metadata: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.code = code
        self.metadata: Mapping[str, str] = dict(metadata or {})
        self.retry_after_s = retry_after_s


class RunFailedError(PawlError):
    """The run whose result was awaited failed or was cancelled (`status`)."""

    def __init__(
        self, message: str, *, run_id: str, status: str, type: str, details: Any = None
    ) -> None:
        super().__init__(message)
        self.run_id = run_id
        self.status = status
        # The class of the error that ended the run.
        self.type = type
        self.details = details
