"""Spans of steps by OpenTelemetry, where the program has set that up; nothing of it is loaded otherwise.

A span is ended when the end of its attempt is acknowledged, so that there is one for each recorded
attempt, and none for a replay. Failures are told by their type alone: messages may hold what users sent.
"""

from __future__ import annotations

import re
import sys
import time
from contextvars import Context
from typing import TYPE_CHECKING, Any, Literal

from .._codec.payload import digest_text

if TYPE_CHECKING:
    from .run import Run
    from .step import StepOperation

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SDK = "opentelemetry.sdk.trace"

Outcome = Literal["completed", "failed", "retrying", "cancelled"]


class StepSpan:
    """The span of one attempt; one that never ends is not told."""

    def __init__(self, trace: Any, span: Any) -> None:
        self._trace = trace
        self._span = span
        self._ended_at: int | None = None

    def enter(self, variables: Context) -> None:
        """Makes it the parent of spans that code makes under these context variables."""
        import opentelemetry.context as contexts

        inner = variables.run(lambda: self._trace.set_span_in_context(self._span))
        variables.run(contexts.attach, inner)

    def stop(self) -> None:
        """The body is over; how the attempt ended is said once that is recorded."""
        self._ended_at = time.time_ns()

    def end(self, outcome: Outcome, error_type: str = "") -> None:
        span, trace = self._span, self._trace
        span.set_attribute("pawl.step.outcome", outcome)
        if outcome in ("failed", "retrying"):
            span.set_attribute("error.type", error_type or "Error")
            span.set_status(trace.Status(trace.StatusCode.ERROR, error_type or "Error"))
        span.end(end_time=self._ended_at)


def start_span(step: StepOperation) -> StepSpan | None:
    """The span of the step's next attempt. A program that sends spans has loaded OpenTelemetry's SDK."""
    if _SDK not in sys.modules:
        return None
    import opentelemetry.trace as trace

    run, facts = step.run, step.run.facts
    # Of the step that it was asked for in, or of what user code has made in that.
    around = step.context.run(trace.get_current_span)
    if not around.get_span_context().is_valid:
        around = trace.NonRecordingSpan(_run_context(trace, run))
    attributes: dict[str, Any] = {
        "pawl.run.id": run.run_id,
        "pawl.run.attempt": facts.attempt,
        "pawl.workflow.name": facts.workflow,
        "pawl.workflow.version": facts.version,
        "session.id": facts.session_id,
        "user.id": facts.user_id,
        "pawl.step.key": step.key,
        "pawl.step.name": step.name,
        "pawl.step.attempt": step.attempt,
    }
    span = trace.get_tracer("pawl-sdk").start_span(
        f"step {step.name}",
        context=trace.set_span_in_context(around),
        attributes={name: value for name, value in attributes.items() if value != ""},
    )
    return StepSpan(trace, span)


def _run_context(trace: Any, run: Run) -> Any:
    """The run's span, which the server makes at the run's end: under an id that all derive alike."""
    match = _TRACEPARENT.match(run.facts.traceparent)
    trace_id = match[1] if match else digest_text(f"pawl.trace\n{run.run_id}")[:32]
    flags = int(match[3], 16) if match else 1
    which = f"\n\n{run.memo.retries}" if run.memo.retries else ""
    return trace.SpanContext(
        trace_id=int(trace_id, 16),
        span_id=int(digest_text(f"pawl.span\n{run.run_id}{which}")[:16], 16),
        is_remote=True,
        trace_flags=trace.TraceFlags(flags),
    )
