"""Children that the code starts and continues beside."""

from __future__ import annotations

import asyncio
from typing import Any, Generic, TypeVar

from .._codec.typed import Build, build_as
from ..errors import RequestError, TerminalError
from ..v1.common_pb2 import STEP_KIND_CHILD
from ..v1.step_pb2 import WaitSpec
from .ask import run_step
from .call import StepCall
from .keys import Claim
from .options import DEFAULT
from .run import Run
from .sending import start_child
from .wait import ChildStart, Resolution, WaitCall, WaitOperation

R = TypeVar("R")


class ChildHandle(Generic[R]):
    """A child run that was started with `ctx.spawn`."""

    def __init__(self, run: Run, claim: Claim, name: str, run_id: str, build: Build | None) -> None:
        self.run_id = run_id
        self._run = run
        self._claim = claim
        self._name = name
        self._build = build
        self._operation: WaitOperation | None = None

    async def result(self) -> R:
        """Waits for the child's end and returns its result; StepFailedError if it failed."""
        value: R
        if self._operation is None:
            self._operation = WaitOperation(self._run, self._claim, self._call())
            value = await self._operation.wait()
        else:
            value = await asyncio.shield(self._operation.future)
        return value

    def _call(self) -> WaitCall:
        def finish(resolution: Resolution) -> Any:
            return build_as(self._build, resolution.value, f'the result of child "{self._name}"')

        wait = WaitSpec(child_run_id=self.run_id)
        return WaitCall(self._name, STEP_KIND_CHILD, wait, finish)


async def spawn_child(
    run: Run, start: Claim, wait: Claim, name: str, child: ChildStart, build: Build | None
) -> ChildHandle[Any]:
    """Starts the child in a step, so that a replay has its run id without asking."""

    async def body() -> str:
        request = await child.request()
        request.parent.run_id = run.run_id
        request.parent.step_key = start.key
        try:
            return (await start_child(run, request, child.definition)).run.run_id
        except RequestError as error:
            raise TerminalError(str(error)) from error

    run_id = str(await run_step(run, start, StepCall(name, body, (), {}, DEFAULT)))
    return ChildHandle(run, wait, name, run_id, build)
