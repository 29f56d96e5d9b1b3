"""Defining steps apart from the workflows that use them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterator
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    TypeVar,
    overload,
)

from ._run.ask import ask_step
from ._run.call import StepCall, function_name, takes_context
from ._run.frame import current_frame
from ._run.keys import check_name
from ._run.options import UNSET, StepOptions
from ._run.stream import Items, Reduce
from .duration import Duration
from .errors import UsageError
from .retry import RetryLike

if TYPE_CHECKING:
    from .context import StepContext

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")
Q = ParamSpec("Q")
Recovery = Literal["retry", "at_most_once"]


class Step(Generic[P, R]):
    """A step, made by `@step`. Await every call, even if its function is not async.

    Inside a run its result is recorded, and every later execution of the run returns the recorded result.
    It runs at least once: after a crash before the result is recorded, it runs again. Anywhere else it
    simply runs. `.fn` is the function itself.
    """

    def __init__(self, fn: Callable[..., Any], name: str | None, options: StepOptions) -> None:
        if isinstance(fn, Step):
            raise UsageError(f'"{fn.name}" is a step already')
        if isinstance(fn, classmethod | staticmethod):
            # Bound when it is looked up.
            name = name or function_name(fn.__func__)
        self.fn = fn
        self.name: str = name or function_name(fn)
        self.options = options
        check_name("a step", self.name)
        functools.update_wrapper(self, fn)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        frame = current_frame.get()
        if frame is None:
            return self._just_run(args, kwargs)
        options = self.options.over(frame.run.step_defaults)
        call = StepCall(self.name, self.fn, args, kwargs, options)
        return ask_step(frame, call)

    @overload
    def __get__(self, instance: None, owner: Any) -> Step[P, R]: ...
    @overload
    def __get__(self: Step[Concatenate[S, Q], R], instance: S, owner: Any = None) -> Step[Q, R]: ...
    def __get__(self, instance: Any, owner: Any = None) -> Step[..., R]:
        """Binds a step that is a method, as any method; its object is not an argument of the step."""
        if instance is None and not isinstance(self.fn, classmethod | staticmethod):
            return self
        return Step(self.fn.__get__(instance, owner), self.name, self.options)

    def __reduce__(self) -> str:
        """Another process finds it where it is defined."""
        return str(getattr(self, "__qualname__", self.name))

    async def _just_run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if takes_context(self.fn):
            raise UsageError(
                f'step "{self.name}" takes a context, which there is only within a run; call '
                f"{self.name}.fn(ctx, …) with one of your own"
            )
        result = self.fn(*args, **kwargs)
        if inspect.isawaitable(result):
            result = await result
        if isinstance(result, AsyncIterable) or inspect.isgenerator(result):
            items = Items(self.options.reduce, self.name)
            if isinstance(result, AsyncIterable):
                async for item in result:
                    items.take(item)
            else:
                for item in result:
                    items.take(item)
            return items.result()
        return result

    def with_options(
        self,
        *,
        key: object = None,
        retry: RetryLike | None = None,
        timeout: Duration | None = None,
        name: str | None = None,
    ) -> Step[P, R]:
        """Returns the same step with other options, such as a key for one iteration of a loop."""
        options = StepOptions.of(key=key, retry=retry, timeout=timeout).over(self.options)
        return Step(self.fn, name or self.name, options)

    def keyed(self, key: object) -> Step[P, R]:
        """Returns the same step with a key: `await charge.keyed(order.id)(order)`."""
        return self.with_options(key=key)

    def __repr__(self) -> str:
        return f"<step {self.name}>"


class _Decorator(Protocol):
    @overload
    def __call__(
        self, fn: Callable[Concatenate[StepContext, P], AsyncIterator[str]], /
    ) -> Step[P, str]: ...
    @overload
    def __call__(
        self, fn: Callable[Concatenate[StepContext, P], AsyncIterator[Any]], /
    ) -> Step[P, Any]: ...
    @overload
    def __call__(
        self, fn: Callable[Concatenate[StepContext, P], Coroutine[Any, Any, R]], /
    ) -> Step[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, AsyncIterator[str]], /) -> Step[P, str]: ...
    @overload
    def __call__(self, fn: Callable[P, AsyncIterator[Any]], /) -> Step[P, Any]: ...
    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, Iterator[Any]], /) -> Step[P, Any]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[StepContext, P], R], /) -> Step[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, R], /) -> Step[P, R]: ...


@overload
def step(fn: Callable[Concatenate[StepContext, P], AsyncIterator[str]], /) -> Step[P, str]: ...
@overload
def step(fn: Callable[Concatenate[StepContext, P], AsyncIterator[Any]], /) -> Step[P, Any]: ...
@overload
def step(fn: Callable[Concatenate[StepContext, P], Coroutine[Any, Any, R]], /) -> Step[P, R]: ...
@overload
def step(fn: Callable[P, AsyncIterator[str]], /) -> Step[P, str]: ...
@overload
def step(fn: Callable[P, AsyncIterator[Any]], /) -> Step[P, Any]: ...
@overload
def step(fn: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...
@overload
def step(fn: Callable[P, Iterator[Any]], /) -> Step[P, Any]: ...
@overload
def step(
    name: str | None = None,
    /,
    *,
    key: object = None,
    retry: RetryLike | None = None,
    timeout: Duration | None = None,
    recovery: Recovery | None = None,
    reduce: Reduce | None = None,
    version: str | None = None,
    returns: Any = UNSET,
) -> _Decorator: ...
@overload
def step(fn: Callable[Concatenate[StepContext, P], R], /) -> Step[P, R]: ...
@overload
def step(fn: Callable[P, R], /) -> Step[P, R]: ...
def step(
    fn: Any = None,
    /,
    *,
    key: object = None,
    retry: RetryLike | None = None,
    timeout: Duration | None = None,
    recovery: Recovery | None = None,
    reduce: Reduce | None = None,
    version: str | None = None,
    returns: Any = UNSET,
) -> Any:
    """Defines a step: `@step`, `@step("name")`, `@step(retry=5)`. The function may be async, a sync or async
    generator, or plain; a plain function runs in a thread. A first parameter named `ctx` receives the
    step's context. A step runs at least once; see `ctx.step`.

    - `key`: distinguishes steps with the same name, such as by an order's id. Default: their order. Set it
      in loops over a list that can change.
    - `retry`: the number of attempts, or a Retry. Default: that of the workflow, else no retry.
    - `timeout`: the time limit of one attempt. An attempt that exceeds it fails and counts for `retry`; a
      plain function continues in its thread, and its result is discarded. Default: that of the workflow,
      else no limit.
    - `recovery`: what happens to a step that was in flight when its worker crashed. `retry` (the default)
      runs it again. `at_most_once` never does: the run is paused until a person decides. Use it only for
      effects that must not happen twice and accept no idempotency key; it costs one more commit per step.
    - `reduce`: how the items that it yields become its result. Default: `join`.
    - `version`: identifies the definition. If a recorded step has another one, the run is paused.
    - `returns`: the type of the result, which is rebuilt in a replay. Default: the annotation.
    """
    options = StepOptions.of(
        key=key,
        retry=retry,
        timeout=timeout,
        recovery=recovery,
        reduce=reduce,
        version=version,
        returns=returns,
    )
    if fn is None or isinstance(fn, str):
        return lambda function: Step(function, fn, options)
    return Step(fn, None, options)
