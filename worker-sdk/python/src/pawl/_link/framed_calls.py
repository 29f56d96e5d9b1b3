"""The calls of a client as frames of one stream, `RunService.Attach`: many of them share a message, which
costs far more than a frame. The caller does not notice.

    closed ─▶ open ─▶ closed …      from the first call until nothing is under way for a moment, or until
       └────────┴───▶ refused       the stream is lost; refused: all calls are unary from then on

If the stream is lost, its calls fail as if each had lost a connection of its own. Their callers send
them again, with the same run ids and signal ids, on a new stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

import grpc
from google.protobuf.message import Message

from .._lib import limits
from ..duration import duration_message
from ..errors import RequestError
from ..v1 import run_pb2 as pb
from .methods import ATTACH_CLIENT, CANCEL_RUN, GET_RUN, SEND_SIGNAL, START_RUN, WAIT_RUN, Method
from .platform import Platform
from .status import closed_error, error_from_call, error_from_frame, is_transient

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)

# How long a stream without calls stays open, and how long the server may take to end it in order.
_IDLE_S: Final = 0.05
_CLOSE_S: Final = 1.0
_FRAMES: Final = {
    START_RUN.path: "start_run",
    WAIT_RUN.path: "wait_run",
    GET_RUN.path: "get_run",
    CANCEL_RUN.path: "cancel_run",
    SEND_SIGNAL.path: "send_signal",
}


class _StreamRefusedError(Exception):
    """The other end does not take the stream; the same call must be made as a unary one."""


class FramedPlatform(Platform):
    """A client's connection to a server."""

    def __init__(self, url: str | None, retry_for_s: float) -> None:
        super().__init__(url, retry_for_s)
        self._stream: _CallStream | None = None
        self._refused = False

    async def start_and_wait(
        self, start: pb.StartRunRequest, timeout_s: float
    ) -> pb.StartRunResponse:
        """Starts a run and waits for its end, at most this long; the response has the run as it is then.
        Without the stream it only starts the run.
        """
        body = pb.StartAndWait(start=start, timeout=duration_message(timeout_s))

        async def send() -> pb.StartRunResponse:
            self._check_open()
            response = await self._ask("start_and_wait", body, pb.StartRunResponse)
            return await self.once(START_RUN, start) if response is None else response

        return await self.retrying(send)

    async def _send(self, method: Method[Q, R], request: Q, timeout_s: float | None) -> R:
        name = _FRAMES.get(method.path) if timeout_s is None else None
        if name is not None:
            response = await self._ask(name, request, method.response)
            if response is not None:
                return response
        return await super()._send(method, request, timeout_s)

    async def _ask(self, name: str, body: Message, wanted: type[R]) -> R | None:
        """None where the stream is not taken: the call must be made as a unary one."""
        if self._refused:
            return None
        await self.connect()
        if self._stream is None:
            self._stream = _CallStream(self, self._stream_ended)
        try:
            response = await self._stream.ask(name, body)
        except _StreamRefusedError:
            return None
        if isinstance(response, wanted):
            return response
        raise RequestError(
            "INTERNAL",
            f"the server replied with a {response.DESCRIPTOR.full_name}, which does not belong to the call",
            code=13,
        )

    def _stream_ended(self, stream: _CallStream, refused: bool) -> None:
        if self._stream is stream:
            self._stream = None
        self._refused = self._refused or refused

    async def close(self) -> None:
        if self._is_at_home() and self._stream is not None:
            await self._stream.close()
        await super().close()


