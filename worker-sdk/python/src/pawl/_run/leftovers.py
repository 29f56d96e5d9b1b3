"""What the code of a run has left behind when it returns: steps that it began and did not await, which
the run's end waits for; and steps that it asked for and never awaited, which are errors.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    from .keys import Claim
    from .operation import Operation
    from .run import Run

# As many turns of the event loop may lie between a result and the end of the task that waits for it.
_TURNS = 12


class Asked:
    """Steps and children that were asked for and have not started."""

    def __init__(self) -> None:
        # Kept, since one that is dropped leaves no other trace.
        self._waiting: dict[Claim, tuple[str, Coroutine[Any, Any, Any]]] = {}

    def add(
        self, claim: Claim, what: str, work: Coroutine[Any, Any, Any]
    ) -> Coroutine[Any, Any, Any]:
        # What is asked for inside of a step is executed in no replay: nothing would be found again.
        if not claim.scope.inside_step:
            self._waiting[claim] = (what, work)
        return work

    def begun(self, claim: Claim) -> None:
        self._waiting.pop(claim, None)

    async def settle(self) -> None:
        """Lets tasks begin that were made for them."""
        for _ in range(_TURNS):
            if not self._waiting:
                return
            await asyncio.sleep(0)

    def check(self) -> None:
        """Refuses what was never awaited. What was cancelled before it started is over, too."""
        dropped = [
            each
            for each in self._waiting.values()
            if inspect.getcoroutinestate(each[1]) == inspect.CORO_CREATED
        ]
        self._waiting.clear()
        for _, work in dropped:
            work.close()
        if dropped:
            raise UsageError(
                f"{dropped[0][0]} was not awaited, so it was not executed; await it, or start it with "
                "asyncio.create_task"
            )


def _was_caught(operation: Operation) -> bool:
    """The task that waited for it has gone on."""
    task = operation.task
    return task is not None and (not task.done() or task.cancelled() or task.exception() is None)


async def finish(run: Run) -> None:
    """The code has returned: waits for the steps that it started, and raises what one of them raises
    where its task lets that out.
    """
    # Tasks that were made last begin.
    await asyncio.sleep(0)
    await run.asked.settle()
    while begun := [each for each in run.operations if each.is_step and each.aborted is None]:
        await asyncio.wait([each.future for each in begun])
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        for each in begun:
            error = None if each.future.cancelled() else each.future.exception()
            if error is not None and not _was_caught(each):
                raise error
    run.asked.check()
