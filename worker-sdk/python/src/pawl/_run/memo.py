# Section M of docs/replay-machine.md.
"""What a run's journal says about each step key: the memo that a replay reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .._lib.words import word
from ..duration import message_seconds
from ..v1.common_pb2 import (
    STEP_KIND_CALLBACK,
    STEP_KIND_CHILD,
    Failure,
    JournalEntry,
    Payload,
    WaitOutcome,
)


@dataclass(slots=True)
class Record:
    """The record of a step or wait that has ended."""

    #: Its place in the journal: replay hands results out in this order.
    seq: int
    kind: int
    attempt: int
    payload: Payload | None = None
    failure: Failure | None = None
    #: How a wait ended; empty for steps.
    outcome: str = ""
    #: Of a wait: who answered, and the like.
    details: Mapping[str, str] = field(default_factory=dict)
    input_digest: str = ""
    definition_digest: str = ""


@dataclass(slots=True)
class Backing:
    """A step whose last attempt failed, with another one to come."""

    attempt: int
    #: When the next attempt is due, in seconds since the epoch, by the server's clock.
    until: float


def record_of(entry: JournalEntry) -> Record:
    """A journal entry that ends a step or wait, as a record."""
    return Record(
        seq=entry.seq,
        kind=entry.kind,
        attempt=entry.attempt,
        payload=entry.payload if entry.HasField("payload") else None,
        failure=entry.failure if entry.HasField("failure") else None,
        outcome=word(WaitOutcome, entry.outcome),
        details=dict(entry.details) if entry.outcome else {},
        input_digest=entry.input_digest,
        definition_digest=entry.definition_digest,
    )


class Memo:
    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._attempts: dict[str, int] = {}
        self._backing: dict[str, Backing] = {}
        # The waits that were registered and have not been resolved or closed.
        self._open_waits: set[str] = set()
        # Waits for children that the server has closed. Those continue for as long as the code may ask again.
        self._closed_children: set[str] = set()
        # Where callbacks were registered.
        self._callbacks: dict[str, int] = {}
        self._asked: set[str] = set()
        self.last_seq = 0
        # The place of the last record that the journal came with: a replay is over once it is handed out.
        self.last_record_seq = 0
        # The place of the last entry that a worker sent; 0: none has started the code.
        self.last_work_seq = 0
        # How often the run was retried after it had failed.
        self.retries = 0
        # Its clean-up has been announced.
        self.cleaning_up = False
        # Why the run is being cancelled; empty where nobody said.
        self.cancel_reason = ""

    def add(self, entries: Iterable[JournalEntry]) -> None:
        """Adds the next entries of the journal."""
        for entry in entries:
            self.last_seq = max(self.last_seq, entry.seq)
            if entry.type == "run.cancelling":
                self.cancel_reason = entry.details.get("reason", "")
            if entry.type == "run.cleanup.started":
                self.cleaning_up = True
            if entry.type == "run.retried":
                self.retries += 1
                self.cleaning_up = False
                self._supersede(entry)
            elif entry.step_key:
                self._add_step(entry)

    def _supersede(self, entry: JournalEntry) -> None:
        keys = json.loads(entry.details.get("superseded") or "[]")
        for key in keys if isinstance(keys, list) else ():
            self._records.pop(str(key), None)
            self._backing.pop(str(key), None)
            self._open_waits.discard(str(key))
        self.last_record_seq = max((record.seq for record in self._records.values()), default=0)

    def was_handed_out(self, seq: int) -> bool:
        """Whether a worker has gone on after that place, so that the code has been given what is there."""
        return seq < self.last_work_seq

    def _add_step(self, entry: JournalEntry) -> None:
        key = entry.step_key
        if entry.type.startswith("workflow.step.") or entry.type == "workflow.wait.created":
            self.last_work_seq = entry.seq
        match entry.type:
            case "workflow.step.completed" | "workflow.step.failed" | "workflow.wait.resolved":
                self._set(key, record_of(entry))
                self.last_record_seq = entry.seq
            case "workflow.step.retrying":
                until = message_seconds(entry.until) if entry.HasField("until") else 0.0
                self._backing[key] = Backing(entry.attempt, until)
            case "workflow.wait.created":
                self.opened(key)
                if entry.kind == STEP_KIND_CALLBACK:
                    self._callbacks[key] = entry.seq
            case "workflow.wait.closed":
                # Its code has never been given anything: asked for again, it is registered anew.
                self._records.pop(key, None)
                self._open_waits.discard(key)
                if entry.kind == STEP_KIND_CHILD:
                    self._closed_children.add(key)
                self._callbacks.pop(key, None)
        if entry.attempt > self._attempts.get(key, 0):
            self._attempts[key] = entry.attempt

    def _set(self, key: str, record: Record) -> None:
        self._records[key] = record
        self._backing.pop(key, None)
        self._open_waits.discard(key)

    def remember(self, key: str, record: Record) -> None:
        """Notes what this worker has just recorded, where it may be asked for again."""
        self._set(key, record)
        self._asked.add(key)

    def forget_within(self, key: str) -> None:
        """Frees what was recorded inside of a step that is done: nobody will ask for it again."""
        for inner in [inner for inner in self._records if inner.startswith(f"{key}/")]:
            del self._records[inner]

    def take(self, key: str) -> Record | None:
        """The record of a key; it counts as asked for from now on."""
        self._asked.add(key)
        return self._records.get(key)

    def forget(self, key: str) -> None:
        """Frees the record of a key that nobody will ask for again."""
        self._records.pop(key, None)

    def attempts(self, key: str) -> int:
        """The highest attempt known of a step; 0 when it never ran."""
        return self._attempts.get(key, 0)

    def opened(self, key: str) -> None:
        """A wait has been registered."""
        self._open_waits.add(key)
        self._closed_children.discard(key)

    def is_known_wait(self, key: str) -> bool:
        """It is open on the server, was resolved there, or is for a child, which can be ended."""
        record = self._records.get(key)
        is_open = key in self._open_waits or key in self._closed_children
        return is_open or (record is not None and record.outcome != "")

    def forget_wait(self, key: str) -> None:
        """It is being closed: asking for it again registers it anew."""
        self._open_waits.discard(key)
        self._closed_children.discard(key)
        self._records.pop(key, None)

    def give_up_unasked(self, prefixes: Sequence[str]) -> list[str]:
        """Gives up the waits of ended branches that the code has not asked for, and that a signal has
        resolved or still may: asking for one registers it anew.
        """
        keys = [key for key, record in self._records.items() if record.outcome == "signalled"]
        keys += self._open_waits
        within = tuple(prefixes)
        unasked = [key for key in keys if key not in self._asked and key.startswith(within)]
        for key in unasked:
            self.forget_wait(key)
        return unasked

    def open_within(self, key: str) -> list[str]:
        """The open waits inside of a step."""
        return [inner for inner in self._open_waits if inner.startswith(f"{key}/")]

    def completed(self, key: str) -> bool:
        """Whether its result is on record."""
        record = self._records.get(key)
        return record is not None and record.failure is None

    def is_open_wait(self, key: str) -> bool:
        """It is registered, and not resolved as far as is known here."""
        return key in self._open_waits

    def created_seq(self, key: str) -> int:
        """The place in the journal at which a callback was registered."""
        return self._callbacks.get(key, 0)

    def outcome(self, key: str) -> str | None:
        """How a wait ended, where it has."""
        record = self._records.get(key)
        return None if record is None else record.outcome

    def note_attempt(self, key: str, attempt: int) -> None:
        self._attempts[key] = attempt

    def backing(self, key: str) -> Backing | None:
        return self._backing.get(key)

    @property
    def size(self) -> int:
        return len(self._records)

    def failed_within(self, key: str) -> list[str]:
        """The finally failed steps inside of a step, in the order of their recording."""
        found = [
            (record.seq, inner)
            for inner, record in self._records.items()
            if record.failure is not None and inner.startswith(f"{key}/")
        ]
        return [inner for _, inner in sorted(found)]

    def unconsumed(self, keys_max: int) -> list[str]:
        """Records that the code never asked for, apart from those inside of steps that it did."""
        keys: list[str] = []
        for key in self._records:
            if len(keys) >= keys_max:
                break
            if key not in self._asked and not self._ancestor_asked(key):
                keys.append(key)
        return keys

    def _ancestor_asked(self, key: str) -> bool:
        at = key.rfind("/")
        while at > 0:
            if key[:at] in self._asked:
                return True
            at = key.rfind("/", 0, at)
        return False
