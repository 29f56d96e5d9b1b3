"""The durable operations of a workflow."""

from __future__ import annotations

from collections.abc import AsyncIterable
from contextvars import Context as Variables
from typing import Any

from ._context.branches import Branches
from ._context.children import Children
from ._context.compensation import Compensation
from ._context.live import Live
from ._context.people import People
from ._context.steps import Steps
from ._context.values import Values
from ._run.body import StepBody
from ._run.contexts import Contexts
from ._run.events import publish
from ._run.frame import current_frame
from ._run.rest import Rest
from ._run.run import Run
from ._run.stream import Items, Reduce
from ._run.stream_event import StreamEvent
from .errors import UsageError


class Context(Steps, Compensation, Values, Branches, People, Children, Live):
    """A run, as its code sees it.

    Every method finds the scope it is called in by itself (by context variable), so a `ctx` can be used
    in branches, steps and helper functions alike. What waits raises StepFailedError when a step has
    failed finally, and Cancelled when its branch or run ends.
    """


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
        """The same for every attempt of this step, and for no other step ever: hand it to payment or
        model APIs.
        """
        return f"{self._run.facts.run_uid}/{self.step_key}"

    async def stream(self, items: AsyncIterable[Any], *, reduce: Reduce = "join") -> Any:
        """Sends the items of a stream as live output of this step, events under their own types, and returns
        what they reduce to, as the step itself would. Concurrent streams are identified by their content
        index, counted from 1 in the order of the calls; the items that the body itself yields have 0.
        """
        body, parent = self._body, self._here.parent_event_id
        body.streams += 1
        index = body.streams
        stream = Items(reduce, body.operation.name)
        async for item in items:
            taken = stream.take(item)
            event = taken if isinstance(taken, StreamEvent) else StreamEvent("output.delta", taken)
            event.content_index = event.content_index or index
            event.parent = event.parent or parent
            publish(self._run, event, body)
        return stream.result()

    @property
    def cancelled(self) -> bool:
        """The step is to stop. What runs in a thread has to look at this by itself."""
        return self._body.cancelled is not None or self._body.ended or super().cancelled


class _Contexts:
    """What runs get of this layer; see `_run.contexts`."""

    def of_run(self, run: Run) -> Context:
        return Context(run)

    def invoke(self, body: StepBody) -> Any:
        return body.operation.call.invoke(lambda: StepContext(body))

    def rest_of(self, variables: Variables) -> Rest | None:
        frame = variables.get(current_frame)
        return None if frame is None or frame.body is not None else frame.run.deliveries.rest

    def is_flow(self, run: Run, variables: Variables) -> bool:
        frame = variables.get(current_frame)
        return frame is not None and frame.run is run and frame.body is None


contexts: Contexts = _Contexts()


def current_or_none() -> Context | None:
    """The context of the run, or of the step, that the caller is in; None outside of all."""
    frame = current_frame.get()
    if frame is None:
        return None
    return Context(frame.run) if frame.body is None else StepContext(frame.body)


def current() -> Context:
    """The context of the run, or of the step, that the caller is in. Raises UsageError outside of all."""
    context = current_or_none()
    if context is None:
        raise UsageError("there is no run here; call this within a workflow or a step")
    return context
