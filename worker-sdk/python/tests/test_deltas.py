"""What a run reports next waits for what it has said, and for nothing that is said later."""

from __future__ import annotations

import asyncio

from conftest import PATIENCE_S

from pawl._link.deltas import Batch, Deltas
from pawl.v1.event_pb2 import NewEvent


async def test_a_step_that_goes_on_streaming_holds_nobody_up() -> None:
    sent: list[tuple[Batch, asyncio.Future[None]]] = []

    def send(batch: Batch, must: bool, done: asyncio.Future[None]) -> bool:
        sent.append((batch, done))
        return True

    deltas = Deltas(send)

    def say() -> None:
        deltas.add("run", 1, NewEvent(type="note"), 10)

    say()
    say()
    settled = asyncio.ensure_future(deltas.settled("run"))
    await asyncio.sleep(0)
    say()
    deltas.flush()
    assert [(b.request.first, len(b.request.events)) for b, _ in sent] == [(1, 2), (3, 1)]
    await asyncio.sleep(0)
    assert not settled.done()
    sent[0][1].set_result(None)
    await asyncio.wait_for(settled, PATIENCE_S)
    deltas.close()
