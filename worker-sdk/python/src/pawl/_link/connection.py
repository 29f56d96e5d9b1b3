# Section S of docs/replay-machine.md.
"""A worker's side of WorkerService.Attach.

S1  Hello is the first message of every stream, and nothing else leaves before Welcome has arrived.
S2  A request is kept until it is answered, and sent again, with the same content and id, on the next
    stream if its run's lease has survived.
S3  No step starts unless the stream is open and a heartbeat was answered that was sent within the
    lease time, and after this process last stood still.
S4  Credits granted never exceed the free slots.
S5  A run's code starts when the acknowledgement of its dispatch has left this process: what the code
    does may keep anything else from leaving.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.message import Message

from .._lib import limits
from .._lib.loop_watch import describe
from .._run.definition import Definition
from .._run.link import HeldRun, OnAnswer, RequestName, StartNote
from ..duration import message_seconds
from ..errors import RequestError
from ..v1 import worker_pb2 as pb
from .calls import CallLink
from .deltas import Batch
from .lease_clock import LeaseClock
from .outbox import encode_frame
from .platform import Platform
from .requests import Request, Requests
from .run_table import RunTable
from .status import error_from_frame
from .stream import Stream

logger = logging.getLogger("pawl")

# Of every heartbeat: an error under it is the oldest one's.
_HEARTBEAT_ID = 0xFFFF_FFFF


class Connection(CallLink):
    """The runs that came by a stream, and the link through which they speak."""

    confirm_starts = False
    pushes_waits = True
    suspends = True

    def __init__(
        self,
        platform: Platform,
        info: pb.WorkerInfo,
        workflows: Mapping[str, Definition[Any]],
        slots: int,
        replays_always: bool,
    ) -> None:
        super().__init__(platform)
        self.runs = RunTable(self._grant, self._give_back, replays_always)
        self._info = info
        self._workflows = workflows
        self._slots = slots
        self._stream = Stream(
            platform, self._hello, self._receive, self._disconnected, self._stream_cut
        )
        self._requests = Requests(self._push)
        self._next_id = 1
        self._credits = 0
        self._draining = False
        self._stale = False
        self._lease_clock = LeaseClock()
        self._heard_at = 0.0
        self._heartbeat: asyncio.TimerHandle | None = None
        self._end_watch: Callable[[], None] | None = None

    @property
    def opened(self) -> asyncio.Future[None]:
        """The server knows of this worker."""
        return self._stream.opened

    def start(self) -> asyncio.Task[None]:
        """Connects, and reconnects when needed. The task ends when closed; raises RequestError if refused."""
        if self._end_watch is None:
            self._end_watch = self._watch.listen(self._stood_still)
        return self._stream.start()

    def _stood_still(self, gap_s: float, step_keys: list[str]) -> None:
        logger.warning(describe(gap_s, step_keys))
        self._lease_clock.stood_still()
        # Nothing was heard because nobody listened.
        self._heard_at = time.monotonic()
        self._stale = True
        self._beat()

    def _hello(self) -> bytes:
        self._lease_clock.restart()
        hello = pb.Hello(protocol_version=1, worker=self._info, leases=self.runs.leases())
        return encode_frame(0, "hello", hello)

    def _disconnected(self) -> None:
        self._credits = 0
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            self._heartbeat = None

    def _stream_cut(self, error: RequestError) -> None:
        logger.warning("the connection ended in an error: %s", error)
        refused = self._requests.cut(error)
        if refused is None:
            return
        request, refusal = refused
        logger.error("a message does not get through; its step or run fails: %s", refusal)
        request.on_answer(refusal)

    def _tell(self, name: str, body: Message) -> None:
        self._stream.push(encode_frame(0, name, body))

    # ── what runs ask for ──

    def can_start(self) -> bool:
        """S3."""
        self._watch.look()
        if self._stream.is_open and self._lease_clock.holds:
            return True
        self._stale = True
        return False

    def note_start(self, run_id: str, note: StartNote) -> None:
        self._deltas.flush(run_id)
        self._stream.note_start(note)

    def request(
        self, run_id: str, name: RequestName, message: Message, on_answer: OnAnswer
    ) -> None:
        self._deltas.flush(run_id)
        self._ask(run_id, name, message, on_answer)
        if name in ("complete_run", "fail_run"):
            self.runs.ending(run_id)

    def _ask(self, run_id: str, name: str, message: Message, on_answer: OnAnswer) -> None:
        id = self._next_id
        self._next_id = 1 if id == _HEARTBEAT_ID - 1 else id + 1
        try:
            frame = encode_frame(id, name, message)
        except Exception as error:
            # Only its caller is concerned.
            on_answer(RequestError("INVALID_ARGUMENT", str(error), code=3))
            return
        if len(frame) > limits.FRAME_BYTES_MAX:
            problem = f"the message has {len(frame)} bytes (limit {limits.FRAME_BYTES_MAX})"
            on_answer(RequestError("PAYLOAD_TOO_LARGE", problem, code=3))
            return
        self._requests.open(id, Request(run_id, frame, on_answer))

    def _push(self, frame: bytes) -> bool:
        self._stream.push(frame)
        return self._stream.is_open

    def _send_events(self, batch: Batch, must: bool, done: asyncio.Future[None]) -> bool:
        congested = self._stream.is_writing and batch.size > limits.DELTA_FLUSH_BYTES
        if not must and (congested or not self._stream.is_open):
            return False

        def on_answer(_: Message | RequestError) -> None:
            if not done.done():
                done.set_result(None)

        self._ask(batch.request.run_id, "publish_events", batch.request, on_answer)
        return True

    async def attention(self, run_id: str) -> bool:
        # The session is told of cancellations without asking; a heartbeat asks all the same.
        self._beat()
        return True

    def released(self, run: HeldRun) -> None:
        self._requests.forget(run.run_id)
        self._deltas.forget(run.run_id)
        self.runs.released(run)

    # ── what the server says ──

    def _receive(self, message: pb.WorkerServiceAttachResponse) -> None:
        self._watch.look()
        self._heard_at = time.monotonic()
        self._stream.hurry()
        goes_on = False
        for frame in message.frames:
            name = frame.WhichOneof("body")
            try:
                if name == "reply":
                    goes_on = self._on_reply(frame.reply) or goes_on
                elif name is not None:
                    self._handle(name, frame)
            except Exception:
                # One frame never keeps the others from being read.
                logger.exception("a frame of the server (%s) could not be dealt with", name)
        self._stream.send_first(goes_on)
        if self._stale and self._stream.is_open and self._lease_clock.holds:
            self._stale = False
            self.runs.wake_all()

    def _on_reply(self, reply: pb.Reply) -> bool:
        """Whether code continues with it that may have more to report at once."""
        result = reply.WhichOneof("result")
        if reply.id == _HEARTBEAT_ID:
            self._lease_clock.refused()
        pending = self._requests.take(reply.id)
        if pending is None:
            if result == "error":
                logger.debug(
                    "the server refused a frame: %s %s", reply.error.reason, reply.error.message
                )
        elif result == "error":
            pending.on_answer(error_from_frame(reply.error))
        elif result is not None:
            pending.on_answer(getattr(reply, result))
            return bool(result.startswith("step_"))
        return False

    def _handle(self, name: str, frame: pb.ServerFrame) -> None:
        match name:
            case "dispatch":
                self._dispatch(frame.dispatch.item)
            case "wait_resolved":
                self.runs.wait_resolved(frame.wait_resolved.run_id, frame.wait_resolved.entry)
            case "cancel":
                cancel = frame.cancel
                grace = limits.CANCEL_GRACE_S
                if cancel.HasField("grace"):
                    grace = message_seconds(cancel.grace)
                self.runs.cancel(cancel.run_id, cancel.fence, cancel.reason, grace)
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
                self._stream.drained()
            case "ping":
                self._tell("pong", pb.Pong(nonce=frame.ping.nonce))

    def _welcome(self, welcome: pb.Welcome) -> None:
        self._stream.welcomed()
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
        self._requests.resend()
        if self._draining:
            self._tell("draining", pb.Draining())
        self._grant()
        self._stale = not self._lease_clock.holds
        if self._stale:
            self._beat()
        self.runs.wake_all(reconnected=True)
        logger.info(
            "connected to %s, ready for work: %s", self._platform.url, ", ".join(self._workflows)
        )
        self._stream.ready()

    # ── heartbeats ──

    def _schedule_beat(self, interval: float) -> None:
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        loop = asyncio.get_running_loop()
        self._heartbeat = loop.call_later(interval, self._on_beat, interval)

    def _on_beat(self, interval: float) -> None:
        if time.monotonic() - self._heard_at > 2.5 * interval:
            # Half-open: the server would have answered the last two.
            self._stream.cancel()
            return
        self._beat()
        self._schedule_beat(interval)

    def _beat(self) -> None:
        if not self._stream.is_open:
            return
        held = pb.HeldRuns(leases=self.runs.leases())
        heartbeat = pb.Heartbeat(in_flight=len(self.runs), held=held)
        self._stream.push(encode_frame(_HEARTBEAT_ID, "heartbeat", heartbeat))
        self._lease_clock.sent()

    # ── dispatches ──

    def _grant(self) -> None:
        """S4."""
        if not self._stream.is_open or self._draining:
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
        ack = pb.DispatchAck(run_id=lease.run_id, fence=lease.fence)
        left = self._stream.push_first(encode_frame(0, "dispatch_ack", ack))
        left.add_done_callback(self._acknowledged)
        self.runs.take(item, workflow, self._platform, self, left)

    def _acknowledged(self, _: asyncio.Future[None]) -> None:
        """What the run first reports leaves with what the answers that are due bring up."""
        if self._requests:
            self._stream.linger()

    def _give_back(self, run_id: str, fence: int) -> None:
        """A run that was given up goes to another worker, or comes back: not at once."""
        nack = pb.Nack(run_id=run_id, fence=fence, reason="this worker could not continue with it")
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
        if self._end_watch is not None:
            self._end_watch()
        self._deltas.flush()
        self._deltas.close()
        self.runs.drop_all("the worker stops")
        await self._stream.close()
