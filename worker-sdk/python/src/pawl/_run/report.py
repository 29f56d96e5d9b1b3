"""Says why a run ends without a result."""

from __future__ import annotations

from .._lib import limits
from ..errors import Cancelled, NonDeterminismError, StepFailedError
from ..failure import to_failure
from ..v1.worker_pb2 import FailRunRequest
from .memo import Memo


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


def failure_report(
    run_id: str, error: BaseException, cancel_reason: str | None, memo: Memo
) -> FailRunRequest:
    """`cancel_reason`: the run is being cancelled."""
    shown = error if cancel_reason is None else Cancelled(cancel_reason)
    report = FailRunRequest(
        run_id=run_id, failure=to_failure(shown), failed_step_keys=_failed_keys(error, memo)
    )
    if isinstance(error, NonDeterminismError):
        report.non_determinism.step_key = error.step_key
        report.non_determinism.recorded = error.recorded
        report.non_determinism.attempted = error.attempted
        report.non_determinism.likely_cause = error.likely_cause
    return report
