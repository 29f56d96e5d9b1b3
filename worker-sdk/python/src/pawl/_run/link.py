"""What a run needs from the platform, whichever way it is reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

from google.protobuf.message import Message

from ..errors import RequestError
from ..v1.common_pb2 import JournalEntry, Payload, PayloadRef
from ..v1.event_pb2 import NewEvent
from ..v1.run_pb2 import StartRunRequest, StartRunResponse
from ..v1.step_pb2 import StepStartedRequest
from .definition import Definition

#: The requests of a run, by the names of their frames.
RequestName = Literal[
    "step_started",
    "step_completed",
    "step_failed",
    "suspend_run",
    "complete_run",
    "fail_run",
    "close_waits",
    "begin_clean_up",
]
#: Gets the response, or the server's refusal.
OnAnswer = Callable[["Message | RequestError"], None]


class StartNote(Protocol):
    """A step whose start may be announced, unless it ends before there is a chance to."""

    @property
    def ended(self) -> bool: ...

    @property
    def is_due(self) -> bool:
        """It has run for long enough to be announced."""

    def start_message(self) -> StepStartedRequest: ...


class HeldRun(Protocol):
    """A run of this worker, as those see it who hold it."""

    @property
    def run_id(self) -> str: ...

    @property
    def fence(self) -> int: ...

    @property
    def gave_up(self) -> bool:
        """It leaves without the platform's knowledge: it has to be given back."""


class RunLink(Protocol):
    """A session stream, or unary calls.

    What is worth sending again, because no server answered, is sent again inside.
    """

    #: Each start is to be confirmed before its step runs; False in a session.
    confirm_starts: bool
    #: Resolutions of waits are pushed; otherwise the run has to ask again.
    pushes_waits: bool
    #: The run may be given back while it waits.
    suspends: bool

    def can_start(self) -> bool:
        """False while the platform is out of reach: no step may start then."""

    def note_start(self, run_id: str, note: StartNote) -> None: ...

    def request(
        self, run_id: str, name: RequestName, message: Message, on_answer: OnAnswer
    ) -> None:
        """Sends it after all live output that the run has published so far: its stream is in the order
        of its code, and nothing can follow a suspension.
        """

    def flush(self, run_id: str) -> None:
        """Sends live output that is being gathered: what it belongs to is about to end."""

    def publish(self, run_id: str, fence: int, event: NewEvent, size: int) -> int:
        """Live output; never waits, never fails, and may drop. Returns the event's number."""

    def stood_still_since(self, moment: float) -> bool:
        """Whether this process has stood still since that moment of `clock.now_s()`: what the platform said
        before may be out of date.
        """

    async def current_tags(self, run_id: str) -> dict[str, str]:
        """The run's tags by now."""

    async def journal(self, run_id: str, after_seq: int, to_seq: int) -> list[JournalEntry]:
        """The entries after one place, up to another."""

    async def start_run(
        self, request: StartRunRequest, definition: Definition[Any] | None
    ) -> StartRunResponse:
        """Starts a child; `definition`: its workflow, where that is not known by its name only."""

    async def download(self, payload: Payload) -> Payload:
        """Fetches a payload that was too large to travel inline."""

    async def upload(self, data: bytes) -> PayloadRef:
        """Stores a payload that is too large to travel inline."""

    async def attention(self, run_id: str) -> bool:
        """The platform has something to say about the run: asks what it is. Returns once it has been
        asked, False where that was not possible.
        """

    def released(self, run: HeldRun) -> None:
        """The run has left this worker."""
