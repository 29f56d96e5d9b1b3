"""Steps."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar, overload

from .._run.ask import ask_step, run_step
from .._run.call import StepCall
from .._run.keys import Claim
from .._run.options import UNSET, StepOptions
from .._run.stream import Reduce
from ..agent import AgentStream
from ..duration import Duration
from ..errors import UsageError
from ..retry import RetryLike
from ..step import Recovery
from .base import ContextBase
from .step_call import parse_call, step_call

R = TypeVar("R")


class Steps(ContextBase):
    @overload
    async def step(
        self,
        name: str,
        fn: Callable[..., AgentStream[R]],
        /,
        *args: Any,
        key: object = None,
        retry: RetryLike | None = None,
        timeout: Duration | None = None,
        recovery: Recovery | None = None,
        version: str | None = None,
        **kwargs: Any,
    ) -> R: ...
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
        name, fn, args, options = parse_call(self._run.step_defaults, name, fn, args, own)
        if inspect.iscoroutine(fn):
            claim = self._claim("", name, options.key)
            return self._run.asked.add(
                claim, f'step "{name}"', self._run_coroutine(claim, name, fn, options)
            )
        return ask_step(self._here, step_call(name, fn, args, kwargs, options))

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
            return await run_step(
                self._run, claim, StepCall(name, lambda: coroutine, (), {}, options)
            )
        finally:
            coroutine.close()
