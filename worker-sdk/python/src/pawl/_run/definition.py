"""What the execution of a run needs to know of its workflow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from .._codec.typed import Build
from ..v1.common_pb2 import RunTimeouts
from .options import StepOptions
from .signature import InputSignature

R_co = TypeVar("R_co", covariant=True)


class Definition(Protocol[R_co]):
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def queue(self) -> str: ...
    @property
    def timeouts(self) -> RunTimeouts | None: ...
    @property
    def fn(self) -> Callable[..., Awaitable[R_co]]: ...
    @property
    def signature(self) -> InputSignature: ...
    @property
    def build(self) -> Build | None:
        """Makes the result from recorded data."""

    @property
    def step_defaults(self) -> StepOptions | None: ...
