import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from pawl.v1 import access_pb2 as _access_pb2
from pawl.v1 import common_pb2 as _common_pb2
from pawl.v1 import event_pb2 as _event_pb2
from pawl.v1 import step_pb2 as _step_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LeaseStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LEASE_STATUS_UNSPECIFIED: _ClassVar[LeaseStatus]
    LEASE_STATUS_RENEWED: _ClassVar[LeaseStatus]
    LEASE_STATUS_LOST: _ClassVar[LeaseStatus]
    LEASE_STATUS_CANCEL: _ClassVar[LeaseStatus]
    LEASE_STATUS_PAUSE: _ClassVar[LeaseStatus]
LEASE_STATUS_UNSPECIFIED: LeaseStatus
LEASE_STATUS_RENEWED: LeaseStatus
LEASE_STATUS_LOST: LeaseStatus
LEASE_STATUS_CANCEL: LeaseStatus
LEASE_STATUS_PAUSE: LeaseStatus

class WorkflowSpec(_message.Message):
    __slots__ = ("name", "version", "description", "input_schema", "output_schema", "metadata", "flow", "timeouts")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    INPUT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    FLOW_FIELD_NUMBER: _ClassVar[int]
    TIMEOUTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    description: str
    input_schema: str
    output_schema: str
    metadata: _struct_pb2.Struct
    flow: _common_pb2.FlowControl
    timeouts: _common_pb2.RunTimeouts
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., description: _Optional[str] = ..., input_schema: _Optional[str] = ..., output_schema: _Optional[str] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., flow: _Optional[_Union[_common_pb2.FlowControl, _Mapping]] = ..., timeouts: _Optional[_Union[_common_pb2.RunTimeouts, _Mapping]] = ...) -> None: ...

class WorkerInfo(_message.Message):
    __slots__ = ("worker_id", "instance_id", "language", "sdk_version", "build_version", "workflows", "queues", "labels", "slots")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    SDK_VERSION_FIELD_NUMBER: _ClassVar[int]
    BUILD_VERSION_FIELD_NUMBER: _ClassVar[int]
    WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    instance_id: str
    language: str
    sdk_version: str
    build_version: str
    workflows: _containers.RepeatedCompositeFieldContainer[WorkflowSpec]
    queues: _containers.RepeatedScalarFieldContainer[str]
    labels: _containers.ScalarMap[str, str]
    slots: int
    def __init__(self, worker_id: _Optional[str] = ..., instance_id: _Optional[str] = ..., language: _Optional[str] = ..., sdk_version: _Optional[str] = ..., build_version: _Optional[str] = ..., workflows: _Optional[_Iterable[_Union[WorkflowSpec, _Mapping]]] = ..., queues: _Optional[_Iterable[str]] = ..., labels: _Optional[_Mapping[str, str]] = ..., slots: _Optional[int] = ...) -> None: ...

class WorkItem(_message.Message):
    __slots__ = ("lease", "workflow", "version", "input", "journal", "journal_more", "journal_length", "tags", "session_id", "user_id", "parent", "traceparent", "created_at", "cancelling", "confirm_starts", "run_uid", "careful")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    LEASE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_MORE_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_LENGTH_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    CANCELLING_FIELD_NUMBER: _ClassVar[int]
    CONFIRM_STARTS_FIELD_NUMBER: _ClassVar[int]
    RUN_UID_FIELD_NUMBER: _ClassVar[int]
    CAREFUL_FIELD_NUMBER: _ClassVar[int]
    lease: _common_pb2.Lease
    workflow: str
    version: str
    input: _common_pb2.Payload
    journal: _containers.RepeatedCompositeFieldContainer[_common_pb2.JournalEntry]
    journal_more: bool
    journal_length: int
    tags: _containers.ScalarMap[str, str]
    session_id: str
    user_id: str
    parent: _common_pb2.ParentRef
    traceparent: str
    created_at: _timestamp_pb2.Timestamp
    cancelling: bool
    confirm_starts: bool
    run_uid: str
    careful: bool
    def __init__(self, lease: _Optional[_Union[_common_pb2.Lease, _Mapping]] = ..., workflow: _Optional[str] = ..., version: _Optional[str] = ..., input: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ..., journal: _Optional[_Iterable[_Union[_common_pb2.JournalEntry, _Mapping]]] = ..., journal_more: _Optional[bool] = ..., journal_length: _Optional[int] = ..., tags: _Optional[_Mapping[str, str]] = ..., session_id: _Optional[str] = ..., user_id: _Optional[str] = ..., parent: _Optional[_Union[_common_pb2.ParentRef, _Mapping]] = ..., traceparent: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cancelling: _Optional[bool] = ..., confirm_starts: _Optional[bool] = ..., run_uid: _Optional[str] = ..., careful: _Optional[bool] = ...) -> None: ...

