"""A request of a run, sent until the platform has answered."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from .._lib.backoff import GrowingPause
from ..errors import RequestError, Suspended
from ..failure import error_message
from ..v1.run_pb2 import StartRunRequest, StartRunResponse
from .definition import Definition
from .link import RequestName

if TYPE_CHECKING:
    from .run import Run

logger = logging.getLogger("pawl")

# Codes of refusals, which the code that sent the request deals with itself: INVALID_ARGUMENT, NOT_FOUND,
# ALREADY_EXISTS, FAILED_PRECONDITION, OUT_OF_RANGE, UNIMPLEMENTED.
_REFUSALS: Final = {3, 5, 6, 9, 11, 12}
# UNKNOWN, INTERNAL, DATA_LOSS: a fault on the other side, which may lie in the request all the same.
_FAULTS: Final = {2, 13, 15}
# How often a request is sent that is answered by a fault: for about half a minute.
_FAULT_TRIES: Final = 20
#: The run is no longer this worker's.
GONE: Final = {"LEASE_LOST", "RUN_TERMINAL", "RUN_PAUSED", "ILLEGAL_TRANSITION"}


class Sending:
    """Nothing is called any more once the run is gone.

    `message` is asked each time, since a cancel may replace the fence meanwhile; so is `may_send`.
    """

    __slots__ = (
        "_faults",
        "_fence",
        "_may_send",
        "_message",
        "_name",
        "_on_done",
        "_on_refused",
        "_pause",
        "_run",
    )

    def __init__(
        self,
        run: Run,
        name: RequestName,
        message: Callable[[], Any],
        on_done: Callable[[Any], None],
        on_refused: Callable[[RequestError], None],
        may_send: Callable[[], bool] | None,
    ) -> None:
        self._run = run
        self._name = name
        self._message = message
        self._on_done = on_done
        self._on_refused = on_refused
        self._may_send = may_send
        self._fence = 0
        self._faults = 0
        self._pause: GrowingPause | None = None

    def attempt(self) -> None:
        run = self._run
        if run.is_gone or (self._may_send is not None and not self._may_send()):
            return
        self._fence = run.fence
        try:
            message = self._message()
        except Exception as error:
            # What cannot be encoded is refused here, as the server would: nobody else is concerned.
            self._on_answer(RequestError("INVALID_ARGUMENT", error_message(error), code=3))
            return
        run.link.request(run.run_id, self._name, message, self._on_answer)

    def _on_answer(self, answer: Any) -> None:
        run = self._run
        if run.is_gone:
            return
        try:
            self._handle(answer)
        except BaseException as error:
            # The caller reads every run's answers: what one of them raises ends that run only.
            run.end(error)

    def _handle(self, answer: Any) -> None:
        run = self._run
        if not isinstance(answer, RequestError):
            self._on_done(answer)
        elif answer.reason in GONE:
            if self._fence != run.fence:
                self.attempt()
            elif answer.reason == "LEASE_LOST":
                run.spawn(self._recheck(answer))
            else:
                run.leave(str(answer))
        elif answer.code in _REFUSALS:
            self._on_refused(answer)
        else:
            self._faults += answer.code in _FAULTS
            if self._faults < _FAULT_TRIES:
                self._again(answer)
            else:
                self._on_refused(answer)

    def _again(self, answer: RequestError) -> None:
        run = self._run
        logger.warning(
            "the platform could not take a report of run %s (%s); it is sent again",
            run.run_id,
            answer.reason,
        )
        self._pause = self._pause or GrowingPause(0.05, 2.0)
        wanted = answer.retry_after_s
        run.loop.call_later(self._pause.next() if wanted is None else wanted, self.attempt)

    async def _recheck(self, answer: RequestError) -> None:
        """A cancel may have replaced the fence without a word: with plain calls nobody is told unasked."""
        run = self._run
        asked = await run.link.attention(run.run_id)
        if self._fence != run.fence:
            self.attempt()
        elif asked:
            run.leave(str(answer))
        else:
            self._again(answer)


async def start_child(
    run: Run, request: StartRunRequest, definition: Definition[Any] | None
) -> StartRunResponse:
    """Starts a child run; Suspended once this run has left."""
    await run.first_recorded()
    await run.closing.settled()
    while True:
        fence = request.parent_fence = run.fence
        try:
            response = await run.link.start_run(request, definition)
        except RequestError as error:
            if run.is_gone:
                raise Suspended from None
            if error.reason not in GONE:
                raise
            if fence == run.fence:
                run.leave(str(error))
                raise Suspended from None
            continue
        if run.is_gone:
            raise Suspended
        return response
