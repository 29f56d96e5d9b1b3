"""Runs without a server, for unit tests and scripts."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import Context as Variables
from typing import Any, TypeVar

from ._codec.payload import decode, encode
from ._codec.typed import build_as
from ._lib.text import uuid7
from ._local.link import LocalLink, LocalPlatform
from ._local.people import LocalAnswers, LocalPeople
from ._run.body import StepBody
from ._run.contexts import Contexts
from ._run.definition import Definition
from ._run.rest import Rest
from ._run.run import Run
from .context import Context, contexts
from .errors import UsageError
from .execute import execute
from .v1.common_pb2 import Payload
from .v1.run_pb2 import StartRunRequest
from .v1.worker_pb2 import WorkItem
from .workflow import Workflow

R = TypeVar("R")
_Prepared = Mapping[str, Sequence[Any]]
#: What a child is replaced by: another workflow, or a function of its input.
LocalChild = Workflow[..., Any] | Callable[[Any], Any]


class _FailingContexts:
    """Those of every run; bodies of some steps raise what is prepared for them instead of being executed."""

    def __init__(self, failures: _Prepared) -> None:
        self._failures = {name: deque(errors) for name, errors in failures.items()}

    def of_run(self, run: Run) -> Context:
        made: Context = contexts.of_run(run)
        return made

    def invoke(self, body: StepBody) -> Any:
        prepared = self._failures.get(body.operation.name)
        error = prepared.popleft() if prepared else None
        if error is not None:
            raise error
        return contexts.invoke(body)

    def rest_of(self, variables: Variables) -> Rest | None:
        return contexts.rest_of(variables)

    def is_flow(self, run: Run, variables: Variables) -> bool:
        return contexts.is_flow(run, variables)


class _Local:
    """How a run and its children are executed."""

    def __init__(
        self,
        platform: Callable[[_Local], LocalPlatform],
        children: Mapping[str, LocalChild],
        failures: _Prepared,
    ) -> None:
        self._platform = platform(self)
        self._children = children
        self._contexts: Contexts = _FailingContexts(failures)

    async def run(self, workflow: Definition[Any], input: Payload, run_id: str) -> Payload:
        item = WorkItem(workflow=workflow.name, version=workflow.version, input=input)
        item.lease.run_id = run_id
        item.lease.fence = 1
        item.lease.attempt = 1
        link = LocalLink(self._platform)
        runs: list[Run] = []

        def begin() -> None:
            # A later execution finds what the earlier ones have recorded.
            run = execute(item, workflow, link, link.entries, contexts=self._contexts)
            item.lease.attempt += 1
            runs.append(run)
            link.attach(run)

        link.restart = begin
        begin()
        try:
            return await asyncio.shield(link.outcome)
        except asyncio.CancelledError:
            runs[-1].cancel(0, "it was cancelled")
            await asyncio.wait([link.outcome])
            link.outcome.exception()
            raise
        finally:
            link.stop()
            runs[-1].leave("the local run is over")

    def child(
        self, request: StartRunRequest, definition: Definition[Any] | None
    ) -> Coroutine[Any, Any, Payload]:
        """Executes a child, or what stands in for it; UsageError where there is neither."""
        name = request.workflow
        fake = self._children.get(name, definition)
        if fake is None:
            raise UsageError(
                f'the child "{name}" is known by its name only, which takes a server to find; prepare it: '
                f"run_locally(workflow, …, children={{{name!r}: function or workflow}})"
            )
        if isinstance(fake, Workflow) or not callable(fake):
            return self.run(fake, request.input, request.run_id)
        return _call(fake, request)


async def _call(fake: Callable[[Any], Any], request: StartRunRequest) -> Payload:
    result = fake(decode(request.input))
    result = await result if inspect.isawaitable(result) else result
    return encode(result, f'the result of child "{request.workflow}"').payload()


def _queues(prepared: _Prepared | None) -> dict[str, deque[Any]]:
    return {name: deque(values) for name, values in (prepared or {}).items()}


async def run_locally(
    workflow: Workflow[..., R],
    /,
    *args: Any,
    run_id: str = "",
    skip_time: bool = False,
    signals: _Prepared | None = None,
    answers: LocalAnswers | None = None,
    callbacks: _Prepared | None = None,
    children: Mapping[str, LocalChild] | None = None,
    failures: _Prepared | None = None,
    crashes: Sequence[str] = (),
    on_event: Callable[[str, Any, str], object] | None = None,
    **kwargs: Any,
) -> R:
    """Runs a workflow in this process, without a server: the same keys, results and errors, and nothing is
    kept. For unit tests and scripts: `await run_locally(nightly, "2026-01-01", skip_time=True)`.

    - `run_id`: default: `local-` and a random id.
    - `skip_time`: sleeps, timeouts and delays between attempts are over at once. Default: False.
    - `signals`: signals that have been sent already: payloads by name, in order.
    - `answers`: answers to the questions that the run asks, by question, in order; or a function that is
      asked each `LocalQuestion`.
    - `callbacks`: what outside processes post to the run's callbacks: bodies by name, in order.
    - `children`: what is executed instead of a child, by the child's name: another workflow, or a function
      of its input. A child that is known by its name only needs one.
    - `failures`: what the attempts of a step raise instead of being executed, by the step's name, in order;
      None executes that attempt: `failures={"charge": [ConnectionError("down"), None]}`.
    - `crashes`: names of steps during which the worker crashes once: after the body has run, and before its
      result is recorded. The run then continues from its journal, as on another worker.
    - `on_event`: gets the type, data and step key of each event of live output.

    If the task that awaits this is cancelled, the run is cancelled and cleans up first.
    """

    def platform(local: _Local) -> LocalPlatform:
        return LocalPlatform(
            signals=_queues(signals),
            callbacks=_queues(callbacks),
            people=LocalPeople(answers),
            skip_time=skip_time,
            start_child=local.child,
            on_event=on_event,
            crashes=set(crashes),
        )

    local = _Local(platform, children or {}, failures or {})
    what = f'the input of workflow "{workflow.name}"'
    input = encode(workflow.signature.input_of(args, kwargs), what).payload()
    output = await local.run(workflow, input, run_id or f"local-{uuid7()}")
    result: R = build_as(
        workflow.build, decode(output), f'the result of workflow "{workflow.name}"'
    )
    return result