class _CallStream:
    """One stream, from its first frame until it ends."""

    def __init__(self, platform: Platform, on_end: Callable[[_CallStream, bool], None]) -> None:
        """`on_end`: no call may be made on it any more; with True if the other end does not take it."""
        self._loop = asyncio.get_running_loop()
        self._on_end = on_end
        self._pending: dict[int, asyncio.Future[Message]] = {}
        self._outgoing: list[pb.ClientFrame] = []
        self._last_id = 0
        self._has_work = asyncio.Event()
        self._idling: asyncio.TimerHandle | None = None
        self._ended = False
        # The other side has replied to something.
        self._was_taken = False
        open_stream: Any = platform.channel.stream_stream(
            ATTACH_CLIENT.path,
            request_serializer=ATTACH_CLIENT.request.SerializeToString,
            response_deserializer=ATTACH_CLIENT.response.FromString,
        )
        self._call: Any = open_stream(metadata=platform.metadata)
        self._writer = self._loop.create_task(self._write())
        self._reader = self._loop.create_task(self._read())

    async def ask(self, name: str, body: Message) -> Message:
        if self._idling is not None:
            self._idling.cancel()
        self._last_id += 1
        id = self._last_id
        frame = pb.ClientFrame(id=id)
        getattr(frame, name).CopyFrom(body)
        reply: asyncio.Future[Message] = self._loop.create_future()
        self._pending[id] = reply
        self._push(frame)
        try:
            return await reply
        except asyncio.CancelledError:
            if self._pending.pop(id, None) is not None:
                self._push(pb.ClientFrame(forget=pb.Forget(id=id)))
            raise
        finally:
            self._rest()

    def _push(self, frame: pb.ClientFrame) -> None:
        if not self._ended:
            self._outgoing.append(frame)
            self._has_work.set()

    def _rest(self) -> None:
        if self._pending or self._ended:
            return
        if self._idling is not None:
            self._idling.cancel()
        self._idling = self._loop.call_later(_IDLE_S, self._end_if_idle)

    def _end_if_idle(self) -> None:
        if self._pending or self._ended:
            return
        self._ended = True
        self._has_work.set()
        self._on_end(self, False)

    async def _write(self) -> None:
        """What comes up while a message is being written leaves together in the next one."""
        try:
            while True:
                await self._has_work.wait()
                self._has_work.clear()
                frames, self._outgoing = self._outgoing, []
                for message in _messages(frames):
                    await self._call.write(message)
                if self._ended and not self._outgoing:
                    await self._call.done_writing()
                    self._loop.call_later(_CLOSE_S, self._call.cancel)
                    return
        except (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError):
            # The reader sees the end of the stream, too.
            return

    async def _read(self) -> None:
        error: Exception = RequestError("UNAVAILABLE", "the server closed the stream", code=14)
        try:
            while (message := await self._call.read()) is not grpc.aio.EOF:
                self._was_taken = True
                for reply in message.replies:
                    self._settle(reply)
        except grpc.aio.AioRpcError as failure:
            error = _loss_of(error_from_call(failure))
        except (asyncio.CancelledError, grpc.aio.UsageError, asyncio.InvalidStateError):
            error = closed_error()
        finally:
            self._writer.cancel()
            self._lost(error)

    def _settle(self, reply: pb.ClientReply) -> None:
        pending = self._pending.pop(reply.id, None)
        name = reply.WhichOneof("result")
        if pending is None or pending.done() or name is None:
            return
        if name == "error":
            pending.set_exception(error_from_frame(reply.error))
        else:
            pending.set_result(getattr(reply, name))

    def _lost(self, error: Exception) -> None:
        if not self._ended:
            self._ended = True
            self._on_end(self, isinstance(error, _StreamRefusedError) and not self._was_taken)
        pending, self._pending = self._pending, {}
        for reply in pending.values():
            if not reply.done():
                reply.set_exception(error)

    async def close(self) -> None:
        self._reader.cancel()
        await asyncio.wait([self._reader])
        self._call.cancel()


def _messages(frames: list[pb.ClientFrame]) -> list[pb.RunServiceAttachRequest]:
    """As few messages as the limits allow."""
    messages: list[pb.RunServiceAttachRequest] = []
    size = 0
    for frame in frames:
        bytes_ = frame.ByteSize()
        is_full = size + bytes_ > limits.SESSION_MESSAGE_BYTES_MAX
        if not messages or is_full or len(messages[-1].frames) >= limits.FRAMES_PER_MESSAGE_MAX:
            messages.append(pb.RunServiceAttachRequest())
            size = 0
        messages[-1].frames.append(frame)
        size += bytes_
    return messages


def _loss_of(error: RequestError) -> Exception:
    """What the end of a stream means for the calls on it."""
    if is_transient(error):
        return error
    if error.reason in ("SLOW_CONSUMER", "CANCELLED"):
        return RequestError("UNAVAILABLE", str(error), code=14)
    return _StreamRefusedError()
