"""The durable operations of a workflow."""

from __future__ import annotations

from ._context.branches import Branches
from ._context.children import Children
from ._context.live import Live
from ._context.people import People
from ._context.steps import Steps
from ._run.body import StepBody
from ._run.frame import current_frame
from .errors import UsageError


class Context(Steps, Branches, People, Children, Live):
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

    @property
    def cancelled(self) -> bool:
        """The step is to stop. What runs in a thread has to look at this by itself."""
        return self._body.cancelled is not None or self._body.ended or super().cancelled


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
