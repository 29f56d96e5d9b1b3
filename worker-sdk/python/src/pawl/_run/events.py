"""Events of live output."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .._codec.payload import encode
from ..v1.event_pb2 import NewEvent

if TYPE_CHECKING:
    from .body import StepBody
    from .run import Run

# What an event has besides its payload, about, in bytes.
_ENVELOPE = 100


def new_event(type: str, value: Any, body: StepBody | None) -> tuple[NewEvent, int]:
    """An event, and about how large it is; `body`: the attempt of the step that sends it."""
    encoded = encode(value, f'an event "{type}"')
    event = NewEvent(type=type, payload=encoded.payload())
    now = time.time_ns()
    event.source_at.seconds = now // 1_000_000_000
    event.source_at.nanos = now % 1_000_000_000
    if body is not None:
        event.step_key = body.operation.key
        event.attempt = body.attempt
        event.sequence = body.sequence
    return event, len(encoded.data) + _ENVELOPE


def publish(run: Run, type: str, value: Any, body: StepBody | None) -> None:
    """Sends live output; `body` is the attempt of the step that it belongs to, if any."""
    if run.left:
        return
    # Counted from the beginning of the code, so that the server knows what it says a second time.
    if body is None:
        run.said += 1
    # At the level of the workflow a replay would send it again; what comes after the last record is new.
    deliveries = run.deliveries
    if body is None and deliveries.replaying and deliveries.last_seq < run.memo.last_record_seq:
        return
    if body is not None:
        body.sequence += 1
    event, size = new_event(type, value, body)
    if body is None:
        event.sequence = run.said
    number = run.link.publish(run.run_id, run.fence, event, size)
    if body is not None:
        body.operation.deltas = number
