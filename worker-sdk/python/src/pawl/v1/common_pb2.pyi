import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Backoff(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BACKOFF_UNSPECIFIED: _ClassVar[Backoff]
    BACKOFF_EXPONENTIAL: _ClassVar[Backoff]
    BACKOFF_LINEAR: _ClassVar[Backoff]
    BACKOFF_CONSTANT: _ClassVar[Backoff]

class OnExhausted(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ON_EXHAUSTED_UNSPECIFIED: _ClassVar[OnExhausted]
    ON_EXHAUSTED_FAIL: _ClassVar[OnExhausted]
    ON_EXHAUSTED_PAUSE: _ClassVar[OnExhausted]

class RunStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_STATUS_UNSPECIFIED: _ClassVar[RunStatus]
    RUN_STATUS_QUEUED: _ClassVar[RunStatus]
    RUN_STATUS_RUNNING: _ClassVar[RunStatus]
    RUN_STATUS_WAITING: _ClassVar[RunStatus]
    RUN_STATUS_PAUSED: _ClassVar[RunStatus]
    RUN_STATUS_CANCELLING: _ClassVar[RunStatus]
    RUN_STATUS_COMPLETED: _ClassVar[RunStatus]
    RUN_STATUS_FAILED: _ClassVar[RunStatus]
    RUN_STATUS_CANCELLED: _ClassVar[RunStatus]

class StepKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STEP_KIND_UNSPECIFIED: _ClassVar[StepKind]
    STEP_KIND_STEP: _ClassVar[StepKind]
    STEP_KIND_SLEEP: _ClassVar[StepKind]
    STEP_KIND_SIGNAL: _ClassVar[StepKind]
    STEP_KIND_CHILD: _ClassVar[StepKind]
    STEP_KIND_VALUE: _ClassVar[StepKind]
    STEP_KIND_USER: _ClassVar[StepKind]
    STEP_KIND_CALLBACK: _ClassVar[StepKind]

class WaitKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WAIT_KIND_UNSPECIFIED: _ClassVar[WaitKind]
    WAIT_KIND_SLEEP: _ClassVar[WaitKind]
    WAIT_KIND_SIGNAL: _ClassVar[WaitKind]
    WAIT_KIND_CHILD: _ClassVar[WaitKind]
    WAIT_KIND_USER: _ClassVar[WaitKind]
    WAIT_KIND_CALLBACK: _ClassVar[WaitKind]
    WAIT_KIND_RETRY: _ClassVar[WaitKind]

class WaitOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WAIT_OUTCOME_UNSPECIFIED: _ClassVar[WaitOutcome]
    WAIT_OUTCOME_FIRED: _ClassVar[WaitOutcome]
    WAIT_OUTCOME_SIGNALLED: _ClassVar[WaitOutcome]
    WAIT_OUTCOME_COMPLETED: _ClassVar[WaitOutcome]
    WAIT_OUTCOME_FAILED: _ClassVar[WaitOutcome]
    WAIT_OUTCOME_TIMED_OUT: _ClassVar[WaitOutcome]
    WAIT_OUTCOME_CANCELLED: _ClassVar[WaitOutcome]
    WAIT_OUTCOME_ANSWERED: _ClassVar[WaitOutcome]
    WAIT_OUTCOME_SKIPPED: _ClassVar[WaitOutcome]
    WAIT_OUTCOME_LOST: _ClassVar[WaitOutcome]
    WAIT_OUTCOME_WITHDRAWN: _ClassVar[WaitOutcome]

class QuestionType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUESTION_TYPE_UNSPECIFIED: _ClassVar[QuestionType]
    QUESTION_TYPE_TEXT: _ClassVar[QuestionType]
    QUESTION_TYPE_APPROVAL: _ClassVar[QuestionType]
    QUESTION_TYPE_CHOICE: _ClassVar[QuestionType]
    QUESTION_TYPE_MULTICHOICE: _ClassVar[QuestionType]
    QUESTION_TYPE_FORM: _ClassVar[QuestionType]

class Directive(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DIRECTIVE_UNSPECIFIED: _ClassVar[Directive]
    DIRECTIVE_CONTINUE: _ClassVar[Directive]
    DIRECTIVE_CANCEL: _ClassVar[Directive]
    DIRECTIVE_PAUSE: _ClassVar[Directive]
    DIRECTIVE_YIELD: _ClassVar[Directive]
BACKOFF_UNSPECIFIED: Backoff
BACKOFF_EXPONENTIAL: Backoff
BACKOFF_LINEAR: Backoff
BACKOFF_CONSTANT: Backoff
ON_EXHAUSTED_UNSPECIFIED: OnExhausted
ON_EXHAUSTED_FAIL: OnExhausted
ON_EXHAUSTED_PAUSE: OnExhausted
RUN_STATUS_UNSPECIFIED: RunStatus
RUN_STATUS_QUEUED: RunStatus
RUN_STATUS_RUNNING: RunStatus
RUN_STATUS_WAITING: RunStatus
RUN_STATUS_PAUSED: RunStatus
RUN_STATUS_CANCELLING: RunStatus
RUN_STATUS_COMPLETED: RunStatus
RUN_STATUS_FAILED: RunStatus
RUN_STATUS_CANCELLED: RunStatus
STEP_KIND_UNSPECIFIED: StepKind
STEP_KIND_STEP: StepKind
STEP_KIND_SLEEP: StepKind
STEP_KIND_SIGNAL: StepKind
STEP_KIND_CHILD: StepKind
STEP_KIND_VALUE: StepKind
STEP_KIND_USER: StepKind
STEP_KIND_CALLBACK: StepKind
WAIT_KIND_UNSPECIFIED: WaitKind
WAIT_KIND_SLEEP: WaitKind
WAIT_KIND_SIGNAL: WaitKind
WAIT_KIND_CHILD: WaitKind
WAIT_KIND_USER: WaitKind
WAIT_KIND_CALLBACK: WaitKind
WAIT_KIND_RETRY: WaitKind
WAIT_OUTCOME_UNSPECIFIED: WaitOutcome
WAIT_OUTCOME_FIRED: WaitOutcome
WAIT_OUTCOME_SIGNALLED: WaitOutcome
WAIT_OUTCOME_COMPLETED: WaitOutcome
WAIT_OUTCOME_FAILED: WaitOutcome
WAIT_OUTCOME_TIMED_OUT: WaitOutcome
WAIT_OUTCOME_CANCELLED: WaitOutcome
WAIT_OUTCOME_ANSWERED: WaitOutcome
WAIT_OUTCOME_SKIPPED: WaitOutcome
WAIT_OUTCOME_LOST: WaitOutcome
WAIT_OUTCOME_WITHDRAWN: WaitOutcome
QUESTION_TYPE_UNSPECIFIED: QuestionType
QUESTION_TYPE_TEXT: QuestionType
QUESTION_TYPE_APPROVAL: QuestionType
QUESTION_TYPE_CHOICE: QuestionType
QUESTION_TYPE_MULTICHOICE: QuestionType
QUESTION_TYPE_FORM: QuestionType
DIRECTIVE_UNSPECIFIED: Directive
DIRECTIVE_CONTINUE: Directive
DIRECTIVE_CANCEL: Directive
DIRECTIVE_PAUSE: Directive
DIRECTIVE_YIELD: Directive

class Payload(_message.Message):
    __slots__ = ("data", "encoding", "ref")
    DATA_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    encoding: str
    ref: PayloadRef
    def __init__(self, data: _Optional[bytes] = ..., encoding: _Optional[str] = ..., ref: _Optional[_Union[PayloadRef, _Mapping]] = ...) -> None: ...

class PayloadRef(_message.Message):
    __slots__ = ("sha256", "size")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    size: int
    def __init__(self, sha256: _Optional[str] = ..., size: _Optional[int] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("type", "message", "stack", "cause", "non_retryable", "retry_after", "details")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    STACK_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    NON_RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    type: str
    message: str
    stack: str
    cause: Failure
    non_retryable: bool
    retry_after: _duration_pb2.Duration
    details: Payload
    def __init__(self, type: _Optional[str] = ..., message: _Optional[str] = ..., stack: _Optional[str] = ..., cause: _Optional[_Union[Failure, _Mapping]] = ..., non_retryable: _Optional[bool] = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., details: _Optional[_Union[Payload, _Mapping]] = ...) -> None: ...

class RetryPolicy(_message.Message):
    __slots__ = ("max_attempts", "backoff", "initial_interval", "coefficient", "increment", "max_interval", "max_elapsed", "jitter", "non_retryable_types", "on_exhausted", "delays", "max_crashes")
    MAX_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    BACKOFF_FIELD_NUMBER: _ClassVar[int]
    INITIAL_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    COEFFICIENT_FIELD_NUMBER: _ClassVar[int]
    INCREMENT_FIELD_NUMBER: _ClassVar[int]
    MAX_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    MAX_ELAPSED_FIELD_NUMBER: _ClassVar[int]
    JITTER_FIELD_NUMBER: _ClassVar[int]
    NON_RETRYABLE_TYPES_FIELD_NUMBER: _ClassVar[int]
    ON_EXHAUSTED_FIELD_NUMBER: _ClassVar[int]
    DELAYS_FIELD_NUMBER: _ClassVar[int]
    MAX_CRASHES_FIELD_NUMBER: _ClassVar[int]
    max_attempts: int
    backoff: Backoff
    initial_interval: _duration_pb2.Duration
    coefficient: float
    increment: _duration_pb2.Duration
    max_interval: _duration_pb2.Duration
    max_elapsed: _duration_pb2.Duration
    jitter: float
    non_retryable_types: _containers.RepeatedScalarFieldContainer[str]
    on_exhausted: OnExhausted
    delays: _containers.RepeatedCompositeFieldContainer[_duration_pb2.Duration]
    max_crashes: int
    def __init__(self, max_attempts: _Optional[int] = ..., backoff: _Optional[_Union[Backoff, str]] = ..., initial_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., coefficient: _Optional[float] = ..., increment: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_elapsed: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., jitter: _Optional[float] = ..., non_retryable_types: _Optional[_Iterable[str]] = ..., on_exhausted: _Optional[_Union[OnExhausted, str]] = ..., delays: _Optional[_Iterable[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]]] = ..., max_crashes: _Optional[int] = ...) -> None: ...

class RunTimeouts(_message.Message):
    __slots__ = ("run", "queue")
    RUN_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    run: _duration_pb2.Duration
    queue: _duration_pb2.Duration
    def __init__(self, run: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., queue: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Lease(_message.Message):
    __slots__ = ("run_id", "fence", "attempt", "expires_at")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    fence: int
    attempt: int
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, run_id: _Optional[str] = ..., fence: _Optional[int] = ..., attempt: _Optional[int] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ParentRef(_message.Message):
    __slots__ = ("run_id", "step_key")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    step_key: str
    def __init__(self, run_id: _Optional[str] = ..., step_key: _Optional[str] = ...) -> None: ...

class QuestionOption(_message.Message):
    __slots__ = ("value", "label")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    value: str
    label: str
    def __init__(self, value: _Optional[str] = ..., label: _Optional[str] = ...) -> None: ...

class Question(_message.Message):
    __slots__ = ("prompt", "type", "options", "allow_custom", "skippable", "form_schema", "assignees", "approvals_needed", "reminders")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    ALLOW_CUSTOM_FIELD_NUMBER: _ClassVar[int]
    SKIPPABLE_FIELD_NUMBER: _ClassVar[int]
    FORM_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    ASSIGNEES_FIELD_NUMBER: _ClassVar[int]
    APPROVALS_NEEDED_FIELD_NUMBER: _ClassVar[int]
    REMINDERS_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    type: QuestionType
    options: _containers.RepeatedCompositeFieldContainer[QuestionOption]
    allow_custom: bool
    skippable: bool
    form_schema: str
    assignees: _containers.RepeatedScalarFieldContainer[str]
    approvals_needed: int
    reminders: _containers.RepeatedCompositeFieldContainer[_duration_pb2.Duration]
    def __init__(self, prompt: _Optional[str] = ..., type: _Optional[_Union[QuestionType, str]] = ..., options: _Optional[_Iterable[_Union[QuestionOption, _Mapping]]] = ..., allow_custom: _Optional[bool] = ..., skippable: _Optional[bool] = ..., form_schema: _Optional[str] = ..., assignees: _Optional[_Iterable[str]] = ..., approvals_needed: _Optional[int] = ..., reminders: _Optional[_Iterable[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]]] = ...) -> None: ...

class JournalEntry(_message.Message):
    __slots__ = ("seq", "recorded_at", "type", "step_key", "attempt", "name", "kind", "payload", "failure", "until", "worker_id", "fence", "latency_ms", "input_digest", "definition_digest", "input", "outcome", "details", "question", "deltas")
    class DetailsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SEQ_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    INPUT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_DIGEST_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    DELTAS_FIELD_NUMBER: _ClassVar[int]
    seq: int
    recorded_at: _timestamp_pb2.Timestamp
    type: str
    step_key: str
    attempt: int
    name: str
    kind: StepKind
    payload: Payload
    failure: Failure
    until: _timestamp_pb2.Timestamp
    worker_id: str
    fence: int
    latency_ms: float
    input_digest: str
    definition_digest: str
    input: Payload
    outcome: WaitOutcome
    details: _containers.ScalarMap[str, str]
    question: Question
    deltas: int
    def __init__(self, seq: _Optional[int] = ..., recorded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., type: _Optional[str] = ..., step_key: _Optional[str] = ..., attempt: _Optional[int] = ..., name: _Optional[str] = ..., kind: _Optional[_Union[StepKind, str]] = ..., payload: _Optional[_Union[Payload, _Mapping]] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., worker_id: _Optional[str] = ..., fence: _Optional[int] = ..., latency_ms: _Optional[float] = ..., input_digest: _Optional[str] = ..., definition_digest: _Optional[str] = ..., input: _Optional[_Union[Payload, _Mapping]] = ..., outcome: _Optional[_Union[WaitOutcome, str]] = ..., details: _Optional[_Mapping[str, str]] = ..., question: _Optional[_Union[Question, _Mapping]] = ..., deltas: _Optional[int] = ...) -> None: ...

class ErrorFrame(_message.Message):
    __slots__ = ("reason", "message", "metadata", "code", "retry_after")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    metadata: _containers.ScalarMap[str, str]
    code: int
    retry_after: _duration_pb2.Duration
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., code: _Optional[int] = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class FlowControl(_message.Message):
    __slots__ = ("concurrency", "rate", "fairness_key")
    CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    FAIRNESS_KEY_FIELD_NUMBER: _ClassVar[int]
    concurrency: ConcurrencyLimit
    rate: RateLimit
    fairness_key: str
    def __init__(self, concurrency: _Optional[_Union[ConcurrencyLimit, _Mapping]] = ..., rate: _Optional[_Union[RateLimit, _Mapping]] = ..., fairness_key: _Optional[str] = ...) -> None: ...

class ConcurrencyLimit(_message.Message):
    __slots__ = ("limit", "key")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    limit: int
    key: str
    def __init__(self, limit: _Optional[int] = ..., key: _Optional[str] = ...) -> None: ...

class RateLimit(_message.Message):
    __slots__ = ("limit", "period", "key")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    limit: int
    period: _duration_pb2.Duration
    key: str
    def __init__(self, limit: _Optional[int] = ..., period: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., key: _Optional[str] = ...) -> None: ...
