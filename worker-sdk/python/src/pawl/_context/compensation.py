"""Undoing steps."""

from __future__ import annotations

from typing import Any

from .._run.options import UNSET
from ..duration import Duration
from ..errors import UsageError
from ..retry import RetryLike
from ..step import Recovery
from .base import ContextBase
from .step_call import parse_call, step_call


class Compensation(ContextBase):
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
        """Registers a compensation, which undoes a step if the run later fails, times out or is cancelled:
        `ctx.compensate("cancel flight", cancel, flight)` after the step that booked it. It has the
        parameters of `ctx.step` and is not awaited, because nothing runs yet.

        Compensations run in reverse order, as steps with their own retries and results; like other steps
        they run at least once. One that fails permanently is reported with the run's error, and the others
        still run. Registered before its step, a compensation also runs if the step may have had its effect
        without a record; it must then tolerate that there is nothing to undo.
        """
        own = (key, retry, timeout, recovery, None, version, UNSET)
        name, fn, args, options = parse_call(self._run.step_defaults, name, fn, args, own)
        call = step_call(name, fn, args, kwargs, options)
        scope = self._here.scope
        if scope.inside_step:
            raise UsageError(
                f'ctx.compensate("{name}") inside of a step would be forgotten in a replay; call it in '
                "the workflow, before or after the step"
            )
        self._run.compensations.register(self._claim("compensate:", name, options.key), call)
