"""Steps and recorded values."""

from __future__ import annotations

import inspect
import random
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar, overload

from .._run.call import StepCall, function_name
from .._run.keys import check_name
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
        own = (key, retry, timeout, recovery, reduce, version, returns)
        name, fn, args, options = self._parse(name, fn, args, own)
        if inspect.iscoroutine(fn):
            return await self._run_coroutine(name, fn, options)
        return await self._run_step(_call(name, fn, args, kwargs, options))

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
        """Undoes a step, should the run fail or be cancelled later: `ctx.compensate("cancel flight",
        cancel, flight)` after the step that booked it. Called like `ctx.step`, with the same options;
        not awaited, since nothing runs yet.

        Compensations run in reverse, as steps with retries and results of their own, each once, also
        where the worker dies in between. One that fails finally is told with the run's error.
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
        place = self._claim(scope, "compensate:", name, options.key)
        self._run.compensations.register(place, call)

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


def _call(
    name: str, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: StepOptions
) -> StepCall:
    if not callable(fn):
        raise UsageError(
            f'step "{name}" needs a function to run; it got {type(fn).__name__}: '
            f'ctx.step("{name}", fn, arg, …)'
        )
    return StepCall(name, fn, args, kwargs, options)
