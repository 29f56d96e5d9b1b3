"""Durable workflows in Python, for Pawl: https://pawl.dev"""

from ._lib.version import __version__ as __version__
from ._local.people import LocalQuestion
from ._run.branches import Outcome
from ._run.callback import Callback
from ._run.questions import Approval, ApprovalOutcome, ApprovalRound, Vote
from ._run.spawn import ChildHandle
from ._run.stream_event import StreamEvent, event
from .agent import AgentStream, agent
from .client import Client
from .context import Context, StepContext, current, current_or_none
from .errors import (
    AmbiguousStepKeyError,
    Cancelled,
    InvalidValueError,
    NonDeterminismError,
    PawlError,
    RecordedError,
    RequestError,
    RetryableError,
    RunFailedError,
    SerializationError,
    StepFailedError,
    StepTimeoutError,
    Suspended,
    TerminalError,
    UsageError,
    WaitCancelledError,
    WaitTimeoutError,
)
from .flow import Concurrency, Debounce, RateLimit
from .handle import RunHandle
from .local import run_locally
from .retry import Backoff, Retry, constant, delays, exponential, linear
from .step import Step, step
from .views import (
    AnswerView,
    EntryView,
    EventView,
    QuestionView,
    RunView,
    WaitView,
    WorkerView,
)
from .web import to_response
from .worker import Worker
from .workflow import Workflow, workflow

__all__ = [
    "AgentStream",
    "AmbiguousStepKeyError",
    "AnswerView",
    "Approval",
    "ApprovalOutcome",
    "ApprovalRound",
    "Backoff",
    "Callback",
    "Cancelled",
    "ChildHandle",
    "Client",
    "Concurrency",
    "Context",
    "Debounce",
    "EntryView",
    "EventView",
    "InvalidValueError",
    "LocalQuestion",
    "NonDeterminismError",
    "Outcome",
    "PawlError",
    "QuestionView",
    "RateLimit",
    "RecordedError",
    "RequestError",
    "Retry",
    "RetryableError",
    "RunFailedError",
    "RunHandle",
    "RunView",
    "SerializationError",
    "Step",
    "StepContext",
    "StepFailedError",
    "StepTimeoutError",
    "StreamEvent",
    "Suspended",
    "TerminalError",
    "UsageError",
    "Vote",
    "WaitCancelledError",
    "WaitTimeoutError",
    "WaitView",
    "Worker",
    "WorkerView",
    "Workflow",
    "agent",
    "constant",
    "current",
    "current_or_none",
    "delays",
    "event",
    "exponential",
    "linear",
    "run_locally",
    "step",
    "to_response",
    "workflow",
]
