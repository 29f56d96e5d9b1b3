"""Durable workflows in Python, for Pawl: https://pawl.dev"""

from ._lib.version import __version__ as __version__
from ._run.branches import Outcome
from ._run.callback import Callback
from ._run.questions import Approval, ApprovalOutcome, ApprovalRound, Vote
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
from .handle import RunHandle
from .retry import Backoff, Retry, constant, delays, exponential, linear
from .step import Step, step
from .views import EntryView, EventView, RunView
from .worker import Worker
from .workflow import Workflow, workflow

__all__ = [
    "AmbiguousStepKeyError",
    "Approval",
    "ApprovalOutcome",
    "ApprovalRound",
    "Backoff",
    "Callback",
    "Cancelled",
    "Client",
    "Context",
    "EntryView",
    "EventView",
    "InvalidValueError",
    "NonDeterminismError",
    "Outcome",
    "PawlError",
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
    "Suspended",
    "TerminalError",
    "UsageError",
    "Vote",
    "WaitCancelledError",
    "WaitTimeoutError",
    "Worker",
    "Workflow",
    "constant",
    "current",
    "current_or_none",
    "delays",
    "exponential",
    "linear",
    "step",
    "workflow",
]
