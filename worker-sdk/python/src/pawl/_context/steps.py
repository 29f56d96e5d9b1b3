"""Steps and recorded values."""

from __future__ import annotations

import inspect
import random
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar, overload

from .._run.call import StepCall, function_name
from .._run.keys import Claim, check_name
from .._run.options import DEFAULT, UNSET, StepOptions
from .._run.step import StepOperation
from .._run.stream import Reduce
from ..duration import Duration
from ..errors import UsageError
from ..retry import RetryLike
from ..step import Recovery, Step
from ..v1.common_pb2 import STEP_KIND_VALUE
from .base import ContextBase

R = TypeVar("R")


class Steps(ContextBase):
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
    def step(
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
        """Runs `fn(*args, **kwargs)` and records its result under `name`. In every later execution of the
        run the recorded result is returned, and `fn` does not run:
        `await ctx.step("charge", charge, order)`, or `await ctx.step(charge, order)`.

        A step runs at least once. If the worker crashes after `fn` has returned and before the server has
        recorded the result, `fn` runs again, with a higher `attempt`. Make effects idempotent: pass the
        step context's `idempotency_key`, which is the same for all attempts, to the service that you call.
        For an effect that must not happen twice and has no idempotency key, use
        `recovery="at_most_once"`.

        A digest of the arguments is recorded; if it differs in a replay, the run is paused with
        NON_DETERMINISM. The options are those of `@step`. Raises StepFailedError if the step has failed
        permanently, with the same error in every replay.
        """
        own = (key, retry, timeout, recovery, reduce, version, returns)
        name, fn, args, options = self._parse(name, fn, args, own)
        if inspect.iscoroutine(fn):
            claim = self._claim_step(name, options)
            return self._asked(claim, name, self._run_coroutine(claim, name, fn, options))
        return self._ask(_call(name, fn, args, kwargs, options))

    def _parse(
        self, name: Any, fn: Any, args: tuple[Any, ...], own: tuple[Any, ...]
    ) -> tuple[str, Any, tuple[Any, ...], StepOptions]:
        """The name, function, arguments and options of a call with or without a name."""
        if not isinstance(name, str):
            args = args if fn is None else (fn, *args)
            name, fn = (name.name if isinstance(name, Step) else function_name(name)), name
        check_name("a step", name)
        base = self._run.step_defaults
        if isinstance(fn, Step):
            base = fn.options.over(base)
            fn = fn.fn
        key, retry, timeout, recovery, reduce, version, returns = own
        plain = own[:-1] == (None,) * 6
        options = (
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
        return name, fn, args, options.over(base)

    def compensate(
        self,
        name: Any,
        fn: Any = None,
        /,
        *args: Any,
        key: object = None,
        retry: RetryLike | None = None,
        timeout: Duration | None = None,
        recovery: Recovery | None = None,
        version: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Registers a compensation, which undoes a step if the run later fails, times out or is cancelled:
        `ctx.compensate("cancel flight", cancel, flight)` after the step that booked it. It has the
        parameters of `ctx.step` and is not awaited, because nothing runs yet.

        Compensations run in reverse order, as steps with their own retries and results; like other steps
        they run at least once. One that fails permanently is reported with the run's error, and the others
        still run. Registered before its step, a compensation also runs if the step may have had its effect
        without a record; it must then tolerate that there is nothing to undo.
        """
        own = (key, retry, timeout, recovery, None, version, UNSET)
        name, fn, args, options = self._parse(name, fn, args, own)
        call = _call(name, fn, args, kwargs, options)
        scope = self._here.scope
        if scope.inside_step:
            raise UsageError(
                f'ctx.compensate("{name}") inside of a step would be forgotten in a replay; call it in '
                "the workflow, before or after the step"
            )
        self._run.compensations.register(self._claim("compensate:", name, options.key), call)

    def _claim_step(self, name: str, options: StepOptions) -> Claim:
        return self._claim("", name, options.key)

    async def _run_coroutine(
        self, claim: Claim, name: str, coroutine: Coroutine[Any, Any, Any], options: StepOptions
    ) -> Any:
        """A coroutine has not begun yet, so that a replay can leave it alone; but it runs only once."""
        try:
            if options.retry is not None and options.retry.max_attempts > 1:
                raise UsageError(
                    f'step "{name}" got a coroutine, which can only be run once, and a retry policy; '
                    f'pass the function and its arguments: ctx.step("{name}", fn, arg, …)'
                )
            return await self._run_step(claim, StepCall(name, lambda: coroutine, (), {}, options))
        finally:
            coroutine.close()

    def _ask(self, call: StepCall) -> Coroutine[Any, Any, Any]:
        claim = self._claim_step(call.name, call.options)
        return self._asked(claim, call.name, self._run_step(claim, call))

    def _asked(
        self, claim: Claim, name: str, work: Coroutine[Any, Any, Any]
    ) -> Coroutine[Any, Any, Any]:
        return self._run.asked.add(claim, f'step "{name}"', work)

    async def _run_step(self, claim: Claim, call: StepCall) -> Any:
        self._run.asked.begun(claim)
        return await StepOperation(self._run, claim, call).wait()

    def _value(self, name: str, body: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        claim = self._claim("value:", name, None)
        return self._run_step(claim, StepCall(name, body, (), {}, DEFAULT, STEP_KIND_VALUE))

    def now(self) -> Coroutine[Any, Any, float]:
        """The time in seconds since the epoch, recorded."""

        async def body() -> float:
            return round(time.time() * 1000)

        claim = self._claim("value:", "now", None)
        return self._run_seconds(claim, StepCall("now", body, (), {}, DEFAULT, STEP_KIND_VALUE))

    async def _run_seconds(self, claim: Claim, call: StepCall) -> float:
        ms: float = await self._run_step(claim, call)
        return ms / 1000

    def random(self) -> Coroutine[Any, Any, float]:
        """A random number from 0 to 1, recorded."""

        async def body() -> float:
            return random.random()

        made: Coroutine[Any, Any, float] = self._value("random", body)
        return made

    def uuid(self) -> Coroutine[Any, Any, str]:
        """A random UUID, recorded."""

        async def body() -> str:
            return str(uuid.uuid4())

        made: Coroutine[Any, Any, str] = self._value("uuid", body)
        return made

    def current_tags(self) -> Coroutine[Any, Any, dict[str, str]]:
        """The run's tags by now, recorded; `ctx.tags` are those that it was started with."""

        async def body() -> dict[str, str]:
            return await self._run.link.current_tags(self.run_id)

        made: Coroutine[Any, Any, dict[str, str]] = self._value("tags", body)
        return made


def _call(
    name: str, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: StepOptions
) -> StepCall:
    if not callable(fn):
        raise UsageError(
            f'step "{name}" needs a function to run; it got {type(fn).__name__}: '
            f'ctx.step("{name}", fn, arg, …)'
        )
    return StepCall(name, fn, args, kwargs, options)
