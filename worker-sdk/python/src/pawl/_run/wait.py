# Section W of docs/replay-machine.md.
"""A wait that the server keeps: a sleep, a signal, a question or a child run.

It is registered by its StepStarted; what resolves it is pushed while the run is held here, asked for
where nothing is pushed, and else found in the journal after the run was suspended and dispatched
again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._codec.payload import decode
from .._lib import limits
from .._lib.words import word
from ..duration import message_seconds
from ..errors import NonDeterminismError, RequestError, TerminalError, WaitCancelledError
from ..failure import step_failed
from ..v1 import step_pb2 as pb
from ..v1.common_pb2 import Failure, Payload, StepKind, WaitOutcome
from ..v1.run_pb2 import StartRunRequest
from . import deadlines
from .definition import Definition
from .directives import obey, stop
from .memo import Record
from .operation import Operation
from .sending import start_child

if TYPE_CHECKING:
    from .keys import Claim
    from .run import Run


@dataclass(frozen=True, slots=True)
class Resolution:
    """How a wait ended."""

    outcome: str
    #: The decoded payload: a signal's, an answer, or a child run's result.
    value: Any
    step_key: str
    #: Its place in the journal.
    seq: int
    #: Who answered, why, and the like.
    details: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ChildStart:
    """How a child run is started."""

    request: Callable[[], Awaitable[StartRunRequest]]
    #: User code has chosen its run id.
    own_id: bool
    #: Where it is not known by its name only.
    definition: Definition[Any] | None = None


@dataclass(slots=True)
class WaitCall:
    """What is waited for."""

    name: str
    kind: StepKind
    wait: pb.WaitSpec
    #: Makes user code's value from the resolution, or raises its error.
    finish: Callable[[Resolution], Any]
    #: The child run that is to be started first.
    child: ChildStart | None = None
    #: What is wrong with it. One that is on record is replayed all the same.
    refusal: Exception | None = None


class WaitOperation(Operation):
    def __init__(self, run: Run, claim: Claim, call: WaitCall, counts: bool = True) -> None:
        super().__init__(run, claim, call.name, call.kind)
        self._call = call
        # User code waits for it, so the run does.
        self._counts = counts
        self._due: float | None = None
        self._registered = False
        self._delivering = False
        self._child_run_id = ""
        self._timer: asyncio.TimerHandle | None = None
        self._begun = False
        # It was asked for, and the server has not answered.
        self._asking = False
        # Whom that is told, since it was given up meanwhile.
        self._expected: asyncio.Future[None] | None = None
        # The code has stopped waiting by itself.
        self._abandoned = False
        # Where the code waits for it.
        self._task: asyncio.Task[Any] | None = None

    @property
    def is_open_wait(self) -> bool:
        asked = self._registered or self._asking
        return asked and not self._delivering and not self.over and self.aborted is None

    def begin(self) -> None:
        self._begun = True
        if self.look_for_deadline():
            return
        self.run.set_busy(True)
        self._asking = True
        if self._call.refusal is not None:
            self._on_refused(self._call.refusal)
        elif self._call.child is None or self._child_run_id:
            self._register()
        else:
            self.run.spawn(self._start_child(self._call.child))

    async def _start_child(self, child: ChildStart) -> None:
        run = self.run
        try:
            request = await child.request()
            request.parent.run_id = run.run_id
            request.parent.step_key = self.key
            response = await start_child(run, request, child.definition)
        except RequestError as error:
            # An id that user code chose and somebody else has is for user code to know.
            known = run.memo.is_open_wait(self.key)
            exists = error.reason == "RUN_EXISTS" and (known or not child.own_id)
            self._on_refused(self._child_conflict(request.run_id) if exists else error)
            return
        except Exception as error:
            # So is an input that is refused before anything was started.
            self._on_refused(error)
            return
        self._child_run_id = response.run.run_id
        self._register()

    def _child_conflict(self, run_id: str) -> NonDeterminismError:
        return NonDeterminismError(
            step_key=self.key,
            recorded=f"the child run {run_id}",
            attempted="a child run with another input or workflow",
            likely_cause="the child's input is computed from something that is not recorded",
        )

    def awaited(self) -> asyncio.Future[Any]:
        """Its result, which user code waits for from now on."""
        if not self._counts:
            self._counts = True
            if self._registered:
                self._count()
        return self.future

    def _register(self) -> None:
        self.ask(self._on_answer)

    def ask(self, on_answer: Callable[[pb.StepStartedResponse], None]) -> None:
        """Registers the wait, or hears what has become of it."""
        run = self.run
        request_id = run.next_request_id()

        def message() -> pb.StepStartedRequest:
            start = pb.StepStartedRequest(
                run_id=run.run_id,
                fence=run.fence,
                step_key=self.key,
                name=self.name,
                kind=self.kind,
                request_id=request_id,
                wait=self._call.wait,
            )
            if self._child_run_id:
                start.wait.child_run_id = self._child_run_id
            return start

        run.send("step_started", message, on_answer, self._on_refused)

    def _on_refused(self, error: BaseException) -> None:
        if not self.detached:
            self.refuse(error)
        self.run.set_busy(False)
        self._answered()

    def _answered(self) -> None:
        self._asking = False
        if self._expected is not None and not self._expected.done():
            self._expected.set_result(None)

    def _expect(self) -> None:
        """It was given up. What it is asked for may come to be on record yet, and is closed then."""
        if self._asking and self._expected is None and not self.run.left:
            self._expected = self.run.closing.expect()

    def _on_answer(self, response: pb.StepStartedResponse) -> None:
        outcome = response.WhichOneof("outcome")
        if outcome == "wait":
            self.run.memo.opened(self.key)
        if self.aborted is not None and (outcome == "wait" or outcome == "replay"):
            if self._abandoned:
                self._close()
            else:
                self._close_there()
        self.run.set_busy(False)
        self._answered()
        if self.detached or self.run.left:
            return
        if outcome == "wait" or outcome == "replay":
            self.registered(response.wait if outcome == "wait" else response.replay)
        self._on_start(response)
        obey(self.run, response.directive)

    def registered(
        self, answer: pb.StepStartedResponse.Wait | pb.StepStartedResponse.Replay
    ) -> None:
        """The server has it on record. Only callbacks have something to learn from the answer."""

    def _on_start(self, response: pb.StepStartedResponse) -> None:
        # Its resolution was pushed before this answer came.
        if self.over or self._delivering:
            return
        if self.aborted is not None:
            self.reject_cancelled(self.aborted)
            return
        match response.WhichOneof("outcome"):
            case "replay":
                answer = response.replay
                self._deliver(
                    self._record(
                        answer.seq or self.run.deliveries.last_seq,
                        word(WaitOutcome, answer.outcome),
                        answer.details,
                        answer.output if answer.HasField("output") else None,
                        answer.failure if answer.HasField("failure") else None,
                    )
                )
            case "wait":
                known = response.wait.HasField("until")
                self._wait(message_seconds(response.wait.until) if known else None)
            case "conflict":
                self.run.end(
                    NonDeterminismError(
                        step_key=self.key,
                        recorded=response.conflict.recorded.name or "something else",
                        attempted=self.name,
                        likely_cause="the code was changed while this run was under way",
                    )
                )
            case "stop":
                stop(self.run, response.stop.reason, response.stop.fence, self)
            case _:
                self.run.end(TerminalError("the platform answered a wait with nothing known here"))

    def _record(
        self,
        seq: int,
        outcome: str,
        details: Mapping[str, str],
        payload: Payload | None,
        failure: Failure | None,
    ) -> Record:
        return Record(
            seq=seq,
            kind=self.kind,
            attempt=self.run.memo.attempts(self.key),
            payload=payload,
            failure=failure,
            outcome=outcome,
            details=dict(details),
        )

    def _wait(self, due: float | None) -> None:
        self._registered = True
        self._due = due
        if self._counts:
            self._count()

    async def wait(self) -> Any:
        self._task = asyncio.current_task()
        return await super().wait()

    def open(self) -> asyncio.Future[Any]:
        future = super().open()
        if not self.recorded and not self._begun:
            # It may not begin just now, and a deadline may end before it does.
            self.look_for_deadline()
        return future

    def given_up(self) -> None:
        task = self._task
        deadline = deadlines.has_ended(self.run, task)
        known = self._registered or self.run.memo.is_known_wait(self.key)
        self._abandoned = True
        super().given_up()
        if known:
            self._close()
        self._expect()
        if deadline:
            self.run.refusal = deadlines.refusal(self.name)
            raise self.run.refusal from None

    def look_for_deadline(self) -> bool:
        """Refuses one that stands around it."""
        if self.over or self.run.left or not deadlines.is_around(self.run, self._task):
            return False
        self.run.refusal = refusal = deadlines.refusal(self.name)
        if self._registered or self.run.memo.is_open_wait(self.key):
            self._unregister()
            self._close()
        self._abandoned = True
        super().abort("it stands within a deadline of the language")
        self.run.deliver(self.run.deliveries.last_seq, lambda: self.reject(refusal))
        return True

    def _count(self) -> None:
        due = self._due
        self.run.add_wait(self.key, due)
        if self.run.link.pushes_waits:
            return
        until = limits.HOT_WAIT_S if due is None else due - self.run.server_now() + 0.005
        pause = min(max(until, 0.01), limits.HOT_WAIT_S)
        self._timer = self.run.loop.call_later(pause, self.ask_again)

    def _unregister(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._registered:
            self.run.remove_wait(self.key)
        self._registered = False

    def ask_again(self) -> None:
        if not self._registered:
            return
        self._unregister()
        self.run.admit(self, self.begin)

    def resolved(self, record: Record) -> None:
        if self._delivering or self.over:
            return
        self.run.careful = False
        self._unregister()
        self._deliver(record)

    def closed(self, seq: int) -> None:
        """If the code continues to wait for it after all, it asks again."""
        if self.over or self._delivering or self.aborted is not None:
            return
        self._unregister()
        self.run.set_busy(True)

        def reopen() -> None:
            self.run.set_busy(False)
            if not self.over and self.aborted is None and not self._delivering:
                self.run.admit(self, self.begin)

        self.run.deliveries.push_recorded(seq, reopen)

    def _deliver(self, record: Record) -> None:
        self._delivering = True
        if self.run.recorded(self):
            return
        if record.payload is not None and record.payload.HasField("ref"):
            self.run.catching_up.then(
                record.seq,
                lambda: self.run.deliveries.push_recorded(record.seq, lambda: self.replay(record)),
            )
        else:
            self.run.deliver(record.seq, lambda: self._finish(record, record.payload))

    def replay(self, record: Record) -> Awaitable[None] | None:
        if record.payload is None or not record.payload.HasField("ref"):
            self._finish(record, record.payload)
            return None
        return self._download(record, record.payload)

    async def _download(self, record: Record, payload: Payload) -> None:
        try:
            whole = await self.run.link.download(payload)
        except Exception as error:
            self.run.end(error)
            return
        self._finish(record, whole)

    def _finish(self, record: Record, payload: Payload | None) -> None:
        if record.failure is not None:
            self.reject(step_failed(record.failure, self.key, max(1, record.attempt)))
            return
        try:
            details = record.details
            if record.outcome == "cancelled":
                raise WaitCancelledError(
                    self.name, self.key, details.get("actor", ""), details.get("comment", "")
                )
            resolution = Resolution(record.outcome, decode(payload), self.key, record.seq, details)
            value = self._call.finish(resolution)
        except Exception as error:
            self.reject(error)
            return
        self.resolve(value)

    def abort(self, reason: str) -> None:
        if self.aborted is not None or self.over:
            return
        super().abort(reason)
        lost = self.scope.ended is not None
        # Where only the run is cancelled, what is on record is handed out first.
        if self.recorded and not lost and self.run.memo.outcome(self.key) != "cancelled":
            return
        known = self._registered or self._delivering or self.run.memo.is_known_wait(self.key)
        self._unregister()
        if known:
            self._close_there()
        self._expect()
        self.reject_cancelled(reason)

    def _close_there(self) -> None:
        """Nobody will take what it brings. Where no branch has ended the run has, and all of its waits."""
        if self.scope.ended is not None:
            self._close()

    def _close(self) -> None:
        if not self.run.left:
            self.run.memo.forget_wait(self.key)
            self.run.closing.wait(self.key)

    def clear(self) -> None:
        self._unregister()
