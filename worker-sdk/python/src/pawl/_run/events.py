"""Sending events of live output."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from .._codec.payload import encode
from ..v1 import event_pb2 as pb
from .stream_event import StreamEvent

if TYPE_CHECKING:
    from .body import StepBody
    from .run import Run

# What an event has besides its payload, about, in bytes.
_ENVELOPE: Final = 100
_POLICIES: Final = {
    "ephemeral": pb.DELTA_POLICY_EPHEMERAL,
    "buffered": pb.DELTA_POLICY_BUFFERED,
    "durable": pb.DELTA_POLICY_DURABLE,
}


def publish(run: Run, given: StreamEvent, body: StepBody | None) -> None:
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
    encoded = encode(given.data, f'an event "{given.type}"')
    now = time.time_ns()
    event = pb.NewEvent(
        type=given.type,
        payload=encoded.payload(),
        event_id=given.id,
        parent_event_id=given.parent,
        content_index=given.content_index,
    )
    event.source_at.seconds = now // 1_000_000_000
    event.source_at.nanos = now % 1_000_000_000
    if given.keep is not None:
        event.policy = _POLICIES[given.keep]
    if body is None:
        event.sequence = run.said
    else:
        body.sequence += 1
        event.step_key = body.operation.key
        event.attempt = body.attempt
        event.sequence = body.sequence
    number = run.link.publish(run.run_id, run.fence, event, len(encoded.data) + _ENVELOPE)
    if body is not None:
        body.operation.deltas = number
