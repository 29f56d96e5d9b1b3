# Section E of docs/replay-machine.md.
"""How a run ends in this worker: with a result, or with an error."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._lib import limits
from ..errors import Cancelled, RequestError, Suspended
from ..failure import plain_failure
from ..v1.common_pb2 import Payload
from ..v1.worker_pb2 import CompleteRunRequest, FailRunRequest
from .report import CompensationFailure, failure_report

if TYPE_CHECKING:
    from .run import Run

logger = logging.getLogger("pawl")


async def complete_run(run: Run, output: Payload) -> None:
    """Reports the result that the workflow returned; raises what keeps it from being the outcome."""
    if run.left:
        raise Suspended
    if run.cancel_reason is not None:
        raise Cancelled(run.cancel_reason)
    if run.refusal is not None:
        raise run.refusal
    run.set_ending(True)
    unconsumed = run.memo.unconsumed(limits.REPORTED_KEYS_MAX) if run.memo.size else []
    reported = run.reporting = run.loop.create_future()

    def message() -> CompleteRunRequest:
        return CompleteRunRequest(
            run_id=run.run_id,
            fence=run.fence,
            output=output,
            unconsumed_step_keys=unconsumed,
        )

    def on_done(_: Any) -> None:
        reported.set_result(None)
        run.leave("completed")

    def on_refused(error: BaseException) -> None:
        run.set_ending(False)
        reported.set_exception(error)

    def may_send() -> bool:
        # A cancel that came first: the run is not complete.
        if run.cancel_reason is None:
            return True
        on_refused(Cancelled(run.cancel_reason))
        return False

    run.send("complete_run", message, on_done, on_refused, may_send)
    await reported


def fail_run(run: Run, error: BaseException, failures: Sequence[CompensationFailure] = ()) -> None:
    """Ends a run with an error: failed, cancelled, or paused where code and journal disagree.

    `failures`: compensations that failed on top of it.
    """
    if run.left:
        return
    run.set_ending(True)
    run.error = error
    report = failure_report(run.run_id, error, run.cancel_reason, run.memo, failures)

    def message() -> FailRunRequest:
        report.fence = run.fence
        return report

    def on_refused(refusal: RequestError) -> None:
        if report.failure.stack or report.failure.HasField("cause"):
            # What the error carries may be what is refused.
            report.failure.CopyFrom(plain_failure(report.failure))
            run.send("fail_run", message, lambda _: run.leave("failed"), on_refused)
            return
        logger.error("the platform refused the report that run %s failed: %s", run.run_id, refusal)
        run.gave_up = True
        run.leave("its failure could not be reported")

    run.send("fail_run", message, lambda _: run.leave("failed"), on_refused)
