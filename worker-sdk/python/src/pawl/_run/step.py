# Section T of docs/replay-machine.md.
"""One step, from being asked for until its result has been handed to user code.

    waiting ─▶ confirming ─▶ running ─▶ reporting ─▶ (delivered)
       ▲                                    │
       └──────────── backing off ◀──────────┘

`confirming` only where the start must be committed before the body runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Literal

from .._codec.payload import Encoded, decode, encode
from .._codec.typed import build_as, rebuilt
from .._lib import limits
from .._lib.clock import now_s
from ..duration import message_seconds
from ..errors import Cancelled, RequestError, StepFailedError, TerminalError
from ..failure import plain_failure, step_failed, to_failure
from ..v1 import step_pb2 as pb
from ..v1.common_pb2 import Failure, Payload
from .body import StepBody
from .directives import obey, stop
from .memo import Record
from .operation import Operation
from .payloads import is_large, upload
from .spans import Outcome, StepSpan, start_span
from .step_messages import (
    completed_message,
    conflict_of,
    failed_message,
    retry_delay,
    start_message,
    stopped_message,
)

if TYPE_CHECKING:
    from .call import StepCall
    from .keys import Claim, Scope
    from .run import Run

# Another attempt's report stands against this one.
_CONFLICTS = ("COMMIT_CONFLICT", "STEP_INPUT_MISMATCH")
_State = Literal["waiting", "confirming", "running", "reporting", "backing off"]


class StepOperation(Operation):
    is_busy = True
    is_step = True

    def __init__(self, run: Run, claim: Claim, call: StepCall) -> None:
        super().__init__(run, claim, call.name, call.kind)
        self.call = call
        self.input_digest = call.input_digest
        self.definition_digest = call.options.definition_digest
        # The body gets the context variables of the code that asked for the step.
        self.context = copy_context()
        # Of the current or next attempt, from 1.
        self.attempt = 0
        # The number of the latest event that this attempt has sent; 0 for none.
        self.deltas = 0
        self.span: StepSpan | None = None
        self._state: _State = "waiting"
        self._body: StepBody | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._hot = False
        self._has_inner = False
        # Of the start that the platform was last asked for; empty where it was not.
        self._start_id = ""

    @property
    def is_running(self) -> bool:
        return self._state == "running"

    @property
    def is_repeatable(self) -> bool:
        return not self.call.options.at_most_once

    def inner_scope(self) -> Scope:
        """A scope for the steps that the body asks for; a fresh one for each attempt."""
        self._has_inner = True
        return self.scope.inside(self.key)

    # ── replay ──

    def replay(self, record: Record) -> Awaitable[None] | None:
        if record.failure is not None:
            self.reject(step_failed(record.failure, self.key, record.attempt))
            return None
        if not self.scope.inside_step:
            self.run.memo.forget(self.key)
        if record.payload is None or not record.payload.HasField("ref"):
            self._hand_out(record.payload)
            return None
        return self._download(record.payload)

    async def _download(self, payload: Payload) -> None:
        try:
            whole = await self.run.link.download(payload)
        except Exception as error:
            self.run.end(error)
            return
        self._hand_out(whole)

    def _hand_out(self, payload: Payload | None) -> None:
        try:
            data = decode(payload)
            value = build_as(self.call.build, data, f'the result of step "{self.name}"')
        except TerminalError as error:
            self.reject(error)
            return
        self.resolve(value)

    # ── before the body ──

    def begin(self) -> None:
        memo = self.run.memo
        self.attempt = memo.attempts(self.key) + 1
        backing = memo.backing(self.key)
        pause = 0.0 if backing is None else backing.until - self.run.server_now()
        if pause > 0:
            self._back_off(pause)
        else:
            self._attempt_now()

    def _attempt_now(self) -> None:
        self.run.set_busy(True)
        run = self.run
        if (
            run.careful
            or run.link.confirm_starts
            or run.facts.confirm_starts
            or self.call.options.at_most_once
        ):
            self._start_id = run.next_request_id()
            self._confirm(self._start_id)
        else:
            self._start_id = ""
            self._execute()

    def _confirm(self, request_id: str) -> None:
        self._state = "confirming"
        asked = now_s()

        def message() -> pb.StepStartedRequest:
            start = start_message(self)
            start.request_id = request_id
            return start

        def on_start(response: pb.StepStartedResponse) -> None:
            if self.run.link.stood_still_since(asked) and not self.detached:
                # The answer may be out of date. The same again is answered alike, if it is not.
                self._confirm(request_id)
            else:
                self._on_start(response)

        self.run.send("step_started", message, on_start, self._on_start_refused)

    def _on_start_refused(self, error: RequestError) -> None:
        self._state = "reporting"
        if not self.detached:
            self.refuse(error)
        self.run.set_busy(False)

    def _on_start(self, response: pb.StepStartedResponse) -> None:
        if self.detached:
            self.run.set_busy(False)
            return
        outcome = response.WhichOneof("outcome")
        if outcome == "execute":
            self.attempt = response.execute.attempt
            if self.aborted is None:
                self._execute()
            else:
                self._give_up(self.aborted, 0.0)
        else:
            self._state = "waiting"
            self.run.set_busy(False)
            self._on_other_start(outcome, response)
        obey(self.run, response.directive)

    def _on_other_start(self, outcome: str | None, response: pb.StepStartedResponse) -> None:
        run = self.run
        if self.aborted is not None and outcome != "replay":
            self.reject_cancelled(self.aborted)
            return
        match outcome:
            case "replay":
                self._state = "reporting"
                answer = response.replay
                record = self._record(
                    answer.seq or run.deliveries.last_seq,
                    answer.output if answer.HasField("output") else None,
                    answer.failure if answer.HasField("failure") else None,
                )
                run.catching_up.then(
                    record.seq,
                    lambda: run.deliveries.push_recorded(record.seq, lambda: self.replay(record)),
                )
            case "wait":
                known = response.wait.HasField("until")
                until = message_seconds(response.wait.until) - run.server_now() if known else None
                self._back_off(max(0.02, limits.HOT_WAIT_S if until is None else until))
            case "conflict":
                run.end(conflict_of(self, response.conflict))
            case "unknown_outcome":
                run.await_decision(self)
            case "stop":
                stop(run, response.stop.reason, response.stop.fence, self)
            case _:
                run.end(TerminalError("the platform answered a start with nothing known here"))

    def _record(self, seq: int, payload: Payload | None, failure: Failure | None) -> Record:
        return Record(
            seq=seq,
            kind=self.kind,
            attempt=self.attempt,
            payload=payload,
            failure=failure,
            input_digest=self.input_digest,
            definition_digest=self.definition_digest,
        )

    def _execute(self) -> None:
        self._state = "running"
        self.deltas = 0
        self.span = start_span(self)
        self._body = StepBody(self, self.attempt)
        self._body.start()

    # ── the body is over ──

    def body_not_begun(self) -> None:
        """Called by the body, instead: the process stood still before it started. The platform says whether
        the run is still its own, and whether the step is on record by now.
        """
        self._body = None
        self._end_span("cancelled")
        if self.aborted is not None:
            self._give_up(self.aborted, 0.0)
        else:
            self._confirm(self._start_id or self.run.next_request_id())

    def body_returned(self, value: Any, latency_ms: float) -> None:
        """Called by the body, once."""
        self._body = None
        if self.aborted is not None:
            self._give_up(self.aborted, latency_ms)
            return
        self._state = "reporting"
        what = f'the result of step "{self.name}"'
        try:
            encoded = encode(value, what, self.call.build is not None)
            again = rebuilt(self.call.build, encoded, what)
        except Exception as error:
            self._report(to_failure(error), latency_ms)
            return
        if is_large(encoded):
            self.run.spawn(self._upload(encoded, again, what, latency_ms))
        else:
            self._complete(encoded.payload(), again, latency_ms)

    async def _upload(self, encoded: Encoded, again: Any, what: str, latency_ms: float) -> None:
        try:
            payload = await upload(self.run.link, encoded, what)
        except Exception as error:
            self._report(to_failure(error), latency_ms)
            return
        self._complete(payload, again, latency_ms)

    def _complete(self, output: Payload, result: Any, latency_ms: float) -> None:
        """`result`: what a replay would be given."""
        run = self.run

        def message() -> pb.StepCompletedRequest:
            return completed_message(self, output, latency_ms)

        def on_completed(response: pb.StepCompletedResponse) -> None:
            self._end_span("completed")
            run.careful = False
            if self.scope.inside_step:
                # A new attempt of the step around it asks again.
                run.memo.remember(self.key, self._record(response.seq, output, None))
            if self._has_inner:
                run.memo.forget_within(self.key)
            if not self.detached and not run.recorded(self):
                run.deliver(response.seq, lambda: self.resolve(result))
            run.set_busy(False)
            obey(run, response.directive)

        def on_refused(error: RequestError) -> None:
            if error.reason in _CONFLICTS:
                run.end(error)
            else:
                # What cannot be recorded fails its step.
                self._report(to_failure(TerminalError(str(error))), latency_ms)

        run.send(
            "step_completed",
            message,
            on_completed,
            on_refused,
            lambda: self._may_report(latency_ms),
        )

    def _may_report(self, latency_ms: float) -> bool:
        """Of an attempt that was in flight when the run was cancelled, nothing is recorded but that."""
        if self.aborted is None or self.run.cancel_reason is None or self.over:
            return True
        self._give_up(self.aborted, latency_ms)
        return False

    def body_failed(self, error: BaseException, latency_ms: float) -> None:
        """Called by the body, once."""
        self._body = None
        if self.aborted is not None:
            self._give_up(self.aborted, latency_ms)
            return
        failure = to_failure(error)
        # A step inside has failed for good: trying this one again would only replay that.
        inner = isinstance(error, StepFailedError) and error.step_key.startswith(f"{self.key}/")
        if inner or isinstance(error, Cancelled) or not isinstance(error, Exception):
            failure.non_retryable = True
        self._report(failure, latency_ms)

    def _give_up(self, reason: str, latency_ms: float) -> None:
        """The attempt was stopped: that is all there is to record."""
        self._state = "reporting"
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._end_span("cancelled")
        self.run.closing.attempt(stopped_message(self, latency_ms))
        self.run.memo.note_attempt(self.key, self.attempt)
        self.reject_cancelled(reason)
        self.run.set_busy(False)

    def _settle_or_leave(self) -> None:
        """A cancel came, and the body takes its time: the code continues to its clean-up without it."""
        self._timer = None
        body = self._body
        if self._state != "running" or body is None:
            return
        self._body = None
        body.abandon("the run is being cancelled")
        self._give_up(self.aborted or "", body.latency_ms)

    def _end_span(self, outcome: Outcome, error_type: str = "") -> None:
        if self.span is not None:
            self.span.end(outcome, error_type)
            self.span = None

    def _report(self, failure: Failure, latency_ms: float) -> None:
        run = self.run
        self._state = "reporting"

        def message() -> pb.StepFailedRequest:
            return failed_message(self, failure, latency_ms)

        def on_refused(error: RequestError) -> None:
            if error.reason in _CONFLICTS:
                run.end(error)
            elif failure.stack or failure.HasField("cause") or failure.HasField("details"):
                # What the error carries may be what is refused; its type and text matter most.
                self._report(plain_failure(failure), latency_ms)
            else:
                if not self.detached:
                    self.refuse(error)
                run.set_busy(False)

        run.send(
            "step_failed",
            message,
            lambda answer: self._on_failed(answer, failure),
            on_refused,
            lambda: self._may_report(latency_ms),
        )

    def _on_failed(self, response: pb.StepFailedResponse, failure: Failure) -> None:
        run, attempt = self.run, self.attempt
        run.memo.note_attempt(self.key, attempt)
        run.careful = False
        retries = response.WhichOneof("next") == "retry"
        self._end_span("retrying" if retries else "failed", failure.type)
        if retries:
            self.attempt = response.retry.attempt or attempt + 1
            run.set_busy(False)
            if self.aborted is not None:
                self.reject_cancelled(self.aborted)
            elif not self.detached:
                self._back_off(retry_delay(response.retry, run.server_now()))
        elif response.final.action == pb.StepFailedResponse.Final.ACTION_PAUSE:
            run.leave(f'step "{self.name}" has no attempt left, and the run is paused')
        else:
            if self.scope.inside_step:
                run.memo.remember(self.key, self._record(response.seq, None, failure))
            if not self.detached and not run.recorded(self):
                run.deliver(
                    response.seq, lambda: self.reject(step_failed(failure, self.key, attempt))
                )
            run.set_busy(False)
        obey(run, response.directive)

    # ── between attempts ──

    def _back_off(self, seconds: float) -> None:
        """Waits for the next attempt: here if it is soon, else the run may be suspended meanwhile."""
        self._hot = seconds <= limits.HOT_RETRY_S
        if self._hot:
            self.run.set_busy(True)
        else:
            self.run.add_wait(self.key, self.run.server_now() + seconds)
        self._state = "backing off"
        self._timer = self.run.loop.call_later(seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._end_back_off()
        self.run.admit(self, self._attempt_now)

    def _end_back_off(self) -> None:
        if self._state != "backing off":
            return
        self._state = "waiting"
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._hot:
            self.run.set_busy(False)
        else:
            self.run.remove_wait(self.key)

    # ── being ended ──

    def abort(self, reason: str) -> None:
        if self.aborted is not None:
            return
        super().abort(reason)
        if self._body is not None:
            self._body.abort(reason)
        limit = self.run.settle_s
        if limit is not None and self._state == "running" and self._body is not None:
            self._timer = self.run.loop.call_later(limit, self._settle_or_leave)
        if self.recorded or self._state not in ("waiting", "backing off"):
            return
        self._end_back_off()
        self.reject_cancelled(reason)

    def detach(self) -> None:
        if self._state == "running" and not self.detached and not self.over:
            self.run.closing.attempt(stopped_message(self, 0.0))
        super().detach()

    def clear(self) -> None:
        self._end_back_off()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._state == "running" and self._body is not None:
            self._body.drop("the run has left this worker")
            self._body = None
            self.run.set_busy(False)
        self._state = "reporting"
