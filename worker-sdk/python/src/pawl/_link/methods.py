"""The calls of the contract: where they go and what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from ..v1 import (
    event_pb2,
    payload_pb2,
    run_pb2,
    signal_pb2,
    step_pb2,
    wait_pb2,
    worker_pb2,
    workflow_pb2,
)

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


@dataclass(frozen=True, slots=True)
class Method(Generic[Request, Response]):
    path: str
    request: type[Request]
    response: type[Response]


_RUN = "/pawl.v1.RunService/"
_STEP = "/pawl.v1.StepService/"
_WORKER = "/pawl.v1.WorkerService/"
_SIGNAL = "/pawl.v1.SignalService/"
_WAIT = "/pawl.v1.WaitService/"

START_RUN = Method(_RUN + "StartRun", run_pb2.StartRunRequest, run_pb2.StartRunResponse)
GET_RUN = Method(_RUN + "GetRun", run_pb2.GetRunRequest, run_pb2.GetRunResponse)
WAIT_RUN = Method(_RUN + "WaitRun", run_pb2.WaitRunRequest, run_pb2.WaitRunResponse)
LIST_RUNS = Method(_RUN + "ListRuns", run_pb2.ListRunsRequest, run_pb2.ListRunsResponse)
GET_JOURNAL = Method(_RUN + "GetJournal", run_pb2.GetJournalRequest, run_pb2.GetJournalResponse)
CANCEL_RUN = Method(_RUN + "CancelRun", run_pb2.CancelRunRequest, run_pb2.CancelRunResponse)
PAUSE_RUN = Method(_RUN + "PauseRun", run_pb2.PauseRunRequest, run_pb2.PauseRunResponse)
RESUME_RUN = Method(_RUN + "ResumeRun", run_pb2.ResumeRunRequest, run_pb2.ResumeRunResponse)
RETRY_RUN = Method(_RUN + "RetryRun", run_pb2.RetryRunRequest, run_pb2.RetryRunResponse)
DELETE_RUN = Method(_RUN + "DeleteRun", run_pb2.DeleteRunRequest, run_pb2.DeleteRunResponse)
UPDATE_TAGS = Method(_RUN + "UpdateTags", run_pb2.UpdateTagsRequest, run_pb2.UpdateTagsResponse)
SEND_SIGNAL = Method(
    _SIGNAL + "SendSignal", signal_pb2.SendSignalRequest, signal_pb2.SendSignalResponse
)
CANCEL_WAIT = Method(_WAIT + "CancelWait", wait_pb2.CancelWaitRequest, wait_pb2.CancelWaitResponse)
ANSWER_WAIT = Method(_WAIT + "AnswerWait", wait_pb2.AnswerWaitRequest, wait_pb2.AnswerWaitResponse)
LIST_WAITS = Method(_WAIT + "ListWaits", wait_pb2.ListWaitsRequest, wait_pb2.ListWaitsResponse)
HEARTBEAT_LEASES = Method(
    _WORKER + "HeartbeatLeases",
    worker_pb2.HeartbeatLeasesRequest,
    worker_pb2.HeartbeatLeasesResponse,
)
LIST_WORKERS = Method(
    _WORKER + "ListWorkers", worker_pb2.ListWorkersRequest, worker_pb2.ListWorkersResponse
)
POLL_WORK = Method(_WORKER + "PollWork", worker_pb2.PollWorkRequest, worker_pb2.PollWorkResponse)
LIST_WORKFLOWS = Method(
    "/pawl.v1.WorkflowService/ListWorkflows",
    workflow_pb2.ListWorkflowsRequest,
    workflow_pb2.ListWorkflowsResponse,
)
GET_PAYLOAD = Method(
    "/pawl.v1.PayloadService/GetPayload",
    payload_pb2.GetPayloadRequest,
    payload_pb2.GetPayloadResponse,
)

# Streams.
ATTACH = Method(
    _WORKER + "Attach",
    worker_pb2.WorkerServiceAttachRequest,
    worker_pb2.WorkerServiceAttachResponse,
)
ATTACH_CLIENT = Method(
    _RUN + "Attach", run_pb2.RunServiceAttachRequest, run_pb2.RunServiceAttachResponse
)
PUT_PAYLOAD = Method(
    "/pawl.v1.PayloadService/PutPayload",
    payload_pb2.PutPayloadRequest,
    payload_pb2.PutPayloadResponse,
)
PUBLISH_EVENTS = Method(
    "/pawl.v1.EventService/PublishEvents",
    event_pb2.PublishEventsRequest,
    event_pb2.PublishEventsResponse,
)
WATCH_RUN = Method(
    "/pawl.v1.EventService/WatchRun", event_pb2.WatchRunRequest, event_pb2.WatchRunResponse
)

#: The requests of a run as calls, by the names of their frames.
BY_FRAME: dict[str, Method[Message, Message]] = {
    name: Method(path, request, response)
    for name, path, request, response in (
        (
            "step_started",
            _STEP + "StepStarted",
            step_pb2.StepStartedRequest,
            step_pb2.StepStartedResponse,
        ),
        (
            "step_completed",
            _STEP + "StepCompleted",
            step_pb2.StepCompletedRequest,
            step_pb2.StepCompletedResponse,
        ),
        (
            "step_failed",
            _STEP + "StepFailed",
            step_pb2.StepFailedRequest,
            step_pb2.StepFailedResponse,
        ),
        (
            "suspend_run",
            _WORKER + "SuspendRun",
            worker_pb2.SuspendRunRequest,
            worker_pb2.SuspendRunResponse,
        ),
        (
            "complete_run",
            _WORKER + "CompleteRun",
            worker_pb2.CompleteRunRequest,
            worker_pb2.CompleteRunResponse,
        ),
        ("fail_run", _WORKER + "FailRun", worker_pb2.FailRunRequest, worker_pb2.FailRunResponse),
        (
            "close_waits",
            _WORKER + "CloseWaits",
            worker_pb2.CloseWaitsRequest,
            worker_pb2.CloseWaitsResponse,
        ),
        (
            "begin_clean_up",
            _WORKER + "BeginCleanUp",
            worker_pb2.BeginCleanUpRequest,
            worker_pb2.BeginCleanUpResponse,
        ),
    )
}
