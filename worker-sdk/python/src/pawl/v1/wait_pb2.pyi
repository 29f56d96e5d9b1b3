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

class AnswerVia(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ANSWER_VIA_UNSPECIFIED: _ClassVar[AnswerVia]
    ANSWER_VIA_API: _ClassVar[AnswerVia]
    ANSWER_VIA_LINK: _ClassVar[AnswerVia]
    ANSWER_VIA_CALLBACK: _ClassVar[AnswerVia]
ANSWER_VIA_UNSPECIFIED: AnswerVia
ANSWER_VIA_API: AnswerVia
ANSWER_VIA_LINK: AnswerVia
ANSWER_VIA_CALLBACK: AnswerVia

class Wait(_message.Message):
    __slots__ = ("wait_id", "run_id", "step_key", "workflow", "kind", "name", "since", "due", "question", "answers", "reminders_sent", "signal_name", "child_run_id", "outcome", "resolved_at", "resolved_by", "comment", "cron", "time_zone")
    WAIT_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    DUE_FIELD_NUMBER: _ClassVar[int]
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    REMINDERS_SENT_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_NAME_FIELD_NUMBER: _ClassVar[int]
    CHILD_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_AT_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_BY_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    CRON_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    wait_id: str
    run_id: str
    step_key: str
    workflow: str
    kind: _common_pb2.WaitKind
    name: str
    since: _timestamp_pb2.Timestamp
    due: _timestamp_pb2.Timestamp
    question: _common_pb2.Question
    answers: _containers.RepeatedCompositeFieldContainer[WaitAnswer]
    reminders_sent: int
    signal_name: str
    child_run_id: str
    outcome: _common_pb2.WaitOutcome
    resolved_at: _timestamp_pb2.Timestamp
    resolved_by: str
    comment: str
    cron: str
    time_zone: str
    def __init__(self, wait_id: _Optional[str] = ..., run_id: _Optional[str] = ..., step_key: _Optional[str] = ..., workflow: _Optional[str] = ..., kind: _Optional[_Union[_common_pb2.WaitKind, str]] = ..., name: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., due: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., question: _Optional[_Union[_common_pb2.Question, _Mapping]] = ..., answers: _Optional[_Iterable[_Union[WaitAnswer, _Mapping]]] = ..., reminders_sent: _Optional[int] = ..., signal_name: _Optional[str] = ..., child_run_id: _Optional[str] = ..., outcome: _Optional[_Union[_common_pb2.WaitOutcome, str]] = ..., resolved_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., resolved_by: _Optional[str] = ..., comment: _Optional[str] = ..., cron: _Optional[str] = ..., time_zone: _Optional[str] = ...) -> None: ...

class WaitAnswer(_message.Message):
    __slots__ = ("actor", "at", "approved", "comment", "via", "resolution_id")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    APPROVED_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    VIA_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_ID_FIELD_NUMBER: _ClassVar[int]
    actor: str
    at: _timestamp_pb2.Timestamp
    approved: bool
    comment: str
    via: AnswerVia
    resolution_id: str
    def __init__(self, actor: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., approved: _Optional[bool] = ..., comment: _Optional[str] = ..., via: _Optional[_Union[AnswerVia, str]] = ..., resolution_id: _Optional[str] = ...) -> None: ...

class ListWaitsRequest(_message.Message):
    __slots__ = ("kinds", "assignee", "include_unassigned", "workflow", "run_id", "page_size", "page_token", "closed")
    KINDS_FIELD_NUMBER: _ClassVar[int]
    ASSIGNEE_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_UNASSIGNED_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    kinds: _containers.RepeatedScalarFieldContainer[_common_pb2.WaitKind]
    assignee: str
    include_unassigned: bool
    workflow: str
    run_id: str
    page_size: int
    page_token: str
    closed: bool
    def __init__(self, kinds: _Optional[_Iterable[_Union[_common_pb2.WaitKind, str]]] = ..., assignee: _Optional[str] = ..., include_unassigned: _Optional[bool] = ..., workflow: _Optional[str] = ..., run_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., closed: _Optional[bool] = ...) -> None: ...

class ListWaitsResponse(_message.Message):
    __slots__ = ("waits", "next_page_token")
    WAITS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    waits: _containers.RepeatedCompositeFieldContainer[Wait]
    next_page_token: str
    def __init__(self, waits: _Optional[_Iterable[_Union[Wait, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetWaitRequest(_message.Message):
    __slots__ = ("wait_id",)
    WAIT_ID_FIELD_NUMBER: _ClassVar[int]
    wait_id: str
    def __init__(self, wait_id: _Optional[str] = ...) -> None: ...

class GetWaitResponse(_message.Message):
    __slots__ = ("wait", "payload")
    WAIT_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    wait: Wait
    payload: _common_pb2.Payload
    def __init__(self, wait: _Optional[_Union[Wait, _Mapping]] = ..., payload: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ...) -> None: ...

class AnswerWaitRequest(_message.Message):
    __slots__ = ("wait_id", "resolution_id", "answer", "skip", "actor", "comment", "run_id", "step_key")
    WAIT_ID_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_ID_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    SKIP_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    wait_id: str
    resolution_id: str
    answer: _common_pb2.Payload
    skip: bool
    actor: str
    comment: str
    run_id: str
    step_key: str
    def __init__(self, wait_id: _Optional[str] = ..., resolution_id: _Optional[str] = ..., answer: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ..., skip: _Optional[bool] = ..., actor: _Optional[str] = ..., comment: _Optional[str] = ..., run_id: _Optional[str] = ..., step_key: _Optional[str] = ...) -> None: ...

class AnswerWaitResponse(_message.Message):
    __slots__ = ("wait", "duplicate", "resolution_id")
    WAIT_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_ID_FIELD_NUMBER: _ClassVar[int]
    wait: Wait
    duplicate: bool
    resolution_id: str
    def __init__(self, wait: _Optional[_Union[Wait, _Mapping]] = ..., duplicate: _Optional[bool] = ..., resolution_id: _Optional[str] = ...) -> None: ...

class CancelWaitRequest(_message.Message):
    __slots__ = ("wait_id", "actor", "comment")
    WAIT_ID_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    wait_id: str
    actor: str
    comment: str
    def __init__(self, wait_id: _Optional[str] = ..., actor: _Optional[str] = ..., comment: _Optional[str] = ...) -> None: ...

class CancelWaitResponse(_message.Message):
    __slots__ = ("wait",)
    WAIT_FIELD_NUMBER: _ClassVar[int]
    wait: Wait
    def __init__(self, wait: _Optional[_Union[Wait, _Mapping]] = ...) -> None: ...

class CreateWaitLinkRequest(_message.Message):
    __slots__ = ("wait_id", "assignee", "expires_in")
    WAIT_ID_FIELD_NUMBER: _ClassVar[int]
    ASSIGNEE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_IN_FIELD_NUMBER: _ClassVar[int]
    wait_id: str
    assignee: str
    expires_in: _duration_pb2.Duration
    def __init__(self, wait_id: _Optional[str] = ..., assignee: _Optional[str] = ..., expires_in: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CreateWaitLinkResponse(_message.Message):
    __slots__ = ("url", "token", "expires_at")
    URL_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    url: str
    token: str
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, url: _Optional[str] = ..., token: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
