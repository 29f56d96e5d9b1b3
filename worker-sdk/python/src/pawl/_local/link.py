"""A platform within this process and for one run: it keeps nothing beyond that run, but answers as the server
does, so that a workflow has the same step keys and results without one.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote

from google.protobuf.message import Message

from .._codec.payload import decode, encode
from .._run.definition import Definition
from .._run.link import HeldRun, OnAnswer, RequestName, StartNote
from .._run.run import Run
from ..duration import duration_message, message_seconds
from ..errors import UsageError
from ..failure import error_of, to_failure
from ..v1 import common_pb2 as pb
from ..v1 import step_pb2, worker_pb2
from ..v1.event_pb2 import NewEvent
from ..v1.run_pb2 import PARENT_CLOSE_POLICY_ABANDON, StartRunRequest, StartRunResponse
from .people import LocalPeople

_CALLBACK: Final = re.compile(r"callback:([^/\[#]*)[^/]*$")
_CONTINUE: Final = pb.DIRECTIVE_CONTINUE


def _missing(what: str, option: str, name: str) -> UsageError:
    return UsageError(f"{what}; prepare it: run_locally(workflow, …, {option}={{{name!r}: […]}})")


@dataclass(slots=True)
class LocalPlatform:
    """What a local run finds around it."""

    #: Payloads of signals, and what is posted to callbacks, by name, in their order.
    signals: dict[str, deque[Any]]
    callbacks: dict[str, deque[Any]]
    people: LocalPeople
    #: Sleeps and delays are over at once.
    skip_time: bool
    #: Starts a child, which ends with its encoded result.
    start_child: Callable[
        [StartRunRequest, Definition[Any] | None], Coroutine[Any, Any, pb.Payload]
    ]
    on_event: Callable[[str, Any, str], object] | None
    #: Names of steps that end the worker once, after their body and before their result is recorded.
    crashes: set[str]


class LocalLink:
    confirm_starts = False
    pushes_waits = True
    suspends = False

    def __init__(self, platform: LocalPlatform) -> None:
        self._platform = platform
        self._loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[pb.Payload] = self._loop.create_future()
        self.entries: list[pb.JournalEntry] = []
        #: Executes the run again from its journal, after a crash.
        self.restart: Callable[[], None] = lambda: None
        self._run: Run | None = None
        self._failures: dict[str, int] = {}
        self._due: dict[str, float] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        # Signals that waits have taken, by step key, since they may go back.
        self._taken: dict[str, tuple[str, Any]] = {}
        self._children: dict[str, tuple[asyncio.Task[pb.Payload], bool]] = {}
        self._child_waits: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def attach(self, run: Run) -> None:
        self._run = run

    # ── what the run asks for ──

    def can_start(self) -> bool:
        return True

    def note_start(self, run_id: str, note: StartNote) -> None:
        """There is nobody to tell."""

    def request(
        self, run_id: str, name: RequestName, message: Message, on_answer: OnAnswer
    ) -> None:
        run = self._run
        handlers: dict[RequestName, Callable[[Any], Message]] = {
            "step_started": self._started,
            "step_completed": self._completed,
            "step_failed": self._failed,
            "suspend_run": lambda _: worker_pb2.SuspendRunResponse(resumed=True),
            "complete_run": self._complete_run,
            "fail_run": self._fail_run,
            "close_waits": self._close_waits,
            "begin_clean_up": lambda _: worker_pb2.BeginCleanUpResponse(),
        }

        def answer() -> None:
            if run is not self._run:
                return
            if name == "step_completed" and self._crashes(message):
                return
            on_answer(handlers[name](message))

        self._loop.call_soon(answer)

    def _crashes(self, message: Message) -> bool:
        name = getattr(message, "name", "")
        if name not in self._platform.crashes:
            return False
        self._platform.crashes.discard(name)
        run, self._run = self._run, None
        for timer in self._timers.values():
            timer.cancel()
        if run is not None:
            run.leave("the worker crashed")
        self.restart()
        return True

    def _record(self, type: str, message: Any, **more: Any) -> int:
        seq = len(self.entries) + 1
        entry = pb.JournalEntry(
            seq=seq,
            type=type,
            step_key=message.step_key,
            attempt=message.attempt,
            name=message.name,
            kind=message.kind,
            input_digest=message.input_digest,
            definition_digest=message.definition_digest,
            **more,
        )
        self.entries.append(entry)
        return seq

    def _started(self, request: step_pb2.StepStartedRequest) -> Message:
        response = step_pb2.StepStartedResponse(directive=_CONTINUE)
        key = request.step_key
        if not request.HasField("wait"):
            response.execute.attempt = self._failures.get(key, 0) + 1
            return response
        due = self._await(key, request.kind, request.wait)
        token = quote(key, safe="")
        response.wait.why = step_pb2.StepStartedResponse.Wait.WHY_WAIT
        # There is no server that could be asked for it.
        response.wait.wait_id = key
        response.wait.callback_token = token
        response.wait.callback_url = f"http://localhost.invalid/v1/callbacks/{token}"
        if due is not None:
            response.wait.until.FromNanoseconds(int(due * 1e9))
        return response

    def _await(self, key: str, kind: pb.StepKind, wait: step_pb2.WaitSpec) -> float | None:
        """Starts a wait; returns when it is due."""
        due = self._due.get(key)
        if wait.HasField("until"):
            due = message_seconds(wait.until)
        elif wait.HasField("duration") and due is None:
            due = time.time() + message_seconds(wait.duration)
        if due is not None:
            self._due[key] = due
        match kind:
            case pb.STEP_KIND_CHILD:
                self._await_child(key, wait.child_run_id)
                return None
            case pb.STEP_KIND_USER:
                self._spawn(self._ask(key, wait.question, due))
                return due
            case pb.STEP_KIND_SIGNAL:
                if self._take_signal(key, wait.signal_name, due):
                    return due
            case pb.STEP_KIND_CALLBACK:
                if self._take_callback(key, due):
                    return due
            case _:
                if wait.cron and not self._platform.skip_time:
                    self._end(
                        UsageError(
                            f'the run sleeps until the next time of "{wait.cron}", which takes a server '
                            "to tell; use run_locally(workflow, …, skip_time=True)"
                        )
                    )
                    return None
        self._start_timer(key, kind, due)
        return due

    def _start_timer(self, key: str, kind: pb.StepKind, due: float | None) -> None:
        is_sleep = kind == pb.STEP_KIND_SLEEP
        outcome = pb.WAIT_OUTCOME_FIRED if is_sleep else pb.WAIT_OUTCOME_TIMED_OUT
        pause = 0.0 if self._platform.skip_time else max(0.0, (due or 0.0) - time.time())
        self._timers[key] = self._loop.call_later(pause, self._push, key, kind, outcome)

    def _take_signal(self, key: str, name: str, due: float | None) -> bool:
        """Whether the wait is dealt with."""
        queue = self._platform.signals.get(name)
        if queue:
            value = queue.popleft()
            self._taken[key] = (name, value)
            payload = encode(value, f'the signal "{name}"').payload()
            self._push_soon(key, pb.STEP_KIND_SIGNAL, pb.WAIT_OUTCOME_SIGNALLED, payload)
            return True
        if due is None:
            what = f'the run waits for the signal "{name}", which cannot come without a server'
            self._end(_missing(what, "signals", name))
        return due is None

    def _take_callback(self, key: str, due: float | None) -> bool:
        found = _CALLBACK.search(key)
        name = unquote(found[1]) if found else ""
        queue = self._platform.callbacks.get(name)
        if queue:
            payload = encode(queue.popleft(), f'the call of callback "{name}"').payload()
            self._push_soon(key, pb.STEP_KIND_CALLBACK, pb.WAIT_OUTCOME_COMPLETED, payload)
            return True
        if due is None:
            what = (
                f'the run waits for the callback "{name}", which nobody can call without a server'
            )
            self._end(_missing(what, "callbacks", name))
        return due is None

    async def _ask(self, key: str, question: pb.Question, due: float | None) -> None:
        kind = pb.STEP_KIND_USER
        try:
            answer = await self._platform.people.answer(question, key)
        except Exception as error:
            self._end(error)
            return
        if answer is not None:
            payload = encode(answer.value, f'the answer to "{question.prompt}"').payload()
            self._push_soon(key, kind, answer.outcome, payload, answer.details)
        elif due is not None:
            self._start_timer(key, kind, due)
        else:
            what = f'the run asks "{question.prompt}", which nobody can answer without a server'
            self._end(_missing(what, "answers", question.prompt))

    def _await_child(self, key: str, run_id: str) -> None:
        self._child_waits[key] = run_id
        child, _ = self._children[run_id]
        run = self._run

        def ended(task: asyncio.Task[pb.Payload]) -> None:
            if run is not self._run:
                return
            error = asyncio.CancelledError("cancelled") if task.cancelled() else task.exception()
            if error is None:
                self._push(key, pb.STEP_KIND_CHILD, pb.WAIT_OUTCOME_COMPLETED, task.result())
            else:
                failure = to_failure(error)
                self._push(key, pb.STEP_KIND_CHILD, pb.WAIT_OUTCOME_FAILED, failure=failure)

        child.add_done_callback(ended)

    def _push_soon(self, *wait: Any) -> None:
        run = self._run
        self._loop.call_soon(lambda: self._push(*wait) if run is self._run else None)

    def _push(
        self,
        key: str,
        kind: pb.StepKind,
        outcome: pb.WaitOutcome,
        payload: pb.Payload | None = None,
        details: Mapping[str, str] | None = None,
        failure: pb.Failure | None = None,
    ) -> None:
        entry = pb.JournalEntry(
            seq=len(self.entries) + 1,
            type="workflow.wait.resolved",
            step_key=key,
            kind=kind,
            outcome=outcome,
            payload=payload,
            failure=failure,
            details=details or {},
        )
        self.entries.append(entry)
        if self._run is not None:
            self._run.wait_resolved(entry)

    def _close_waits(self, request: worker_pb2.CloseWaitsRequest) -> Message:
        for key in request.step_keys:
            if key in self._timers:
                self._timers[key].cancel()
            taken = self._taken.pop(key, None)
            # It goes back to its place, before what came after it.
            if taken is not None:
                self._platform.signals[taken[0]].appendleft(taken[1])
            child = self._children.get(self._child_waits.get(key, ""))
            if child is not None and child[1]:
                child[0].cancel()
        return worker_pb2.CloseWaitsResponse(directive=_CONTINUE)

    def _completed(self, request: step_pb2.StepCompletedRequest) -> Message:
        seq = self._record("workflow.step.completed", request, payload=request.output)
        return step_pb2.StepCompletedResponse(directive=_CONTINUE, seq=seq)

    def _failed(self, request: step_pb2.StepFailedRequest) -> Message:
        key, failure, policy = request.step_key, request.failure, request.retry_policy
        response = step_pb2.StepFailedResponse(directive=_CONTINUE)
        if request.cancelled:
            response.seq = self._record("workflow.step.cancelled", request)
            return response
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        is_final = (
            failures >= max(1, policy.max_attempts)
            or failure.non_retryable
            or failure.type in policy.non_retryable_types
        )
        if is_final:
            response.seq = self._record("workflow.step.failed", request, failure=failure)
            response.final.action = step_pb2.StepFailedResponse.Final.ACTION_THROW
            return response
        response.seq = self._record("workflow.step.retrying", request, failure=failure)
        wanted = (
            message_seconds(failure.retry_after)
            if failure.HasField("retry_after")
            else _delay_s(policy, failures)
        )
        response.retry.attempt = failures + 1
        response.retry.delay.CopyFrom(duration_message(0.0 if self._platform.skip_time else wanted))
        return response

    def _complete_run(self, request: worker_pb2.CompleteRunRequest) -> Message:
        if not self.outcome.done():
            self.outcome.set_result(request.output)
        return worker_pb2.CompleteRunResponse(directive=_CONTINUE)

    def _fail_run(self, request: worker_pb2.FailRunRequest) -> Message:
        error = None if self._run is None else self._run.error
        self._end(error if isinstance(error, Exception) else error_of(request.failure))
        return worker_pb2.FailRunResponse(directive=_CONTINUE)

    def _end(self, error: Exception) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(error)

    # ── the rest of a link ──

    def flush(self, run_id: str) -> None:
        """Nothing is gathered."""

    def publish(self, run_id: str, fence: int, event: NewEvent, size: int) -> int:
        if self._platform.on_event is not None:
            self._platform.on_event(event.type, decode(event.payload), event.step_key)
        return 0

    def stood_still_since(self, moment: float) -> bool:
        return False

    async def current_tags(self, run_id: str) -> dict[str, str]:
        return {}

    async def journal(self, run_id: str, after_seq: int, to_seq: int) -> list[pb.JournalEntry]:
        return self.entries[after_seq:to_seq]

    async def start_run(
        self, request: StartRunRequest, definition: Definition[Any] | None
    ) -> StartRunResponse:
        if request.run_id not in self._children:
            work = self._platform.start_child(request, definition)
            task = self._loop.create_task(work)
            # It may fail while nobody waits for it.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            ends = request.parent_close_policy != PARENT_CLOSE_POLICY_ABANDON
            self._children[request.run_id] = (task, ends)
        response = StartRunResponse()
        response.run.run_id = request.run_id
        return response

    async def download(self, payload: pb.Payload) -> pb.Payload:
        return payload

    async def upload(self, data: bytes) -> pb.PayloadRef:
        raise UsageError("a run without a server has nowhere to put a payload of that size")

    async def attention(self, run_id: str) -> bool:
        # Nothing is going on beside the run.
        return True

    def released(self, run: HeldRun) -> None:
        if run is self._run:
            self.stop()

    def stop(self) -> None:
        """The run is over: its timers and the children that end with it."""
        self._run = None
        for timer in self._timers.values():
            timer.cancel()
        for child, ends in self._children.values():
            if ends:
                child.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _delay_s(policy: pb.RetryPolicy, failures: int) -> float:
    if policy.delays:
        return message_seconds(policy.delays[min(failures, len(policy.delays)) - 1])
    first = message_seconds(policy.initial_interval)
    if policy.backoff == pb.BACKOFF_EXPONENTIAL:
        first *= (policy.coefficient or 2) ** (failures - 1)
    elif policy.backoff == pb.BACKOFF_LINEAR:
        first += message_seconds(policy.increment) * (failures - 1)
    most = message_seconds(policy.max_interval) if policy.HasField("max_interval") else first
    return min(first, most)
