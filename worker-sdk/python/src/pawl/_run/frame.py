"""Where code is: in which run, scope, and body of a step. Found by context variable."""

from __future__ import annotations

from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .body import StepBody
    from .keys import Scope
    from .run import Run


class Frame:
    """A place in a run: a scope, or the body of a step, whose scope is made when it is needed."""

    __slots__ = ("_scope", "body", "run", "span")

    def __init__(
        self, run: Run, scope: Scope | None, body: StepBody | None = None, span: str = ""
    ) -> None:
        self.run = run
        self._scope = scope
        self.body = body
        #: The id of the event that opened the span around it.
        self.span = span

    def in_span(self, id: str) -> Frame:
        return Frame(self.run, self._scope, self.body, id)

    @property
    def parent_event_id(self) -> str:
        """What events that are sent here belong to: the span, or the branch within the step or workflow."""
        if self.span or self._scope is None:
            return self.span
        home = "" if self.body is None else f"{self.body.operation.key}/"
        prefix = self._scope.prefix
        return "" if prefix == home else f"{self.run.run_id}/{prefix[:-1]}"

    @property
    def scope(self) -> Scope:
        if self._scope is not None:
            return self._scope
        return self.run.root if self.body is None else self.body.scope

    def context(self) -> Context:
        """A copy of the current context in which code is here."""
        context = copy_context()
        context.run(current_frame.set, self)
        return context


current_frame: ContextVar[Frame | None] = ContextVar("pawl_frame", default=None)
