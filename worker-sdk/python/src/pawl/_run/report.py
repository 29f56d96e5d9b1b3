"""Says why a run ends without a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .._lib import limits
from .._lib.text import clip
from ..errors import Cancelled, NonDeterminismError, StepFailedError
from ..failure import to_failure
from ..v1.common_pb2 import Failure
from ..v1.worker_pb2 import FailRunRequest
from .memo import Memo


@dataclass(frozen=True, slots=True)
class CompensationFailure:
    """A compensation that failed for good."""

    name: str
    error: BaseException


def _failed_keys(error: BaseException, memo: Memo) -> list[str]:
    """The failed steps that an error came through, innermost first."""
    keys: dict[str, None] = {}
    at: BaseException | None = error
    for _ in range(limits.CAUSE_DEPTH_MAX):
        if at is None:
            break
        if isinstance(at, StepFailedError):
            keys.update(dict.fromkeys([*memo.failed_within(at.step_key), at.step_key]))
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    return list(keys)[: limits.REPORTED_KEYS_MAX]


def _tell(failure: Failure, failures: Sequence[CompensationFailure]) -> None:
    if not failures:
        return
    what = "its compensation" if len(failures) == 1 else f"{len(failures)} compensations"
    told = "; ".join(f'"{each.name}": {each.error}' for each in failures)
    failure.message = clip(f"{failure.message}; {what} failed: {told}", limits.MESSAGE_CHARS_MAX)


def failure_report(
    run_id: str,
    error: BaseException,
    cancel_reason: str | None,
    memo: Memo,
    failures: Sequence[CompensationFailure] = (),
) -> FailRunRequest:
    """`cancel_reason`: the run is being cancelled; `failures`: compensations that failed as well."""
    shown = error if cancel_reason is None else Cancelled(cancel_reason)
    keys = [key for each in failures for key in _failed_keys(each.error, memo)]
    keys += _failed_keys(error, memo)
    report = FailRunRequest(
        run_id=run_id,
        failure=to_failure(shown),
        failed_step_keys=keys[: limits.REPORTED_KEYS_MAX],
    )
    _tell(report.failure, failures)
    if isinstance(error, NonDeterminismError):
        report.non_determinism.step_key = error.step_key
        report.non_determinism.recorded = error.recorded
        report.non_determinism.attempted = error.attempted
        report.non_determinism.likely_cause = error.likely_cause
    return report
