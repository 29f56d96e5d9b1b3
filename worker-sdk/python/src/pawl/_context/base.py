"""What all parts of a context share: the run, and the place in it that code is at."""

from __future__ import annotations

from .._run.ask import claim_key
from .._run.frame import Frame, current_frame
from .._run.keys import Claim, Scope
from .._run.run import Run
from ..errors import UsageError


class ContextBase:
    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def run_id(self) -> str:
        return self._run.run_id

    @property
    def workflow(self) -> str:
        return self._run.facts.workflow

    @property
    def run_attempt(self) -> int:
        """How many times the run has been leased, counted from 1. It differs between executions."""
        return self._run.facts.attempt

    @property
    def tags(self) -> dict[str, str]:
        return dict(self._run.facts.tags)

    @property
    def session_id(self) -> str:
        return self._run.facts.session_id

    @property
    def user_id(self) -> str:
        return self._run.facts.user_id

    @property
    def traceparent(self) -> str:
        """W3C trace context that the run was started with; may be empty."""
        return self._run.facts.traceparent

    @property
    def cancelled(self) -> bool:
        """The run is being cancelled, or has left this worker."""
        return self._run.cancel_reason is not None or self._run.left

    @property
    def _here(self) -> Frame:
        frame = current_frame.get()
        if frame is not None and frame.run is self._run:
            return frame
        raise UsageError(
            f"the context of run {self.run_id} is used by code that does not run in it; use it "
            "within its workflow and steps only, and in tasks that these started"
        )

    def _claim(
        self, namespace: str, name: str, key: str | None, scope: Scope | None = None
    ) -> Claim:
        """Takes the next key of a name, in the scope that the caller is in."""
        return claim_key(self._here, namespace, name, key, scope)
