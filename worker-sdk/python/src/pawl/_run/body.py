"""One attempt of a step's body.

It tells the operation once how it went; a body that outlives its timeout, its branch or its run
finds nobody who listens. Coroutine functions run as tasks, everything else in a thread; all of an
attempt in one thread and in one context.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

from .._lib.clock import now_s
from .._lib.limits import START_NOTE_S
from .._lib.loop_watch import LoopWatch
from ..errors import Cancelled, StepTimeoutError
from ..v1.step_pb2 import StepStartedRequest
from .events import publish
from .frame import Frame, current_frame
from .step_messages import start_message
from .stream import Items
from .stream_event import StreamEvent
from .threads import Raised, in_thread

if TYPE_CHECKING:
    from .keys import Scope
    from .step import StepOperation


#: The result of a body that was never started.
_NOT_BEGUN = object()


class StepBody:
    __slots__ = (
        "_allowed",
        "_half",
        "_inner",
        "_started",
        "_task",
        "_timer",
        "attempt",
        "cancelled",
        "ended",
        "in_thread",
        "operation",
        "sequence",
        "streams",
    )

    def __init__(self, operation: StepOperation, attempt: int) -> None:
        self.operation = operation
        self.attempt = attempt
        self.ended = False
        # Why the body is to stop, for bodies in threads to look at.
        self.cancelled: str | None = None
        self.in_thread = False
        # How many deltas this attempt has sent.
        self.sequence = 0
        # How many streams it has besides its own.
        self.streams = 0
        # Of a character that the next item may complete.
        self._half = ""
        self._inner: Scope | None = None
        # When the platform had last allowed it to begin.
        self._allowed = now_s()
        self._started = time.perf_counter()
        self._task: asyncio.Task[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def scope(self) -> Scope:
        """The scope of the steps inside of this one."""
        if self._inner is None:
            self._inner = self.operation.inner_scope()
        return self._inner

    @property
    def latency_ms(self) -> float:
        return (time.perf_counter() - self._started) * 1_000

    @property
    def is_due(self) -> bool:
        return time.perf_counter() - self._started >= START_NOTE_S

    def start_message(self) -> StepStartedRequest:
        return start_message(self.operation)

    def start(self) -> None:
        operation = self.operation
        run, call = operation.run, operation.call
        run.link.note_start(run.run_id, self)
        context = operation.context.copy()
        context.run(current_frame.set, Frame(run, None, self))
        if operation.span is not None:
            operation.span.enter(context)
        self._task = run.loop.create_task(self._perform(), context=context)
        self._task.add_done_callback(self._done)
        if call.options.timeout_s is not None:
            self._timer = run.loop.call_later(call.options.timeout_s, self._time_out)

    async def _perform(self) -> Any:
        """What the body returned, or what it raised as a value: a task lets some exceptions end the
        event loop.
        """
        try:
            return await self._result()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            return Raised(error)

    async def _result(self) -> Any:
        call = self.operation.call
        result: Any = None
        # Other tasks may have arrived first, and the process may have stood still meanwhile.
        if self.operation.run.link.stood_still_since(self._allowed):
            return _NOT_BEGUN
        watch = self.operation.run.watch
        if not call.is_async:
            self.in_thread = True
            try:
                result = await in_thread(lambda: self._in_thread(watch))
            finally:
                self.in_thread = False
            if not isinstance(result, Awaitable | AsyncIterable):
                return result
        watch.begin(self, self.operation.key)
        try:
            if call.is_async:
                result = self.operation.run.contexts.invoke(self)
            if isinstance(result, Awaitable):
                result = await result
            return await self._consume(result) if isinstance(result, AsyncIterable) else result
        finally:
            watch.end(self)

    def _in_thread(self, watch: LoopWatch) -> Any:
        """A plain function, or all of a generator: what it holds is often bound to its thread."""
        if watch.may_have_stood_still_since(self._allowed):
            return _NOT_BEGUN
        call = self.operation.call
        result = self.operation.run.contexts.invoke(self)
        if not inspect.isgenerator(result):
            return result
        loop = self.operation.run.loop
        stream = Items(call.options.reduce, call.name)
        with closing(result) as items:
            for item in items:
                sent = stream.take(item)
                if self.ended or self.cancelled is not None:
                    break
                loop.call_soon_threadsafe(self._publish, sent)
        return stream.result()

    async def _consume(self, items: AsyncIterable[Any]) -> Any:
        call = self.operation.call
        stream = Items(call.options.reduce, call.name)
        try:
            async for item in items:
                if not self._publish(stream.take(item)):
                    break
        finally:
            close: Callable[[], Any] | None = getattr(items, "aclose", None)
            if close is not None:
                await close()
        return stream.result()

    def _publish(self, item: Any) -> bool:
        """False where the attempt is over."""
        if self.ended:
            return False
        try:
            if isinstance(item, str):
                item = self._whole(item)
                if item is None:
                    return True
            event = item if isinstance(item, StreamEvent) else StreamEvent("output.delta", item)
            publish(self.operation.run, event, self)
        except Exception as error:
            # What cannot be sent cannot be recorded either.
            self._fail(error)
            self._stop("it yielded what cannot be recorded")
            return False
        return True

    def _whole(self, text: str) -> str | None:
        """Some models' clients cut texts within a character: a half at the end waits for the other one,
        so that watchers get the characters that the result has. None: there is nothing but a half.
        """
        if self._half:
            text, self._half = self._half + text, ""
        if not text or not "\ud800" <= text[-1] <= "\udbff":
            return text
        self._half = text[-1]
        return text[:-1] or None

    def _done(self, task: asyncio.Task[Any]) -> None:
        # Its context refers to this body: what refers to each other stays until somebody collects it.
        self._task = None
        if task.cancelled():
            self._fail(Cancelled(self.cancelled or "the step cancelled itself"))
            return
        result = task.result()
        if isinstance(result, Raised):
            self._fail(result.error)
        elif result is _NOT_BEGUN:
            if self._leave("the process stood still"):
                self.operation.body_not_begun()
        elif self._leave(f'step "{self.operation.name}" is over'):
            self.operation.body_returned(result, self.latency_ms)

    def _fail(self, error: BaseException) -> None:
        if self._leave(f'an attempt of step "{self.operation.name}" failed'):
            self.operation.body_failed(error, self.latency_ms)

    def _time_out(self) -> None:
        timeout_s = self.operation.call.options.timeout_s or 0
        self._fail(StepTimeoutError(self.operation.call.name, timeout_s))
        self._stop("it took longer than its timeout")

    def _leave(self, reason: str) -> bool:
        """Ends the attempt; False if it had ended before."""
        if self.ended:
            return False
        self._end()
        run = self.operation.run
        if run.left or self.operation.detached:
            return False
        if self._half:
            publish(run, StreamEvent("output.delta", self._half), self)
            self._half = ""
        if self.sequence > 0:
            run.link.flush(run.run_id)
        if self._inner is not None:
            run.close_step_scope(self._inner, reason)
        return True

    def _end(self) -> None:
        self.ended = True
        if self.operation.span is not None:
            self.operation.span.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop(self, reason: str) -> None:
        if self.cancelled is None:
            self.cancelled = reason
        if self._task is not None and not self._task.done():
            self._task.cancel()

    def abort(self, reason: str) -> None:
        """Asks the body to stop. What runs in a thread can only be asked, and is waited for."""
        if self.cancelled is None:
            self.cancelled = reason
        if not self.in_thread and not self._awaits_operation():
            self._stop(reason)

    def _awaits_operation(self) -> bool:
        """Steps inside of it are under way, which are ended themselves and tell the body so."""
        inner = self._inner
        return inner is not None and any(
            operation.scope.is_within(inner) for operation in self.operation.run.operations
        )

    def abandon(self, reason: str) -> None:
        """The run continues without it; what is under way inside of it ends."""
        self._leave(reason)
        self._stop(reason)

    def drop(self, reason: str) -> None:
        """Whatever the body still does, it is not heard."""
        self._end()
        self._stop(reason)
