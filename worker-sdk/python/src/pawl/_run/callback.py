"""A wait for a call from outside. Unlike other waits it has something to say before it is over: the URL
to call. That is asked for in every replay, being a secret that is on no record; the server makes the
same one again. Until user code asks for its result, the run does not wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .._codec.typed import Build, build_as
from ..duration import Duration, duration_message, seconds_of
from ..errors import WaitTimeoutError
from ..v1 import step_pb2 as pb
from ..v1.common_pb2 import STEP_KIND_CALLBACK
from .directives import stop
from .wait import Resolution, WaitCall, WaitOperation
from .waits import MISSING

if TYPE_CHECKING:
    from .keys import Claim
    from .memo import Record
    from .run import Run

T = TypeVar("T")
_Registered = pb.StepStartedResponse.Wait | pb.StepStartedResponse.Replay


def callback_call(
    name: str, timeout: Duration | None, default: Any, build: Build | None
) -> WaitCall:
    def finish(resolution: Resolution) -> Any:
        if resolution.outcome != "timed_out":
            return build_as(build, resolution.value, f'what was sent to the callback "{name}"')
        if default is MISSING:
            raise WaitTimeoutError(f'the callback "{name}"', resolution.step_key)
        return default

    wait = pb.WaitSpec()
    if timeout is not None:
        wait.duration.CopyFrom(duration_message(seconds_of(timeout)))
    return WaitCall(name, STEP_KIND_CALLBACK, wait, finish)


class CallbackOperation(WaitOperation):
    """Its name is free again once its URL is known: what comes after that is a later use."""

    def __init__(self, run: Run, claim: Claim, call: WaitCall) -> None:
        super().__init__(run, claim, call, counts=False)
        self._known: asyncio.Future[_Registered] = run.loop.create_future()
        # The server is asked for its URL, here or by its registration.
        self._is_asked = False
        # What ends the wait before there is a URL ends that too.
        self.future.add_done_callback(self._on_result)

    def _on_result(self, result: asyncio.Future[Any]) -> None:
        error = None if result.cancelled() else result.exception()
        if error is not None and not self._known.done():
            self._known.set_exception(error)
            self._known.exception()

    async def address(self) -> _Registered:
        """Opens it, and waits for its URL."""
        self.open()
        created_seq = self.run.memo.created_seq(self.key)
        if self.recorded or created_seq > 0:
            self._ask_at(created_seq)
        try:
            return await asyncio.shield(self._known)
        finally:
            self._claim.end()

    def begin(self) -> None:
        self._is_asked = True
        super().begin()

    def resolved(self, record: Record) -> None:
        """It may be resolved before it could begin here: another execution has registered it."""
        super().resolved(record)
        if not self._is_asked:
            self._ask_at(self.run.deliveries.last_seq)

    def _ask_at(self, seq: int) -> None:
        """Its URL is known at the place at which it was registered, and its result is handed out later."""
        self._is_asked = True
        self.run.deliveries.push_recorded(seq, self._ask_for_address)

    def _ask_for_address(self) -> Awaitable[None]:
        run = self.run
        asked: asyncio.Future[None] = run.loop.create_future()

        def on_answer(response: pb.StepStartedResponse) -> None:
            run.set_busy(False)
            outcome = response.WhichOneof("outcome")
            if outcome == "wait" or outcome == "replay":
                self._know(response.wait if outcome == "wait" else response.replay)
            elif outcome == "stop":
                stop(run, response.stop.reason, response.stop.fence, self)
            asked.set_result(None)

        run.set_busy(True)
        self.ask(on_answer)
        return asked

    def registered(self, answer: _Registered) -> None:
        run = self.run
        if not self._known.done():
            # Replies come in the order of the journal: after all that came before this one.
            run.deliver(run.deliveries.latest_seq, lambda: self._know(answer))

    def _know(self, answer: _Registered) -> None:
        if not self.run.left and not self._known.done():
            self._known.set_result(answer)


class Callback(Generic[T]):
    """A URL that an outside process calls when it is done."""

    def __init__(self, operation: CallbackOperation, address: _Registered) -> None:
        #: Takes one POST; the same after a crash. Anyone who has it can answer: it needs no key.
        self.url = address.callback_url
        #: The URL's last part.
        self.token = address.callback_token
        #: For `client.answer`, to resolve it by hand.
        self.wait_id = address.wait_id
        self._operation = operation

    async def result(self) -> T:
        """What was posted: decoded JSON, else bytes. Waits without holding a worker."""
        value: T = await asyncio.shield(self._operation.awaited())
        return value
