import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from pawl.v1 import access_pb2 as _access_pb2
from pawl.v1 import common_pb2 as _common_pb2
from pawl.v1 import signal_pb2 as _signal_pb2
from pawl.v1 import worker_pb2 as _worker_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StatusReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATUS_REASON_UNSPECIFIED: _ClassVar[StatusReason]
    STATUS_REASON_PAUSED_BY_OPERATOR: _ClassVar[StatusReason]
    STATUS_REASON_NON_DETERMINISM: _ClassVar[StatusReason]
    STATUS_REASON_RETRIES_EXHAUSTED: _ClassVar[StatusReason]
    STATUS_REASON_UNKNOWN_OUTCOME: _ClassVar[StatusReason]
    STATUS_REASON_CRASH_LOOP: _ClassVar[StatusReason]
    STATUS_REASON_DATA_CORRUPTED: _ClassVar[StatusReason]
    STATUS_REASON_RUN_TIMEOUT: _ClassVar[StatusReason]
    STATUS_REASON_PAUSING: _ClassVar[StatusReason]
    STATUS_REASON_DELAYED: _ClassVar[StatusReason]
    STATUS_REASON_DEBOUNCED: _ClassVar[StatusReason]
    STATUS_REASON_CONCURRENCY_LIMIT: _ClassVar[StatusReason]
    STATUS_REASON_RATE_LIMIT: _ClassVar[StatusReason]
    STATUS_REASON_NO_WORKER: _ClassVar[StatusReason]

