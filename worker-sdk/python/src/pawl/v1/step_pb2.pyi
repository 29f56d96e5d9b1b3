import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from pawl.v1 import access_pb2 as _access_pb2
from pawl.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Recovery(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RECOVERY_UNSPECIFIED: _ClassVar[Recovery]
    RECOVERY_RETRY: _ClassVar[Recovery]
    RECOVERY_AT_MOST_ONCE: _ClassVar[Recovery]
RECOVERY_UNSPECIFIED: Recovery
RECOVERY_RETRY: Recovery
RECOVERY_AT_MOST_ONCE: Recovery

class WaitSpec(_message.Message):
    __slots__ = ("duration", "until", "signal_name", "child_run_id", "question", "cron", "time_zone")
    DURATION_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_NAME_FIELD_NUMBER: _ClassVar[int]
    CHILD_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    CRON_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    duration: _duration_pb2.Duration
    until: _timestamp_pb2.Timestamp
    signal_name: str
    child_run_id: str
    question: _common_pb2.Question
    cron: str
    time_zone: str
    def __init__(self, duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., signal_name: _Optional[str] = ..., child_run_id: _Optional[str] = ..., question: _Optional[_Union[_common_pb2.Question, _Mapping]] = ..., cron: _Optional[str] = ..., time_zone: _Optional[str] = ...) -> None: ...

class StepStartedRequest(_message.Message):
    __slots__ = ("run_id", "fence", "step_key", "name", "kind", "input_digest", "definition_digest", "retry_policy", "timeout", "recovery", "wait", "input", "request_id")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    INPUT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RETRY_POLICY_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    RECOVERY_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    fence: int
    step_key: str
    name: str
    kind: _common_pb2.StepKind
    input_digest: str
    definition_digest: str
    retry_policy: _common_pb2.RetryPolicy
    timeout: _duration_pb2.Duration
    recovery: Recovery
    wait: WaitSpec
    input: _common_pb2.Payload
    request_id: str
    def __init__(self, run_id: _Optional[str] = ..., fence: _Optional[int] = ..., step_key: _Optional[str] = ..., name: _Optional[str] = ..., kind: _Optional[_Union[_common_pb2.StepKind, str]] = ..., input_digest: _Optional[str] = ..., definition_digest: _Optional[str] = ..., retry_policy: _Optional[_Union[_common_pb2.RetryPolicy, _Mapping]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., recovery: _Optional[_Union[Recovery, str]] = ..., wait: _Optional[_Union[WaitSpec, _Mapping]] = ..., input: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class StepStartedResponse(_message.Message):
    __slots__ = ("execute", "replay", "wait", "conflict", "unknown_outcome", "stop", "directive")
    class Execute(_message.Message):
        __slots__ = ("attempt", "idempotency_key")
        ATTEMPT_FIELD_NUMBER: _ClassVar[int]
        IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
        attempt: int
        idempotency_key: str
        def __init__(self, attempt: _Optional[int] = ..., idempotency_key: _Optional[str] = ...) -> None: ...
    class Replay(_message.Message):
        __slots__ = ("output", "failure", "outcome", "details", "wait_id", "callback_token", "callback_url", "seq")
        class DetailsEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: str
            def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
        OUTPUT_FIELD_NUMBER: _ClassVar[int]
        FAILURE_FIELD_NUMBER: _ClassVar[int]
        OUTCOME_FIELD_NUMBER: _ClassVar[int]
        DETAILS_FIELD_NUMBER: _ClassVar[int]
        WAIT_ID_FIELD_NUMBER: _ClassVar[int]
        CALLBACK_TOKEN_FIELD_NUMBER: _ClassVar[int]
        CALLBACK_URL_FIELD_NUMBER: _ClassVar[int]
        SEQ_FIELD_NUMBER: _ClassVar[int]
        output: _common_pb2.Payload
        failure: _common_pb2.Failure
        outcome: _common_pb2.WaitOutcome
        details: _containers.ScalarMap[str, str]
        wait_id: str
        callback_token: str
        callback_url: str
        seq: int
        def __init__(self, output: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ..., failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ..., outcome: _Optional[_Union[_common_pb2.WaitOutcome, str]] = ..., details: _Optional[_Mapping[str, str]] = ..., wait_id: _Optional[str] = ..., callback_token: _Optional[str] = ..., callback_url: _Optional[str] = ..., seq: _Optional[int] = ...) -> None: ...
    class Wait(_message.Message):
        __slots__ = ("until", "why", "attempt", "wait_id", "callback_token", "callback_url")
        class Why(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            WHY_UNSPECIFIED: _ClassVar[StepStartedResponse.Wait.Why]
            WHY_IN_PROGRESS: _ClassVar[StepStartedResponse.Wait.Why]
            WHY_BACKOFF: _ClassVar[StepStartedResponse.Wait.Why]
            WHY_WAIT: _ClassVar[StepStartedResponse.Wait.Why]
        WHY_UNSPECIFIED: StepStartedResponse.Wait.Why
        WHY_IN_PROGRESS: StepStartedResponse.Wait.Why
        WHY_BACKOFF: StepStartedResponse.Wait.Why
        WHY_WAIT: StepStartedResponse.Wait.Why
        UNTIL_FIELD_NUMBER: _ClassVar[int]
        WHY_FIELD_NUMBER: _ClassVar[int]
        ATTEMPT_FIELD_NUMBER: _ClassVar[int]
        WAIT_ID_FIELD_NUMBER: _ClassVar[int]
        CALLBACK_TOKEN_FIELD_NUMBER: _ClassVar[int]
        CALLBACK_URL_FIELD_NUMBER: _ClassVar[int]
        until: _timestamp_pb2.Timestamp
        why: StepStartedResponse.Wait.Why
        attempt: int
        wait_id: str
        callback_token: str
        callback_url: str
        def __init__(self, until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., why: _Optional[_Union[StepStartedResponse.Wait.Why, str]] = ..., attempt: _Optional[int] = ..., wait_id: _Optional[str] = ..., callback_token: _Optional[str] = ..., callback_url: _Optional[str] = ...) -> None: ...
    class Conflict(_message.Message):
        __slots__ = ("recorded", "attempted")
        RECORDED_FIELD_NUMBER: _ClassVar[int]
        ATTEMPTED_FIELD_NUMBER: _ClassVar[int]
        recorded: StepStartedResponse.Side
        attempted: StepStartedResponse.Side
        def __init__(self, recorded: _Optional[_Union[StepStartedResponse.Side, _Mapping]] = ..., attempted: _Optional[_Union[StepStartedResponse.Side, _Mapping]] = ...) -> None: ...
    class Side(_message.Message):
        __slots__ = ("name", "kind", "input_digest", "definition_digest", "input")
        NAME_FIELD_NUMBER: _ClassVar[int]
        KIND_FIELD_NUMBER: _ClassVar[int]
        INPUT_DIGEST_FIELD_NUMBER: _ClassVar[int]
        DEFINITION_DIGEST_FIELD_NUMBER: _ClassVar[int]
        INPUT_FIELD_NUMBER: _ClassVar[int]
        name: str
        kind: _common_pb2.StepKind
        input_digest: str
        definition_digest: str
        input: _common_pb2.Payload
        def __init__(self, name: _Optional[str] = ..., kind: _Optional[_Union[_common_pb2.StepKind, str]] = ..., input_digest: _Optional[str] = ..., definition_digest: _Optional[str] = ..., input: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ...) -> None: ...
    class UnknownOutcome(_message.Message):
        __slots__ = ("attempt", "started_at")
        ATTEMPT_FIELD_NUMBER: _ClassVar[int]
        STARTED_AT_FIELD_NUMBER: _ClassVar[int]
        attempt: int
        started_at: _timestamp_pb2.Timestamp
        def __init__(self, attempt: _Optional[int] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
    class Stop(_message.Message):
        __slots__ = ("reason", "fence")
        class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            REASON_UNSPECIFIED: _ClassVar[StepStartedResponse.Stop.Reason]
            REASON_LEASE_LOST: _ClassVar[StepStartedResponse.Stop.Reason]
            REASON_RUN_CANCELLED: _ClassVar[StepStartedResponse.Stop.Reason]
            REASON_RUN_PAUSED: _ClassVar[StepStartedResponse.Stop.Reason]
            REASON_RUN_TERMINAL: _ClassVar[StepStartedResponse.Stop.Reason]
        REASON_UNSPECIFIED: StepStartedResponse.Stop.Reason
        REASON_LEASE_LOST: StepStartedResponse.Stop.Reason
        REASON_RUN_CANCELLED: StepStartedResponse.Stop.Reason
        REASON_RUN_PAUSED: StepStartedResponse.Stop.Reason
        REASON_RUN_TERMINAL: StepStartedResponse.Stop.Reason
        REASON_FIELD_NUMBER: _ClassVar[int]
        FENCE_FIELD_NUMBER: _ClassVar[int]
        reason: StepStartedResponse.Stop.Reason
        fence: int
        def __init__(self, reason: _Optional[_Union[StepStartedResponse.Stop.Reason, str]] = ..., fence: _Optional[int] = ...) -> None: ...
    EXECUTE_FIELD_NUMBER: _ClassVar[int]
    REPLAY_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    CONFLICT_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_OUTCOME_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    DIRECTIVE_FIELD_NUMBER: _ClassVar[int]
    execute: StepStartedResponse.Execute
    replay: StepStartedResponse.Replay
    wait: StepStartedResponse.Wait
    conflict: StepStartedResponse.Conflict
    unknown_outcome: StepStartedResponse.UnknownOutcome
    stop: StepStartedResponse.Stop
    directive: _common_pb2.Directive
    def __init__(self, execute: _Optional[_Union[StepStartedResponse.Execute, _Mapping]] = ..., replay: _Optional[_Union[StepStartedResponse.Replay, _Mapping]] = ..., wait: _Optional[_Union[StepStartedResponse.Wait, _Mapping]] = ..., conflict: _Optional[_Union[StepStartedResponse.Conflict, _Mapping]] = ..., unknown_outcome: _Optional[_Union[StepStartedResponse.UnknownOutcome, _Mapping]] = ..., stop: _Optional[_Union[StepStartedResponse.Stop, _Mapping]] = ..., directive: _Optional[_Union[_common_pb2.Directive, str]] = ...) -> None: ...

class StepCompletedRequest(_message.Message):
    __slots__ = ("run_id", "fence", "step_key", "attempt", "output", "name", "kind", "input_digest", "definition_digest", "started_at", "latency_ms", "input", "deltas")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    INPUT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_DIGEST_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    DELTAS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    fence: int
    step_key: str
    attempt: int
    output: _common_pb2.Payload
    name: str
    kind: _common_pb2.StepKind
    input_digest: str
    definition_digest: str
    started_at: _timestamp_pb2.Timestamp
    latency_ms: float
    input: _common_pb2.Payload
    deltas: int
    def __init__(self, run_id: _Optional[str] = ..., fence: _Optional[int] = ..., step_key: _Optional[str] = ..., attempt: _Optional[int] = ..., output: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ..., name: _Optional[str] = ..., kind: _Optional[_Union[_common_pb2.StepKind, str]] = ..., input_digest: _Optional[str] = ..., definition_digest: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., latency_ms: _Optional[float] = ..., input: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ..., deltas: _Optional[int] = ...) -> None: ...

class StepCompletedResponse(_message.Message):
    __slots__ = ("directive", "seq")
    DIRECTIVE_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    directive: _common_pb2.Directive
    seq: int
    def __init__(self, directive: _Optional[_Union[_common_pb2.Directive, str]] = ..., seq: _Optional[int] = ...) -> None: ...

class StepFailedRequest(_message.Message):
    __slots__ = ("run_id", "fence", "step_key", "attempt", "failure", "name", "kind", "input_digest", "definition_digest", "started_at", "latency_ms", "input", "retry_policy", "deltas", "cancelled")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    INPUT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_DIGEST_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    RETRY_POLICY_FIELD_NUMBER: _ClassVar[int]
    DELTAS_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    fence: int
    step_key: str
    attempt: int
    failure: _common_pb2.Failure
    name: str
    kind: _common_pb2.StepKind
    input_digest: str
    definition_digest: str
    started_at: _timestamp_pb2.Timestamp
    latency_ms: float
    input: _common_pb2.Payload
    retry_policy: _common_pb2.RetryPolicy
    deltas: int
    cancelled: bool
    def __init__(self, run_id: _Optional[str] = ..., fence: _Optional[int] = ..., step_key: _Optional[str] = ..., attempt: _Optional[int] = ..., failure: _Optional[_Union[_common_pb2.Failure, _Mapping]] = ..., name: _Optional[str] = ..., kind: _Optional[_Union[_common_pb2.StepKind, str]] = ..., input_digest: _Optional[str] = ..., definition_digest: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., latency_ms: _Optional[float] = ..., input: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ..., retry_policy: _Optional[_Union[_common_pb2.RetryPolicy, _Mapping]] = ..., deltas: _Optional[int] = ..., cancelled: _Optional[bool] = ...) -> None: ...

class StepFailedResponse(_message.Message):
    __slots__ = ("retry", "final", "directive", "seq")
    class Retry(_message.Message):
        __slots__ = ("at", "attempt", "delay")
        AT_FIELD_NUMBER: _ClassVar[int]
        ATTEMPT_FIELD_NUMBER: _ClassVar[int]
        DELAY_FIELD_NUMBER: _ClassVar[int]
        at: _timestamp_pb2.Timestamp
        attempt: int
        delay: _duration_pb2.Duration
        def __init__(self, at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., attempt: _Optional[int] = ..., delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
    class Final(_message.Message):
        __slots__ = ("action",)
        class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            ACTION_UNSPECIFIED: _ClassVar[StepFailedResponse.Final.Action]
            ACTION_THROW: _ClassVar[StepFailedResponse.Final.Action]
            ACTION_PAUSE: _ClassVar[StepFailedResponse.Final.Action]
        ACTION_UNSPECIFIED: StepFailedResponse.Final.Action
        ACTION_THROW: StepFailedResponse.Final.Action
        ACTION_PAUSE: StepFailedResponse.Final.Action
        ACTION_FIELD_NUMBER: _ClassVar[int]
        action: StepFailedResponse.Final.Action
        def __init__(self, action: _Optional[_Union[StepFailedResponse.Final.Action, str]] = ...) -> None: ...
    RETRY_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    DIRECTIVE_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    retry: StepFailedResponse.Retry
    final: StepFailedResponse.Final
    directive: _common_pb2.Directive
    seq: int
    def __init__(self, retry: _Optional[_Union[StepFailedResponse.Retry, _Mapping]] = ..., final: _Optional[_Union[StepFailedResponse.Final, _Mapping]] = ..., directive: _Optional[_Union[_common_pb2.Directive, str]] = ..., seq: _Optional[int] = ...) -> None: ...

class GetStepRequest(_message.Message):
    __slots__ = ("run_id", "step_key")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    step_key: str
    def __init__(self, run_id: _Optional[str] = ..., step_key: _Optional[str] = ...) -> None: ...

class GetStepResponse(_message.Message):
    __slots__ = ("entry",)
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    entry: _common_pb2.JournalEntry
    def __init__(self, entry: _Optional[_Union[_common_pb2.JournalEntry, _Mapping]] = ...) -> None: ...

class ListStepsRequest(_message.Message):
    __slots__ = ("run_id", "page_size", "page_token")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    page_size: int
    page_token: str
    def __init__(self, run_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListStepsResponse(_message.Message):
    __slots__ = ("steps", "next_page_token")
    STEPS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    steps: _containers.RepeatedCompositeFieldContainer[_common_pb2.JournalEntry]
    next_page_token: str
    def __init__(self, steps: _Optional[_Iterable[_Union[_common_pb2.JournalEntry, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
