"""Defining workflows."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

from ._codec.models import json_schema_of
from ._codec.typed import builder, hints_of
from ._lib.text import call_site, well_formed
from ._run.child import ChildOptions
from ._run.frame import current_frame
from ._run.keys import check_name, check_texts
from ._run.options import DEFAULT, StepOptions
from ._run.signature import InputSignature
from .context import Context
from .duration import Duration, duration_message, seconds_of
from .errors import UsageError
from .flow import Concurrency, RateLimit, flow_message
from .retry import RetryLike
from .template import RunIdTemplate
from .v1.common_pb2 import FlowControl, RunTimeouts

P = ParamSpec("P")
R = TypeVar("R")
_LEASE_WAIT_S = 60.0


class Workflow(Generic[P, R]):
    """A workflow, made by `@workflow`.

    If you await it inside a run, it is a child run. If you await it anywhere else, it executes in this
    process as a run of the server, without a worker. If its run id follows from the arguments, calling it
    again after a crash continues the run, and after its end returns the recorded result.
    """

    def __init__(
        self,
        fn: Callable[..., Awaitable[R]],
        *,
        name: str | None,
        id: str | None,
        retry: RetryLike | None,
        step_timeout: Duration | None,
        timeout: Duration | None,
        queue_timeout: Duration | None,
        version: str,
        description: str | None,
        queue: str,
        flow: FlowControl | None,
    ) -> None:
        self.fn = fn
        self.name: str = name or str(getattr(fn, "__name__", ""))
        check_name("a workflow", self.name)
        where = f'of workflow "{self.name}"'
        check_texts({f"the queue {where}": queue, f"the version {where}": version})
        if not inspect.iscoroutinefunction(fn):
            raise UsageError(
                f'workflow "{self.name}" is not a coroutine function; write `async def`, and move blocking '
                "code into steps, which may be plain functions that run in threads"
            )
        self.__name__ = self.name
        self.__doc__ = fn.__doc__
        self.__wrapped__ = fn
        self.version = version
        text = description if description is not None else inspect.getdoc(fn) or ""
        self.description = well_formed(text)
        self.queue = queue
        self.flow = flow
        self.defined_at = call_site()
        self.signature = InputSignature(self.name, fn)
        hint = hints_of(fn).get("return", Any)
        self.build = builder(hint)
        self.input_schema = self.signature.json_schema
        self.output_schema = json_schema_of(hint)
        self.timeouts = _timeouts(timeout, queue_timeout)
        options = StepOptions.of(retry=retry, timeout=step_timeout)
        self.step_defaults = None if options == DEFAULT else options
        self.id_template = None if id is None else RunIdTemplate(id, self.signature.template_names)

    def run_id_of(self, input: Any) -> str | None:
        """What the template makes of an input; None without a template."""
        if self.id_template is None:
            return None
        return self.id_template.render(self.signature.template_values(input))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        frame = current_frame.get()
        if frame is None:
            return self._execute(*args, **kwargs)
        input = self.signature.input_of(args, kwargs)
        return Context(frame.run)._child(self, self.name, input, None, ChildOptions())

    async def _execute(self, *args: P.args, **kwargs: P.kwargs) -> R:
        from .client import Client

        async with Client() as client:
            # After a crash, the lease of the process that is gone holds for some seconds.
            return await client.with_options(lease_wait=_LEASE_WAIT_S).execute(
                self, *args, **kwargs
            )

    def run(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The same from code that is not async: `pipeline.run(source="users")`."""
        import asyncio

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self.__call__(*args, **kwargs))
        raise UsageError(f"an event loop is running here; write `await {self.__name__}(…)`")

    def __repr__(self) -> str:
        return f"<workflow {self.name} of {self.defined_at}>"


def _timeouts(timeout: Duration | None, queue_timeout: Duration | None) -> RunTimeouts | None:
    if timeout is None and queue_timeout is None:
        return None
    timeouts = RunTimeouts()
    if timeout is not None:
        timeouts.run.CopyFrom(duration_message(seconds_of(timeout)))
    if queue_timeout is not None:
        timeouts.queue.CopyFrom(duration_message(seconds_of(queue_timeout)))
    return timeouts


class _Decorator(Protocol):
    @overload
    def __call__(
        self, fn: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]], /
    ) -> Workflow[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> Workflow[P, R]: ...


@overload
def workflow(
    fn: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]], /
) -> Workflow[P, R]: ...
@overload
def workflow(fn: Callable[P, Coroutine[Any, Any, R]], /) -> Workflow[P, R]: ...
@overload
def workflow(
    name: str | None = None,
    /,
    *,
    id: str | None = None,
    retry: RetryLike | None = None,
    step_timeout: Duration | None = None,
    timeout: Duration | None = None,
    queue_timeout: Duration | None = None,
    version: str = "",
    description: str | None = None,
    queue: str = "",
    concurrency: int | Concurrency | None = None,
    rate_limit: RateLimit | None = None,
    fairness_key: str = "",
) -> _Decorator: ...
def workflow(
    fn: Any = None,
    /,
    *,
    id: str | None = None,
    retry: RetryLike | None = None,
    step_timeout: Duration | None = None,
    timeout: Duration | None = None,
    queue_timeout: Duration | None = None,
    version: str = "",
    description: str | None = None,
    queue: str = "",
    concurrency: int | Concurrency | None = None,
    rate_limit: RateLimit | None = None,
    fairness_key: str = "",
) -> Any:
    """Defines a workflow: `@workflow`, `@workflow("name")`, `@workflow(id="order-{order_id}")`.

    The function is async. A first parameter named `ctx` receives the context; the others are the input.

    - `id`: a template that builds the run id from the input, so that starting twice for the same input
      returns the same run. Default: a random id.
    - `retry`: how failed steps are retried unless they have their own `retry`. Default: no retry.
    - `step_timeout`: the time limit of one attempt of each step without a `timeout`. Default: no limit.
    - `timeout`: the time limit of a run, from its start to its end, waits included. Default: no limit,
      because runs may wait for months. A run that exceeds it is cleaned up and fails with RunTimeout.
    - `queue_timeout`: how long a run may wait for its first worker; then it fails. Default: no limit.
    - `version`: the version of the code, shown to people. Runs pinned to a version are only given to
      workers with it.
    - `description`: shown to people. Default: the function's docstring.
    - `queue`: the queue of its runs. Default: `default`.
    - `concurrency`: how many of its runs may run at the same time: a number, or `Concurrency(limit, key)`.
      A run that waits frees its place. Default: no limit. It costs one more transaction per start; to limit
      a single worker, use its `slots`.
    - `rate_limit`: how many of its runs may start in any period: `RateLimit(limit, period, key)`. Default:
      no limit.
    - `fairness_key`: queued runs that `concurrency` holds back are started round-robin across the values of
      this template over the input, such as `{customer.id}`. Default: in their order.

    A run over a limit is QUEUED, holds no worker and starts by itself. A start can replace these limits.
    """
    flow = flow_message(concurrency, rate_limit, fairness_key)

    def define(function: Callable[..., Awaitable[Any]], name: str | None) -> Workflow[..., Any]:
        return Workflow(
            function,
            name=name,
            id=id,
            retry=retry,
            step_timeout=step_timeout,
            timeout=timeout,
            queue_timeout=queue_timeout,
            version=version,
            description=description,
            queue=queue,
            flow=flow,
        )

    if fn is None or isinstance(fn, str):
        return lambda function: define(function, fn)
    return define(fn, None)
