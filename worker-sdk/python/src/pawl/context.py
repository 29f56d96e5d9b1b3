"""What a workflow does through Pawl."""

from __future__ import annotations

import inspect
import random
import threading
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from ._codec.typed import build_as, builder
from ._run import waits
from ._run.body import StepBody
from ._run.branches import Branch, Outcome, map_items, run_branches
from ._run.call import StepCall, function_name
from ._run.child import ChildOptions, child_call, child_input
from ._run.frame import Frame, current_frame
from ._run.keys import Scope, check_name
from ._run.options import DEFAULT, UNSET, StepOptions
from ._run.questions import Approval, Option, QuestionOptions, question_call
from ._run.run import Run
from ._run.step import StepOperation
from ._run.stream import Reduce
from ._run.wait import WaitCall, WaitOperation
from .duration import Duration
from .errors import AmbiguousStepKeyError, UsageError
from .retry import RetryLike
from .step import Recovery, Step
from .v1.common_pb2 import STEP_KIND_VALUE

if TYPE_CHECKING:
    from .workflow import Workflow

T = TypeVar("T")
R = TypeVar("R")
MISSING = waits.MISSING


class Context:
    """A run, as its code sees it.

    Every method finds the scope it is called in by itself (by context variable), so a `ctx` can be used
    in branches, steps and helper functions alike. What waits raises StepFailedError when a step has
    failed finally, and Cancelled when its branch or run ends.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    # ── who and where ──

    @property
    def run_id(self) -> str:
        return self._run.run_id

    @property
    def workflow(self) -> str:
        return self._run.facts.workflow

    @property
    def run_attempt(self) -> int:
        """How often the run has been leased out, from 1."""
        return self._run.facts.attempt

    @property
    def tags(self) -> dict[str, str]:
        return dict(self._run.facts.tags)

    @property
    def session_id(self) -> str:
        return self._run.facts.session_id

    @property
    def user_id(self) -> str:
        return self._run.facts.user_id

    @property
    def traceparent(self) -> str:
        """W3C trace context that the run was started with; may be empty."""
        return self._run.facts.traceparent

    @property
    def cancelled(self) -> bool:
        """The run is being cancelled, or has left this worker."""
        return self._run.cancel_reason is not None or self._run.left

    @property
    def _here(self) -> Frame:
        frame = current_frame.get()
        if frame is not None and frame.run is self._run:
            return frame
        raise UsageError(
            f"the context of run {self.run_id} is used by code that does not run in it; use it "
            "within its workflow and steps only, and in tasks that these started"
        )

    def _claim(self, scope: Scope, namespace: str, name: str, key: str | None) -> str:
        try:
            return scope.claim(namespace, name, key)
        except AmbiguousStepKeyError as error:
            # Nothing that user code catches may hide it: on another day it would pass.
            self._run.end(error)
            raise

    # ── steps ──

    @overload
    async def step(
        self,
        name: str,
        fn: Callable[..., AsyncIterator[str]],
        /,
        *args: Any,
        key: object = None,
        retry: RetryLike | None = None,
        timeout: Duration | None = None,
        recovery: Recovery | None = None,
        version: str | None = None,
        **kwargs: Any,
    ) -> str: ...
    @overload
    async def step(
        self,
        name: str,
        fn: Callable[..., Coroutine[Any, Any, R]] | Coroutine[Any, Any, R],
        /,
        *args: Any,
        key: object = None,
        retry: RetryLike | None = None,
        timeout: Duration | None = None,
        recovery: Recovery | None = None,
        version: str | None = None,
        returns: Any = UNSET,
        **kwargs: Any,
    ) -> R: ...
    @overload
    async def step(
        self,
        name: str,
        fn: Callable[..., R],
        /,
        *args: Any,
        key: object = None,
        retry: RetryLike | None = None,
        timeout: Duration | None = None,
        recovery: Recovery | None = None,
        version: str | None = None,
        returns: Any = UNSET,
        **kwargs: Any,
    ) -> R: ...
    @overload
    async def step(
        self, name: str, fn: Callable[..., Any], /, *args: Any, reduce: Reduce, **kwargs: Any
    ) -> Any: ...
    @overload
    async def step(
        self, fn: Callable[..., Coroutine[Any, Any, R]], /, *args: Any, **kwargs: Any
    ) -> R: ...
    @overload
    async def step(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> R: ...
    async def step(
        self,
        name: Any,
        fn: Any = None,
        /,
        *args: Any,
        key: object = None,
        retry: RetryLike | None = None,
        timeout: Duration | None = None,
        recovery: Recovery | None = None,
        reduce: Reduce | None = None,
        version: str | None = None,
        returns: Any = UNSET,
        **kwargs: Any,
    ) -> Any:
        """Runs `fn(*args, **kwargs)` once and records its result under `name`; from then on the result
        is replayed: `await ctx.step("charge", charge, order)`, `await ctx.step(charge, order)`.

        Arguments are digested, and may not change in a replay. The options are those of `@step`.
        """
        if not isinstance(name, str):
            args = args if fn is None else (fn, *args)
            name, fn = (name.name if isinstance(name, Step) else function_name(name)), name
        check_name("a step", name)
        base = self._run.step_defaults
        if isinstance(fn, Step):
            base = fn.options.over(base)
            fn = fn.fn
        plain = (key, retry, timeout, recovery, reduce, version) == (None,) * 6
        own = (
            DEFAULT
            if plain and returns is UNSET
            else StepOptions.of(
                key=key,
                retry=retry,
                timeout=timeout,
                recovery=recovery,
                reduce=reduce,
                version=version,
                returns=returns,
            )
        )
        options = own.over(base)
        if inspect.iscoroutine(fn):
            return await self._run_coroutine(name, fn, options)
        if not callable(fn):
            raise UsageError(
                f'step "{name}" needs a function to run; it got {type(fn).__name__}: '
                f'ctx.step("{name}", fn, arg, …)'
            )
        return await self._run_step(StepCall(name, fn, args, kwargs, options))

    async def _run_coroutine(
        self, name: str, coroutine: Coroutine[Any, Any, Any], options: StepOptions
    ) -> Any:
        """A coroutine has not begun yet, so that a replay can leave it alone; but it runs only once."""
        try:
            if options.retry is not None and options.retry.max_attempts > 1:
                raise UsageError(
                    f'step "{name}" got a coroutine, which can only be run once, and a retry policy; '
                    f'pass the function and its arguments: ctx.step("{name}", fn, arg, …)'
                )
            return await self._run_step(StepCall(name, lambda: coroutine, (), {}, options))
        finally:
            coroutine.close()

    async def _run_step(self, call: StepCall) -> Any:
        scope = self._here.scope
        namespace = "value:" if call.kind == STEP_KIND_VALUE else ""
        key = self._claim(scope, namespace, call.name, call.options.key)
        return await StepOperation(self._run, scope, key, call).wait()

    async def _value(self, name: str, make: Callable[[], Any]) -> Any:
        async def body() -> Any:
            return make()

        return await self._run_step(StepCall(name, body, (), {}, DEFAULT, STEP_KIND_VALUE))

    async def now(self) -> float:
        """The time in seconds since the epoch, recorded."""
        recorded: float = await self._value("now", lambda: round(time.time() * 1000))
        return recorded / 1000

    async def random(self) -> float:
        """A random number from 0 to 1, recorded."""
        number: float = await self._value("random", random.random)
        return number

    async def uuid(self) -> str:
        """A random UUID, recorded."""
        text: str = await self._value("uuid", lambda: str(uuid.uuid4()))
        return text

    # ── branches ──

    @overload
    async def gather(self, *branches: Branch[T]) -> list[T]: ...
    @overload
    async def gather(self, **branches: Branch[Any]) -> dict[str, Any]: ...
    async def gather(self, *branches: Any, **named: Any) -> Any:
        """Runs branches side by side, each in a scope of its own: coroutines, or functions that make
        them. The results come as a list, or by name: `await ctx.gather(db=load(), api=fetch())`.

        When one fails the others are ended, and its error is raised once they have settled.
        """
        return await self._branches("gather", branches, named)

    #: The same under the name that some know it by.
    parallel = gather

    @overload
    async def settle(self, *branches: Branch[T]) -> list[Outcome[T]]: ...
    @overload
    async def settle(self, **branches: Branch[Any]) -> dict[str, Outcome[Any]]: ...
    async def settle(self, *branches: Any, **named: Any) -> Any:
        """Runs branches side by side and tells of each how it ended."""
        return await self._branches("settle", branches, named)

    async def race(self, *branches: Branch[T], **named: Branch[T]) -> T:
        """The first branch to end decides; the others are ended."""
        all_ = {**{str(i): branch for i, branch in enumerate(branches)}, **named}
        winner: T = (await run_branches(self._here, "race", all_))[""]
        return winner

    async def _branches(self, mode: Any, branches: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if branches and named:
            raise UsageError(f"ctx.{mode} takes branches with names, or without, but not both")
        if named:
            return await run_branches(self._here, mode, named)
        numbered = {str(i): branch for i, branch in enumerate(branches)}
        return list((await run_branches(self._here, mode, numbered)).values())

    @overload
    async def map(
        self,
        name: str,
        items: Iterable[T],
        fn: Callable[[T], Awaitable[R]],
        *,
        key: Callable[[T], object] | None = None,
        concurrency: int | None = None,
    ) -> list[R]: ...
    @overload
    async def map(
        self,
        name: str,
        items: Iterable[T],
        fn: Callable[[Context, T], Awaitable[R]],
        *,
        key: Callable[[T], object] | None = None,
        concurrency: int | None = None,
    ) -> list[R]: ...
    async def map(
        self,
        name: str,
        items: Iterable[Any],
        fn: Callable[..., Any],
        *,
        key: Callable[[Any], object] | None = None,
        concurrency: int | None = None,
    ) -> list[Any]:
        """Runs `fn(item)` for each item, side by side, each in a scope of its own, so that the names of
        its steps are its own. The results are in the order of the items.

        - `key` names each item's scope, so that its steps stay its own when the list changes. Default:
          the item's index. Unique within the list.
        - `concurrency`: items under way at the same time. Default: all.
        """
        check_name("ctx.map", name)
        if not callable(fn):
            raise UsageError(f'ctx.map("{name}", items, fn) needs a function to run for each item')
        return await map_items(self._here, name, items, fn, key, concurrency)

    def scope(self, name: str) -> ScopeBlock:
        """Names the steps in it apart from those around it: `async with ctx.scope("shipping"): …`"""
        check_name("a scope", name)
        return ScopeBlock(self._here, name)

    # ── waits ──

    async def _wait(self, namespace: str, key: str | None, call: WaitCall) -> Any:
        check_name("a wait", call.name)
        scope = self._here.scope
        place = self._claim(scope, namespace, call.name, key)
        return await WaitOperation(self._run, scope, place, call).wait()

    async def sleep(self, duration: Duration, *, name: str = "sleep") -> None:
        """Waits, by the server's clock: `await ctx.sleep("1 day")`. The worker is free meanwhile."""
        await self._wait("sleep:", None, waits.sleep_call(name, duration))

    async def sleep_until(self, moment: datetime, *, name: str = "sleep") -> None:
        """Waits for a moment in time, which needs a time zone."""
        await self._wait("sleep:", None, waits.sleep_until_call(name, moment))

    async def signal(
        self,
        name: str,
        *,
        timeout: Duration | None = None,
        default: Any = MISSING,
        returns: Any = None,
        key: object = None,
    ) -> Any:
        """Waits for a signal, and returns its payload. Signals of one name are taken in their order;
        one that came before is there already.

        At the `timeout` (default: none) it returns `default`, or raises WaitTimeoutError without one.
        `returns` is the payload's type.
        """
        call = waits.signal_call(name, timeout, default)
        payload = await self._wait("signal:", waits.key_of(key), call)
        if payload is default:
            return payload
        return build_as(builder(returns), payload, f'the payload of signal "{name}"')

    @overload
    async def wait_for_user(
        self,
        question: str,
        /,
        *,
        type: Literal["approval"],
        needed: int = 1,
        key: object = None,
        assignees: str | Sequence[str] = (),
        skippable: Literal[False] = False,
        timeout: Duration | None = None,
        reminders: Sequence[Duration] = (),
    ) -> Approval: ...
    @overload
    async def wait_for_user(
        self,
        question: str,
        /,
        *,
        type: Literal["text", "choice"] = "text",
        options: Sequence[Option] = (),
        allow_custom: bool = False,
        key: object = None,
        assignees: str | Sequence[str] = (),
        skippable: Literal[False] = False,
        timeout: Duration | None = None,
        reminders: Sequence[Duration] = (),
    ) -> str: ...
    @overload
    async def wait_for_user(
        self, question: str, /, *, key: object = None, **options: Any
    ) -> Any: ...
    async def wait_for_user(self, question: str, /, *, key: object = None, **options: Any) -> Any:
        """Asks people and waits for the answer, for as long as it takes. The question shows in
        `pawl waits` and `client.waits()`; whoever answers first decides.

        - `type`: `text` (the default; the answer is a str, "" is one), `approval` (an `Approval`, true
          when approved), `choice` (a str), `multichoice` (a list), `form` (by `schema`).
        - `options`: to choose from: texts, or pairs of the answer and what people read. `allow_custom`:
          other answers are possible too.
        - `schema`: of a form: a pydantic model, or JSON Schema as a dict.
        - `needed`: how many different people must approve; one rejection ends it. Default: 1.
        - `assignees`: who may answer, by name or role. Default: anybody.
        - `skippable`: somebody may decline to answer; the result is None then.
        - `timeout`: how long to wait (default: for ever); then it returns `default`, or raises
          WaitTimeoutError without one. WaitCancelledError: somebody cancelled the question.
        - `reminders`: when to remind, counted from the asking. At most 20.
        - `key`: names this question apart from its text, so that the text can change while it is open.
        """
        unknown = options.keys() - {field.name for field in fields(QuestionOptions)}
        if unknown:
            raise UsageError(
                f"ctx.wait_for_user has no option {', '.join(sorted(unknown))}; its options are "
                f"{', '.join(field.name for field in fields(QuestionOptions))} and key"
            )
        name = waits.key_of(key)
        call = question_call(question, name, QuestionOptions(**options))
        return await self._wait("user:", name, call)

    @overload
    async def child(
        self,
        workflow: Workflow[..., R],
        /,
        *args: Any,
        run_id: str | None = None,
        key: object = None,
        queue: str = "",
        priority: int | None = None,
        tags: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> R: ...
    @overload
    async def child(
        self,
        workflow: str,
        input: Any = None,
        /,
        *,
        run_id: str | None = None,
        key: object = None,
        queue: str = "",
        priority: int | None = None,
        tags: dict[str, str] | None = None,
    ) -> Any: ...
    async def child(
        self,
        workflow: Workflow[..., Any] | str,
        /,
        *args: Any,
        run_id: str | None = None,
        key: object = None,
        queue: str = "",
        priority: int | None = None,
        tags: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Starts a child run and waits for its result. Of a workflow that is known by its name only,
        the input is the one argument.

        - `run_id`: by default derived from this run's id and the step's key.
        - `key`: tells children of one workflow apart by what they are about.
        """
        name, input = child_input(workflow, args, kwargs)
        options = ChildOptions(run_id or "", queue, priority, tags or {})
        return await self._run_child(workflow, name, input, waits.key_of(key), options)

    async def _run_child(
        self,
        workflow: Workflow[..., R] | str,
        name: str,
        input: Any,
        key: str | None,
        options: ChildOptions,
    ) -> R:
        scope = self._here.scope
        place = self._claim(scope, "child:", name, key)
        call = child_call(self._run, place, workflow, name, input, options)
        result = await WaitOperation(self._run, scope, place, call).wait()
        build = None if isinstance(workflow, str) else workflow.build
        value: R = build_as(build, result, f'the result of child "{name}"')
        return value

    # ── live output ──

    def emit(self, type: str, data: Any = None) -> None:
        """Sends an event of live output; it is not recorded. From threads, too."""
        check_name("an event type", type)
        body = self._here.body
        if threading.get_ident() == self._run.thread_id:
            self._run.publish(type, data, body)
        else:
            self._run.loop.call_soon_threadsafe(self._run.publish, type, data, body)

    def progress(self, done: float, total: float | None = None, note: str | None = None) -> None:
        data: dict[str, Any] = {"done": done}
        if total is not None:
            data["total"] = total
        if note is not None:
            data["note"] = note
        self.emit("progress", data)

    def log(self, level: str, message: str, data: Any = None) -> None:
        """`level`: debug, info, warn or error."""
        self.emit(
            "log", {"level": level, "message": message, **({} if data is None else {"data": data})}
        )


class StepContext(Context):
    """The context that the body of a step gets."""

    def __init__(self, body: StepBody) -> None:
        super().__init__(body.operation.run)
        self._body = body

    @property
    def step_key(self) -> str:
        return self._body.operation.key

    @property
    def attempt(self) -> int:
        """From 1."""
        return self._body.attempt

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this step: hand it to payment or model APIs."""
        return f"{self.run_id}/{self.step_key}"

    @property
    def cancelled(self) -> bool:
        """The step is to stop. What runs in a thread has to look at this by itself."""
        return self._body.cancelled is not None or self._body.ended or super().cancelled


class ScopeBlock:
    """`async with ctx.scope("name"):`"""

    def __init__(self, frame: Frame, name: str) -> None:
        self._outer = frame
        self._name = name

    async def __aenter__(self) -> None:
        here = self._outer.scope
        inner = here.child(here.claim_segment("scope:", self._name, None))
        self._turn = here.enter()
        self._token = current_frame.set(Frame(self._outer.run, inner, self._outer.body))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        current_frame.reset(self._token)
        self._outer.scope.leave(self._turn)


def current() -> Context:
    """The context of the run, or of the step, that the caller is in."""
    frame = current_frame.get()
    if frame is None:
        raise UsageError("there is no run here; call this within a workflow or a step")
    return Context(frame.run) if frame.body is None else StepContext(frame.body)


def in_run() -> bool:
    """Whether the caller is in a run."""
    return current_frame.get() is not None
