"""Runs, journal entries and events as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from ._codec.payload import decode
from ._lib.words import word
from .duration import moment_of
from .failure import error_of
from .v1.common_pb2 import (
    JournalEntry,
    Payload,
    RunStatus,
    StepKind,
    WaitOutcome,
)
from .v1.event_pb2 import EVENT_CLASS_DELTA, Event
from .v1.run_pb2 import Run, StatusReason


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as it was when it was asked for. `status` is queued, running, waiting …"""

    run_id: str
    workflow: str
    status: str
    status_reason: str
    status_detail: str
    queue: str
    priority: int
    attempt: int
    journal_length: int
    worker_id: str
    created_at: datetime
    ended_at: datetime | None
    tags: dict[str, str] = field(default_factory=dict)
    #: Keys of the steps that it waits for.
    waits: tuple[str, ...] = ()
    parent_run_id: str = ""
    #: Identifies this run permanently: a run id that is deleted and used again has another one.
    run_uid: str = ""
    version: str = ""
    session_id: str = ""
    user_id: str = ""
    #: When a worker first leased the run.
    started_at: datetime | None = None
    updated_at: datetime | None = None
    #: Why it failed or was paused.
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class EntryView:
    """An entry of a run's journal."""

    seq: int
    type: str
    step_key: str
    attempt: int
    name: str
    kind: str
    recorded_at: datetime
    outcome: str
    payload: Any
    error: Exception | None
    details: dict[str, str]


@dataclass(frozen=True, slots=True)
class EventView:
    """Something that happened in a run: `checkpoint`s are its journal, `delta`s are live only."""

    cursor: str
    run_id: str
    type: str
    event_class: Literal["checkpoint", "delta"]
    step_key: str
    attempt: int
    sequence: int
    #: Of a delta.
    payload: Any
    #: Of a checkpoint.
    entry: EntryView | None
    event_id: str = ""
    #: The event, or the run, step or scope, that it belongs to.
    parent_event_id: str = ""
    #: Distinguishes parallel streams of one step.
    content_index: int = 0
    at: datetime | None = None


def run_view(run: Run) -> RunView:
    return RunView(
        run_id=run.run_id,
        workflow=run.workflow,
        status=word(RunStatus, run.status),
        status_reason=word(StatusReason, run.status_reason),
        status_detail=run.status_detail,
        queue=run.queue,
        priority=run.priority,
        attempt=run.attempt,
        journal_length=run.journal_length,
        worker_id=run.worker_id,
        created_at=moment_of(run.created_at),
        ended_at=moment_of(run.ended_at) if run.HasField("ended_at") else None,
        tags=dict(run.tags),
        waits=tuple(wait.step_key for wait in run.waits),
        parent_run_id=run.parent.run_id,
        run_uid=run.run_uid,
        version=run.version,
        session_id=run.session_id,
        user_id=run.user_id,
        started_at=moment_of(run.started_at) if run.HasField("started_at") else None,
        updated_at=moment_of(run.updated_at) if run.HasField("updated_at") else None,
        error=error_of(run.failure) if run.HasField("failure") else None,
    )


def _readable(payload: Payload) -> Any:
    """The value; its bytes where this SDK cannot decode it, since one value must not end a watch."""
    if payload.HasField("ref"):
        return None
    try:
        return decode(payload)
    except Exception:
        return bytes(payload.data)


def entry_view(entry: JournalEntry) -> EntryView:
    """Payloads that are too large to travel inline are left out."""
    return EntryView(
        seq=entry.seq,
        type=entry.type,
        step_key=entry.step_key,
        attempt=entry.attempt,
        name=entry.name,
        kind=word(StepKind, entry.kind),
        recorded_at=moment_of(entry.recorded_at),
        outcome=word(WaitOutcome, entry.outcome),
        payload=_readable(entry.payload) if entry.HasField("payload") else None,
        error=error_of(entry.failure) if entry.HasField("failure") else None,
        details=dict(entry.details),
    )


def event_view(event: Event) -> EventView:
    delta = getattr(event, "class") == EVENT_CLASS_DELTA
    return EventView(
        cursor=event.cursor,
        run_id=event.run_id,
        type=event.type,
        event_class="delta" if delta else "checkpoint",
        step_key=event.step_key,
        attempt=event.attempt,
        sequence=event.sequence,
        payload=_readable(event.payload) if event.HasField("payload") else None,
        entry=entry_view(event.entry) if event.HasField("entry") else None,
        event_id=event.event_id,
        parent_event_id=event.parent_event_id,
        content_index=event.content_index,
        at=moment_of(event.at) if event.HasField("at") else None,
    )
