"""Starting runs, and looking after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, overload

from ._lib.text import uuid7, well_formed
from ._link.claim import claim, perform
from ._link.framed_calls import FramedPlatform
from ._link.methods import (
    ANSWER_WAIT,
    CANCEL_WAIT,
    LIST_RUNS,
    LIST_WAITS,
    LIST_WORKERS,
    LIST_WORKFLOWS,
    START_RUN,
)
from ._link.platform import default_url
from ._run.keys import check_name, check_text, check_texts
from .duration import Duration, duration_message, seconds_of, timestamp_of
from .errors import RequestError, UsageError
from .flow import Concurrency, Debounce, RateLimit, debounce_message, flow_message
from .handle import WAIT_S, RunHandle, has_ended, outcome_of
from .v1.run_pb2 import ListRunsRequest, StartRunRequest
from .v1.wait_pb2 import AnswerWaitRequest, CancelWaitRequest, ListWaitsRequest
from .v1.worker_pb2 import ListWorkersRequest
from .v1.workflow_pb2 import ListWorkflowsRequest
from .views import RunView, WaitView, WorkerView, run_view, wait_view, worker_view
from .workflow import Workflow

P = ParamSpec("P")
R = TypeVar("R")
_START_OPTIONS = (
    *("run_id", "idempotency_key", "queue", "priority", "version", "session_id", "user_id", "tags"),
    *("timeout", "queue_timeout", "delay", "start_at", "traceparent", "lease_wait"),
    *("concurrency", "rate_limit", "fairness_key", "debounce"),
)
# How long a call is sent again while no server answers.
_RETRY_FOR_S = 15.0


class Client:
    """Starts runs and looks after them. Use it as `async with Client() as client:`, or close it.

    `url`: the server's address, such as http://127.0.0.1:8000. Default: PAWL_GRPC_URL, which is its gRPC
    address, else PAWL_URL, else where `pawl serve` listens on this machine. `retry_for`: how long calls
    are sent again while no server answers. Default: 15 s.
    """

    def __init__(self, url: str | None = None, *, retry_for: Duration = _RETRY_FOR_S) -> None:
        self._url = url or default_url()
        self._retry_for_s = seconds_of(retry_for)
        self._connection: FramedPlatform | None = None

    @property
    def _platform(self) -> FramedPlatform:
        if self._connection is None:
            self._connection = FramedPlatform(self._url, self._retry_for_s)
        return self._connection

    @overload
    async def start(
        self, workflow: Workflow[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> RunHandle[R]: ...
    @overload
    async def start(self, workflow: str, input: Any = None, /) -> RunHandle[Any]: ...
    async def start(self, workflow: Any, /, *args: Any, **kwargs: Any) -> RunHandle[Any]:
        """Starts a run with these arguments and returns its handle. For a workflow given by name, the only
        argument is the input. Use `client.with_options(run_id=…).start(…)` for more options. If a run with
        the same id and input exists, its handle is returned.
        """
        return await self.with_options().start(workflow, *args, **kwargs)

    @overload
    async def run(self, workflow: Workflow[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    async def run(self, workflow: str, input: Any = None, /) -> Any: ...
    async def run(self, workflow: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Starts a run with these arguments, like `start`, and waits for its result; RunFailedError where
        it has none.
        """
        return await self.with_options().run(workflow, *args, **kwargs)

    @overload
    async def execute(
        self, workflow: Workflow[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    async def execute(self, workflow: Workflow[..., R], /, *args: Any, **kwargs: Any) -> R: ...
    async def execute(self, workflow: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Executes a run in this process, without a worker, and returns its result. After a crash, call it
        again with the same run id and arguments, and it continues; after the run has ended, it returns the
        recorded result.
        """
        return await self.with_options().execute(workflow, *args, **kwargs)

    def with_options(
        self,
        *,
        run_id: str = "",
        idempotency_key: str = "",
        queue: str = "",
        priority: int | None = None,
        version: str = "",
        session_id: str = "",
        user_id: str = "",
        tags: Mapping[str, str] | None = None,
        timeout: Duration | None = None,
        queue_timeout: Duration | None = None,
        delay: Duration | None = None,
        start_at: datetime | None = None,
        concurrency: int | Concurrency | None = None,
        rate_limit: RateLimit | None = None,
        fairness_key: str = "",
        debounce: Debounce | None = None,
        traceparent: str = "",
        lease_wait: Duration = 0,
    ) -> Starter:
        """Returns an object that starts runs with these options.

        - `run_id`: 1 to 200 letters, digits and -_.:~%/@. Default: built from the workflow's `id`
          template, else a UUIDv7. Starting an existing id with the same input returns the existing run.
        - `idempotency_key`: instead of a run id: starting again with the same key returns the same run.
        - `queue`: the queue of the run. Default: that of the workflow, else `default`.
        - `priority`: 0 to 9; queued runs with a higher priority start first. Default: 5.
        - `version`: pins the run to a version of the workflow. Default: any version.
        - `session_id`, `user_id`: the user's conversation and the user, for your own use.
        - `tags`: at most 64 tags to find the run by; keys up to 64 bytes, values up to 256.
        - `timeout`: the time limit of the run, waits included; then it is cleaned up and fails. Default:
          that of the workflow.
        - `queue_timeout`: how long the run may wait for its first worker; then it fails. Default: that of
          the workflow.
        - `delay`, `start_at`: the run does not start before this delay has passed, or before this time.
        - `concurrency`, `rate_limit`, `fairness_key`: replace the limits of the workflow; see `workflow`.
        - `debounce`: merges starts with the same key that follow one another closely into one run; see
          `Debounce`. Not together with `run_id`, `idempotency_key`, `delay` or `start_at`.
        - `traceparent`: the W3C trace context of the caller.
        - `lease_wait`: how long `execute` waits while another process executes the run. Default: not at
          all. Use at least 15 s to continue after a crash.
        """
        if run_id and idempotency_key:
            raise UsageError(
                "give either a run_id or an idempotency_key: each of them names the run"
            )
        check_texts(
            {
                "the run id": run_id,
                "the idempotency_key": idempotency_key,
                "the name of the queue": queue,
                "the version": version,
                "the session_id": session_id,
                "the user_id": user_id,
                "the traceparent": traceparent,
            },
            tags,
        )
        if delay is not None and start_at is not None:
            raise UsageError("give either a delay or a start_at")
        request = StartRunRequest(
            run_id=run_id,
            idempotency_key=idempotency_key,
            queue=queue,
            priority=priority,
            version=version,
            session_id=session_id,
            user_id=user_id,
            tags=tags or {},
            traceparent=traceparent,
        )
        if timeout is not None:
            request.timeouts.run.CopyFrom(duration_message(seconds_of(timeout)))
        if queue_timeout is not None:
            request.timeouts.queue.CopyFrom(duration_message(seconds_of(queue_timeout)))
        if delay is not None:
            request.delay.CopyFrom(duration_message(seconds_of(delay)))
        if start_at is not None:
            request.start_at.CopyFrom(timestamp_of(start_at))
        flow = flow_message(concurrency, rate_limit, fairness_key)
        if flow is not None:
            request.flow.CopyFrom(flow)
        if debounce is not None:
            request.debounce.CopyFrom(debounce_message(debounce))
        return Starter(self._platform, request, seconds_of(lease_wait))

    @overload
    def handle(self, run_id: str, workflow: Workflow[..., R]) -> RunHandle[R]: ...
    @overload
    def handle(self, run_id: str) -> RunHandle[Any]: ...
    def handle(self, run_id: str, workflow: Workflow[..., Any] | None = None) -> RunHandle[Any]:
        """Returns a handle for an existing run; `workflow` types its result. It sends no request."""
        check_text("the run id", run_id)
        return RunHandle(self._platform, run_id, workflow, existing=True)

    async def list(
        self,
        *,
        statuses: Sequence[str] = (),
        workflow: str = "",
        tags: Mapping[str, str] | None = None,
        page_size: int = 0,
        page_token: str = "",
        parent_run_id: str = "",
    ) -> tuple[list[RunView], str]:
        """Returns a page of runs, newest first, and the token of the next page, which is empty on the last."""
        check_texts(
            {
                "the name of a workflow": workflow,
                "the page_token": page_token,
                "the parent_run_id": parent_run_id,
            },
            tags,
        )
        request = ListRunsRequest(
            statuses=[f"RUN_STATUS_{status.upper()}" for status in statuses],
            workflow=workflow,
            tags=tags or {},
            page_size=page_size,
            page_token=page_token,
            parent_run_id=parent_run_id,
        )
        response = await self._platform.call(LIST_RUNS, request)
        return [run_view(run) for run in response.runs], response.next_page_token

    async def waits(
        self, *, run_id: str = "", workflow: str = "", assignee: str = "", kinds: Sequence[str] = ()
    ) -> Sequence[WaitView]:
        """Returns up to 500 open waits, oldest first; of all kinds, or of these:
        `sleep`, `signal`, `child`, `user` (questions to people) and `callback`.
        """
        check_texts(
            {
                "the run id": run_id,
                "the name of a workflow": workflow,
                "the assignee": assignee,
            }
        )
        request = ListWaitsRequest(
            run_id=run_id,
            workflow=workflow,
            assignee=assignee,
            kinds=[f"WAIT_KIND_{kind.upper()}" for kind in kinds],
            page_size=500,
        )
        response = await self._platform.call(LIST_WAITS, request)
        return [wait_view(wait) for wait in response.waits]

    async def answer(
        self,
        wait_id: str,
        answer: Any,
        *,
        actor: str = "",
        comment: str = "",
        resolution_id: str | None = None,
    ) -> None:
        """Answers a question, or resolves a callback manually. Idempotent by `resolution_id`.

        RequestError INVALID_ANSWER says what is allowed; WAIT_ALREADY_RESOLVED who was first.
        """
        check_texts({"the wait id": wait_id, "the actor": actor})
        check_text("the resolution_id", resolution_id or "")
        request = AnswerWaitRequest(
            wait_id=wait_id,
            resolution_id=resolution_id or uuid7(),
            answer=await self._platform.payload(answer, "the answer"),
            actor=actor,
            comment=well_formed(comment),
        )
        await self._platform.call(ANSWER_WAIT, request)

    async def skip(self, wait_id: str, *, actor: str = "", comment: str = "") -> None:
        """Declines to answer a question that is `skippable`."""
        check_texts({"the wait id": wait_id, "the actor": actor})
        text = well_formed(comment)
        request = AnswerWaitRequest(
            wait_id=wait_id, resolution_id=uuid7(), skip=True, actor=actor, comment=text
        )
        await self._platform.call(ANSWER_WAIT, request)

    async def cancel_wait(self, wait_id: str, *, actor: str = "", comment: str = "") -> None:
        """Ends a wait of any kind; what waits for it gets WaitCancelledError."""
        check_texts({"the wait id": wait_id, "the actor": actor})
        request = CancelWaitRequest(wait_id=wait_id, actor=actor, comment=well_formed(comment))
        await self._platform.call(CANCEL_WAIT, request)

    async def workflows(self) -> Sequence[str]:
        """The names of the workflows that workers have registered."""
        response = await self._platform.call(LIST_WORKFLOWS, ListWorkflowsRequest())
        return [each.spec.name for each in response.workflows]

    async def workers(self) -> Sequence[WorkerView]:
        """The workers seen recently, connected ones first."""
        response = await self._platform.call(LIST_WORKERS, ListWorkersRequest())
        return [worker_view(worker) for worker in response.workers]

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


class Starter:
    """`client.with_options(…)`: starts runs in the way that was said."""

    def __init__(
        self, platform: FramedPlatform, request: StartRunRequest, lease_wait_s: float
    ) -> None:
        self._platform = platform
        self._request = request
        self._lease_wait_s = lease_wait_s

    async def _complete(
        self, workflow: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> StartRunRequest:
        request = StartRunRequest()
        request.CopyFrom(self._request)
        if isinstance(workflow, str):
            if kwargs or len(args) > 1:
                raise UsageError(
                    f'the workflow "{workflow}" is known by its name only, so it takes one argument: '
                    "its input"
                )
            check_name("a workflow", workflow)
            request.workflow = workflow
            input = args[0] if args else None
        elif isinstance(workflow, Workflow):
            request.workflow = workflow.name
            try:
                input = workflow.signature.input_of(args, kwargs)
            except TypeError as error:
                wrong = [name for name in kwargs if name in _START_OPTIONS]
                if not wrong:
                    raise
                are = "is an option" if len(wrong) == 1 else "are options"
                raise UsageError(
                    f"{error}; {' and '.join(wrong)} {are} of the start, not of the workflow: "
                    f"client.with_options({', '.join(f'{name}=…' for name in wrong)}).start(…)"
                ) from None
            request.queue = request.queue or workflow.queue
            if workflow.timeouts is not None:
                for field, limit in workflow.timeouts.ListFields():
                    if not request.timeouts.HasField(field.name):
                        getattr(request.timeouts, field.name).CopyFrom(limit)
        else:
            raise UsageError(f"this is neither a workflow nor the name of one: {workflow!r}")
        debounced = request.HasField("debounce")
        if not (request.run_id or request.idempotency_key or debounced):
            template = workflow.run_id_of(input) if isinstance(workflow, Workflow) else None
            # Chosen here, so that the request can be sent again without starting a second run.
            request.run_id = template or uuid7()
        what = f'the input of workflow "{request.workflow}"'
        request.input.CopyFrom(await self._platform.payload(input, what))
        return request

    @overload
    async def start(
        self, workflow: Workflow[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> RunHandle[R]: ...
    @overload
    async def start(self, workflow: str, input: Any = None, /) -> RunHandle[Any]: ...
    async def start(self, workflow: Any, /, *args: Any, **kwargs: Any) -> RunHandle[Any]:
        """Starts a run with these arguments, or finds the one that was started so before."""
        request = await self._complete(workflow, args, kwargs)
        response = await self._platform.call(START_RUN, request)
        definition = workflow if isinstance(workflow, Workflow) else None
        return RunHandle(self._platform, response.run.run_id, definition, response.existing)

    @overload
    async def run(self, workflow: Workflow[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    async def run(self, workflow: str, input: Any = None, /) -> Any: ...
    async def run(self, workflow: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Starts a run, or finds the one that was started so before, and waits for its result."""
        request = await self._complete(workflow, args, kwargs)
        run = (await self._platform.start_and_wait(request, WAIT_S)).run
        definition = workflow if isinstance(workflow, Workflow) else None
        if has_ended(run):
            return await outcome_of(self._platform, run, definition)
        return await RunHandle(self._platform, run.run_id, definition, existing=True).result()

    async def execute(self, workflow: Workflow[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Executes the run in this process, and returns its result."""
        request = await self._complete(workflow, args, kwargs)
        response = await claim(self._platform, request, self._lease_wait_s)
        if has_ended(response.run):
            result: R = await outcome_of(self._platform, response.run, workflow)
            return result
        if not response.HasField("claimed"):
            raise RequestError(
                "INTERNAL", "the server gave neither a lease nor an outcome", code=13
            )
        run_id = response.claimed.lease.run_id
        await perform(self._platform, response.claimed, workflow)
        handle = RunHandle(self._platform, run_id, workflow, existing=True)
        info = await handle.get()
        if info.status == "paused":
            raise RequestError(
                "RUN_PAUSED",
                f"the run {run_id} is paused: {info.status_detail or info.status_reason}",
                code=9,
                metadata={"run_id": run_id, "status_reason": info.status_reason},
            )
        # Ended here, or taken over by somebody else.
        return await handle.result()