class WorkerServiceAttachRequest(_message.Message):
    __slots__ = ("frames",)
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    frames: _containers.RepeatedCompositeFieldContainer[WorkerFrame]
    def __init__(self, frames: _Optional[_Iterable[_Union[WorkerFrame, _Mapping]]] = ...) -> None: ...

class WorkerFrame(_message.Message):
    __slots__ = ("id", "hello", "credits", "dispatch_ack", "nack", "heartbeat", "draining", "pong", "step_started", "step_completed", "step_failed", "suspend_run", "complete_run", "fail_run", "publish_events", "close_waits", "begin_clean_up")
    ID_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    CREDITS_FIELD_NUMBER: _ClassVar[int]
    DISPATCH_ACK_FIELD_NUMBER: _ClassVar[int]
    NACK_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    PONG_FIELD_NUMBER: _ClassVar[int]
    STEP_STARTED_FIELD_NUMBER: _ClassVar[int]
    STEP_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    STEP_FAILED_FIELD_NUMBER: _ClassVar[int]
    SUSPEND_RUN_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_RUN_FIELD_NUMBER: _ClassVar[int]
    FAIL_RUN_FIELD_NUMBER: _ClassVar[int]
    PUBLISH_EVENTS_FIELD_NUMBER: _ClassVar[int]
    CLOSE_WAITS_FIELD_NUMBER: _ClassVar[int]
    BEGIN_CLEAN_UP_FIELD_NUMBER: _ClassVar[int]
    id: int
    hello: Hello
    credits: Credits
    dispatch_ack: DispatchAck
    nack: Nack
    heartbeat: Heartbeat
    draining: Draining
    pong: Pong
    step_started: _step_pb2.StepStartedRequest
    step_completed: _step_pb2.StepCompletedRequest
    step_failed: _step_pb2.StepFailedRequest
    suspend_run: SuspendRunRequest
    complete_run: CompleteRunRequest
    fail_run: FailRunRequest
    publish_events: _event_pb2.PublishEventsRequest
    close_waits: CloseWaitsRequest
    begin_clean_up: BeginCleanUpRequest
    def __init__(self, id: _Optional[int] = ..., hello: _Optional[_Union[Hello, _Mapping]] = ..., credits: _Optional[_Union[Credits, _Mapping]] = ..., dispatch_ack: _Optional[_Union[DispatchAck, _Mapping]] = ..., nack: _Optional[_Union[Nack, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., draining: _Optional[_Union[Draining, _Mapping]] = ..., pong: _Optional[_Union[Pong, _Mapping]] = ..., step_started: _Optional[_Union[_step_pb2.StepStartedRequest, _Mapping]] = ..., step_completed: _Optional[_Union[_step_pb2.StepCompletedRequest, _Mapping]] = ..., step_failed: _Optional[_Union[_step_pb2.StepFailedRequest, _Mapping]] = ..., suspend_run: _Optional[_Union[SuspendRunRequest, _Mapping]] = ..., complete_run: _Optional[_Union[CompleteRunRequest, _Mapping]] = ..., fail_run: _Optional[_Union[FailRunRequest, _Mapping]] = ..., publish_events: _Optional[_Union[_event_pb2.PublishEventsRequest, _Mapping]] = ..., close_waits: _Optional[_Union[CloseWaitsRequest, _Mapping]] = ..., begin_clean_up: _Optional[_Union[BeginCleanUpRequest, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("protocol_version", "capabilities", "worker", "leases")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    worker: WorkerInfo
    leases: _containers.RepeatedCompositeFieldContainer[_common_pb2.Lease]
    def __init__(self, protocol_version: _Optional[int] = ..., capabilities: _Optional[_Iterable[str]] = ..., worker: _Optional[_Union[WorkerInfo, _Mapping]] = ..., leases: _Optional[_Iterable[_Union[_common_pb2.Lease, _Mapping]]] = ...) -> None: ...

class Credits(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class DispatchAck(_message.Message):
    __slots__ = ("run_id", "fence")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    fence: int
    def __init__(self, run_id: _Optional[str] = ..., fence: _Optional[int] = ...) -> None: ...

class Nack(_message.Message):
    __slots__ = ("run_id", "fence", "reason")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    fence: int
    reason: str
    def __init__(self, run_id: _Optional[str] = ..., fence: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("in_flight", "held")
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    in_flight: int
    held: HeldRuns
    def __init__(self, in_flight: _Optional[int] = ..., held: _Optional[_Union[HeldRuns, _Mapping]] = ...) -> None: ...

class HeldRuns(_message.Message):
    __slots__ = ("leases",)
    LEASES_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[_common_pb2.Lease]
    def __init__(self, leases: _Optional[_Iterable[_Union[_common_pb2.Lease, _Mapping]]] = ...) -> None: ...

class Draining(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Pong(_message.Message):
    __slots__ = ("nonce",)
    NONCE_FIELD_NUMBER: _ClassVar[int]
    nonce: int
    def __init__(self, nonce: _Optional[int] = ...) -> None: ...

class WorkerServiceAttachResponse(_message.Message):
    __slots__ = ("frames",)
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    frames: _containers.RepeatedCompositeFieldContainer[ServerFrame]
    def __init__(self, frames: _Optional[_Iterable[_Union[ServerFrame, _Mapping]]] = ...) -> None: ...

class ServerFrame(_message.Message):
    __slots__ = ("welcome", "dispatch", "cancel", "reply", "wait_resolved", "lease_results", "pause", "drain", "ping")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    DISPATCH_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    REPLY_FIELD_NUMBER: _ClassVar[int]
    WAIT_RESOLVED_FIELD_NUMBER: _ClassVar[int]
    LEASE_RESULTS_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    dispatch: Dispatch
    cancel: Cancel
    reply: Reply
    wait_resolved: WaitResolved
    lease_results: LeaseResults
    pause: Pause
    drain: Drain
    ping: Ping
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., dispatch: _Optional[_Union[Dispatch, _Mapping]] = ..., cancel: _Optional[_Union[Cancel, _Mapping]] = ..., reply: _Optional[_Union[Reply, _Mapping]] = ..., wait_resolved: _Optional[_Union[WaitResolved, _Mapping]] = ..., lease_results: _Optional[_Union[LeaseResults, _Mapping]] = ..., pause: _Optional[_Union[Pause, _Mapping]] = ..., drain: _Optional[_Union[Drain, _Mapping]] = ..., ping: _Optional[_Union[Ping, _Mapping]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("connection_id", "lease_time", "heartbeat_interval", "limits", "leases", "server_version")
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_TIME_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    connection_id: str
    lease_time: _duration_pb2.Duration
    heartbeat_interval: _duration_pb2.Duration
    limits: Limits
    leases: _containers.RepeatedCompositeFieldContainer[_common_pb2.Lease]
    server_version: str
    def __init__(self, connection_id: _Optional[str] = ..., lease_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., heartbeat_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., leases: _Optional[_Iterable[_Union[_common_pb2.Lease, _Mapping]]] = ..., server_version: _Optional[str] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("inline_payload", "message", "payload", "step_key", "name", "tags", "open_waits")
    INLINE_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    OPEN_WAITS_FIELD_NUMBER: _ClassVar[int]
    inline_payload: int
    message: int
    payload: int
    step_key: int
    name: int
    tags: int
    open_waits: int
    def __init__(self, inline_payload: _Optional[int] = ..., message: _Optional[int] = ..., payload: _Optional[int] = ..., step_key: _Optional[int] = ..., name: _Optional[int] = ..., tags: _Optional[int] = ..., open_waits: _Optional[int] = ...) -> None: ...

class Dispatch(_message.Message):
    __slots__ = ("item",)
    ITEM_FIELD_NUMBER: _ClassVar[int]
    item: WorkItem
    def __init__(self, item: _Optional[_Union[WorkItem, _Mapping]] = ...) -> None: ...

class Cancel(_message.Message):
    __slots__ = ("run_id", "fence", "reason", "grace")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    GRACE_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    fence: int
    reason: str
    grace: _duration_pb2.Duration
    def __init__(self, run_id: _Optional[str] = ..., fence: _Optional[int] = ..., reason: _Optional[str] = ..., grace: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Reply(_message.Message):
    __slots__ = ("id", "error", "step_started", "step_completed", "step_failed", "suspend_run", "complete_run", "fail_run", "publish_events", "close_waits", "begin_clean_up")
    ID_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    STEP_STARTED_FIELD_NUMBER: _ClassVar[int]
    STEP_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    STEP_FAILED_FIELD_NUMBER: _ClassVar[int]
    SUSPEND_RUN_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_RUN_FIELD_NUMBER: _ClassVar[int]
    FAIL_RUN_FIELD_NUMBER: _ClassVar[int]
    PUBLISH_EVENTS_FIELD_NUMBER: _ClassVar[int]
    CLOSE_WAITS_FIELD_NUMBER: _ClassVar[int]
    BEGIN_CLEAN_UP_FIELD_NUMBER: _ClassVar[int]
    id: int
    error: _common_pb2.ErrorFrame
    step_started: _step_pb2.StepStartedResponse
    step_completed: _step_pb2.StepCompletedResponse
    step_failed: _step_pb2.StepFailedResponse
    suspend_run: SuspendRunResponse
    complete_run: CompleteRunResponse
    fail_run: FailRunResponse
    publish_events: _event_pb2.PublishEventsResponse
    close_waits: CloseWaitsResponse
    begin_clean_up: BeginCleanUpResponse
    def __init__(self, id: _Optional[int] = ..., error: _Optional[_Union[_common_pb2.ErrorFrame, _Mapping]] = ..., step_started: _Optional[_Union[_step_pb2.StepStartedResponse, _Mapping]] = ..., step_completed: _Optional[_Union[_step_pb2.StepCompletedResponse, _Mapping]] = ..., step_failed: _Optional[_Union[_step_pb2.StepFailedResponse, _Mapping]] = ..., suspend_run: _Optional[_Union[SuspendRunResponse, _Mapping]] = ..., complete_run: _Optional[_Union[CompleteRunResponse, _Mapping]] = ..., fail_run: _Optional[_Union[FailRunResponse, _Mapping]] = ..., publish_events: _Optional[_Union[_event_pb2.PublishEventsResponse, _Mapping]] = ..., close_waits: _Optional[_Union[CloseWaitsResponse, _Mapping]] = ..., begin_clean_up: _Optional[_Union[BeginCleanUpResponse, _Mapping]] = ...) -> None: ...

class WaitResolved(_message.Message):
    __slots__ = ("run_id", "fence", "entry")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    fence: int
    entry: _common_pb2.JournalEntry
    def __init__(self, run_id: _Optional[str] = ..., fence: _Optional[int] = ..., entry: _Optional[_Union[_common_pb2.JournalEntry, _Mapping]] = ...) -> None: ...

class LeaseResults(_message.Message):
    __slots__ = ("results", "renewed", "notice")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    RENEWED_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[LeaseResult]
    renewed: int
    notice: bool
    def __init__(self, results: _Optional[_Iterable[_Union[LeaseResult, _Mapping]]] = ..., renewed: _Optional[int] = ..., notice: _Optional[bool] = ...) -> None: ...

class LeaseResult(_message.Message):
    __slots__ = ("run_id", "status", "fence", "expires_at")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    status: LeaseStatus
    fence: int
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, run_id: _Optional[str] = ..., status: _Optional[_Union[LeaseStatus, str]] = ..., fence: _Optional[int] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Pause(_message.Message):
    __slots__ = ("run_id", "fence")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    fence: int
    def __init__(self, run_id: _Optional[str] = ..., fence: _Optional[int] = ...) -> None: ...

class Drain(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Ping(_message.Message):
    __slots__ = ("nonce",)
    NONCE_FIELD_NUMBER: _ClassVar[int]
    nonce: int
    def __init__(self, nonce: _Optional[int] = ...) -> None: ...

class PollWorkRequest(_message.Message):
    __slots__ = ("worker", "max_items", "wait")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    MAX_ITEMS_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    worker: WorkerInfo
    max_items: int
    wait: _duration_pb2.Duration
    def __init__(self, worker: _Optional[_Union[WorkerInfo, _Mapping]] = ..., max_items: _Optional[int] = ..., wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class PollWorkResponse(_message.Message):
    __slots__ = ("items", "lease_time", "heartbeat_interval")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    LEASE_TIME_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[WorkItem]
    lease_time: _duration_pb2.Duration
    heartbeat_interval: _duration_pb2.Duration
    def __init__(self, items: _Optional[_Iterable[_Union[WorkItem, _Mapping]]] = ..., lease_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., heartbeat_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class HeartbeatLeasesRequest(_message.Message):
    __slots__ = ("leases",)
    LEASES_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[_common_pb2.Lease]
    def __init__(self, leases: _Optional[_Iterable[_Union[_common_pb2.Lease, _Mapping]]] = ...) -> None: ...

class HeartbeatLeasesResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[LeaseResult]
    def __init__(self, results: _Optional[_Iterable[_Union[LeaseResult, _Mapping]]] = ...) -> None: ...

class WaitTree(_message.Message):
    __slots__ = ("step_key", "group")
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    step_key: str
    group: WaitGroup
    def __init__(self, step_key: _Optional[str] = ..., group: _Optional[_Union[WaitGroup, _Mapping]] = ...) -> None: ...

class WaitGroup(_message.Message):
    __slots__ = ("members", "needed", "exclusive")
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    NEEDED_FIELD_NUMBER: _ClassVar[int]
    EXCLUSIVE_FIELD_NUMBER: _ClassVar[int]
    members: _containers.RepeatedCompositeFieldContainer[WaitTree]
    needed: int
    exclusive: bool
    def __init__(self, members: _Optional[_Iterable[_Union[WaitTree, _Mapping]]] = ..., needed: _Optional[int] = ..., exclusive: _Optional[bool] = ...) -> None: ...

class NewWait(_message.Message):
    __slots__ = ("step_key", "name", "kind", "wait")
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    step_key: str
    name: str
    kind: _common_pb2.StepKind
    wait: _step_pb2.WaitSpec
    def __init__(self, step_key: _Optional[str] = ..., name: _Optional[str] = ..., kind: _Optional[_Union[_common_pb2.StepKind, str]] = ..., wait: _Optional[_Union[_step_pb2.WaitSpec, _Mapping]] = ...) -> None: ...

class SuspendRunRequest(_message.Message):
    __slots__ = ("run_id", "fence", "waits", "tree", "held", "unconsumed_step_keys")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    WAITS_FIELD_NUMBER: _ClassVar[int]
    TREE_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    UNCONSUMED_STEP_KEYS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    fence: int
    waits: _containers.RepeatedCompositeFieldContainer[NewWait]
    tree: WaitTree
    held: HeldWaits
    unconsumed_step_keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, run_id: _Optional[str] = ..., fence: _Optional[int] = ..., waits: _Optional[_Iterable[_Union[NewWait, _Mapping]]] = ..., tree: _Optional[_Union[WaitTree, _Mapping]] = ..., held: _Optional[_Union[HeldWaits, _Mapping]] = ..., unconsumed_step_keys: _Optional[_Iterable[str]] = ...) -> None: ...

class HeldWaits(_message.Message):
    __slots__ = ("step_keys",)
    STEP_KEYS_FIELD_NUMBER: _ClassVar[int]
    step_keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, step_keys: _Optional[_Iterable[str]] = ...) -> None: ...

class SuspendRunResponse(_message.Message):
    __slots__ = ("resumed", "directive", "resolved")
    RESUMED_FIELD_NUMBER: _ClassVar[int]
    DIRECTIVE_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_FIELD_NUMBER: _ClassVar[int]
    resumed: bool
    directive: _common_pb2.Directive
    resolved: _containers.RepeatedCompositeFieldContainer[_common_pb2.JournalEntry]
    def __init__(self, resumed: _Optional[bool] = ..., directive: _Optional[_Union[_common_pb2.Directive, str]] = ..., resolved: _Optional[_Iterable[_Union[_common_pb2.JournalEntry, _Mapping]]] = ...) -> None: ...

class CompleteRunRequest(_message.Message):
    __slots__ = ("run_id", "fence", "output", "unconsumed_step_keys", "traced")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    UNCONSUMED_STEP_KEYS_FIELD_NUMBER: _ClassVar[int]
    TRACED_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    fence: int
    output: _common_pb2.Payload
    unconsumed_step_keys: _containers.RepeatedScalarFieldContainer[str]
    traced: bool
    def __init__(self, run_id: _Optional[str] = ..., fence: _Optional[int] = ..., output: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ..., unconsumed_step_keys: _Optional[_Iterable[str]] = ..., traced: _Optional[bool] = ...) -> None: ...

class CompleteRunResponse(_message.Message):
    __slots__ = ("directive",)
    DIRECTIVE_FIELD_NUMBER: _ClassVar[int]
    directive: _common_pb2.Directive
    def __init__(self, directive: _Optional[_Union[_common_pb2.Directive, str]] = ...) -> None: ...

class FailRunRequest(_message.Message):
    __slots__ = ("run_id", "fence", "failure", "failed_step_keys", "non_determinism", "traced")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    FAILED_STEP_KEYS_FIELD_NUMBER: _ClassVar[int]
    NON_DETERMINISM_FIELD_NUMBER: _ClassVar[int]
    TRACED_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    fence: int
    failure: _common_pb2.Failure
    failed_step_keys: _containers.RepeatedScalarFieldContainer[str]
    non_determinism: NonDeterminism
    traced: bool
    def __init__(self, run_id: _Optional[str] = ..., fence: _Optional[int] = ..., failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ..., failed_step_keys: _Optional[_Iterable[str]] = ..., non_determinism: _Optional[_Union[NonDeterminism, _Mapping]] = ..., traced: _Optional[bool] = ...) -> None: ...

class NonDeterminism(_message.Message):
    __slots__ = ("step_key", "recorded", "attempted", "likely_cause")
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    RECORDED_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTED_FIELD_NUMBER: _ClassVar[int]
    LIKELY_CAUSE_FIELD_NUMBER: _ClassVar[int]
    step_key: str
    recorded: str
    attempted: str
    likely_cause: str
    def __init__(self, step_key: _Optional[str] = ..., recorded: _Optional[str] = ..., attempted: _Optional[str] = ..., likely_cause: _Optional[str] = ...) -> None: ...

class FailRunResponse(_message.Message):
    __slots__ = ("directive",)
    DIRECTIVE_FIELD_NUMBER: _ClassVar[int]
    directive: _common_pb2.Directive
    def __init__(self, directive: _Optional[_Union[_common_pb2.Directive, str]] = ...) -> None: ...

class CloseWaitsRequest(_message.Message):
    __slots__ = ("run_id", "fence", "step_keys")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    STEP_KEYS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    fence: int
    step_keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, run_id: _Optional[str] = ..., fence: _Optional[int] = ..., step_keys: _Optional[_Iterable[str]] = ...) -> None: ...

class CloseWaitsResponse(_message.Message):
    __slots__ = ("directive",)
    DIRECTIVE_FIELD_NUMBER: _ClassVar[int]
    directive: _common_pb2.Directive
    def __init__(self, directive: _Optional[_Union[_common_pb2.Directive, str]] = ...) -> None: ...

class BeginCleanUpRequest(_message.Message):
    __slots__ = ("run_id", "fence", "compensations")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    COMPENSATIONS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    fence: int
    compensations: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, run_id: _Optional[str] = ..., fence: _Optional[int] = ..., compensations: _Optional[_Iterable[str]] = ...) -> None: ...

class BeginCleanUpResponse(_message.Message):
    __slots__ = ("directive",)
    DIRECTIVE_FIELD_NUMBER: _ClassVar[int]
    directive: _common_pb2.Directive
    def __init__(self, directive: _Optional[_Union[_common_pb2.Directive, str]] = ...) -> None: ...

class ListWorkersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListWorkersResponse(_message.Message):
    __slots__ = ("workers",)
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedCompositeFieldContainer[Worker]
    def __init__(self, workers: _Optional[_Iterable[_Union[Worker, _Mapping]]] = ...) -> None: ...

class Worker(_message.Message):
    __slots__ = ("info", "connected", "last_seen", "in_flight")
    INFO_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    info: WorkerInfo
    connected: bool
    last_seen: _timestamp_pb2.Timestamp
    in_flight: int
    def __init__(self, info: _Optional[_Union[WorkerInfo, _Mapping]] = ..., connected: _Optional[bool] = ..., last_seen: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., in_flight: _Optional[int] = ...) -> None: ...