class RunView(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_VIEW_UNSPECIFIED: _ClassVar[RunView]
    RUN_VIEW_BASIC: _ClassVar[RunView]
    RUN_VIEW_FULL: _ClassVar[RunView]

class ParentClosePolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PARENT_CLOSE_POLICY_UNSPECIFIED: _ClassVar[ParentClosePolicy]
    PARENT_CLOSE_POLICY_ABANDON: _ClassVar[ParentClosePolicy]
    PARENT_CLOSE_POLICY_CANCEL: _ClassVar[ParentClosePolicy]
STATUS_REASON_UNSPECIFIED: StatusReason
STATUS_REASON_PAUSED_BY_OPERATOR: StatusReason
STATUS_REASON_NON_DETERMINISM: StatusReason
STATUS_REASON_RETRIES_EXHAUSTED: StatusReason
STATUS_REASON_UNKNOWN_OUTCOME: StatusReason
STATUS_REASON_CRASH_LOOP: StatusReason
STATUS_REASON_DATA_CORRUPTED: StatusReason
STATUS_REASON_RUN_TIMEOUT: StatusReason
STATUS_REASON_PAUSING: StatusReason
STATUS_REASON_DELAYED: StatusReason
STATUS_REASON_DEBOUNCED: StatusReason
STATUS_REASON_CONCURRENCY_LIMIT: StatusReason
STATUS_REASON_RATE_LIMIT: StatusReason
STATUS_REASON_NO_WORKER: StatusReason
RUN_VIEW_UNSPECIFIED: RunView
RUN_VIEW_BASIC: RunView
RUN_VIEW_FULL: RunView
PARENT_CLOSE_POLICY_UNSPECIFIED: ParentClosePolicy
PARENT_CLOSE_POLICY_ABANDON: ParentClosePolicy
PARENT_CLOSE_POLICY_CANCEL: ParentClosePolicy

class Run(_message.Message):
    __slots__ = ("run_id", "workflow", "version", "status", "status_reason", "status_detail", "queue", "priority", "tags", "created_at", "started_at", "updated_at", "ended_at", "start_at", "fence", "attempt", "journal_length", "worker_id", "lease_expires_at", "waits", "output", "failure", "parent", "session_id", "user_id", "timeouts", "input", "run_uid", "undone")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    STATUS_REASON_FIELD_NUMBER: _ClassVar[int]
    STATUS_DETAIL_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    START_AT_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_LENGTH_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    WAITS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    TIMEOUTS_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    RUN_UID_FIELD_NUMBER: _ClassVar[int]
    UNDONE_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    workflow: str
    version: str
    status: _common_pb2.RunStatus
    status_reason: StatusReason
    status_detail: str
    queue: str
    priority: int
    tags: _containers.ScalarMap[str, str]
    created_at: _timestamp_pb2.Timestamp
    started_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    start_at: _timestamp_pb2.Timestamp
    fence: int
    attempt: int
    journal_length: int
    worker_id: str
    lease_expires_at: _timestamp_pb2.Timestamp
    waits: _containers.RepeatedCompositeFieldContainer[OpenWait]
    output: _common_pb2.Payload
    failure: _common_pb2.Failure
    parent: _common_pb2.ParentRef
    session_id: str
    user_id: str
    timeouts: _common_pb2.RunTimeouts
    input: _common_pb2.Payload
    run_uid: str
    undone: Undone
    def __init__(self, run_id: _Optional[str] = ..., workflow: _Optional[str] = ..., version: _Optional[str] = ..., status: _Optional[_Union[_common_pb2.RunStatus, str]] = ..., status_reason: _Optional[_Union[StatusReason, str]] = ..., status_detail: _Optional[str] = ..., queue: _Optional[str] = ..., priority: _Optional[int] = ..., tags: _Optional[_Mapping[str, str]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., fence: _Optional[int] = ..., attempt: _Optional[int] = ..., journal_length: _Optional[int] = ..., worker_id: _Optional[str] = ..., lease_expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., waits: _Optional[_Iterable[_Union[OpenWait, _Mapping]]] = ..., output: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ..., failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ..., parent: _Optional[_Union[_common_pb2.ParentRef, _Mapping]] = ..., session_id: _Optional[str] = ..., user_id: _Optional[str] = ..., timeouts: _Optional[_Union[_common_pb2.RunTimeouts, _Mapping]] = ..., input: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ..., run_uid: _Optional[str] = ..., undone: _Optional[_Union[Undone, _Mapping]] = ...) -> None: ...

class Undone(_message.Message):
    __slots__ = ("step_keys", "unknown")
    STEP_KEYS_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    step_keys: _containers.RepeatedScalarFieldContainer[str]
    unknown: bool
    def __init__(self, step_keys: _Optional[_Iterable[str]] = ..., unknown: _Optional[bool] = ...) -> None: ...

class OpenWait(_message.Message):
    __slots__ = ("step_key", "kind", "name", "since", "due", "child_run_id", "wait_id")
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    DUE_FIELD_NUMBER: _ClassVar[int]
    CHILD_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    WAIT_ID_FIELD_NUMBER: _ClassVar[int]
    step_key: str
    kind: _common_pb2.WaitKind
    name: str
    since: _timestamp_pb2.Timestamp
    due: _timestamp_pb2.Timestamp
    child_run_id: str
    wait_id: str
    def __init__(self, step_key: _Optional[str] = ..., kind: _Optional[_Union[_common_pb2.WaitKind, str]] = ..., name: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., due: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., child_run_id: _Optional[str] = ..., wait_id: _Optional[str] = ...) -> None: ...

class StartRunRequest(_message.Message):
    __slots__ = ("workflow", "input", "run_id", "idempotency_key", "queue", "priority", "version", "session_id", "user_id", "tags", "timeouts", "delay", "start_at", "parent", "parent_fence", "traceparent", "claim", "worker_id", "flow", "parent_close_policy", "debounce")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUTS_FIELD_NUMBER: _ClassVar[int]
    DELAY_FIELD_NUMBER: _ClassVar[int]
    START_AT_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PARENT_FENCE_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    CLAIM_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    FLOW_FIELD_NUMBER: _ClassVar[int]
    PARENT_CLOSE_POLICY_FIELD_NUMBER: _ClassVar[int]
    DEBOUNCE_FIELD_NUMBER: _ClassVar[int]
    workflow: str
    input: _common_pb2.Payload
    run_id: str
    idempotency_key: str
    queue: str
    priority: int
    version: str
    session_id: str
    user_id: str
    tags: _containers.ScalarMap[str, str]
    timeouts: _common_pb2.RunTimeouts
    delay: _duration_pb2.Duration
    start_at: _timestamp_pb2.Timestamp
    parent: _common_pb2.ParentRef
    parent_fence: int
    traceparent: str
    claim: bool
    worker_id: str
    flow: _common_pb2.FlowControl
    parent_close_policy: ParentClosePolicy
    debounce: Debounce
    def __init__(self, workflow: _Optional[str] = ..., input: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ..., run_id: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., queue: _Optional[str] = ..., priority: _Optional[int] = ..., version: _Optional[str] = ..., session_id: _Optional[str] = ..., user_id: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., timeouts: _Optional[_Union[_common_pb2.RunTimeouts, _Mapping]] = ..., delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., start_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., parent: _Optional[_Union[_common_pb2.ParentRef, _Mapping]] = ..., parent_fence: _Optional[int] = ..., traceparent: _Optional[str] = ..., claim: _Optional[bool] = ..., worker_id: _Optional[str] = ..., flow: _Optional[_Union[_common_pb2.FlowControl, _Mapping]] = ..., parent_close_policy: _Optional[_Union[ParentClosePolicy, str]] = ..., debounce: _Optional[_Union[Debounce, _Mapping]] = ...) -> None: ...

class Debounce(_message.Message):
    __slots__ = ("key", "period", "max_wait")
    KEY_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    MAX_WAIT_FIELD_NUMBER: _ClassVar[int]
    key: str
    period: _duration_pb2.Duration
    max_wait: _duration_pb2.Duration
    def __init__(self, key: _Optional[str] = ..., period: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class StartRunResponse(_message.Message):
    __slots__ = ("run", "existing", "claimed")
    RUN_FIELD_NUMBER: _ClassVar[int]
    EXISTING_FIELD_NUMBER: _ClassVar[int]
    CLAIMED_FIELD_NUMBER: _ClassVar[int]
    run: Run
    existing: bool
    claimed: _worker_pb2.WorkItem
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ..., existing: _Optional[bool] = ..., claimed: _Optional[_Union[_worker_pb2.WorkItem, _Mapping]] = ...) -> None: ...

class GetRunRequest(_message.Message):
    __slots__ = ("run_id", "view")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    view: RunView
    def __init__(self, run_id: _Optional[str] = ..., view: _Optional[_Union[RunView, str]] = ...) -> None: ...

class GetRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: Run
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class WaitRunRequest(_message.Message):
    __slots__ = ("run_id", "timeout")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    timeout: _duration_pb2.Duration
    def __init__(self, run_id: _Optional[str] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WaitRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: Run
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class ListRunsRequest(_message.Message):
    __slots__ = ("statuses", "workflow", "tags", "page_size", "page_token", "parent_run_id")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PARENT_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    statuses: _containers.RepeatedScalarFieldContainer[_common_pb2.RunStatus]
    workflow: str
    tags: _containers.ScalarMap[str, str]
    page_size: int
    page_token: str
    parent_run_id: str
    def __init__(self, statuses: _Optional[_Iterable[_Union[_common_pb2.RunStatus, str]]] = ..., workflow: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., parent_run_id: _Optional[str] = ...) -> None: ...

class ListRunsResponse(_message.Message):
    __slots__ = ("runs", "next_page_token")
    RUNS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[Run]
    next_page_token: str
    def __init__(self, runs: _Optional[_Iterable[_Union[Run, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetJournalRequest(_message.Message):
    __slots__ = ("run_id", "after_seq", "page_size")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    after_seq: int
    page_size: int
    def __init__(self, run_id: _Optional[str] = ..., after_seq: _Optional[int] = ..., page_size: _Optional[int] = ...) -> None: ...

class GetJournalResponse(_message.Message):
    __slots__ = ("entries", "more")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[_common_pb2.JournalEntry]
    more: bool
    def __init__(self, entries: _Optional[_Iterable[_Union[_common_pb2.JournalEntry, _Mapping]]] = ..., more: _Optional[bool] = ...) -> None: ...

class CancelRunRequest(_message.Message):
    __slots__ = ("run_id", "reason", "grace", "force")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    GRACE_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    reason: str
    grace: _duration_pb2.Duration
    force: bool
    def __init__(self, run_id: _Optional[str] = ..., reason: _Optional[str] = ..., grace: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., force: _Optional[bool] = ...) -> None: ...

class CancelRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: Run
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class PauseRunRequest(_message.Message):
    __slots__ = ("run_id", "reason")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    reason: str
    def __init__(self, run_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class PauseRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: Run
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class ResumeRunRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class ResumeRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: Run
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class RetryRunRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class RetryRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: Run
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class DeleteRunRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class DeleteRunResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class UpdateTagsRequest(_message.Message):
    __slots__ = ("run_id", "set", "remove")
    class SetEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SET_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    set: _containers.ScalarMap[str, str]
    remove: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, run_id: _Optional[str] = ..., set: _Optional[_Mapping[str, str]] = ..., remove: _Optional[_Iterable[str]] = ...) -> None: ...

class UpdateTagsResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: Run
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class RunServiceAttachRequest(_message.Message):
    __slots__ = ("frames",)
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    frames: _containers.RepeatedCompositeFieldContainer[ClientFrame]
    def __init__(self, frames: _Optional[_Iterable[_Union[ClientFrame, _Mapping]]] = ...) -> None: ...

class ClientFrame(_message.Message):
    __slots__ = ("id", "start_run", "start_and_wait", "wait_run", "get_run", "cancel_run", "send_signal", "forget")
    ID_FIELD_NUMBER: _ClassVar[int]
    START_RUN_FIELD_NUMBER: _ClassVar[int]
    START_AND_WAIT_FIELD_NUMBER: _ClassVar[int]
    WAIT_RUN_FIELD_NUMBER: _ClassVar[int]
    GET_RUN_FIELD_NUMBER: _ClassVar[int]
    CANCEL_RUN_FIELD_NUMBER: _ClassVar[int]
    SEND_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    FORGET_FIELD_NUMBER: _ClassVar[int]
    id: int
    start_run: StartRunRequest
    start_and_wait: StartAndWait
    wait_run: WaitRunRequest
    get_run: GetRunRequest
    cancel_run: CancelRunRequest
    send_signal: _signal_pb2.SendSignalRequest
    forget: Forget
    def __init__(self, id: _Optional[int] = ..., start_run: _Optional[_Union[StartRunRequest, _Mapping]] = ..., start_and_wait: _Optional[_Union[StartAndWait, _Mapping]] = ..., wait_run: _Optional[_Union[WaitRunRequest, _Mapping]] = ..., get_run: _Optional[_Union[GetRunRequest, _Mapping]] = ..., cancel_run: _Optional[_Union[CancelRunRequest, _Mapping]] = ..., send_signal: _Optional[_Union[_signal_pb2.SendSignalRequest, _Mapping]] = ..., forget: _Optional[_Union[Forget, _Mapping]] = ...) -> None: ...

class StartAndWait(_message.Message):
    __slots__ = ("start", "timeout")
    START_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    start: StartRunRequest
    timeout: _duration_pb2.Duration
    def __init__(self, start: _Optional[_Union[StartRunRequest, _Mapping]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Forget(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class RunServiceAttachResponse(_message.Message):
    __slots__ = ("replies",)
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    replies: _containers.RepeatedCompositeFieldContainer[ClientReply]
    def __init__(self, replies: _Optional[_Iterable[_Union[ClientReply, _Mapping]]] = ...) -> None: ...

class ClientReply(_message.Message):
    __slots__ = ("id", "start_run", "start_and_wait", "wait_run", "get_run", "cancel_run", "send_signal", "error")
    ID_FIELD_NUMBER: _ClassVar[int]
    START_RUN_FIELD_NUMBER: _ClassVar[int]
    START_AND_WAIT_FIELD_NUMBER: _ClassVar[int]
    WAIT_RUN_FIELD_NUMBER: _ClassVar[int]
    GET_RUN_FIELD_NUMBER: _ClassVar[int]
    CANCEL_RUN_FIELD_NUMBER: _ClassVar[int]
    SEND_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    id: int
    start_run: StartRunResponse
    start_and_wait: StartRunResponse
    wait_run: WaitRunResponse
    get_run: GetRunResponse
    cancel_run: CancelRunResponse
    send_signal: _signal_pb2.SendSignalResponse
    error: _common_pb2.ErrorFrame
    def __init__(self, id: _Optional[int] = ..., start_run: _Optional[_Union[StartRunResponse, _Mapping]] = ..., start_and_wait: _Optional[_Union[StartRunResponse, _Mapping]] = ..., wait_run: _Optional[_Union[WaitRunResponse, _Mapping]] = ..., get_run: _Optional[_Union[GetRunResponse, _Mapping]] = ..., cancel_run: _Optional[_Union[CancelRunResponse, _Mapping]] = ..., send_signal: _Optional[_Union[_signal_pb2.SendSignalResponse, _Mapping]] = ..., error: _Optional[_Union[_common_pb2.ErrorFrame, _Mapping]] = ...) -> None: ...
