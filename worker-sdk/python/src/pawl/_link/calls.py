"""What every link does by plain calls, and how it gathers live output."""

from __future__ import annotations

import asyncio
from typing import Any

from .._lib.loop_watch import loop_watch
from .._run.definition import Definition
from ..v1.common_pb2 import JournalEntry, Payload, PayloadRef
from ..v1.event_pb2 import NewEvent
from ..v1.run_pb2 import GetRunRequest, StartRunRequest, StartRunResponse
from .deltas import Batch, Deltas
from .methods import GET_RUN, START_RUN
from .platform import Platform


class CallLink:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._deltas = Deltas(self._send_events)
        self._watch = loop_watch()

    def _send_events(self, batch: Batch, must: bool, done: asyncio.Future[None]) -> bool:
        """Sends live output, see `deltas.Send`."""
        raise NotImplementedError

    def flush(self, run_id: str) -> None:
        self._deltas.flush(run_id)

    def publish(self, run_id: str, fence: int, event: NewEvent, size: int) -> int:
        return self._deltas.add(run_id, fence, event, size)

    async def journal(self, run_id: str, after_seq: int, to_seq: int) -> list[JournalEntry]:
        entries: list[JournalEntry] = []
        async for page in self._platform.journal(run_id, after_seq):
            entries += [entry for entry in page if entry.seq <= to_seq]
            if page[-1].seq >= to_seq:
                break
        return entries

    async def start_run(
        self, request: StartRunRequest, definition: Definition[Any] | None
    ) -> StartRunResponse:
        return await self._platform.call(START_RUN, request)

    def stood_still_since(self, moment: float) -> bool:
        return self._watch.stood_still_since(moment)

    async def current_tags(self, run_id: str) -> dict[str, str]:
        response = await self._platform.call(GET_RUN, GetRunRequest(run_id=run_id))
        return dict(response.run.tags)

    async def download(self, payload: Payload) -> Payload:
        return await self._platform.download(payload)

    async def upload(self, data: bytes) -> PayloadRef:
        return await self._platform.upload(data)
