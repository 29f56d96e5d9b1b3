"""A run, from outside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from ._codec.payload import decode
from ._codec.typed import build_as
from ._lib.backoff import GrowingPause
from ._lib.text import uuid7, well_formed
from ._lib.words import word
from ._link import methods
from ._link.platform import Platform
from ._link.status import is_transient
from ._run.keys import check_name, check_text, check_texts
from .duration import Duration, duration_message, seconds_of
from .errors import RequestError, RunFailedError
from .failure import error_of, failure_details
from .v1 import run_pb2 as pb
from .v1.common_pb2 import (
    RUN_STATUS_CANCELLED,
    RUN_STATUS_COMPLETED,
    RUN_STATUS_FAILED,
    RunStatus,
)
from .v1.event_pb2 import EVENT_CLASS_CHECKPOINT, EVENT_CLASS_DELTA, WatchRunRequest
from .v1.signal_pb2 import SendSignalRequest
from .views import EntryView, EventView, RunView, entry_view, event_view, run_view

if TYPE_CHECKING:
    from .workflow import Workflow

R = TypeVar("R")
_ENDED = (RUN_STATUS_COMPLETED, RUN_STATUS_FAILED, RUN_STATUS_CANCELLED)
#: How long one call waits for a result.
WAIT_S = 30.0


def has_ended(run: pb.Run) -> bool:
    return run.status in _ENDED


async def outcome_of(platform: Platform, run: pb.Run, workflow: Workflow[..., Any] | None) -> Any:
    """The result of a run that has ended; RunFailedError where it has none."""
    if run.status == RUN_STATUS_COMPLETED:
        data = decode(await platform.download(run.output))
        build = None if workflow is None else workflow.build
        return build_as(build, data, f"the result of run {run.run_id}")
    failure = run.failure
    status = word(RunStatus, run.status)
    error = RunFailedError(
        failure.message or failure.type or f"the run {run.run_id} is {status}",
        run_id=run.run_id,
        status=status,
        type=failure.type or "Error",
        details=failure_details(failure),
    )
    raise error from error_of(failure)


class Watch(AsyncIterator[EventView]):
    """The events of a run, as they come."""

    def __init__(self, platform: Platform, request: WatchRunRequest) -> None:
        self._platform = platform
        self._request = request
        self._closed = False
        self._reading = False
        self._cancel: Callable[[], object] | None = None
        self._events = self._follow()

    async def __anext__(self) -> EventView:
        self._reading = True
        try:
            return await self._events.__anext__()
        finally:
            self._reading = False

    async def aclose(self) -> None:
        """Ends the watch: also on the server, and also where another task waits for an event."""
        self._closed = True
        if self._cancel is not None:
            self._cancel()
        # A generator that is being read from ends by itself.
        if not self._reading:
            await self._events.aclose()

    def _begun(self, cancel: Callable[[], object]) -> None:
        self._cancel = cancel
        if self._closed:
            cancel()

    async def _follow(self) -> AsyncGenerator[EventView, None]:
        pause = GrowingPause(0.05, 1.0)
        request = self._request
        while not self._is_closed():
            try:
                receive = self._platform.receive_stream
                async for response in receive(methods.WATCH_RUN, request, self._begun):
                    pause.reset()
                    self._goes_on_after(response.cursor)
                    for event in response.events:
                        self._goes_on_after(event.cursor)
                        yield event_view(event)
                return
            except asyncio.CancelledError:
                # The call was cancelled, and not the task.
                if self._is_closed():
                    return
                raise
            except RequestError as error:
                if self._is_closed():
                    return
                if error.reason != "SLOW_CONSUMER" and not is_transient(error):
                    raise
                await asyncio.sleep(pause.next())

    def _is_closed(self) -> bool:
        return self._closed

    def _goes_on_after(self, cursor: str) -> None:
        if cursor:
            self._request.after_cursor = cursor
            self._request.from_now = False


class RunHandle(Generic[R]):
    """A run that was started, or is known by its id."""

    def __init__(
        self,
        platform: Platform,
        run_id: str,
        workflow: Workflow[..., R] | None,
        existing: bool,
    ) -> None:
        self._platform = platform
        self._workflow = workflow
        self.run_id = run_id
        #: It was there before it was started.
        self.existing = existing

    async def get(self) -> RunView:
        request = pb.GetRunRequest(run_id=self.run_id)
        return run_view((await self._platform.call(methods.GET_RUN, request)).run)

    async def result(self, *, timeout: Duration | None = None) -> R:
        """Waits for the end of the run and returns its result; RunFailedError where it has none,
        TimeoutError where it has not ended in time (default: no limit).
        """
        end = None if timeout is None else time.monotonic() + seconds_of(timeout)
        while True:
            left = WAIT_S if end is None else min(WAIT_S, end - time.monotonic())
            wait = duration_message(max(0.0, left))
            request = pb.WaitRunRequest(run_id=self.run_id, timeout=wait)
            run = (await self._platform.call(methods.WAIT_RUN, request)).run
            if has_ended(run):
                result: R = await outcome_of(self._platform, run, self._workflow)
                return result
            if end is not None and time.monotonic() >= end:
                status = word(RunStatus, run.status)
                raise TimeoutError(
                    f"the run {self.run_id} is still {status}"
                    + (f": {run.status_detail}" if run.status_detail else "")
                )

    def watch(
        self,
        *,
        classes: Sequence[Literal["checkpoint", "delta"]] = (),
        after_cursor: str = "",
        from_now: bool = False,
        wait_for_start: bool = False,
        children: bool = False,
    ) -> Watch:
        """Follows the run to its end; connects again, where it was, after a lost connection.

        - `classes`: none: both.
        - `after_cursor`: continues after that event. Default: from the start.
        - `from_now`: only what is new.
        - `wait_for_start`: waits for a run that does not exist yet.
        - `children`: with the events of its children, theirs, and so on; `run_id` tells whose.

        `aclose()` ends it, also while another task waits for the next event.
        """
        check_text("the after_cursor", after_cursor)
        codes = [
            EVENT_CLASS_DELTA if name == "delta" else EVENT_CLASS_CHECKPOINT for name in classes
        ]
        request = WatchRunRequest(
            run_id=self.run_id,
            classes=codes,
            after_cursor=after_cursor,
            from_now=from_now and not after_cursor,
            wait_for_start=wait_for_start,
            include_children=children,
        )
        return Watch(self._platform, request)

    async def cancel(
        self, *, reason: str = "", grace: Duration | None = None, force: bool = False
    ) -> RunView:
        """Ends the run; its worker gets `grace` (default 10 s) to clean up. `force`: at once, without
        a worker and its clean-up.
        """
        request = pb.CancelRunRequest(run_id=self.run_id, reason=well_formed(reason), force=force)
        if grace is not None:
            request.grace.CopyFrom(duration_message(seconds_of(grace)))
        return run_view((await self._platform.call(methods.CANCEL_RUN, request)).run)

    async def pause(self, *, reason: str = "") -> RunView:
        """Stops the run at its next step, until `resume`."""
        request = pb.PauseRunRequest(run_id=self.run_id, reason=well_formed(reason))
        return run_view((await self._platform.call(methods.PAUSE_RUN, request)).run)

    async def resume(self) -> RunView:
        request = pb.ResumeRunRequest(run_id=self.run_id)
        return run_view((await self._platform.call(methods.RESUME_RUN, request)).run)

    async def retry(self) -> RunView:
        """Continues a failed run from its failed step."""
        request = pb.RetryRunRequest(run_id=self.run_id)
        return run_view((await self._platform.call(methods.RETRY_RUN, request)).run)

    async def delete(self) -> None:
        """Deletes the run, which must have ended, with all that belongs to it."""
        await self._platform.call(methods.DELETE_RUN, pb.DeleteRunRequest(run_id=self.run_id))

    async def signal(
        self, name: str, payload: Any = None, *, signal_id: str | None = None, actor: str = ""
    ) -> bool:
        """Puts a signal into the run's inbox; False where the same one (`signal_id`) had come before."""
        check_name("a signal", name)
        check_texts({"the signal_id": signal_id or "", "the actor": actor})
        request = SendSignalRequest(
            run_id=self.run_id,
            name=name,
            signal_id=signal_id or uuid7(),
            payload=await self._platform.payload(payload, f'the payload of signal "{name}"'),
            actor=actor,
        )
        return not (await self._platform.call(methods.SEND_SIGNAL, request)).duplicate

    async def journal(self, after_seq: int = 0) -> AsyncIterator[EntryView]:
        """The journal from its first entry, or after one."""
        async for page in self._platform.journal(self.run_id, after_seq):
            for entry in page:
                yield entry_view(entry)

    async def update_tags(
        self, set: Mapping[str, str] | None = None, remove: Sequence[str] = ()
    ) -> RunView:
        check_texts({}, {**(set or {}), **dict.fromkeys(remove, "")})
        request = pb.UpdateTagsRequest(run_id=self.run_id, set=set or {}, remove=remove)
        return run_view((await self._platform.call(methods.UPDATE_TAGS, request)).run)
