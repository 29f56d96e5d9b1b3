"""What undoes the steps of a run, should it fail or be cancelled (a saga). The code registers each
compensation where it stands; a replay registers the same ones again, under the same keys.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ..errors import AmbiguousStepKeyError, NonDeterminismError, RequestError, Suspended
from ..v1.worker_pb2 import BeginCleanUpRequest
from .report import CompensationFailure

if TYPE_CHECKING:
    from .call import StepCall
    from .keys import Claim
    from .run import Run


logger = logging.getLogger("pawl")


class Compensations:
    """Those that are registered, in the order of the code."""

    def __init__(self) -> None:
        self._registered: list[tuple[Claim, StepCall]] = []

    def register(self, claim: Claim, call: StepCall) -> None:
        claim.end()
        self._registered.append((claim, call))

    async def run(
        self,
        run: Run,
        error: BaseException,
        perform: Callable[[Run, Claim, StepCall], Awaitable[object]],
    ) -> list[CompensationFailure]:
        """Runs them, the latest first, as steps that neither the end of the code nor a cancel stops.

        Waits first for what is still under way, so that nothing is undone beside its being done. One
        that fails does not keep the others from running. Returns those that failed; raises Suspended
        once the run has left.
        """
        latest_first = self._registered[::-1]
        self._registered = []
        # A run that stops because code and journal disagree is to continue later.
        goes_on = isinstance(error, NonDeterminismError | AmbiguousStepKeyError)
        if not latest_first or goes_on or run.left:
            return []
        await run.settle("the workflow has ended")
        await self._announce(run, [claim.key for claim, _ in latest_first])
        scope = run.root.shield("")
        failures: list[CompensationFailure] = []
        for claim, call in latest_first:
            # Its key is that of where it was registered.
            claim.scope = scope
            try:
                await perform(run, claim, call)
            except Suspended:
                raise
            except BaseException as failure:
                failures.append(CompensationFailure(call.name, failure))
        return failures

    async def _announce(self, run: Run, keys: list[str]) -> None:
        """Of a run that is being cancelled: what is not done when its clean-up ends can be retried then."""
        pending = [key for key in keys if not run.memo.completed(key)]
        # Once it has started, be it in another life or before the cancel, there is nothing to announce.
        begun = run.memo.cleaning_up or len(pending) < len(keys)
        if run.cancel_reason is None or not pending or begun:
            return
        said: asyncio.Future[None] = run.loop.create_future()
        run.reporting = said

        def message() -> BeginCleanUpRequest:
            return BeginCleanUpRequest(run_id=run.run_id, fence=run.fence, compensations=pending)

        def on_refused(error: RequestError) -> None:
            # They are executed all the same.
            logger.warning("the clean-up of run %s was not announced: %s", run.run_id, error)
            said.set_result(None)

        run.send("begin_clean_up", message, lambda _: said.set_result(None), on_refused)
        await said
