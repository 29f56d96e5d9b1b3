# Section D of docs/replay-machine.md.
"""Live output on its way out: gathered for a moment, bounded, dropped when it does not fit.

Every event of a run gets a number, also one that is dropped: so that watchers are told of what is
missing, and sending again after a reconnection shows nothing twice. What was sent counts against the
bound until the server has it on record.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .._lib import limits
from ..v1.event_pb2 import NewEvent, PublishEventsRequest

logger = logging.getLogger("pawl")


@dataclass(slots=True)
class Batch:
    request: PublishEventsRequest
    size: int = 0

    @property
    def next(self) -> int:
        """The number of the event that would follow."""
        return self.request.first + len(self.request.events)


@dataclass(slots=True)
class _Stream:
    """What a run has sent under its fence."""

    fence: int
    next: int = 1
    #: To be sent, in order.
    waiting: list[Batch] = field(default_factory=list)
    #: Sent, and not yet on record.
    sent: dict[asyncio.Future[None], Batch] = field(default_factory=dict)


#: Answers False while nothing can be sent. `must`: what follows is about these events, so that they
#: take their place before it now. `done`: they are on record, or were given up.
Send = Callable[[Batch, bool, "asyncio.Future[None]"], bool]


class Deltas:
    def __init__(self, send: Send) -> None:
        self._send = send
        self._streams: dict[str, _Stream] = {}
        self._bytes = 0
        self._waiting_bytes = 0
        self._dropped = 0
        self._flushed_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, run_id: str, fence: int, event: NewEvent, size: int) -> int:
        """Returns the event's number."""
        stream = self._stream(run_id, fence)
        number = stream.next
        stream.next += 1
        if self._bytes + size > limits.DELTA_BUFFER_BYTES_MAX:
            self._dropped += 1
            self._schedule()
            return number
        batch = stream.waiting[-1] if stream.waiting else None
        if (
            batch is None
            or batch.next != number
            or len(batch.request.events) >= limits.DELTA_BATCH_EVENTS_MAX
            or batch.size + size > limits.DELTA_BATCH_BYTES_MAX
        ):
            batch = Batch(PublishEventsRequest(run_id=run_id, fence=fence, first=number))
            stream.waiting.append(batch)
        batch.request.events.append(event)
        batch.size += size
        self._bytes += size
        self._waiting_bytes += size
        if self._waiting_bytes >= limits.DELTA_FLUSH_BYTES:
            self.flush()
        self._schedule()
        return number

    def _stream(self, run_id: str, fence: int) -> _Stream:
        stream = self._streams.get(run_id)
        if stream is None:
            stream = self._streams[run_id] = _Stream(fence)
        elif stream.fence != fence:
            # What was to be sent under the old fence is void.
            self._drop_waiting(stream)
            stream.fence = fence
            stream.next = 1
        return stream

    def _drop_waiting(self, stream: _Stream) -> None:
        for batch in stream.waiting:
            self._bytes -= batch.size
            self._waiting_bytes -= batch.size
        stream.waiting.clear()

    def _schedule(self) -> None:
        """At once after a quiet while, and otherwise not more often than that."""
        if self._timer is None:
            delay = self._flushed_at + limits.DELTA_FLUSH_S - time.monotonic()
            self._timer = asyncio.get_running_loop().call_later(max(0.0, delay), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.flush()
        if self._waiting_bytes > 0:
            self._schedule()

    def flush(self, run_id: str | None = None) -> None:
        """Sends what has gathered, of all runs or of one: that has to leave before what the run reports
        next.
        """
        if run_id is None:
            streams = list(self._streams.values())
        else:
            stream = self._streams.get(run_id)
            if stream is None or not stream.waiting:
                return
            streams = [stream]
        self._flushed_at = time.monotonic()
        for stream in streams:
            self._send_all(stream, run_id is not None)
        if self._dropped > 0:
            logger.warning(
                "%d events of live output were dropped: the server does not keep up", self._dropped
            )
            self._dropped = 0

    def _send_all(self, stream: _Stream, must: bool) -> None:
        while stream.waiting:
            batch = stream.waiting[0]
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            if not self._send(batch, must, done):
                return
            del stream.waiting[0]
            self._waiting_bytes -= batch.size
            stream.sent[done] = batch
            done.add_done_callback(lambda done: self._on_done(stream, done))

    def _on_done(self, stream: _Stream, done: asyncio.Future[None]) -> None:
        batch = stream.sent.pop(done, None)
        if batch is not None:
            self._bytes -= batch.size

    async def settled(self, run_id: str) -> None:
        """Sends what a run has said; returns once that is on record, or was given up.

        What it says from now on does not count: a step that streams concurrently would never let the
        caller go.
        """
        stream = self._streams.get(run_id)
        if stream is None:
            return
        fence, next = stream.fence, stream.next
        while True:
            self.flush(run_id)
            if self._streams.get(run_id) is not stream or stream.fence != fence:
                return
            said = [done for done, batch in stream.sent.items() if batch.request.first < next]
            if not said:
                return
            await asyncio.wait(said)

    def forget(self, run_id: str) -> None:
        """The run has left this worker."""
        stream = self._streams.pop(run_id, None)
        if stream is not None:
            self._drop_waiting(stream)
            self._bytes -= sum(batch.size for batch in stream.sent.values())
            stream.sent.clear()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for run_id in list(self._streams):
            self.forget(run_id)
