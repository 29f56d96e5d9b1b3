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
