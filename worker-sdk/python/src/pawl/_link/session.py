"""A worker's side of WorkerService.Session.

    idle ─▶ connecting ─▶ open ─▶ connecting …      until `close`, or a refusal:
                  └──────────┴─▶ closed

S1  Hello is the first message of every stream, and nothing else leaves before Welcome has come.
S2  A request is kept until it is answered, and sent again, with the same content and id, on the next
    stream if its run's lease has survived.
S3  No step starts unless the stream is open and a heartbeat was answered that was sent within the
    lease time.
S4  Credits granted never exceed the free slots.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import grpc
from google.protobuf.message import Message

from .._lib import limits
from .._lib.backoff import GrowingPause
from .._run.link import OnAnswer, RequestName, StartNote
from .._run.run import Run
from ..duration import message_seconds
from ..errors import PawlError
from ..v1 import worker_pb2 as pb
from ..v1.common_pb2 import Payload, PayloadRef
from ..v1.event_pb2 import NewEvent, PublishEventsRequest
from ..v1.run_pb2 import StartRunRequest, StartRunResponse
from ..v1.signal_pb2 import CancelWaitRequest
from .deltas import Deltas
from .methods import CANCEL_WAIT, SESSION, START_RUN
from .outbox import Outbox, encode_frame
from .platform import Platform
from .status import error_from_call, error_from_frame
from .table import RunTable

if TYPE_CHECKING:
    from ..workflow import Workflow

from .lease_clock import LeaseClock

logger = logging.getLogger("pawl")

# Of every heartbeat: an error under it is the oldest one's.
_HEARTBEAT_ID = 0xFFFF_FFFF
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


class Session:
    """The stream, the runs that came by it, and the link through which they speak."""

    confirm_starts = False
    pushes_waits = True
    suspends = True

    def __init__(
        self,
        platform: Platform,
        info: pb.WorkerInfo,
        workflows: Mapping[str, Workflow[..., Any]],
        slots: int,
    ) -> None:
        self.runs = RunTable(self._grant, self._give_back)
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._platform = platform
        self._info = info
        self._workflows = workflows
        self._slots = slots
        self._state: Literal["idle", "connecting", "open", "closed"] = "idle"
        self._outbox = Outbox()
        self._wake_writer = asyncio.Event()
        self._deltas = Deltas(self._send_deltas)
        # Requests that wait for their replies, by frame id: run, frame, and whom to tell.
        self._pending: dict[int, tuple[str, bytes, OnAnswer]] = {}
        self._next_id = 1
        self._credits = 0
        self._draining = False
        self._closing = False
        self._stale = False
        self._complained = False
        self._writing = False
        self._lease_clock = LeaseClock()
        self._heard_at = 0.0
        self._heartbeat: asyncio.TimerHandle | None = None
        self._note_timer: asyncio.TimerHandle | None = None
        self._pause = GrowingPause(0.05, 1.0)
        self._call: Any = None
        self._task: asyncio.Task[None] | None = None

    # ── the stream ──

    def start(self) -> asyncio.Task[None]:
        """Connects, and goes on doing so. The task ends when closed; raises PawlError if refused."""
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
                if error is not None and error.reason in _REFUSALS:
                    if not self.opened.done():
                        self.opened.set_exception(error)
                        self.opened.exception()
                    raise error
                if not self._complained:
                    self._complained = True
                    logger.warning(
                        "there is no connection to the server at %s; trying again until there is: %s",
                        self._platform.url,
                        error or "the server closed the stream",
                    )
                await asyncio.sleep(self._pause.next())
        finally:
            self._state = "closed"

    def _is_closing(self) -> bool:
        """Asked for anew, since it changes while others run."""
        return self._closing

    async def _connect_once(self) -> PawlError | None:
        """One stream, from its start to its end."""
        loop = asyncio.get_running_loop()
        # Frames are encoded when they come up, so that messages are only joined here.
        open_stream: Any = self._platform.channel.stream_stream(
            SESSION.path, response_deserializer=pb.SessionResponse.FromString
        )
        call: Any = open_stream()
        self._call = call
        greeting = loop.call_later(_GREETING_S, call.cancel)
        writer: asyncio.Task[None] | None = None
        try:
            await call.write(self._hello())
            self._lease_clock.restart()
            writer = loop.create_task(self._write(call))
            while True:
                message = await call.read()
                if message is grpc.aio.EOF:
                    return None
                greeting.cancel()
                self._receive(message)
        except grpc.aio.AioRpcError as error:
            return error_from_call(error)
        except (asyncio.InvalidStateError, grpc.aio.UsageError) as error:
            return PawlError("UNAVAILABLE", f"the stream ended: {error}", code=14)
        except asyncio.CancelledError:
            # The call was cancelled, by the greeting's timer for example, not this task.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return PawlError("UNAVAILABLE", "the stream was cancelled", code=14)
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
                for message in self._outbox.take():
                    await call.write(message)
                self._writing = False
                self._schedule_notes()
        except (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError):
            # The reader sees the end of the stream, too, and connects again.
            return

    def _hello(self) -> bytes:
        self._outbox.clear()
        hello = pb.Hello(protocol_version=1, worker=self._info, leases=self.runs.leases())
        return encode_frame(0, "hello", hello)

    def _disconnected(self) -> None:
        self._call = None
        self._outbox.clear()
        self._writing = False
        self._credits = 0
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            self._heartbeat = None
        if self._state == "open":
            self._state = "connecting"

    def _push(self, frame: bytes | StartNote) -> None:
        if self._state == "open":
            self._outbox.push(frame)
            self._wake_writer.set()

    def _tell(self, name: str, body: Message) -> None:
        self._push(encode_frame(0, name, body))

    # ── what runs ask for ──

    def can_start(self) -> bool:
        """S3."""
        if self._state == "open" and self._lease_clock.holds:
            return True
        self._stale = True
        return False

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

    def request(
        self, run_id: str, name: RequestName, message: Message, on_answer: OnAnswer
    ) -> None:
        if name in ("complete_run", "fail_run"):
            self._deltas.flush(run_id)
        id = self._next_id
        self._next_id = 1 if id == _HEARTBEAT_ID - 1 else id + 1
        frame = encode_frame(id, name, message)
        self._pending[id] = (run_id, frame, on_answer)
        self._push(frame)
        if name in ("complete_run", "fail_run"):
            self.runs.ending(run_id)

    def flush(self, run_id: str) -> None:
        self._deltas.flush(run_id)

    def publish(self, run_id: str, fence: int, event: NewEvent, size: int) -> None:
        self._deltas.add(run_id, fence, event, size)

    def _send_deltas(self, request: PublishEventsRequest) -> bool:
        if self._state != "open" or (
            self._writing and request.ByteSize() > limits.DELTA_FLUSH_BYTES
        ):
            return False
        self._tell("publish_events", request)
        return True

    async def start_run(self, request: StartRunRequest) -> StartRunResponse:
        return await self._platform.call(START_RUN, request)

    async def cancel_wait(self, request: CancelWaitRequest) -> None:
        await self._platform.call(CANCEL_WAIT, request)

    async def download(self, payload: Payload) -> Payload:
        return await self._platform.download(payload)

    async def upload(self, data: bytes) -> PayloadRef:
        return await self._platform.upload(data)

    async def attention(self, run_id: str) -> bool:
        # The session is told of cancellations without asking; a heartbeat asks all the same.
        self._beat()
        return True

    def released(self, run: Run) -> None:
        for id in [id for id, pending in self._pending.items() if pending[0] == run.run_id]:
            del self._pending[id]
        self.runs.released(run)

    # ── what the server says ──

    def _receive(self, message: pb.SessionResponse) -> None:
        self._heard_at = time.monotonic()
        for frame in message.frames:
            name = frame.WhichOneof("body")
            if name == "reply":
                self._on_reply(frame.reply)
            elif name is not None:
                self._handle(name, frame)
        if self._stale and self._state == "open" and self._lease_clock.holds:
            self._stale = False
            self.runs.wake_all()

    def _on_reply(self, reply: pb.Reply) -> None:
        result = reply.WhichOneof("result")
        if reply.id == _HEARTBEAT_ID:
            self._lease_clock.refused()
        pending = self._pending.pop(reply.id, None)
        if pending is None:
            if result == "error":
                logger.debug(
                    "the server refused a frame: %s %s", reply.error.reason, reply.error.message
                )
        elif result == "error":
            pending[2](error_from_frame(reply.error))
        elif result is not None:
            pending[2](getattr(reply, result))

    def _handle(self, name: str, frame: pb.ServerFrame) -> None:
        match name:
            case "dispatch":
                self._dispatch(frame.dispatch.item)
            case "wait_resolved":
                self.runs.wait_resolved(frame.wait_resolved.run_id, frame.wait_resolved.entry)
            case "cancel":
                self.runs.cancel(frame.cancel.run_id, frame.cancel.fence, frame.cancel.reason)
            case "pause":
                self.runs.pause(frame.pause.run_id)
            case "lease_results":
                # News that nobody asked for say nothing of the heartbeats that are under way.
                if not frame.lease_results.notice:
                    self._lease_clock.answered()
                for result in frame.lease_results.results:
                    self.runs.lease_result(result)
            case "welcome":
                self._welcome(frame.welcome)
            case "drain":
                # It is going away: another one, or its successor, takes over.
                asyncio.get_running_loop().create_task(self._move_on(self._call))
            case "ping":
                self._tell("pong", pb.Pong(nonce=frame.ping.nonce))

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

    def _welcome(self, welcome: pb.Welcome) -> None:
        self._state = "open"
        self._complained = False
        self._pause.reset()
        if welcome.HasField("lease_time"):
            self._lease_clock.lease_s = message_seconds(welcome.lease_time)
        self._lease_clock.answered()
        interval = 5.0
        if welcome.HasField("heartbeat_interval"):
            interval = message_seconds(welcome.heartbeat_interval)
        self._schedule_beat(interval)
        survived = {lease.run_id for lease in welcome.leases}
        for lease in self.runs.leases():
            if lease.run_id not in survived:
                self.runs.drop(lease.run_id, "the lease did not survive the reconnection")
        # S2, before anything new.
        for _, frame, _ in self._pending.values():
            self._push(frame)
        if self._draining:
            self._tell("draining", pb.Draining())
        self._grant()
        self._stale = False
        self.runs.wake_all()
        logger.info(
            "connected to %s, ready for work: %s", self._platform.url, ", ".join(self._workflows)
        )
        if not self.opened.done():
            self.opened.set_result(None)

    # ── heartbeats ──

    def _schedule_beat(self, interval: float) -> None:
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        loop = asyncio.get_running_loop()
        self._heartbeat = loop.call_later(interval, self._on_beat, interval)

    def _on_beat(self, interval: float) -> None:
        if time.monotonic() - self._heard_at > 2.5 * interval:
            # Half-open: the server would have answered the last two.
            if self._call is not None:
                self._call.cancel()
            return
        self._beat()
        self._schedule_beat(interval)

    def _beat(self) -> None:
        if self._state != "open":
            return
        self._push(encode_frame(_HEARTBEAT_ID, "heartbeat", pb.Heartbeat(in_flight=len(self.runs))))
        self._lease_clock.sent()

    # ── dispatches ──

    def _grant(self) -> None:
        """S4."""
        if self._state != "open" or self._draining:
            return
        count = self._slots - self.runs.occupied - self._credits
        if count > 0:
            self._credits += count
            self._tell("credits", pb.Credits(count=count))

    def _dispatch(self, item: pb.WorkItem) -> None:
        lease = item.lease
        self._credits = max(0, self._credits - 1)
        workflow = self._workflows.get(item.workflow)
        if workflow is None or self._draining:
            reason = (
                f'this worker does not serve "{item.workflow}"'
                if workflow is None
                else "this worker is draining"
            )
            self._tell("nack", pb.Nack(run_id=lease.run_id, fence=lease.fence, reason=reason))
            self._grant()
            return
        self._tell("dispatch_ack", pb.DispatchAck(run_id=lease.run_id, fence=lease.fence))
        self.runs.take(item, workflow, self._platform, self)

    def _give_back(self, run_id: str, fence: int) -> None:
        """A run that was given up goes to another worker, or comes back: not at once."""
        nack = pb.Nack(run_id=run_id, fence=fence, reason="this worker could not go on with it")
        asyncio.get_running_loop().call_later(
            limits.GIVE_BACK_AFTER_S, lambda: self._tell("nack", nack)
        )

    # ── the end ──

    def drain(self) -> None:
        """No more dispatches."""
        self._draining = True
        self._tell("draining", pb.Draining())

    async def close(self) -> None:
        """Ends the stream; the server releases what is still leased."""
        self._deltas.flush()
        self._deltas.close()
        self.runs.drop_all("the worker stops")
        self._closing = True
        # What was said last leaves before the stream ends.
        for _ in range(50):
            if self._call is None or not (self._writing or self._wake_writer.is_set()):
                break
            await asyncio.sleep(0.01)
        await self._end(self._call)
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
