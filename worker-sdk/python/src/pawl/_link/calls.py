"""What every link does by plain calls, and how it gathers live output."""

from __future__ import annotations

import asyncio

from ..v1.common_pb2 import Payload, PayloadRef
from ..v1.event_pb2 import NewEvent
from ..v1.run_pb2 import StartRunRequest, StartRunResponse
from ..v1.signal_pb2 import CancelWaitRequest
from .deltas import Batch, Deltas
from .methods import CANCEL_WAIT, START_RUN
from .platform import Platform


class CallLink:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._deltas = Deltas(self._send_events)

    def _send_events(self, batch: Batch, must: bool, done: asyncio.Future[None]) -> bool:
        """Sends live output, see `deltas.Send`."""
        raise NotImplementedError

    def flush(self, run_id: str) -> None:
        self._deltas.flush(run_id)

    def publish(self, run_id: str, fence: int, event: NewEvent, size: int) -> int:
        return self._deltas.add(run_id, fence, event, size)

    async def start_run(self, request: StartRunRequest) -> StartRunResponse:
        return await self._platform.call(START_RUN, request)

    async def cancel_wait(self, request: CancelWaitRequest) -> None:
        await self._platform.call(CANCEL_WAIT, request)

    async def download(self, payload: Payload) -> Payload:
        return await self._platform.download(payload)

    async def upload(self, data: bytes) -> PayloadRef:
        return await self._platform.upload(data)
