"""How code asks its run for something, at the place where it is."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from ..errors import AmbiguousStepKeyError
from .call import StepCall
from .frame import Frame
from .keys import Claim, Scope
from .run import Run
from .step import StepOperation


def claim_key(
    frame: Frame, namespace: str, name: str, key: str | None, scope: Scope | None = None
) -> Claim:
    """Takes the next key of a name, in the scope that the code is in, or in another one."""
    try:
        return (scope or frame.scope).claim(namespace, name, key)
    except AmbiguousStepKeyError as error:
        # Nothing that user code catches may hide it: on another day it would pass.
        frame.run.end(error)
        raise


def ask_step(frame: Frame, call: StepCall) -> Coroutine[Any, Any, Any]:
    """The key is taken now, and the step begins once the result is awaited."""
    claim = claim_key(frame, "", call.name, call.options.key)
    return frame.run.asked.add(claim, f'step "{call.name}"', run_step(frame.run, claim, call))


async def run_step(run: Run, claim: Claim, call: StepCall) -> Any:
    run.asked.begun(claim)
    return await StepOperation(run, claim, call).wait()
