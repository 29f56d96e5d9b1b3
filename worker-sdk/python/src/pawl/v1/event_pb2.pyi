import datetime

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

class EventClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_CLASS_UNSPECIFIED: _ClassVar[EventClass]
    EVENT_CLASS_CHECKPOINT: _ClassVar[EventClass]
    EVENT_CLASS_DELTA: _ClassVar[EventClass]

class DeltaPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DELTA_POLICY_UNSPECIFIED: _ClassVar[DeltaPolicy]
    DELTA_POLICY_EPHEMERAL: _ClassVar[DeltaPolicy]
    DELTA_POLICY_BUFFERED: _ClassVar[DeltaPolicy]
    DELTA_POLICY_DURABLE: _ClassVar[DeltaPolicy]
EVENT_CLASS_UNSPECIFIED: EventClass
EVENT_CLASS_CHECKPOINT: EventClass
EVENT_CLASS_DELTA: EventClass
DELTA_POLICY_UNSPECIFIED: DeltaPolicy
DELTA_POLICY_EPHEMERAL: DeltaPolicy
DELTA_POLICY_BUFFERED: DeltaPolicy
DELTA_POLICY_DURABLE: DeltaPolicy

class Event(_message.Message):
    __slots__ = ("cursor", "run_id", "type", "event_id", "parent_event_id", "step_key", "attempt", "content_index", "sequence", "source_at", "at", "payload", "entry", "merged", "policy")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    CLASS_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    CONTENT_INDEX_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_AT_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    MERGED_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    cursor: str
    run_id: str
    type: str
    event_id: str
    parent_event_id: str
    step_key: str
    attempt: int
    content_index: int
    sequence: int
    source_at: _timestamp_pb2.Timestamp
    at: _timestamp_pb2.Timestamp
    payload: _common_pb2.Payload
    entry: _common_pb2.JournalEntry
    merged: int
    policy: DeltaPolicy
    def __init__(self, cursor: _Optional[str] = ..., run_id: _Optional[str] = ..., type: _Optional[str] = ..., event_id: _Optional[str] = ..., parent_event_id: _Optional[str] = ..., step_key: _Optional[str] = ..., attempt: _Optional[int] = ..., content_index: _Optional[int] = ..., sequence: _Optional[int] = ..., source_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., payload: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ..., entry: _Optional[_Union[_common_pb2.JournalEntry, _Mapping]] = ..., merged: _Optional[int] = ..., policy: _Optional[_Union[DeltaPolicy, str]] = ..., **kwargs) -> None: ...

class PublishEventsRequest(_message.Message):
    __slots__ = ("run_id", "fence", "events", "first")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    fence: int
    events: _containers.RepeatedCompositeFieldContainer[NewEvent]
    first: int
    def __init__(self, run_id: _Optional[str] = ..., fence: _Optional[int] = ..., events: _Optional[_Iterable[_Union[NewEvent, _Mapping]]] = ..., first: _Optional[int] = ...) -> None: ...

class NewEvent(_message.Message):
    __slots__ = ("type", "step_key", "attempt", "content_index", "sequence", "source_at", "payload", "parent_event_id", "policy", "event_id")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    CONTENT_INDEX_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_AT_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    PARENT_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    type: str
    step_key: str
    attempt: int
    content_index: int
    sequence: int
    source_at: _timestamp_pb2.Timestamp
    payload: _common_pb2.Payload
    parent_event_id: str
    policy: DeltaPolicy
    event_id: str
    def __init__(self, type: _Optional[str] = ..., step_key: _Optional[str] = ..., attempt: _Optional[int] = ..., content_index: _Optional[int] = ..., sequence: _Optional[int] = ..., source_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., payload: _Optional[_Union[_common_pb2.Payload, _Mapping]] = ..., parent_event_id: _Optional[str] = ..., policy: _Optional[_Union[DeltaPolicy, str]] = ..., event_id: _Optional[str] = ...) -> None: ...

class PublishEventsResponse(_message.Message):
    __slots__ = ("accepted", "acknowledged")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    acknowledged: int
    def __init__(self, accepted: _Optional[int] = ..., acknowledged: _Optional[int] = ...) -> None: ...

class WatchRunRequest(_message.Message):
    __slots__ = ("run_id", "classes", "after_cursor", "from_now", "wait_for_start", "include_children")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    AFTER_CURSOR_FIELD_NUMBER: _ClassVar[int]
    FROM_NOW_FIELD_NUMBER: _ClassVar[int]
    WAIT_FOR_START_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_CHILDREN_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    classes: _containers.RepeatedScalarFieldContainer[EventClass]
    after_cursor: str
    from_now: bool
    wait_for_start: bool
    include_children: bool
    def __init__(self, run_id: _Optional[str] = ..., classes: _Optional[_Iterable[_Union[EventClass, str]]] = ..., after_cursor: _Optional[str] = ..., from_now: _Optional[bool] = ..., wait_for_start: _Optional[bool] = ..., include_children: _Optional[bool] = ...) -> None: ...

class WatchRunResponse(_message.Message):
    __slots__ = ("events", "cursor")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    cursor: str
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., cursor: _Optional[str] = ...) -> None: ...

class ListEventsRequest(_message.Message):
    __slots__ = ("run_id", "after_cursor", "page_size", "classes")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_CURSOR_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    after_cursor: str
    page_size: int
    classes: _containers.RepeatedScalarFieldContainer[EventClass]
    def __init__(self, run_id: _Optional[str] = ..., after_cursor: _Optional[str] = ..., page_size: _Optional[int] = ..., classes: _Optional[_Iterable[_Union[EventClass, str]]] = ...) -> None: ...

class ListEventsResponse(_message.Message):
    __slots__ = ("events", "next_cursor")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    next_cursor: str
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class WatchRunsRequest(_message.Message):
    __slots__ = ("workflow", "tags", "statuses", "types", "after_cursor")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    AFTER_CURSOR_FIELD_NUMBER: _ClassVar[int]
    workflow: str
    tags: _containers.ScalarMap[str, str]
    statuses: _containers.RepeatedScalarFieldContainer[_common_pb2.RunStatus]
    types: _containers.RepeatedScalarFieldContainer[str]
    after_cursor: str
    def __init__(self, workflow: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., statuses: _Optional[_Iterable[_Union[_common_pb2.RunStatus, str]]] = ..., types: _Optional[_Iterable[str]] = ..., after_cursor: _Optional[str] = ...) -> None: ...

class WatchRunsResponse(_message.Message):
    __slots__ = ("events", "cursor")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    cursor: str
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., cursor: _Optional[str] = ...) -> None: ...
