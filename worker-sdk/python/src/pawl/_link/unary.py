"""The platform by plain calls: for workers that poll, and programs that execute their own run."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from typing import Any

from google.protobuf.message import Message

from .._lib import limits
from .._lib.backoff import GrowingPause
from .._run.link import HeldRun, OnAnswer, RequestName, StartNote
from ..errors import RequestError
from .calls import CallLink
from .deltas import Batch
from .methods import BY_FRAME, PUBLISH_EVENTS
from .order import AnswerOrder
from .platform import Platform
from .status import is_transient

logger = logging.getLogger("pawl")


class UnaryLink(CallLink):
    confirm_starts = True
    pushes_waits = False

    def __init__(
        self,
        platform: Platform,
        *,
        suspends: bool,
        on_released: Callable[[HeldRun], None],
        on_attention: Callable[[], Awaitable[bool]],
    ) -> None:
        super().__init__(platform)
        self.suspends = suspends
        self._on_released = on_released
        self._on_attention = on_attention
        self._orders: dict[str, AnswerOrder] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        # Per run, the last request that closes waits and is out.
        self._closing: dict[str, asyncio.Future[None]] = {}
        # The live output of each run that is on its way.
        self._publishing: dict[str, Batch] = {}

    def can_start(self) -> bool:
        """A start is confirmed by the server before its step runs, so it may be asked for always."""
        return True

    def note_start(self, run_id: str, note: StartNote) -> None:
        """The start has been confirmed already."""

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def request(
        self, run_id: str, name: RequestName, message: Message, on_answer: OnAnswer
    ) -> None:
        self._spawn(self._request(run_id, name, message, on_answer))

    async def _request(
        self, run_id: str, name: RequestName, message: Message, on_answer: OnAnswer
    ) -> None:
        # Separate calls may overtake one another, too: what the run has said goes first.
        await self._deltas.settled(run_id)
        before = self._closing.get(run_id)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if name == "close_waits":
            self._closing[run_id] = done
        if before is not None:
            # What they give back is for what is asked for next.
            await before
        order = self._orders.setdefault(run_id, AnswerOrder())
        if name in ("step_completed", "step_failed"):
            order.sent(done)
        answer: Message | RequestError
        try:
            answer = await self._platform.call(BY_FRAME[name], message)
        except RequestError as error:
            answer = error
        except Exception as error:
            # The sender waits for a reply.
            answer = RequestError("INVALID_ARGUMENT", str(error), code=3)
        done.set_result(None)
        if self._closing.get(run_id) is done:
            del self._closing[run_id]
        order.answered(done, answer, lambda: on_answer(answer))

    def _send_events(self, batch: Batch, must: bool, done: asyncio.Future[None]) -> bool:
        """One call after the other for each run; numbers make it safe to send the same again."""
        run_id = batch.request.run_id
        if run_id in self._publishing:
            return False
        self._publishing[run_id] = batch
        self._spawn(self._publish(batch, done))
        return True

    def _is_publishing(self, batch: Batch) -> bool:
        return self._publishing.get(batch.request.run_id) is batch

    async def _publish(self, batch: Batch, done: asyncio.Future[None]) -> None:
        """Lasts through an outage, within the bound of what is kept, as long as the run is here."""
        pause = GrowingPause(0.05, 1.0)
        began = time.monotonic()
        tries = 0
        try:
            while True:
                try:
                    await self._platform.send_stream(PUBLISH_EVENTS, [batch.request], timeout_s=5)
                    return
                except RequestError as error:
                    tries += self._platform.has_answered_since(began)
                    again = is_transient(error) or error.reason == "DEADLINE_EXCEEDED"
                    if not again or tries == limits.DELTA_TRIES or not self._is_publishing(batch):
                        logger.debug("live output was given up: %s", error)
                        return
                await asyncio.sleep(pause.next())
        finally:
            if self._is_publishing(batch):
                del self._publishing[batch.request.run_id]
            if not done.done():
                done.set_result(None)

    async def attention(self, run_id: str) -> bool:
        return await self._on_attention()

    def released(self, run: HeldRun) -> None:
        self._orders.pop(run.run_id, None)
        self._publishing.pop(run.run_id, None)
        self._deltas.forget(run.run_id)
        self._on_released(run)

    def close(self) -> None:
        self._deltas.flush()
        self._deltas.close()
        self._publishing.clear()
