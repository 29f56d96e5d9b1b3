"""Live output on its way out: gathered for a moment, bounded, dropped when it does not fit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from .._lib import limits
from ..v1.event_pb2 import NewEvent, PublishEventsRequest

logger = logging.getLogger("pawl")


class Deltas:
    def __init__(self, send: Callable[[PublishEventsRequest], bool]) -> None:
        """`send` answers False while nothing can be sent."""
        self._send = send
        self._batches: dict[str, tuple[PublishEventsRequest, int]] = {}
        self._bytes = 0
        self._dropped = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, run_id: str, fence: int, event: NewEvent, size: int) -> None:
        if self._bytes + size > limits.DELTA_BUFFER_BYTES_MAX:
            self._dropped += 1
            return
        batch, bytes_ = self._batches.get(run_id, (None, 0))
        if batch is None or batch.fence != fence:
            self._bytes -= bytes_
            batch, bytes_ = PublishEventsRequest(run_id=run_id, fence=fence), 0
        batch.events.append(event)
        self._batches[run_id] = (batch, bytes_ + size)
        self._bytes += size
        if self._bytes >= limits.DELTA_FLUSH_BYTES:
            self.flush()
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(limits.DELTA_FLUSH_S, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.flush()

    def flush(self, run_id: str | None = None) -> None:
        """Sends what has gathered; a run's last words have to leave before its outcome."""
        for name in [run_id] if run_id is not None else list(self._batches):
            batch = self._batches.get(name)
            if batch is None:
                continue
            if not self._send(batch[0]):
                return
            del self._batches[name]
            self._bytes -= batch[1]
        if self._dropped > 0:
            logger.warning(
                "%d events of live output were dropped: the server does not keep up", self._dropped
            )
            self._dropped = 0

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._batches.clear()
        self._bytes = 0
