"""What is said of a step to the platform, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..duration import duration_message, message_seconds
from ..errors import NonDeterminismError
from ..v1 import step_pb2 as pb
from ..v1.common_pb2 import Failure, Payload

if TYPE_CHECKING:
    from .step import StepOperation


def start_message(step: StepOperation) -> pb.StepStartedRequest:
    options = step.call.options
    message = pb.StepStartedRequest(
        run_id=step.run.run_id,
        fence=step.run.fence,
        step_key=step.key,
        name=step.name,
        kind=step.kind,
        input_digest=step.input_digest,
        definition_digest=step.definition_digest,
        recovery=pb.RECOVERY_AT_MOST_ONCE if options.at_most_once else pb.RECOVERY_RETRY,
    )
    if step.call.input is not None:
        message.input.CopyFrom(step.call.input)
    if options.retry is not None:
        message.retry_policy.CopyFrom(options.retry)
    if options.timeout_s is not None:
        message.timeout.CopyFrom(duration_message(options.timeout_s))
    return message


def completed_message(
    step: StepOperation, output: Payload, latency_ms: float
) -> pb.StepCompletedRequest:
    return pb.StepCompletedRequest(
        run_id=step.run.run_id,
        fence=step.run.fence,
        step_key=step.key,
        attempt=step.attempt,
        output=output,
        name=step.name,
        kind=step.kind,
        input_digest=step.input_digest,
        definition_digest=step.definition_digest,
        latency_ms=latency_ms,
        deltas=step.deltas,
        input=step.call.input,
    )


def failed_message(
    step: StepOperation, failure: Failure, latency_ms: float
) -> pb.StepFailedRequest:
    return pb.StepFailedRequest(
        run_id=step.run.run_id,
        fence=step.run.fence,
        step_key=step.key,
        attempt=step.attempt,
        failure=failure,
        name=step.name,
        kind=step.kind,
        input_digest=step.input_digest,
        definition_digest=step.definition_digest,
        latency_ms=latency_ms,
        deltas=step.deltas,
        input=step.call.input,
        retry_policy=step.call.options.retry,
    )


def _describe(side: pb.StepStartedResponse.Side) -> str:
    return f"{side.name or 'nothing'} with input {side.input_digest[:12] or 'none'}"


def conflict_of(
    step: StepOperation, conflict: pb.StepStartedResponse.Conflict
) -> NonDeterminismError:
    return NonDeterminismError(
        step_key=step.key,
        recorded=_describe(conflict.recorded),
        attempted=_describe(conflict.attempted) if conflict.attempted.name else step.name,
        likely_cause="the step's arguments or definition are not those of the recorded one",
    )


def retry_delay(retry: pb.StepFailedResponse.Retry, now: float) -> float:
    if retry.HasField("delay"):
        return message_seconds(retry.delay)
    return max(0.0, message_seconds(retry.at) - now) if retry.HasField("at") else 0.0


def stopped_message(step: StepOperation, latency_ms: float) -> Callable[[], pb.StepFailedRequest]:
    """Says that the attempt which is in flight now was stopped, once it is sent."""
    run, attempt = step.run, step.attempt

    def message() -> pb.StepFailedRequest:
        return pb.StepFailedRequest(
            run_id=run.run_id,
            fence=run.fence,
            step_key=step.key,
            attempt=attempt,
            cancelled=True,
            name=step.name,
            kind=step.kind,
            latency_ms=latency_ms,
            deltas=step.deltas,
        )

    return message
