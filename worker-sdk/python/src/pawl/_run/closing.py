"""What a run tells the server about things that its code has given up: waits whose branch has lost or
ended, and attempts of steps that were stopped. Kept until the server has it, since the report of the
run's end may not overtake it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._lib import limits
from ..errors import RequestError
from ..v1.step_pb2 import StepFailedRequest
from ..v1.worker_pb2 import CloseWaitsRequest
from .directives import obey

if TYPE_CHECKING:
    from .run import Run


class Closing:
    def __init__(self, run: Run) -> None:
        self._run = run
        self._keys: list[str] = []
        self._out: set[asyncio.Future[None]] = set()
        # What may have to be closed yet, once the server has answered.
        self._expected: set[asyncio.Future[None]] = set()

    def wait(self, key: str) -> None:
        """The code will never take what this wait brings."""
        if not self._keys:
            # Those of a branch end together.
            self._run.loop.call_soon(self.flush)
        self._keys.append(key)

    def expect(self) -> asyncio.Future[None]:
        """Of a wait that was given up before the server has answered it: done once it has. The run
        does not end before that."""
        answered: asyncio.Future[None] = self._run.loop.create_future()
        self._expected.add(answered)
        answered.add_done_callback(self._expected.discard)
        return answered

    def flush(self) -> None:
        """Before anything else that the run asks for: a later wait may get what these give back."""
        if not self._keys:
            return
        run = self._run
        keys, self._keys = self._keys, []
        if run.left:
            return
        for at in range(0, len(keys), limits.CLOSED_WAITS_MAX):
            some = keys[at : at + limits.CLOSED_WAITS_MAX]

            def message(some: list[str] = some) -> CloseWaitsRequest:
                return CloseWaitsRequest(run_id=run.run_id, fence=run.fence, step_keys=some)

            self._send("close_waits", message)

    def attempt(self, message: Callable[[], StepFailedRequest]) -> None:
        """The attempt of a step was stopped: that is not a failure, and is never retried."""
        self._send("step_failed", message)

    def _send(self, name: Any, message: Any) -> None:
        run = self._run
        done: asyncio.Future[None] = run.loop.create_future()
        self._out.add(done)
        done.add_done_callback(self._out.discard)
        run.set_busy(True)

        def end() -> None:
            if not done.done():
                done.set_result(None)
                run.set_busy(False)

        def on_done(answer: Any) -> None:
            end()
            obey(run, answer.directive)

        def on_refused(_: RequestError) -> None:
            # It concerns nothing that the code still waits for.
            end()

        run.send(name, message, on_done, on_refused)

    async def settled(self) -> None:
        """All of it has reached the server."""
        self.flush()
        while self._out:
            await asyncio.wait(set(self._out))

    async def ended(self) -> None:
        """There is nothing more to come of what was given up: the end of the run can be reported."""
        while self._expected:
            await asyncio.wait(set(self._expected))
        await self.settled()

    def stop(self) -> None:
        """The run has left: nobody will answer any more."""
        self._keys.clear()
        for done in [*self._out, *self._expected]:
            if not done.done():
                done.set_result(None)
