"""Durable workflows in Python, for Pawl: https://pawl.dev"""

from ._run.branches import Outcome
from ._run.callback import Callback
from ._run.questions import Approval, ApprovalLevel, ApprovalOutcome, Vote
from .client import Client
from .context import Context, StepContext, current, in_run
from .errors import (
    AmbiguousStepKeyError,
    Cancelled,
    InvalidValueError,
    NonDeterminismError,
    PawlError,
    RecordedError,
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
from .step import Step, step, task
from .views import EntryView, EventView, RunInfo
from .worker import SDK_VERSION, Worker
from .workflow import Workflow, workflow

__version__ = SDK_VERSION

__all__ = [
    "AmbiguousStepKeyError",
    "Approval",
    "ApprovalLevel",
    "ApprovalOutcome",
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
    "Retry",
    "RetryableError",
    "RunFailedError",
    "RunHandle",
    "RunInfo",
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
    "delays",
    "exponential",
    "in_run",
    "linear",
    "step",
    "task",
    "workflow",
]
