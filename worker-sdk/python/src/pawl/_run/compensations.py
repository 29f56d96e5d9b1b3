"""What undoes the steps of a run, should it fail or be cancelled (a saga). The code registers each
compensation where it stands; a replay registers the same ones again, under the same keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import AmbiguousStepKeyError, NonDeterminismError, Suspended

if TYPE_CHECKING:
    from .call import StepCall
    from .run import Run


@dataclass(frozen=True, slots=True)
class CompensationFailure:
    """A compensation that failed for good."""

    name: str
    error: BaseException


class Compensations:
    def __init__(self) -> None:
        self._registered: list[tuple[str, StepCall]] = []

    def register(self, key: str, call: StepCall) -> None:
        self._registered.append((key, call))

    async def run(self, run: Run, error: BaseException) -> list[CompensationFailure]:
        """Runs them, the latest first, as steps that neither the end of the code nor a cancel stops.

        Waits first for what is still under way, so that nothing is undone beside its being done. One
        that fails does not keep the others from running. Returns those that failed; raises Suspended
        once the run has left.
        """
        latest_first = self._registered[::-1]
        self._registered = []
        # A run that stops because code and journal disagree is to go on later.
        goes_on = isinstance(error, NonDeterminismError | AmbiguousStepKeyError)
        if not latest_first or goes_on or run.left:
            return []
        from .step import StepOperation

        await run.settle("the workflow has ended")
        scope = run.root.shield("")
        failures: list[CompensationFailure] = []
        for key, call in latest_first:
            try:
                await StepOperation(run, scope, key, call).wait()
            except Suspended:
                raise
            except BaseException as failure:
                failures.append(CompensationFailure(call.name, failure))
        return failures
