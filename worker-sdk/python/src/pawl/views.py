"""Runs, journal entries, events, waits and workers as values."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from ._codec.payload import decode
from ._lib.words import word
from .duration import message_seconds, moment_of
from .failure import error_of
from .v1.common_pb2 import (
    JournalEntry,
    Payload,
    Question,
    QuestionType,
    RunStatus,
    StepKind,
    WaitKind,
    WaitOutcome,
)
from .v1.event_pb2 import EVENT_CLASS_DELTA, Event
from .v1.run_pb2 import Run, StatusReason
from .v1.wait_pb2 import AnswerVia, Wait
from .v1.worker_pb2 import Worker


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


@dataclass(frozen=True, slots=True)
class QuestionView:
    """A question to people: text, approval, choice, multichoice or form."""

    prompt: str
    type: str
    #: Value and label of each.
    options: tuple[tuple[str, str], ...]
    allow_custom: bool
    skippable: bool
    #: JSON Schema of a form.
    schema: Any
    #: Who may answer. Empty: anyone.
    assignees: tuple[str, ...]
    #: How many different people must approve.
    needed: int
    #: In seconds after the question was asked.
    reminders: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class AnswerView:
    """One answer to a question."""

    actor: str
    at: datetime | None
    #: Of an approval.
    approved: bool | None
    comment: str
    via: str


@dataclass(frozen=True, slots=True)
class WaitView:
    """A wait: a sleep, a signal, a child, a question or a callback."""

    wait_id: str
    run_id: str
    step_key: str
    workflow: str
    #: sleep, signal, child, user or callback.
    kind: str
    name: str
    since: datetime | None
    #: When the timer fires or the wait times out. None: never.
    due: datetime | None
    question: QuestionView | None
    answers: tuple[AnswerView, ...]
    child_run_id: str
    #: The cron expression of a sleep and its zone.
    cron: str
    time_zone: str
    #: answered, skipped, fired, timed_out, cancelled …; empty while the wait is open.
    outcome: str
    resolved_at: datetime | None
    resolved_by: str
    comment: str


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker process."""

    worker_id: str
    connected: bool
    in_flight: int
    slots: int
    workflows: tuple[str, ...]
    language: str


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


def _question_view(question: Question) -> QuestionView:
    return QuestionView(
        prompt=question.prompt,
        type=word(QuestionType, question.type),
        options=tuple((each.value, each.label or each.value) for each in question.options),
        allow_custom=question.allow_custom,
        skippable=question.skippable,
        schema=json.loads(question.form_schema) if question.form_schema else None,
        assignees=tuple(question.assignees),
        needed=max(1, question.approvals_needed),
        reminders=tuple(message_seconds(each) for each in question.reminders),
    )


def wait_view(wait: Wait) -> WaitView:
    return WaitView(
        wait_id=wait.wait_id,
        run_id=wait.run_id,
        step_key=wait.step_key,
        workflow=wait.workflow,
        kind=word(WaitKind, wait.kind),
        name=wait.name,
        since=moment_of(wait.since) if wait.HasField("since") else None,
        due=moment_of(wait.due) if wait.HasField("due") else None,
        question=_question_view(wait.question) if wait.HasField("question") else None,
        answers=tuple(
            AnswerView(
                actor=each.actor,
                at=moment_of(each.at) if each.HasField("at") else None,
                approved=each.approved if each.HasField("approved") else None,
                comment=each.comment,
                via=word(AnswerVia, each.via),
            )
            for each in wait.answers
        ),
        child_run_id=wait.child_run_id,
        cron=wait.cron,
        time_zone=wait.time_zone,
        outcome=word(WaitOutcome, wait.outcome),
        resolved_at=moment_of(wait.resolved_at) if wait.HasField("resolved_at") else None,
        resolved_by=wait.resolved_by,
        comment=wait.comment,
    )


def worker_view(worker: Worker) -> WorkerView:
    return WorkerView(
        worker_id=worker.info.worker_id,
        connected=worker.connected,
        in_flight=worker.in_flight,
        slots=worker.info.slots,
        workflows=tuple(each.name for each in worker.info.workflows),
        language=worker.info.language,
    )
