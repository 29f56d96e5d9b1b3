"""What the platform wants with a run, as its answers say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lib.words import word
from ..v1.common_pb2 import DIRECTIVE_CONTINUE, DIRECTIVE_PAUSE, DIRECTIVE_YIELD
from ..v1.step_pb2 import StepStartedResponse

if TYPE_CHECKING:
    from .operation import Operation
    from .run import Run


Stop = StepStartedResponse.Stop


def obey(run: Run, directive: int) -> None:
    if directive <= DIRECTIVE_CONTINUE:
        return
    if directive == DIRECTIVE_PAUSE:
        run.pause()
    elif directive == DIRECTIVE_YIELD:
        run.leave("the platform took the run back")
    else:
        # A cancel announces the new fence, which comes with Cancel or the next heartbeat.
        run.spawn(_ask_attention(run))


async def _ask_attention(run: Run) -> None:
    await run.link.attention(run.run_id)


def stop(run: Run, reason: Stop.Reason, fence: int, operation: Operation) -> None:
    """The answer to a start: neither this nor another step is to run."""
    if reason == Stop.REASON_RUN_CANCELLED:
        run.cancel(fence, "")
        # What a cancel does not reach asks again, under the new fence.
        run.admit(operation, operation.begin)
    elif reason == Stop.REASON_RUN_PAUSED:
        run.hold(operation)
        run.pause()
    else:
        run.leave(word(Stop.Reason, reason) or "the lease was lost")
