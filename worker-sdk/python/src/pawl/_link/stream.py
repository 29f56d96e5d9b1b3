"""The stream of a session: connected anew after each end, until it is closed or refused.

    idle ─▶ connecting ─▶ open ─▶ connecting …
                  └──────────┴─▶ closed

Hello is the first message of every stream, and nothing else leaves before Welcome has arrived.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Any, Literal

import grpc

from .._lib import limits
from .._lib.backoff import GrowingPause
from .._run.link import StartNote
from ..errors import RequestError
from ..v1 import worker_pb2 as pb
from .methods import ATTACH
from .outbox import Outbox
from .platform import Platform
from .status import error_from_call, is_cut

logger = logging.getLogger("pawl")

_REFUSALS = {
    "VERSION_UNSUPPORTED",
    "INVALID_ARGUMENT",
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "UNIMPLEMENTED",
}
# How long a server may take to say its first word, and to end a stream in order.
_GREETING_S = 5.0
_CLOSE_S = 1.0
# How long frames wait for others: a message costs far more than a frame.
_COMPANY_S = 0.002


class Stream:
    def __init__(
        self,
        platform: Platform,
        hello: Callable[[], bytes],
        receive: Callable[[pb.WorkerServiceAttachResponse], None],
        on_end: Callable[[], None],
        on_cut: Callable[[RequestError], None],
    ) -> None:
        """`hello`: the first message; `on_end`: the connection is lost, and another one follows;
        `on_cut`: for something that was in it.
        """
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._platform = platform
        self._hello = hello
        self._receive = receive
        self._on_end = on_end
        self._on_cut = on_cut
        self._state: Literal["idle", "connecting", "open", "closed"] = "idle"
        self._outbox = Outbox()
        self._wake_writer = asyncio.Event()
        # Whom to tell when what is in the outbox has left.
        self._leaving: list[asyncio.Future[None]] = []
        # Frames wait for others: what is to leave first, until any is pushed; all, until `hurry`.
        self._riding: asyncio.TimerHandle | None = None
        self._lingering: asyncio.TimerHandle | None = None
        self._closing = False
        self._complained = False
        self._writing = False
        self._note_timer: asyncio.TimerHandle | None = None
        self._pause = GrowingPause(0.05, 1.0)
        self._call: Any = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        return self._state == "open"

    @property
    def is_writing(self) -> bool:
        """A message is on its way; what comes up now leaves with the next one."""
        return self._writing

    def start(self) -> asyncio.Task[None]:
        """Connects, and reconnects when needed. The task ends when closed; raises RequestError if refused."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._keep_up())
        return self._task

    async def _keep_up(self) -> None:
        self._state = "connecting"
        try:
            while not self._closing:
                error = await self._connect_once()
                if self._is_closing():
                    return
                if error is not None and is_cut(error):
                    self._on_cut(error)
                if error is not None and error.reason in _REFUSALS:
                    if not self.opened.done():
                        self.opened.set_exception(error)
                        self.opened.exception()
                    raise error
                if not self._complained:
                    self._complained = True
                    logger.warning(
                        "there is no connection to the server at %s; retrying: %s",
                        self._platform.url,
                        error or "the server closed the stream",
                    )
                await asyncio.sleep(self._pause.next())
        finally:
            self._state = "closed"

    def _is_closing(self) -> bool:
        """Asked for anew, since it changes while others run."""
        return self._closing

    async def _connect_once(self) -> RequestError | None:
        """One stream, from its start to its end."""
        loop = asyncio.get_running_loop()
        try:
            await self._platform.connect()
        except RequestError as error:
            return error
        # Frames are encoded when they come up, so that messages are only joined here.
        open_stream: Any = self._platform.channel.stream_stream(
            ATTACH.path, response_deserializer=pb.WorkerServiceAttachResponse.FromString
        )
        call: Any = open_stream(metadata=self._platform.metadata)
        self._call = call
        greeting = loop.call_later(_GREETING_S, call.cancel)
        writer: asyncio.Task[None] | None = None
        try:
            self._outbox.clear()
            await call.write(self._hello())
            writer = loop.create_task(self._write(call))
            while True:
                message = await call.read()
                if message is grpc.aio.EOF:
                    return None
                greeting.cancel()
                self._receive(message)
        except grpc.aio.AioRpcError as error:
            return error_from_call(error)
        except Exception as error:
            if not isinstance(error, asyncio.InvalidStateError | grpc.aio.UsageError):
                logger.exception("the stream to the server failed")
            return RequestError("UNAVAILABLE", f"the stream ended: {error}", code=14)
        except asyncio.CancelledError:
            # The call was cancelled, by the greeting's timer for example, not this task.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return RequestError("UNAVAILABLE", "the stream was cancelled", code=14)
        finally:
            greeting.cancel()
            if writer is not None:
                writer.cancel()
            call.cancel()
            self._disconnected()

    async def _write(self, call: Any) -> None:
        """The one who writes: a message is on its way, the next one gathers meanwhile."""
        try:
            while True:
                await self._wake_writer.wait()
                self._wake_writer.clear()
                self._writing = True
                leaving, self._leaving = self._leaving, []
                try:
                    for message in self._outbox.take():
                        await call.write(message)
                finally:
                    self._writing = False
                    for left in leaving:
                        left.set_result(None)
                self._schedule_notes()
        except (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError):
            # The reader sees the end of the stream, too, and connects again.
            return
        except Exception:
            logger.exception("nothing can be written to the server; connecting again")
            call.cancel()

    def _disconnected(self) -> None:
        self._call = None
        self._outbox.clear()
        self.hurry()
        self._have_left()
        self._writing = False
        if self._state == "open":
            self._state = "connecting"
        self._on_end()

    def push(self, frame: bytes | StartNote) -> None:
        if self._state == "open":
            self._outbox.push(frame)
            if self._lingering is None:
                self._wake_writer.set()

    def push_first(self, frame: bytes) -> asyncio.Future[None]:
        """A frame that leaves with others, or after `send_first`; the future is done once it has left
        this process, or never will.
        """
        left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._state == "open":
            self._outbox.push(frame)
        self._leaving.append(left)
        if self._state != "open":
            self._have_left()
        return left

    def send_first(self, has_company: bool) -> None:
        """Sends those frames; `has_company`: with others that are about to be pushed, or in a moment."""
        if not self._leaving:
            return
        if not has_company:
            self._wake_writer.set()
        elif self._riding is None:
            self._riding = asyncio.get_running_loop().call_later(_COMPANY_S, self._ride)

    def _ride(self) -> None:
        self._riding = None
        self._wake_writer.set()

    def linger(self) -> None:
        """What is pushed from now on leaves after `hurry`, or in a moment."""
        if self._lingering is None:
            self._lingering = asyncio.get_running_loop().call_later(_COMPANY_S, self.hurry)

    def hurry(self) -> None:
        """Nothing waits for others any more."""
        if self._lingering is None:
            return
        self._lingering.cancel()
        self._lingering = None
        if not self._outbox.is_empty:
            self._wake_writer.set()

    def _have_left(self) -> None:
        leaving, self._leaving = self._leaving, []
        for left in leaving:
            if not left.done():
                left.set_result(None)

    def note_start(self, note: StartNote) -> None:
        if self._state != "open":
            return
        self._outbox.push(note)
        self._schedule_notes()

    def _schedule_notes(self) -> None:
        """Not at once: a step that ends meanwhile has nothing to announce."""
        if self._note_timer is None and not self._outbox.is_empty:
            loop = asyncio.get_running_loop()
            self._note_timer = loop.call_later(limits.START_NOTE_S, self._on_note_timer)

    def _on_note_timer(self) -> None:
        self._note_timer = None
        self._wake_writer.set()

    def welcomed(self) -> None:
        """The server has said Welcome: frames may leave."""
        self._state = "open"
        self._complained = False
        self._pause.reset()

    def ready(self) -> None:
        """All that was to be said first is said."""
        if not self.opened.done():
            self.opened.set_result(None)

    def cancel(self) -> None:
        """Gives the connection up; a new one follows."""
        if self._call is not None:
            self._call.cancel()

    def drained(self) -> None:
        """The server is going away: another one, or its successor, takes over."""
        asyncio.get_running_loop().create_task(self._move_on(self._call))

    async def _move_on(self, call: Any) -> None:
        """Ends the stream in order, after a random moment; a new one follows."""
        await asyncio.sleep(random.random() * 0.25)
        await self._end(call)

    async def _end(self, call: Any) -> None:
        if call is None or call is not self._call:
            return
        try:
            await call.done_writing()
        except (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError):
            return
        end = time.monotonic() + _CLOSE_S
        while call is self._call and time.monotonic() < end:
            await asyncio.sleep(0.02)
        if call is self._call:
            call.cancel()

    async def close(self) -> None:
        self._closing = True
        self.hurry()
        self.send_first(False)
        # What was said last leaves before the stream ends.
        for _ in range(50):
            if self._call is None or not (self._writing or self._wake_writer.is_set()):
                break
            await asyncio.sleep(0.01)
        await self._end(self._call)
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
